use std::rc::Rc;

use num_traits::Float;
use segcam_core::Certificate;

use crate::MetricError;
use crate::prepared::Case;
use crate::values::expect_finite;

/// How far a score is from the sum of its parts: `|s − Σ parts| / Σ |parts|`, lower is better.
///
/// The parts are the sum of a map, what goes past its layer, and the biases behind it
/// ([`Certificate::shares`](segcam_core::Certificate)). Where the network is piecewise linear behind
/// the layer, HiResCAM's error is rounding only; that of averaged gradients is what averaging loses.
///
/// # Errors
/// Values that are not finite, parts that are all zero.
///
/// # Example
/// ```
/// let error = segcam_metrics::completeness_error(4.0, &[2.0, 1.0, 2.0])?;
/// assert_eq!(error, 0.2);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn completeness_error<F: Float>(score: F, parts: &[F]) -> Result<F, MetricError> {
    expect_finite("the score", &[score])?;
    expect_finite("the parts", parts)?;
    let sum = |of: fn(F) -> F| parts.iter().fold(F::zero(), |sum, part| sum + of(*part));
    let size = sum(F::abs);
    if size == F::zero() {
        let reason = "every part is zero";
        return Err(MetricError::Undefined { metric: "completeness error", reason });
    }
    Ok((score - sum(|part| part)).abs() / size)
}

/// What the map, what goes past the layer and the biases leave unexplained of the score.
pub(crate) fn measure<const D: usize>(case: &Case<D>) -> Result<f64, MetricError> {
    let certificate = certificate(case)?;
    let reason = "the engine cannot tell the parts of the score";
    let undefined = MetricError::Undefined { metric: "completeness error", reason };
    let shares = certificate.shares.as_ref().ok_or(undefined)?;
    let mut parts = vec![certificate.map, shares.bias];
    parts.extend(shares.bypasses.iter().map(|(_, share)| share));
    completeness_error(certificate.score, &parts)
}

pub(crate) fn certificate<const D: usize>(case: &Case<D>) -> Result<Rc<Certificate>, MetricError> {
    case.known.once((), || Ok(case.run.image.seen.certify(case.map()?)?))
}
