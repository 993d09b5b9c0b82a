//! Options of runs over many inputs, and of their tables.

use std::path::{Path, PathBuf};

use anyhow::Result;
use segcam_batch::{Settings, Shard};
use segcam_cli::annotations::AnnotationFiles;
use segcam_cli::ask::Asked;
use segcam_cli::network::{Model, Name, Source};
use segcam_cli::scene::Style;
use serde_json::json;

use super::{DrawArgs, MapArgs, MeasureArgs, NetworkArgs, QuestionArgs, Save};

/// What `segcam batch` is asked.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "DIR receives results.parquet, a row for each map (docs/batch.md lists its columns), and maps/ \
with pictures and arrays if they are asked for. The same command again goes on where it stopped; what changed \
is computed anew. An input that cannot be used is a row with its error, and the exit code is 3.

Examples:
  segcam batch --input nuclei/ --out audit
  segcam batch --input 'scans/**/*.nii.gz' --model net.onnx --class 2 --certify --figures --out audit
  segcam batch --input cases.csv --model net.onnx --metric leak fidelity-r2 --shard 3/16 --out part-03
  segcam merge part-*/results.parquet --out results.parquet"
)]
pub struct BatchArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// Folder (and all below it), pattern in quotes ('scans/**/*.nii.gz'), .txt list, one a line, or a table:
    /// .csv or .parquet with a column `input` and, as needed, truth, instances, region, class, layer, method,
    /// pixels (; between sets), slice
    #[arg(long, value_name = "PATH")]
    pub(crate) input: PathBuf,

    /// Slice of scans, from 0, for a network that takes images
    #[arg(long, value_name = "N")]
    pub(crate) slice: Option<usize>,

    /// One part of the inputs, for one of many machines: 3/16 is the third of sixteen
    #[arg(long, value_name = "N/OF")]
    pub(crate) shard: Option<Shard>,

    #[command(flatten)]
    pub(crate) question: QuestionArgs,

    #[command(flatten)]
    pub(crate) maps: MapArgs,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,

    /// Folder for the table, and for what is saved beside it
    #[arg(long, value_name = "DIR", default_value = "segcam-batch")]
    pub(crate) out: PathBuf,

    /// Take away what DIR holds of other settings, instead of refusing it
    #[arg(long)]
    pub(crate) replace: bool,

    /// Also write results.csv
    #[arg(long)]
    pub(crate) csv: bool,

    /// Also write report.html: one file to send on, with what `segcam table` says, and the maps to look at
    /// first. Up to 12 inputs are computed once more for it
    #[arg(long)]
    pub(crate) html: bool,

    /// Also draw the pictures that `segcam explain` draws
    #[arg(long)]
    pub(crate) figures: bool,

    #[command(flatten)]
    pub(crate) draw: DrawArgs,

    /// Inputs that are computed at the same time; each of them uses all cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,

    /// With several jobs: begin with no further input while the program would take more than so many GB
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    pub memory: Option<f64>,
}

fn gigabytes(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("GB").unwrap_or(text).trim().parse().ok();
    number.filter(|number: &f64| *number > 0.0).ok_or_else(|| "give a number above 0".into())
}

impl BatchArgs {
    /// Where inputs are.
    pub fn input(&self) -> &Path {
        &self.input
    }

    /// Where the table goes.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The same with the table in another folder.
    #[must_use]
    pub fn with_out(self, out: &Path) -> Self {
        Self { out: out.into(), ..self }
    }

    /// Whether files are named that belong to inputs.
    pub fn names_annotations(&self) -> bool {
        self.question.sets.name_files() || self.measure.region.is_some()
    }

    /// Whether a report is asked for.
    pub fn wants_report(&self) -> bool {
        self.html
    }

    /// The same as if it had been typed so: pictures say what made them.
    #[must_use]
    pub fn typed(mut self, command: String) -> Self {
        self.draw.print.typed = Some(command);
        self
    }

