use crate::{GradCam, Seg};

/// Seg-Grad-CAM: [`GradCam`] of the class score summed over a pixel set M.
///
/// `L(u) = Σ_k ḡ_k · A_k(u)` with `ḡ_k = (1/N) Σ_u ∂s/∂A_k(u)` and `s = Σ_{p∈M} y^c_p`.
///
/// Vinogradova, Dibrov and Myers, "Towards Interpretable Semantic Segmentation via
/// Gradient-weighted Class Activation Mapping", AAAI 2020,
/// [arXiv 2002.11434](https://arxiv.org/abs/2002.11434).
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let map = seen.explain(&SegGradCam::new(PredictedClass), "mid", 1)?;
/// assert_eq!(map.method(), "seg-grad-cam");
/// # Ok(())
/// # }
/// ```
pub type SegGradCam<P> = Seg<GradCam, P>;

impl<P> Seg<GradCam, P> {
    /// Restricted to the pixel set `pixels`.
    pub fn new(pixels: P) -> Self {
        Self::of(GradCam, pixels)
    }
}
