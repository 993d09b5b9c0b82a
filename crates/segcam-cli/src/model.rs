//! A network by name, or from an ONNX file: what it is called, its classes, layers and images.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use image::DynamicImage;
use segcam::burn::tensor::Device;
use segcam::models::{Card, Channels, Network, Prepared, Pretrained, Recipe};
use segcam::onnx::{OnnxFile, OnnxModel, auto_layers, find_layer};
use segcam::{Explainer, Layer, UnknownName};
use serde::Serialize;

use crate::args::DeviceArg;

/// What `--model` says.
#[derive(Debug, Clone)]
pub(crate) enum ModelName {
    Known(Pretrained),
    Onnx(PathBuf),
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            return Ok(Self::Onnx(path.to_path_buf()));
        }
        let known = text.parse().map(Self::Known);
        known.map_err(|error: UnknownName| format!("{error}, or an .onnx file"))
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known) => known.fmt(f),
            Self::Onnx(path) => path.display().fmt(f),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Network: a name, see `segcam models`, or an .onnx file
    #[arg(long, value_name = "NAME|FILE", default_value = "nuclei-unet")]
    pub(crate) model: ModelName,

    /// Weights of a network with a name: .safetensors, .pth or .pt; nuclei-unet brings its own
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

const ONNX: &str = "Options for .onnx files (or in net.toml beside net.onnx)";

/// How an image becomes the input of an ONNX network. A card beside the file, `net.toml` for
/// `net.onnx`, says the same once and for all.
#[derive(Debug, Serialize, clap::Args)]
pub(crate) struct OnnxArgs {
    /// Tensor that holds the class scores [default: the first output, before softmax, sigmoid and
    /// argmax]
    #[arg(long, help_heading = ONNX, value_name = "TENSOR")]
    output: Option<String>,

    /// Order of the channels: rgb, bgr or gray [default: gray for one channel, otherwise rgb]
    #[arg(long, help_heading = ONNX, value_name = "ORDER", value_parser = channels)]
    channels: Option<Channels>,

    /// Factor of pixel values from 0 to 255 [default: 1/255]
    #[arg(long, help_heading = ONNX, value_name = "F")]
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

fn channels(text: &str) -> Result<Channels, UnknownName> {
    match text {
        "rgb" => Ok(Channels::Rgb),
        "bgr" => Ok(Channels::Bgr),
        "gray" => Ok(Channels::Gray),
        other => Err(UnknownName::new("order of channels", other, ["rgb", "bgr", "gray"])),
    }
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|&side: &usize| (1..=1 << 16).contains(&side));
    let sides =
        text.split_once('x').and_then(|(rows, columns)| Some([side(rows)?, side(columns)?]));
    sides.ok_or_else(|| "give rows x columns: 512x1024".into())
}

impl OnnxArgs {
    /// The option that was given although no .onnx file was.
    fn given(&self) -> Option<&'static str> {
        let given = [
            (self.output.is_some(), "--output"),
            (self.channels.is_some(), "--channels"),
            (self.scale.is_some(), "--scale"),
            (!self.mean.is_empty(), "--mean"),
            (!self.std.is_empty(), "--std"),
            (self.size.is_some(), "--size"),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
    }

    fn change(&self, recipe: &mut Recipe) {
        recipe.channels = self.channels.or(recipe.channels);
        recipe.scale = self.scale.unwrap_or(recipe.scale);
        recipe.size = self.size.or(recipe.size);
        if !self.mean.is_empty() {
            recipe.mean.clone_from(&self.mean);
        }
        if !self.std.is_empty() {
            recipe.std.clone_from(&self.std);
        }
    }
}

/// What the program knows of a network beside its weights.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) weights: String,
    pub(crate) classes: Vec<String>,
    /// What the user should know about how the file was understood.
    pub(crate) notes: Vec<String>,
    kind: Kind,
}

enum Kind {
    Known(Pretrained),
    Onnx { card: Box<Card>, operators: Vec<(String, String)>, input: Vec<usize> },
}

impl ModelArgs {
    /// The network with its weights.
    pub(crate) fn open(&self, device: &Device) -> Result<(Model, Network)> {
        match &self.model {
            ModelName::Known(known) => {
                let network = known.load(self.weights.as_deref(), device)?;
                Ok((self.known(*known)?, network))
            }
            ModelName::Onnx(path) => {
                ensure!(self.weights.is_none(), "an .onnx file brings its weights: drop --weights");
                let name = || format!("cannot use {}", path.display());
                self.onnx(path, device).with_context(name)
            }
        }
    }

    /// The same with random weights if there are none: names and shapes need none, but a file may
    /// set the channels.
    pub(crate) fn open_to_look(&self, device: &Device) -> Result<(Model, Network)> {
        match &self.model {
            ModelName::Known(known) if self.weights.is_none() => {
                Ok((self.known(*known)?, known.untrained(device)))
            }
            _ => self.open(device),
        }
    }

