use burn::tensor::Tensor;

use crate::{CamMethod, HiResCam, PixelSet};

/// Seg-HiRes-Grad-CAM: [`HiResCam`] of the class score summed over a pixel set M.
///
/// `L(u) = Σ_k ∂s/∂A_k(u) · A_k(u)` with `s = Σ_{p∈M} y^c_p`.
///
/// Rheude et al., "Leveraging CAM Algorithms for Explaining Medical Semantic Segmentation",
/// MELBA 2024:023, [arXiv 2409.20287](https://arxiv.org/abs/2409.20287).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, PredictedClass, SegHiResGradCam};
///
/// let method = SegHiResGradCam::new(PredictedClass);
/// assert_eq!(CamMethod::<4>::name(&method), "seg-hires-grad-cam");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegHiResGradCam<P> {
    pixels: P,
}

impl<P> SegHiResGradCam<P> {
    /// Restricted to the pixel set `pixels`.
    pub fn new(pixels: P) -> Self {
        Self { pixels }
    }
}

impl<P: PixelSet<D>, const D: usize> CamMethod<D> for SegHiResGradCam<P> {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        HiResCam.combine(activations, gradients)
    }

    fn pixels(&self) -> &dyn PixelSet<D> {
        &self.pixels
    }

    fn name(&self) -> String {
        "seg-hires-grad-cam".into()
    }
}
