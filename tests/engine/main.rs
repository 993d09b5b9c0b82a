//! The rules of meaning: what an observation and a map are, and the errors that bad input gets.

mod within;

use std::cell::Cell;
use std::sync::Arc;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use segcam::engine::TapeEngine;
use segcam::pixels::{Mask, Pixel, Region, Threshold};
use segcam::{
    AllPixels, CamError, CamMethod, EngineKind, Explainer, GradCam, HiResCam, Layers, MapStatus,
    Normalize, OnPixels, PixelSet, PredictedClass, Prediction, Quantity, Request, SegGradCam,
    SegHiResGradCam, SegmentationModel,
};
use segcam_tests::{SmallNet2d, SmallNetConfig, host, methods, relative_error, seeded_net};

fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    segcam_tests::noise(11, shape)
}

fn small_net() -> SmallNet2d {
    seeded_net(12, |device| SmallNetConfig::new(3).init_2d(device))
}

/// Two convolutions with whatever a case needs between them.
#[derive(Module, Debug)]
struct Probe {
    first: Conv2d,
    norm: BatchNorm,
    dropout: Dropout,
    head: Conv2d,
    linear: Linear,
    kind: u8,
}

const PLAIN: u8 = 0;
const SAME_NAME_TWICE: u8 = 1;
const RETURNED_TENSOR_IGNORED: u8 = 2;
const OTHER_RANK: u8 = 3;
const NOT_A_NUMBER: u8 = 4;
const BATCH_LOST: u8 = 5;
const USED_TWICE: u8 = 6;
const TWO_PATHS: u8 = 7;

fn probe(kind: u8) -> Probe {
    seeded_net(13, |device| Probe {
        first: Conv2dConfig::new([2, 4], [3, 3]).init(device),
        norm: BatchNormConfig::new(4).init(device),
        dropout: DropoutConfig::new(0.5).init(),
        head: Conv2dConfig::new([4, 2], [1, 1]).init(device),
        linear: LinearConfig::new(4, 4).init(device),
        kind,
    })
}

thread_local! {
    /// Whether what comes before the layer `first` is on the tape, and whether the layer is.
    static TRACKED: Cell<(bool, bool)> = const { Cell::new((false, false)) };
}

impl SegmentationModel for Probe {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let x = self.dropout.forward(self.norm.forward(self.first.forward(image)));
        let before = x.is_tracked();
        let x = layers.name("first", relu(x));
        TRACKED.set((before, x.is_tracked()));
        match self.kind {
            SAME_NAME_TWICE => self.head.forward(layers.name("first", x)),
            RETURNED_TENSOR_IGNORED => {
                layers.name("lost", x.clone());
                self.head.forward(x)
            }
            OTHER_RANK => {
                let [n, c, h, w] = x.dims();
                let tokens: Tensor<3> = x.reshape([n, c, h * w]).swap_dims(1, 2);
                let tokens = layers.name("tokens", self.linear.forward(tokens));
                self.head.forward(tokens.swap_dims(1, 2).reshape([n, c, h, w]))
            }
            NOT_A_NUMBER => self.head.forward(x).log(),
            BATCH_LOST => self.head.forward(x).narrow(0, 0, 1),
            USED_TWICE => self.head.forward(x.clone()) + self.head.forward(relu(x.neg() + 0.3)),
            TWO_PATHS => {
                let a = layers.name("a", x.clone());
                let b = layers.name("b", x);
                self.head.forward(a) + self.head.forward(relu(b.neg() + 0.3))
            }
            _ => self.head.forward(x),
        }
    }

    fn check_input(&self, [n, channels, h, w]: [usize; 4]) -> Result<(), CamError> {
        if channels == 2 {
            return Ok(());
        }
        Err(CamError::WrongChannels { wanted: 2, given: channels, shape: vec![n, channels, h, w] })
    }
}

