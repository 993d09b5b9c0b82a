//! Both engines on the chosen device against the tape engine on flex.
//!
//! `SEGCAM_TEST_DEVICE` names the device (`flex` unless set); `cargo xtask backends` runs this suite
//! on all of them.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Gelu, PaddingConfig2d};
use burn::tensor::activation::{leaky_relu, relu, sigmoid, tanh};
use burn::tensor::module::{adaptive_avg_pool2d, avg_pool2d, interpolate, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use segcam::engine::{GraphEngine, GraphError, TapeEngine};
use segcam::models::{EspNetConfig, MeshNetConfig, UNetConfig, Upsampling};
use segcam::pixels::Threshold;
use segcam::{
    AllPixels, CamError, CamMethod, EngineKind, Explainer, GradCam, HiResCam, Layers, Observation,
    PixelSet, PredictedClass, Request, SegmentationModel, Target,
};
use segcam_tests::{
    SmallNetConfig, device, host, noise, relative_error, same_every_run, seeded, seeded_net,
};

fn sets<const D: usize>() -> [Box<dyn PixelSet<D>>; 3] {
    [Box::new(AllPixels), Box::new(PredictedClass), Box::new(Threshold(0.4))]
}

/// The first and the last class.
fn classes<const D: usize>(seen: &Observation<D>) -> Vec<usize> {
    let last = seen.prediction().classes() - 1;
    if last == 0 { vec![0] } else { vec![0, last] }
}

/// What is asked about: every set that is not empty.
fn targets<const D: usize>(seen: &Observation<D>) -> Vec<Target<D>> {
    let mut targets = vec![];
    for class in classes(seen) {
        for set in sets::<D>() {
            match seen.target(&*set, class) {
                Ok(target) => targets.push(target),
                Err(CamError::EmptyPixelSet { .. }) => {}
                Err(error) => panic!("{} of class {class}: {error}", set.name()),
            }
        }
    }
    assert!(targets.len() >= classes(seen).len(), "the whole image is never empty");
    targets
}

/// Every method at every layer, in one planned call. The pixels are given: rounding may put one on the
/// other side of a threshold.
fn maps<const D: usize>(
    seen: &Observation<D>,
    targets: &[Target<D>],
) -> Vec<(String, Result<Vec<f32>, CamError>)> {
    let device = seen.logits().device();
    let methods: [&dyn CamMethod<D>; 2] = [&GradCam, &HiResCam];
    let mut requests = vec![];
    for target in targets {
        let here = target.with_weights(target.weights().clone().to_device(&device));
        let here = here.expect("the same pixels");
        for layer in seen.layers() {
            requests.extend(methods.map(|method| Request::new(method, &layer.name, &here)));
        }
    }
    let name = |request: &Request<D>| {
        format!("{} {:?} {}", request.layer(), request.target(), request.method().name())
    };
    let names: Vec<String> = requests.iter().map(name).collect();
    let maps = seen.explain_all(requests).map(|map| map.map(|map| host(map.raw())));
    names.into_iter().zip(maps).collect()
}

/// Pixel sets of this device are those of flex, but for a pixel that rounding may put on the other
/// side of a threshold.
fn same_pixels<const D: usize>(name: &str, seen: &Observation<D>, flex: &Observation<D>) {
    for class in classes(flex) {
        for set in sets::<D>() {
            let weights = |seen: &Observation<D>| set.weights(seen.prediction(), class);
            let [given, wanted] = [seen, flex].map(|seen| host(&weights(seen).expect("a set")));
            let others =
                given.iter().zip(&wanted).filter(|(given, wanted)| given != wanted).count();
            assert!(others <= 1, "{name}, {} {class}: {others} other pixels", set.name());
        }
    }
}

fn check<M: SegmentationModel<D>, const D: usize>(name: &str, model: M, input: Tensor<D>) -> f32 {
    let flex = Explainer::with_engine(TapeEngine::new(model.clone()));
    let flex = flex.observe(input.clone()).expect("a pass");
    let targets = targets(&flex);
    let reference = maps(&flex, &targets);
    for (what, map) in &reference {
        assert!(map.is_ok(), "{name}, {what}: {map:?}");
    }
    let device = device();
    let on_device = || model.valid().to_device(&device);
    let graph = Explainer::with_engine(GraphEngine::new(on_device()));
    let chunks = Explainer::with_engine(GraphEngine::new(on_device()).with_chunk(3));
    let small = Explainer::with_engine(GraphEngine::new(on_device()).with_memory(0));
    let tape = Explainer::with_engine(TapeEngine::new(on_device()));
    let mut worst = 0f32;
    for (explainer, wanted) in [(graph, "graph"), (chunks, "graph"), (tape, "tape")] {
        let seen = explainer.observe(input.clone().to_device(&device)).expect("a pass");
        assert_eq!(seen.engine().to_string(), wanted, "{name}");
        let error = relative_error(&host(&seen.logits()), &host(&flex.logits()));
        assert!(error < 1e-4, "{name}, {wanted}, logits: {error:e}");
        same_pixels(name, &seen, &flex);
        let found = maps(&seen, &targets);
        assert_eq!(found.len(), reference.len());
        for ((what, given), (_, reference)) in found.iter().zip(&reference) {
            let (given, reference) = match (given, reference) {
                (Ok(given), Ok(reference)) => (given, reference),
                // What burn's tape cannot do on this backend, the graph engine can.
                (Err(CamError::Backend { reason }), _)
                    if wanted == "tape" && reason.contains("not supported") =>
                {
                    continue;
                }
                (given, reference) => {
                    assert_eq!(given, reference, "{name}, {wanted}, {what}");
                    continue;
                }
            };
            let error = relative_error(given, reference);
            assert!(error < 1e-4, "{name}, {wanted}, {what}: {error:e}");
            worst = worst.max(error);
        }
    }
    // With nothing kept, a request that needs something is refused, not half computed.
    let seen = small.observe(input.to_device(&device)).expect("a pass");
    for ((what, given), (_, reference)) in maps(&seen, &targets).iter().zip(&reference) {
        match given {
            Err(CamError::Graph(GraphError::Memory { limit: 0 })) => {}
            Err(_) => assert_eq!(given, reference, "{name}, {what}"),
            Ok(given) => {
                let reference = reference.as_ref().expect("a map");
                assert!(relative_error(given, reference) < 1e-4, "{name}, {what}");
            }
        }
    }
    worst
}

fn report(name: &str, error: f32) {
    println!("{name} on {:?}: {error:.1e}", device().as_dispatch());
}

#[test]
fn small_networks_in_two_and_three_dimensions() {
    let net = seeded_net(21, |device| SmallNetConfig::new(3).init_2d(device));
    report("small net", check("small net", net.clone(), noise(22, [1, 2, 8, 12])));
    report("small net, batch", check("small net, batch", net, noise(23, [2, 2, 8, 6])));
    let net = seeded_net(24, |device| SmallNetConfig::new(2).init_3d(device));
    report("small 3-D net", check("small 3-D net", net, noise(25, [1, 2, 4, 6, 4])));
}

#[test]
fn u_nets() {
    let base = |classes| UNetConfig::new(3, classes).with_widths(vec![4, 6, 8]);
    let binary = base(1).with_batch_norm(false).with_skip_first(true);
    for (name, config) in [
        ("U-Net", base(4)),
        ("U-Net, nearest", base(3).with_upsampling(Upsampling::Nearest)),
        ("U-Net, binary", binary),
    ] {
        let net = seeded_net(31, |device| config.init(device));
        report(name, check(name, net, noise(32, [1, 3, 16, 20])));
    }
}

#[test]
fn esp_net_and_mesh_net() {
    let config = EspNetConfig::new().with_classes(5).with_q(2);
    let net = seeded_net(41, |device| config.init(device));
    report("ESPNet", check("ESPNet", net, noise(42, [1, 3, 32, 48])));
    let config = MeshNetConfig::new().with_dilations(vec![1, 2, 1]);
    let net = seeded_net(43, |device| config.init(device));
    report("MeshNet", check("MeshNet", net, noise(44, [1, 1, 8, 7, 9])));
}

/// What a random network is made of.
#[derive(Debug, Clone)]
struct Plan {
    stages: Vec<Stage>,
    /// Join the skips by concatenation, or by adding.
    cat: bool,
    size: [usize; 2],
    seed: u64,
}

#[derive(Debug, Clone)]
struct Stage {
    kernel: usize,
    stride: usize,
    dilation: usize,
    groups: usize,
    norm: bool,
    activation: u8,
    pool: u8,
}

#[derive(Module, Debug)]
struct RandomNet {
    encoders: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    decoders: Vec<Conv2d>,
    head: Conv2d,
    #[module(skip)]
    plan: Plan,
}

const WIDTH: usize = 4;

impl RandomNet {
    fn new(plan: &Plan, device: &Device) -> Self {
        let depth = plan.stages.len();
        let encoder = |stage: &Stage| {
            let pad = stage.dilation * (stage.kernel / 2);
            Conv2dConfig::new([WIDTH, WIDTH], [stage.kernel; 2])
                .with_stride([stage.stride; 2])
                .with_dilation([stage.dilation; 2])
                .with_groups(stage.groups)
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .init(device)
        };
        let joined = if plan.cat { 2 * WIDTH } else { WIDTH };
        let decoder = |_| Conv2dConfig::new([joined, WIDTH], [1, 1]).init(device);
        Self {
            encoders: plan.stages.iter().map(encoder).collect(),
            norms: (0..depth).map(|_| BatchNormConfig::new(WIDTH).init(device)).collect(),
            decoders: (1..depth).map(decoder).collect(),
            head: Conv2dConfig::new([WIDTH, 3], [1, 1]).init(device),
            plan: plan.clone(),
        }
    }
}

fn resized(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let options = InterpolateOptions::new(InterpolateMode::Bilinear);
    interpolate(x, options.with_align_corners(false).with_output_size(size))
}

impl SegmentationModel for RandomNet {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let mut x = image;
        let mut skips = vec![];
        for (at, stage) in self.plan.stages.iter().enumerate() {
            x = self.encoders[at].forward(x);
            if stage.norm {
                x = self.norms[at].forward(x);
            }
            x = match stage.activation {
                0 => relu(x),
                1 => leaky_relu(x, 0.2),
                2 => tanh(x),
                3 => Gelu::new().forward(x),
                _ => x.clone() * sigmoid(x),
            };
            x = layers.name(&format!("enc{at}"), x);
            skips.push(x.clone());
            let [_, _, h, w] = x.dims();
            x = match stage.pool {
                1 if h > 2 && w > 2 => {
                    max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2]))
                }
                2 if h > 2 && w > 2 => {
                    avg_pool2d(x, AvgPoolOptions::new([3, 3]).with_stride([2, 2]))
                }
                3 => adaptive_avg_pool2d(x, [h.div_ceil(2), w.div_ceil(2)]),
                _ => x,
            };
        }
        for (at, decoder) in self.decoders.iter().enumerate().rev() {
            let [_, _, h, w] = skips[at].dims();
            let up = resized(x, [h, w]);
            let skip = skips[at].clone();
            let both = if self.plan.cat { Tensor::cat(vec![up, skip], 1) } else { up + skip };
            x = layers.name(&format!("dec{at}"), tanh(decoder.forward(both)));
        }
        resized(self.head.forward(x), self.plan.size)
    }
}

