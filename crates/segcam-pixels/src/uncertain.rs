use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::cells;

/// A measure of how unsure the network is about a pixel, from 0 (sure) to at most 1.
///
/// A binary network has two classes: its own, and not its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uncertainty {
    /// `−Σ p ln p / ln C`: 1 where all C classes are equally likely.
    Entropy,
    /// `1 − (p₁ − p₂)` of the two most likely classes: 1 where they are equally likely.
    Margin,
    /// `1 − p₁` of the most likely class: the chance to be wrong.
    LeastConfidence,
}

/// Pixels that the network is unsure about, whatever the class.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::{Uncertain, Uncertainty};
///
/// let logits = Tensor::<4>::from_floats([[[[-9.0, 0.1, 3.0]]]], &Device::flex());
/// let view = Prediction::new(logits, [1, 1, 1, 3]);
/// let unsure = Uncertain::above(Uncertainty::Entropy, 0.9);
/// assert_eq!(unsure.weights(&view, 0)?.into_data().try_to_vec::<f32>()?, [0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uncertain {
    measure: Uncertainty,
    level: f64,
}

impl Uncertain {
    /// Where `measure` is above `level`.
    pub fn above(measure: Uncertainty, level: f64) -> Self {
        Self { measure, level }
    }

    fn measured<const D: usize>(&self, prediction: &Prediction<D>) -> Vec<f32> {
        let classes = prediction.classes();
        let probabilities = match classes {
            1 => {
                let p = prediction.probability(0);
                Tensor::cat(vec![p.clone(), p.neg() + 1.0], 1)
            }
            _ => burn::tensor::activation::softmax(prediction.logits(), 1),
        };
        let measured = match self.measure {
            Uncertainty::Entropy => {
                let log = probabilities.clone().clamp_min(f32::MIN_POSITIVE).log();
                (probabilities * log).sum_dim(1) / -(classes.max(2) as f64).ln()
            }
            Uncertainty::Margin => {
                let two = probabilities.topk(2, 1);
                two.clone().narrow(1, 1, 1) - two.narrow(1, 0, 1) + 1.0
            }
            Uncertainty::LeastConfidence => probabilities.max_dim(1).neg() + 1.0,
        };
        cells::values(measured)
    }
}

impl<const D: usize> PixelSet<D> for Uncertain {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let measured = self.measured(prediction);
        Ok(cells::weights(prediction, measured.into_iter().map(|m| f64::from(m) > self.level)))
    }

    fn name(&self) -> String {
        let measure = match self.measure {
            Uncertainty::Entropy => "entropy",
            Uncertainty::Margin => "margin",
            Uncertainty::LeastConfidence => "leastconfidence",
        };
        format!("{measure}:{}", self.level)
    }

    fn why_empty(&self, prediction: &Prediction<D>, _class: usize) -> Option<String> {
        let largest = self.measured(prediction).into_iter().fold(0.0, f32::max);
        Some(format!("the largest value in the image is {largest:.4}"))
    }
}
