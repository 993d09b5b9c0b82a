use crate::{AllPixels, CamMethod, PixelSet};

/// A method, and the pixel set M whose class score it explains: what [`Observation::explain`] takes
/// beside plain methods.
///
/// The method stays as it is; its score becomes `s = Σ_{p∈M} y^c_p`. [`SegGradCam`] and
/// [`SegHiResGradCam`] are the two with papers of their own.
///
/// [`Observation::explain`]: crate::Observation::explain
/// [`SegGradCam`]: crate::SegGradCam
/// [`SegHiResGradCam`]: crate::SegHiResGradCam
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let map = seen.explain(&Seg::of(LayerCam, PredictedClass), "mid", 1)?;
/// assert_eq!(map.method(), "seg-layer-cam");
/// # Ok(())
/// # }
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

/// A [`CamMethod`] and the pixels that it asks about: of a plain method the whole image, of [`Seg`]
/// its pixel set.
pub trait OnPixels<const D: usize = 4> {
    /// The method.
    fn method(&self) -> &dyn CamMethod<D>;

    /// The pixels whose score is explained.
    fn pixels(&self) -> &dyn PixelSet<D>;
}

impl<M: CamMethod<D>, const D: usize> OnPixels<D> for M {
    fn method(&self) -> &dyn CamMethod<D> {
        self
    }

    fn pixels(&self) -> &dyn PixelSet<D> {
        &AllPixels
    }
}

impl<'a, const D: usize> OnPixels<D> for dyn CamMethod<D> + 'a {
    fn method(&self) -> &dyn CamMethod<D> {
        self
    }

    fn pixels(&self) -> &dyn PixelSet<D> {
        &AllPixels
    }
}

impl<M: CamMethod<D>, P: PixelSet<D>, const D: usize> OnPixels<D> for Seg<M, P> {
    fn method(&self) -> &dyn CamMethod<D> {
        &self.method
    }

    fn pixels(&self) -> &dyn PixelSet<D> {
        &self.pixels
    }
}

/// What a method is called when it explains a pixel set: `seg-` and its name, but the Seg form of
/// `hires-cam` is called what its paper calls it, `seg-hires-grad-cam`.
///
/// # Example
/// ```
/// assert_eq!(segcam_core::seg_name("layer-cam"), "seg-layer-cam");
/// assert_eq!(segcam_core::seg_name("hires-cam"), "seg-hires-grad-cam");
/// ```
pub fn seg_name(method: &str) -> String {
    match method {
        "hires-cam" => "seg-hires-grad-cam".into(),
        name if name.starts_with("seg-") => name.into(),
        name => format!("seg-{name}"),
    }
}
