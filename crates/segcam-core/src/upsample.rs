use burn::tensor::{Int, Tensor, TensorData};
use num_traits::Float;

/// Linear resampling of all spatial dimensions to `size`, with half-pixel centres
/// (`align_corners = false`): bilinear for images, trilinear for volumes.
///
/// # Shapes
/// - `map`: `[N, C, …]`
/// - `size`: one side per spatial dimension; more or fewer are ignored or left alone
/// - output: `[N, C, size…]`
///
/// # Example
/// ```
/// use segcam_core::{upsample, burn::tensor::{Device, Tensor}};
///
/// let map = Tensor::<4>::from_floats([[[[0.0, 1.0]]]], &Device::flex());
/// let wide = upsample(map, &[1, 4]).into_data().try_to_vec::<f32>()?;
/// assert_eq!(wide, [0.0, 0.25, 0.75, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn upsample<const D: usize>(mut map: Tensor<D>, size: &[usize]) -> Tensor<D> {
    for (dim, &to) in (2..D).zip(size) {
        let from = map.dims()[dim];
        if from == to {
            continue;
        }
        let taps = half_pixel_taps::<f32>(from, to);
        let device = map.device();
        let index = |at: fn(&(usize, usize, f32)) -> usize| -> Tensor<1, Int> {
            let at: Vec<i64> = taps.iter().map(|tap| at(tap) as i64).collect();
            Tensor::from_data(TensorData::new(at, [to]), &device)
        };
        let mut shape = [1; D];
        shape[dim] = to;
        let share: Vec<f32> = taps.iter().map(|tap| tap.2).collect();
        let share = Tensor::<1>::from_data(TensorData::new(share, [to]), &device).reshape(shape);
        let low = map.clone().select(dim, index(|tap| tap.0));
        let high = map.select(dim, index(|tap| tap.1));
        map = low.clone() + (high - low) * share;
    }
    map
}

/// Where each of `to` samples falls between `from` cells, with half-pixel centres: the cell below,
/// the cell above, and the share of the one above. Samples beyond the outer centres repeat the edge.
///
/// # Example
/// ```
/// use segcam_core::half_pixel_taps;
///
/// assert_eq!(half_pixel_taps::<f64>(2, 4)[1], (0, 1, 0.25));
/// ```
pub fn half_pixel_taps<F: Float>(from: usize, to: usize) -> Vec<(usize, usize, F)> {
    let number = |n: usize| F::from(n).unwrap_or_else(F::infinity);
    let half = F::one() / number(2);
    let scale = number(from) / number(to);
    let last = from.saturating_sub(1);
    (0..to)
        .map(|i| {
            let at = ((number(i) + half) * scale - half).max(F::zero()).min(number(last));
            let below = at.floor().to_usize().unwrap_or(last).min(last);
            (below, (below + 1).min(last), at - number(below))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;

    /// Trilinear interpolation voxel by voxel, from the definition.
    fn naive(values: &[f32], from: [usize; 3], to: [usize; 3]) -> Vec<f32> {
        let place = |i: usize, axis: usize| {
            let at = (i as f64 + 0.5) * from[axis] as f64 / to[axis] as f64 - 0.5;
            at.clamp(0.0, (from[axis] - 1) as f64)
        };
        let mut result = vec![];
        for z in 0..to[0] {
            for y in 0..to[1] {
                for x in 0..to[2] {
                    let at = [place(z, 0), place(y, 1), place(x, 2)];
                    let mut sum = 0.0;
                    for (i, &value) in values.iter().enumerate() {
                        let cell = [i / (from[1] * from[2]), i / from[2] % from[1], i % from[2]];
                        let near = |axis: usize| 1.0 - (at[axis] - cell[axis] as f64).abs();
                        let weight: f64 = (0..3).map(|axis| near(axis).max(0.0)).product();
                        sum += weight * f64::from(value);
                    }
                    result.push(sum as f32);
                }
            }
        }
        result
    }

    #[test]
    fn trilinear_agrees_with_the_definition() {
        for (from, to) in [([2, 3, 4], [5, 6, 4]), ([1, 2, 3], [4, 7, 8]), ([4, 4, 4], [3, 2, 9])] {
            let shape = [1, 1, from[0], from[1], from[2]];
            let map = Tensor::<5>::random(shape, Distribution::Default, &Device::flex());
            let values: Vec<f32> = map.to_data().iter::<f32>().collect();
            let given: Vec<f32> = upsample(map, &to).into_data().iter::<f32>().collect();
            for (given, wanted) in given.iter().zip(naive(&values, from, to)) {
                assert!((given - wanted).abs() < 1e-6, "{given} against {wanted}");
            }
        }
    }

    #[test]
    fn every_float_type_has_the_same_taps() {
        for (from, to) in [(3, 7), (48, 192), (100, 33)] {
            let double = half_pixel_taps::<f64>(from, to);
            for (single, double) in half_pixel_taps::<f32>(from, to).iter().zip(double) {
                let at = |(low, _, share): (usize, usize, f64)| low as f64 + share;
                let single = (single.0, single.1, f64::from(single.2));
                assert!((at(single) - at(double)).abs() < 1e-4);
            }
        }
    }
}
