use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use segcam::burn::tensor::Device;
use segcam::metrics::Metric;
use segcam::render::Colormap;
use segcam::{DeviceError, Fusion, Normalize, Smoothing, UnknownName, best_device, device};

use crate::method::MethodName;
use crate::model::ModelArgs;
use crate::sets::SetArgs;

/// Shows which parts of an image made a segmentation network label its pixels so.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  segcam demo
  segcam explain --input nuclei.png
  segcam explain --model espnet --weights espnet.pth --input street.png --class 11
  segcam evaluate --input nuclei/ --out nuclei-evaluation
  segcam layers --model retina-unet --weights unet_drive.safetensors"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print errors only
    #[arg(long, short, global = true)]
    quiet: bool,

    /// Print JSON instead of tables
    #[arg(long, global = true, conflicts_with = "quiet")]
    json: bool,
}

/// How much to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    Quiet,
    Json,
    Tables,
}

impl Talk {
    /// A bar that counts steps.
    pub(crate) fn bar(self, steps: usize) -> ProgressBar {
        let length = steps as u64;
        let bar =
            if self == Self::Quiet { ProgressBar::hidden() } else { ProgressBar::new(length) };
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar
    }

    /// Shows that something goes on which has no steps to count.
    pub(crate) fn wait<T>(self, what: &'static str, work: impl FnOnce() -> T) -> T {
        let bar =
            if self == Self::Quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        let result = work();
        bar.finish_and_clear();
        result
    }
}

impl Args {
    pub(crate) fn talk(&self) -> Talk {
        match (self.quiet, self.json) {
            (true, _) => Talk::Quiet,
            (_, true) => Talk::Json,
            _ => Talk::Tables,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Explain a generated image of cell nuclei: nothing to prepare, a few seconds
    Demo(DemoArgs),
    /// Explain what a network predicts on an image or a volume
    Explain(Box<ExplainArgs>),
    /// Measure how far the maps of many images can be trusted
    Evaluate(Box<EvaluateArgs>),
    /// List a network's layers and their shapes
    Layers(LayersArgs),
    /// Print a network's forward pass as a graph, before and after it is simplified
    Graph(GraphArgs),
    /// List the networks
    Models,
    /// List the CAM methods
    Methods,
    /// List the pixel sets, or show some on an image
    Pixels(Box<PixelsArgs>),
    /// List the devices of this build
    Devices,
    /// Compute for `segcam` on other machines (needs the feature `remote`)
    Serve(ServeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder for the pictures and the report
    #[arg(long, default_value = "segcam-demo")]
    pub(crate) out: PathBuf,

    /// Seed of the generated image
    #[arg(long, default_value_t = 4)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArg {
    /// Where to compute; see `segcam devices`. `best`: the fastest that this build and machine have
    #[arg(long = "device", value_name = "NAME", default_value = "best")]
    name: String,
}

impl DeviceArg {
    pub(crate) fn open(&self) -> Result<Device, DeviceError> {
        if self.name == "best" { Ok(best_device()) } else { device(&self.name) }
    }
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Whoever can connect can compute: there is no password and no encryption. Listen on \
this machine only (default) and let others in through SSH.

Example, with a GPU in another room:
  there:  segcam serve --device libtorch:cuda:0
  here:   ssh -N -L 3000:localhost:3000 there
          segcam explain --device remote:ws://localhost:3000 --input nuclei.png"
)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArg,

    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LayersArgs {
    #[command(flatten)]
    pub(crate) network: ModelArgs,

    /// Image or .npy that gives the shapes; otherwise a small blank one does
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Also list the results of single operations, which can be explained, too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) network: ModelArgs,

    /// Image or .npy that gives the shapes; otherwise a small blank one does
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Pixel sets, see `segcam pixels` for all of them:
  class                      predicted as the class (default)
  box:10,20,64,80            rows 10 to 63, columns 20 to 79
  component@120,88           the connected component there
  each                       every component by itself
  fn & dilate(class, 3)      missed pixels near predicted ones (needs --truth)
  a&b  a|b  a-b  a^b  !a     combinations, from left to right; ( ) group
Coordinates are those of the network's output, from 0; volumes use z,y,x.

Examples:
  segcam explain --input nuclei.png
  segcam explain --input nuclei.png --pixels 'class&box:60,60,120,120' --layer mid,dec1
  segcam explain --model retina-unet --weights unet_drive.safetensors --input 01.png --save raw
  segcam explain --model espnet --weights espnet.pth --input street.png --class car,person,road
  segcam explain --model meshnet --weights gwm.safetensors --input t1.npy --class 2 --layer conv8
  segcam explain --model net.onnx --input scan.png --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) network: ModelArgs,

    /// PNG, JPEG or TIFF (prepared as the network wants it), or .npy float32 [C,H,W], [N,C,H,W] or
    /// [N,C,D,H,W] (taken as it is)
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,

    #[command(flatten)]
    pub(crate) question: QuestionArgs,

    /// Say how much of the score comes through each layer, and how much of each map lies where
    /// influence is impossible
    #[arg(long)]
    pub(crate) certify: bool,

    /// Average maps over changed inputs: noise:SAMPLES,SIGMA or flips or scales:S,S,…
    #[arg(long, value_name = "HOW")]
    pub(crate) smooth: Option<Smooth>,

    /// Fuse the layers of each method into one more heat map
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) fuse: Option<Fuse>,

