//! ONNX files: small networks of both exporters beside PyTorch, each operator beside onnxruntime.

use std::path::Path;

use burn::backend::Dispatch;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use segcam::engine::TapeEngine;
use segcam::models::{Pretrained, Upsampling};
use segcam::onnx::{OnnxFile, OnnxModel};
use segcam::{AllPixels, EngineKind, Explainer, HiResCam, Layers, Observation, SegmentationModel};
use segcam_graph::{Constants, Graph, Keep, Network, Target};
use segcam_tests::zoo::compare;
use segcam_tests::{Fixture, host, methods, noise, relative_error, seeded_net, to_onnx};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx")
}

#[test]
fn small_networks_agree_with_pytorch_on_the_graph_engine() {
    let entries = std::fs::read_dir(folder()).expect("fixtures").flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.strip_suffix(".onnx").map(String::from)
    });
    let names: Vec<String> = names.collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let row = compare(&folder(), &name);
        println!("{row:?}");
        assert!(row.logits_error < 1e-5 && row.maps_error < 1e-4, "{row:?}");
        assert_eq!(row.engine, "graph", "{name}");
    }
}

/// Convolutions whose weights depend on the image: burn's tape answers.
const TAPE_ONLY: [&str; 1] = ["Conv.2d.weight_of_x"];

/// What is refused, and with which words.
const REFUSED: [(&str, &str); 1] =
    [("MaxPool.3d.indices", "indices are supported for images [N, C, H, W]")];

#[test]
fn operators_agree_with_onnxruntime_and_their_gradients_with_finite_differences() {
    let fixture = Fixture::open(&folder().join("operators.safetensors"));
    let names = fixture.names();
    let cases: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix("/model")).collect();
    let mut wrong = vec![];
    for case in &cases {
        let rank = fixture.shape(&format!("{case}/x")).len();
        let checked = std::panic::catch_unwind(|| match rank {
            4 => check_operator::<4>(&fixture, case),
            _ => check_operator::<5>(&fixture, case),
        });
        let refused = REFUSED.iter().find(|(refused, _)| refused == case);
        match (checked, refused) {
            (Ok(Ok(())), None) => {}
            (Ok(Err(reason)), Some((_, words))) if reason.ends_with(words) => {}
            (Ok(Ok(())), Some(_)) => wrong.push(format!("{case} is no longer refused")),
            (Ok(Err(reason)), _) => wrong.push(format!("{case}: {reason}")),
            (Err(_), _) => wrong.push(format!("{case}: panics")),
        }
    }
    assert!(cases.len() > 200, "{} cases", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} cases", cases.len());
}

fn check_operator<const D: usize>(fixture: &Fixture, case: &str) -> Result<(), String> {
    let part = |name: &str| fixture.tensor::<D>(&format!("{case}/{name}"));
    let file = OnnxFile::from_bytes(fixture.bytes(&format!("{case}/model")));
    let file = file.map_err(|error| error.to_string())?;
    let device = Device::flex();
    let model: OnnxModel<D> = file.load(&device).map_err(|error| error.to_string())?;

    let (x, wanted) = (part("x"), part("y"));
    let close = |what: &str, given: &[f32], wanted: &[f32], limit| {
        let error = relative_error(given, wanted);
        if error < limit { Ok(()) } else { Err(format!("{what}: {error:e}")) }
    };
    let y = model.run(x.clone(), &mut Layers::ignored());
    let y = y.map_err(|error| error.to_string())?;
    if y.dims() != wanted.dims() {
        return Err(format!("shape {:?} instead of {:?}", y.dims(), wanted.dims()));
    }
    close("forward", &host(&y), &host(&wanted), 1e-5)?;
    if !fixture.names().contains(&format!("{case}/grad")) {
        return Ok(());
    }

    let (weights, wanted) = (part("w"), host(&part("grad")));
    let leaf = x.clone().autodiff().require_grad();
    let y = model.forward(leaf.clone(), &mut Layers::ignored());
    let mut tape = (y * weights.clone().autodiff()).sum().backward();
    let gradient = leaf.grad_remove(&mut tape).ok_or("no gradient on the tape")?;
    close("gradient on the tape", &host(&gradient), &wanted, 1e-3)?;

    if TAPE_ONLY.contains(&case) {
        return Ok(());
    }
    let gradient = graph_gradient(&model, x, weights)?;
    close("gradient of the graph", &host(&gradient), &wanted, 1e-3)
}

