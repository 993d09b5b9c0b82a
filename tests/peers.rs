//! The raw maps of `reference/*.methods.safetensors` and its like, and what they are compared with.

use burn::tensor::{Device, Tensor};
use segcam::models::{UNetConfig, Upsampling, load_weights};
use segcam::pixels::Vocabulary;
use segcam::{CamError, CamMethod, Explainer, Explanation, Observation, PixelSet, Prediction, Seg};

use crate::{Fixture, host, reference, relative_error};

/// The networks that `reference/generate.py` writes.
pub fn networks() -> [(&'static str, UNetConfig); 4] {
    let nearest = UNetConfig::new(1, 2)
        .with_widths(vec![3, 5, 7])
        .with_batch_norm(false)
        .with_upsampling(Upsampling::Nearest)
        .with_skip_first(true)
        .with_double_conv(false)
        .with_head_relu(true);
    [
        ("three-classes", UNetConfig::new(3, 3).with_widths(vec![4, 6, 8])),
        ("binary", UNetConfig::new(1, 1).with_widths(vec![4, 6, 8])),
        ("nearest", nearest),
        ("deep", UNetConfig::new(2, 4).with_widths(vec![3, 4, 5, 6, 7])),
    ]
}

/// A file of the network `name`.
pub fn fixture(name: &str, kind: &str) -> Fixture {
    Fixture::open(&reference().join(format!("{name}.{kind}.safetensors")))
}

/// The network `name` with its weights and its input.
///
/// # Panics
/// If they do not fit.
pub fn observe(name: &str, config: &UNetConfig) -> Observation<4> {
    let weights = reference().join(format!("{name}.weights.safetensors"));
    let unet = load_weights(config.init(&Device::flex()), &weights, str::to_string);
    let explainer = Explainer::new(unet.expect("weights that fit"));
    explainer.observe(fixture(name, "maps").tensor("input")).expect("a pass")
}

/// A pixel set whose pixels all count `1` times.
#[derive(Debug, Clone)]
pub struct Times<P>(pub P, pub f64);

impl<P: PixelSet<D>, const D: usize> PixelSet<D> for Times<P> {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        Ok(self.0.weights(prediction, class)? * self.1)
    }
}

/// Compares `method` with every map that pytorch-grad-cam drew with the method of its name, over
/// a pixel set that counts `times` times. `sign` gets what is to be compared, the wanted map, and
/// the number of the image, and says by what to multiply the image's map.
///
/// # Panics
/// Where a map differs by more than 1e-4 of its largest absolute value, or maps are missing.
pub fn compare<M: CamMethod + Copy>(
    method: M,
    times: f64,
    sign: impl Fn(&Explanation, &[f32], usize) -> f32,
) {
    let (mut maps, mut worst) = (0, 0f32);
    for (name, config) in networks() {
        let seen = observe(name, &config);
        let file = if method.name() == "seg-eigen-cam" { "seg-eigen" } else { "methods" };
        let wanted = fixture(name, file);
        for key in wanted.names() {
            let ["raw", class, set, layer, of] = key.split('/').collect::<Vec<_>>()[..] else {
                panic!("{key}");
            };
            if of != method.name() {
                continue;
            }
            let class = class.parse().expect("a class");
            let set = Vocabulary::new().parse(set).expect("a pixel set");
            let map = seen.explain(&Seg::of(method, Times(set, times)), layer, class);
            let map = map.unwrap_or_else(|error| panic!("{name}/{key}: {error}"));

            let (mut given, wanted) = (host(map.raw()), host(&wanted.tensor::<4>(&key)));
            let size = given.len() / map.raw().dims()[0];
            for (image, values) in given.chunks_mut(size).enumerate() {
                let sign = sign(&map, &wanted[image * size..][..size], image);
                values.iter_mut().for_each(|value| *value *= sign);
            }
            let error = relative_error(&given, &wanted);
            assert!(error < 1e-4, "{name}/{key}: {error:e}");
            worst = worst.max(error);
            maps += 1;
        }
    }
    assert!(maps >= 27, "{maps} maps of {}", method.name());
    println!("{}: {maps} raw maps {worst:.1e}", method.name());
}

/// For methods whose sign means the same to everybody.
pub fn as_it_is(_: &Explanation, _: &[f32], _: usize) -> f32 {
    1.0
}
