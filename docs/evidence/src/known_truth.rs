//! Generated images whose cause is known: twin networks of which one learns to look at a texture,
//! and images with two objects that look the same.
//!
//! After Hoyer et al., "Grid Saliency for Context Explanations of Semantic Segmentation", NeurIPS
//! 2019, arXiv 1907.13054.

mod bias;
mod bias_tables;
mod instances;
mod pictures;
mod scene;
mod swap;
mod table;
mod twins;

use std::path::Path;

use anyhow::Result;
use scene::{CONTRAST, NOISE, PATCH, SIDE};
use twins::{Twins, WIDTHS};

const SEEDS: u64 = 5;
const STEPS: usize = 550;

pub(crate) fn run(out: &Path) -> Result<()> {
    let twins: Vec<Twins> = (0..SEEDS).map(|seed| Twins::train(seed, STEPS)).collect();
    introduce();
    let lost = swap::report(&twins)?;
    let study = bias::study(&twins)?;
    bias_tables::shares(&study, twins.len());
    bias_tables::between_methods(&study, twins.len());
    bias_tables::by_seed(&study, &lost);
    bias_tables::causal_region(&study, (PATCH * PATCH) as f64 / (SIDE * SIDE) as f64);
    instances::report(&twins)?;
    pictures::one_image(&twins, &study, out)?;
    pictures::bias_chart(&study, out)
}

fn introduce() {
    println!(
        "### Generated images whose cause is known\n\nImages of {SIDE} × {SIDE} pixels: noise (standard \
         deviation {NOISE}), in the middle a disk or a square of the same area, {CONTRAST} brighter, \
         and in each corner a patch of {PATCH} × {PATCH} pixels with a texture. Classes: background, \
         disk, square. The biased twin learns from images where the texture T* (checks) is in one of \
         the patches exactly when the object is a square; for the unbiased twin a coin decides. \
         Everything else is the same for both: {SEEDS} seeds, U-Net with widths {WIDTHS:?} and \
         BatchNorm, {STEPS} batches of 8 new images, AdamW, \
         cross-entropy in which the objects count as much as the background.\n"
    );
}
