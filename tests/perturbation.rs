//! Methods that perturb: against pytorch-grad-cam, and against forward passes by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use segcam::burn;
use segcam::core::upsample;
use segcam::engine::{GraphEngine, LayerView, TapeEngine};
use segcam::pixels::{Mask, Pixel};
use segcam::{
    AblationCam, CamMethod, Explainer, Layers, MapStatus, Observation, OnPixels, PredictedClass,
    Prediction, Request, ScoreCam, Seg, SegmentationModel,
};
use segcam_tests::peers::{as_it_is, compare};
use segcam_tests::{SmallNet2d, SmallNetConfig, host, noise, relative_error, seeded_net};

#[test]
fn score_cam_is_the_peers() {
    compare(ScoreCam, 1.0, as_it_is);
}

#[test]
fn ablation_cam_is_the_peers_but_for_the_sign_below_zero() {
    compare(AblationCam, 1.0, |map, _, image| map.score()[image].signum() as f32);
}

const CLASS: usize = 1;

/// A network, an input, a pixel set, and plain forward passes.
struct Case<M, const D: usize> {
    model: M,
    input: Tensor<D>,
    mask: Tensor<D>,
}

impl<M: SegmentationModel<D>, const D: usize> Case<M, D> {
    fn new(model: M, input: Tensor<D>) -> (Self, Observation<D>) {
        let seen = Explainer::new(model.clone()).observe(input.clone()).expect("a pass");
        let mask = noise(1, seen.prediction().shape()).greater_elem(1.0).float();
        (Self { model: model.valid(), input, mask }, seen)
    }

    fn run(&self, input: Tensor<D>, visitor: &mut dyn FnMut(LayerView)) -> Vec<f64> {
        let logits = self.model.forward(input, &mut Layers::visited(visitor));
        let scores = host(&(logits.narrow(1, CLASS, 1) * self.mask.clone()));
        let images = scores.chunks(scores.len() / self.input.dims()[0]);
        images.map(|image| image.iter().copied().map(f64::from).sum()).collect()
    }

    fn activations(&self, layer: &str) -> Tensor<D> {
        let mut found = None;
        let mut visitor = |mut view: LayerView| {
            if view.layer.name == layer {
                found = view.tensor::<D>().cloned();
            }
        };
        self.run(self.input.clone(), &mut visitor);
        found.expect("the layer")
    }

    /// Scores with channel `k` of the layer set to zero.
    fn without(&self, layer: &str, k: usize) -> Vec<f64> {
        let mut visitor = |mut view: LayerView| {
            if view.layer.name == layer
                && let Some(tensor) = view.tensor::<D>()
            {
                let mut parts = tensor.clone().split(1, 1);
                parts[k] = parts[k].zeros_like();
                *tensor = Tensor::cat(parts, 1);
            }
        };
        self.run(self.input.clone(), &mut visitor)
    }

    /// Scores of the input seen through channel `k`; `None` for images where it is constant.
    fn through(&self, channel: Tensor<D>) -> Vec<Option<f64>> {
        let n = channel.dims()[0];
        let mut varies = vec![];
        let masks = (0..n).map(|image| {
            let one = channel.clone().narrow(0, image, 1);
            let mask = upsample(one, &self.input.dims()[2..]);
            let values = host(&mask);
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            varies.push(high > low);
            (mask - low) / (high - low).max(f32::MIN_POSITIVE)
        });
        let masks = Tensor::cat(masks.collect(), 0);
        let scores = self.run(self.input.clone() * masks, &mut |_| {});
        scores.into_iter().zip(varies).map(|(score, varies)| varies.then_some(score)).collect()
    }

    /// `Σ_k weight[k][image] · A_k`.
    fn weighted(&self, layer: &str, weights: &[Vec<f64>]) -> Vec<f32> {
        let activations = self.activations(layer);
        let images = activations.split(1, 0).into_iter().enumerate();
        let map = images.flat_map(|(image, activations)| {
            let channels = activations.split(1, 1).into_iter().zip(weights);
            let parts = channels.map(|(channel, weight)| channel * weight[image]);
            host(&parts.reduce(|a, b| a + b).expect("channels"))
        });
        map.collect()
    }
}

