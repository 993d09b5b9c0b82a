//! What pictures are drawn of, and how.

use segcam::annotations::GroundTruth;
use segcam::render::Colormap;
use segcam::{Fusion, Normalize, Observation};

use crate::network::Model;
use crate::print::Print;
use crate::read::Input;

/// Panels in a row of pixel sets; of more than one row they are small.
pub(crate) const COLUMNS: usize = 6;

/// How maps are shown.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// What of a map.
    pub show: Show,
    /// How figures become files.
    pub print: Print,
    /// How the layers of each method are fused into one more heat map.
    pub fuse: Option<Fusion>,
    /// Whether there are arrays of the signed maps.
    pub raw: bool,
    /// Whether there are arrays of the heat maps.
    pub heat: bool,
    /// Whether there are DICOM objects, and whether these say who the patient is.
    pub dicom: Option<KeepPatient>,
}

/// Whether results name the patient and the study, as an archive needs it to file them with the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepPatient(pub bool);

/// What of a map is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Show {
    /// Evidence for and against the class, in the colours of [`Colormap::BlueOrange`]. The strongest
    /// of either has full colour.
    #[default]
    Signed,
    /// Evidence for the class.
    Positive {
        /// Which value has full colour.
        normalize: Normalize,
        /// The colours.
        colormap: Colormap,
    },
}

impl Show {
    /// The colours.
    pub fn colormap(self) -> Colormap {
        match self {
            Self::Signed => Colormap::BlueOrange,
            Self::Positive { colormap, .. } => colormap,
        }
    }

    /// Which value has full colour.
    pub fn normalize(self) -> Normalize {
        match self {
            Self::Signed => Normalize::MaxAbs,
            Self::Positive { normalize, .. } => normalize,
        }
    }

    /// `signed` or `positive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Positive { .. } => "positive",
        }
    }
}

/// What is drawn, beside its maps.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a, const D: usize> {
    /// What the network looked at.
    pub input: &'a Input<D>,
    /// What it saw.
    pub seen: &'a Observation<D>,
    /// The network.
    pub model: &'a Model,
    /// What it should have seen.
    pub truth: Option<&'a GroundTruth>,
}
