//! What the experiments share: networks, inputs, measuring, and tables in Markdown.

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, Tensor};
use segcam::metrics::{Metric, Protocol, Row, Study};
use segcam::models::{Network, Pretrained};
use segcam::{CamError, CamMethod, Explainer, PixelSet, Request, Target};

/// Whether a map says what the network does: the columns of the shorter tables.
pub(crate) const FAITHFULNESS: [Metric; 6] = [
    Metric::Leak,
    Metric::CompletenessError,
    Metric::FidelityR2,
    Metric::Road,
    Metric::Deletion,
    Metric::Insertion,
];

/// A pretrained network of images.
pub(crate) fn network(known: Pretrained, weights: Option<&Path>) -> Result<Explainer> {
    match known.load(weights, &Device::flex())? {
        Network::Image(explainer) => Ok(explainer),
        Network::Volume(_) => bail!("{known} takes volumes"),
    }
}

/// An image file as the network's input.
pub(crate) fn input(known: Pretrained, path: &Path) -> Result<Tensor<4>> {
    let image = image::open(path).with_context(|| path.display().to_string())?;
    Ok(known.preprocess().apply(&image, &Device::flex())?.input)
}

/// The rows of every method over every one of `sets` at every layer, judged by the score of `class`
/// over the first set.
pub(crate) fn rows<const D: usize>(
    protocol: &Protocol,
    explainer: &Explainer<D>,
    input: Tensor<D>,
    (sets, class): (&[&dyn PixelSet<D>], usize),
    methods: &[&dyn CamMethod<D>],
    layers: &[&str],
) -> Result<Vec<Row>> {
    let seen = explainer.observe(input)?;
    let targets = sets.iter().map(|set| seen.target(*set, class));
    let targets = targets.collect::<Result<Vec<Target<D>>, CamError>>()?;
    let places = layers.iter().flat_map(|layer| targets.iter().map(move |target| (layer, target)));
    let requests: Vec<Request<D>> = places
        .flat_map(|(layer, target)| {
            methods.iter().map(move |method| Request::new(*method, layer, target))
        })
        .collect();
    let image = protocol.prepare(&seen)?;
    Ok(image.run(&targets[0], &requests, None, &mut |_, _| {})?)
}

/// Means with 95 % intervals: a row for each map that has any, a column for each metric.
pub(crate) fn table(study: &Study, metrics: &[Metric]) -> String {
    let mut text = String::from("| method | layer |");
    metrics.iter().for_each(|metric| text += &format!(" {metric} |"));
    text += &format!("\n|---|---|{}\n", "---|".repeat(metrics.len()));
    for (method, layer) in study.maps() {
        let found: Vec<_> =
            metrics.iter().map(|metric| study.summary(method, layer, *metric)).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        text += &format!("| {method} | {layer} |");
        for found in found {
            text += &match found.map(|found| (found.mean, found.interval)) {
                None => " – |".to_string(),
                Some((mean, None)) => format!(" {} |", short(mean)),
                Some((mean, Some((low, high)))) => {
                    format!(" {} [{}, {}] |", short(mean), short(low), short(high))
                }
            };
        }
        text.push('\n');
    }
    text
}

/// One method minus another at each layer: mean difference, 95 % interval, Wilcoxon's p.
pub(crate) fn differences(study: &Study, metrics: &[Metric], first: &str, second: &str) -> String {
    let mut text = String::from("| layer |");
    metrics.iter().for_each(|metric| text += &format!(" {metric} | p |"));
    text += &format!("\n|---|{}\n", "---|---|".repeat(metrics.len()));
    let maps = study.maps();
    for (_, layer) in maps.iter().filter(|(method, _)| *method == first) {
        text += &format!("| {layer} |");
        for metric in metrics {
            text += &match study.comparison(*metric, layer, first, second) {
                Ok(found) => {
                    let (low, high) = found.interval;
                    let difference = short(found.difference);
                    let interval = format!("[{}, {}]", short(low), short(high));
                    format!(" {difference} {interval} | {} |", p_value(found.p))
                }
                Err(_) => " – | – |".to_string(),
            };
        }
        text.push('\n');
    }
    text
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".into() } else { format!("{p:.3}") }
}

/// Two or three digits, also of small numbers.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.0995 => format!("{value:.2}"),
        size if size >= 0.000_95 => format!("{value:.3}"),
        _ => format!("{value:.0e}"),
    }
}
