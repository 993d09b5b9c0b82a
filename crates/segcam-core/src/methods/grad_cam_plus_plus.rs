use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::{ratio, space};
use crate::CamMethod;

/// Grad-CAM++: positive gradients, each with a weight of its own, summed over the layer.
///
/// `L(u) = Σ_k w_k · A_k(u)` with `w_k = Σ_v α_k(v) · ReLU(g_k(v))` and
/// `α_k(v) = g_k(v)² / (2·g_k(v)² + g_k(v)³·Σ_t A_k(t))`, where `g_k = ∂s/∂A_k` and `s` is the class
/// score summed over the whole image. Where `g_k(v)` is 0, or the denominator is, `α_k(v)` is 0.
///
/// It is computed as `α = 1 / (2 + g·Σ A)`, which is the same and does not underflow.
/// pytorch-grad-cam adds 1e-6 to the denominator and torch-cam 1e-8, so that gradients near the root
/// of it (1e-3, 1e-4) lose weight there: maps of small scores differ.
///
/// Not linear in the score: twice the score is not twice the map.
///
/// Chattopadhay et al., "Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep
/// Convolutional Networks", WACV 2018, [arXiv 1710.11063](https://arxiv.org/abs/1710.11063).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, GradCamPlusPlus, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[-1.0, 2.0]]]], &device);
/// let map = GradCamPlusPlus.combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [0.25, 0.5]); // the weight is 2 · 1 / (2 + 2·3)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GradCamPlusPlus;

impl<const D: usize> CamMethod<D> for GradCamPlusPlus {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        let total = activations.clone().sum_dims(&space::<D>());
        let denominator = gradients.clone() * total + 2.0;
        let weights = ratio(relu(gradients), denominator).sum_dims(&space::<D>());
        (weights * activations).sum_dim(1)
    }

    fn name(&self) -> String {
        "grad-cam++".into()
    }
}
