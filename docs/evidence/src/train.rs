//! Trains small U-Nets, the same way in every experiment.

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use indicatif::ProgressBar;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam::models::{UNet, UNetConfig};
use segcam::{Layers, SegmentationModel};

const BATCH: usize = 8;

/// A square image of one channel and the class of each of its pixels.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) image: Vec<f32>,
    pub(crate) labels: Vec<u8>,
}

impl Sample {
    /// The image as the network's input, `[1, 1, side, side]`.
    pub(crate) fn input(&self) -> Tensor<4> {
        let side = side(self.labels.len());
        Tensor::from_data(TensorData::new(self.image.clone(), [1, 1, side, side]), &Device::flex())
    }

    /// Mirrored left and right.
    pub(crate) fn mirrored(&self) -> Self {
        let side = side(self.labels.len());
        let place = |at: usize| at / side * side + side - 1 - at % side;
        let places = || (0..self.labels.len()).map(place);
        Self {
            image: places().map(|at| self.image[at]).collect(),
            labels: places().map(|at| self.labels[at]).collect(),
        }
    }
}

fn side(pixels: usize) -> usize {
    pixels.isqrt()
}

/// What is minimised, from the logarithms of the probabilities and the annotation as 0 and 1, both
/// `[N, classes, H, W]`.
pub(crate) type Loss = fn(Tensor<4>, Tensor<4>) -> Tensor<1>;

/// Trains for so many batches of images drawn by `draw`; the learning rate falls to zero along a
/// cosine.
pub(crate) fn train(
    of: Loss,
    config: &UNetConfig,
    steps: usize,
    seed: u64,
    mut draw: impl FnMut(&mut ChaCha8Rng) -> Sample,
) -> UNet {
    let device = Device::flex();
    device.seed(seed);
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut model = config.init(&device.clone().autodiff());
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-4).init();
    let bar = ProgressBar::new(steps as u64);
    for step in 0..steps {
        let samples: Vec<Sample> = (0..BATCH).map(|_| draw(&mut generator)).collect();
        let gradients =
            GradientsParams::from_grads(loss(of, &model, &samples, &device).backward(), &model);
        let rate = 3e-3 * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
        model = optimizer.step(rate, model, gradients);
        bar.inc(1);
    }
    bar.finish_and_clear();
    model.valid()
}

fn loss(of: Loss, model: &UNet, samples: &[Sample], device: &Device) -> Tensor<1> {
    let side = side(samples[0].labels.len());
    let shape = [samples.len(), 1, side, side];
    let images: Vec<f32> = samples.iter().flat_map(|sample| &sample.image).copied().collect();
    let images: Tensor<4> = Tensor::from_data(TensorData::new(images, shape), device).autodiff();
    let scores = log_softmax(model.forward(images, &mut Layers::ignored()), 1);
    let classes = scores.dims()[1];
    let mut one_hot = vec![0.0f32; samples.len() * classes * side * side];
    for (number, sample) in samples.iter().enumerate() {
        for (at, &class) in sample.labels.iter().enumerate() {
            one_hot[(number * classes + usize::from(class)) * side * side + at] = 1.0;
        }
    }
    let shape = [samples.len(), classes, side, side];
    let one_hot: Tensor<4> = Tensor::from_data(TensorData::new(one_hot, shape), device).autodiff();
    of(scores, one_hot)
}

/// Mean over the pixels.
pub(crate) fn cross_entropy(scores: Tensor<4>, one_hot: Tensor<4>) -> Tensor<1> {
    let [images, _, height, width] = scores.dims();
    (scores * one_hot).sum().neg() / (images * height * width) as f64
}

/// Cross-entropy plus what is missing of the mean Dice score of all classes but 0, over the batch:
/// small classes count as much as large ones.
pub(crate) fn cross_entropy_and_dice(scores: Tensor<4>, one_hot: Tensor<4>) -> Tensor<1> {
    let objects = scores.dims()[1] - 1;
    let sums = |of: Tensor<4>| of.narrow(1, 1, objects).sum_dim(0).sum_dim(2).sum_dim(3);
    let found = scores.clone().exp();
    let both = sums(found.clone() * one_hot.clone());
    let dice = (both * 2.0 + 1.0) / (sums(found + one_hot.clone()) + 1.0);
    cross_entropy(scores, one_hot) + (dice.mean().neg() + 1.0)
}

/// A random whole number below `end`.
pub(crate) fn below(generator: &mut ChaCha8Rng, end: usize) -> usize {
    generator.random_range(0..end)
}
