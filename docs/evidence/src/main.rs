//! The experiments of `docs/evidence.md`: each prints its tables as Markdown and writes its pictures.
//!
//! ```sh
//! cargo run --release -p segcam-evidence -- known-truth
//! ```

mod blending;
mod cascade;
mod halves;
mod kidney;
mod known_truth;
mod measure;
mod medical;
mod pixel_sets;
mod resolution;
mod street;
mod train;
mod window;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    experiment: Experiment,

    /// Folder for the pictures
    #[arg(long, global = true, default_value = "target/evidence")]
    out: PathBuf,

    /// Folder of the real networks and images
    #[arg(long, global = true, env = "SEGCAM_DATA", default_value = "../shared/data")]
    data: PathBuf,
}

#[derive(Clone, Copy, Subcommand)]
enum Experiment {
    /// Generated images whose cause is known: bias share, swap test, instance index
    KnownTruth,
    /// A street scene at every level of ESPNet: road, person, car
    Street,
    /// The same nuclei asked about different pixels
    PixelSets,
    /// Retina and street at a quarter, half, once and twice the size
    Resolution,
    /// Retina: every metric, four methods, all layers
    Retina,
    /// Nuclei: every metric, four methods, all layers
    Nuclei,
    /// Nuclei: weights made random layer by layer
    Cascade,
    /// A small U-Net on kidney CT, leave one patient out: hits, false alarms, misses
    Kidney,
    /// Between raw and averaged gradients: a growing window
    Window,
    /// A dental X-ray: a tiny U-Net that learns from its left half, explained on its right half
    Dental,
    /// A CT: a tiny network for volumes that learns from one half of the body, explained on the other
    Ct,
    /// A brain seen whole and through windows, and other ways of stitching maps together
    Blending,
}

fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out)?;
    match args.experiment {
        Experiment::KnownTruth => known_truth::run(&args.out),
        Experiment::Street => street::run(&args.data, &args.out),
        Experiment::PixelSets => pixel_sets::run(&args.data, &args.out),
        Experiment::Resolution => resolution::run(&args.data, &args.out),
        Experiment::Retina => medical::retina(&args.data, &args.out),
        Experiment::Nuclei => medical::nuclei(&args.data, &args.out),
        Experiment::Cascade => cascade::run(&args.data, &args.out),
        Experiment::Window => window::run(&args.data, &args.out),
        Experiment::Blending => blending::run(&args.data),
        Experiment::Dental => halves::dental(&args.data, &args.out),
        Experiment::Ct => halves::ct(&args.data, &args.out),
        Experiment::Kidney => kidney::run(&folder(&args.data, "kits19_ct")?, &args.out),
    }
}

fn folder(data: &Path, name: &str) -> Result<PathBuf> {
    let path = data.join(name);
    ensure!(path.is_dir(), "there is no folder {}: say where with --data", path.display());
    Ok(path)
}
