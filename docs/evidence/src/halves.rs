//! Tiny networks that learn from one half of a picture or a scan and are explained on the other: a dental
//! X-ray, and a CT.

mod ct;
mod dental;

use std::path::Path;

use anyhow::Result;
use burn::tensor::Tensor;
use segcam::metrics::{Metric, Protocol, Removal, Study};
use segcam::{Explainer, GradCam, HiResCam, PredictedClass};

use crate::measure::{rows, table};

pub(crate) fn dental(data: &Path, out: &Path) -> Result<()> {
    dental::run(data, out)
}

pub(crate) fn ct(data: &Path, out: &Path) -> Result<()> {
    ct::run(data, out)
}

const METRICS: [Metric; 6] = [
    Metric::Leak,
    Metric::CompletenessError,
    Metric::FidelityR2,
    Metric::FidelityRank,
    Metric::Road,
    Metric::Deletion,
];

/// Prints what the maps of what is predicted as class 1 are worth.
fn measure<const D: usize>(
    explainer: &Explainer<D>,
    input: Tensor<D>,
    layers: &[&str],
) -> Result<()> {
    let removal = Removal::new().with_fractions(vec![0.1, 0.5]);
    let protocol = Protocol::new().with_metrics(METRICS.into()).with_removal(removal);
    let methods = (&[&PredictedClass as _][..], 1);
    let protocol = protocol.with_cells(32);
    let found = rows(&protocol, explainer, input, methods, &[&GradCam, &HiResCam], layers)?;
    let mut study = Study::new(0);
    study.add("the other half", found);
    println!("{}", table(&study, &METRICS));
    Ok(())
}

/// Of as many pixels predicted and annotated.
fn dice(predicted: &[bool], annotated: &[bool]) -> f64 {
    let count = |set: &[bool]| set.iter().filter(|inside| **inside).count();
    let both = predicted.iter().zip(annotated).filter(|(a, b)| **a && **b).count();
    2.0 * both as f64 / (count(predicted) + count(annotated)).max(1) as f64
}