    /// Folder for the pictures and the report
    #[arg(long, value_name = "DIR", default_value = "segcam-out")]
    pub(crate) out: PathBuf,

    /// Also save arrays as .npy: signed maps, heat maps, predicted labels
    #[arg(long, value_name = "WHAT", num_args = 1.., value_delimiter = ',')]
    pub(crate) save: Vec<Save>,

    /// Scale of the heat maps
    #[arg(long, value_name = "HOW", value_enum, default_value = "max")]
    pub(crate) normalize: Scale,

    /// Colours: viridis, magma, inferno, turbo or jet
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) colormap: Colormap,
}

/// What is asked of the network.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct QuestionArgs {
    /// Layers to explain; see `segcam layers`. `auto`: the bottleneck and the last decoder block;
    /// `all`: every layer with a name. Of .onnx files the end of a tensor's name will do
    #[arg(long = "layer", value_name = "NAME", num_args = 1.., value_delimiter = ',', default_value = "auto")]
    pub(crate) layers: Vec<String>,

    /// Classes to explain: numbers, from 0, or names; `all`: every class that has pixels [default:
    /// the most frequent predicted one that is not background]
    #[arg(long = "class", value_name = "N", num_args = 1.., value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) classes: Vec<String>,

    /// CAM methods; see `segcam methods`
    #[arg(long = "method", value_name = "NAME", num_args = 1.., value_delimiter = ',', default_values = ["seg-grad-cam", "seg-hires-grad-cam"])]
    pub(crate) methods: Vec<MethodName>,

    /// Pixels whose score the Seg methods explain, see `segcam pixels`; the others take the whole image.
    /// Several sets give a figure each
    #[arg(long, value_name = "SET", num_args = 1.., default_value = "class")]
    pub(crate) pixels: Vec<String>,

    #[command(flatten)]
    pub(crate) sets: SetArgs,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "DIR receives evaluation.csv (a row for each map), summary.csv (means and 95 % \
intervals over images), evaluation.json (both, and comparisons of methods) and a figure. What was \
measured is kept in DIR/images: the same command again goes on where it stopped.

Examples:
  segcam evaluate --input nuclei/ --out nuclei-evaluation
  segcam evaluate --input list.txt --truth masks/ --pixels tp --layer all --method seg-grad-cam \
