//! The slices, and how they are varied in training.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::imageops::{FilterType, resize};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use segcam::annotations::GroundTruth;

use crate::train::{Sample, below};

/// Side of what the network sees.
pub(crate) const SIDE: usize = 128;

pub(crate) struct Slice {
    pub(crate) name: String,
    pub(crate) patient: String,
    pub(crate) sample: Sample,
    pub(crate) truth: GroundTruth,
}

/// All slices, by patient and number.
pub(crate) fn slices(folder: &Path) -> Result<Vec<Slice>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(folder.join("images"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name.ends_with(".png"));
    names.sort();
    ensure!(!names.is_empty(), "there are no slices in {}", folder.display());
    names.iter().map(|name| slice(folder, name)).collect()
}

fn slice(folder: &Path, file: &str) -> Result<Slice> {
    let image = image::open(folder.join("images").join(file))?.into_luma8();
    let image = resize(&image, SIDE as u32, SIDE as u32, FilterType::Triangle);
    let truth = GroundTruth::from_image(folder.join("labels").join(file))?.resized([SIDE, SIDE])?;
    truth.check(3)?;
    let (patient, _) = file.split_once('_').context("file names are patient_slice.png")?;
    let sample = Sample {
        image: image.iter().map(|&value| f32::from(value) / 255.0).collect(),
        labels: truth.labels().iter().map(|&label| label as u8).collect(),
    };
    let name = file.trim_end_matches(".png").to_string();
    Ok(Slice { name, patient: patient.to_string(), sample, truth })
}

/// One of the samples: half of the time mirrored, then moved by up to a tenth, scaled by up to a
/// sixth, brighter or darker and of more or less contrast by up to a tenth.
pub(crate) fn varied(samples: &[&Sample], generator: &mut ChaCha8Rng) -> Sample {
    let sample = samples[below(generator, samples.len())];
    let sample = if below(generator, 2) == 0 { sample.clone() } else { sample.mirrored() };
    let mut around = |most: f32| generator.random_range(-most..=most);
    let scale = 1.0 + around(1.0 / 6.0);
    let middle = (SIDE - 1) as f32 / 2.0;
    let shift = [0; 2].map(|_| around(0.1 * SIDE as f32));
    let (contrast, brightness) = (1.0 + around(0.1), around(0.1));
    let from = |at: usize, shift: f32| (at as f32 - middle) * scale + middle + shift;
    let places =
        || (0..SIDE * SIDE).map(|at| [from(at / SIDE, shift[0]), from(at % SIDE, shift[1])]);
    Sample {
        image: places().map(|at| contrast * between(&sample.image, at) + brightness).collect(),
        labels: places().map(|at| nearest(&sample.labels, at)).collect(),
    }
}

/// Outside there is what is at the border.
fn inside(at: f32) -> f32 {
    at.clamp(0.0, (SIDE - 1) as f32)
}

fn nearest(labels: &[u8], at: [f32; 2]) -> u8 {
    let [y, x] = at.map(|at| inside(at).round() as usize);
    labels[y * SIDE + x]
}

/// Bilinear.
fn between(image: &[f32], at: [f32; 2]) -> f32 {
    let [(y, down), (x, right)] = at.map(|at| {
        let low = inside(at).floor().min((SIDE - 2) as f32);
        (low as usize, inside(at) - low)
    });
    let row = |y: usize| {
        let (left, next) = (image[y * SIDE + x], image[y * SIDE + x + 1]);
        left + (next - left) * right
    };
    row(y) + (row(y + 1) - row(y)) * down
}
