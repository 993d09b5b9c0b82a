use num_traits::Float;

use crate::MetricError;
use crate::values::{expect_map, float};

/// Of a map's K largest cells, the share inside a known region of K cells, 0 to 1, higher is better.
///
/// Where the K-th largest value occurs more often than there is room for, those cells count with the
/// share of them that lie inside: what a random choice gives on average.
///
/// The region must be known to cause the prediction. Arras et al., Information Fusion 2022,
/// [arXiv 2003.07258](https://arxiv.org/abs/2003.07258).
///
/// # Errors
/// Lengths that differ, values that are not finite, an empty region.
///
/// # Example
/// ```
/// let rank = segcam_metrics::relevance_rank(&[5.0, 4.0, 1.0, 0.0], &[true, false, true, false])?;
/// assert_eq!(rank, 0.5);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn relevance_rank<F: Float>(map: &[F], region: &[bool]) -> Result<F, MetricError> {
    expect_map(map, Some(region))?;
    let size = region.iter().filter(|inside| **inside).count();
    if size == 0 {
        let reason = "the region is empty";
        return Err(MetricError::Undefined { metric: "relevance rank", reason });
    }
    let mut sorted: Vec<F> = map.to_vec();
    sorted.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
    let last = sorted[size - 1];
    let count = |of: fn(F, F) -> bool, inside: bool| {
        let cells = map.iter().zip(region);
        cells.filter(|(value, within)| of(**value, last) && (!inside || **within)).count()
    };
    let above = count(|value, last| value > last, false);
    let tied = count(|value, last| value == last, false);
    let room: F = float(size - above);
    let of_tied = float::<F>(count(|value, last| value == last, true)) / float(tied);
    Ok((float::<F>(count(|value, last| value > last, true)) + room * of_tied) / float(size))
}
