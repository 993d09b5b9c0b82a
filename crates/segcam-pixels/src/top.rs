use burn::tensor::{Tensor, activation::log_softmax};
use segcam_core::{CamError, PixelSet, Prediction};

use crate::cells;

/// The k pixels of each image that are most likely the class asked about, predicted so or not.
///
/// The order is that of the class's log-odds, which tells pixels apart whose probability is 1 in
/// single precision. Of equal pixels the first in reading order wins.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Top;
///
/// let logits = Tensor::<4>::from_floats([[[[1.0, 90.0, 80.0]]]], &Device::flex());
/// let view = Prediction::new(logits, [1, 1, 1, 3]);
/// let weights = Top(1).weights(&view, 0)?.into_data().try_to_vec::<f32>()?;
/// assert_eq!(weights, [0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top(
    /// How many.
    pub usize,
);

impl<const D: usize> PixelSet<D> for Top {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        let pixels: usize = prediction.size().iter().product();
        if self.0 > pixels {
            let reason = format!("the image has {pixels} pixels");
            return Err(CamError::PixelSet { set: PixelSet::<D>::name(self), reason });
        }
        let odds = cells::values(log_odds(prediction, class));
        let mut inside = vec![false; odds.len()];
        for (image, odds) in odds.chunks(pixels).enumerate() {
            let mut order: Vec<usize> = (0..pixels).collect();
            let descending = |a: &usize, b: &usize| odds[*b].total_cmp(&odds[*a]).then(a.cmp(b));
            if (1..pixels).contains(&self.0) {
                order.select_nth_unstable_by(self.0 - 1, descending);
            }
            order[..self.0].iter().for_each(|at| inside[image * pixels + at] = true);
        }
        Ok(cells::weights(prediction, inside))
    }

    fn name(&self) -> String {
        format!("top:{}", self.0)
    }

    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        Some("it asks for 0 pixels".into())
    }
}

/// `ln(p / (1 − p))` of the class, `[N, 1, …]`.
fn log_odds<const D: usize>(prediction: &Prediction<D>, class: usize) -> Tensor<D> {
    let (logits, classes) = (prediction.logits(), prediction.classes());
    if classes == 1 {
        return logits;
    }
    let others = (0..classes).filter(|other| *other != class);
    let others: Vec<_> = others.map(|other| logits.clone().narrow(1, other, 1)).collect();
    let others = Tensor::cat(others, 1);
    // log Σ exp = y − log softmax(y), for any of them.
    let sum = others.clone().narrow(1, 0, 1) - log_softmax(others, 1).narrow(1, 0, 1);
    prediction.logit(class) - sum
}
