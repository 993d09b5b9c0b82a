use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use segcam::{
    AblationCam, CamMethod, EigenCam, EigenGradCam, GradCam, GradCamPlusPlus, HiResCam, LayerCam,
    PixelSet, ScoreCam, Seg, UnknownName, XGradCam, XResCam,
};

/// A pixel set that several methods share.
pub(crate) type SharedSet<const D: usize> = Arc<dyn PixelSet<D> + Send + Sync>;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grad,
    HiRes,
    XRes(usize),
    GradPlusPlus,
    XGrad,
    Layer,
    Eigen,
    EigenGrad,
    Score,
    Ablation,
}

/// A CAM method by name: over the whole image, or over a pixel set (`seg-…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodName {
    kind: Kind,
    seg: bool,
}

impl MethodName {
    pub(crate) const SEG_GRAD: Self = Self { kind: Kind::Grad, seg: true };
    pub(crate) const SEG_HIRES: Self = Self { kind: Kind::HiRes, seg: true };

    /// Every method over the whole image; of those with a window an example.
    pub(crate) const WHOLE: [Self; 10] = [
        Self { kind: Kind::Grad, seg: false },
        Self { kind: Kind::HiRes, seg: false },
        Self { kind: Kind::XRes(4), seg: false },
        Self { kind: Kind::GradPlusPlus, seg: false },
        Self { kind: Kind::XGrad, seg: false },
        Self { kind: Kind::Layer, seg: false },
        Self { kind: Kind::Eigen, seg: false },
        Self { kind: Kind::EigenGrad, seg: false },
        Self { kind: Kind::Score, seg: false },
        Self { kind: Kind::Ablation, seg: false },
    ];

    /// The same over a pixel set.
    pub(crate) fn seg(self) -> Self {
        Self { seg: true, ..self }
    }

    /// The method; the `seg-` ones explain `pixels`.
    pub(crate) fn with<const D: usize>(self, pixels: &SharedSet<D>) -> Box<dyn CamMethod<D>> {
        fn boxed<M: CamMethod<D> + 'static, const D: usize>(
            method: M,
            pixels: Option<&SharedSet<D>>,
        ) -> Box<dyn CamMethod<D>> {
            match pixels {
                Some(pixels) => Box::new(Seg::of(method, pixels.clone())),
                None => Box::new(method),
            }
        }
        let pixels = self.seg.then_some(pixels);
        match self.kind {
            Kind::Grad => boxed(GradCam, pixels),
            Kind::HiRes => boxed(HiResCam, pixels),
            Kind::XRes(window) => boxed(XResCam::new(window), pixels),
            Kind::GradPlusPlus => boxed(GradCamPlusPlus, pixels),
            Kind::XGrad => boxed(XGradCam, pixels),
            Kind::Layer => boxed(LayerCam, pixels),
            Kind::Eigen => boxed(EigenCam, pixels),
            Kind::EigenGrad => boxed(EigenGradCam, pixels),
            Kind::Score => boxed(ScoreCam, pixels),
            Kind::Ablation => boxed(AblationCam, pixels),
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self.kind {
            Kind::Grad => "activations weighted by mean gradients",
            Kind::HiRes => "activations times gradients",
            Kind::XRes(_) => "activations times gradients averaged over windows of N×N cells",
            Kind::GradPlusPlus => "as grad-cam, positive gradients weighted by their curvature",
            Kind::XGrad => "as grad-cam, gradients weighted by the activations' share",
            Kind::Layer => "activations times positive gradients",
            Kind::Eigen => "first principal component of the activations; no class",
            Kind::EigenGrad => "first principal component of activations times gradients",
            Kind::Score => "activations weighted by the score of the image they mask; slow",
            Kind::Ablation => "activations weighted by what the score loses without them; slow",
        }
    }

    /// The papers of the method over the whole image and over a pixel set.
    pub(crate) fn papers(self) -> &'static str {
        match self.kind {
            Kind::Grad => "1610.02391, 2002.11434",
            Kind::HiRes => "2011.08891, 2409.20287",
            Kind::XRes(_) => "Hasany et al., CVPRW 2023",
            Kind::GradPlusPlus => "1710.11063",
            Kind::XGrad => "2008.02312",
            Kind::Layer => "Jiang et al., TIP 2021",
            Kind::Eigen | Kind::EigenGrad => "2008.00299",
            Kind::Score => "1910.01279",
            Kind::Ablation => "Desai and Ramaswamy, WACV 2020",
        }
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: SharedSet<4> = Arc::new(segcam::AllPixels);
        f.write_str(&self.with(&all).name())
    }
}

impl FromStr for MethodName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known: Vec<Self> = Self::WHOLE.into_iter().chain(Self::WHOLE.map(Self::seg)).collect();
        // A window of any size.
        if let Some((method, window)) = name.split_once(':')
            && let Ok(window @ 1..) = window.parse()
            && let Some(seg) = ["xres-cam", "seg-xres-cam"].iter().position(|name| *name == method)
        {
            return Ok(Self { kind: Kind::XRes(window), seg: seg == 1 });
        }
        UnknownName::find("method", name, &known)
    }
}