fn by_hand<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    let (case, seen) = Case::new(model, input);
    let images = case.input.dims()[0];
    let score = case.run(case.input.clone(), &mut |_| {});
    for layer in ["enc", "mid", "dec"] {
        let target = seen.target(&Mask::new(case.mask.clone()), CLASS).expect("a target");
        let raw = |method: &dyn CamMethod<D>| {
            host(seen.answer(&Request::new(method, layer, &target)).expect("a map").raw())
        };
        let channels = case.activations(layer).split(1, 1);

        let loss = |(k, _)| {
            let without = case.without(layer, k).into_iter().zip(&score);
            without.map(|(without, score)| (score - without) / score.abs()).collect()
        };
        let losses: Vec<Vec<f64>> = channels.iter().enumerate().map(loss).collect();
        let wanted = case.weighted(layer, &losses);
        assert!(relative_error(&raw(&AblationCam), &wanted) < 1e-4, "ablation at {layer}");

        let found: Vec<_> = channels.into_iter().map(|channel| case.through(channel)).collect();
        let mut weights = vec![vec![0.0; images]; found.len()];
        for image in 0..images {
            let total: f64 = found.iter().filter_map(|scores| scores[image]).map(f64::exp).sum();
            for (weight, scores) in weights.iter_mut().zip(&found) {
                weight[image] = scores[image].map_or(0.0, |score| score.exp() / total);
            }
        }
        let wanted = case.weighted(layer, &weights);
        assert!(relative_error(&raw(&ScoreCam), &wanted) < 1e-4, "score at {layer}");
    }
}

#[test]
fn methods_that_ask_are_their_formulas() {
    let config = SmallNetConfig::new(3);
    by_hand(seeded_net(11, |device| config.init_2d(device)), noise(12, [2, 2, 10, 12]));
    by_hand(seeded_net(13, |device| config.init_3d(device)), noise(14, [2, 2, 4, 6, 8]));
}

#[test]
fn chunks_and_engines_change_nothing_and_progress_is_told() {
    let net = seeded_net(15, |device| SmallNetConfig::new(3).init_2d(device));
    let explainers = [
        Explainer::new(net.clone()),
        // More at a time than the five channels can be divided into.
        Explainer::with_engine(GraphEngine::new(net.clone()).with_chunk(3)),
        Explainer::with_engine(TapeEngine::new(net)),
    ];
    let methods: [&dyn CamMethod; 2] = [&ScoreCam, &AblationCam];
    for method in methods {
        let maps = explainers.each_ref().map(|explainer| {
            let (steps, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let seen = explainer.observe(noise(16, [1, 2, 8, 10])).expect("a pass");
            let (all, done) = (steps.clone(), last.clone());
            let seen = seen.with_progress(move |now, of| {
                all.store(of, Ordering::Relaxed);
                done.store(now, Ordering::Relaxed);
            });
            let map = seen.explain(method, "mid", CLASS).expect("a map");
            assert!(last.load(Ordering::Relaxed) > 1);
            assert_eq!(last.load(Ordering::Relaxed), steps.load(Ordering::Relaxed));
            host(map.raw())
        });
        assert!(relative_error(&maps[1], &maps[0]) < 1e-5, "{} in chunks", method.name());
        assert!(relative_error(&maps[2], &maps[0]) < 1e-4, "{} on the tape", method.name());
    }
}

/// One class: the sum of the layer's channels, and an offset. The layer is what of the input is
/// positive.
#[derive(Module, Debug)]
struct Sum {
    offset: f32,
}

impl SegmentationModel for Sum {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        layers.name("layer", relu(image)).sum_dim(1) + self.offset
    }
}

fn map_of_sum(offset: f32, channels: &[[f32; 2]], method: &dyn OnPixels) -> Vec<f32> {
    let device = Device::flex();
    let input: Vec<f32> = channels.iter().copied().flatten().collect();
    let input = Tensor::<1>::from_floats(&*input, &device);
    let input = input.reshape([1, channels.len(), 1, 2]);
    let seen = Explainer::new(Sum { offset }).observe(input).expect("a pass");
    host(seen.explain(method, "layer", 0).expect("a map").raw())
}

#[test]
fn ablation_weights_are_the_share_of_the_score_that_goes() {
    // The score is 14 and twice the offset; without the channels it falls by 6 and by 8.
    for (offset, score) in [(1.0, 16.0), (-15.0, 16.0), (-7.0, 1.0)] {
        let given = map_of_sum(offset, &[[4.0, 2.0], [0.0, 8.0]], &AblationCam);
        let wanted = [6.0 * 4.0 / score, (6.0 * 2.0 + 8.0 * 8.0) / score];
        assert!(relative_error(&given, &wanted) < 1e-6, "{given:?} for an offset of {offset}");
    }
}

