//! Pictures that are read row by row, against the same windows over the picture in memory.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use segcam::components::ComponentAt;
use segcam::core::LabelMap;
use segcam::pixels::{ClassIs, Disc, Pixel, PixelAlgebra, Region, Soft};
use segcam::windows::{Bands, MapRequest, Question, Rows, Sweep, Tally, Windows};
use segcam::{
    AllPixels, CamError, CamMethod, Explainer, Explanation, GradCam, HiResCam, LayerCam,
    Observation, PixelSet, PredictedClass, Request, XGradCam, XResCam,
};
use segcam_tests::{SmallNetConfig, host, noise, relative_error, seeded_net};

struct InMemory(Tensor<4>);

impl Rows for InMemory {
    fn size(&self) -> [usize; 2] {
        let [_, _, rows, columns] = self.0.dims();
        [rows, columns]
    }

    fn read(&self, rows: Range<usize>) -> Result<Tensor<4>, CamError> {
        Ok(self.0.clone().narrow(2, rows.start, rows.len()))
    }
}

fn net(classes: usize) -> Explainer {
    Explainer::new(seeded_net(3, |device| SmallNetConfig::new(classes).init_2d(device)))
}

fn picture(size: [usize; 2]) -> InMemory {
    InMemory(noise::<4>(4, [1, 2, size[0], size[1]]) * 3.0)
}

/// A sweep that is kept and gone on with before every row of windows.
fn kept(sweep: &mut Sweep) -> &mut Sweep {
    *sweep = Sweep::from_bytes(&sweep.to_bytes()).expect("what it wrote");
    sweep
}

fn labels(bands: &Bands, size: [usize; 2], classes: usize) -> LabelMap {
    let (mut sweep, mut labels) = (Sweep::default(), vec![]);
    for step in 0.. {
        let Some(rows) = bands.labels(kept(&mut sweep)).expect("labels") else { break };
        assert_eq!(rows.len(), bands.finished(step).len() * size[1]);
        labels.extend(rows);
    }
    LabelMap::new(labels, size, classes).expect("every pixel")
}

/// Every map, and what is known of it.
fn maps(
    bands: &Bands,
    questions: &[Question],
    asked: &[MapRequest],
) -> (Sweep, Vec<(Vec<f32>, Tally)>) {
    let mut maps = vec![vec![]; asked.len()];
    let mut add = |rows: Vec<(usize, Vec<f32>)>| {
        rows.into_iter().for_each(|(at, rows)| maps[at].extend(rows));
    };
    let (mut sweep, mut last) = (Sweep::default(), Sweep::default());
    while let Some(rows) = bands.maps(questions, asked, kept(&mut sweep)).expect("maps") {
        add(rows);
    }
    if asked.iter().any(|asked| bands.averages(asked)) {
        while let Some(rows) = bands.averaged(asked, &sweep, kept(&mut last)).expect("maps") {
            add(rows);
        }
    }
    let tally = |at: usize| {
        let of = if bands.averages(&asked[at]) { &last } else { &sweep };
        of.tallies()[at].clone()
    };
    let maps: Vec<_> = maps.into_iter().enumerate().map(|(at, map)| (map, tally(at))).collect();
    (sweep, maps)
}

fn same(given: &(Vec<f32>, Tally), wanted: &Explanation, case: &str) {
    let (map, tally) = given;
    let values = host(wanted.raw());
    assert_eq!(map.len(), values.len(), "{case}");
    let error = relative_error(map, &values);
    assert!(error < 1e-5, "{case}: {error:e}");
    let (low, high) = wanted.range()[0];
    let strongest = high.max(-low);
    let near = |given: f64, wanted: f64| {
        assert!((given - wanted).abs() <= 1e-5 * strongest, "{case}: {given} {wanted}");
    };
    near(tally.range().0, low);
    near(tally.range().1, high);
    let rounding = wanted.rounding()[0];
    assert!((tally.rounding() / rounding - 1.0).abs() < 1e-4, "{case}: {rounding}");
    let sum: f64 = values.iter().map(|value| f64::from(value.abs())).sum();
    assert!((tally.total() - wanted.total()[0]).abs() < 1e-5 * sum, "{case}");
    assert!(tally.is_reached());
}

fn sets() -> Vec<Box<dyn PixelSet>> {
    let corner = Region::new([3, 2], [15, 17]);
    vec![
        Box::new(PredictedClass),
        Box::new(AllPixels),
        Box::new(corner.clone()),
        Box::new(ComponentAt::new([9, 8])),
        Box::new(ComponentAt::new([9, 8]).within(ClassIs(1).not())),
        Box::new(PredictedClass.and(corner.clone()).or(Pixel::new([1, 1]))),
        Box::new(AllPixels.minus(Disc::new([9, 9], 5.5)).xor(corner)),
    ]
}

