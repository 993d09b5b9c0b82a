//! Many maps in one call: order, sharing, and errors of single requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Tensor;
use segcam::engine::{GraphEngine, TapeEngine};
use segcam::pixels::{Pixel, Region};
use segcam::windows::Windows;
use segcam::{
    AblationCam, AllPixels, CamError, CamMethod, Cancel, EigenCam, Explainer, GradCam, HiResCam,
    Layers, Observation, Perturbation, PerturbationWeights, PixelSet, PredictedClass, Prediction,
    Request, ScoreCam, SegGradCam, SegHiResGradCam, SegmentationModel, UnknownName, Uses,
};
use segcam_tests::{Counts, SmallNetConfig, Watched, host, noise, relative_error, seeded_net};

fn explainer() -> GraphEngine<segcam_tests::SmallNet2d> {
    GraphEngine::new(seeded_net(71, |device| SmallNetConfig::new(3).init_2d(device)))
}

fn seen() -> Observation {
    Explainer::with_engine(explainer()).observe(noise(72, [1, 2, 8, 12])).expect("a pass")
}

fn counted() -> (Observation, Arc<Counts>) {
    let (engine, counts) = Watched::new(explainer());
    let seen = Explainer::with_engine(engine).observe(noise(72, [1, 2, 8, 12])).expect("a pass");
    (seen, counts)
}

#[test]
fn what_can_be_shared_is_computed_once() {
    let (seen, counts) = counted();
    let methods: [&dyn CamMethod; 3] = [&GradCam, &HiResCam, &EigenCam];
    let targets = [2, 0].map(|class| seen.target(&AllPixels, class).expect("a target"));
    let mut requests = vec![];
    for layer in ["enc", "mid", "dec"] {
        for target in &targets {
            requests.extend(methods.map(|method| Request::new(method, layer, target)));
        }
    }
    assert!(seen.explain_all(requests).all(|map| map.is_ok()));
    assert_eq!(counts.targets.load(Ordering::Relaxed), 2, "one target per class");
    assert_eq!(counts.layers.load(Ordering::Relaxed), 2 * 3, "three layers of each");
}

#[test]
fn a_set_is_evaluated_once_for_each_target() {
    let (seen, evaluated) = (seen(), AtomicUsize::new(0));
    let set = |view: &Prediction, class: usize| {
        evaluated.fetch_add(1, Ordering::Relaxed);
        view.probability(class)
    };
    let methods: [&dyn CamMethod; 4] = [&GradCam, &HiResCam, &EigenCam, &ScoreCam];
    let targets = [2, 0].map(|class| seen.target(&set, class).expect("a target"));
    let each = || targets.iter().flat_map(|target| ["enc", "mid", "dec"].map(|at| (target, at)));
    for (target, layer) in each() {
        let maps = seen.explain_all(methods.map(|method| Request::new(method, layer, target)));
        for map in maps {
            seen.certify(&map.expect("a map")).expect("a certificate");
        }
    }
    assert_eq!(evaluated.load(Ordering::Relaxed), targets.len());
    seen.explain(&SegGradCam::new(set), "mid", 2).expect("a map");
    assert_eq!(evaluated.load(Ordering::Relaxed), targets.len() + 1, "the short form");
}

#[test]
fn a_target_walks_only_to_its_own_layers() {
    let (seen, counts) = counted();
    let of = |class| seen.target(&AllPixels, class).expect("a target");
    let (first, second) = (of(0), of(1));
    let requests = [
        Request::new(&HiResCam, "enc", &first),
        Request::new(&HiResCam, "dec", &second),
        Request::new(&GradCam, "enc", &first),
    ];
    assert!(seen.explain_all(requests).all(|map| map.is_ok()));
    assert_eq!(counts.layers.load(Ordering::Relaxed), 2);
}

#[test]
fn methods_that_look_at_activations_pay_no_backward_pass() {
    let (seen, counts) = counted();
    let map = seen.explain(&EigenCam, "mid", 1).expect("a map");
    assert_eq!(counts.targets.load(Ordering::Relaxed), 0);
    let tape = seeded_net(71, |device| SmallNetConfig::new(3).init_2d(device));
    let tape = Explainer::with_engine(TapeEngine::new(tape)).observe(seen.input()).expect("a pass");
    let tape = tape.explain(&EigenCam, "mid", 1).expect("a map");
    assert!(relative_error(&host(map.raw()), &host(tape.raw())) < 1e-4);
}

