//! Random U-Nets against captum (raw maps) and pytorch-grad-cam (final maps).
//!
//! The fixtures come from `reference/generate.py`, which says how each was made.

use burn::tensor::Device;
use segcam::models::{UNetConfig, Upsampling, load_weights};
use segcam::pixels::{Mask, Vocabulary};
use segcam::{Explainer, Normalize, Observation, OnPixels, PixelSet, SegGradCam, SegHiResGradCam};
use segcam_tests::{Fixture, host, noise, reference, relative_error};

fn check(name: &str, config: UNetConfig) {
    let device = Device::flex();
    let weights = reference().join(format!("{name}.weights.safetensors"));
    let unet =
        load_weights(config.init(&device), &weights, str::to_string).expect("weights that fit");
    let fixture = Fixture::open(&reference().join(format!("{name}.maps.safetensors")));
    let seen = Explainer::new(unet).observe(fixture.tensor("input")).expect("a pass");

    let logits = host(&fixture.tensor::<4>("logits"));
    let error = relative_error(&host(&seen.logits()), &logits);
    assert!(error < 1e-5, "logits of {name}: {error:e}");

    let (mut raw_maps, mut worst_raw) = (0, 0f32);
    let (mut final_maps, mut worst_final) = (0, 0f32);
    for key in fixture.names() {
        let Some((kind, key_rest)) = key.split_once('/') else {
            continue;
        };
        let [class, set, layer, method] =
            key_rest.split('/').collect::<Vec<_>>().try_into().expect("four parts");
        let class = class.parse().expect("a class");
        let map = explain(&seen, &fixture, class, set, layer, method);
        let wanted = host(&fixture.tensor::<4>(&key));
        if kind == "raw" {
            let error = relative_error(&host(map.raw()), &wanted);
            assert!(error < 1e-4, "{name}/{key}: {error:e}");
            worst_raw = worst_raw.max(error);
            raw_maps += 1;
        } else {
            let error = relative_error(&host(&map.heat_map(Normalize::MinMax)), &wanted);
            assert!(error < 1e-3, "{name}/{key}: {error:e}");
            worst_final = worst_final.max(error);
            final_maps += 1;
        }
    }
    assert!(raw_maps >= 40 && final_maps >= 8, "{raw_maps} and {final_maps} maps");
    println!(
        "{name}: {raw_maps} raw maps {worst_raw:.1e}, {final_maps} final maps {worst_final:.1e}"
    );
}

fn explain(
    seen: &Observation,
    fixture: &Fixture,
    class: usize,
    set: &str,
    layer: &str,
    method: &str,
) -> segcam::Explanation {
    let pixels: Box<dyn PixelSet> = match set {
        "mask" => Box::new(Mask::new(fixture.tensor(&format!("mask.{class}")))),
        text => Vocabulary::new().parse(text).expect("a pixel set"),
    };
    let method: Box<dyn OnPixels> = match method {
        "seg-grad-cam" => Box::new(SegGradCam::new(pixels)),
        "seg-hires-grad-cam" => Box::new(SegHiResGradCam::new(pixels)),
        other => panic!("{other}"),
    };
    seen.explain(&*method, layer, class).unwrap_or_else(|error| panic!("{set} {layer}: {error}"))
}

#[test]
fn three_classes_and_a_batch() {
    check("three-classes", UNetConfig::new(3, 3).with_widths(vec![4, 6, 8]));
}

#[test]
fn a_checkpoint_below_a_prefix_is_the_same_network() {
    let load = |file: &str| {
        let unet = UNetConfig::new(1, 1).with_widths(vec![4, 6, 8]).init(&Device::flex());
        let unet = load_weights(unet, &reference().join(file), str::to_string);
        let seen = Explainer::new(unet.expect("weights that fit")).observe(noise(5, [1, 1, 9, 8]));
        host(&seen.expect("a pass").logits())
    };
    assert_eq!(load("binary.pth"), load("binary.weights.safetensors"));
}

#[test]
fn binary_with_odd_sides() {
    check("binary", UNetConfig::new(1, 1).with_widths(vec![4, 6, 8]));
}

#[test]
fn nearest_upsampling_without_batch_norm() {
    let config = UNetConfig::new(1, 2)
        .with_widths(vec![3, 5, 7])
        .with_batch_norm(false)
        .with_upsampling(Upsampling::Nearest)
        .with_skip_first(true)
        .with_double_conv(false)
        .with_head_relu(true);
    check("nearest", config);
}

#[test]
fn four_levels_of_odd_sides() {
    check("deep", UNetConfig::new(2, 4).with_widths(vec![3, 4, 5, 6, 7]));
}
