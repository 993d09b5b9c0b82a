use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

/// Every pixel, weighted by its probability of the class asked about.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Soft;
///
/// let logits = Tensor::<4>::from_floats([[[[0.0, 20.0]]]], &Device::flex());
/// let view = Prediction::new(logits, [1, 1, 1, 2]);
/// let weights = Soft.weights(&view, 0)?.into_data().try_to_vec::<f32>()?;
/// assert_eq!(weights, [0.5, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Soft;

impl<const D: usize> PixelSet<D> for Soft {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        Ok(prediction.probability(class))
    }

    fn name(&self) -> String {
        "soft".into()
    }
}
