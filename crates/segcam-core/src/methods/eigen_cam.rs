use burn::tensor::Tensor;

use super::{principal::principal_component, space};
use crate::{CamMethod, Uses};

/// Eigen-CAM: activations projected on their first principal component.
///
/// `L(u) = Σ_k v_k · (A_k(u) − Ā_k)` with `Ā_k` the channel's mean over the layer and `v` the unit
/// vector along which the cells vary most: the first right singular vector of the cells × channels
/// matrix of `A_k(u) − Ā_k`. Neither the class nor the pixel set has a say.
///
/// The direction of `v` is free: here it points with the mean activation, `Σ_k v_k · Ā_k ≥ 0`. The
/// paper takes the activations as they are; centred like this, as in pytorch-grad-cam, cells above
/// and below the mean differ in sign. pytorch-grad-cam leaves the direction to its solver.
/// Activations that do not vary give a zero map.
///
/// Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020,
/// [arXiv 2008.00299](https://arxiv.org/abs/2008.00299).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, EigenCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0, 6.0]], [[0.0, 0.0, 0.0]]]], &device);
/// let map = EigenCam.combine(a.clone(), a).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [-2.0, -1.0, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EigenCam;

impl<const D: usize> CamMethod<D> for EigenCam {
    fn combine(&self, activations: Tensor<D>, _: Tensor<D>) -> Tensor<D> {
        let mean = activations.clone().mean_dims(&space::<D>());
        principal_component(activations, mean)
    }

    fn uses(&self) -> Uses<'_, D> {
        Uses::Activations
    }

    fn name(&self) -> String {
        "eigen-cam".into()
    }
}