#[test]
fn a_target_is_itself_and_no_other_of_its_name() {
    let seen = seen();
    let [one, other] = [0, 1].map(|_| seen.target(&PredictedClass, 0).expect("a target"));
    assert_eq!(one, one.clone());
    assert_ne!(one, other);
    let map = seen.answer(&Request::new(&HiResCam, "mid", &one)).expect("a map");
    assert_eq!((map.target(), map.target().name()), (&one, "class"));
}

#[test]
fn a_target_means_the_same_pixels_of_another_observation() {
    let explainer = Explainer::with_engine(explainer());
    let [first, second] =
        [72, 73].map(|seed| explainer.observe(noise(seed, [1, 2, 8, 12])).expect("a pass"));
    let region = Region::new([0, 0], [4, 5]);
    let target = first.target(&region, 1).expect("a target");
    let map = second.answer(&Request::new(&HiResCam, "mid", &target)).expect("a map");
    let wanted = second.explain(&SegHiResGradCam::new(region), "mid", 1).expect("a map");
    assert_eq!((host(map.raw()), map.score()), (host(wanted.raw()), wanted.score()));
    let small = explainer.observe(noise(74, [1, 2, 8, 8])).expect("a pass");
    let error = small.answer(&Request::new(&HiResCam, "mid", &target)).expect_err("another size");
    assert!(matches!(error, CamError::ShapeMismatch { .. }));
    assert!(matches!(small.score(&target), Err(CamError::ShapeMismatch { .. })));
}

#[test]
fn results_keep_the_order_of_hundreds_of_requests() {
    let seen = seen();
    let pixels: Vec<_> = (0..96).map(|at| Pixel::new([at / 12, at % 12])).collect();
    let target = |(at, pixel): (usize, &Pixel)| seen.target(pixel, at % 3).expect("a target");
    let targets: Vec<_> = pixels.iter().enumerate().map(target).collect();
    let layers = ["mid", "dec"];
    let requests = || {
        let each = targets.iter().enumerate();
        each.map(|(at, target)| Request::new(&HiResCam, layers[at % 2], target))
    };
    let mut count = 0;
    for (at, map) in seen.explain_all(requests()).enumerate() {
        let method = SegHiResGradCam::new(pixels[at].clone());
        let alone = seen.explain(&method, layers[at % 2], at % 3).expect("a map");
        let map = map.expect("a map");
        assert_eq!((map.layer(), map.class()), (layers[at % 2], at % 3));
        assert_eq!(map.target().sizes(), alone.target().sizes());
        assert_eq!(host(map.raw()), host(alone.raw()));
        count += 1;
    }
    assert_eq!(count, 96);
}

#[test]
fn each_map_has_the_score_of_its_own_target() {
    let seen = seen();
    let targets = [2, 0, 1].map(|class| seen.target(&AllPixels, class).expect("a target"));
    let methods: [&dyn CamMethod; 2] = [&HiResCam, &ScoreCam];
    let requests = || {
        let of = |method| targets.iter().map(move |target| Request::new(method, "mid", target));
        methods.into_iter().flat_map(of)
    };
    for (request, map) in requests().zip(seen.explain_all(requests())) {
        let score = seen.score(request.target()).expect("a score");
        assert_eq!(map.expect("a map").score(), score, "{}", request.name());
    }
}

