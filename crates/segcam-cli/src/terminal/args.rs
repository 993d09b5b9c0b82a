mod batch;
mod draw;
mod measure;
mod network;
mod print;
mod sets;
mod studio;
mod windows;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};
use segcam::metrics::Metric;
use segcam::render::Colormap;
use segcam::{AnyMethod, UnknownName};
use segcam_cli::ask::{Asked, without_repeats};
use segcam_cli::measure::Settings;
use segcam_cli::network::Model;
use serde_json::json;

use super::Talk;
pub use batch::BatchArgs;
pub(crate) use batch::{MergeArgs, TableArgs};
pub(crate) use draw::{DrawArgs, MapArgs, Save};
pub(crate) use measure::MeasureArgs;
pub(crate) use network::{DeviceArg, NetworkArgs};
pub(crate) use print::PrintArgs;
pub use print::command_line;
pub(crate) use sets::SetArgs;
pub(crate) use studio::StudioArgs;

/// Shows which parts of an image made a segmentation network label its pixels so.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  segcam demo
  segcam demo --volume
  segcam studio nuclei/
  segcam explain --input nuclei.png
  segcam explain --model espnet --weights espnet.pth --input street.png --class 11
  segcam evaluate --input nuclei/ --out nuclei-evaluation
  segcam layers --model retina-unet --weights unet_drive.safetensors"
)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print errors only
    #[arg(long, short, global = true)]
    quiet: bool,

    /// Print JSON instead of tables
    #[arg(long, global = true, conflicts_with = "quiet")]
    json: bool,
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
    /// Explain a generated image of cell nuclei, or a generated scan: nothing to prepare, a few seconds
    Demo(DemoArgs),
    /// Look at images in the browser, and click to ask why
    Studio(Box<StudioArgs>),
    /// Explain what a network predicts on an image or a volume
    Explain(Box<ExplainArgs>),
    /// Explain each of many inputs: one table, resumed where it stopped, in shards for many machines
    Batch(Box<BatchArgs>),
    /// Join the tables of shards
    Merge(MergeArgs),
    /// Summarise the table of a batch
    Table(TableArgs),
    /// Measure how far the maps of many images can be trusted
    Evaluate(Box<EvaluateArgs>),
    /// List a network's layers and their shapes
    Layers(LayersArgs),
    /// Print a network's forward pass as a graph, before and after it is simplified
    Graph(GraphArgs),
    /// Say what a scan holds and where it lies
    Info(InfoArgs),
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
#[command(after_help = "Names, dates and identifiers of patients are not shown.

Example:
  segcam info scan.nii.gz ct-folder")]
pub(crate) struct InfoArgs {
    /// NIfTI, MGH, NRRD, MetaImage or DICOM files, or folders of DICOM slices
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder for the pictures and the report [default: segcam-demo, with --volume segcam-demo-volume]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Explain lesions in a generated scan, seen through windows
    #[arg(long)]
    pub(crate) volume: bool,

    /// Seed of the generated image or scan
    #[arg(long, default_value_t = 4)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

impl DemoArgs {
    /// One demo does not replace what the other wrote.
    pub(crate) fn out(&self) -> &Path {
        let usual = if self.volume { "segcam-demo-volume" } else { "segcam-demo" };
        self.out.as_deref().unwrap_or(Path::new(usual))
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
    pub(crate) network: NetworkArgs,

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
    pub(crate) network: NetworkArgs,

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
    #[command(flatten, next_help_heading = NETWORK)]
    pub(crate) network: NetworkArgs,

    /// PNG, JPEG or TIFF, or a scan: NIfTI, MGH, NRRD, MetaImage, DICOM file or folder (prepared as the
    /// network wants it); or .npy float32 [C,H,W], [N,C,H,W] or [N,C,D,H,W] (taken as it is)
    #[arg(long, help_heading = INPUT, value_name = "PATH")]
    pub(crate) input: PathBuf,

    /// Slice of a scan, from 0, for a network that takes images
    #[arg(long, help_heading = INPUT, value_name = "N")]
    pub(crate) slice: Option<usize>,

    /// Read a TIFF by tiles and never hold it in memory, as is done anyway with windows (--window) on one of
    /// more than 67 million pixels. Maps are tiled TIFF files; what is finished is kept in the folder, and the
    /// same command again goes on where it was stopped
    #[arg(long, help_heading = INPUT, conflicts_with = "slice")]
    pub(crate) tiles: bool,

    #[command(flatten, next_help_heading = QUESTION)]
    pub(crate) question: QuestionArgs,

    #[command(flatten, next_help_heading = MAPS)]
    pub(crate) maps: MapArgs,

    /// Folder for the pictures and the report. Those of an earlier run in it are replaced, other files never
    #[arg(long, help_heading = MAPS, value_name = "DIR", default_value = "segcam-out")]
    pub(crate) out: PathBuf,

    /// Also write report.html: one file to send on, in which maps can be looked at
    #[arg(long, help_heading = MAPS)]
    pub(crate) html: bool,

    #[command(flatten, next_help_heading = MAPS)]
    pub(crate) draw: DrawArgs,
}

const NETWORK: &str = "Network";
const INPUT: &str = "Input";
const QUESTION: &str = "Question";
const MAPS: &str = "Maps and files";

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
    #[arg(long = "method", value_name = "NAME", num_args = 1.., value_delimiter = ',', value_parser = method, default_values = ["seg-grad-cam", "seg-hires-grad-cam"])]
    pub(crate) methods: Vec<String>,

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
    pub(crate) network: NetworkArgs,

