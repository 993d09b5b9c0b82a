//! What a protocol shares between questions, and what it does when something is missing. The engine
//! counts what is asked of it and can lose its device.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use burn::tensor::{Device, Tensor, TensorData};
use segcam::engine::{GraphEngine, TapeEngine};
use segcam::metrics::{Metric, MetricError, Noise, Prepared, Protocol, Removal, Row};
use segcam::models::{UNet, UNetConfig};
use segcam::{
    AllPixels, CamError, Explainer, Explanation, GradCam, HiResCam, Observation, Prediction,
    Request, Target,
};
use segcam_tests::{Counts, Watched, seeded_net};

const SIDE: usize = 16;
/// Of fidelity.
const CELLS: usize = 5;
const SAMPLES: usize = 2;

fn unet() -> UNet {
    let config = UNetConfig::new(1, 2).with_widths(vec![4, 8]);
    seeded_net(5, |device| config.init(device))
}

fn watched() -> (Observation, Arc<Counts>) {
    let (engine, counts) = Watched::new(GraphEngine::new(unet()));
    (Explainer::with_engine(engine).observe(image()).expect("an observation"), counts)
}

/// Hills: no two values are the same.
fn image() -> Tensor<4> {
    let values = (0..SIDE * SIDE).map(|at| (at as f32 * 0.37).sin() + at as f32 * 1e-3).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, [1, 1, SIDE, SIDE]), &Device::flex())
}

/// A square whose upper left corner this is. All of them have the same name.
fn square(seen: &Observation, corner: usize) -> Target {
    let mask = Tensor::<4>::zeros([1, 1, SIDE, SIDE], &Device::flex());
    let mask = mask.slice_fill([0..1, 0..1, corner..corner + 4, corner..corner + 4], 1.0);
    seen.target(&move |_: &Prediction, _| mask.clone(), 1).expect("a target")
}

fn protocol() -> Protocol {
    Protocol::new()
        .with_cells(CELLS)
        .with_noise(Noise::new().with_samples(SAMPLES))
        .with_removal(Removal::new().with_fractions(vec![0.3]))
}

fn run(image: &Prepared, question: &Target, requests: &[Request]) -> Vec<Row> {
    image.run(question, requests, None, &mut |_, _| {}).expect("rows")
}

#[test]
fn questions_about_one_image_share_what_belongs_to_the_image() {
    let (seen, counts) = watched();
    let protocol = protocol();
    let image = protocol.prepare(&seen).expect("one image");
    let whole = seen.target(&AllPixels, 1).expect("a target");
    let asked = |corner| {
        let question = square(&seen, corner);
        let requests = ["mid", "dec1"].map(|layer| [(&whole, layer), (&question, layer)]).concat();
        let requests: Vec<Request> = requests
            .into_iter()
            .map(|(target, layer)| Request::new(&HiResCam, layer, target))
            .collect();
        let rows = run(&image, &question, &requests);
        assert!(rows[0].values.contains_key(&Metric::Randomization), "{:?}", rows[0]);
        assert!(rows[0].values.contains_key(&Metric::Stability), "{:?}", rows[0]);
        (counts.observations.load(Relaxed), counts.versions.load(Relaxed))
    };
    // The clean image, the noisy ones, and the random network; two scores at two layers.
    let all = 1 + SAMPLES + 1;
    assert_eq!(asked(2), (all, 4 * CELLS));
    // What the score of the whole image loses without a cell is known.
    assert_eq!(asked(9), (all, 6 * CELLS));
}

#[test]
fn what_no_metric_wants_is_not_computed() {
    let (seen, counts) = watched();
    let protocol = protocol().with_metrics([Metric::Leak, Metric::Road].into());
    let question = square(&seen, 2);
    let image = protocol.prepare(&seen).expect("one image");
    run(&image, &question, &[Request::new(&HiResCam, "mid", &question)]);
    assert_eq!(counts.observations.load(Relaxed), 1);
    assert_eq!(counts.versions.load(Relaxed), 0);
}

#[test]
fn maps_that_are_there_are_not_made_again() {
    let (seen, counts) = watched();
    let protocol = protocol().with_metrics([Metric::Leak, Metric::Stability].into());
    let question = square(&seen, 2);
    let requests = ["mid", "dec1"].map(|layer| Request::new(&HiResCam, layer, &question));
    let maps = seen.explain_all(requests.iter().cloned());
    let maps = maps.collect::<Result<Vec<_>, _>>().expect("maps");
    let image = protocol.prepare(&seen).expect("one image");
    // Of its noise, which is kept, an image is asked but once.
    let expected = run(&image, &question, &requests);
    let calls = |asked: &dyn Fn() -> Vec<Row>| {
        counts.calls.store(0, Relaxed);
        assert_eq!(asked(), expected);
        counts.calls.load(Relaxed)
    };
    let judge =
        |maps: &[Explanation]| image.judge(&question, (maps, &requests), None, &mut |_, _| {});
    let made = calls(&|| run(&image, &question, &requests));
    let judged = calls(&|| judge(&maps).expect("rows"));
    assert!(judged < made, "{judged} calls, {made} with the maps");
    let error = judge(&maps[1..]).expect_err("a map too few");
    assert_eq!(error.to_string(), "the list of maps must have 2 values, it has 1");
}

