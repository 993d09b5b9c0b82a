use burn::tensor::Tensor;
use segcam_core::{Explainer, Explanation, Request};

use crate::again::{again, values_of};
use crate::{MetricError, spearman};

/// Rank correlation of each map with that of the same network with random weights: −1 to 1, near 0 is
/// good. A map that stays as it is shows the image, not what the network has learnt.
///
/// `random` comes from [`Explainer::with_random_weights`]: with `None` all weights are random; with
/// the name of a layer, those from the end back to that layer, which is one step of the cascade.
/// `maps` are the answers to `requests` on `input`.
///
/// Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
/// [arXiv 1810.03292](https://arxiv.org/abs/1810.03292); weights are shuffled within their tensors
/// instead of drawn anew, so that they keep their distribution.
///
/// # Errors
/// An input that the network does not take. Each map has its own errors; a map that is the same
/// everywhere has no rank correlation.
///
/// # Example
/// ```no_run
/// use segcam_core::{Explainer, PredictedClass, Request, SegHiResGradCam, burn::tensor::Tensor};
/// use segcam_metrics::randomization;
///
/// # fn example(explainer: Explainer, image: Tensor<4>) -> Result<(), Box<dyn std::error::Error>> {
/// let method = SegHiResGradCam::new(PredictedClass);
/// let request = Request { method: &method, layer: "mid", class: 1 };
/// let map = explainer.observe(image.clone())?.explain(&method, "mid", 1)?;
/// let random = explainer.with_random_weights(Some("dec1"), 0)?;
/// println!("{:?}", randomization(&random, &image, &[request], &[map])?);
/// # Ok(())
/// # }
/// ```
pub fn randomization<const D: usize>(
    random: &Explainer<D>,
    input: &Tensor<D>,
    requests: &[Request<D>],
    maps: &[Explanation<D>],
) -> Result<Vec<Result<f64, MetricError>>, MetricError> {
    let seen = random.observe(input.clone())?;
    let found = again(&seen, requests, maps).into_iter().zip(maps);
    Ok(found.map(|(random, map)| spearman(&values_of(map)?, &values_of(&random?)?)).collect())
}
