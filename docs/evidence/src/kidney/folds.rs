//! One network for each patient, trained on the others.

use std::collections::BTreeSet;

use anyhow::Result;
use segcam::Explainer;
use segcam::annotations::Confusion;
use segcam::models::UNetConfig;

use super::data::{Slice, varied};
use super::{KIDNEY, TUMOUR};
use crate::train::{Sample, cross_entropy_and_dice, train};

pub(crate) const STEPS: usize = 250;

/// Training sometimes ends with a class that is never predicted. That shows on the training slices:
/// with a Dice score below this for kidney or tumour there, it starts again from other weights.
pub(crate) const LEARNT_FROM: f64 = 0.5;
/// But no more often than so many times in all; the best one stays.
pub(crate) const ATTEMPTS: u64 = 4;

/// A network, and the slices of the patient that it has never seen.
pub(crate) struct Fold<'a> {
    pub(crate) patient: &'a str,
    pub(crate) slices: Vec<&'a Slice>,
    pub(crate) explainer: Explainer,
    pub(crate) trained_on: usize,
    pub(crate) attempts: u64,
    /// Pixels of kidney and tumour, over all slices that it was trained on.
    pub(crate) learnt: [Confusion; 2],
    /// The same over all slices of the patient.
    pub(crate) found: [Confusion; 2],
}

pub(crate) fn patients(slices: &[Slice]) -> BTreeSet<&str> {
    slices.iter().map(|slice| slice.patient.as_str()).collect()
}

pub(crate) fn fold<'a>(slices: &'a [Slice], patient: &'a str, seed: u64) -> Result<Fold<'a>> {
    let (left_out, others): (Vec<&Slice>, Vec<&Slice>) =
        slices.iter().partition(|slice| slice.patient == patient);
    let mut best = attempt(&others, seed)?;
    let mut attempts = 1;
    while least(&best.1) < LEARNT_FROM && attempts < ATTEMPTS {
        let other = attempt(&others, seed + 100 * attempts)?;
        attempts += 1;
        if least(&other.1) > least(&best.1) {
            best = other;
        }
    }
    let (explainer, learnt) = best;
    let found = counts(&explainer, &left_out)?;
    let trained_on = others.len();
    Ok(Fold { patient, slices: left_out, explainer, trained_on, attempts, learnt, found })
}

fn attempt(slices: &[&Slice], seed: u64) -> Result<(Explainer, [Confusion; 2])> {
    let samples: Vec<&Sample> = slices.iter().map(|slice| &slice.sample).collect();
    let config = UNetConfig::new(1, 3).with_widths(vec![8, 16, 32, 64]);
    let draw = |generator: &mut _| varied(&samples, generator);
    let explainer = Explainer::new(train(cross_entropy_and_dice, &config, STEPS, seed, draw));
    let learnt = counts(&explainer, slices)?;
    Ok((explainer, learnt))
}

fn least(counts: &[Confusion; 2]) -> f64 {
    counts.iter().filter_map(Confusion::dice).fold(1.0, f64::min)
}

fn counts(explainer: &Explainer, slices: &[&Slice]) -> Result<[Confusion; 2]> {
    let mut sums = [Confusion::default(); 2];
    for slice in slices {
        let seen = explainer.observe(slice.sample.input())?;
        for (sum, class) in sums.iter_mut().zip([KIDNEY, TUMOUR]) {
            add(sum, Confusion::new(&slice.truth, seen.prediction(), class)?);
        }
    }
    Ok(sums)
}

fn add(sum: &mut Confusion, one: Confusion) {
    sum.true_positives += one.true_positives;
    sum.false_positives += one.false_positives;
    sum.false_negatives += one.false_negatives;
    sum.true_negatives += one.true_negatives;
}
