use std::cmp::Ordering;

use num_traits::Float;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Places of the values from the largest to the smallest; equal values in a random order that the
/// seed decides.
///
/// # Example
/// ```
/// assert_eq!(segcam_metrics::descending(&[0.5, 2.0, 1.0], 0), [1, 2, 0]);
/// ```
pub fn descending<F: Float>(values: &[F], seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.sort_by(|&a, &b| values[b].partial_cmp(&values[a]).unwrap_or(Ordering::Equal));
    order
}

/// The number of pixels that a fraction of them is.
pub(crate) fn count(fraction: f64, pixels: usize) -> usize {
    (fraction * pixels as f64 + 0.5) as usize
}
