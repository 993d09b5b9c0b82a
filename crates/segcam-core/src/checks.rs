//! Checks on tensors, and sums of them.

use burn::tensor::{Tensor, TensorData};

use crate::{CamError, Quantity};

pub(crate) fn expect_shape<const D: usize>(
    what: &'static str,
    tensor: &Tensor<D>,
    wanted: [usize; D],
) -> Result<(), CamError> {
    let given = tensor.dims();
    if given == wanted {
        return Ok(());
    }
    Err(CamError::ShapeMismatch { what, wanted: wanted.to_vec(), given: given.to_vec() })
}

pub(crate) fn finite<const D: usize>(
    tensor: &Tensor<D>,
    what: impl FnOnce() -> Quantity,
) -> Result<(), CamError> {
    // A sum of finite values that are not finite together is rare; counting them is slow.
    if tensor.clone().sum().into_scalar::<f32>().is_finite() {
        return Ok(());
    }
    let count = tensor.clone().is_finite().bool_not().int().sum().into_scalar::<i64>() as usize;
    if count == 0 { Ok(()) } else { Err(CamError::NonFinite { what: what(), count }) }
}

/// Sums each image of the batch: `[N, …]` to N numbers.
pub(crate) fn per_sample_sum<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let size = tensor.shape().num_elements() / tensor.dims()[0];
    sums(&tensor.into_data(), size)
}

/// The sums of `size` values at a time.
fn sums(data: &TensorData, size: usize) -> Vec<f64> {
    let Ok(values) = data.as_slice::<f32>() else {
        let values: Vec<f64> = data.iter().collect();
        return values.chunks(size).map(|values| values.iter().sum()).collect();
    };
    let sum = |values: &[f32]| {
        // Several sums at a time: one waits for each addition.
        let (groups, rest) = values.as_chunks::<16>();
        let mut parts = [0.0; 16];
        for group in groups {
            parts.iter_mut().zip(group).for_each(|(part, value)| *part += f64::from(*value));
        }
        parts.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value)).sum::<f64>()
    };
    values.chunks(size).map(sum).collect()
}

/// Adds up in double precision.
pub(crate) fn sum<const D: usize>(tensor: Tensor<D>) -> f64 {
    let size = tensor.shape().num_elements().max(1);
    sums(&tensor.into_data(), size).into_iter().sum()
}
