use num_traits::Float;

use crate::MetricError;
use crate::values::{expect_map, float, positive, sum_in};

/// How much a map says that one region gave the prediction away: its mean positive value as a share
/// of the sum of the regions' means, 0 to 1.
///
/// `regions` are parts of the image that may have caused the prediction, one of them the region at
/// `biased`, such as a texture that only ever occurs with the class. Means, not sums: small regions
/// count as much as large ones. A map of a network that learnt the bias should have a larger share
/// than that of a twin which could not.
///
/// After the context bias detection of Hoyer et al., "Grid Saliency for Context Explanations of
/// Semantic Segmentation", NeurIPS 2019, [arXiv 1907.13054](https://arxiv.org/abs/1907.13054).
///
/// # Errors
/// Lengths that differ, values that are not finite, an empty region or one that is not there, no
/// positive values in any region.
///
/// # Example
/// ```
/// let map = [3.0, 3.0, 1.0];
/// let regions = [vec![true, true, false], vec![false, false, true]];
/// assert_eq!(segcam_metrics::bias_share(&map, &regions, 0)?, 0.75);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn bias_share<F: Float>(
    map: &[F],
    regions: &[Vec<bool>],
    biased: usize,
) -> Result<F, MetricError> {
    let undefined = |reason| MetricError::Undefined { metric: "bias share", reason };
    let mut means = vec![];
    for region in regions {
        expect_map(map, Some(region))?;
        let size = region.iter().filter(|inside| **inside).count();
        if size == 0 {
            return Err(undefined("a region is empty"));
        }
        means.push(sum_in(map, region, positive) / float(size));
    }
    let mean = means.get(biased).ok_or_else(|| undefined("there is no such region"))?;
    let all = means.iter().fold(F::zero(), |sum, mean| sum + *mean);
    if all == F::zero() {
        return Err(undefined("no region has positive values"));
    }
    Ok(*mean / all)
}
