use num_traits::Float;

use crate::MetricError;
use crate::values::{expect_map, positive, sum_in};

/// Share of a map's positive values inside a known region, 0 to 1, higher is better:
/// `Σ_{u∈R} max(L(u), 0) / Σ_u max(L(u), 0)`.
///
/// The region must be known to cause the prediction. The predicted mask is none: an overlay of the
/// mask would score 1. Arras et al., "CLEVR-XAI: A benchmark dataset for the ground truth evaluation
/// of neural network explanations", Information Fusion 2022,
/// [arXiv 2003.07258](https://arxiv.org/abs/2003.07258).
///
/// # Errors
/// Lengths that differ, values that are not finite, a map without positive values.
///
/// # Example
/// ```
/// let mass = segcam_metrics::relevance_mass(&[1.0, 3.0, -5.0], &[false, true, true])?;
/// assert_eq!(mass, 0.75);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn relevance_mass<F: Float>(map: &[F], region: &[bool]) -> Result<F, MetricError> {
    share("relevance mass", map, region, |_| true)
}

/// Share of the positive values inside `region` among those where `counts`.
pub(crate) fn share<F: Float>(
    metric: &'static str,
    map: &[F],
    region: &[bool],
    counts: impl Fn(usize) -> bool,
) -> Result<F, MetricError> {
    expect_map(map, Some(region))?;
    let counted: Vec<bool> = (0..map.len()).map(counts).collect();
    let all = sum_in(map, &counted, positive);
    if all == F::zero() {
        let reason = "the map has no positive values there";
        return Err(MetricError::Undefined { metric, reason });
    }
    Ok(sum_in(map, region, positive) / all)
}