fn stage() -> impl Strategy<Value = Stage> {
    let kernel = prop_oneof![Just(1usize), Just(3), Just(5)];
    let groups = prop_oneof![Just(1usize), Just(2), Just(4)];
    (kernel, 1..3usize, 1..3usize, groups, any::<bool>(), 0..5u8, 0..4u8).prop_map(
        |(kernel, stride, dilation, groups, norm, activation, pool)| Stage {
            kernel,
            stride,
            dilation,
            groups,
            norm,
            activation,
            pool,
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let stages = proptest::collection::vec(stage(), 1..4);
    (stages, any::<bool>(), 9..20usize, 9..20usize, 0..1000u64)
        .prop_map(|(stages, cat, h, w, seed)| Plan { stages, cat, size: [h, w], seed })
}

proptest! {
    #![proptest_config(same_every_run(24))]

    #[test]
    fn random_networks(plan in plan()) {
        let net = seeded(plan.seed, |device| {
            let net = RandomNet::new(&plan, device);
            let _drawn = net.valid();
            net
        });
        let [h, w] = plan.size;
        check("random network", net, noise(plan.seed + 1, [1, WIDTH, h, w]));
    }
}

#[test]
fn a_model_that_cannot_be_captured_is_answered_by_the_tape() {
    #[derive(Module, Debug)]
    struct Scaled {
        conv: Conv2d,
        reads: bool,
    }
    impl SegmentationModel for Scaled {
        fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
            let x = layers.name("conv", self.conv.forward(image));
            if self.reads {
                let scale: f32 = x.clone().abs().max().into_scalar();
                return x / scale;
            }
            x.cumsum(1)
        }
    }
    for (reads, reason) in [(true, "cannot be captured"), (false, "`cum_sum`")] {
        let net = seeded_net(51, |device| Scaled {
            conv: Conv2dConfig::new([2, 2], [1, 1]).init(device),
            reads,
        });
        let model = net.valid().to_device(&device());
        let image = noise(52, [1, 2, 4, 4]);
        let seen = Explainer::new(model).observe(image.clone().to_device(&device())).expect("one");
        let EngineKind::Tape { instead: Some(instead) } = seen.engine() else {
            panic!("{}", seen.engine())
        };
        assert!(instead.contains(reason), "{instead}");
        let tape = Explainer::with_engine(TapeEngine::new(net)).observe(image).expect("a pass");
        let targets = targets(&tape);
        let wanted = maps(&tape, &targets);
        for ((what, given), (_, wanted)) in maps(&seen, &targets).into_iter().zip(wanted) {
            let error = relative_error(&given.expect("a map"), &wanted.expect("a map"));
            assert!(error < 1e-4, "{what}: {error:e}");
        }
    }
}
