use segcam_core::{Explanation, Observation, Request};

use crate::prepared::{Case, Prepared};
use crate::values::values_of;
use crate::{Metric, MetricError, spearman};

/// Rank correlation of each map with that of the same network with random weights: −1 to 1, near 0 is
/// good. A map that stays as it is shows the image, not what the network has learnt.
///
/// `random` is the same input seen by [`Observation::with_random_weights`]: with `None` all weights are
/// random; with the name of a layer, those from the end back to that layer, which is one step of the
/// cascade. `maps` are the answers to `requests` on the network as it is.
///
/// Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
/// [arXiv 1810.03292](https://arxiv.org/abs/1810.03292); weights are shuffled within their tensors
/// instead of drawn anew, so that they keep their distribution.
///
/// # Errors
/// Each map has its own; a map that is the same everywhere has no rank correlation.
///
/// # Example
/// ```no_run
/// use segcam_core::{HiResCam, Observation, PredictedClass, Request};
/// use segcam_metrics::randomization;
///
/// # fn example(seen: Observation) -> Result<(), Box<dyn std::error::Error>> {
/// let request = Request::new(&HiResCam, "mid", &seen.target(&PredictedClass, 1)?);
/// let map = seen.answer(&request)?;
/// let random = seen.with_random_weights(Some("dec1"), 0)?.observe(seen.input())?;
/// println!("{:?}", randomization(&random, &[request], &[map]));
/// # Ok(())
/// # }
/// ```
pub fn randomization<const D: usize>(
    random: &Observation<D>,
    requests: &[Request<D>],
    maps: &[Explanation<D>],
) -> Vec<Result<f64, MetricError>> {
    let found = random.explain_all(requests.iter().cloned()).zip(maps);
    found.map(|(random, map)| spearman(&values_of(map)?, &values_of(&random?)?)).collect()
}

/// All weights are random; all maps at once share the gradients.
pub(crate) fn measure<const D: usize>(case: &Case<D>) -> Result<f64, MetricError> {
    let (at, requests, run) = (case.at()?, case.requests()?, case.run);
    let Prepared { protocol, seen, known, .. } = run.image;
    let random = known.once(Metric::Randomization, || {
        Ok(seen.with_random_weights(None, protocol.seed)?.observe(seen.input())?)
    })?;
    let all =
        run.known.once(Metric::Randomization, || Ok(randomization(&random, requests, run.maps)))?;
    all[at].clone()
}