#[test]
fn what_is_not_finite_or_empty_is_called_by_its_name() {
    let seen = Explainer::with_engine(explainer()).observe(noise(72, [3, 2, 8, 12]));
    let seen = seen.expect("a pass");
    let error = |set: &dyn PixelSet| seen.target(set, 0).expect_err("no weights").to_string();
    let nan = error(&|view: &Prediction, _: usize| view.probability(0) * f32::NAN);
    assert_eq!(nan, "288 NaN or infinite value(s) in the weights of pixel set `custom`");
    // The first image has one pixel, the others have none.
    let first = |view: &Prediction, _: usize| {
        Tensor::zeros(view.shape(), &view.device()).slice_fill([0..1, 0..1, 3..4, 5..6], 1.0)
    };
    let empty = error(&first);
    assert_eq!(
        empty,
        "pixel set `custom` of class 0 is empty in images [1, 2] of the batch: choose a class that is \
         predicted, or another pixel set"
    );
    // Of names as short as this, one letter is no typo.
    let no_typo = UnknownName::new("device", "xi", ["vi"]).to_string();
    assert_eq!(no_typo, "no device is named `xi`; known: vi");
    let whole = seen.target(&AllPixels, 0).expect("a target");
    let none = Tensor::zeros([3, 1, 8, 12], &seen.input().device());
    assert!(whole.part(none.clone()).is_none());
    let some = none.slice_fill([0..1, 0..1, 3..4, 5..6], 1.0);
    assert_eq!(whole.part(some).expect("a pixel").sizes(), [1, 0, 0]);
}

#[test]
fn a_request_that_fails_is_its_own_error() {
    let seen = seen();
    let target = seen.target(&AllPixels, 1).expect("a target");
    let requests = ["mid", "middle", "dec"].map(|layer| Request::new(&HiResCam, layer, &target));
    let found: Vec<_> = seen.explain_all(requests).collect();
    assert!(found[0].is_ok() && found[2].is_ok());
    assert!(matches!(found[1], Err(CamError::UnknownLayer { .. })));
    assert_eq!(seen.explain_all([]).count(), 0);
    let unknown = seen.target(&AllPixels, 9).expect_err("three classes");
    assert!(matches!(unknown, CamError::ClassOutOfRange { class: 9, classes: 3 }));
    let nowhere = seen.explain(&SegGradCam::new(Pixel::new([99, 0])), "mid", 1);
    assert!(matches!(nowhere, Err(CamError::OutsideImage { .. })));
}

#[test]
fn a_long_run_can_be_cancelled() {
    let cancel = Cancel::default();
    let seen = seen().with_cancel(&cancel);
    let target = seen.target(&AllPixels, 1).expect("a target");
    let other = seen.target(&AllPixels, 0).expect("a target");
    let kept = seen.answer(&Request::new(&HiResCam, "mid", &target)).expect("a map");

    // Stopped by its own progress, after one of five channels.
    let stop = cancel.clone();
    let seen = seen.with_progress(move |done, _| {
        assert_eq!(done, 1, "nothing goes on");
        stop.cancel();
    });
    let requests = [&ScoreCam as &dyn CamMethod, &HiResCam]
        .into_iter()
        .flat_map(|method| [&target, &other].map(|target| Request::new(method, "mid", target)));
    let found: Vec<_> = seen.explain_all(requests.rev()).collect();
    // Maps of the block that were there before are kept.
    assert!(found[..2].iter().all(Result::is_ok), "{found:?}");
    assert!(found[2..].iter().all(|map| matches!(map, Err(CamError::Cancelled))), "{found:?}");
    assert!(matches!(seen.explain(&HiResCam, "mid", 1), Err(CamError::Cancelled)));
    assert!(matches!(seen.observe_again(seen.input()), Err(CamError::Cancelled)));
    let untrained = seen.with_random_weights(None, 0).expect("a graph");
    assert!(matches!(untrained.observe(seen.input()), Err(CamError::Cancelled)));
    assert_eq!(kept.raw().dims(), [1, 1, 4, 6]);
}

/// A method of activations that ends what comes after it.
struct Cancels(Cancel);

impl CamMethod for Cancels {
    fn combine(&self, activations: Tensor<4>, _: Tensor<4>) -> Tensor<4> {
        self.0.cancel();
        activations.sum_dim(1)
    }

    fn uses(&self) -> Uses<'_> {
        Uses::Activations
    }
}