#[test]
fn batch_norm_and_dropout_never_train() {
    let image = noise([2, 2, 6, 7]);
    let infer = |model: &Probe| host(&model.valid().forward(image.clone(), &mut Layers::ignored()));
    // The trap is real: on the tape a fresh module trains (and changes its running statistics).
    let model = probe(PLAIN);
    let inference = infer(&model);
    let on_tape = model.forward(image.clone().autodiff().require_grad(), &mut Layers::ignored());
    assert!(relative_error(&host(&on_tape.inner()), &inference) > 0.1);

    let model = probe(PLAIN);
    let inference = infer(&model);
    for fresh in [model.clone(), model.train()] {
        let seen = Explainer::new(fresh).observe(image.clone()).expect("a pass");
        assert!(relative_error(&host(&seen.logits()), &inference) < 1e-6);
        // With a 1×1 head the map inside the set is logit minus bias: the very same forward pass.
        let map = seen.explain(&HiResCam, "first", 1).expect("a map");
        let offset = host(&(seen.prediction().logit(1) - map.raw().clone()));
        assert!(offset.iter().all(|value| (value - offset[0]).abs() < 1e-5));
    }
}

#[test]
fn only_what_follows_the_layer_is_on_the_tape() {
    // Even where the user trains: parameters and input on an autodiff device.
    let model = probe(PLAIN).train();
    let explainer = Explainer::with_engine(TapeEngine::new(model));
    let seen = explainer.observe(noise([1, 2, 6, 6]).autodiff()).expect("a pass");
    assert_eq!(TRACKED.get(), (false, false));
    let map = seen.explain(&HiResCam, "first", 1).expect("a map");
    assert_eq!(TRACKED.get(), (false, true));
    assert!(!map.raw().is_autodiff() && !seen.logits().is_autodiff());
}

#[test]
fn a_layer_used_twice_has_the_gradient_of_both_paths() {
    let image = noise([1, 2, 6, 6]);
    let maps = |kind: u8, layer: &str| {
        let seen = Explainer::new(probe(kind)).observe(image.clone()).expect("a pass");
        host(seen.explain(&HiResCam, layer, 0).expect("a map").raw())
    };
    let sum: Vec<f32> =
        maps(TWO_PATHS, "a").into_iter().zip(maps(TWO_PATHS, "b")).map(|(a, b)| a + b).collect();
    assert!(relative_error(&maps(USED_TWICE, "first"), &sum) < 1e-5);
}

#[test]
fn layers_are_listed_in_order_with_shapes() {
    let seen = Explainer::new(small_net()).observe(noise([2, 2, 8, 12])).expect("a pass");
    let layers: Vec<(&str, &[usize])> =
        seen.layers().iter().map(|layer| (layer.name.as_str(), &layer.shape[..])).collect();
    assert_eq!(
        layers,
        [
            ("enc", &[2, 4, 8, 12][..]),
            ("mid", &[2, 5, 4, 6]),
            ("dec", &[2, 4, 8, 12]),
            ("out", &[2, 3, 8, 12]),
        ]
    );
}

#[test]
fn a_batch_gives_the_maps_of_its_images() {
    let explainer = Explainer::new(small_net());
    let batch = noise([3, 2, 8, 8])
        * Tensor::from_floats([[[[1.0]]], [[[5.0]]], [[[0.2]]]], &Device::flex());
    let together = explainer.observe(batch.clone()).expect("a pass");
    for method in methods(AllPixels) {
        let map = together.explain(&*method, "mid", 2).expect("a map");
        assert_eq!((map.raw().dims(), map.status().len()), ([3, 1, 4, 4], 3));
        for sample in 0..3 {
            let image = batch.clone().narrow(0, sample, 1);
            let alone = explainer.observe(image).expect("a pass");
            let alone = alone.explain(&*method, "mid", 2).expect("a map");
            let one = |of: &Tensor<4>| host(&of.clone().narrow(0, sample, 1));
            assert!(relative_error(&one(map.raw()), &host(alone.raw())) < 1e-5);
            for normalize in [Normalize::Max, Normalize::MinMax, Normalize::None] {
                let (given, wanted) = (map.heat_map(normalize), alone.heat_map(normalize));
                assert!(relative_error(&one(&given), &host(&wanted)) < 1e-5);
            }
            assert!((map.score()[sample] - alone.score()[0]).abs() < 1e-3);
            assert_eq!(map.target().sizes()[sample], 64);
        }
    }
}