fn check(windows: &Windows, size: [usize; 2], classes: usize) {
    let case = format!("{windows}, {size:?}, {classes} classes");
    let (net, picture) = (net(classes), picture(size));
    let seen = windows.explainer(&net).expect("windows").observe(picture.0.clone());
    let seen: Observation = seen.expect("a pass");
    let bands = windows.bands(&net, &picture, &Device::flex()).expect("windows");

    let labels = labels(&bands, size, classes);
    let wanted: Vec<i64> = seen.prediction().labels().into_data().iter().collect();
    let given: Vec<i64> = labels.labels().iter().map(|label| i64::from(*label)).collect();
    assert_eq!(given, wanted, "{case}");

    // The class of the pixel of which components are asked.
    let class = if classes == 1 { 0 } else { usize::from(labels.labels()[9 * size[1] + 8]) };
    let sets = sets();
    let sets: Vec<_> = sets.iter().filter(|set| seen.target(*set, class).is_ok()).collect();
    assert!(sets.len() > 3, "{case}");
    let targets: Vec<_> =
        sets.iter().map(|set| seen.target(*set, class).expect("pixels")).collect();
    let questions: Vec<Question> = sets
        .iter()
        .map(|set| Question {
            class,
            set: set.name(),
            members: set.on_labels(&labels, class).expect("members"),
        })
        .collect();
    let methods: [&dyn CamMethod; 4] = [&HiResCam, &GradCam, &LayerCam, &XResCam::new(2)];
    let mut asked: Vec<MapRequest> = vec![];
    for question in 0..questions.len() {
        for layer in ["mid", "enc"] {
            asked.extend(methods.map(|method| MapRequest { method, layer, question }));
        }
    }
    let (sweep, given) = maps(&bands, &questions, &asked);
    for (score, target) in sweep.scores().iter().zip(&targets) {
        assert_eq!(score.pixels, target.sizes()[0], "{case} {}", target.name());
        let wanted = seen.score(target).expect("a score")[0];
        let scale = wanted.abs().max(1.0);
        assert!((score.score - wanted).abs() < 1e-5 * scale, "{case} {}", target.name());
    }
    let requests: Vec<Request> = asked
        .iter()
        .map(|asked| Request::new(asked.method, asked.layer, &targets[asked.question]))
        .collect();
    let names: Vec<String> = requests.iter().map(|request| format!("{request:?}")).collect();
    for ((given, wanted), name) in given.iter().zip(seen.explain_all(requests)).zip(names) {
        same(given, &wanted.expect("a map"), &format!("{case} {name}"));
    }
}

#[test]
fn row_by_row_is_as_in_memory() {
    let monai = |rows, columns| Windows::monai([rows, columns]);
    check(&monai(16, 16), [50, 38], 3);
    check(&monai(16, 12).with_overlap(0.5).gaussian(), [41, 33], 3);
    check(&monai(10, 14).with_overlap(0.75), [29, 31], 2);
    check(&Windows::nnunet([12, 12]), [37, 45], 3);
}

#[test]
fn so_is_what_is_padded_mirrored_or_binary() {
    let monai = |rows, columns| Windows::monai([rows, columns]);
    check(&monai(32, 16).gaussian(), [21, 40], 3);
    check(&monai(32, 64), [21, 40], 3);
    check(&monai(12, 12).mirrored([0, 1]), [30, 22], 3);
    check(&monai(16, 16).with_overlap(0.0), [48, 19], 1);
}

#[test]
fn methods_and_sets_that_need_the_whole_say_what_would_work() {
    let (net, picture) = (net(3), picture([40, 30]));
    let windows = Windows::monai([16, 16]);
    let bands = windows.bands(&net, &picture, &Device::flex()).expect("windows");
    let labels = labels(&bands, [40, 30], 3);
    let members = PixelSet::<4>::on_labels(&AllPixels, &labels, 1).expect("members");
    let questions = [Question { class: 1, set: "all".into(), members }];
    let asked = [MapRequest { method: &XGradCam, layer: "mid", question: 0 }];
    let error = bands.maps(&questions, &asked, &mut Sweep::default()).expect_err("no whole layer");
    assert!(matches!(error, CamError::InWindows { .. }), "{error}");
    assert!(error.to_string().contains("seg-grad-cam"), "{error}");
    let error = PixelSet::<4>::on_labels(&Soft, &labels, 1).err().expect("no scores");
    assert_eq!(error, CamError::NeedsScores { set: "soft".into() });
    let error = PixelSet::<4>::on_labels(&Region::new([0, 0], [41, 3]), &labels, 1).err();
    assert!(matches!(error, Some(CamError::OutsideImage { .. })));

    // Averaged in each window by itself, every method that weights with gradients is possible.
    let windows = windows.averaging_each();
    let bands = windows.bands(&net, &picture, &Device::flex()).expect("windows");
    let seen = windows.explainer(&net).expect("windows").observe(picture.0.clone());
    let wanted = seen.expect("a pass").explain(&XGradCam, "mid", 1).expect("a map");
    same(&maps(&bands, &questions, &asked).1[0], &wanted, "averaged in each window");
}

#[test]
fn a_layer_without_influence_is_told() {
    let (net, picture) = (net(3), picture([40, 30]));
    let windows = Windows::monai([16, 16]);
    let bands = windows.bands(&net, &picture, &Device::flex()).expect("windows");
    let nothing = Question { class: 1, set: "none".into(), members: Box::new(|_| false) };
    let asked = [MapRequest { method: &HiResCam, layer: "mid", question: 0 }];
    let (sweep, maps) = maps(&bands, &[nothing], &asked);
    assert_eq!(sweep.scores()[0].pixels, 0);
    assert!(!maps[0].1.is_reached());
    assert!(maps[0].0.iter().all(|value| *value == 0.0));
    assert_eq!(maps[0].0.len(), 40 * 30);
}