    /// The same, with paths seen from a folder; addresses such as `s3://…` are the same everywhere.
    #[must_use]
    pub fn seen_from(mut self, folder: &Path) -> Self {
        let (network, sets) = (&mut self.network, &mut self.question.sets);
        let onnx = match &mut network.model {
            Some(Name::Onnx(path)) => Some(path),
            _ => None,
        };
        let given = [onnx, network.weights.as_mut(), self.measure.region.as_mut()];
        let given = given.into_iter().flatten().chain(sets.paths());
        for path in given.chain([&mut self.input, &mut self.out]) {
            if !path.to_str().is_some_and(|path| path.contains("://")) {
                *path = folder.join(&*path);
            }
        }
        self
    }

    /// Everything that decides what is computed, beside the contents of inputs and their annotations. Shards
    /// on other machines have the same: no paths.
    pub(crate) fn settings(
        &self,
        model: &Model,
        source: &Source,
        asked: &Asked,
    ) -> Result<Settings> {
        let network = segcam_batch::sha256(source.files()?)?;
        let AnnotationFiles { truth, truth_map, ignore, truth_resize, instances } =
            self.question.sets.files()?;
        let Style { show, fuse, raw, heat, dicom, .. } = self.draw.style("", model)?;
        let measured = self.measure.asked();
        let measuring = (!measured.is_empty()).then(|| {
            let region = (self.measure.region.is_some(), self.measure.region_resize);
            json!({ "metrics": measured, "region": region, "cells": self.measure.cells, "seed": self.measure.seed })
        });
        let settings = [
            ("segcam", json!(env!("CARGO_PKG_VERSION"))),
            ("model", json!(model.name)),
            ("network", json!(network)),
            ("preparation", json!(source.onnx)),
            ("windows", json!(source.windows)),
            ("slice", json!(self.slice)),
            ("layers", json!(asked.layers)),
            ("classes", json!(asked.classes)),
            ("methods", json!(asked.methods)),
            ("pixels", json!(asked.pixels)),
            ("truth", json!((truth.is_some(), truth_map, ignore, truth_resize))),
            ("instances", json!(instances.is_some())),
            ("certify", json!(self.maps.certify)),
            ("smooth", json!(self.maps.smooth.as_ref().map(|smooth| format!("{smooth:?}")))),
            ("measured", json!(measuring)),
            (
                "show",
                json!((show.name(), show.normalize().to_string(), show.colormap().to_string())),
            ),
            ("fuse", json!(fuse.map(|fuse| fuse.to_string()))),
            ("figures", json!(self.figures.then(|| self.draw.print.settings()))),
            (
                "save",
                json!((raw, heat, dicom.map(|keep| keep.0), self.draw.saves(Save::Prediction))),
            ),
        ];
        Ok(settings.map(|(name, value)| (name.to_string(), value)).into())
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// Tables of shards: results.parquet of each
    #[arg(value_name = "TABLE", required = true)]
    pub(crate) tables: Vec<PathBuf>,

    /// The table of all
    #[arg(long, value_name = "FILE", default_value = "results.parquet")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  segcam table audit/results.parquet
  segcam table audit/results.parquet --column leak,dice --by class,layer
  segcam table audit/results.parquet --sheet worst.png --order-by leak")]
pub(crate) struct TableArgs {
    /// results.parquet of a batch, or its folder
    #[arg(value_name = "TABLE")]
    pub(crate) table: PathBuf,

    /// Columns of numbers to average [default: what was certified, measured and annotated; otherwise score,
    /// raw_min and raw_max]
    #[arg(long = "column", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) columns: Vec<String>,

    /// Columns that tell groups apart
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',', default_values = ["class", "layer", "method"])]
    pub(crate) by: Vec<String>,

    /// How many unusual maps are listed
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) unusual: usize,

    /// A picture of the first and the last maps by a column, of a batch with --figures
    #[arg(long, value_name = "FILE.png", requires = "order_by")]
    pub(crate) sheet: Option<PathBuf>,

    /// The column that orders the maps of the picture
    #[arg(long, value_name = "NAME", requires = "sheet")]
    pub(crate) order_by: Option<String>,

    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}