/// Sets of the same name are not the same set.
#[test]
fn maps_are_judged_by_their_own_score() {
    let (seen, _) = watched();
    let protocol = protocol().with_controls(false).with_cells(SIDE * SIDE);
    let (first, second) = (square(&seen, 2), square(&seen, 9));
    assert_eq!((first.name(), first.class()), (second.name(), second.class()));
    let asked = |targets: &[&Target]| {
        let layers = targets.iter().flat_map(|target| ["mid", "dec1"].map(|l| (l, *target)));
        let requests: Vec<Request> =
            layers.map(|(layer, target)| Request::new(&GradCam, layer, target)).collect();
        run(&protocol.prepare(&seen).expect("one image"), &first, &requests)
    };
    let (together, alone) = (asked(&[&first, &second]), asked(&[&second]));
    assert!(alone[0].values.contains_key(&Metric::FidelityR2), "{:?}", alone[0]);
    assert_eq!(together[2..], alone);
}

#[test]
fn a_device_that_fails_at_any_moment_ends_the_evaluation() {
    let (seen, counts) = watched();
    let protocol = protocol();
    let question = square(&seen, 2);
    let requests = [Request::new(&HiResCam, "mid", &question)];
    let mut failures = 0;
    loop {
        counts.calls.store(0, Relaxed);
        counts.fails_at.store(failures + 1, Relaxed);
        let image = protocol.prepare(&seen).expect("one image");
        match image.run(&question, &requests, None, &mut |_, _| {}) {
            // A forward pass says so in its own words.
            Err(MetricError::Cam(
                CamError::Backend { reason } | CamError::Forward { reason, .. },
            )) => {
                assert_eq!(reason, "the device was lost");
                failures += 1;
            }
            Err(error) => panic!("call {failures}: {error}"),
            Ok(rows) if counts.calls.load(Relaxed) > failures => {
                panic!("call {failures} failed, and nobody noticed: {rows:?}")
            }
            Ok(_) => break,
        }
    }
    // Maps, certificate, cells, ROAD and context of every row, noise, and the random network.
    assert!(failures > 15, "{failures}");
}

#[test]
fn maps_from_elsewhere_are_measured_but_not_made_again() {
    let (seen, _) = watched();
    let protocol = protocol().with_controls(false);
    let question = square(&seen, 2);
    let requests = ["mid", "dec1"].map(|layer| Request::new(&HiResCam, layer, &question));
    let image = protocol.prepare(&seen).expect("one image");
    let ours = run(&image, &question, &requests);
    let foreign = |map: Explanation| {
        let (method, raw) = (map.method(), map.raw().clone());
        seen.foreign_map(method, map.layer(), &question, raw).expect("a map")
    };
    let maps = requests.map(|request| foreign(seen.answer(&request).expect("a map")));
    let theirs = image.measure(&question, &maps, None, &mut |_, _| {}).expect("rows");
    let again = [Metric::Randomization, Metric::Stability, Metric::Sensitivity];
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let (mut wanted, mut missing) = (ours.values.clone(), ours.missing.clone());
        for metric in again {
            assert!(wanted.remove(&metric).is_some(), "{metric}: {ours:?}");
            missing.insert(metric, "it needs a method that makes the map again".into());
        }
        assert_eq!((theirs.values, theirs.missing), (wanted, missing));
    }
    let other = Explainer::new(unet()).observe(image_of_ones()).expect("an observation");
    let map = other.explain(&HiResCam, "mid", 1).expect("a map");
    let error = image.measure(&question, &[map], None, &mut |_, _| {}).expect_err("another image");
    assert!(matches!(error, MetricError::Cam(CamError::OtherObservation { .. })), "{error}");
}

fn image_of_ones() -> Tensor<4> {
    Tensor::ones([1, 1, SIDE, SIDE], &Device::flex())
}

#[test]
fn what_an_engine_cannot_do_is_missing() {
    let tape = Explainer::<4>::with_engine(TapeEngine::new(unet()));
    let seen = tape.observe(image()).expect("an observation");
    let question = square(&seen, 2);
    let protocol = protocol();
    let image = protocol.prepare(&seen).expect("one image");
    let rows = run(&image, &question, &[Request::new(&HiResCam, "mid", &question)]);
    assert_eq!(rows[0].missing[&Metric::Randomization], CamError::FixedWeights.to_string());
    assert!(rows[0].missing.contains_key(&Metric::CompletenessError));
    assert!(rows[0].values.contains_key(&Metric::Stability), "{:?}", rows[0]);
}

#[test]
fn what_makes_no_sense_is_an_error_at_once() {
    let batch = Explainer::new(unet()).observe(Tensor::ones([2, 1, SIDE, SIDE], &Device::flex()));
    let batch = batch.expect("an observation");
    let error = protocol().prepare(&batch).map(|_| ()).expect_err("two images");
    assert_eq!(error, MetricError::OneImage { given: 2 });

    let (seen, _) = watched();
    let protocol = protocol().with_removal(Removal::new().with_fractions(vec![1.5]));
    let question = square(&seen, 2);
    let image = protocol.prepare(&seen).expect("one image");
    let asked = |region| image.run(&question, &[], region, &mut |_, _| {});
    let short = asked(Some(&[true; 5][..]));
    assert!(matches!(short, Err(MetricError::Length { wanted: 256, given: 5, .. })), "{short:?}");
    assert_eq!(asked(None), Err(MetricError::Fraction { fraction: 1.5 }));
}