/// A method that returns what it is told.
struct Fixed(Vec<f32>);

impl CamMethod for Fixed {
    fn combine(&self, activations: Tensor<4>, _: Tensor<4>) -> Tensor<4> {
        let mut shape = activations.dims();
        shape[1] = 1;
        let data = burn::tensor::TensorData::new(self.0.clone(), shape);
        Tensor::from_data(data, &activations.device())
    }
}

#[test]
fn empty_maps_stay_empty_and_say_so() {
    let seen = Explainer::new(small_net()).observe(noise([1, 2, 4, 4])).expect("a pass");
    for (values, status, name) in [
        ([0.0, 0.0, 0.0, 0.0], MapStatus::AllZero, "all-zero"),
        ([-1.0, -2.0, 0.0, -1e-9], MapStatus::AllNegative, "all-negative"),
    ] {
        assert_eq!(status.to_string(), name);
        let map = seen.explain(&Fixed(values.to_vec()), "mid", 0).expect("a map");
        assert_eq!(map.status(), [status]);
        for normalize in [Normalize::Max, Normalize::MinMax, Normalize::None] {
            assert!(host(&map.heat_map(normalize)).iter().all(|&value| value == 0.0));
        }
    }
}

#[test]
fn heat_maps_follow_their_scale() {
    let seen = Explainer::new(small_net()).observe(noise([1, 2, 4, 4])).expect("a pass");
    let map = seen.explain(&Fixed(vec![1.0, 4.0, -3.0, 2.0]), "mid", 0).expect("a map");
    assert_eq!(map.status(), [MapStatus::Positive]);
    assert_eq!(map.range(), [(-3.0, 4.0)]);
    let heat = |normalize| host(&map.heat_map(normalize));
    // Corners of the upsampled map are the cells themselves.
    let corners = |heat: Vec<f32>| [heat[0], heat[3], heat[12], heat[15]];
    assert_eq!(corners(heat(Normalize::None)), [1.0, 4.0, 0.0, 2.0]);
    assert_eq!(corners(heat(Normalize::Max)), [0.25, 1.0, 0.0, 0.5]);
    assert_eq!(corners(heat(Normalize::MinMax)), [0.25, 1.0, 0.0, 0.5]);
    let lifted = seen.explain(&Fixed(vec![1.0, 4.0, 2.0, 3.0]), "mid", 0).expect("a map");
    let lifted = host(&lifted.heat_map(Normalize::MinMax));
    assert_eq!((lifted[0], lifted[3]), (0.0, 1.0));
    let tiny = seen.explain(&Fixed(vec![1e-38, 0.0, 0.0, 0.0]), "mid", 0).expect("a map");
    assert!(host(&tiny.heat_map(Normalize::Max)).iter().all(|value| (0.0..=1.0).contains(value)));
}

#[test]
fn a_binary_network_has_class_zero() {
    let logits = Tensor::<4>::from_floats([[[[-1.0, 2.0, 0.0]]]], &Device::flex());
    let view = Prediction::new(logits, [1, 1, 1, 3]);
    assert_eq!(host(&view.predicted(0)), [0.0, 1.0, 0.0]);
    assert!((host(&view.probability(0))[1] - 0.880_797).abs() < 1e-6);
    let weights = PredictedClass.weights(&view, 0).expect("weights");
    assert_eq!(host(&weights), [0.0, 1.0, 0.0]);
}

