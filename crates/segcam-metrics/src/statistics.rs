use anofox_statistics::{Alternative, bootstrap_mean_ci, wilcoxon_signed_rank};
use serde::{Deserialize, Serialize};

use crate::MetricError;
use crate::values::{expect_finite, expect_length};

/// Draws of the bootstrap.
const DRAWS: usize = 10_000;
/// Of three images more than 2.5 % of the draws are three times the same one: the ends of a 95 %
/// interval would be the smallest and the largest value.
const FEWEST_OF_INTERVAL: usize = 5;

/// A mean over images and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Number of images.
    pub images: usize,
    /// The mean.
    pub mean: f64,
    /// 95 % interval of the mean, bootstrap over images; `None` for fewer than five, of which the
    /// bootstrap can say little.
    pub interval: Option<(f64, f64)>,
}

/// How two methods differ on the same images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Number of images.
    pub images: usize,
    /// Mean of the differences, first minus second.
    pub difference: f64,
    /// 95 % interval of the mean difference, bootstrap over images.
    pub interval: (f64, f64),
    /// Two-sided p-value of Wilcoxon's signed-rank test: exact up to 50 images without ties.
    pub p: f64,
}

/// Mean and 95 % interval over images: percentile bootstrap, 10,000 draws.
///
/// Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 1979.
///
/// # Errors
/// No values, or values that are not finite.
///
/// # Example
/// ```
/// let summary = segcam_metrics::summary(&[0.2, 0.4, 0.3, 0.5, 0.35], 7)?;
/// assert!((summary.mean - 0.35).abs() < 1e-12);
/// assert!(summary.interval.is_some_and(|(low, high)| low < 0.35 && 0.35 < high));
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn summary(values: &[f64], seed: u64) -> Result<Summary, MetricError> {
    expect_finite("the metric", values)?;
    let images = values.len();
    let few = MetricError::TooFew { what: "a mean", wanted: 1, given: images };
    let interval = match images {
        0 => return Err(few),
        1..FEWEST_OF_INTERVAL => None,
        _ => Some(interval(values, seed).ok_or(few)?),
    };
    Ok(Summary { images, mean: values.iter().sum::<f64>() / images as f64, interval })
}

/// The paired difference `a − b` over the same images: bootstrap interval of the mean and Wilcoxon's
/// signed-rank test.
///
/// Wilcoxon, "Individual Comparisons by Ranking Methods", Biometrics Bulletin 1945.
///
/// # Errors
/// Lengths that differ, values that are not finite, fewer than six images: then no result could have
/// p < 0.05.
///
/// # Example
/// ```
/// let a = [0.9, 0.8, 0.95, 0.7, 0.85, 0.9];
/// let b = [0.5, 0.6, 0.65, 0.6, 0.55, 0.7];
/// let comparison = segcam_metrics::comparison(&a, &b, 7)?;
/// assert!(comparison.interval.0 > 0.0 && comparison.p < 0.05);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn comparison(a: &[f64], b: &[f64], seed: u64) -> Result<Comparison, MetricError> {
    const FEWEST: usize = 6;
    expect_length("the second method", b.len(), a.len())?;
    expect_finite("the first method", a)?;
    expect_finite("the second method", b)?;
    let (what, images) = ("Wilcoxon's signed-rank test", a.len());
    let few = MetricError::TooFew { what, wanted: FEWEST, given: images };
    if images < FEWEST {
        return Err(few);
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let test = wilcoxon_signed_rank(a, b, Alternative::TwoSided, true, true, None, None);
    let p = test.map_err(|_| few.clone())?.p_value;
    expect_finite("the p-value", &[p])?;
    Ok(Comparison {
        images,
        difference: differences.iter().sum::<f64>() / images as f64,
        interval: interval(&differences, seed).ok_or(few)?,
        p,
    })
}

fn interval(values: &[f64], seed: u64) -> Option<(f64, f64)> {
    let found = bootstrap_mean_ci(values, DRAWS, 0.95, 0, Some(seed)).ok()?;
    Some((found.conf_int_lower, found.conf_int_upper))
}
