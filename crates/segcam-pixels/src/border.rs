use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::cells;

/// The outermost pixels of the image.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Border;
///
/// let view = Prediction::new(Tensor::zeros([1, 2, 3, 3], &Device::flex()), [1, 1, 3, 3]);
/// let weights = Border(1).weights(&view, 0)?;
/// assert_eq!(weights.sum().into_scalar::<f32>(), 8.0);
/// # Ok::<(), segcam_core::CamError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border(
    /// Width in pixels.
    pub usize,
);

impl<const D: usize> PixelSet<D> for Border {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let size = prediction.size();
        Ok(cells::at_places(prediction, |place| {
            place.iter().zip(&size).any(|(at, side)| *at < self.0 || side - 1 - at < self.0)
        }))
    }

    fn name(&self) -> String {
        format!("border:{}", self.0)
    }

    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        Some("its width is 0".into())
    }
}