#[test]
fn bad_questions_get_typed_errors() {
    let explainer = Explainer::new(small_net());
    let seen = explainer.observe(noise([2, 2, 8, 8])).expect("a pass");
    let error = |method: &dyn OnPixels, layer: &str, class: usize| {
        seen.explain(method, layer, class).expect_err("should not work")
    };
    assert_eq!(
        error(&GradCam, "midd", 0),
        CamError::UnknownLayer {
            wanted: "midd".into(),
            closest: Some("mid".into()),
            known: ["enc", "mid", "dec", "out"].map(String::from).to_vec(),
        }
    );
    assert_eq!(error(&GradCam, "mid", 99), CamError::ClassOutOfRange { class: 99, classes: 3 });
    let nothing = SegHiResGradCam::new(Threshold(1.0));
    let CamError::EmptyPixelSet { samples, .. } = error(&nothing, "mid", 0) else { panic!() };
    assert_eq!(samples, [0, 1]);
    let outside = SegGradCam::new(Pixel::new([8, 0]));
    assert!(matches!(error(&outside, "mid", 0), CamError::OutsideImage { .. }));
    let mask = SegGradCam::new(Mask::new(Tensor::<4>::ones([2, 1, 8, 7], &Device::flex())));
    assert!(matches!(error(&mask, "mid", 0), CamError::ShapeMismatch { what: "the mask", .. }));
    let mask = SegGradCam::new(|view: &Prediction, _: usize| view.logits());
    assert!(matches!(error(&mask, "mid", 0), CamError::ShapeMismatch { .. }));
    let nan = SegGradCam::new(|view: &Prediction, c: usize| view.logit(c) * f32::NAN);
    let CamError::NonFinite { what: Quantity::PixelSet(_), count: 128 } = error(&nan, "mid", 0)
    else {
        panic!()
    };
    let nan = Fixed(vec![f32::INFINITY; 2 * 16]);
    let CamError::NonFinite { what: Quantity::Map(name), .. } = error(&nan, "mid", 0) else {
        panic!()
    };
    assert_eq!(name, "Fixed");
}

#[test]
fn bad_inputs_get_typed_errors() {
    let explainer = Explainer::new(probe(PLAIN));
    let error = |input: Tensor<4>| explainer.observe(input).expect_err("should not work");
    assert!(matches!(
        error(noise([1, 3, 8, 8])),
        CamError::WrongChannels { wanted: 2, given: 3, .. }
    ));
    assert!(matches!(
        error(Tensor::zeros([0, 2, 8, 8], &Device::flex())),
        CamError::EmptyInput { .. }
    ));
    let nan = noise([1, 2, 8, 8]).slice_fill([0..1, 0..1, 0..1, 0..2], f32::NAN);
    assert_eq!(error(nan), CamError::NonFinite { what: Quantity::Input, count: 2 });
}

#[test]
fn bad_models_get_typed_errors() {
    let observe = |kind| Explainer::new(probe(kind)).observe(noise([2, 2, 8, 8]));
    let failed = |kind| observe(kind).expect_err("should not work");
    assert_eq!(failed(SAME_NAME_TWICE), CamError::DuplicateLayer { name: "first".into() });
    assert!(matches!(failed(NOT_A_NUMBER), CamError::NonFinite { what: Quantity::Logits, .. }));
    assert!(matches!(failed(BATCH_LOST), CamError::ShapeMismatch { .. }));

    let seen = observe(RETURNED_TENSOR_IGNORED).expect("a pass");
    let error = seen.explain(&GradCam, "lost", 1).expect_err("no path");
    assert_eq!(error, CamError::NoPath { layer: "lost".into() });

    let seen = observe(OTHER_RANK).expect("a pass");
    let error = seen.explain(&GradCam, "tokens", 1).expect_err("another rank");
    assert_eq!(error, CamError::LayerRank { layer: "tokens".into(), wanted: 4, given: 3 });
    assert!(seen.explain(&GradCam, "first", 1).is_ok());
}

