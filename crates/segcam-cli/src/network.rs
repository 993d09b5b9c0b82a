//! Networks: by name or from an ONNX file, and what the program knows of them beside their weights.

mod preparation;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Error, Result, anyhow, bail};
use image::DynamicImage;
use segcam::burn::tensor::{Device, Tensor};
use segcam::models::{
    Card, Channels, Network, Prepared, Preprocess, Pretrained, Recipe, WeightsError, WindowRecipe,
};
use segcam::onnx::{OnnxFile, OnnxModel, auto_layers, find_layer};
use segcam::scans::{Grid, NnUnetConfiguration};
use segcam::windows::Windows;
use segcam::{CamError, Explainer, Layer, Observation, UnknownName, scans};

pub use preparation::Preparation;

use crate::sidecars::{SIDECARS, external_files, nnunet};
use crate::windows::{seams, windows};

/// Runs what is generic over the number of dimensions with an opened network's explainer: the one
/// place where images and volumes part.
#[macro_export]
macro_rules! with_explainer {
    ($network:expr, $explainer:ident => $work:expr) => {
        match $network {
            segcam::models::Network::Image($explainer) => $work,
            segcam::models::Network::Volume($explainer) => $work,
        }
    };
}

/// Whether tensors of so many dimensions, `[N, C, …]`, are volumes and not images.
pub(crate) const fn is_volume<const D: usize>() -> bool {
    D == 5
}

/// A network by name or a file that holds one.
#[derive(Debug, Clone)]
pub enum Name {
    /// One of those that the program knows.
    Known(Pretrained),
    /// An `.onnx` file.
    Onnx(PathBuf),
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match &*extension.to_ascii_lowercase() {
            "pt" | "pth" | "ckpt" => {
                return Err("PyTorch files hold weights, not the network: export it with \
                            torch.onnx.export(model, example, \"net.onnx\"), see docs/onnx.md"
                    .into());
            }
            "h5" | "keras" | "pb" => {
                return Err("it must be exported as an .onnx file, with tf2onnx or Keras 3's \
                            model.export: see docs/onnx.md"
                    .into());
            }
            _ => {}
        }
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            return Ok(Self::Onnx(path.to_path_buf()));
        }
        let known = text.parse().map(Self::Known);
        known.map_err(|error: UnknownName| format!("{error}, or an .onnx file"))
    }
}

/// Where a network comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Which one.
    pub name: Name,
    /// Weights of a network with a name; nuclei-unet, lesions-meshnet and ONNX files bring theirs.
    pub weights: Option<PathBuf>,
    /// How an image becomes the input of an ONNX network; the others know.
    pub onnx: Preparation,
    /// The windows through which the network sees the input, where the card does not say it.
    pub windows: WindowRecipe,
}

/// What the program knows of a network beside its weights.
#[derive(Debug)]
pub struct Model {
    /// What it is called in reports.
    pub name: String,
    /// Path of the weights, or `embedded`.
    pub weights: String,
    /// Names of the classes; empty if they are not known.
    pub classes: Vec<String>,
    /// What the user should know about how the file was understood.
    pub notes: Vec<String>,
    /// The same about image files, which arrays are not.
    pub(crate) image_note: Option<String>,
    /// An option that was given and is for image files only.
    pub(crate) image_option: Option<&'static str>,
    /// Channels of its input, if that is known.
    pub(crate) channels: Option<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Known(Pretrained),
    Onnx {
        card: Box<Card>,
        /// What nnU-Net knows of it.
        plans: Option<Box<NnUnetConfiguration>>,
        operators: Vec<(String, String)>,
        input: Vec<usize>,
    },
}

impl Source {
    /// The network with its weights, run over windows if that is asked for.
    ///
    /// # Errors
    /// Files that cannot be read or do not fit, and windows that make no sense.
    pub fn open(&self, device: &Device) -> Result<(Model, Network)> {
        self.open_with_progress(device, |_, _| ())
    }

