//! Reading arrays, checks on them, and sums of them.

use burn::tensor::{Element, Tensor};
use num_traits::Float;
use segcam_core::{Explanation, guarded};

use crate::MetricError;

/// The values of a tensor.
pub(crate) fn read<F: Element, const D: usize>(tensor: Tensor<D>) -> Result<Vec<F>, MetricError> {
    guarded(|| Ok(tensor.into_data().iter::<F>().collect()))
}

/// The raw map's values; zeros if it is nothing but rounding.
pub(crate) fn values_of<const D: usize>(map: &Explanation<D>) -> Result<Vec<f64>, MetricError> {
    read(map.signal())
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
