use crate::{HiResCam, Seg};

/// Seg-HiRes-Grad-CAM: [`HiResCam`] of the class score summed over a pixel set M.
///
/// `L(u) = Σ_k ∂s/∂A_k(u) · A_k(u)` with `s = Σ_{p∈M} y^c_p`.
///
/// Rheude et al., "Leveraging CAM Algorithms for Explaining Medical Semantic Segmentation",
/// MELBA 2024:023, [arXiv 2409.20287](https://arxiv.org/abs/2409.20287).
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
/// assert_eq!(map.method(), "seg-hires-grad-cam");
/// # Ok(())
/// # }
/// ```
pub type SegHiResGradCam<P> = Seg<HiResCam, P>;

impl<P> Seg<HiResCam, P> {
    /// Restricted to the pixel set `pixels`.
    pub fn new(pixels: P) -> Self {
        Self::of(HiResCam, pixels)
    }
}