#[test]
fn whatever_is_asked_ends_when_it_is_cancelled() {
    let cancel = Cancel::default();
    let seen = seen().with_cancel(&cancel);
    let target = seen.target(&AllPixels, 1).expect("a target");
    let map = seen.answer(&Request::new(&EigenCam, "mid", &target)).expect("a map");
    // Cancelled by the first of them.
    let methods: [&dyn CamMethod; 2] = [&Cancels(cancel), &EigenCam];
    let requests = methods.map(|method| Request::new(method, "mid", &target));
    let found: Vec<_> = seen.explain_all(requests).collect();
    assert!(found[0].is_ok(), "{found:?}");
    assert!(matches!(found[1], Err(CamError::Cancelled)), "{found:?}");
    assert_eq!(seen.certify(&map).err(), Some(CamError::Cancelled));
    assert_eq!(seen.score(&target).err(), Some(CamError::Cancelled));
    assert_eq!(seen.target(&AllPixels, 0).err(), Some(CamError::Cancelled));
    assert_eq!(seen.targets(&AllPixels, 0).err(), Some(CamError::Cancelled));
}

#[test]
fn methods_that_ask_again_do_so_when_their_map_is_taken() {
    let (seen, counts) = counted();
    let target = seen.target(&AllPixels, 1).expect("a target");
    let requests = ["mid", "enc", "dec"].map(|layer| Request::new(&AblationCam, layer, &target));
    let mut maps = seen.explain_all(requests);
    for taken in ["mid", "enc"] {
        let before = counts.versions.load(Ordering::Relaxed);
        maps.next().expect("three").expect("a map");
        let channels = |layer: &&segcam::Layer| layer.name == taken;
        let channels = seen.layers().iter().find(channels).expect("a layer").shape[1];
        assert_eq!(counts.versions.load(Ordering::Relaxed) - before, channels, "{taken}");
    }
}

#[test]
fn threads_share_an_observation() {
    let seen = seen();
    let target = seen.target(&PredictedClass, 0).expect("a target");
    let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    let maps = std::thread::scope(|scope| {
        // `conv2d.1` is merged and not kept: both threads ask for the same new forward pass.
        let threads = methods.map(|method| {
            let (seen, target) = (&seen, &target);
            scope.spawn(move || {
                ["mid", "conv2d.1"].map(|layer| {
                    let map = seen.answer(&Request::new(method, layer, target)).expect("a map");
                    host(map.raw())
                })
            })
        });
        threads.map(|thread| thread.join().expect("no panic"))
    });
    for (method, maps) in methods.into_iter().zip(maps) {
        for (layer, map) in ["mid", "conv2d.1"].into_iter().zip(maps) {
            let alone = seen.answer(&Request::new(method, layer, &target)).expect("a map");
            assert_eq!(map, host(alone.raw()));
        }
    }
}

#[test]
fn operations_without_a_name_can_be_explained() {
    let seen = seen();
    let operations: Vec<&str> = seen.operations().iter().map(|layer| &*layer.name).collect();
    assert!(operations.contains(&"conv_transpose2d.1"), "{operations:?}");
    let up = seen.explain(&HiResCam, "conv_transpose2d.1", 0).expect("a map");
    assert_eq!(up.raw().dims(), [1, 1, 8, 12]);
    let first = seen.explain(&HiResCam, "conv2d.1", 0).expect("a map");
    assert_eq!(first.raw().dims(), [1, 1, 8, 12]);
    let CamError::UnknownLayer { closest, .. } =
        seen.explain(&HiResCam, "conv_transpose.1", 0).expect_err("no such layer")
    else {
        panic!("another error")
    };
    assert_eq!(closest.as_deref(), Some("conv_transpose2d.1"));
}

#[test]
fn inputs_of_many_shapes_work_in_turn() {
    let explainer = Explainer::with_engine(explainer());
    let sum = |shape| -> f64 {
        let seen = explainer.observe(noise(73, shape)).expect("a pass");
        let map = seen.explain(&HiResCam, "mid", 1).expect("a map");
        host(map.raw()).into_iter().map(f64::from).sum()
    };
    let shapes: Vec<[usize; 4]> = (1..8).map(|n| [n % 2 + 1, 2, 2 * n, 14]).collect();
    let first: Vec<f64> = shapes.iter().map(|&shape| sum(shape)).collect();
    let again: Vec<f64> = shapes.iter().map(|&shape| sum(shape)).collect();
    assert_eq!(first, again);
}

