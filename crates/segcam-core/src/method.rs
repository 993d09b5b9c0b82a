use burn::tensor::Tensor;

use crate::{AllPixels, Ask, CamError, PixelSet};

/// A class activation map: one way to combine the activations and gradients of a layer.
///
/// A new variant is one expression. Here one that leaves out the channels that speak against the
/// class, cell by cell:
///
/// ```
/// use segcam_core::{CamMethod, burn::tensor::Tensor};
///
/// struct SupportCam;
///
/// impl<const D: usize> CamMethod<D> for SupportCam {
///     fn combine(&self, a: Tensor<D>, g: Tensor<D>) -> Tensor<D> {
///         (a * g).clamp_min(0.0).sum_dim(1)
///     }
/// }
/// assert_eq!(CamMethod::<4>::name(&SupportCam), "SupportCam");
/// ```
pub trait CamMethod<const D: usize = 4> {
    /// The raw signed map, before any ReLU or normalisation.
    ///
    /// # Shapes
    /// - `activations`, `gradients`: `[N, C, …]` at layer resolution
    /// - output: `[N, 1, …]` at layer resolution
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D>;

    /// What [`combine`](Self::combine) gets in place of gradients, for methods that ask the network
    /// again instead: weights `[N, C, …]` of the activations, spatial sides may be 1. `None`: the
    /// gradients.
    fn weights(&self, _ask: &Ask<D>) -> Option<Result<Tensor<D>, CamError>> {
        None
    }

    /// The pixels whose score is explained: the whole image unless the method restricts it.
    fn pixels(&self) -> &dyn PixelSet<D> {
        &AllPixels
    }

    /// The method's name in reports and file names. By default the name of its type.
    fn name(&self) -> String {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path).to_string()
    }
}

const _: Option<&dyn CamMethod> = None;

impl<const D: usize, M: CamMethod<D> + ?Sized> CamMethod<D> for &M {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        (**self).combine(activations, gradients)
    }

    fn weights(&self, ask: &Ask<D>) -> Option<Result<Tensor<D>, CamError>> {
        (**self).weights(ask)
    }

    fn pixels(&self) -> &dyn PixelSet<D> {
        (**self).pixels()
    }

    fn name(&self) -> String {
        (**self).name()
    }
}
const _: Option<&dyn PixelSet> = None;
