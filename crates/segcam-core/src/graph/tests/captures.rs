//! How often a network is captured.

use super::*;

#[test]
fn a_merged_layer_is_captured_once() {
    let (engine, input) = engine();
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let target = seen.target(&AllPixels, 1).expect("a target");
    seen.answer(&Request::new(&HiResCam, "convolved", &target)).expect("a map");
    let programs = engine.programs.clone();
    let known = programs.captures();
    for _ in 0..3 {
        let again = seen.observe_again(input.clone() * 2.0).expect("a pass");
        again.answer(&Request::new(&HiResCam, "convolved", &target)).expect("a map");
        again
            .perturb(&target, "convolved")
            .expect("a layer")
            .scores_with_layer(1, |_| Tensor::ones([1, 3, 6, 7], &input.device()))
            .expect("scores");
    }
    assert_eq!(programs.captures(), known);
}

/// Twelve convolutions, each merged with its BatchNorm.
#[derive(Module, Debug)]
struct Deep {
    convs: Vec<Conv2d>,
    norm: BatchNorm,
}

impl SegmentationModel for Deep {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        self.convs.iter().enumerate().fold(image, |x, (at, conv)| {
            let convolved = layers.detail(&format!("convolved.{at}"), conv.forward(x));
            relu(self.norm.forward(convolved))
        })
    }
}

#[test]
fn many_merged_layers_are_captured_once() {
    let device = Device::flex();
    let conv = || Conv2dConfig::new([2, 2], [1, 1]).init(&device);
    let net = Deep {
        convs: (0..12).map(|_| conv()).collect(),
        norm: BatchNormConfig::new(2).init(&device),
    };
    let (engine, input) = (GraphEngine::new(fixed(net)), numbers([1, 2, 4, 5]));
    let explainer = Explainer::with_engine(engine.clone());
    for image in 1..=3 {
        let seen = explainer.observe(input.clone() * image).expect("a pass");
        for class in 0..2 {
            let target = seen.target(&AllPixels, class).expect("a target");
            for at in 0..12 {
                let layer = format!("convolved.{at}");
                let map = seen.answer(&Request::new(&HiResCam, &layer, &target)).expect("a map");
                let certificate = seen.certify(&map).expect("a certificate");
                let error = certificate.completeness_error().expect("the graph engine");
                assert!(error < 1e-5, "{layer}: {error:e}");
            }
        }
    }
    // With what can be merged, and without.
    assert_eq!(engine.programs.captures(), 2);
}

#[test]
fn versions_are_computed_together() {
    let (engine, input) = engine();
    let engine = engine.with_chunk(3);
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let target = seen.target(&AllPixels, 1).expect("a target");
    let network = seen.perturb(&target, "a").expect("a layer");
    let mut asked = 0;
    let mut scores = |count| {
        let version = |at: usize| {
            asked += 1;
            input.clone() * (at + 1) as f32
        };
        network.scores_with_input(count, version).expect("scores")
    };
    let (four, one) = (scores(4), scores(1));
    assert!((four[0][0] - one[0][0]).abs() < 1e-5 * one[0][0].abs(), "{four:?} {one:?}");
    assert_ne!(four[0], four[3]);
    // The second chunk of three is filled up.
    assert_eq!(asked, 6 + 1);
}
