use burn::tensor::Tensor;

use super::{ratio, space};
use crate::CamMethod;

/// XGrad-CAM: gradients averaged with the activations as weights.
///
/// `L(u) = Σ_k w_k · A_k(u)` with `w_k = Σ_v ∂s/∂A_k(v) · A_k(v) / Σ_v A_k(v)` over the cells of the
/// layer, and `s` the class score summed over the whole image. Over all cells it adds up to what
/// [`HiResCam`](crate::HiResCam) adds up to.
///
/// A channel whose activations add up to 0 has weight 0. pytorch-grad-cam adds 1e-7 to that sum
/// instead, which shrinks the map of a layer with tiny activations; otherwise the two agree.
///
/// Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC
/// 2020, [arXiv 2008.02312](https://arxiv.org/abs/2008.02312).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, XGradCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 3.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[0.0, 4.0]]]], &device);
/// let map = XGradCam.combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [3.0, 9.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct XGradCam;

impl<const D: usize> CamMethod<D> for XGradCam {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        let total = activations.clone().sum_dims(&space::<D>());
        let share = (gradients * activations.clone()).sum_dims(&space::<D>());
        (ratio(share, total) * activations).sum_dim(1)
    }

    fn name(&self) -> String {
        "xgrad-cam".into()
    }
}
