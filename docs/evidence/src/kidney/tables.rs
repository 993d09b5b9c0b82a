//! The tables, as Markdown.

use std::collections::BTreeMap;

use segcam::annotations::Confusion;
use segcam::metrics::{Better, Metric, Study, Summary};

use super::folds::Fold;
use super::measure::{LAYERS, METRICS, Measured};

pub(crate) const GRAD: &str = "seg-grad-cam";
pub(crate) const HIRES: &str = "seg-hires-grad-cam";

/// Seed of the bootstrap.
const SEED: u64 = 0;

pub(crate) fn study<'a>(measured: impl IntoIterator<Item = &'a Measured>) -> Study {
    let mut study = Study::new(SEED);
    for one in measured {
        study.add(&one.slice, one.rows.iter().cloned());
    }
    study
}

/// Dice scores on the training slices and of the left-out patients.
pub(crate) fn dice(folds: &[Fold]) {
    println!(
        "| left-out patient | slices | with tumour | trained on | attempts | training Dice kidney, tumour \
         | left-out Dice kidney | left-out Dice tumour | tumour px hit / false / missed |"
    );
    println!("|{}", "---|".repeat(9));
    for fold in folds {
        let learnt = fold.learnt.map(score);
        let found = fold.found.map(score);
        let with_tumour = fold.slices.iter().filter(|slice| slice.sample.labels.contains(&2));
        let [_, tumour] = fold.found;
        println!(
            "| {} | {} | {} | {} | {} | {}, {} | {} | {} | {} / {} / {} |",
            fold.patient,
            fold.slices.len(),
            with_tumour.count(),
            fold.trained_on,
            fold.attempts,
            learnt[0],
            learnt[1],
            found[0],
            found[1],
            tumour.true_positives,
            tumour.false_positives,
            tumour.false_negatives
        );
    }
    println!();
}

fn score(counts: Confusion) -> String {
    match counts.dice() {
        Some(dice) => format!("{dice:.3}"),
        None => "neither annotated nor predicted".into(),
    }
}

/// Everything about one class and pixel set.
pub(crate) fn of_set(class: &str, set: &str, measured: &[&Measured]) {
    let (known, skipped): (Vec<&Measured>, Vec<&Measured>) =
        measured.iter().copied().partition(|one| one.pixels > 0);
    println!("#### {class}, {}\n", set.to_uppercase());
    println!("{}\n", counts(&known, skipped.len()));
    if known.is_empty() {
        return;
    }
    means(&known);
    differences(&known);
}

fn counts(known: &[&Measured], skipped: usize) -> String {
    let patients = by_patient(known);
    let patients: Vec<String> =
        patients.iter().map(|(patient, of)| format!("{patient}: {}", of.len())).collect();
    let mut text = format!("Slices: {} ({}); ", known.len(), patients.join(", "));
    text += &format!("{skipped} skipped, the set is empty there.");
    let mut sizes: Vec<usize> = known.iter().map(|one| one.pixels).collect();
    sizes.sort_unstable();
    if let (Some(least), Some(most)) = (sizes.first(), sizes.last()) {
        let middle = sizes[sizes.len() / 2];
        let probability = known.iter().map(|one| one.probability).sum::<f64>() / known.len() as f64;
        text += &format!(" {least} to {most} pixels, median {middle}; ");
        text += &format!("mean probability of the class over them {probability:.2}.");
    }
    text
}

fn by_patient<'a>(measured: &[&'a Measured]) -> BTreeMap<&'a str, Vec<&'a Measured>> {
    let mut found: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for one in measured {
        found.entry(&one.patient).or_default().push(one);
    }
    found
}

fn means(known: &[&Measured]) {
    let study = study(known.iter().copied());
    let names: Vec<String> = METRICS.iter().map(|metric| titled(*metric)).collect();
    println!("| map | layer | blank | {} |", names.join(" | "));
    println!("|{}", "---|".repeat(3 + METRICS.len()));
    for (method, layer) in study.maps() {
        let cells = METRICS.map(|metric| match study.summary(method, layer, metric) {
            Some(summary) => cell(metric, summary, known.len()),
            None => "–".into(),
        });
        let blank = |one: &&&Measured| one.blank.iter().any(|(m, l)| m == method && l == layer);
        let blank = match layer {
            "" => "–".into(),
            _ => known.iter().filter(blank).count().to_string(),
        };
        let layer = if layer.is_empty() { "–" } else { layer };
        println!("| {method} | {layer} | {blank} | {} |", cells.join(" | "));
    }
    println!();
}

/// With an arrow to the better values.
fn titled(metric: Metric) -> String {
    let arrow = match metric.better() {
        Better::Higher => "↑",
        Better::Lower => "↓",
        Better::NearZero => "→0",
    };
    format!("{metric} {arrow}")
}

/// `mean [interval]`, and of how many slices if not of all.
fn cell(metric: Metric, summary: Summary, slices: usize) -> String {
    let mut text = number(metric, summary.mean);
    if let Some((low, high)) = summary.interval {
        let ends = [number(metric, low), number(metric, high)];
        if ends.iter().any(|end| *end != text) {
            text += &format!(" [{}, {}]", ends[0], ends[1]);
        }
    }
    if summary.images < slices {
        text += &format!(" (of {})", summary.images);
    }
    text
}

fn number(metric: Metric, value: f64) -> String {
    let decimals = match metric {
        Metric::Road | Metric::Deletion | Metric::Insertion => 3,
        _ => 2,
    };
    let zero = 0.5 * 0.1f64.powi(decimals);
    match value.abs() {
        0.0 => "0".into(),
        size if size >= zero => format!("{value:.*}", decimals as usize).replace('-', "−"),
        _ if metric == Metric::CompletenessError => format!("{value:.0e}"),
        _ => format!("{:.*}", decimals as usize, 0.0),
    }
}

/// Seg-HiRes-Grad-CAM minus Seg-Grad-CAM.
fn differences(known: &[&Measured]) {
    println!("Seg-HiRes minus Seg-Grad, paired by slice:\n");
    println!("| layer | metric | difference | p | mean difference of each patient |");
    println!("|---|---|---|---|---|");
    let study = study(known.iter().copied());
    for layer in LAYERS {
        for metric in [Metric::Road, Metric::Deletion] {
            let text = |value| number(metric, value);
            let (difference, p) = match study.comparison(metric, layer, HIRES, GRAD) {
                Ok(found) => {
                    let (low, high) = found.interval;
                    let ends = format!("[{}, {}]", text(low), text(high));
                    (format!("{} {ends}", text(found.difference)), probability(found.p))
                }
                Err(_) => ("too few".into(), "too few".into()),
            };
            let patients = by_patient(known);
            let patients = patients.iter().filter_map(|(patient, slices)| {
                let mean = mean_difference(slices, metric, layer)?;
                Some(format!("{patient}: {}", text(mean)))
            });
            let patients: Vec<String> = patients.collect();
            let name = titled(metric);
            println!("| {layer} | {name} | {difference} | {p} | {} |", patients.join(", "));
        }
    }
    println!();
}

fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// Over the slices where both methods have a value.
fn mean_difference(slices: &[&Measured], metric: Metric, layer: &str) -> Option<f64> {
    let value = |one: &Measured, method: &str| {
        let row = one.rows.iter().find(|row| row.method == method && row.layer == layer)?;
        row.values.get(&metric).copied()
    };
    let found: Vec<f64> =
        slices.iter().filter_map(|one| Some(value(one, HIRES)? - value(one, GRAD)?)).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}
