use segcam_core::burn::tensor::{Tensor, TensorData};
use segcam_core::{CamError, Prediction};

/// A number for every pixel of one image or volume, 0 for none. Many pixel sets share it.
#[derive(Debug, PartialEq)]
pub(crate) struct LabelImage {
    pub(crate) labels: Vec<u32>,
    pub(crate) weights: Vec<f32>,
    /// `[H, W]` or `[D, H, W]`.
    pub(crate) size: Vec<usize>,
}

impl LabelImage {
    /// The weights of the pixels whose number is `inside`, `[1, 1, …]`; 0 elsewhere. Number 0 never
    /// is.
    pub(crate) fn weights_where<const D: usize>(
        &self,
        what: &'static str,
        inside: impl Fn(u32) -> bool,
        view: &Prediction<D>,
    ) -> Result<Tensor<D>, CamError> {
        let (wanted, given) = (view.shape().to_vec(), [&[1, 1], &self.size[..]].concat());
        if wanted != given {
            return Err(CamError::ShapeMismatch { what, wanted, given });
        }
        let pixels = self.labels.iter().zip(&self.weights);
        let weight = |(&label, &weight)| if label != 0 && inside(label) { weight } else { 0.0 };
        let weights: Vec<f32> = pixels.map(weight).collect();
        Ok(Tensor::from_data(TensorData::new(weights, given), &view.device()))
    }
}