    /// The same; `progress` is told how many windows of an input were predicted, and of how many.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_progress(
        &self,
        device: &Device,
        progress: impl Fn(usize, usize) + Send + Sync + 'static,
    ) -> Result<(Model, Network)> {
        let (model, network, windows) = self.open_apart(device)?;
        let Some(windows) = windows else { return Ok((model, network)) };
        let windows = windows.with_progress(progress);
        Ok(match network {
            Network::Image(whole) => (model, Network::Image(windows.explainer(&whole)?)),
            Network::Volume(whole) => (model, Network::Volume(windows.explainer(&whole)?)),
        })
    }

    /// The network of one window and the windows, if it is to be run over any.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_apart(&self, device: &Device) -> Result<(Model, Network, Option<Windows>)> {
        let (mut model, network) = self.open_whole(device)?;
        let windows = windows(&self.windows, model.card_windows())?;
        model.notes.extend(windows.iter().map(|windows| format!("seen through {windows}")));
        if let (Name::Known(known), Some(windows)) = (&self.name, &windows) {
            model.notes.extend(seams(*known, windows));
        }
        Ok((model, network, windows))
    }

    fn open_whole(&self, device: &Device) -> Result<(Model, Network)> {
        match &self.name {
            Name::Known(known) => {
                let network = known.load(self.weights.as_deref(), device);
                let network = network.map_err(|error| self.of_another(*known, error, device))?;
                Ok((Model { channels: network.channels(), ..self.known(*known) }, network))
            }
            Name::Onnx(path) => {
                let name = || format!("cannot use {}", path.display());
                self.open_onnx(path, device).with_context(name)
            }
        }
    }

    /// Weights that do not fit the network may fit another one.
    fn of_another(&self, known: Pretrained, error: WeightsError, device: &Device) -> Error {
        let fits = |other: &Pretrained| other.load(self.weights.as_deref(), device).is_ok();
        let misfits = matches!(error, WeightsError::Mismatch { .. });
        match Pretrained::ALL.iter().filter(|_| misfits).find(|other| fits(other)) {
            Some(other) => anyhow!(
                "{} holds the weights of another network than {known}: did you mean --model {other}?",
                self.weights.as_deref().unwrap_or(Path::new("")).display()
            ),
            None => error.into(),
        }
    }

    /// The same with random weights if there are none: names and shapes need none, but a file may
    /// set the channels.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_look(&self, device: &Device) -> Result<(Model, Network)> {
        match &self.name {
            Name::Known(known) if self.weights.is_none() => {
                Ok((self.known(*known), known.untrained(device)))
            }
            _ => self.open(device),
        }
    }

    fn known(&self, known: Pretrained) -> Model {
        let weights = self.weights.as_ref().map(|path| path.display().to_string());
        Model {
            name: known.to_string(),
            weights: weights.unwrap_or_else(|| "embedded".into()),
            classes: known.class_names().iter().map(ToString::to_string).collect(),
            notes: vec![],
            image_note: None,
            image_option: None,
            channels: None,
            kind: Kind::Known(known),
        }
    }

    fn open_onnx(&self, path: &Path, device: &Device) -> Result<(Model, Network)> {
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
        let plans = if has_card { None } else { nnunet(path, &file, &mut card, &mut notes)? };
        if let Some(last) = file.skipped().first() {
            notes.push(format!("class scores: `{}`, before {last}", file.scores()));
        }
        let unsaid = !has_card && self.onnx.mean.is_empty() && self.onnx.scale.is_none();
        let image_note = unsaid.then(|| {
            format!(
                "images are divided by 255: say otherwise with --mean, --std, --scale or in {}",
                beside.display()
            )
        });
        self.onnx.change(&mut card.input);
        let channels = file.channels();
        if card.input.channels.is_none() && channels == Some(1) {
            card.input.channels = Some(Channels::Gray);
        }
        // Windows have the size that the file fixes, whatever the image has.
        let in_windows = self.windows.size.is_some() || card.windows.size.is_some();
        if let (None, &[Some(height), Some(width)], false) =
            (card.input.size, file.size(), in_windows)
        {
            card.input.size = Some([height, width]);
        }
        let open = if file.rank() == 4 { 64 } else { 32 };
        let sides = file.size().iter().map(|side| side.unwrap_or(open));
        let first = [file.batch().unwrap_or(1), channels.unwrap_or(3)];
        let input = first.into_iter().chain(sides).collect();
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
            image_note,
            image_option: self.onnx.image_option(),
            channels,
            kind: Kind::Onnx { card: Box::new(card), plans: plans.map(Box::new), operators, input },
        };
        Ok((model, network))
    }

    /// The files that decide what the network computes.
    ///
    /// # Errors
    /// An ONNX file that cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let Name::Onnx(path) = &self.name else {
            return Ok(self.weights.iter().cloned().collect());
        };
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let elsewhere = external_files(&bytes).into_iter().map(|file| folder.join(file));
        let beside = SIDECARS.map(|name| folder.join(name));
        let beside = [path.with_extension("toml")].into_iter().chain(beside);
        let beside = beside.filter(|file| file.is_file());
        Ok([path.clone()].into_iter().chain(beside).chain(elsewhere).collect())
    }
}

impl Model {
    /// A known network with the weights that it brings.
    pub fn embedded(known: Pretrained) -> Self {
        let (name, onnx) = (Name::Known(known), Preparation::default());
        Source { name, weights: None, onnx, windows: WindowRecipe::default() }.known(known)
    }

    /// What the card beside an ONNX file says of windows.
    fn card_windows(&self) -> Option<&WindowRecipe> {
        match &self.kind {
            Kind::Known(_) => None,
            Kind::Onnx { card, .. } => Some(&card.windows),
        }
    }

    /// The image as the network wants it.
    ///
    /// # Errors
    /// Colours the network cannot use, and a network that takes no images.
    pub fn prepare(&self, image: &DynamicImage, device: &Device) -> Result<Prepared> {
        let prepared = match &self.kind {
            Kind::Known(known) => known.preprocess().apply(image, device)?,
            Kind::Onnx { card, .. } => return Ok(card.input.apply(image, device)?),
        };
        Ok(prepared.for_channels(self.channels.unwrap_or(1)))
    }