seg-hires-grad-cam --metric road leak --out out"
)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) network: ModelArgs,

    /// Image or volume as for `segcam explain`, a folder of them, or a .txt file that lists one a
    /// line
    #[arg(long, value_name = "PATH")]
    pub(crate) input: PathBuf,

    #[command(flatten)]
    pub(crate) question: QuestionArgs,

    /// What to measure [default: all]: leak, completeness-error, fidelity-r2, fidelity-rank, road,
    /// deletion, insertion, randomization, stability, sensitivity, agreement; with --region also
    /// pointing, mass, rank
    #[arg(long = "metric", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) metrics: Vec<MetricName>,

    /// Masks of the pixels that are known to cause the prediction, nonzero inside: an image, or a
    /// folder with one of the same name for each input
    #[arg(long, value_name = "PATH")]
    pub(crate) region: Option<PathBuf>,

    /// Resize the masks to the network's input, by nearest pixel
    #[arg(long, requires = "region")]
    pub(crate) region_resize: bool,

    /// Cells of a layer that are left out, one at a time, to measure fidelity
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(3..))]
    pub(crate) cells: u32,

    /// Seed of noise, ties, random weights and the bootstrap
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "segcam-evaluation")]
    pub(crate) out: PathBuf,
}

/// A metric by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricName(pub(crate) Metric);

impl FromStr for MetricName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("metric", name, &Metric::ALL).map(Self)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  segcam pixels
  segcam pixels --input nuclei.png --show class largest 'band(class,2)' entropy:0.5")]
pub(crate) struct PixelsArgs {
    #[command(flatten)]
    pub(crate) network: ModelArgs,

    /// Image or volume to show them on, as for `segcam explain`
    #[arg(long, value_name = "FILE", requires = "show")]
    pub(crate) input: Option<PathBuf>,

    /// Sets to show
    #[arg(long, value_name = "SET", num_args = 1.., requires = "input")]
    pub(crate) show: Vec<String>,

    /// Class asked about: number or name [default: the most frequent predicted one that is not
    /// background]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) class: Option<String>,

    #[command(flatten)]
    pub(crate) sets: SetArgs,

    /// Folder for the picture
    #[arg(long, value_name = "DIR", default_value = "segcam-out")]
    pub(crate) out: PathBuf,

    /// Colours: viridis, magma, inferno, turbo or jet
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) colormap: Colormap,
}

/// How layers are fused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fuse {
    /// What the layers say on average
    Mean,
    /// What any layer says
    Max,
    /// What all layers say
    Product,
}

impl From<Fuse> for Fusion {
    fn from(how: Fuse) -> Self {
        match how {
            Fuse::Mean => Self::Mean,
            Fuse::Max => Self::Max,
            Fuse::Product => Self::Product,
        }
    }
}

/// Over which changed inputs maps are averaged.
#[derive(Debug, Clone)]
pub(crate) struct Smooth(pub(crate) Smoothing);

impl FromStr for Smooth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WANTED: &str = "give noise:25,0.1 (samples, standard deviation as a part of the input's \
                              range) or flips or scales:0.75,1,1.25";
        let (kind, numbers) = text.split_once(':').unwrap_or((text, ""));
        let numbers = numbers.split(',').filter(|number| !number.is_empty());
        let numbers: Vec<f64> =
            numbers.map(|n| n.trim().parse().map_err(|_| WANTED)).collect::<Result<_, _>>()?;
        let positive = numbers.iter().all(|number| number.is_finite() && *number > 0.0);
        match (kind, &numbers[..]) {
            ("noise", [samples, sigma]) if positive && samples.fract() == 0.0 => {
                Ok(Self(Smoothing::noise(*samples as usize, *sigma, 0)))
            }
            ("flips", []) => Ok(Self(Smoothing::flips())),
            ("scales", [_, ..]) if positive => Ok(Self(Smoothing::scales(numbers))),
            _ => Err(WANTED.into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Save {
    /// `<method>.<layer>.raw.npy`: float32 [N,1,h,w], signed, at layer resolution
    Raw,
    /// `<method>.<layer>.heat.npy`: float32 [N,1,H,W], at input resolution
    Heat,
    /// `prediction.npy`: int32 [N,1,H,W], the predicted class of each pixel (binary networks: 1 or 0)
    Prediction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scale {
    /// Divide by the largest value
    Max,
    /// Stretch from smallest to largest, as pytorch-grad-cam
    MinMax,
    /// Keep the map's unit
    None,
}

impl From<Scale> for Normalize {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Max => Self::Max,
            Scale::MinMax => Self::MinMax,
            Scale::None => Self::None,
        }
    }
}