#[test]
fn a_panic_inside_is_an_error_and_other_maps_are_kept() {
    struct Broken;
    impl CamMethod for Broken {
        fn combine(&self, a: Tensor<4>, _: Tensor<4>) -> Tensor<4> {
            a.reshape([1, 1, 1, 1])
        }
    }
    let seen = seen();
    let whole = seen.target(&AllPixels, 0).expect("a target");
    let region = seen.target(&Region::new([0, 0], [2, 2]), 0).expect("a target");
    let requests = [
        Request::new(&Broken, "dec", &whole),
        Request::new(&HiResCam, "mid", &region),
        Request::new(&HiResCam, "dec", &whole),
    ];
    let found: Vec<_> = seen.explain_all(requests).collect();
    assert!(found[1].is_ok() && found[2].is_ok(), "the last shares its target with the broken one");
    let error = found[0].as_ref().expect_err("a panic").to_string();
    assert!(error.starts_with("method `Broken` panicked: "), "{error}");
    // burn's banner, its reason, and nothing of ours.
    for words in ["Tensor Operation Error", "Reshape", "[1, 1, 1, 1]"] {
        assert!(error.contains(words), "{error} does not say {words}");
    }
    assert!(!error.contains("backend") && !error.contains("memory"), "{error}");
}

/// A user's own mistake is told in his own words, all of them, and is not the device's.
#[test]
fn what_is_not_ours_panics_in_its_own_words() {
    const WORDS: &str = "no atlas is loaded\nCaused by:\n  atlas.nii is missing\nload it first";
    const SAID: &str = "no atlas is loaded Caused by: atlas.nii is missing load it first";
    struct Mine;
    impl CamMethod for Mine {
        fn combine(&self, _: Tensor<4>, _: Tensor<4>) -> Tensor<4> {
            panic!("{WORDS}")
        }
        fn averages_gradients(&self) -> bool {
            true
        }
    }
    struct Weights;
    impl PerturbationWeights<4> for Weights {
        fn weights(&self, _: &Perturbation<4>) -> Result<Tensor<4>, CamError> {
            panic!("{WORDS}")
        }
    }
    impl CamMethod for Weights {
        fn combine(&self, a: Tensor<4>, _: Tensor<4>) -> Tensor<4> {
            a
        }
        fn uses(&self) -> Uses<'_, 4> {
            Uses::Perturbation(self)
        }
    }
    #[derive(Module, Debug)]
    struct Net {
        head: Conv2d,
    }
    impl SegmentationModel for Net {
        fn forward(&self, _: Tensor<4>, _: &mut Layers) -> Tensor<4> {
            panic!("{WORDS}")
        }
    }
    let seen = seen();
    let panics = |_: &Prediction, _: usize| -> Tensor<4> { panic!("{WORDS}") };
    let whole = seen.target(&AllPixels, 0).expect("a target");
    let windows = Windows::monai([8, 8]).explainer(&Explainer::with_engine(explainer()));
    let wide = windows.expect("windows").observe(noise(72, [1, 2, 8, 16])).expect("a pass");
    let wide_whole = wide.target(&AllPixels, 0).expect("a target");
    for (error, what) in [
        (seen.target(&panics, 0).map(|_| ()), "pixel set `custom` panicked"),
        (seen.answer(&Request::new(&Mine, "mid", &whole)).map(|_| ()), "method `Mine` panicked"),
        (
            wide.answer(&Request::new(&Mine, "mid", &wide_whole)).map(|_| ()),
            "method `Mine` panicked",
        ),
        (
            seen.answer(&Request::new(&Weights, "mid", &whole)).map(|_| ()),
            "method `Weights` panicked",
        ),
    ] {
        let error = error.expect_err("a panic");
        assert!(matches!(error, CamError::Panicked { .. }), "{error}");
        assert_eq!(error.to_string(), format!("{what}: {SAID}"));
    }
    let net = seeded_net(1, |device| Net { head: Conv2dConfig::new([2, 2], [1, 1]).init(device) });
    let error = Explainer::new(net).observe(noise(1, [1, 2, 4, 4])).expect_err("a panic");
    assert_eq!(
        error.to_string(),
        format!("the network fails on an input of shape [1, 2, 4, 4]: {SAID}")
    );
}
