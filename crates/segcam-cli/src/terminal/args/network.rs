//! Options that say which network is asked, how it sees images, and where it computes.

use std::path::PathBuf;

use anyhow::{Result, bail};
use segcam::burn::tensor::Device;
use segcam::models::{Channels, Pretrained};
use segcam::{CamError, DeviceError, Prediction, best_device, device, guarded};
use segcam_cli::network::{Name, Preparation, Source};

use super::windows::WindowArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArg {
    /// Where to compute; see `segcam devices`. `best`: the fastest that this build and machine have
    #[arg(long = "device", value_name = "NAME", default_value = "best")]
    name: String,
}

impl DeviceArg {
    /// The name, if one was given.
    pub(crate) fn name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| *name != "best")
    }

    pub(crate) fn open(&self) -> Result<Device, DeviceError> {
        if self.name == "best" { Ok(best_device()) } else { device(&self.name) }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct NetworkArgs {
    /// Network: a name, see `segcam models`, or an .onnx file [default: nuclei-unet]
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) model: Option<Name>,

    /// Weights of a network with a name: .safetensors, .pth or .pt; nuclei-unet and lesions-meshnet
    /// bring their own
    #[arg(long, value_name = "FILE")]
    pub(super) weights: Option<PathBuf>,

    #[command(flatten)]
    onnx: OnnxArgs,

    #[command(flatten)]
    pub(super) windows: WindowArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

const ONNX: &str = "Options for .onnx files (or in net.toml beside net.onnx)";

/// How an image becomes the input of an ONNX network. A card beside the file, `net.toml` for
/// `net.onnx`, says the same once and for all.
#[derive(Debug, Clone, clap::Args)]
struct OnnxArgs {
    /// Tensor that holds the class scores [default: the first output, before softmax, sigmoid and
    /// argmax]
    #[arg(long, help_heading = ONNX, value_name = "TENSOR")]
    output: Option<String>,

    /// Order of the channels: rgb, bgr or gray [default: gray for one channel, otherwise rgb]
    #[arg(long, help_heading = ONNX, value_name = "ORDER")]
    channels: Option<Channels>,

    /// Factor of pixel values from 0 to 255 [default: 1/255]
    #[arg(long, help_heading = ONNX, value_name = "F", value_parser = scale)]
    scale: Option<f32>,

    /// Mean of each channel after scaling, or one for all [default: 0]
    #[arg(long, help_heading = ONNX, value_name = "M", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Vec<f32>,

    /// Standard deviation of each channel after scaling, or one for all [default: 1]
    #[arg(long, help_heading = ONNX, value_name = "S", value_delimiter = ',')]
    std: Vec<f32>,

    /// Size that images are resized to [default: the size that the file fixes, if it does]
    #[arg(long, help_heading = ONNX, value_name = "HxW", value_parser = size)]
    size: Option<[usize; 2]>,
}

fn scale(text: &str) -> Result<f32, String> {
    let scale = text.parse().ok().filter(|scale: &f32| scale.is_finite() && *scale > 0.0);
    scale.ok_or_else(|| "give a number above 0".into())
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|&side: &usize| (1..=1 << 16).contains(&side));
    let sides =
        text.split_once('x').and_then(|(rows, columns)| Some([side(rows)?, side(columns)?]));
    sides.ok_or_else(|| "give rows x columns: 512x1024".into())
}

impl NetworkArgs {
    pub(crate) fn source(&self) -> Result<Source> {
        let OnnxArgs { output, channels, scale, mean, std, size } = self.onnx.clone();
        let onnx = Preparation { output, channels, scale, mean, std, size };
        let name = self.model.clone().unwrap_or(Name::Known(Pretrained::NucleiUNet));
        let given = onnx.output.as_ref().map(|_| "--output").or(onnx.image_option());
        match (&name, given) {
            (Name::Known(known), Some(option)) => {
                bail!("{option} is for .onnx files: {known} has its own")
            }
            (Name::Onnx(_), _) if self.weights.is_some() => {
                bail!("an .onnx file brings its weights: drop --weights")
            }
            _ => {}
        }
        Ok(Source { name, weights: self.weights.clone(), onnx, windows: self.windows.recipe() })
    }

    /// Which network was taken without a word.
    pub(crate) fn taken(&self) -> Option<&'static str> {
        self.model.is_none().then_some(
            "no --model: taken was nuclei-unet, which knows fluorescence images of cell nuclei",
        )
    }

    /// The same, and how sure it is of what it sees.
    pub(crate) fn default_note<const D: usize>(
        &self,
        prediction: &Prediction<D>,
    ) -> Result<Option<String>, CamError> {
        let Some(taken) = self.taken() else { return Ok(None) };
        let sure = guarded(|| Ok::<_, CamError>(prediction.confidence()))?;
        let sure: Vec<String> = sure.iter().map(|sure| format!("{sure:.2}")).collect();
        let sure = sure.join(", ");
        Ok(Some(format!("{taken}; the mean probability of what it predicts is {sure}")))
    }
}
