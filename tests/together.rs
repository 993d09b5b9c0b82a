//! Targets that share a backward pass have the maps of passes by themselves, and those of the tape.

use burn::module::Module;
use burn::tensor::Tensor;
use proptest::prelude::*;
use segcam::engine::{GraphEngine, TapeEngine};
use segcam::models::{UNetConfig, Upsampling};
use segcam::pixels::{Contrast, Disc, Region};
use segcam::{
    CamMethod, Explainer, GradCam, HiResCam, LayerCam, Observation, PixelSet, Request,
    SegmentationModel, Target,
};
use segcam_tests::{SmallNetConfig, host, noise, relative_error, same_every_run, seeded_net};

/// A set of pixels and a class, by numbers between 0 and 1.
#[derive(Debug, Clone)]
struct Asked {
    place: Vec<f64>,
    size: f64,
    kind: u8,
    class: usize,
}

fn asked(axes: usize) -> impl Strategy<Value = Asked> {
    let place = proptest::collection::vec(0.0..1.0, axes);
    (place, 0.0..1.0, 0..4u8, 0..3usize).prop_map(|(place, size, kind, class)| Asked {
        place,
        size,
        kind,
        class,
    })
}

impl Asked {
    /// Mostly small discs; a few long regions, and one class against another.
    fn target<const D: usize>(&self, seen: &Observation<D>) -> Target<D> {
        let sides = &seen.prediction().shape()[2..];
        let at = |(place, side): (&f64, &usize)| (place * *side as f64) as usize;
        let centre: Vec<usize> = self.place.iter().zip(sides).map(at).collect();
        let disc = Disc::new(centre.clone(), self.size * 3.0);
        let set: Box<dyn PixelSet<D>> = match self.kind {
            0 => {
                let mut end: Vec<usize> = centre.iter().map(|place| place + 1).collect();
                end[0] = sides[0];
                Box::new(Region::new(centre, end))
            }
            1 => Box::new(Contrast::with((self.class + 1) % 3).within(disc)),
            _ => Box::new(disc),
        };
        seen.target(&set, self.class).expect("a target")
    }
}

fn check<M: SegmentationModel<D> + Module + Clone, const D: usize>(
    net: M,
    input: Tensor<D>,
    asked: &[Asked],
    layers: &[&str],
    chunk: usize,
) {
    let engine = GraphEngine::new(net.clone()).with_chunk(chunk);
    let seen = Explainer::with_engine(engine).observe(input.clone()).expect("a pass");
    let tape = Explainer::with_engine(TapeEngine::new(net)).observe(input).expect("a pass");
    let targets: Vec<Target<D>> = asked.iter().map(|asked| asked.target(&seen)).collect();
    let methods: [&dyn CamMethod<D>; 3] = [&GradCam, &HiResCam, &LayerCam];
    let mut requests = vec![];
    for (at, target) in targets.iter().enumerate() {
        let layers = layers.iter().map(|layer| Request::new(methods[at % 3], layer, target));
        requests.extend(layers);
    }
    for (request, map) in requests.iter().zip(seen.explain_all(requests.clone())) {
        let map = host(map.expect("a map").raw());
        let alone = host(seen.answer(request).expect("a map").raw());
        assert!(relative_error(&map, &alone) <= 1e-6, "{request:?}");
        let tape = host(tape.answer(request).expect("a map").raw());
        assert!(relative_error(&map, &tape) < 1e-4, "{request:?} beside the tape");
    }
}

proptest! {
    #![proptest_config(same_every_run(24))]

    #[test]
    fn sets_in_images(
        seed in 0..1000u64,
        nearest: bool,
        asked in proptest::collection::vec(asked(2), 2..10),
        [n, h, w, chunk] in [1..3usize, 24..60usize, 24..60usize, 1..4usize],
        layers in proptest::sample::subsequence(vec!["enc1", "mid", "dec2", "dec1"], 1..3),
    ) {
        let kind = if nearest { Upsampling::Nearest } else { Upsampling::Transposed };
        let config = UNetConfig::new(2, 3).with_widths(vec![3, 4, 5]).with_upsampling(kind);
        let net = seeded_net(seed, |device| config.init(device));
        check(net, noise(seed + 1, [n, 2, h, w]), &asked, &layers, chunk);
    }

    #[test]
    fn sets_in_volumes(
        seed in 0..1000u64,
        asked in proptest::collection::vec(asked(3), 2..8),
        [d, h, w, chunk] in [2..9usize, 2..9usize, 2..9usize, 1..4usize],
        layers in proptest::sample::subsequence(vec!["enc", "mid", "dec"], 1..3),
    ) {
        let net = seeded_net(seed, |device| SmallNetConfig::new(3).init_3d(device));
        check(net, noise(seed + 1, [1, 2, 2 * d, 2 * h, 2 * w]), &asked, &layers, chunk);
    }
}
