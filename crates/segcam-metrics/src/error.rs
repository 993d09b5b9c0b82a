use burn::tensor::{Element, Tensor};
use num_traits::Float;
use segcam_core::{CamError, guarded};

/// Why a metric has no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// The metric makes no sense on this map.
    #[error("{metric} is not defined: {reason}")]
    Undefined {
        /// Name of the metric.
        metric: &'static str,
        /// What is missing.
        reason: &'static str,
    },

    /// Two arrays that belong together differ in length.
    #[error("{what} must have {wanted} values, it has {given}")]
    Length {
        /// Which array.
        what: &'static str,
        /// Its length should be this.
        wanted: usize,
        /// Its length.
        given: usize,
    },

    /// Values that are NaN or infinite.
    #[error("{count} values of {what} are NaN or infinite")]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// How many.
        count: usize,
    },

    /// Pixels are removed from one image at a time.
    #[error("metrics look at one image at a time, the batch has {given}: observe each by itself")]
    OneImage {
        /// Size of the batch.
        given: usize,
    },

    /// Too few images for a statement.
    #[error("{what} needs at least {wanted} images, there are {given}")]
    TooFew {
        /// The statistic.
        what: &'static str,
        /// The fewest that will do.
        wanted: usize,
        /// How many there are.
        given: usize,
    },

    /// A fraction of pixels that is not between 0 and 1.
    #[error("{fraction} is no fraction of pixels: give numbers above 0 and below 1")]
    Fraction {
        /// The number.
        fraction: f64,
    },

    /// What the network or its explanation says.
    #[error(transparent)]
    Cam(#[from] CamError),
}

/// The values of a tensor.
pub(crate) fn read<F: Element, const D: usize>(tensor: Tensor<D>) -> Result<Vec<F>, MetricError> {
    guarded(|| Ok(tensor.into_data().iter::<F>().collect()))
}

/// The map has values, all of them finite, and the region as many.
pub(crate) fn expect_map<F: Float>(map: &[F], region: Option<&[bool]>) -> Result<(), MetricError> {
    expect_finite("the map", map)?;
    match region {
        Some(region) => expect_length("the region", region.len(), map.len()),
        None => Ok(()),
    }
}

pub(crate) fn expect_finite<F: Float>(what: &'static str, values: &[F]) -> Result<(), MetricError> {
    let count = values.iter().filter(|value| !value.is_finite()).count();
    if count > 0 { Err(MetricError::NotFinite { what, count }) } else { Ok(()) }
}

pub(crate) fn expect_length(
    what: &'static str,
    given: usize,
    wanted: usize,
) -> Result<(), MetricError> {
    if given == wanted { Ok(()) } else { Err(MetricError::Length { what, wanted, given }) }
}

/// What is above zero of a map.
pub(crate) fn positive<F: Float>(value: F) -> F {
    value.max(F::zero())
}

/// A whole number as a float.
pub(crate) fn float<F: Float>(number: usize) -> F {
    F::from(number).unwrap_or_else(F::infinity)
}

/// The sum of what a region picks.
pub(crate) fn sum_in<F: Float>(map: &[F], region: &[bool], of: impl Fn(F) -> F) -> F {
    let chosen = map.iter().zip(region).filter(|(_, inside)| **inside);
    chosen.fold(F::zero(), |sum, (value, _)| sum + of(*value))
}
