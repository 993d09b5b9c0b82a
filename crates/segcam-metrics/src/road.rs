use burn::tensor::Tensor;
use segcam_core::Perturbation;
use serde::{Deserialize, Serialize};

use crate::order::{count, descending};
use crate::prepared::Case;
use crate::removal::mean;
use crate::{MetricError, Removal};

/// What the network says when pixels are removed in the order of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Road {
    /// For each fraction, the probability after the most relevant pixels were removed.
    pub most_relevant_first: Vec<f64>,
    /// For each fraction, the probability after the least relevant pixels were removed.
    pub least_relevant_first: Vec<f64>,
}

impl Road {
    /// Mean of `(LeRF − MoRF) / 2` over the fractions, −0.5 to 0.5, higher is better; 0 for a random
    /// map on average.
    pub fn score(&self) -> f64 {
        let pairs = self.least_relevant_first.iter().zip(&self.most_relevant_first);
        mean(pairs.map(|(least, most)| (least - most) / 2.0))
    }
}

/// ROAD, remove and debias: how much more the network loses with the pixels that the map calls
/// relevant than with the others.
///
/// The probability is `f_M`, the mean probability of the class over the explained pixels, which stay
/// those of the whole image. Equally many pixels are removed in both orders: they go by rank, and
/// equal values in a random order.
///
/// Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022,
/// [arXiv 2202.00449](https://arxiv.org/abs/2202.00449).
///
/// # Shapes
/// - `heat`: `[1, 1, …]` at input resolution, such as
///   [`Explanation::heat_map`](segcam_core::Explanation::heat_map)
///
/// # Errors
/// A batch, another size, values that are not finite, and whatever makes the network fail.
///
/// # Example
/// ```no_run
/// use segcam_core::{Normalize, Observation, PredictedClass, SegHiResGradCam};
/// use segcam_metrics::{Removal, road};
///
/// # fn example(seen: Observation) -> Result<(), Box<dyn std::error::Error>> {
/// let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
/// let network = seen.perturb(map.target(), map.layer())?;
/// let road = road(&Removal::new(), &network, &map.heat_map(Normalize::Max))?;
/// println!("{:.3}", road.score());
/// # Ok(())
/// # }
/// ```
pub fn road<const D: usize>(
    removal: &Removal,
    network: &Perturbation<D>,
    heat: &Tensor<D>,
) -> Result<Road, MetricError> {
    let values = removal.values(network, heat)?;
    let most = descending(&values, removal.seed);
    let least: Vec<usize> = most.iter().rev().copied().collect();
    let orders = [most, least];
    let first = |order: &Vec<usize>, fraction| order[..count(fraction, order.len())].to_vec();
    let removed: Vec<Vec<usize>> = orders
        .iter()
        .flat_map(|order| removal.fractions.iter().map(|&fraction| first(order, fraction)))
        .collect();
    let mut found = removal.probabilities(network, &removed)?;
    let least_relevant_first = found.split_off(removal.fractions.len());
    Ok(Road { most_relevant_first: found, least_relevant_first })
}

pub(crate) fn measure<const D: usize>(case: &Case<D>) -> Result<f64, MetricError> {
    let run = case.run;
    Ok(road(&run.image.protocol.removal, &run.network, &*case.heat()?)?.score())
}
