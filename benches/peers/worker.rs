//! segcam's side of `cargo xtask bench-peers`: `peer-worker DEVICE MODEL WEIGHTS CLASSES`, or
//! `peer-worker convolutions`.
//!
//! Loads the weights, says `ready`, and then answers one JSON job per line with one JSON line.

mod convolutions;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, bail};
use safetensors::SafeTensors;
use segcam::burn::tensor::{Device, Tensor, TensorData};
use segcam::engine::{GraphEngine, TapeEngine};
use segcam::models::{EspNetConfig, MeshNetConfig, UNetConfig, load_weights};
use segcam::windows::Windows;
use segcam::{CamMethod, Explainer, GradCam, HiResCam, Prediction, Request, SegmentationModel};
use serde::Deserialize;

/// Maps of every class by every method at every layer, from one input.
#[derive(Deserialize)]
struct Job {
    /// A file with `input` `[1, channels, sides…]` and `masks` `[1, classes, sides…]`.
    inputs: PathBuf,
    layers: Vec<String>,
    classes: Vec<usize>,
    /// The first class is about the first mask, and so on, and not about the class's own.
    #[serde(default)]
    discs: bool,
    methods: Vec<String>,
    /// The input is seen through MONAI's Gaussian windows of this size. Averages are those of a window.
    window: Option<Vec<usize>>,
    #[serde(default)]
    overlap: f64,
    /// Where to write the raw maps, one after the other.
    out: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|first| first == "convolutions") {
        return convolutions::serve();
    }
    let [_, device, model, weights, classes] = &args[..] else {
        bail!("peer-worker DEVICE MODEL WEIGHTS CLASSES");
    };
    let (device, engine) = match device.split_once('+') {
        Some((device, engine)) => (segcam::device(device)?, engine.parse()?),
        None => (segcam::device(device)?, Engine::Graph(1)),
    };
    let (weights, classes) = (Path::new(weights), classes.parse()?);
    let same = str::to_string;
    match model.split_once(':') {
        Some((unet @ ("unet" | "unet3"), width)) => {
            let width: usize = width.parse()?;
            let levels = if unet == "unet" { 5 } else { 3 };
            let widths = (0..levels).map(|level| width << level).collect();
            let net = UNetConfig::new(3, classes).with_widths(widths).init(&device);
            serve(&explainer(load_weights(net, weights, same)?, engine), &device)
        }
        Some(("espnet", q)) => {
            let config = EspNetConfig::new().with_classes(classes).with_q(q.parse()?);
            serve(&explainer(load_weights(config.init(&device), weights, same)?, engine), &device)
        }
        Some(("meshnet", width)) => {
            let config = MeshNetConfig::new().with_classes(classes).with_width(width.parse()?);
            serve(&explainer(load_weights(config.init(&device), weights, same)?, engine), &device)
        }
        _ => bail!("no model is called {model}"),
    }
}

/// Answers jobs until there are no more.
fn serve<const D: usize>(explainer: &Explainer<D>, device: &Device) -> anyhow::Result<()> {
    println!("ready");
    let mut inputs = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        if !inputs.contains_key(&job.inputs) {
            let bytes = std::fs::read(&job.inputs)?;
            let file = SafeTensors::deserialize(&bytes)?;
            let both = (tensor(&file, "input", device)?, tensor(&file, "masks", device)?);
            inputs.insert(job.inputs.clone(), both);
        }
        let (input, masks) = &inputs[&job.inputs];
        let milliseconds = run(explainer, input, masks, &job)?;
        println!("{{\"ms\": {milliseconds}}}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// What follows the device: `flex+tape` measures the reference engine, `cuda+chunk8` takes eight
/// targets at a time.
#[derive(Clone, Copy)]
enum Engine {
    Tape,
    Graph(usize),
}

impl FromStr for Engine {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name.strip_prefix("chunk") {
            Some(targets) => Ok(Self::Graph(targets.parse()?)),
            None if name == "tape" => Ok(Self::Tape),
            None => bail!("no engine is called {name}: known are tape and chunk8"),
        }
    }
}

fn explainer<const D: usize>(model: impl SegmentationModel<D>, engine: Engine) -> Explainer<D> {
    match engine {
        Engine::Tape => Explainer::with_engine(TapeEngine::new(model)),
        Engine::Graph(targets) => {
            Explainer::with_engine(GraphEngine::new(model).with_chunk(targets))
        }
    }
}

fn run<const D: usize>(
    explainer: &Explainer<D>,
    input: &Tensor<D>,
    masks: &Tensor<D>,
    job: &Job,
) -> anyhow::Result<f64> {
    let method = |name: &String| -> anyhow::Result<&dyn CamMethod<D>> {
        match name.as_str() {
            "seg-grad-cam" => Ok(&GradCam),
            "seg-hires-grad-cam" => Ok(&HiResCam),
            _ => bail!("no method is called {name}"),
        }
    };
    let methods = job.methods.iter().map(method).collect::<anyhow::Result<Vec<_>>>()?;
    let explainer = match &job.window {
        None => explainer.clone(),
        Some(size) => {
            let windows = Windows::monai(size.clone()).with_overlap(job.overlap).gaussian();
            windows.averaging_each().explainer(explainer)?
        }
    };
    let start = Instant::now();
    let seen = explainer.observe(input.clone())?;
    let mut requests = vec![];
    for (at, &class) in job.classes.iter().enumerate() {
        let mask = if job.discs { at } else { class };
        let pixels = |_: &Prediction<D>, _: usize| masks.clone().narrow(1, mask, 1);
        let target = seen.target(&pixels, class)?;
        for layer in &job.layers {
            let of_layer = methods.iter().map(|&method| Request::new(method, layer, &target));
            requests.extend(of_layer);
        }
    }
    let mut values: Vec<f32> = vec![];
    for map in seen.explain_all(requests) {
        values.extend_from_slice(map?.raw().to_data().as_slice::<f32>()?);
    }
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    if let Some(path) = &job.out {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(path, bytes)?;
    }
    Ok(milliseconds)
}

fn tensor<const D: usize>(
    file: &SafeTensors,
    name: &str,
    device: &Device,
) -> anyhow::Result<Tensor<D>> {
    let view = file.tensor(name).with_context(|| name.to_string())?;
    let shape: [usize; D] = view.shape().try_into()?;
    let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let values: Vec<f32> = view.data().chunks_exact(4).map(number).collect();
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}
