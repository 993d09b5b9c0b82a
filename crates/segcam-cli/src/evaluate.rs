//! `segcam evaluate`: measures image by image, and keeps what was measured, so that the same command
//! goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail, ensure};
use segcam::annotations::GroundTruth;
use segcam::burn::tensor::{Device, Tensor};
use segcam::metrics::{Metric, MetricError, Noise, Protocol, Removal, Row};
use segcam::models::Network;
use segcam::{CamError, Explainer, Observation, PixelSet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::{EvaluateArgs, Talk};
use crate::asked::{Request, classes, groups, layers};
use crate::evaluation;
use crate::explain::predicted_pixels;
use crate::input;
use crate::model::Model;
use crate::output::Folder;
use crate::picture::here;
use crate::sets::{beside, fitted};

/// What must be the same for results to go together, by name.
pub(crate) type Settings = BTreeMap<String, Value>;

/// What was measured on one image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) image: String,
    /// Size and time of change: another file of the same name is measured again.
    version: (u64, u64),
    pub(crate) answers: Vec<Answer>,
}

/// What was measured for one class and pixel set of an image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) class: usize,
    pub(crate) class_name: Option<String>,
    /// The pixel set as it was asked for, and what became of it.
    pub(crate) asked: String,
    pub(crate) pixel_set: String,
    pub(crate) pixels: usize,
    /// Why there are no rows.
    pub(crate) error: Option<String>,
    pub(crate) rows: Vec<Row>,
}

/// An image without results, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) image: String,
    pub(crate) error: String,
}

pub(crate) fn run(args: &EvaluateArgs, talk: Talk) -> Result<()> {
    let device = args.network.device.open()?;
    let images = images(&args.input)?;
    let (model, network) = args.network.open(&device)?;
    let out = Folder::create(&args.out)?;
    let settings = settings(args, &model);
    same_settings(&out, &settings)?;
    let kept = Folder::create(&out.path("images"))?;
    let (measured, failures) = match network {
        Network::Image(explainer) => {
            let open = |path: &Path| Ok(input::image(path, &model, &device)?.tensor);
            all(args, talk, &model, &explainer, &images, &kept, open)?
        }
        Network::Volume(explainer) => {
            let open = |path: &Path| input::volume(path, &device);
            all(args, talk, &model, &explainer, &images, &kept, open)?
        }
    };
    if let Some(Failure { image, error }) = failures.first().filter(|_| measured.is_empty()) {
        bail!("none of {} images could be used; {image}: {error}", images.len());
    }
    evaluation::write(args, &model, &settings, &measured, &failures, &out, talk)
}

/// The files to measure, each once.
fn images(path: &Path) -> Result<Vec<PathBuf>> {
    let read = || format!("cannot read {}", path.display());
    let is_list = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt"));
    let mut images = if path.is_dir() {
        let files = fs::read_dir(path).with_context(read)?;
        let files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>();
        let hidden =
            |path: &Path| path.file_name().is_some_and(|n| n.as_encoded_bytes()[0] == b'.');
        files
            .with_context(read)?
            .into_iter()
            .filter(|file| file.is_file() && !hidden(file))
            .collect()
    } else if is_list {
        let folder = path.parent().unwrap_or(Path::new(""));
        let text = fs::read_to_string(path).with_context(read)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| folder.join(line)).collect()
    } else {
        ensure!(path.exists(), "there is no {}", path.display());
        vec![path.to_path_buf()]
    };
    images.sort();
    images.dedup();
    ensure!(!images.is_empty(), "{} names no images", path.display());
    Ok(images)
}

/// Everything that decides what is measured, beside the images.
fn settings(args: &EvaluateArgs, model: &Model) -> Settings {
    let question = &args.question;
    let methods: Vec<String> = question.methods.iter().map(ToString::to_string).collect();
    let settings = [
        ("segcam", json!(env!("CARGO_PKG_VERSION"))),
        ("model", json!(model.name)),
        ("weights", json!(model.weights)),
        ("preparation", json!(args.network.onnx)),
        ("layers", json!(question.layers)),
        ("classes", json!(question.classes)),
        ("methods", json!(methods)),
        ("pixels", json!(question.pixels)),
        ("sets", json!(question.sets)),
        ("metrics", json!(metrics(args))),
        ("region", json!(args.region)),
        ("region_resize", json!(args.region_resize)),
        ("cells", json!(args.cells)),
        ("seed", json!(args.seed)),
    ];
    settings.map(|(name, value)| (name.to_string(), value)).into()
}

/// What to measure: all that can be, or what was asked for.
pub(crate) fn metrics(args: &EvaluateArgs) -> BTreeSet<Metric> {
    let local = [Metric::Pointing, Metric::Mass, Metric::Rank];
    let possible = |metric: &Metric| args.region.is_some() || !local.contains(metric);
    if args.metrics.is_empty() {
        return Metric::ALL.into_iter().filter(possible).collect();
    }
    args.metrics.iter().map(|name| name.0).collect()
}

/// A folder holds the results of one set of settings.
fn same_settings(out: &Folder, settings: &Settings) -> Result<()> {
    const FILE: &str = "settings.json";
    let path = out.path(FILE);
    if !path.exists() {
        return out.write(FILE, serde_json::to_string_pretty(settings)?.as_bytes());
    }
    let known = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let known: Settings = serde_json::from_slice(&known).unwrap_or_default();
    let other = settings.iter().find(|(key, value)| known.get(*key) != Some(value));
    let Some((key, value)) = other else { return Ok(()) };
    let before = known.get(key).unwrap_or(&Value::Null);
    bail!(
        "{} holds an evaluation with other settings ({key} was {before}, is {value}): choose another \
         --out, or delete that folder",
        path.parent().unwrap_or(&path).display()
    )
}

