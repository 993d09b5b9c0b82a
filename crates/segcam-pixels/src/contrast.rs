use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, PredictedClass, Prediction};

use crate::AnySet;

/// Compares the class asked about with another one: why this class and not that?
///
/// The score is `Σ_p w_p · (y^c_p − y^d_p)`. Positive cells of the map speak for the class asked
/// about, negative ones for the other. Of a set with [`parts`](PixelSet::parts) each part is compared.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, SegHiResGradCam};
/// use segcam_pixels::{Contrast, Region};
///
/// // Why is this person no rider?
/// let method = SegHiResGradCam::new(Contrast::with(12));
/// // The same, of the pixels in a box.
/// let set = Contrast::with(12).within(Region::new([10, 20], [64, 80]));
/// assert_eq!(PixelSet::<4>::name(&set), "contrast(box:10,20,64,80,12)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contrast<P = PredictedClass> {
    set: P,
    against: usize,
}

impl Contrast {
    /// Of the pixels predicted as the class asked about, against class `other`.
    pub fn with(other: usize) -> Self {
        Self { set: PredictedClass, against: other }
    }
}

impl<P> Contrast<P> {
    /// Of the pixels in `set`.
    pub fn within<Q>(self, set: Q) -> Contrast<Q> {
        Contrast { set, against: self.against }
    }
}

impl<P: PixelSet<D>, const D: usize> PixelSet<D> for Contrast<P> {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        self.set.weights(prediction, class)
    }

    fn name(&self) -> String {
        match self.set.name().as_str() {
            "class" => format!("contrast:{}", self.against),
            set => format!("contrast({set},{})", self.against),
        }
    }

    fn against(
        &self,
        _prediction: &Prediction<D>,
        _class: usize,
    ) -> Result<Vec<(usize, f64)>, CamError> {
        Ok(vec![(self.against, 1.0)])
    }

    fn parts(&self, prediction: &Prediction<D>, class: usize) -> Result<Vec<AnySet<D>>, CamError> {
        let against = self.against;
        let parts = self.set.parts(prediction, class)?.into_iter();
        Ok(parts.map(|set| -> AnySet<D> { Box::new(Contrast { set, against }) }).collect())
    }

    fn why_empty(&self, prediction: &Prediction<D>, class: usize) -> Option<String> {
        self.set.why_empty(prediction, class)
    }
}
