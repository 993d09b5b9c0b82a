use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::CamMethod;

/// LayerCAM: every activation times its own gradient where that is positive.
///
/// `L(u) = Σ_k ReLU(∂s/∂A_k(u)) · A_k(u)` with `s` the class score summed over the whole image.
///
/// Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
/// Transactions on Image Processing 30, 2021,
/// [doi 10.1109/TIP.2021.3089943](https://doi.org/10.1109/TIP.2021.3089943).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, LayerCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[-3.0, 4.0]]]], &device);
/// let map = LayerCam.combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [0.0, 8.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerCam;

impl<const D: usize> CamMethod<D> for LayerCam {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        (relu(gradients) * activations).sum_dim(1)
    }

    fn is_local(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        "layer-cam".into()
    }
}
