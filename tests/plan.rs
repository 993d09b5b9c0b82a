//! Many maps in one call: order, sharing, and errors of single requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Tensor;
use segcam::pixels::{Pixel, Region};
use segcam::{
    AllPixels, CamError, CamMethod, Engine, Explainer, GradCam, Gradients, GraphEngine, HiResCam,
    Layer, Observation, Onward, Pass, PredictedClass, Request, SegGradCam, SegHiResGradCam, Target,
};
use segcam_tests::{SmallNetConfig, host, noise, seeded_net};

fn explainer() -> GraphEngine<segcam_tests::SmallNet2d> {
    GraphEngine::new(seeded_net(71, |device| SmallNetConfig::new(3).init_2d(device)))
}

fn seen() -> Observation {
    Explainer::with_engine(explainer()).observe(noise(72, [1, 2, 8, 12])).expect("a pass")
}

/// Counts the targets and layers that an engine is asked for.
struct Counting<E>(E, Arc<AtomicUsize>, Arc<AtomicUsize>);

struct CountingPass(Box<dyn Pass>, Arc<AtomicUsize>, Arc<AtomicUsize>);

impl<E: Engine> Engine for Counting<E> {
    fn observe(&self, input: Tensor<4>) -> Result<Box<dyn Pass>, CamError> {
        Ok(Box::new(CountingPass(self.0.observe(input)?, self.1.clone(), self.2.clone())))
    }
}

impl Pass for CountingPass {
    fn engine(&self) -> String {
        self.0.engine()
    }

    fn input(&self) -> Tensor<4> {
        self.0.input()
    }

    fn logits(&self) -> Tensor<4> {
        self.0.logits()
    }

    fn activations(&self, layer: &str) -> Result<Option<Tensor<4>>, CamError> {
        self.0.activations(layer)
    }

    fn onward(&self, layer: Option<&str>, copies: usize) -> Result<Option<Onward<'_>>, CamError> {
        self.0.onward(layer, copies)
    }

    fn layers(&self) -> &[Layer] {
        self.0.layers()
    }

    fn gradients(
        &self,
        targets: &[Target],
        layers: &[&str],
        visit: &mut dyn FnMut(usize, usize, Gradients),
    ) -> Result<(), CamError> {
        self.1.fetch_add(targets.len(), Ordering::Relaxed);
        self.2.fetch_add(layers.len(), Ordering::Relaxed);
        self.0.gradients(targets, layers, visit)
    }
}

#[test]
fn what_can_be_shared_is_computed_once() {
    let (targets, layers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let engine = Counting(explainer(), targets.clone(), layers.clone());
    let seen = Explainer::with_engine(engine).observe(noise(72, [1, 2, 8, 12])).expect("a pass");
    // All pixels are all pixels, whatever the set is called and whichever method asks.
    let whole = Region::new([0, 0], [8, 12]);
    let (seg_grad, seg_hires) = (SegGradCam::new(AllPixels), SegHiResGradCam::new(whole));
    let methods: [&dyn CamMethod; 4] = [&GradCam, &HiResCam, &seg_grad, &seg_hires];
    let mut requests = vec![];
    for layer in ["enc", "mid", "dec"] {
        for class in [2, 0] {
            requests.extend(methods.map(|method| Request { method, layer, class }));
        }
    }
    assert!(seen.explain_all(requests).all(|map| map.is_ok()));
    assert_eq!(targets.load(Ordering::Relaxed), 2, "one target per class");
    assert_eq!(layers.load(Ordering::Relaxed), 2 * 3, "three layers of each");
}

#[test]
fn results_keep_the_order_of_hundreds_of_requests() {
    let seen = seen();
    let pixels: Vec<_> = (0..96).map(|at| Pixel::new([at / 12, at % 12])).collect();
    let methods: Vec<_> = pixels.into_iter().map(SegHiResGradCam::new).collect();
    let layers = ["mid", "dec"];
    let requests = || {
        let each = methods.iter().enumerate();
        each.map(|(at, method)| Request { method, layer: layers[at % 2], class: at % 3 })
    };
    let mut count = 0;
    for (map, Request { method, layer, class }) in seen.explain_all(requests()).zip(requests()) {
        let (map, alone) = (map.expect("a map"), seen.explain(method, layer, class));
        assert_eq!((map.layer(), map.class()), (layer, class));
        assert_eq!(map.pixels(), alone.as_ref().expect("a map").pixels());
        assert_eq!(host(map.raw()), host(alone.expect("a map").raw()));
        count += 1;
    }
    assert_eq!(count, 96);
}

#[test]
fn a_request_that_fails_is_its_own_error() {
    let seen = seen();
    let nowhere = SegGradCam::new(Pixel::new([99, 0]));
    let fine = SegGradCam::new(PredictedClass);
    let request = |method, layer, class| Request { method, layer, class };
    let requests: [Request; 5] = [
        request(&HiResCam, "mid", 1),
        request(&HiResCam, "middle", 1),
        request(&HiResCam, "mid", 9),
        request(&nowhere, "mid", 1),
        request(&HiResCam, "dec", 1),
    ];
    let found: Vec<_> = seen.explain_all(requests).collect();
    assert!(found[0].is_ok() && found[4].is_ok());
    assert!(matches!(found[1], Err(CamError::UnknownLayer { .. })));
    assert!(matches!(found[2], Err(CamError::ClassOutOfRange { class: 9, classes: 3 })));
    assert!(matches!(found[3], Err(CamError::OutsideImage { .. })));
    assert_eq!(seen.explain_all([]).count(), 0);
    assert!(seen.explain(&fine, "mid", 7).is_err());
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
            a.reshape([1, 1, 1, 1]) // as a backend that lost its memory or its server
        }
    }
    let seen = seen();
    let request = |method, layer| Request { method, layer, class: 0 };
    let region = SegHiResGradCam::new(Region::new([0, 0], [2, 2]));
    let requests: [Request; 3] =
        [request(&Broken, "dec"), request(&region, "mid"), request(&HiResCam, "dec")];
    let found: Vec<_> = seen.explain_all(requests).collect();
    assert!(found[1].is_ok() && found[2].is_ok(), "the last shares its target with the broken one");
    let error = found[0].as_ref().expect_err("a panic").to_string();
    assert!(error.starts_with("the backend failed:") && error.contains("with_chunk"), "{error}");
}
