use anofox_statistics::{pearson, rank};
use num_traits::Float;

use crate::MetricError;
use crate::values::{expect_finite, expect_length};

/// Spearman's rank correlation, −1 to 1; equal values share their mean rank.
///
/// # Errors
/// Lengths that differ, values that are not finite, fewer than three of them, or all of them equal.
///
/// # Example
/// ```
/// let rho = segcam_metrics::spearman(&[1.0, 2.0, 9.0], &[0.1, 0.2, 0.3])?;
/// assert!((rho - 1.0).abs() < 1e-12);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn spearman<F: Float>(a: &[F], b: &[F]) -> Result<f64, MetricError> {
    let [a, b] = checked("rank correlation", a, b)?;
    let ranks = |values: &[f64]| rank(values).map_err(|_| undefined("rank correlation"));
    correlation("rank correlation", &ranks(&a)?, &ranks(&b)?)
}

/// The share of the variance of `b` that a straight line in `a` explains: Pearson's correlation
/// squared, 0 to 1.
///
/// # Errors
/// As [`spearman`].
///
/// # Example
/// ```
/// let r2 = segcam_metrics::r_squared(&[1.0, 2.0, 3.0], &[3.0, 5.0, 7.0])?;
/// assert!((r2 - 1.0).abs() < 1e-12);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn r_squared<F: Float>(a: &[F], b: &[F]) -> Result<f64, MetricError> {
    let [a, b] = checked("R²", a, b)?;
    Ok(correlation("R²", &a, &b)?.powi(2))
}

fn correlation(metric: &'static str, a: &[f64], b: &[f64]) -> Result<f64, MetricError> {
    Ok(pearson(a, b, None).map_err(|_| undefined(metric))?.estimate)
}

fn checked<F: Float>(metric: &'static str, a: &[F], b: &[F]) -> Result<[Vec<f64>; 2], MetricError> {
    expect_finite("the first map", a)?;
    expect_finite("the second map", b)?;
    expect_length("the second map", b.len(), a.len())?;
    let constant = |values: &[F]| values.iter().all(|value| *value == values[0]);
    if a.len() < 3 || constant(a) || constant(b) {
        return Err(undefined(metric));
    }
    let double = |values: &[F]| values.iter().filter_map(|value| value.to_f64()).collect();
    Ok([double(a), double(b)])
}

fn undefined(metric: &'static str) -> MetricError {
    let reason = "it needs three values or more, and not all of them equal";
    MetricError::Undefined { metric, reason }
}
