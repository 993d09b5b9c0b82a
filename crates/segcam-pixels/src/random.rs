use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::cells;

/// A number of pixels drawn at random, the same ones for the same seed: a control.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Random;
///
/// let view = Prediction::new(Tensor::zeros([1, 2, 8, 8], &Device::flex()), [1, 1, 8, 8]);
/// let weights = Random::new(10, 1).weights(&view, 0)?;
/// assert_eq!(weights.sum().into_scalar::<f32>(), 10.0);
/// # Ok::<(), segcam_core::CamError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random {
    count: usize,
    seed: u64,
}

impl Random {
    /// `count` different pixels of each image.
    pub fn new(count: usize, seed: u64) -> Self {
        Self { count, seed }
    }
}

impl<const D: usize> PixelSet<D> for Random {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let pixels: usize = prediction.size().iter().product();
        if self.count > pixels {
            let reason = format!("the image has {pixels} pixels");
            return Err(CamError::PixelSet { set: PixelSet::<D>::name(self), reason });
        }
        let images = prediction.shape()[0];
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        let mut inside = vec![false; images * pixels];
        for image in 0..images {
            for at in sample(&mut generator, pixels, self.count) {
                inside[image * pixels + at] = true;
            }
        }
        Ok(cells::weights(prediction, inside))
    }

    fn name(&self) -> String {
        format!("random:{},{}", self.count, self.seed)
    }

    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        Some("it asks for 0 pixels".into())
    }
}
