//! Options that say how maps are made, shown and saved.

use anyhow::{Result, bail};
use clap::ValueEnum;
use segcam::render::Colormap;
use segcam::{Fusion, Normalize, Smoothing, UnknownName};
use segcam_cli::explain::How;
use segcam_cli::network::Model;
use segcam_cli::scene::{KeepPatient, Show, Style};

use super::PrintArgs;

/// How maps are made.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MapArgs {
    /// Say how much of the score comes through each layer, and how much of each map lies where
    /// influence is impossible
    #[arg(long)]
    pub(crate) certify: bool,

    /// Average maps over changed inputs: noise:SAMPLES,SIGMA or flips or scales:S,S,…
    #[arg(long, value_name = "HOW", value_parser = smoothing)]
    pub(crate) smooth: Option<Smoothing>,
}

impl MapArgs {
    pub(crate) fn how(&self) -> How {
        How { certify: self.certify, smooth: self.smooth.clone() }
    }
}

/// How maps are shown and saved.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DrawArgs {
    /// Fuse the layers of each method into one more heat map: mean (what they say on average), max
    /// (what any says) or product (what all say)
    #[arg(long, value_name = "HOW", value_parser = fusion)]
    pub(crate) fuse: Option<Fusion>,

    /// Also save signed maps, heat maps, predicted labels as .npy (of scans as .nii.gz), or DICOM objects
    #[arg(long, value_name = "WHAT", num_args = 1.., value_delimiter = ',')]
    pub(crate) save: Vec<Save>,

    /// Name the patient and the study in DICOM objects, so that an archive files them with the scan
    #[arg(long)]
    keep_patient: bool,

    /// Draw evidence for and against the class in two hues; the strongest of either has full colour
    /// (default)
    #[arg(long, conflicts_with_all = ["positive", "normalize"])]
    signed: bool,

    /// Draw evidence for the class only, beside the strongest for or against
    #[arg(long)]
    positive: bool,

    /// Draw evidence for the class only, and scale it: max-abs (divide by the largest absolute value,
    /// as --positive), max (by the largest value, as papers do), min-max (stretch from smallest to
    /// largest, as pytorch-grad-cam) or none (keep the map's unit)
    #[arg(long, value_name = "HOW", value_parser = normalize)]
    normalize: Option<Normalize>,

    #[command(flatten)]
    pub(crate) print: PrintArgs,

    /// Colours of evidence for the class only: inferno, viridis, magma, turbo or jet
    #[arg(long, value_name = "NAME", conflicts_with = "signed")]
    colormap: Option<Colormap>,
}

impl DrawArgs {
    pub(crate) fn saves(&self, what: Save) -> bool {
        self.save.contains(&what)
    }

    /// The same for pictures of this input and network.
    pub(crate) fn style(&self, input: &str, model: &Model) -> Result<Style> {
        let one_sided = self.colormap.filter(|colormap| !colormap.is_diverging());
        let show = if self.positive || self.normalize.is_some() || one_sided.is_some() {
            if let (Some(both), None) = (self.colormap, one_sided) {
                bail!("{both} has colours for and against: drop it, or --positive and --normalize");
            }
            let colormap = one_sided.unwrap_or_default();
            Show::Positive { normalize: self.normalize.unwrap_or_default(), colormap }
        } else {
            Show::Signed
        };
        let dicom = self.saves(Save::Dicom).then_some(KeepPatient(self.keep_patient));
        if self.keep_patient && dicom.is_none() {
            bail!("--keep-patient is for DICOM objects: add --save dicom");
        }
        let (raw, heat) = (self.saves(Save::Raw), self.saves(Save::Heat));
        Ok(Style { show, print: self.print.print(input, model), fuse: self.fuse, raw, heat, dicom })
    }
}

fn fusion(text: &str) -> Result<Fusion, UnknownName> {
    UnknownName::find("fusion", text, &[Fusion::Mean, Fusion::Max, Fusion::Product])
}

fn normalize(text: &str) -> Result<Normalize, UnknownName> {
    UnknownName::find(
        "scale",
        text,
        &[Normalize::MaxAbs, Normalize::Max, Normalize::MinMax, Normalize::None],
    )
}

/// Over which changed inputs maps are averaged.
fn smoothing(text: &str) -> Result<Smoothing, String> {
    const WANTED: &str = "give noise:25,0.1 (samples from 1 to 10000, standard deviation as a part of \
                          the input's range) or flips or scales:0.75,1,1.25 (above 0, at most 16)";
    let (kind, numbers) = text.split_once(':').unwrap_or((text, ""));
    let numbers = numbers.split(',').filter(|number| !number.is_empty());
    let numbers: Vec<f64> =
        numbers.map(|n| n.trim().parse().map_err(|_| WANTED)).collect::<Result<_, _>>()?;
    let positive = |most: f64| move |number: &f64| *number > 0.0 && *number <= most;
    match (kind, &numbers[..]) {
        ("noise", [samples, sigma])
            if samples.fract() == 0.0
                && (1.0..=1e4).contains(samples)
                && positive(f64::MAX)(sigma) =>
        {
            Ok(Smoothing::noise(*samples as usize, *sigma, 0))
        }
        ("flips", []) => Ok(Smoothing::flips()),
        ("scales", [_, ..]) if numbers.iter().all(positive(16.0)) => Ok(Smoothing::scales(numbers)),
        _ => Err(WANTED.into()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Save {
    /// `<method>.<layer>.raw.npy`: float32 [N,1,h,w], signed, at layer resolution
    Raw,
    /// `<method>.<layer>.heat.npy`: float32 [N,1,H,W], what is drawn, on the image's own pixels
    Heat,
    /// `prediction.npy`: int32 [N,1,H,W], the predicted class of each pixel (binary networks: 1 or 0)
    Prediction,
    /// `<method>.<layer>.dcm`: a Parametric Map, and `….0001.dcm` … pictures in colour; of DICOM scans
    Dicom,
}
