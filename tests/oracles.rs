//! Exact properties of the maps on small random networks, images and volumes, for every method.

use std::sync::Mutex;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use proptest::prelude::*;
use segcam::burn;
use segcam::engine::LayerView;
use segcam::models::{EspNetConfig, UNetConfig};
use segcam::pixels::{Mask, Pixel};
use segcam::{
    CamMethod, Explainer, Explanation, GradCam, HiResCam, Layers, Observation, OnPixels, Request,
    SegGradCam, SegHiResGradCam, SegmentationModel,
};
use segcam_tests::{SmallNetConfig, double, host, methods, noise, relative_error, seeded_net};

const CLASSES: usize = 3;
const LAYERS: [&str; 3] = ["enc", "mid", "dec"];

fn random_mask<const D: usize>(seed: u64, seen: &Observation<D>) -> Tensor<D> {
    noise(seed, seen.prediction().shape()).greater_elem(0.3).float()
}

fn total(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum()
}

fn magnitude(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(value.abs())).sum()
}

/// The score of `class` over `mask` when the activations of `layer` are edited.
fn score_with<M: SegmentationModel<D>, const D: usize>(
    model: &M,
    input: &Tensor<D>,
    layer: &str,
    class: usize,
    mask: &Tensor<D>,
    edit: impl Fn(Tensor<D>) -> Tensor<D>,
) -> f64 {
    let mut visitor = |mut view: LayerView| {
        if view.layer.name == layer
            && let Some(tensor) = view.tensor::<D>()
        {
            *tensor = edit(tensor.clone());
        }
    };
    let logits = model.valid().forward(input.clone(), &mut Layers::visited(&mut visitor));
    total(&host(&(logits.narrow(1, class, 1) * mask.clone())))
}

/// Oracle 1: what follows the layer is affine, so the map adds up to the score minus its offset.
fn affine_head<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    let seen = Explainer::new(model.clone()).observe(input.clone()).expect("a pass");
    let mask = random_mask(1, &seen);
    for class in 0..CLASSES {
        let hires = SegHiResGradCam::new(Mask::new(mask.clone()));
        for layer in ["dec", "mid"] {
            let map = seen.explain(&hires, layer, class).expect("a map");
            let offset = score_with(&model, &input, layer, class, &mask, |a| a.zeros_like());
            let score: f64 = map.score().iter().sum();
            let raw = host(map.raw());
            let error = (total(&raw) - (score - offset)).abs() / magnitude(&raw).max(score.abs());
            assert!(error < 1e-4, "{layer}: {} against {}", total(&raw), score - offset);
        }
        // A 1×1 head: zero outside the pixel set, the logit without its bias inside.
        let map = seen.explain(&hires, "dec", class).expect("a map");
        let bias = score_with(&model, &input, "dec", class, &mask, |a| a.zeros_like())
            / total(&host(&mask));
        let wanted = (seen.prediction().logit(class) - bias) * mask.clone();
        assert!(relative_error(&host(map.raw()), &host(&wanted)) < 1e-4);
        let outside = host(&(map.raw().clone() * (mask.clone().neg() + 1.0)));
        assert!(outside.iter().all(|&value| value == 0.0));
    }
}

/// The activations of `layer` in a plain forward pass.
fn activations_of<M: SegmentationModel<D>, const D: usize>(
    model: &M,
    input: &Tensor<D>,
    layer: &str,
) -> Tensor<D> {
    let mut found = None;
    let mut visitor = |mut view: LayerView| {
        if view.layer.name == layer {
            found = view.tensor::<D>().cloned();
        }
    };
    model.valid().forward(input.clone(), &mut Layers::visited(&mut visitor));
    found.expect("a layer of that name")
}