    fn known(&self, known: Pretrained) -> Result<Model> {
        if let Some(option) = self.onnx.given() {
            bail!("{option} is for .onnx files: {known} has its own");
        }
        let weights = self.weights.as_ref().map(|path| path.display().to_string());
        Ok(Model { weights: weights.unwrap_or_else(|| "embedded".into()), ..Model::known(known) })
    }

    fn onnx(&self, path: &Path, device: &Device) -> Result<(Model, Network)> {
        let mut file = OnnxFile::open(path)?;
        if let Some(output) = &self.onnx.output {
            file = file.with_output(output)?;
        }
        let beside = path.with_extension("toml");
        let has_card = beside.is_file();
        let mut card = if has_card {
            Card::open(&beside).with_context(|| format!("in {}", beside.display()))?
        } else {
            Card::default()
        };
        let mut notes = vec![];
        if let Some(last) = file.skipped().first() {
            notes.push(format!("class scores: `{}`, before {last}", file.scores()));
        }
        if !has_card && self.onnx.mean.is_empty() && self.onnx.scale.is_none() && file.rank() == 4 {
            notes.push(format!(
                "images are divided by 255: say otherwise with --mean, --std, --scale or in {}",
                beside.display()
            ));
        }
        self.onnx.change(&mut card.input);
        let channels = file.channels();
        if card.input.channels.is_none() && channels == Some(1) {
            card.input.channels = Some(Channels::Gray);
        }
        if let (None, &[Some(height), Some(width)]) = (card.input.size, file.size()) {
            card.input.size = Some([height, width]);
        }
        let open = if file.rank() == 4 { 64 } else { 32 };
        let sides = file.size().iter().map(|side| side.unwrap_or(open));
        let input = [1, channels.unwrap_or(3)].into_iter().chain(sides).collect();
        fn operators<const D: usize>(model: &OnnxModel<D>) -> Vec<(String, String)> {
            model.operators().map(|(a, b)| (a.to_string(), b.to_string())).collect()
        }
        let (operators, network) = if file.rank() == 4 {
            let model = file.load::<4>(device)?;
            (operators(&model), Network::Image(Explainer::new(model)))
        } else {
            let model = file.load::<5>(device)?;
            (operators(&model), Network::Volume(Explainer::new(model)))
        };
        let model = Model {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            weights: path.display().to_string(),
            classes: card.classes.clone(),
            notes,
            kind: Kind::Onnx { card: Box::new(card), operators, input },
        };
        Ok((model, network))
    }
}

impl Model {
    pub(crate) fn known(known: Pretrained) -> Self {
        Self {
            name: known.to_string(),
            weights: "embedded".into(),
            classes: known.class_names().iter().map(ToString::to_string).collect(),
            notes: vec![],
            kind: Kind::Known(known),
        }
    }

    /// The image as the network wants it.
    pub(crate) fn prepare(&self, image: &DynamicImage, device: &Device) -> Result<Prepared> {
        Ok(match &self.kind {
            Kind::Known(known) => known.preprocess().apply(image, device)?,
            Kind::Onnx { card, .. } => card.input.apply(image, device)?,
        })
    }

    /// The class that stands for "nothing of interest", of so many.
    pub(crate) fn background(&self, classes: usize) -> Option<usize> {
        match &self.kind {
            Kind::Known(known) => known.background(classes),
            Kind::Onnx { card, .. } => card.background.or((classes > 1).then_some(0)),
        }
    }

    /// The layers to look at first, among those of a forward pass.
    pub(crate) fn default_layers(&self, layers: &[Layer]) -> Vec<String> {
        match &self.kind {
            Kind::Known(known) => known.default_layers().map(String::from).to_vec(),
            Kind::Onnx { .. } => auto_layers(layers),
        }
    }

    /// The name of a layer; of an ONNX network the end of it will do.
    pub(crate) fn layer(&self, wanted: &str, all: &[Layer]) -> Result<String> {
        match &self.kind {
            Kind::Known(_) => Ok(wanted.to_string()),
            Kind::Onnx { .. } => {
                Ok(find_layer(all.iter().map(|layer| layer.name.as_str()), wanted)?)
            }
        }
    }

    /// The operator that computes a layer of an ONNX network.
    pub(crate) fn operator(&self, layer: &str) -> Option<&str> {
        let Kind::Onnx { operators, .. } = &self.kind else { return None };
        operators.iter().find(|(name, _)| name == layer).map(|(_, operator)| operator.as_str())
    }

    /// Shape of a small input, if the network says more than "try one channel".
    pub(crate) fn small_input(&self) -> Option<&[usize]> {
        match &self.kind {
            Kind::Known(_) => None,
            Kind::Onnx { input, .. } => Some(input),
        }
    }
}