#[test]
fn errors_say_what_would_work() {
    let text = CamError::UnknownLayer {
        wanted: "midd".into(),
        closest: Some("mid".into()),
        known: vec!["enc".into(), "mid".into()],
    };
    assert_eq!(
        text.to_string(),
        "no layer is named `midd` (did you mean `mid`?); known layers: enc mid"
    );
    let many = (0..24).map(|number| format!("layer{}.conv{}", number / 6, number % 6));
    let text = CamError::UnknownLayer {
        wanted: "layer2.cnv3".into(),
        closest: Some("layer2.conv3".into()),
        known: many.collect(),
    };
    assert_eq!(
        text.to_string(),
        "no layer is named `layer2.cnv3` (did you mean `layer2.conv3`?); the most alike of 24 known \
         layers: layer2.conv3 layer0.conv3 layer1.conv3"
    );
    let text = CamError::ClassOutOfRange { class: 99, classes: 20 };
    assert_eq!(text.to_string(), "class 99 does not exist: the network has 20, numbered 0 to 19");
}

#[test]
fn explainers_and_observations_cross_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Explainer>();
    shared::<segcam::Observation>();
    shared::<CamError>();
}

#[test]
fn a_model_is_given_back_and_can_be_shared() {
    let model = Arc::new(small_net());
    let image = noise([1, 2, 8, 8]);
    let explainer = Explainer::from_arc(model.clone());
    let seen = explainer.observe(image.clone()).expect("a pass");
    let back: &SmallNet2d = explainer.model().expect("what was given");
    let again = back.forward(image, &mut Layers::ignored());
    assert!(relative_error(&host(&again), &host(&seen.logits())) < 1e-6);
    assert!(explainer.model::<Probe>().is_none());
}

#[test]
fn names_are_unique_and_known_where_they_are_given() {
    #[derive(Module, Debug)]
    struct Twice {
        named: bool,
    }
    impl SegmentationModel for Twice {
        fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
            let x = layers.detail("x", relu(image));
            if self.named { layers.name("x", relu(x)) } else { layers.detail("x", relu(x)) }
        }
    }
    let twice = CamError::DuplicateLayer { name: "x".into() };
    for named in [true, false] {
        let observe = |explainer: Explainer| explainer.observe(noise([1, 2, 4, 4])).err();
        assert_eq!(observe(Explainer::new(Twice { named })), Some(twice.clone()));
        let tape = Explainer::with_engine(TapeEngine::new(Twice { named }));
        assert_eq!(observe(tape), Some(twice.clone()));
    }

    let seen = Explainer::new(small_net()).observe(noise([1, 2, 8, 8])).expect("a pass");
    let unknown = |error| matches!(error, Some(CamError::UnknownLayer { .. }));
    assert!(unknown(seen.with_random_weights(Some("midd"), 0).err()));
    assert!(seen.with_random_weights(Some("mid"), 0).is_ok());
    let target = seen.target(&AllPixels, 0).expect("a target");
    assert!(unknown(seen.perturb(&target, "midd").err()));
    assert!(unknown(seen.foreign_map("other", "midd", &target, noise([1, 1, 4, 4])).err()));
    let tape = Explainer::with_engine(TapeEngine::new(small_net()));
    let tape = tape.observe(seen.input()).expect("a pass");
    assert_eq!(tape.with_random_weights(None, 0).err(), Some(CamError::FixedWeights));
}

#[test]
fn a_network_reports_its_own_errors() {
    #[derive(Module, Debug)]
    struct Unready;
    impl SegmentationModel for Unready {
        fn forward(&self, _image: Tensor<4>, _layers: &mut Layers) -> Tensor<4> {
            unreachable!("segcam calls try_forward")
        }

        fn try_forward(&self, image: Tensor<4>, _: &mut Layers) -> Result<Tensor<4>, CamError> {
            if image.dims()[2] == 4 {
                return Ok(image);
            }
            Err(CamError::model(std::io::Error::other("no weights")))
        }
    }
    for explainer in [Explainer::new(Unready), Explainer::with_engine(TapeEngine::new(Unready))] {
        let error = explainer.observe(noise([1, 2, 8, 8])).expect_err("an error");
        assert_eq!(error.to_string(), "the network fails: no weights");
        let source = std::error::Error::source(&error).expect("a source");
        assert_eq!(source.to_string(), "no weights");
        let program = explainer.program([1, 2, 8, 8], &Device::flex());
        // The tape engine has no program; the graph engine asks the network.
        assert!(matches!(program, Ok(None)) || program.err() == Some(error));
    }
}