fn all<const D: usize>(
    args: &EvaluateArgs,
    talk: Talk,
    model: &Model,
    explainer: &Explainer<D>,
    images: &[PathBuf],
    kept: &Folder,
    open: impl Fn(&Path) -> Result<Tensor<D>>,
) -> Result<(Vec<Measured>, Vec<Failure>)> {
    let bar = talk.bar(images.len());
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let (mut measured, mut failures) = (vec![], vec![]);
    for path in bar.wrap_iter(images.iter()) {
        let mut file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        while !taken.insert(file.clone()) {
            // The same name in several folders.
            file.push('_');
        }
        file.push_str(".json");
        bar.set_message(path.display().to_string());
        let version = match version(path) {
            Ok(version) => version,
            Err(error) => {
                failures.push(failure(path, &error));
                continue;
            }
        };
        if let Some(known) = known(&kept.path(&file), version) {
            measured.push(known);
            continue;
        }
        let progress = |done, of| bar.set_message(format!("{} {done}/{of}", path.display()));
        let found = open(path).map(|input| {
            let device = input.device();
            (device, one(args, model, explainer, input, path, &progress))
        });
        match found {
            Ok((_, Ok(answers))) => {
                let image = path.display().to_string();
                let found = serde_json::to_vec(&Measured { image, version, answers })?;
                kept.write(&file, &found)?;
                // What a later run will read.
                measured.push(serde_json::from_slice(&found)?);
            }
            Ok((device, Err(error))) if is_lost(&device) => {
                bail!("{error:#}; what was measured is kept, and the same command goes on")
            }
            Ok((_, Err(error))) | Err(error) => failures.push(failure(path, &error)),
        }
    }
    bar.finish_and_clear();
    Ok((measured, failures))
}

/// Whether the device does not even answer what is simple.
fn is_lost(device: &Device) -> bool {
    here(&Tensor::<1>::zeros([1], device)).is_err()
}

fn failure(path: &Path, error: &anyhow::Error) -> Failure {
    Failure { image: path.display().to_string(), error: format!("{error:#}") }
}

fn version(path: &Path) -> Result<(u64, u64)> {
    let file = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let changed = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((file.len(), changed.map_or(0, |time| time.as_secs())))
}

/// What an earlier run measured on this version of the image.
fn known(path: &Path, version: (u64, u64)) -> Option<Measured> {
    let found: Measured = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (found.version == version).then_some(found)
}

/// One image: every class and pixel set.
fn one<const D: usize>(
    args: &EvaluateArgs,
    model: &Model,
    explainer: &Explainer<D>,
    input: Tensor<D>,
    path: &Path,
    progress: &dyn Fn(usize, usize),
) -> Result<Vec<Answer>> {
    let seen = explainer.observe(input)?;
    let mut question = args.question.clone();
    question.sets = question.sets.of_image(path)?;
    let layers = layers(&question, model, &seen)?;
    let (classes, _) = classes(&question.classes, model, &predicted_pixels(&seen)?)?;
    let groups = groups(&question, model, &seen, &classes)?;
    let region = args.region.as_ref().map(|region| region_of(args, region, path, &seen));
    let region = region.transpose()?;
    let protocol = Protocol {
        metrics: metrics(args),
        removal: Removal { seed: args.seed, ..Removal::default() },
        noise: Noise { seed: args.seed, ..Noise::default() },
        cells: args.cells as usize,
        controls: true,
        seed: args.seed,
    };
    let mut answers = vec![];
    for (number, group) in groups.iter().enumerate() {
        let mut steps = |done, of| progress(number * of + done, groups.len() * of);
        let asked = group.requests(&question, &layers);
        let requests: Vec<segcam::Request<D>> = asked.iter().map(Request::as_core).collect();
        let measured = seen.target(&group.pixels, group.class).map_err(MetricError::from);
        let measured = measured.and_then(|target| {
            let inside = here(&target.weights)?.not_equal_elem(0.0).int().sum();
            let region = region.as_deref();
            let rows = protocol.run(explainer, &seen, &target, &requests, region, &mut steps)?;
            Ok((inside.into_scalar::<i64>() as usize, rows))
        });
        let (pixels, rows, error) = match measured {
            Ok((pixels, rows)) => (pixels, rows, None),
            Err(error @ MetricError::Cam(CamError::EmptyPixelSet { .. })) => {
                (0, vec![], Some(error.to_string()))
            }
            Err(error) => return Err(error.into()),
        };
        answers.push(Answer {
            class: group.class,
            class_name: model.classes.get(group.class).cloned(),
            asked: group.asked.clone(),
            pixel_set: group.pixels.name(),
            pixels,
            error,
            rows,
        });
    }
    Ok(answers)
}

/// The pixels that are known to cause the prediction, at the size of the network's input.
fn region_of<const D: usize>(
    args: &EvaluateArgs,
    region: &Path,
    image: &Path,
    seen: &Observation<D>,
) -> Result<Vec<bool>> {
    let path = beside(region, image)?;
    let name = || format!("cannot use {}", path.display());
    let mask = GroundTruth::from_image(&path).with_context(name)?;
    let size = &seen.prediction().input_shape()[2..];
    let file = path.display().to_string();
    let names = [file.as_str(), "the network's input", "--region-resize"];
    let mask = fitted(mask, size, args.region_resize, names)?;
    Ok(mask.labels().iter().map(|&label| label != 0).collect())
}
