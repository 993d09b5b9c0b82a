//! The paper's third experiment: the same images at a quarter, half, once and twice the size.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};
use image::imageops::FilterType;
use segcam::core::upsample;
use segcam::metrics::{Metric, Protocol, Removal, Study, spearman};
use segcam::models::{Channels, Pretrained, Recipe};
use segcam::{CamMethod, Explainer, GradCam, HiResCam, Observation, PredictedClass, Request};

use crate::measure::{input, network, rows, short};

const METRICS: [Metric; 3] = [Metric::Road, Metric::Deletion, Metric::Stability];
const SCALES: [f64; 4] = [0.25, 0.5, 1.0, 2.0];
const LAYERS: [&str; 2] = ["mid", "dec1"];
const METHODS: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];

/// A network, its input at any scale, and how good a prediction is.
struct Case<'a> {
    name: &'static str,
    explainer: Explainer,
    class: usize,
    quality: &'static str,
    at: Box<dyn Fn(f64) -> Result<Tensor<4>> + 'a>,
    judge: Box<dyn Fn(&Observation) -> f64 + 'a>,
}

pub(crate) fn run(data: &Path, _out: &Path) -> Result<()> {
    for case in [retina(data)?, street(data)?] {
        println!("### {}\n", case.name);
        println!(
            "| scale | input | {} | seconds | layer | method | like scale 1 | road | deletion | \
             stability |",
            case.quality
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        let whole = maps(&case, &case.explainer.observe((case.at)(1.0)?)?)?;
        for scale in SCALES {
            print(&case, scale, &whole)?;
        }
        println!("\n{}\n", smallest(&case)?);
    }
    Ok(())
}

/// The raw maps of every layer and method at one size.
fn maps(case: &Case, seen: &Observation) -> Result<Vec<Tensor<4>>> {
    let target = seen.target(&PredictedClass, case.class)?;
    let mut found = vec![];
    for layer in LAYERS {
        for method in METHODS {
            found.push(seen.answer(&Request::new(method, layer, &target))?.raw().clone());
        }
    }
    Ok(found)
}

fn print(case: &Case, scale: f64, whole: &[Tensor<4>]) -> Result<()> {
    let image = (case.at)(scale)?;
    let [_, _, height, width] = image.dims();
    let start = Instant::now();
    let seen = case.explainer.observe(image.clone())?;
    let forward = start.elapsed();
    let quality = (case.judge)(&seen);
    if seen.prediction().predicted(case.class).sum().into_scalar::<f32>() == 0.0 {
        let nothing = "the class is not predicted";
        println!("| {scale} | {height}×{width} | {} | {nothing} | | | | | | |", short(quality));
        return Ok(());
    }
    let start = Instant::now();
    let found = maps(case, &seen)?;
    let seconds = (forward + start.elapsed()).as_secs_f64();
    drop(seen);
    let protocol = Protocol::new()
        .with_metrics(METRICS.into())
        .with_removal(Removal::new().with_fractions(vec![0.1, 0.5]))
        .with_controls(false);
    let pixels = (&[&PredictedClass as _][..], case.class);
    let mut study = Study::new(0);
    study.add("", rows(&protocol, &case.explainer, image, pixels, &METHODS, &LAYERS)?);
    for ((map, whole), (method, layer)) in found.iter().zip(whole).zip(study.maps()) {
        let size = &whole.dims()[2..];
        let values = |map: Tensor<4>| map.into_data().iter::<f64>().collect::<Vec<f64>>();
        let like = spearman(&values(upsample(map.clone(), size)), &values(whole.clone()))?;
        let metric =
            |metric| study.summary(method, layer, metric).map_or("–".into(), |s| short(s.mean));
        println!(
            "| {scale} | {height}×{width} | {} | {} | {layer} | {method} | {} | {} | {} | {} |",
            short(quality),
            short(seconds),
            short(like),
            metric(Metric::Road),
            metric(Metric::Deletion),
            metric(Metric::Stability)
        );
    }
    Ok(())
}

/// The smallest input that the network takes, and what it says of the next smaller one.
fn smallest(case: &Case) -> Result<String> {
    let mut last = None;
    for size in [64, 32, 16, 8, 4, 2, 1] {
        let image = upsample((case.at)(1.0)?, &[size, size]);
        match case.explainer.observe(image) {
            Ok(_) => last = Some(size),
            Err(error) => {
                let works = last.map_or("–".to_string(), |size: usize| format!("{size}×{size}"));
                return Ok(format!(
                    "Smallest square that works: {works}. At {size}×{size}: “{error}”."
                ));
            }
        }
    }
    Ok("Every size down to 1×1 works.".into())
}

/// DRIVE image 01: Dice of the vessels inside the field of view.
fn retina(data: &Path) -> Result<Case<'static>> {
    let folder = data.join("retina_unet");
    let known = Pretrained::RetinaUNet;
    let clean = input(known, &folder.join("images/01.png"))?;
    let mask = |kind: &str| -> Result<Vec<bool>> {
        let path = folder.join(kind).join("01.png");
        let image = image::open(&path).with_context(|| path.display().to_string())?.to_luma8();
        Ok(image.pixels().map(|pixel| pixel.0[0] > 0).collect())
    };
    let (manual, inside) = (mask("manual")?, mask("fov")?);
    let judge = move |seen: &Observation| {
        // The padded input is wider than the image.
        let probability = upsample(seen.prediction().probability(1), &[584, 568]);
        let vessel: Vec<f32> = probability.into_data().iter::<f32>().collect();
        let (mut both, mut all) = (0, 0);
        for at in (0..manual.len()).filter(|&at| inside[at]) {
            let found = vessel[at / 565 * 568 + at % 565] > 0.5;
            both += usize::from(found && manual[at]);
            all += usize::from(found) + usize::from(manual[at]);
        }
        2.0 * both as f64 / all as f64
    };
    let at = move |scale: f64| {
        // Multiples of 4, as the network wants.
        let side = |side: usize| ((side as f64 * scale / 4.0).round() * 4.0) as usize;
        let [_, _, height, width] = clean.dims();
        Ok(upsample(clean.clone(), &[side(height), side(width)]))
    };
    Ok(Case {
        name: "Retina U-Net, DRIVE 01, vessels",
        explainer: network(known, Some(&folder.join("unet_drive.safetensors")))?,
        class: 1,
        quality: "Dice",
        at: Box::new(at),
        judge: Box::new(judge),
    })
}

