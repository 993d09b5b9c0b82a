use burn::tensor::Tensor;
use num_traits::Float;
use segcam_core::{Explainer, Explanation, InputNoise, Request};

use crate::again::{again, values_of};
use crate::error::{expect_finite, expect_length};
use crate::{MetricError, spearman};

/// How maps change under noise on the input that is too small to matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Number of noisy inputs.
    pub samples: usize,
    /// Standard deviation, as a part of the input's range.
    pub sigma: f64,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for Noise {
    /// 4 samples, 0.01, seed 0.
    fn default() -> Self {
        Self { samples: 4, sigma: 0.01, seed: 0 }
    }
}

/// How stable one map is.
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// Explains noisy versions of the input: the same class and pixels, one result for each of `maps`,
/// which are the answers to `requests` on `input`.
///
/// # Errors
/// No samples, and an input that the network does not take. Each map has its own errors.
///
/// # Example
/// ```no_run
/// use segcam_core::{Explainer, PredictedClass, Request, SegHiResGradCam, burn::tensor::Tensor};
/// use segcam_metrics::{Noise, stability};
///
/// # fn example(explainer: Explainer, image: Tensor<4>) -> Result<(), Box<dyn std::error::Error>> {
/// let method = SegHiResGradCam::new(PredictedClass);
/// let request = Request { method: &method, layer: "mid", class: 1 };
/// let map = explainer.observe(image.clone())?.explain(&method, "mid", 1)?;
/// for stability in stability(&Noise::default(), &explainer, &image, &[request], &[map])? {
///     println!("{:.2}", stability?.spearman);
/// }
/// # Ok(())
/// # }
/// ```
pub fn stability<const D: usize>(
    noise: &Noise,
    explainer: &Explainer<D>,
    input: &Tensor<D>,
    requests: &[Request<D>],
    maps: &[Explanation<D>],
) -> Result<Vec<Result<Stability, MetricError>>, MetricError> {
    if noise.samples == 0 {
        let reason = "it needs one noisy input or more";
        return Err(MetricError::Undefined { metric: "stability", reason });
    }
    let mut drawn = InputNoise::new(input, noise.sigma, noise.seed);
    let mut changed: Vec<Vec<Result<Vec<f64>, MetricError>>> =
        maps.iter().map(|_| vec![]).collect();
    for _ in 0..noise.samples {
        let seen = explainer.observe(drawn.add_to(input))?;
        for (of_map, map) in changed.iter_mut().zip(again(&seen, requests, maps)) {
            of_map.push(map.map_err(MetricError::from).and_then(|map| values_of(&map)));
        }
    }
    let judged = maps.iter().zip(changed).map(|(map, changed)| {
        let (clean, changed) =
            (values_of(map)?, changed.into_iter().collect::<Result<Vec<_>, _>>()?);
        let mut sum = 0.0;
        for changed in &changed {
            sum += spearman(&clean, changed)?;
        }
        let sensitivity = sensitivity(&clean, &changed)?;
        Ok(Stability { spearman: sum / noise.samples as f64, sensitivity })
    });
    Ok(judged.collect())
}
