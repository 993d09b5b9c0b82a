use burn::tensor::Tensor;

use crate::CamMethod;

/// HiResCAM: every activation times its own gradient, nothing averaged.
///
/// `L(u) = Σ_k ∂s/∂A_k(u) · A_k(u)` with `s` the class score summed over the whole image.
///
/// Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
/// neural networks", 2020, [arXiv 2011.08891](https://arxiv.org/abs/2011.08891).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, HiResCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[0.0, 4.0]]]], &device);
/// let map = HiResCam.combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [0.0, 8.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HiResCam;

impl<const D: usize> CamMethod<D> for HiResCam {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        (gradients * activations).sum_dim(1)
    }

    fn is_local(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        "hires-cam".into()
    }
}
