//! Markdown tables and numbers in them.

use segcam::metrics::{Summary, summary};

pub(super) const BOOTSTRAP: u64 = 7;
pub(super) const NOTHING: &str = "–";

pub(super) struct Table {
    lines: Vec<String>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        let rule = head.iter().map(|_| "---|").collect::<String>();
        Self { lines: vec![format!("| {} |", head.join(" | ")), format!("|{rule}")] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        self.lines.push(format!("| {} |", cells.join(" | ")));
    }

    /// With an empty line after it.
    pub(super) fn print(&self) {
        println!("{}\n", self.lines.join("\n"));
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean, smallest and largest of a few networks.
pub(super) fn spread(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    interval(mean(values), (low, high))
}

/// Mean and interval over images; `None` where there are no values.
pub(super) fn over_images(values: &[f64]) -> Option<Summary> {
    summary(values, BOOTSTRAP).ok()
}

pub(super) fn cell(summary: Option<Summary>) -> String {
    match summary {
        None => NOTHING.into(),
        Some(Summary { mean, interval: Some(ends), .. }) => interval(mean, ends),
        Some(Summary { mean, .. }) => number(mean),
    }
}

pub(super) fn interval(value: f64, (low, high): (f64, f64)) -> String {
    format!("{} [{}, {}]", number(value), number(low), number(high))
}

/// Two decimals, more for what is small, and no minus before a zero.
pub(super) fn number(value: f64) -> String {
    let text = if value.abs() < 0.0995 { format!("{value:.3}") } else { format!("{value:.2}") };
    let zero = text.chars().all(|sign| "-0.".contains(sign));
    if zero { "0".into() } else { text }
}

pub(super) fn p_value(p: f64) -> String {
    match p {
        0.0..1e-3 => format!("{p:.0e}"),
        1e-3..0.1 => format!("{p:.3}"),
        _ => format!("{p:.2}"),
    }
}