fn graph_gradient<const D: usize>(
    model: &OnnxModel<D>,
    x: Tensor<D>,
    weights: Tensor<D>,
) -> Result<Tensor<D>, String> {
    let graph = Graph::capture(x.dims(), |input, names| {
        let model = model.valid().to_device(&input.device());
        model.forward(names.name("x", input), &mut Layers::ignored())
    });
    let device = x.device();
    let network = graph
        .and_then(|graph| {
            Network::<Dispatch>::new(graph, device.as_dispatch(), &Constants::default())
        })
        .map_err(|error| error.to_string())?;
    let node = network.graph().nodes().iter().find(|node| node.name == "x").ok_or("no input")?;
    let run = network
        .run(x.into_dispatch(), Keep { nodes: &[node], ..Keep::default() })
        .map_err(|error| error.to_string())?;
    let target = Target { channels: vec![(0, 1.0)], weights: weights.into_dispatch() };
    let mut found = None;
    run.reverse(&[target], &[node], |_, gradient| found = Some(Tensor::from_dispatch(gradient)));
    found.ok_or_else(|| "no gradient in the graph".into())
}

#[test]
fn a_network_written_by_burn_onnx_gives_the_same_maps() {
    let layers = ["mid", "dec1"];
    // burn-onnx 0.22 does not write transposed convolutions.
    let nuclei = Pretrained::nuclei_config().with_upsampling(Upsampling::Nearest);
    for (config, name) in [(nuclei, "nuclei"), (Pretrained::retina_config(), "retina")] {
        let unet = seeded_net(7, |device| config.init(device)).valid();
        let image = noise(8, [1, 1, 32, 24]);
        let file = OnnxFile::from_bytes(to_onnx(&unet, image.dims(), layers)).expect("a model");
        let tensors: Vec<String> = file.outputs()[1..].iter().map(ToString::to_string).collect();
        let model = file.load::<4>(&Device::flex()).expect("a network");
        let (ours, theirs) = (Explainer::new(unet), Explainer::new(model));
        let (ours, theirs) =
            (ours.observe(image.clone()).expect("a pass"), theirs.observe(image).expect("a pass"));
        let error = relative_error(&host(&theirs.logits()), &host(&ours.logits()));
        assert!(error < 1e-5, "{name}: {error:e}");
        assert_eq!(theirs.engine(), &EngineKind::Graph);
        for (layer, tensor) in layers.into_iter().zip(&tensors) {
            for method in methods::<4>(AllPixels) {
                let map =
                    |seen: &Observation, layer| seen.explain(&*method, layer, 1).expect("a map");
                let (given, wanted) = (map(&theirs, tensor), map(&ours, layer));
                let error = relative_error(&host(given.raw()), &host(wanted.raw()));
                assert!(error < 1e-5, "{name} {layer} {}: {error:e}", method.method().name());
            }
        }
    }
}

#[test]
fn every_tensor_of_a_file_is_a_layer_and_both_engines_agree_on_it() {
    let fixture = Fixture::open(&folder().join("tiny-deeplab.safetensors"));
    let image: Tensor<4> = fixture.tensor("input");
    let model = OnnxFile::open(folder().join("tiny-deeplab.onnx")).expect("a model");
    let model = model.load::<4>(&Device::flex()).expect("a network");
    let tape = Explainer::with_engine(TapeEngine::new(model.clone())).observe(image.clone());
    let tape = tape.expect("a pass");
    let graph = Explainer::new(model).observe(image).expect("a pass");

    let names = |seen: &Observation| -> Vec<String> {
        let all = [seen.layers(), seen.operations()].concat();
        all.into_iter().filter(|layer| layer.shape.len() == 4).map(|layer| layer.name).collect()
    };
    let known = names(&graph);
    let mut compared = 0;
    for name in names(&tape) {
        assert!(known.contains(&name), "{name}");
        let map = |seen: &Observation| seen.explain(&HiResCam, &name, 1);
        let (Ok(given), Ok(wanted)) = (map(&graph), map(&tape)) else {
            assert!(map(&graph).is_err() && map(&tape).is_err(), "{name}");
            continue;
        };
        let error = relative_error(&host(given.raw()), &host(wanted.raw()));
        assert!(error < 1e-4, "{name}: {error:e}");
        compared += 1;
    }
    assert!(compared > 40, "{compared} layers");
}

#[test]
fn the_page_lists_every_operator() {
    let page = std::fs::read_to_string(folder().join("../../docs/onnx.md")).expect("docs/onnx.md");
    let words: Vec<&str> = page.split_whitespace().collect();
    let missing: Vec<&str> =
        segcam::onnx::operators().into_iter().filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
