use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

/// Weights given by the caller: an annotation, a drawing, another network's output.
///
/// # Example
/// ```
/// use segcam_core::{SegGradCam, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Mask;
///
/// let drawn = Tensor::<4>::ones([1, 1, 64, 64], &Device::flex());
/// let method = SegGradCam::new(Mask::new(drawn).named("tumour"));
/// ```
#[derive(Debug, Clone)]
pub struct Mask<const D: usize = 4> {
    weights: Tensor<D>,
    name: String,
}

impl<const D: usize> Mask<D> {
    /// `weights` are `[N, 1, …]` at the size of the network's output: 1 inside, 0 outside.
    pub fn new(weights: Tensor<D>) -> Self {
        Self { weights, name: "mask".into() }
    }

    /// The name it has in reports.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }
}

impl<const D: usize> PixelSet<D> for Mask<D> {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let (wanted, given) = (prediction.shape(), self.weights.dims());
        if wanted == given {
            return Ok(self.weights.clone().to_device(&prediction.device()));
        }
        let (wanted, given) = (wanted.to_vec(), given.to_vec());
        Err(CamError::ShapeMismatch { what: "the mask", wanted, given })
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        Some("the mask is zero everywhere".into())
    }
}
