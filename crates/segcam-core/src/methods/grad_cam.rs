use burn::tensor::Tensor;

use crate::CamMethod;

/// Grad-CAM: activations weighted by their channel's mean gradient.
///
/// `L(u) = Σ_k ḡ_k · A_k(u)` with `ḡ_k = (1/N) Σ_u ∂s/∂A_k(u)` over the N cells of the layer, and
/// `s` the class score summed over the whole image.
///
/// Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
/// Localization", ICCV 2017, [arXiv 1610.02391](https://arxiv.org/abs/1610.02391).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, GradCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[0.0, 4.0]]]], &device);
/// let map = GradCam.combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [2.0, 4.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GradCam;

impl<const D: usize> CamMethod<D> for GradCam {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        let space: Vec<usize> = (2..D).collect();
        (gradients.mean_dims(&space) * activations).sum_dim(1)
    }

    fn averages_gradients(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        "grad-cam".into()
    }
}
