//! ONNX networks beside what PyTorch says of them: files that `onnx/networks.py` writes.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Tensor;
use segcam::onnx::OnnxFile;
use segcam::pixels::Mask;
use segcam::{CamMethod, Explainer, GradCam, HiResCam, Request};
use serde::Serialize;

use crate::{Fixture, device, host, relative_error};

/// How close one network comes to PyTorch's double precision.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Name of the network.
    pub network: String,
    /// Nodes in the file.
    pub nodes: usize,
    /// Different operators in the file.
    pub operators: usize,
    /// Weights in the file.
    pub parameters: usize,
    /// The exporter of PyTorch, and the opset.
    pub export: String,
    /// Largest error of the class scores, relative to their largest absolute value.
    pub logits_error: f32,
    /// The same over all maps, each relative to its own largest absolute value.
    pub maps_error: f32,
    /// What PyTorch's own single precision errs.
    pub torch_float32_error: f32,
    /// What computed the gradients.
    pub engine: String,
    /// Seconds for reading the file.
    pub load_seconds: f64,
    /// Seconds for the first forward pass, with everything that is prepared for it.
    pub forward_seconds: f64,
    /// Seconds for all maps.
    pub maps_seconds: f64,
}

/// Compares the network `name` of a folder.
///
/// # Panics
/// If its files are missing or cannot be used.
pub fn compare(folder: &Path, name: &str) -> Row {
    let model = folder.join(format!("{name}.onnx"));
    let fixture = Fixture::open(&folder.join(format!("{name}.safetensors")));
    let start = Instant::now();
    let file = OnnxFile::open(&model).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(file.scores(), fixture.meta("output"), "{name}: class scores");
    match file.rank() {
        4 => row::<4>(name, file, &fixture, start),
        _ => row::<5>(name, file, &fixture, start),
    }
}

fn row<const D: usize>(name: &str, file: OnnxFile, fixture: &Fixture, start: Instant) -> Row {
    let device = device();
    let model = file.load::<D>(&device).unwrap_or_else(|error| panic!("{name}: {error}"));
    let load_seconds = start.elapsed().as_secs_f64();
    let input: Tensor<D> = fixture.tensor("input");
    let start = Instant::now();
    let seen = Explainer::new(model).observe(input.to_device(&device));
    let seen = seen.unwrap_or_else(|error| panic!("{name}: {error}"));
    let logits = host(&seen.logits());
    let forward_seconds = start.elapsed().as_secs_f64();
    let logits_error = relative_error(&logits, &host(&fixture.tensor::<D>("logits")));

    let layers: serde_json::Value =
        serde_json::from_str(&fixture.meta("layers")).expect("layers as JSON");
    let keys: Vec<String> =
        fixture.names().into_iter().filter(|key| key.contains("/seg-")).collect();
    let requests: Vec<Request<D>> = keys
        .iter()
        .map(|key| {
            let [layer, class, method] = key.split('/').collect::<Vec<_>>()[..] else {
                panic!("{key}");
            };
            let mask = Mask::new(fixture.tensor::<D>(&format!("{layer}/{class}/mask")));
            let method: &dyn CamMethod<D> = match method {
                "seg-grad-cam" => &GradCam,
                "seg-hires-grad-cam" => &HiResCam,
                other => panic!("{other}"),
            };
            let layer = layers[layer].as_str().expect("a layer's name");
            let target = seen.target(&mask, class.parse().expect("a class"));
            Request::new(method, layer, &target.expect("a target"))
        })
        .collect();
    let start = Instant::now();
    let mut maps_error = 0f32;
    for (key, map) in keys.iter().zip(seen.explain_all(requests)) {
        let map = map.unwrap_or_else(|error| panic!("{name} {key}: {error}"));
        let error = relative_error(&host(map.raw()), &host(&fixture.tensor::<D>(key)));
        maps_error = maps_error.max(error);
    }
    assert!(keys.len() >= 4, "{name}: {} maps", keys.len());
    let operators: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&fixture.meta("operators")).expect("operators as JSON");
    Row {
        network: name.to_string(),
        nodes: operators.values().filter_map(serde_json::Value::as_u64).sum::<u64>() as usize,
        operators: operators.len(),
        parameters: fixture.meta("parameters").parse().expect("a number"),
        export: format!("{} {}", fixture.meta("exporter"), fixture.meta("opset")),
        logits_error,
        maps_error,
        torch_float32_error: fixture.meta("float32_error").parse().expect("a number"),
        engine: seen.engine().to_string(),
        load_seconds,
        forward_seconds,
        maps_seconds: start.elapsed().as_secs_f64(),
    }
}
