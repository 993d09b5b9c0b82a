//! Maps that are nothing but rounding say so, against the same maps in double precision.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, InstanceNorm, InstanceNormConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{FloatDType, Tensor};
use segcam::engine::TapeEngine;
use segcam::metrics::{Metric, Protocol};
use segcam::{
    AllPixels, AnyMethod, CamMethod, Explainer, Explanation, GradCam, HiResCam, Layers, MapStatus,
    Normalize, Request, SegmentationModel, Uses, methods,
};
use segcam_tests::{SmallNetConfig, double, host, noise, seeded_net};

/// Layer `in` goes into an instance norm, layer `gn` into a group norm of single channels: a constant
/// added to a channel of theirs changes nothing.
#[derive(Module, Debug)]
struct Normed {
    first: Conv2d,
    instance: InstanceNorm,
    second: Conv2d,
    group: GroupNorm,
    head: Conv2d,
}

impl SegmentationModel for Normed {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let first = layers.name("in", self.first.forward(image));
        let first = relu(self.instance.forward(first));
        let second = layers.name("gn", self.second.forward(first));
        let last = layers.name("last", relu(self.group.forward(second)));
        self.head.forward(last)
    }
}

fn normed(seed: u64, channels: usize) -> Normed {
    seeded_net(seed, |device| {
        let conv = |channels| {
            let config = Conv2dConfig::new(channels, [3, 3]);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        Normed {
            first: conv([2, channels]),
            instance: InstanceNormConfig::new(channels).init(device),
            second: conv([channels, channels]),
            group: GroupNormConfig::new(channels, channels).init(device),
            head: conv([channels, 3]),
        }
    })
}

#[test]
fn what_cancels_in_front_of_a_norm_is_rounding() {
    for (seed, channels, side) in [(1, 4, 16), (2, 32, 32), (3, 64, 64), (4, 8, 128)] {
        let (net, image) = (normed(seed, channels), noise(seed, [2, 2, side, side]));
        let exact = Explainer::with_engine(TapeEngine::new(double(net.valid())));
        let exact = exact.observe(image.clone().cast(FloatDType::F64)).expect("a pass");
        let seen = Explainer::new(net).observe(image).expect("a pass");
        for layer in ["in", "gn"] {
            let map = seen.explain(&GradCam, layer, 1).expect("a map");
            let (low, high) = map.range()[0];
            println!("{seed} {layer}: {:.1e} of {:.1e}", high.max(-low), map.rounding()[0]);
            assert_eq!(map.status(), [MapStatus::Rounding; 2], "{:?}", map.range());
            for empty in [map.heat_map(Normalize::None), map.signal(), map.signed_map()] {
                assert!(host(&empty).iter().all(|value| *value == 0.0));
            }
            // In double precision it is smaller by what the number type is finer.
            let truth = exact.explain(&GradCam, layer, 1).expect("a map");
            assert_eq!(truth.status(), [MapStatus::Rounding; 2], "{:?}", truth.range());
            assert!(truth.range()[0].1.abs() < 1e-6 * map.rounding()[0]);
            // Without averaging nothing cancels.
            let map = seen.explain(&HiResCam, layer, 1).expect("a map");
            assert_eq!(map.status(), [MapStatus::Positive; 2]);
        }
        let map = seen.explain(&GradCam, "last", 1).expect("a map");
        assert_eq!(map.status(), [MapStatus::Positive; 2]);
    }
}

/// Whoever measures a map of nothing but rounding measures a map of zeros.
#[test]
fn metrics_take_rounding_for_nothing() {
    let seen = Explainer::new(normed(1, 4)).observe(noise(1, [1, 2, 16, 16])).expect("a pass");
    let target = seen.target(&AllPixels, 1).expect("a target");
    let metrics = [
        Metric::Leak,
        Metric::FidelityRank,
        Metric::Randomization,
        Metric::Stability,
        Metric::Pointing,
        Metric::Mass,
        Metric::Rank,
    ];
    let protocol = Protocol::new().with_metrics(metrics.into()).with_controls(false);
    let requests = [(&GradCam as &dyn CamMethod, "in"), (&HiResCam, "in"), (&GradCam, "last")];
    let requests = requests.map(|(method, layer)| Request::new(method, layer, &target));
    let region: Vec<bool> = (0..256).map(|pixel| pixel % 16 < 8).collect();
    let image = protocol.prepare(&seen).expect("one image");
    let rows = image.run(&target, &requests, Some(&region), &mut |_, _| {}).expect("rows");
    for metric in metrics {
        match metric {
            // Half of the image is the region: what chance gives.
            Metric::Pointing | Metric::Rank => assert_eq!(rows[0].values[&metric], 0.5),
            _ => assert!(rows[0].missing.contains_key(&metric), "{metric}: {:?}", rows[0]),
        }
        for row in &rows[1..] {
            assert!(row.values.contains_key(&metric), "{metric}: {row:?}");
        }
    }
}

/// What single precision gets wrong of a map, whatever the method.
#[test]
fn rounding_is_a_bound() {
    let mut tightest = f64::INFINITY;
    for seed in 0..8 {
        let net = seeded_net(seed, |device| SmallNetConfig::new(3).init_2d(device));
        let image = noise(!seed, [1, 2, 16, 24]);
        let exact = Explainer::with_engine(TapeEngine::new(double(net.valid())));
        let exact = exact.observe(image.clone().cast(FloatDType::F64)).expect("a pass");
        let seen = Explainer::new(net).observe(image).expect("a pass");
        for name in methods::<4>().iter().filter_map(|method| method.whole_image) {
            let method = AnyMethod::parse(name).expect("a method");
            // Principal components are computed in single precision.
            if !matches!(method.method().uses(), Uses::Gradients) || name.contains("eigen") {
                continue;
            }
            for layer in ["enc", "mid", "dec"] {
                let map = |seen: &segcam::Observation| -> Explanation {
                    let target = seen.target(&AllPixels, 1).expect("a target");
                    let request = Request::new(method.method(), layer, &target);
                    seen.answer(&request).expect("a map")
                };
                let (map, truth) = (map(&seen), map(&exact));
                let [rounding] = map.rounding() else { panic!("one image") };
                let truth = truth.raw().to_data().iter::<f64>().collect::<Vec<_>>();
                let wrong = host(map.raw()).into_iter().zip(truth);
                let wrong = wrong.map(|(given, wanted)| (f64::from(given) - wanted).abs());
                let wrong = wrong.max_by(f64::total_cmp).expect("cells");
                assert!(wrong <= *rounding, "{name} at {layer}: {wrong:e}, {rounding:e}");
                tightest = tightest.min(rounding / wrong);
                assert_ne!(map.status(), [MapStatus::Rounding], "{name} at {layer}");
            }
        }
    }
    println!("at most 1 / {tightest:.1} of the bound");
}
