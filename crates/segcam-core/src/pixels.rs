use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{CamError, LabelMap, Members, Prediction};

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
pub trait PixelSet<const D: usize = 4>: Send + Sync {
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

    /// Classes whose scores are subtracted, each with its factor, for the question "why this class
    /// and not that one?".
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    fn against(
        &self,
        _prediction: &Prediction<D>,
        _class: usize,
    ) -> Result<Vec<(usize, f64)>, CamError> {
        Ok(vec![])
    }

    /// Whether the set is every pixel of every image, so that it need not be named.
    fn is_whole_image(&self) -> bool {
        false
    }

    /// The sets that this one consists of, if each is to be explained by itself.
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    fn parts(
        &self,
        _prediction: &Prediction<D>,
        _class: usize,
    ) -> Result<Vec<Box<dyn PixelSet<D>>>, CamError> {
        Ok(vec![])
    }

    /// Why there is no pixel in the set, for the error that says so.
    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        None
    }

    /// The set of an image that is too large for its scores to be held, from predicted labels alone.
    ///
    /// # Errors
    /// [`CamError::NeedsScores`] unless the set implements it, and as [`weights`](Self::weights).
    fn on_labels<'a>(
        &'a self,
        _labels: &'a LabelMap,
        _class: usize,
    ) -> Result<Members<'a>, CamError> {
        Err(CamError::NeedsScores { set: self.name() })
    }
}

impl<F, const D: usize> PixelSet<D> for F
where
    F: Fn(&Prediction<D>, usize) -> Tensor<D> + Send + Sync,
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

            fn against(
                &self,
                prediction: &Prediction<D>,
                class: usize,
            ) -> Result<Vec<(usize, f64)>, CamError> {
                (**self).against(prediction, class)
            }

            fn is_whole_image(&self) -> bool {
                (**self).is_whole_image()
            }

            fn parts(
                &self,
                prediction: &Prediction<D>,
                class: usize,
            ) -> Result<Vec<Box<dyn PixelSet<D>>>, CamError> {
                (**self).parts(prediction, class)
            }

            fn why_empty(&self, prediction: &Prediction<D>, class: usize) -> Option<String> {
                (**self).why_empty(prediction, class)
            }

            fn on_labels<'a>(
                &'a self,
                labels: &'a LabelMap,
                class: usize,
            ) -> Result<Members<'a>, CamError> {
                (**self).on_labels(labels, class)
            }
        }
    )*};
}
forward_pixel_set!(&dyn PixelSet<D>, Box<dyn PixelSet<D>>, Arc<dyn PixelSet<D>>);

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

    fn is_whole_image(&self) -> bool {
        true
    }

    fn on_labels<'a>(
        &'a self,
        _labels: &'a LabelMap,
        _class: usize,
    ) -> Result<Members<'a>, CamError> {
        Ok(Box::new(|_| true))
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

    fn on_labels<'a>(
        &'a self,
        labels: &'a LabelMap,
        class: usize,
    ) -> Result<Members<'a>, CamError> {
        Ok(Box::new(move |pixel| labels.is(pixel, class)))
    }
}
