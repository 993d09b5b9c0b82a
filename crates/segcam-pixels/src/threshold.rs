use std::fmt;

use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

/// Pixels whose probability of the class asked about is above a level.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Threshold;
///
/// let logits = Tensor::<4>::from_floats([[[[-1.0, 0.1, 3.0]]]], &Device::flex());
/// let view = Prediction::new(logits, [1, 1, 1, 3]);
/// let weights = Threshold(0.9).weights(&view, 0)?;
/// assert_eq!(weights.into_data().try_to_vec::<f32>()?, [0.0, 0.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold(
    /// The level, a probability. At 1 and above the set is empty.
    pub f64,
);

impl<const D: usize> PixelSet<D> for Threshold {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        Ok(prediction.probability(class).greater_elem(self.0).float())
    }

    fn name(&self) -> String {
        self.to_string()
    }

    fn why_empty(&self, prediction: &Prediction<D>, class: usize) -> Option<String> {
        let largest = prediction.probability(class).max().into_scalar::<f32>();
        Some(format!("the largest probability of class {class} is {largest:.4}"))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "threshold:{}", self.0)
    }
}
