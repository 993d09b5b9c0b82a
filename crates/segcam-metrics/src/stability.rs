use burn::config::Config;
use num_traits::Float;
use segcam_core::{Explanation, InputNoise, Observation, Request, guarded};
use serde::{Deserialize, Serialize};

use crate::prepared::{Case, Prepared};
use crate::values::{expect_finite, expect_length, values_of};
use crate::{Metric, MetricError, spearman};

/// How maps change under noise on the input that is too small to matter.
#[derive(Config, Debug, Copy, PartialEq)]
#[non_exhaustive]
pub struct Noise {
    /// Number of noisy inputs.
    #[config(default = 4)]
    pub samples: usize,
    /// Standard deviation, as a part of the input's range.
    #[config(default = 0.01)]
    pub sigma: f64,
    /// Seed of the noise.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for Noise {
    fn default() -> Self {
        Self::new()
    }
}

impl Noise {
    /// What the network sees in each of the noisy inputs.
    ///
    /// # Errors
    /// No samples, and whatever makes the network fail.
    pub fn observe<const D: usize>(
        &self,
        seen: &Observation<D>,
    ) -> Result<Vec<Observation<D>>, MetricError> {
        if self.samples == 0 {
            let reason = "it needs one noisy input or more";
            return Err(MetricError::Undefined { metric: "stability", reason });
        }
        let input = seen.input();
        let mut noise =
            guarded(|| Ok::<_, MetricError>(InputNoise::new(&input, self.sigma, self.seed)))?;
        let observe = |_| guarded(|| Ok(seen.observe_again(noise.add_to(&input))?));
        (0..self.samples).map(observe).collect()
    }
}

/// How stable one map is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stability {
    /// Mean rank correlation with the map of the clean input, −1 to 1, higher is better.
    pub spearman: f64,
    /// Largest relative change, see [`sensitivity`], lower is better.
    pub sensitivity: f64,
}

/// Largest relative change of a map, `max_k ‖L_k − L‖ / ‖L‖`, lower is better.
///
/// Sensitivity-max of Yeh et al., "On the (In)fidelity and Sensitivity of Explanations", NeurIPS
/// 2019, [arXiv 1901.09392](https://arxiv.org/abs/1901.09392).
///
/// # Errors
/// Lengths that differ, values that are not finite, a map of zeros.
///
/// # Example
/// ```
/// let change = segcam_metrics::sensitivity(&[3.0, 4.0], &[vec![3.0, 4.0], vec![3.0, 3.0]])?;
/// assert_eq!(change, 0.2);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn sensitivity<F: Float>(map: &[F], changed: &[Vec<F>]) -> Result<F, MetricError> {
    let norm = |values: &mut dyn Iterator<Item = F>| {
        values.fold(F::zero(), |sum, value| sum + value * value).sqrt()
    };
    expect_finite("the map", map)?;
    let size = norm(&mut map.iter().copied());
    if size == F::zero() {
        let reason = "the map is zero everywhere";
        return Err(MetricError::Undefined { metric: "sensitivity", reason });
    }
    let mut largest = F::zero();
    for changed in changed {
        expect_length("the changed map", changed.len(), map.len())?;
        expect_finite("the changed map", changed)?;
        let change = norm(&mut map.iter().zip(changed).map(|(a, b)| *b - *a));
        largest = largest.max(change / size);
    }
    Ok(largest)
}

/// Explains what the network sees in noisy inputs: one result for each of `maps`, which are the
/// answers to `requests` on the clean one.
///
/// # Errors
/// Each map has its own; a map that is the same everywhere has no rank correlation.
///
/// # Example
/// ```no_run
/// use segcam_core::{HiResCam, Observation, PredictedClass, Request};
/// use segcam_metrics::{Noise, stability};
///
/// # fn example(seen: Observation) -> Result<(), Box<dyn std::error::Error>> {
/// let request = Request::new(&HiResCam, "mid", &seen.target(&PredictedClass, 1)?);
/// let map = seen.answer(&request)?;
/// for stability in stability(&Noise::new().observe(&seen)?, &[request], &[map]) {
///     println!("{:.2}", stability?.spearman);
/// }
/// # Ok(())
/// # }
/// ```
pub fn stability<const D: usize>(
    noisy: &[Observation<D>],
    requests: &[Request<D>],
    maps: &[Explanation<D>],
) -> Vec<Result<Stability, MetricError>> {
    let values = |seen: &Observation<D>| -> Vec<Result<Vec<f64>, MetricError>> {
        seen.explain_all(requests.iter().cloned()).map(|map| values_of(&map?)).collect()
    };
    let noisy: Vec<_> = noisy.iter().map(values).collect();
    let judge = |(at, map): (usize, &Explanation<D>)| {
        let clean = values_of(map)?;
        let changed = noisy.iter().map(|maps| maps[at].clone()).collect::<Result<Vec<_>, _>>()?;
        let ranks = changed.iter().map(|changed| spearman(&clean, changed));
        let sum: f64 = ranks.sum::<Result<f64, _>>()?;
        let sensitivity = sensitivity(&clean, &changed)?;
        Ok(Stability { spearman: sum / changed.len() as f64, sensitivity })
    };
    maps.iter().enumerate().map(judge).collect()
}

/// All maps at once share the gradients.
pub(crate) fn of<const D: usize>(case: &Case<D>) -> Result<Stability, MetricError> {
    let (at, requests, run) = (case.at()?, case.requests()?, case.run);
    let Prepared { protocol, seen, known, .. } = run.image;
    let noisy = known.once(Metric::Stability, || protocol.noise.observe(seen))?;
    let all = run.known.once(Metric::Stability, || Ok(stability(&noisy, requests, run.maps)))?;
    all[at].clone()
}