/// Oracle 3: averaging loses N times the covariance of gradient and activation over space: the maps of
/// the two methods differ by it. And every method's map against loops over plain numbers.
fn what_averaging_loses<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    let seen = Explainer::new(model.clone()).observe(input.clone()).expect("a pass");
    let mask = random_mask(1, &seen);
    for layer in LAYERS {
        let a = activations_of(&model, &input, layer);
        let [n, channels] = [a.dims()[0], a.dims()[1]];
        let cells = a.dims()[2..].iter().product::<usize>();
        let a = host(&a);
        let at = |n: usize, k: usize, u: usize| (n * channels + k) * cells + u;
        // Averaging methods and those that do not average, by turns.
        let methods = methods(Mask::new(mask.clone()));
        for pair in methods.chunks_exact(2) {
            let [averaged, hires] = [0, 1].map(|which| parts(&seen, &*pair[which], layer));
            assert_eq!(host(&averaged.gradients), host(&hires.gradients));
            assert!(relative_error(&host(&hires.activations), &a) < 1e-5);
            let g = host(&hires.gradients);
            let [averaged, hires] = [averaged, hires].map(|parts| host(&parts.map));
            let mut naive_hires = vec![0f64; n * cells];
            let mut naive_grad = vec![0f64; n * cells];
            for i in 0..n {
                let mut covariance = 0.0;
                for k in 0..channels {
                    let mean = |v: &[f32]| -> f64 {
                        (0..cells).map(|u| f64::from(v[at(i, k, u)])).sum::<f64>() / cells as f64
                    };
                    let (mean_a, mean_g) = (mean(&a), mean(&g));
                    for u in 0..cells {
                        let (a, g) = (f64::from(a[at(i, k, u)]), f64::from(g[at(i, k, u)]));
                        naive_hires[i * cells + u] += g * a;
                        naive_grad[i * cells + u] += mean_g * a;
                        covariance += (g - mean_g) * (a - mean_a);
                    }
                }
                let part = |map: &[f32]| map[i * cells..(i + 1) * cells].to_vec();
                let (averaged, hires) = (part(&averaged), part(&hires));
                let lost = total(&hires) - total(&averaged);
                let scale = (magnitude(&hires) + magnitude(&averaged)).max(1e-12);
                assert!((lost - covariance).abs() / scale < 1e-5, "{lost} against {covariance}");
            }
            for (map, wanted, method) in
                [(averaged, naive_grad, &pair[0]), (hires, naive_hires, &pair[1])]
            {
                let wanted: Vec<f32> = wanted.into_iter().map(|value| value as f32).collect();
                assert!(
                    relative_error(&map, &wanted) < 1e-4,
                    "{} at {layer}",
                    method.method().name()
                );
            }
        }
    }
}

struct Parts<const D: usize> {
    activations: Tensor<D>,
    gradients: Tensor<D>,
    map: Tensor<D>,
}

/// Activations and gradients as a method gets them, from maps that pick out single factors.
fn parts<const D: usize>(seen: &Observation<D>, method: &dyn OnPixels<D>, layer: &str) -> Parts<D> {
    struct Spy<'a, const D: usize>(&'a dyn CamMethod<D>, Mutex<Option<(Tensor<D>, Tensor<D>)>>);
    impl<const D: usize> CamMethod<D> for Spy<'_, D> {
        fn combine(&self, a: Tensor<D>, g: Tensor<D>) -> Tensor<D> {
            *self.1.lock().expect("one thread") = Some((a.clone(), g.clone()));
            self.0.combine(a, g)
        }
    }
    let spy = Spy(method.method(), Mutex::default());
    let target = seen.target(method.pixels(), 1).expect("a target");
    let map = seen.answer(&Request::new(&spy, layer, &target)).expect("a map").raw().clone();
    let found = spy.1.into_inner().expect("one thread");
    let (activations, gradients) = found.expect("combine was called");
    Parts { activations, gradients, map }
}

/// Oracle 4: cells on which no pixel of the set depends have exactly nothing in a HiRes map, and
/// averaged gradients put something there.
fn impossible_influence<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    let seen = Explainer::new(model).observe(input).expect("a pass");
    let corner = vec![0; D - 2];
    let (mut leaked, mut cells) = (0.0, 0);
    for (layer, reach) in [("dec", 0), ("mid", 1), ("enc", 3)] {
        let hires = seen.explain(&SegHiResGradCam::new(Pixel::new(corner.clone())), layer, 1);
        let grad = seen.explain(&SegGradCam::new(Pixel::new(corner.clone())), layer, 1);
        let dims = hires.as_ref().expect("a map").raw().dims();
        let far = far_from_corner(&dims, reach);
        let values = |map: Result<Explanation<D>, _>| host(map.expect("a map").raw());
        for ((&far, hires), grad) in far.iter().zip(values(hires)).zip(values(grad)) {
            if far {
                assert_eq!(hires, 0.0, "at {layer}");
                leaked += f64::from(grad.abs());
                cells += 1;
            }
        }
    }
    assert!(cells > 0);
    assert!(leaked > 0.0, "averaging should spread the gradient");
}

