use crate::{HiResCam, Seg};

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
pub type SegHiResGradCam<P> = Seg<HiResCam, P>;

impl<P> Seg<HiResCam, P> {
    /// Restricted to the pixel set `pixels`.
    pub fn new(pixels: P) -> Self {
        Self::of(HiResCam, pixels)
    }
}
