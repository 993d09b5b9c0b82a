use burn::tensor::{Tensor, TensorData};
use segcam_core::Prediction;

/// The values of a tensor `[N, 1, …]`, in row-major order.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Ones where `inside` holds, as weights for `prediction`.
pub(crate) fn weights<const D: usize>(
    prediction: &Prediction<D>,
    inside: impl IntoIterator<Item = bool>,
) -> Tensor<D> {
    let values: Vec<f32> = inside.into_iter().map(f32::from).collect();
    Tensor::from_data(TensorData::new(values, prediction.shape()), &prediction.device())
}

/// Ones at the places where `inside` holds, the same in each image. A place is `[y, x]` or
/// `[z, y, x]`.
pub(crate) fn at_places<const D: usize>(
    prediction: &Prediction<D>,
    inside: impl Fn(&[usize]) -> bool,
) -> Tensor<D> {
    let size = prediction.size();
    let count: usize = size.iter().product();
    let mut place = vec![0; size.len()];
    let mut image = Vec::with_capacity(count);
    for _ in 0..count {
        image.push(inside(&place));
        for axis in (0..size.len()).rev() {
            place[axis] += 1;
            if place[axis] < size[axis] {
                break;
            }
            place[axis] = 0;
        }
    }
    let images = prediction.shape()[0];
    weights(prediction, image.iter().copied().cycle().take(images * count))
}
