use num_traits::Float;

use crate::MetricError;
use crate::values::{expect_map, float};

/// Whether a map is largest inside a known region: 1 or 0, higher is better.
///
/// Where several cells are largest it is the share of them that lie inside; Quantus gives 1 if any
/// does. A constant map therefore gets the region's share of the image.
///
/// The region must be known to cause the prediction. Zhang et al., "Top-down Neural Attention by
/// Excitation Backprop", IJCV 2018, [arXiv 1608.00507](https://arxiv.org/abs/1608.00507).
///
/// # Errors
/// Lengths that differ, values that are not finite, no values at all.
///
/// # Example
/// ```
/// let hit = segcam_metrics::pointing_game(&[0.1, 0.9, 0.3], &[false, true, true])?;
/// assert_eq!(hit, 1.0);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn pointing_game<F: Float>(map: &[F], region: &[bool]) -> Result<F, MetricError> {
    expect_map(map, Some(region))?;
    let largest = map.iter().fold(F::neg_infinity(), |most, value| most.max(*value));
    let inside: Vec<bool> =
        map.iter().zip(region).filter(|(value, _)| **value == largest).map(|(_, r)| *r).collect();
    if inside.is_empty() {
        let reason = "the map has no values";
        return Err(MetricError::Undefined { metric: "pointing game", reason });
    }
    Ok(float::<F>(inside.iter().filter(|inside| **inside).count()) / float(inside.len()))
}