#[test]
fn a_program_that_panics_is_an_error() {
    let explainer = Explainer::new(probe(PLAIN));
    // Two channels are right, but the image is smaller than the kernel: burn panics.
    let program = explainer.program([1, 2, 1, 1], &Device::flex());
    assert!(program.is_err(), "{program:?}");

    #[derive(Module, Debug)]
    struct Unchecked;
    impl SegmentationModel for Unchecked {
        fn check_input(&self, _: [usize; 4]) -> Result<(), CamError> {
            panic!("not thought of")
        }

        fn forward(&self, image: Tensor<4>, _: &mut Layers) -> Tensor<4> {
            image
        }
    }
    let explainer = Explainer::new(Unchecked);
    let program = explainer.program([1, 2, 8, 8], &Device::flex()).map(|_| ());
    let seen = explainer.observe(noise([1, 2, 8, 8])).map(|_| ());
    for failed in [program, seen] {
        assert!(matches!(failed, Err(CamError::Forward { .. })), "{failed:?}");
    }
}

#[test]
fn foreign_maps_are_maps_and_belong_to_their_observation() {
    let explainer = Explainer::new(small_net());
    let seen = explainer.observe(noise([1, 2, 8, 8])).expect("a pass");
    let target = seen.target(&Region::new([0, 0], [4, 8]), 1).expect("a target");
    let ours = seen.answer(&Request::new(&HiResCam, "mid", &target)).expect("a map");
    let foreign = seen.foreign_map("captum", "mid", &target, ours.raw().clone()).expect("a map");
    assert_eq!((foreign.method(), foreign.score()), ("captum", ours.score()));
    assert_eq!(seen.certify(&foreign), seen.certify(&ours));
    assert_eq!(host(&foreign.heat_map(Normalize::Max)), host(&ours.heat_map(Normalize::Max)));
    let small = seen.foreign_map("captum", "mid", &target, noise([1, 1, 2, 2]));
    assert!(matches!(small, Err(CamError::ShapeMismatch { what: "the map", .. })), "{small:?}");

    let other = explainer.observe(seen.input()).expect("a pass");
    let error = other.certify(&ours).expect_err("of another observation");
    assert_eq!(error, CamError::OtherObservation { layer: "mid".into() });
}

/// The tape would run with the weights that there are.
#[test]
fn what_the_graph_cannot_follow_has_no_random_weights() {
    #[derive(Module, Debug)]
    struct Reads {
        conv: Conv2d,
    }
    impl SegmentationModel for Reads {
        fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
            let x = layers.name("conv", self.conv.forward(image));
            match x.dims()[2] > 4 {
                true => x.clone() / x.abs().max().into_scalar::<f32>(),
                false => x,
            }
        }
    }
    let conv = seeded_net(14, |device| Conv2dConfig::new([2, 2], [1, 1]).init(device));
    let explainer = Explainer::new(Reads { conv });
    let large = explainer.observe(noise([1, 2, 8, 8])).expect("a pass");
    assert!(matches!(large.engine(), EngineKind::Tape { instead: Some(_) }), "{}", large.engine());
    let small = explainer.observe(noise([1, 2, 4, 4])).expect("a pass");
    let untrained = small.with_random_weights(None, 0).expect("a graph");
    assert!(untrained.observe(small.input()).is_ok());
    let refused = untrained.observe(large.input());
    assert!(matches!(refused, Err(CamError::Graph(_))), "{refused:?}");
}
