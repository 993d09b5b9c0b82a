//! How much a window's output counts at each of its pixels.

use half::f16;
use num_traits::Num;

/// MONAI's Gaussian of a window: centred at `(n − 1)/2`, with a standard deviation of `sigma·n` along each
/// side, and nowhere less than its own smallest value or 1e-3. In single precision, as MONAI computes it.
pub(crate) fn monai_gaussian(size: &[usize], sigma: f64) -> Vec<f32> {
    let sides = size.iter().map(|&side| {
        let (centre, sigma) = ((side - 1) as f64 / 2.0, sigma * side as f64);
        let two_variances = (2.0 * sigma * sigma) as f32;
        let at = move |i: usize| (i as f64 - centre) as f32;
        (0..side).map(|i| (-at(i) * at(i) / two_variances).exp()).collect()
    });
    let mut weights = product(sides.collect());
    let least = weights.iter().copied().fold(f32::INFINITY, f32::min).max(1e-3);
    weights.iter_mut().for_each(|weight| *weight = weight.max(least));
    weights
}

/// nnU-Net's Gaussian of a window: centred at `n // 2` with a standard deviation of `n / 8`, 10 at its
/// largest, in half precision, with zeros replaced by the smallest other value.
pub(crate) fn nnunet_gaussian(size: &[usize]) -> Vec<f32> {
    let sides = size.iter().map(|&side| {
        let sigma = side as f64 / 8.0;
        let far = |i: usize| i.abs_diff(side / 2) as f64 / sigma;
        (0..side).map(|i| (-0.5 * far(i) * far(i)).exp()).collect()
    });
    let weights: Vec<f64> = product(sides.collect());
    let half = weights.into_iter().map(|weight| f16::from_f64(10.0 * weight).to_f32());
    let mut half: Vec<f32> = half.collect();
    let positive = half.iter().copied().filter(|weight| *weight > 0.0);
    let least = positive.fold(f32::INFINITY, f32::min);
    half.iter_mut().filter(|weight| **weight == 0.0).for_each(|weight| *weight = least);
    half
}

/// The outer product of the sides, the last one fastest.
fn product<F: Num + Copy>(sides: Vec<Vec<F>>) -> Vec<F> {
    sides.iter().fold(vec![F::one()], |all, side| {
        all.iter().flat_map(|&a| side.iter().map(move |&b| a * b)).collect()
    })
}