    /// Image or volume as for `segcam explain`, a folder of them, or a .txt file that lists one a
    /// line
    #[arg(long, value_name = "PATH")]
    pub(crate) input: PathBuf,

    #[command(flatten)]
    pub(crate) question: QuestionArgs,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,

    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "segcam-evaluation")]
    pub(crate) out: PathBuf,

    /// Also write report.html: one file to send on, with tables, charts, and maps of up to 12 images: the
    /// worst and the best of each metric
    #[arg(long)]
    pub(crate) html: bool,
}

/// The text form of a method, as it is always written.
fn method(text: &str) -> Result<String, UnknownName> {
    AnyMethod::<4>::parse(text).map(|method| method.name())
}

impl QuestionArgs {
    pub(crate) fn asked(&self) -> Asked {
        let (layers, classes) = (self.layers.clone(), self.classes.clone());
        let methods = without_repeats(self.methods.clone());
        Asked { layers, classes, methods, pixels: self.pixels.clone() }
    }
}

impl EvaluateArgs {
    /// What to measure: all that can be, or what was asked for.
    pub(crate) fn metrics(&self) -> BTreeSet<Metric> {
        let asked = self.measure.asked();
        if asked.is_empty() { self.measure.possible() } else { asked }
    }

    /// Everything that decides what is measured, beside the contents of files.
    pub(crate) fn settings(&self, model: &Model) -> Result<Settings> {
        let asked = self.question.asked();
        let settings = [
            ("segcam", json!(env!("CARGO_PKG_VERSION"))),
            ("model", json!(model.name)),
            ("weights", json!(model.weights)),
            ("preparation", json!(self.network.source()?.onnx)),
            ("windows", json!(self.network.windows.recipe())),
            ("layers", json!(asked.layers)),
            ("classes", json!(asked.classes)),
            ("methods", json!(asked.methods)),
            ("pixels", json!(asked.pixels)),
            ("sets", json!(self.question.sets.files()?)),
            ("metrics", json!(self.metrics())),
            ("region", json!(self.measure.region)),
            ("region_resize", json!(self.measure.region_resize)),
            ("cells", json!(self.measure.cells)),
            ("seed", json!(self.measure.seed)),
        ];
        Ok(settings.map(|(name, value)| (name.to_string(), value)).into())
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  segcam pixels
  segcam pixels --input nuclei.png --show class largest 'band(class,2)' entropy:0.5")]
pub(crate) struct PixelsArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// Image or scan to show them on, as for `segcam explain`
    #[arg(long, value_name = "PATH", requires = "show")]
    pub(crate) input: Option<PathBuf>,

    /// Slice of a scan, from 0, for a network that takes images
    #[arg(long, value_name = "N")]
    pub(crate) slice: Option<usize>,

    /// Sets to show
    #[arg(long, value_name = "SET", num_args = 1.., requires = "input")]
    pub(crate) show: Vec<String>,

    /// Class asked about: number or name [default: the most frequent predicted one that is not
    /// background]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) class: Option<String>,

    #[command(flatten)]
    pub(crate) sets: SetArgs,

    /// Folder for the picture. That of an earlier run in it is replaced, other files never
    #[arg(long, value_name = "DIR", default_value = "segcam-out")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) print: PrintArgs,

    /// Colours: viridis, magma, inferno, turbo or jet
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) colormap: Colormap,
}
