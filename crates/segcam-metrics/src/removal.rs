use burn::config::Config;
use burn::tensor::{Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use segcam_core::Perturbation;

use crate::MetricError;
use crate::impute::impute;
use crate::values::{expect_finite, expect_length, read};

/// How pixels are taken out of an image: filled from their neighbours ([`impute`]), with noise.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct Removal {
    /// The fractions of pixels that are removed, each above 0 and below 1.
    #[config(default = "vec![0.1, 0.3, 0.5, 0.7, 0.9]")]
    pub fractions: Vec<f64>,
    /// Standard deviation of the noise on removed pixels, as a part of the image's range.
    #[config(default = 0.01)]
    pub noise: f64,
    /// Seed of the noise, and of the order of pixels that are equally relevant.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for Removal {
    fn default() -> Self {
        Self::new()
    }
}

impl Removal {
    /// The values of a map at the size of the input, of one image, and nothing else.
    pub(crate) fn values<const D: usize>(
        &self,
        network: &Perturbation<D>,
        heat: &Tensor<D>,
    ) -> Result<Vec<f32>, MetricError> {
        let input = network.input().dims();
        if input[0] != 1 {
            return Err(MetricError::OneImage { given: input[0] });
        }
        let wrong = |fraction: &&f64| !(**fraction > 0.0 && **fraction < 1.0);
        if let Some(&fraction) = self.fractions.iter().find(wrong) {
            return Err(MetricError::Fraction { fraction });
        }
        let values: Vec<f32> = read(heat.clone())?;
        let pixels = input[2..].iter().product();
        expect_length("the heat map at input resolution", values.len(), pixels)?;
        expect_finite("the heat map", &values)?;
        Ok(values)
    }

    /// Mean probability of the class over the explained pixels for each set of removed pixels.
    pub(crate) fn probabilities<const D: usize>(
        &self,
        network: &Perturbation<D>,
        removed: &[Vec<usize>],
    ) -> Result<Vec<f64>, MetricError> {
        let input = network.input();
        let (shape, device) = (input.dims(), input.device());
        let values: Vec<f32> = read(input)?;
        let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let smallest = values.iter().copied().fold(f32::INFINITY, f32::min);
        let sigma = self.noise as f32 * (largest - smallest);
        let changed = |removed: &Vec<usize>| {
            let mut keep = vec![true; shape[2..].iter().product()];
            removed.iter().for_each(|&at| keep[at] = false);
            let mut image = impute(&values, &shape[2..], &keep)?;
            let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
            for channel in image.chunks_mut(keep.len()) {
                for &at in removed {
                    let noise: f32 = StandardNormal.sample(&mut generator);
                    channel[at] += sigma * noise;
                }
            }
            Ok(image)
        };
        let changed = removed.par_iter().map(changed).collect::<Result<Vec<_>, MetricError>>()?;
        let version =
            |k: usize| Tensor::from_data(TensorData::new(changed[k].clone(), shape), &device);
        let found = network.probability_with_input(removed.len(), version)?;
        Ok(found.into_iter().map(|images| images[0]).collect())
    }
}

pub(crate) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.sum::<f64>() / count as f64
}
