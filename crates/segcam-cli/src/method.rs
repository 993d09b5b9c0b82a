use std::fmt;
use std::str::FromStr;

use segcam::pixels::PixelSpec;
use segcam::{CamMethod, GradCam, HiResCam, SegGradCam, SegHiResGradCam, UnknownName};

/// The CAM methods by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MethodName {
    Grad,
    HiRes,
    SegGrad,
    SegHiRes,
}

impl MethodName {
    pub(crate) const ALL: [Self; 4] = [Self::Grad, Self::HiRes, Self::SegGrad, Self::SegHiRes];

    pub(crate) fn with<const D: usize>(self, pixels: &PixelSpec) -> Box<dyn CamMethod<D>> {
        match self {
            Self::Grad => Box::new(GradCam),
            Self::HiRes => Box::new(HiResCam),
            Self::SegGrad => Box::new(SegGradCam::new(pixels.clone())),
            Self::SegHiRes => Box::new(SegHiResGradCam::new(pixels.clone())),
        }
    }

    /// The pixels it explains when asked about `pixels`.
    pub(crate) fn explains(self, pixels: &PixelSpec) -> PixelSpec {
        match self {
            Self::Grad | Self::HiRes => PixelSpec::All,
            Self::SegGrad | Self::SegHiRes => pixels.clone(),
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Grad => "activations weighted by mean gradients, whole image",
            Self::HiRes => "activations times gradients, whole image",
            Self::SegGrad => "activations weighted by mean gradients, pixel set",
            Self::SegHiRes => "activations times gradients, pixel set",
        }
    }

    pub(crate) fn paper(self) -> &'static str {
        match self {
            Self::Grad => "arXiv 1610.02391",
            Self::HiRes => "arXiv 2011.08891",
            Self::SegGrad => "arXiv 2002.11434",
            Self::SegHiRes => "arXiv 2409.20287",
        }
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with::<4>(&PixelSpec::All).name())
    }
}

impl FromStr for MethodName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("method", name, &Self::ALL)
    }
}
