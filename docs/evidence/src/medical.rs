//! Retinal vessels and cell nuclei: every metric, four methods, all layers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use indicatif::ProgressIterator;
use segcam::metrics::{Metric, Noise, Protocol, Removal, Study};
use segcam::models::Pretrained;
use segcam::render::charts;
use segcam::{AllPixels, GradCam, HiResCam, PredictedClass, metric_charts};

use crate::measure::{differences, input, network, rows, table};

const METRICS: [Metric; 11] = [
    Metric::Leak,
    Metric::CompletenessError,
    Metric::FidelityR2,
    Metric::FidelityRank,
    Metric::Road,
    Metric::Deletion,
    Metric::Insertion,
    Metric::Randomization,
    Metric::Stability,
    Metric::Sensitivity,
    Metric::Agreement,
];

pub(crate) fn retina(data: &Path, out: &Path) -> Result<()> {
    let retina = data.join("retina_unet");
    let files: Vec<PathBuf> =
        ["01", "02", "08"].map(|number| retina.join(format!("images/{number}.png"))).to_vec();
    let weights = retina.join("unet_drive.safetensors");
    // The images are large: fewer fractions, samples and cells.
    let protocol = Protocol::new()
        .with_metrics(METRICS.into())
        .with_removal(Removal::new().with_fractions(vec![0.1, 0.5]))
        .with_noise(Noise::new().with_samples(2))
        .with_cells(16);
    let layers = ["enc1", "enc2", "mid", "dec2", "dec1"];
    let study = study(Pretrained::RetinaUNet, Some(&weights), &protocol, &files, &layers)?;
    report("Retina, vessels: DRIVE test images 01, 02, 08", &study, out, "retina")
}

pub(crate) fn nuclei(data: &Path, out: &Path) -> Result<()> {
    let files = held_out_nuclei(data)?;
    let protocol = nuclei_protocol().with_metrics(METRICS.into());
    let layers = ["enc1", "enc2", "enc3", "mid", "dec3", "dec2", "dec1"];
    let study = study(Pretrained::NucleiUNet, None, &protocol, &files, &layers)?;
    report("Nuclei: 20 held-out images", &study, out, "nuclei")
}

/// Three fractions of removed pixels.
pub(crate) fn nuclei_protocol() -> Protocol {
    let removal = Removal::new().with_fractions(vec![0.1, 0.5, 0.9]);
    Protocol::new().with_removal(removal).with_cells(32)
}

/// The last fifth of the images by name: those that the network was not trained on.
pub(crate) fn held_out_nuclei(data: &Path) -> Result<Vec<PathBuf>> {
    let folder = data.join("nuclei_dsb2018/images");
    let files = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files.split_off(files.len() - files.len() / 5))
}

fn study(
    known: Pretrained,
    weights: Option<&Path>,
    protocol: &Protocol,
    files: &[PathBuf],
    layers: &[&str],
) -> Result<Study> {
    let explainer = network(known, weights)?;
    let pixels = (&[&PredictedClass as _, &AllPixels as _][..], 1);
    let mut study = Study::new(0);
    for file in files.iter().progress() {
        let image = input(known, file)?;
        let found = rows(protocol, &explainer, image, pixels, &[&GradCam, &HiResCam], layers)
            .with_context(|| file.display().to_string())?;
        study.add(&file.display().to_string(), found);
    }
    Ok(study)
}

fn report(title: &str, study: &Study, out: &Path, name: &str) -> Result<()> {
    println!("### {title}\n");
    for metrics in [&METRICS[..4], &METRICS[4..7], &METRICS[7..]] {
        println!("{}", table(study, metrics));
    }
    let (first, second) = ("seg-hires-grad-cam", "seg-grad-cam");
    match study.comparison(Metric::Road, "mid", first, second) {
        Err(error) => println!("The methods are not compared: {error}.\n"),
        Ok(_) => {
            println!("Seg-HiRes-Grad-CAM minus Seg-Grad-CAM:\n");
            for metrics in [&METRICS[2..5], &METRICS[5..7], &METRICS[8..10]] {
                println!("{}", differences(study, metrics, first, second));
            }
        }
    }
    charts(title, &metric_charts(study, &METRICS))
        .save(out.join(format!("evidence-{name}.png")))?;
    Ok(())
}
