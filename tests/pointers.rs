//! What is behind a reference, a box or an `Arc` explains as it does by itself: methods and pixel sets.

use std::sync::Arc;

use burn::tensor::Tensor;
use segcam::core::{LabelMap, Members};
use segcam::pixels::{Contrast, Region};
use segcam::{
    AllPixels, AnyMethod, CamError, CamMethod, EigenCam, Explainer, GradCam, HiResCam, Observation,
    OnPixels, PixelSet, PredictedClass, Prediction, Request, ScoreCam, SegGradCam, SegHiResGradCam,
    Uses,
};
use segcam_tests::{SmallNetConfig, host, noise, seeded_net};

fn seen() -> Observation {
    let net = seeded_net(12, |device| SmallNetConfig::new(3).init_2d(device));
    Explainer::new(net).observe(noise(11, [1, 2, 8, 8])).expect("a pass")
}

/// Answers everything otherwise than by default.
#[derive(Clone)]
struct Told;

impl CamMethod for Told {
    fn combine(&self, a: Tensor<4>, w: Tensor<4>) -> Tensor<4> {
        (a * w).sum_dim(1) * 2.0
    }

    fn uses(&self) -> Uses<'_> {
        Uses::Activations
    }

    fn is_local(&self) -> bool {
        true
    }

    fn averages_gradients(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        "told".into()
    }
}

impl PixelSet for Told {
    fn weights(&self, view: &Prediction, _class: usize) -> Result<Tensor<4>, CamError> {
        let half = Tensor::<4>::full(view.shape(), 0.5, &view.device());
        Ok(half.slice_fill([0..1, 0..1, 0..3, 0..8], 0.0))
    }

    fn name(&self) -> String {
        "told".into()
    }

    fn against(&self, _: &Prediction, class: usize) -> Result<Vec<(usize, f64)>, CamError> {
        Ok(vec![((class + 1) % 3, 0.25)])
    }

    fn is_whole_image(&self) -> bool {
        true
    }

    fn parts(&self, _: &Prediction, _class: usize) -> Result<Vec<Box<dyn PixelSet>>, CamError> {
        Ok(vec![Box::new(AllPixels), Box::new(Region::new([0, 0], [4, 8]))])
    }

    fn why_empty(&self, _: &Prediction, _class: usize) -> Option<String> {
        Some("told so".into())
    }

    fn on_labels<'a>(&'a self, _: &'a LabelMap, _class: usize) -> Result<Members<'a>, CamError> {
        Ok(Box::new(|pixel| pixel % 3 == 1))
    }
}

fn says(method: &dyn CamMethod) -> (String, String, bool, bool) {
    let uses = format!("{:?}", method.uses());
    (method.name(), uses, method.is_local(), method.averages_gradients())
}

fn same_method<M: CamMethod + Clone + 'static>(seen: &Observation, method: M) {
    let target = seen.target(&PredictedClass, 1).expect("a target");
    let map = |method: &dyn CamMethod| {
        let map = seen.answer(&Request::new(method, "mid", &target)).expect("a map");
        (map.method().to_string(), host(map.raw()))
    };
    let (wanted, said) = (map(&method), says(&method));
    let (boxed, shared) = (Box::new(method.clone()), Arc::new(method.clone()));
    let (any, any_shared): (Box<dyn CamMethod>, Arc<dyn CamMethod>) =
        (boxed.clone(), shared.clone());
    let reference = &method;
    let pointers: [&dyn CamMethod; 5] = [&reference, &boxed, &shared, &any, &any_shared];
    for (number, pointer) in pointers.into_iter().enumerate() {
        assert_eq!(says(pointer), said, "{number}");
        assert_eq!(map(pointer), wanted, "{number}: {}", wanted.0);
    }
}

#[test]
fn methods_are_what_is_behind_a_pointer() {
    let seen = seen();
    same_method(&seen, GradCam);
    same_method(&seen, HiResCam);
    same_method(&seen, EigenCam);
    same_method(&seen, ScoreCam);
    same_method(&seen, Told);
}

/// Everything a set can be asked.
fn answers(seen: &Observation, set: &dyn PixelSet) -> String {
    let view = seen.prediction();
    let labels = LabelMap::new(vec![0, 1, 2, 1, 1, 0], [2, 3], 3).expect("6 labels");
    let inside = set.on_labels(&labels, 1);
    let inside = inside.map(|inside| (0..6).map(inside).collect::<Vec<_>>());
    let parts = set.parts(view, 1).expect("parts");
    let parts: Vec<String> = parts.iter().map(|part| part.name()).collect();
    let weights = host(&set.weights(view, 1).expect("weights"));
    let why = set.why_empty(view, 1);
    let (against, whole) = (set.against(view, 1), set.is_whole_image());
    format!("{} {against:?} {whole} {parts:?} {why:?} {inside:?} {weights:?}", set.name())
}

fn same_set<P: PixelSet + Clone + 'static>(seen: &Observation, set: P) {
    let explained = |method: &dyn OnPixels| {
        let map = seen.explain(method, "mid", 1).expect("a map");
        (map.method().to_string(), map.target().classes().to_vec(), host(map.raw()))
    };
    let (wanted, said) = (explained(&SegHiResGradCam::new(set.clone())), answers(seen, &set));
    let boxed: Box<dyn PixelSet> = Box::new(set.clone());
    let shared: Arc<dyn PixelSet> = Arc::new(set.clone());
    let reference: &dyn PixelSet = &set;
    for pointer in [&reference as &dyn PixelSet, &boxed, &shared] {
        assert_eq!(answers(seen, pointer), said);
    }
    assert_eq!(explained(&SegHiResGradCam::new(reference)), wanted);
    assert_eq!(explained(&SegHiResGradCam::new(boxed)), wanted);
    assert_eq!(explained(&SegHiResGradCam::new(shared)), wanted);
}

#[test]
fn sets_are_what_is_behind_a_pointer() {
    let seen = seen();
    same_set(&seen, AllPixels);
    same_set(&seen, Region::new([0, 0], [4, 8]));
    same_set(&seen, Contrast::with(2));
    same_set(&seen, Told);
}

#[test]
fn closures_are_sets() {
    let seen = seen();
    let top = |view: &Prediction, _class: usize| {
        let ones = Tensor::<4>::ones(view.shape(), &view.device());
        ones.slice_fill([0..1, 0..1, 4..8, 0..8], 0.0)
    };
    let region = SegGradCam::new(Region::new([0, 0], [4, 8]));
    let wanted = host(seen.explain(&region, "mid", 1).expect("a map").raw());
    let all: [&dyn OnPixels; 2] = [&SegGradCam::new(top), &SegGradCam::new(&top)];
    for method in all {
        let map = seen.explain(method, "mid", 1).expect("a map");
        assert_eq!(host(map.raw()), wanted);
        assert_eq!(map.target().sizes(), [32]);
    }
}

#[test]
fn what_is_printed_says_what_it_is() {
    let net = seeded_net(12, |device| SmallNetConfig::new(3).init_2d(device));
    let engine = segcam::engine::GraphEngine::new(net).with_chunk(3);
    let printed = format!("{engine:?}");
    assert!(printed.starts_with("GraphEngine") && printed.contains("chunk: 3"), "{printed}");
    assert!(format!("{:?}", Explainer::with_engine(engine)).starts_with("Explainer"));
    let method: AnyMethod = AnyMethod::parse("hires-cam").expect("a method");
    assert_eq!(format!("{method:?}"), r#"AnyMethod("hires-cam")"#);
}