fn far_from_corner<const D: usize>(dims: &[usize; D], reach: usize) -> Vec<bool> {
    (0..dims.iter().product())
        .map(|mut index: usize| {
            let mut far = false;
            for &side in dims[2..].iter().rev() {
                far |= index % side > reach;
                index /= side;
            }
            far
        })
        .collect()
}

/// Oracle 5: maps of disjoint sets add up to the map of their union.
fn linearity<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    let seen = Explainer::new(model).observe(input).expect("a pass");
    let first = random_mask(1, &seen);
    let second = random_mask(2, &seen) * (first.clone().neg() + 1.0);
    let both = first.clone() + second.clone();
    let of = |mask: &Tensor<D>| methods(Mask::new(mask.clone()));
    let all = of(&both).into_iter().zip(of(&first)).zip(of(&second)).skip(2);
    for ((both, first), second) in all {
        for layer in LAYERS {
            let raw = |method: &dyn OnPixels<D>| {
                seen.explain(method, layer, 2).expect("a map").raw().clone()
            };
            let sum = host(&(raw(&*first) + raw(&*second)));
            assert!(relative_error(&sum, &host(&raw(&*both))) < 1e-4, "{}", both.method().name());
        }
    }
}

/// Oracle 6: the gradients against central differences of the score in double precision, where they
/// are large and wherever else, so that a gradient that is missing shows, too.
fn finite_differences<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    const STEP: f64 = 1e-5;
    const TOLERANCE: f64 = 1e-5;
    let seen = Explainer::new(model.clone()).observe(input.clone()).expect("a pass");
    let mask = random_mask(1, &seen);
    let method = SegHiResGradCam::new(Mask::new(mask.clone()));
    let model = double(model.valid());
    let [input, mask] = [input, mask].map(|tensor| tensor.cast(FloatDType::F64));
    for layer in LAYERS {
        let Parts { gradients, .. } = parts(&seen, &method, layer);
        let g = host(&gradients);
        let largest = g.iter().fold(0f32, |most, value| most.max(value.abs()));
        let strong: Vec<usize> = (0..g.len()).filter(|&i| g[i].abs() > 0.2 * largest).collect();
        // Behind ReLUs that are all off no gradient is large: as many places are looked at all the same.
        let others = if strong.is_empty() { 24 } else { 16 };
        let strong =
            (0..8).filter_map(|i| strong.get((i * 7919 + 13) % strong.len().max(1)).copied());
        let any = (0..others).map(|i| (i * 7919 + 13) % g.len());
        let mut smooth = 0;
        for place in strong.chain(any) {
            let moved = |by: f64| {
                let mut visitor = |mut view: LayerView| {
                    if view.layer.name == layer
                        && let Some(tensor) = view.tensor::<D>()
                    {
                        let mut values: Vec<f64> = tensor.to_data().iter().collect();
                        values[place] += by;
                        let data = TensorData::new(values, tensor.dims());
                        *tensor = Tensor::from_data(data, (&Device::flex(), DType::F64));
                    }
                };
                let logits = model.forward(input.clone(), &mut Layers::visited(&mut visitor));
                (logits.narrow(1, 1, 1) * mask.clone()).into_data().iter::<f64>().sum::<f64>()
            };
            let here = moved(0.0);
            let [left, right] = [-STEP, STEP].map(|by| (moved(by) - here) / by);
            let (gradient, scale) = (f64::from(g[place]), f64::from(largest));
            // Where the two sides differ, the kink of a ReLU lies between.
            if (left - right).abs() <= TOLERANCE * scale {
                let gap = ((left + right) / 2.0 - gradient).abs();
                assert!(gap <= TOLERANCE * scale, "{left}, {right} for {gradient} at {layer}");
                smooth += 1;
            }
        }
        println!("{layer}: {smooth} smooth places");
        assert!(smooth >= 20, "{smooth} smooth places at {layer}");
    }
}

