use burn::tensor::Tensor;

use crate::{Ask, CamError, CamMethod, PixelSet};

/// Any method, of the class score summed over a pixel set M.
///
/// The method stays as it is; its score becomes `s = Σ_{p∈M} y^c_p`. [`SegGradCam`] and
/// [`SegHiResGradCam`] are the two with papers of their own.
///
/// Its name is `seg-` and the method's name, but the Seg form of `hires-cam` is called what its
/// paper calls it, `seg-hires-grad-cam`.
///
/// [`SegGradCam`]: crate::SegGradCam
/// [`SegHiResGradCam`]: crate::SegHiResGradCam
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, LayerCam, PredictedClass, Seg};
///
/// let method = Seg::of(LayerCam, PredictedClass);
/// assert_eq!(CamMethod::<4>::name(&method), "seg-layer-cam");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seg<M, P> {
    method: M,
    pixels: P,
}

impl<M, P> Seg<M, P> {
    /// `method` restricted to the pixel set `pixels`.
    pub fn of(method: M, pixels: P) -> Self {
        Self { method, pixels }
    }
}

impl<M: CamMethod<D>, P: PixelSet<D>, const D: usize> CamMethod<D> for Seg<M, P> {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        self.method.combine(activations, gradients)
    }

    fn weights(&self, ask: &Ask<D>) -> Option<Result<Tensor<D>, CamError>> {
        self.method.weights(ask)
    }

    fn pixels(&self) -> &dyn PixelSet<D> {
        &self.pixels
    }

    fn name(&self) -> String {
        match self.method.name().as_str() {
            "hires-cam" => "seg-hires-grad-cam".into(),
            name => format!("seg-{name}"),
        }
    }
}
