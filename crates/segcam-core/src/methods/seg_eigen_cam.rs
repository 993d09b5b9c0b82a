use burn::tensor::Tensor;

use super::principal::principal_component;
use crate::CamMethod;

/// Two ends of a map that differ by less than this share are equally far: rounding.
const ROUNDING: f32 = 1e-5;

/// Seg-Eigen-CAM: [`EigenCam`](crate::EigenCam) of activations times the absolute values of their
/// gradients.
///
/// `L(u) = ±Σ_k v_k · (B_k(u) − B̄_k)` with `B_k(u) = |∂s/∂A_k(u)| · A_k(u)`, `B̄_k` its mean over the
/// layer, `v` the unit vector along which `B` varies most, and `s` the class score.
///
/// The sign is the paper's: the cell farthest from 0 is positive. Where the map reaches equally far
/// to both sides, `Σ_k v_k ≥ 0`; pytorch-grad-cam leaves that to its solver, and otherwise agrees.
/// Where nothing varies, the map is zero.
///
/// Positive cells stand out to the score, be it for the class or against it: absolute values do not
/// tell, and a layer where a few cells matter less than all others shows those few. The map that
/// tells is [`EigenGradCam`](crate::EigenGradCam)'s, which keeps the gradients' sign.
///
/// Chung and Ying, "Seg-Eigen-CAM: Eigen-Value-Based Visual Explanations for Semantic Segmentation
/// Models", Applied Sciences 15(13), 7562, 2025,
/// [doi 10.3390/app15137562](https://doi.org/10.3390/app15137562), equations 10 to 13 as
/// pytorch-grad-cam has them.
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, SegEigenCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0, 6.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[0.0, -3.0, 0.0]]]], &device);
/// let map = SegEigenCam.combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [-2.0, 4.0, -2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegEigenCam;

impl<const D: usize> CamMethod<D> for SegEigenCam {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        let product = activations * gradients.abs();
        let mut each = [1; D];
        each[1] = product.dims()[1];
        let ones = Tensor::ones(each, &product.device());
        let map = principal_component(product, ones);

        let dims = map.dims();
        let cells: Tensor<2> = map.reshape([dims[0] as i32, -1]);
        let (up, down) = (cells.clone().max_dim(1), cells.clone().min_dim(1).neg());
        let wrong = down.greater(up * (1.0 + ROUNDING)).float();
        (cells * (wrong * -2.0 + 1.0)).reshape(dims)
    }

    fn name(&self) -> String {
        "seg-eigen-cam".into()
    }
}