macro_rules! in_two_and_three_dimensions {
    ($($name:ident($relu:literal)),*) => {$(
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(12))]

                #[test]
                fn image_network(seed: u64, n in 1..3usize, h in 4..8usize, w in 4..8usize) {
                    let input = noise(seed, [n, 2, 2 * h, 2 * w]);
                    let config = SmallNetConfig::new(CLASSES).with_relu($relu);
                    super::$name(seeded_net(!seed, |device| config.init_2d(device)), input);
                }

                #[test]
                fn volume_network(seed: u64, n in 1..3usize, d in 3..5usize, h in 3..5usize) {
                    let input = noise(seed, [n, 2, 2 * d, 2 * h, 8]);
                    let config = SmallNetConfig::new(CLASSES).with_relu($relu);
                    super::$name(seeded_net(!seed, |device| config.init_3d(device)), input);
                }
            }
        }
    )*};
}
in_two_and_three_dimensions!(
    affine_head(false),
    what_averaging_loses(true),
    impossible_influence(true),
    linearity(true),
    finite_differences(true)
);

/// The raw map is all zero, the averaged one is not.
#[test]
fn averaging_loses_more_than_there_is() {
    let seed = 5_178_008_761_538_652_038;
    let net = seeded_net(!seed, |device| SmallNetConfig::new(CLASSES).init_2d(device));
    what_averaging_loses(net, noise(seed, [1, 2, 8, 10]));
}

#[test]
fn the_whole_image_is_a_pixel_set() {
    let device = Device::flex();
    let net = seeded_net(3, |device| SmallNetConfig::new(CLASSES).init_2d(device));
    let seen = Explainer::new(net).observe(noise(4, [2, 2, 8, 10])).expect("a pass");
    let ones = Mask::new(Tensor::<4>::ones(seen.prediction().shape(), &device));
    for layer in LAYERS {
        let raw =
            |method: &dyn OnPixels| host(seen.explain(method, layer, 0).expect("a map").raw());
        assert_eq!(raw(&GradCam), raw(&SegGradCam::new(ones.clone())));
        assert_eq!(raw(&HiResCam), raw(&SegHiResGradCam::new(ones.clone())));
    }
}

/// Oracle 2: over the cut {layer, everything that goes past it}, the shares and the biases add up
/// to the score, in every network that is piecewise linear after the cut.
fn completeness<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    let seen = Explainer::new(model).observe(input).expect("a pass");
    let mask = random_mask(5, &seen);
    let method = SegHiResGradCam::new(Mask::new(mask));
    let mut bypassed = 0;
    for class in 0..seen.prediction().classes() {
        for layer in seen.layers() {
            let map = seen.explain(&method, &layer.name, class).expect("a map");
            let certificate = seen.certify(&map).expect("a certificate");
            let gap = certificate.completeness_error().expect("graph");
            assert!(gap < 1e-4, "{}: {certificate:?}", layer.name);
            let shares = certificate.shares.expect("graph");
            let sum = total(&host(map.raw()));
            let past = shares.bypasses.iter().map(|(_, share)| share.abs()).sum::<f64>();
            let scale = shares.node.abs() + past + shares.bias.abs();
            assert!((shares.node - sum).abs() / scale < 1e-4, "{}: {sum}", layer.name);
            bypassed += shares.bypasses.len();
        }
    }
    assert!(bypassed > 0, "no layer is bypassed");
}

#[test]
fn shares_and_biases_add_up_to_the_score() {
    let net = seeded_net(61, |device| SmallNetConfig::new(CLASSES).init_2d(device));
    completeness(net, noise(62, [2, 2, 8, 12]));
    let net = seeded_net(63, |device| SmallNetConfig::new(CLASSES).init_3d(device));
    completeness(net, noise(64, [1, 2, 4, 6, 4]));
    let config = UNetConfig::new(3, 2).with_widths(vec![4, 6, 8]);
    completeness(seeded_net(65, |device| config.init(device)), noise(66, [1, 3, 13, 18]));
    let config = EspNetConfig::new().with_classes(3).with_q(1);
    completeness(seeded_net(67, |device| config.init(device)), noise(68, [1, 3, 32, 24]));
}
