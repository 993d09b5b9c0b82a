//! Twin networks: one learns from images that give squares away, one cannot.

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam::burn::tensor::{Device, Tensor, TensorData};
use segcam::models::UNetConfig;
use segcam::{
    AllPixels, CamMethod, Explainer, Explanation, GradCam, HiResCam, Observation, PixelSet,
    Prediction, Request,
};

use super::scene::{SIDE, Scene};
use crate::train::{Sample, train};

pub(super) const LAYERS: [&str; 9] =
    ["enc1", "enc2", "enc3", "enc4", "mid", "dec4", "dec3", "dec2", "dec1"];
/// In the order of [`maps`].
pub(super) const METHODS: [&str; 4] =
    ["Seg-Grad-CAM", "Seg-HiRes-Grad-CAM", "Grad-CAM", "HiResCAM"];
pub(super) const WIDTHS: [usize; 5] = [8, 16, 32, 64, 64];

pub(super) struct Twins {
    pub(super) biased: Explainer,
    pub(super) unbiased: Explainer,
}

impl Twins {
    /// Same start, same images; only T* differs.
    pub(super) fn train(seed: u64, steps: usize) -> Self {
        let config = UNetConfig::new(1, 3).with_widths(WIDTHS.to_vec());
        let learn = |biased: bool| {
            Explainer::new(train(balanced, &config, steps, seed, |generator| {
                let (square, coin) = (generator.random(), generator.random());
                Scene::draw(generator, square).render(if biased { square } else { coin })
            }))
        };
        Self { biased: learn(true), unbiased: learn(false) }
    }

    pub(super) fn both(&self) -> [&Explainer; 2] {
        [&self.biased, &self.unbiased]
    }
}

/// New images: so many, squares or disks.
pub(super) fn scenes(count: usize, square: bool, seed: u64) -> Vec<Scene> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| Scene::draw(&mut generator, square)).collect()
}

pub(super) fn look(network: &Explainer, image: &Sample) -> Result<Observation> {
    Ok(network.observe(image.input())?)
}

/// What most pixels of a region are predicted as.
pub(super) fn majority(seen: &Observation, region: &[bool]) -> u8 {
    let labels: Vec<i64> = seen.prediction().labels().into_data().iter::<i64>().collect();
    let count = |class: i64| labels.iter().zip(region).filter(|p| *p.0 == class && *p.1).count();
    (0..3u8).max_by_key(|class| count(i64::from(*class))).unwrap_or(0)
}

/// The mean probability of a class over a region.
pub(super) fn probability(seen: &Observation, class: u8, region: &[bool]) -> f64 {
    let values: Vec<f64> =
        seen.prediction().probability(class.into()).into_data().iter::<f64>().collect();
    let inside: Vec<f64> =
        values.into_iter().zip(region).filter(|pair| *pair.1).map(|pair| pair.0).collect();
    inside.iter().sum::<f64>() / inside.len() as f64
}

/// The pixels inside a region that are predicted as the class.
fn predicted_in(region: &[bool]) -> impl PixelSet {
    let mask: Vec<f32> = region.iter().map(|inside| f32::from(u8::from(*inside))).collect();
    let mask = Tensor::from_data(TensorData::new(mask, [1, 1, SIDE, SIDE]), &Device::flex());
    move |seen: &Prediction, class: usize| seen.predicted(class) * mask.clone()
}

/// Maps of a class for every layer, and for each of them every method; the whole-image methods know
/// nothing of the region.
pub(super) fn maps(seen: &Observation, class: u8, region: &[bool]) -> Result<Vec<Explanation>> {
    let part = seen.target(&predicted_in(region), class.into())?;
    let whole = seen.target(&AllPixels, class.into())?;
    let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    let places = LAYERS.into_iter().flat_map(|layer| [&part, &whole].map(|target| (layer, target)));
    let requests = places
        .flat_map(|(layer, target)| methods.map(|method| Request::new(method, layer, target)));
    Ok(seen.explain_all(requests).collect::<Result<Vec<_>, _>>()?)
}

/// Cross-entropy where the object counts as much as all the rest: its class is what matters.
fn balanced(scores: Tensor<4>, annotation: Tensor<4>) -> Tensor<1> {
    let mean = |from: usize, count: usize| {
        let annotation = annotation.clone().narrow(1, from, count);
        let pixels = annotation.clone().sum();
        (scores.clone().narrow(1, from, count) * annotation).sum() / pixels
    };
    (mean(0, 1) + mean(1, 2)).neg()
}