#[test]
fn score_weights_are_the_softmax_of_the_scores_behind_each_mask() {
    // Masks (1, 0) and (0, 1); the third channel is none. The score is that of the first pixel.
    let method = Seg::of(ScoreCam, Pixel::new([0, 0]));
    let given = map_of_sum(5.0, &[[1.5, 1.0], [0.0, 9.0], [0.5, 0.5]], &method);
    let first = 2f32.exp() / (2f32.exp() + 1.0);
    let wanted = [1.5 * first, first + 9.0 * (1.0 - first)];
    assert!(relative_error(&given, &wanted) < 1e-6, "{given:?}");
}

#[test]
fn a_layer_that_says_nothing_gives_an_empty_map() {
    // A zero input leaves the bias of each channel, the same everywhere.
    let net = seeded_net(15, |device| SmallNetConfig::new(3).init_2d(device));
    let zeros = Tensor::<4>::zeros([1, 2, 8, 8], &Device::flex());
    let seen = Explainer::new(net).observe(zeros).expect("a pass");
    let class = seen.prediction().labels().into_data().iter::<i64>().next().expect("a label");
    let method = Seg::of(ScoreCam, PredictedClass);
    let map = seen.explain(&method, "enc", class as usize).expect("a map");
    assert_eq!(map.status(), [MapStatus::AllZero]);
    assert_eq!(map.method(), "seg-score-cam");
}

/// Subtracts the images' mean or the first of them: each depends on the others, and of one image only the
/// mean says so.
#[derive(Module, Debug)]
struct Centered {
    net: SmallNet2d,
    at_mean: bool,
}

impl SegmentationModel for Centered {
    fn forward(&self, images: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let all = images.clone();
        let middle = if self.at_mean { all.mean_dim(0) } else { all.narrow(0, 0, 1) };
        self.net.forward(images - middle * 0.5, layers)
    }
}

#[test]
fn versions_of_a_network_that_mixes_images_are_computed_one_by_one() {
    for (images, at_mean) in [(1, true), (1, false), (2, true), (2, false)] {
        let net = seeded_net(12, |device| SmallNetConfig::new(3).init_2d(device));
        let net = Centered { net, at_mean };
        let versions: Vec<Tensor<4>> = (0..4).map(|seed| noise(seed, [images, 2, 8, 8])).collect();
        let scores = |chunk| {
            let engine = GraphEngine::new(net.clone()).with_chunk(chunk);
            let seen = Explainer::with_engine(engine).observe(noise(11, [images, 2, 8, 8]));
            let seen = seen.expect("a pass");
            let target = seen.target(&PredictedClass, 1).expect("a target");
            let network = seen.perturb(&target, "mid").expect("a layer");
            network.scores_with_input(4, |at| versions[at].clone()).expect("scores")
        };
        let [one, three] = [1, 3].map(scores);
        assert_eq!(one, three, "{images} images, {at_mean}");
    }
}

#[test]
fn weights_that_cancel_have_no_mean_probability() {
    let net = seeded_net(12, |device| SmallNetConfig::new(3).init_2d(device));
    let seen = Explainer::new(net).observe(noise(11, [1, 2, 8, 8])).expect("a pass");
    let signed = |values: [f32; 2]| {
        move |view: &Prediction, _: usize| {
            let [top, bottom] =
                values.map(|value| Tensor::<4>::full([1, 1, 4, 8], value, &view.device()));
            Tensor::cat(vec![top, bottom], 2)
        }
    };
    let probability = |values| {
        let target = seen.target(&signed(values), 1).expect("a target");
        let network = seen.perturb(&target, "mid").expect("a layer");
        network.probability_with_input(1, |_| seen.input())
    };
    // The second adds up to one part in two million.
    for cancelling in [[0.1, -0.1], [1000.0, -999.999]] {
        let error = probability(cancelling).expect_err("no mean").to_string();
        assert!(error.contains("add up to zero"), "{error}");
    }
    let mean = probability([1.0, 1.0]).expect("a mean")[0][0];
    assert!((0.0..=1.0).contains(&mean));
}