    /// How images become the input of an ONNX network.
    pub(crate) fn preparation(&self) -> Option<&Recipe> {
        match &self.kind {
            Kind::Known(_) => None,
            Kind::Onnx { card, .. } => Some(&card.input),
        }
    }

    /// How some rows of a picture become the network's input, whatever the others are. `brightness` finds
    /// the smallest and the largest one of the whole picture.
    ///
    /// # Errors
    /// A network that must see a picture as a whole.
    pub(crate) fn recipe_of_rows(
        &self,
        size: [usize; 2],
        colour: bool,
        brightness: impl FnOnce() -> Result<(f32, f32)>,
    ) -> Result<Recipe> {
        let known = match &self.kind {
            Kind::Onnx { card, .. } => {
                if let Some([height, width]) = card.input.size.filter(|resized| *resized != size) {
                    bail!(
                        "{} wants pictures resized to {height}x{width}, and one that is read by tiles is \
                         taken as it is: resize it before",
                        self.name
                    );
                }
                return Ok(card.input.clone());
            }
            Kind::Known(known) => known,
        };
        let (gray, rgb) = (Some(Channels::Gray), Some(Channels::Rgb));
        match known.preprocess() {
            Preprocess::StretchedGray => {
                let (low, high) = brightness()?;
                let range = if high > low { high - low } else { 1.0 };
                let (mean, std) = (vec![low], vec![range]);
                Ok(Recipe { channels: gray, mean, std, ..Recipe::default() })
            }
            Preprocess::Plain => {
                let rgb = if colour || self.channels == Some(3) { rgb } else { gray };
                Ok(Recipe { channels: rgb, ..Recipe::default() })
            }
            _ => bail!(
                "{known} must see a picture as a whole before it can be prepared, and this one is read by \
                 tiles: take nuclei-unet, vanilla-unet or an .onnx file"
            ),
        }
    }

    /// How a scan becomes the network's input.
    pub fn scan_recipe(&self, grid: &Grid) -> scans::Recipe {
        match &self.kind {
            Kind::Known(known) => known.scan_recipe(),
            Kind::Onnx { plans: Some(plans), .. } => plans.recipe(grid),
            Kind::Onnx { card, .. } => card.scan.clone(),
        }
    }

    /// What a class is called where people read it.
    pub fn class_title(&self, class: usize) -> String {
        class_title(class, self.classes.get(class).map(String::as_str))
    }

    /// The class that stands for "nothing of interest", of so many.
    pub fn background(&self, classes: usize) -> Option<usize> {
        match &self.kind {
            Kind::Known(known) => known.background(classes),
            Kind::Onnx { card, .. } => card.background.or((classes > 1).then_some(0)),
        }
    }

    /// The layers to look at first, among those of a forward pass.
    pub fn default_layers(&self, layers: &[Layer]) -> Vec<String> {
        match &self.kind {
            Kind::Known(known) => {
                known.default_layers().iter().copied().map(String::from).collect()
            }
            Kind::Onnx { .. } => auto_layers(layers),
        }
    }

    /// The name of a layer; of an ONNX network the end of it will do.
    ///
    /// # Errors
    /// Several layers that end so, or none.
    pub fn layer<const D: usize>(&self, wanted: &str, seen: &Observation<D>) -> Result<String> {
        let all = [seen.layers(), seen.operations()].concat();
        let names = || all.iter().map(|layer| layer.name.as_str());
        let name = match &self.kind {
            Kind::Known(_) => wanted.to_string(),
            Kind::Onnx { .. } => find_layer(names(), wanted)?,
        };
        if names().all(|known| known != name) {
            let known = seen.layers().iter().filter(|layer| layer.shape.len() == D);
            let UnknownName { wanted, closest, known, .. } =
                UnknownName::new("layer", wanted, known.map(|layer| &layer.name));
            bail!(CamError::UnknownLayer { wanted, closest, known });
        }
        Ok(name)
    }

    /// The operator that computes a layer of an ONNX network.
    pub fn operator(&self, layer: &str) -> Option<&str> {
        let Kind::Onnx { operators, .. } = &self.kind else { return None };
        operators.iter().find(|(name, _)| name == layer).map(|(_, operator)| operator.as_str())
    }

    /// The forward pass of a small image of zeros.
    ///
    /// # Errors
    /// Whatever makes the network fail.
    pub fn observe_blank<const D: usize>(
        &self,
        explainer: &Explainer<D>,
        device: &Device,
    ) -> Result<Observation<D>, CamError> {
        let mut shape = [if is_volume::<D>() { 16 } else { 64 }; D];
        (shape[0], shape[1]) = (1, 1);
        if let Kind::Onnx { input, .. } = &self.kind {
            shape.copy_from_slice(input);
        }
        match explainer.observe(Tensor::zeros(shape, device)) {
            Err(CamError::WrongChannels { wanted, .. }) => {
                shape[1] = wanted;
                explainer.observe(Tensor::zeros(shape, device))
            }
            seen => seen,
        }
    }
}

/// What a class is called where people read it.
pub fn class_title(class: usize, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("class {class} ({name})"),
        None => format!("class {class}"),
    }
}
