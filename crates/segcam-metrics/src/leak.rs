use num_traits::Float;

use crate::prepared::Case;
use crate::values::{expect_map, sum_in};
use crate::{MetricError, completeness};

/// Share of a map's absolute values in cells that no explained pixel can depend on:
/// `Σ_{u∉cone} |L(u)| / Σ_u |L(u)|`, 0 to 1, lower is better.
///
/// `reached` is the cone: the cells that some explained pixel can depend on, whatever the image.
/// HiResCAM has no leak; averaged gradients put mass everywhere. Of a map that an
/// [`Observation`](segcam_core::Observation) gave,
/// [`Certificate::impossible`](segcam_core::Certificate) is the same number.
///
/// # Errors
/// Lengths that differ, values that are not finite, a map of zeros.
///
/// # Example
/// ```
/// let leak = segcam_metrics::leak(&[1.0, -1.0, 2.0], &[true, false, true])?;
/// assert_eq!(leak, 0.25);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn leak<F: Float>(map: &[F], reached: &[bool]) -> Result<F, MetricError> {
    expect_map(map, Some(reached))?;
    let outside: Vec<bool> = reached.iter().map(|reached| !reached).collect();
    let all = map.iter().fold(F::zero(), |sum, value| sum + value.abs());
    if all == F::zero() {
        let reason = "the map is zero everywhere";
        return Err(MetricError::Undefined { metric: "leak", reason });
    }
    Ok(sum_in(map, &outside, F::abs) / all)
}

pub(crate) fn measure<const D: usize>(case: &Case<D>) -> Result<f64, MetricError> {
    let reason = "the map is zero, or the engine cannot tell";
    let undefined = MetricError::Undefined { metric: "leak", reason };
    completeness::certificate(case)?.impossible.ok_or(undefined)
}
