use burn::tensor::Tensor;

use super::principal::principal_component;
use crate::CamMethod;

/// Eigen-Grad-CAM: [`EigenCam`](crate::EigenCam) of activations times gradients.
///
/// `L(u) = Σ_k v_k · (B_k(u) − B̄_k)` with `B_k(u) = ∂s/∂A_k(u) · A_k(u)`, `B̄_k` its mean over the
/// layer, `v` the unit vector along which `B` varies most, and `s` the class score summed over the
/// whole image.
///
/// The direction of `v` is free: here `Σ_k v_k ≥ 0`, which makes the map rise and fall with
/// [`HiResCam`](crate::HiResCam)'s, so that positive cells speak for the class. pytorch-grad-cam
/// leaves the direction to its solver. Where nothing varies, the map is zero.
///
/// There is no paper: it comes from
/// [pytorch-grad-cam](https://github.com/jacobgil/pytorch-grad-cam), after Eigen-CAM,
/// [arXiv 2008.00299](https://arxiv.org/abs/2008.00299).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, EigenGradCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0, 6.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[0.0, 3.0, 0.0]]]], &device);
/// let map = EigenGradCam.combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [-2.0, 4.0, -2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EigenGradCam;

impl<const D: usize> CamMethod<D> for EigenGradCam {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        let product = activations * gradients;
        let mut each = [1; D];
        each[1] = product.dims()[1];
        let ones = Tensor::ones(each, &product.device());
        principal_component(product, ones)
    }

    fn name(&self) -> String {
        "eigen-grad-cam".into()
    }
}
