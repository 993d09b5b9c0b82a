//! The columns of a batch's table.

use segcam::metrics::Metric;
use segcam_batch::{Column, Kind};

/// The columns of the table, after those that every table has.
pub fn columns() -> Vec<Column> {
    const COLUMNS: [(&str, Kind, &str); 31] = [
        ("image", Kind::Integer, "place in a batch [N, C, …], from 0"),
        ("confidence", Kind::Number, "probability of what is predicted, mean over the pixels"),
        ("class", Kind::Integer, "the class asked about"),
        ("class_name", Kind::Text, "what it is called, if that is known"),
        ("method", Kind::Text, "what made the map"),
        ("layer", Kind::Text, "of which layer"),
        ("pixel_set", Kind::Text, "the explained pixels"),
        ("pixels", Kind::Integer, "how many there are"),
        ("score", Kind::Number, "the class's logits summed over them"),
        ("raw_min", Kind::Number, "smallest value of the signed map, in the unit of the score"),
        ("raw_max", Kind::Number, "largest value"),
        ("rounding", Kind::Number, "how large a value can be through rounding alone"),
        ("status", Kind::Text, "positive, all-negative, all-zero, rounding; empty: no such pixels"),
        (
            "layer_share",
            Kind::Number,
            "--certify: part of the score that comes through the layer; 1 is all of it",
        ),
        ("bypass_share", Kind::Number, "--certify: part that goes past the layer"),
        ("bias_share", Kind::Number, "--certify: part that comes from biases and constants"),
        (
            "certificate_error",
            Kind::Number,
            "--certify: how far the parts are from the score, relative",
        ),
        ("map_sum", Kind::Number, "--certify: what the map adds up to"),
        ("lost", Kind::Number, "--certify: what the map leaves out of the layer's part"),
        ("impossible", Kind::Number, "--certify: share of the map where influence is impossible"),
        ("dice", Kind::Number, "--truth: of the class's prediction"),
        ("true_positives", Kind::Integer, "--truth: pixels predicted and annotated"),
        ("false_positives", Kind::Integer, "--truth: predicted, not annotated"),
        ("false_negatives", Kind::Integer, "--truth: annotated, not predicted"),
        ("height", Kind::Integer, "rows of the raw map"),
        ("width", Kind::Integer, "columns"),
        ("depth", Kind::Integer, "slices, of volumes"),
        ("engine", Kind::Text, "what computed the gradients"),
        ("seconds", Kind::Number, "time for all maps of the input, with the forward pass"),
        ("notes", Kind::Text, "how the input and its annotation were understood, one a line"),
        ("missing", Kind::Text, "--metric: what has no value and why, one a line"),
    ];
    let columns = COLUMNS.map(|(name, kind, about)| Column::new(name, kind, about));
    let metrics = Metric::all().iter().map(|metric| {
        let about = format!("--metric {metric}; see docs/metrics.md");
        Column::new(metric_column(*metric), Kind::Number, about)
    });
    columns.into_iter().chain(metrics).collect()
}

/// A metric's name as SQL takes it.
pub(crate) fn metric_column(metric: Metric) -> String {
    metric.name().replace('-', "_")
}