/// The street scene, from the original 2048×1024 pixels: mean IoU over the classes present.
fn street(data: &Path) -> Result<Case<'static>> {
    let folder = data.join("street_espnet");
    let name = "frankfurt_000001_058914";
    let frame = image::open(folder.join(format!("images/{name}_leftImg8bit.png")))?;
    let truth = image::open(folder.join(format!("labels/{name}_trainIds.png")))?.to_luma8();
    let truth = image::imageops::resize(&truth, 1024, 512, FilterType::Nearest);
    let truth: Vec<u8> = truth.into_raw();
    let judge = move |seen: &Observation| mean_iou(seen, &truth);
    let at = move |scale: f64| {
        let size = Some([(512.0 * scale) as usize, (1024.0 * scale) as usize]);
        let recipe = Recipe {
            channels: Some(Channels::Bgr),
            scale: 1.0,
            mean: vec![72.392_31, 82.908_936, 73.158_4],
            std: vec![45.319_22, 46.152_893, 44.914_833],
            size,
        };
        Ok(recipe.apply(&frame, &Device::flex())?.input / 255.0)
    };
    Ok(Case {
        name: "ESPNet, Cityscapes frame, car",
        explainer: network(Pretrained::EspNet, Some(&folder.join("espnet_p_2_q_8.safetensors")))?,
        class: 13,
        quality: "mIoU",
        at: Box::new(at),
        judge: Box::new(judge),
    })
}

fn mean_iou(seen: &Observation, truth: &[u8]) -> f64 {
    let scores = upsample(seen.logits().narrow(1, 0, 19), &[512, 1024]);
    let labels: Tensor<4, Int> = scores.argmax(1);
    let data: TensorData = labels.into_data();
    let labels: Vec<u8> = data.iter::<i64>().map(|label| label as u8).collect();
    let mut ious = vec![];
    for class in 0..19 {
        let pairs = labels.iter().zip(truth).filter(|(_, truth)| **truth != 255);
        let (mut both, mut either, mut there) = (0, 0, false);
        for (label, truth) in pairs {
            both += usize::from(*label == class && *truth == class);
            either += usize::from(*label == class || *truth == class);
            there |= *truth == class;
        }
        if there {
            ious.push(f64::from(both as u32) / f64::from(either as u32));
        }
    }
    ious.iter().sum::<f64>() / ious.len() as f64
}
