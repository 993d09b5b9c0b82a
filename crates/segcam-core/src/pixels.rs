use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{CamError, Prediction, Target};

/// The set M of output pixels whose class score is explained.
///
/// Closures implement it; so do `&dyn PixelSet`, `Box<dyn PixelSet>` and `Arc<dyn PixelSet>`.
///
/// # Example
/// ```
/// use segcam_core::{Prediction, SegGradCam};
///
/// let confident = |view: &Prediction, class| view.probability(class).greater_elem(0.9).float();
/// let method = SegGradCam::new(confident);
/// ```
pub trait PixelSet<const D: usize = 4> {
    /// Membership of every output pixel, `[N, 1, …]` as [`Prediction::shape`]: 1 inside, 0 outside.
    /// Other values weight the pixel's score.
    ///
    /// `class` is the class asked about; it exists.
    ///
    /// # Errors
    /// If the set makes no sense on this prediction, such as a pixel outside the image.
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError>;

    /// The set's name in reports.
    fn name(&self) -> String {
        "custom".into()
    }

    /// A class whose score is subtracted, for the question "why this class and not that one?".
    fn against(&self) -> Option<usize> {
        None
    }

    /// The sets that this one consists of, if each is to be explained by itself.
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    fn parts(
        &self,
        _prediction: &Prediction<D>,
        _class: usize,
    ) -> Result<Vec<Box<dyn PixelSet<D> + Send + Sync>>, CamError> {
        Ok(vec![])
    }

    /// Why there is no pixel in the set, for the error that says so.
    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        None
    }
}

impl<F, const D: usize> PixelSet<D> for F
where
    F: Fn(&Prediction<D>, usize) -> Tensor<D>,
{
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        Ok(self(prediction, class))
    }
}

// A blanket `impl for &P` would overlap with the one for closures.
macro_rules! forward_pixel_set {
    ($($pointer:ty),*) => {$(
        impl<const D: usize> PixelSet<D> for $pointer {
            fn weights(
                &self,
                prediction: &Prediction<D>,
                class: usize,
            ) -> Result<Tensor<D>, CamError> {
                (**self).weights(prediction, class)
            }

            fn name(&self) -> String {
                (**self).name()
            }

            fn against(&self) -> Option<usize> {
                (**self).against()
            }

            fn parts(
                &self,
                prediction: &Prediction<D>,
                class: usize,
            ) -> Result<Vec<Box<dyn PixelSet<D> + Send + Sync>>, CamError> {
                (**self).parts(prediction, class)
            }

            fn why_empty(&self, prediction: &Prediction<D>, class: usize) -> Option<String> {
                (**self).why_empty(prediction, class)
            }
        }
    )*};
}
forward_pixel_set!(
    &dyn PixelSet<D>,
    Box<dyn PixelSet<D>>,
    Arc<dyn PixelSet<D>>,
    Box<dyn PixelSet<D> + Send + Sync>,
    Arc<dyn PixelSet<D> + Send + Sync>
);

/// A score that was explained before is a pixel set, too: the same pixels, whatever the network
/// predicts on another input.
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation, again: Observation) -> Result<(), CamError> {
/// let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
/// let same_pixels = Seg::of(HiResCam, map.target().clone());
/// let other = again.explain(&same_pixels, "mid", 1)?;
/// # Ok(())
/// # }
/// ```
impl<const D: usize> PixelSet<D> for Target<D> {
    fn weights(&self, _prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        Ok(self.weights.clone())
    }

    fn name(&self) -> String {
        "as before".into()
    }

    fn against(&self) -> Option<usize> {
        self.against
    }
}

/// Every pixel of the image: Seg-Grad-CAM becomes Grad-CAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllPixels;

impl<const D: usize> PixelSet<D> for AllPixels {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        Ok(Tensor::ones(prediction.shape(), &prediction.device()))
    }

    fn name(&self) -> String {
        "all".into()
    }
}

/// The pixels predicted as the class asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PredictedClass;

impl<const D: usize> PixelSet<D> for PredictedClass {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        Ok(prediction.predicted(class))
    }

    fn name(&self) -> String {
        "class".into()
    }

    fn why_empty(&self, _prediction: &Prediction<D>, class: usize) -> Option<String> {
        Some(format!("no pixel is predicted as class {class}"))
    }
}
