//! Results that are kept and read back (feature `serde`).

use burn::tensor::{Device, TensorData};
use segcam::metrics::{
    Ablation, MetricError, Noise, Protocol, Removal, Study, ablation, context, road, stability,
};
use segcam::pixels::Region;
use segcam::{
    CamError, Certificate, Explainer, Explanation, ExplanationData, HiResCam, Normalize,
    Observation, Request, SegHiResGradCam,
};
use segcam_tests::{SmallNetConfig, host, noise, seeded_net};

fn seen() -> Observation {
    let net = seeded_net(11, |device| SmallNetConfig::new(3).init_2d(device));
    Explainer::new(net).observe(noise(12, [2, 2, 8, 12])).expect("a pass")
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    // Not through text, whose numbers serde_json reads to the last bit only if asked to.
    let value = serde_json::to_value(value).expect("JSON");
    serde_json::from_value(value).expect("the same")
}

#[test]
fn an_explanation_comes_back_as_it_was() {
    let seen = seen();
    let method = SegHiResGradCam::new(Region::new([0, 0], [4, 5]));
    let map = seen.explain(&method, "mid", 1).expect("a map");
    let data = map.to_data().expect("values");
    let kept: ExplanationData = again(&data);
    assert_eq!(kept, data);
    let back: Explanation = Explanation::from_data(kept, &Device::flex()).expect("a map");
    assert_eq!(host(back.raw()), host(map.raw()));
    assert_eq!((back.range(), back.rounding()), (map.range(), map.rounding()));
    assert_eq!(
        (back.method(), back.layer(), back.score()),
        (map.method(), map.layer(), map.score())
    );
    assert_eq!((back.status(), back.engine()), (map.status(), map.engine()));
    assert_eq!(host(&back.heat_map(Normalize::Max)), host(&map.heat_map(Normalize::Max)));
    let (ours, theirs) = (back.target(), map.target());
    assert_eq!((ours.name(), ours.sizes()), (theirs.name(), theirs.sizes()));
    assert_eq!((ours.classes(), host(ours.weights())), (theirs.classes(), host(theirs.weights())));
    // No observation knows it.
    assert!(matches!(seen.certify(&back), Err(CamError::OtherObservation { .. })));
    let certificate: Certificate = seen.certify(&map).expect("a certificate");
    assert_eq!(again(&certificate), certificate);
}

#[test]
fn what_is_no_explanation_is_an_error() {
    let map = seen().explain(&SegHiResGradCam::new(Region::new([0, 0], [4, 5])), "mid", 1);
    let good = map.expect("a map").to_data().expect("values");
    let changed = |change: fn(&mut ExplanationData)| {
        let mut data = good.clone();
        change(&mut data);
        Explanation::<4>::from_data(data, &Device::flex()).expect_err("no map")
    };
    let flat = changed(|data| data.input_shape = vec![2, 2, 96]);
    assert!(matches!(flat, CamError::ShapeMismatch { what: "the input", .. }), "{flat}");
    let short = changed(|data| data.raw = TensorData::new(vec![0f32; 24], [1, 1, 4, 6]));
    assert!(matches!(short, CamError::ShapeMismatch { what: "the map", .. }), "{short}");
    let hole = changed(|data| data.raw = TensorData::new(vec![f32::NAN; 48], [2, 1, 4, 6]));
    assert!(matches!(hole, CamError::NonFinite { .. }), "{hole}");
    let nobody = changed(|data| data.weights = TensorData::new(vec![0f32; 192], [2, 1, 8, 12]));
    assert!(matches!(nobody, CamError::EmptyPixelSet { .. }), "{nobody}");
    let nothing = changed(|data| data.classes.clear());
    assert!(matches!(nothing, CamError::PixelSet { .. }), "{nothing}");
    let unscored = changed(|data| data.score.clear());
    assert!(matches!(unscored, CamError::ShapeMismatch { what: "the score", .. }), "{unscored}");
    let many = changed(|data| data.rounding.clear());
    assert!(matches!(many, CamError::ShapeMismatch { what: "the rounding", .. }), "{many}");
}

#[test]
fn measured_numbers_come_back_as_they_were() {
    let seen = seen().observe_again(noise(13, [1, 2, 8, 12])).expect("a pass");
    let method = SegHiResGradCam::new(Region::new([0, 0], [4, 5]));
    let map = seen.explain(&method, "mid", 1).expect("a map");
    let network = seen.perturb(map.target(), "mid").expect("the network");
    let drops = ablation(&network, 9, 0).expect("drops");
    let kept: Ablation = again(&drops);
    assert_eq!(kept, drops);
    let fidelity = drops.fidelity(&map).expect("two numbers");
    assert_eq!(kept.fidelity(&map), Ok(fidelity));
    assert_eq!(again(&fidelity), fidelity);
    // A file that was changed by hand.
    let mut far = serde_json::to_value(&drops).expect("JSON");
    far["cells"][0] = 24.into();
    let far: Ablation = serde_json::from_value(far).expect("cells");
    let error = far.fidelity(&map).expect_err("24 cells");
    assert!(matches!(error, MetricError::Length { wanted: 25, given: 24, .. }), "{error}");

    let (removal, heat) = (Removal::new(), map.heat_map(Normalize::Max));
    let order = road(&removal, &network, &heat).expect("probabilities");
    assert_eq!(again(&order), order);
    let around = context(&removal, &network, &heat).expect("probabilities");
    assert_eq!(again(&around), around);
    let requests = [Request::new(&HiResCam, "mid", map.target())];
    let noisy = Noise::new().observe(&seen).expect("noisy inputs");
    for found in stability(&noisy, &requests, std::slice::from_ref(&map)) {
        let found = found.expect("two numbers");
        assert_eq!(again(&found), found);
    }

    let protocol = Protocol::new();
    let prepared = protocol.prepare(&seen).expect("one image");
    let rows = prepared.run(map.target(), &requests, None, &mut |_, _| {}).expect("rows");
    let mut study = Study::new(7);
    study.add("one", rows);
    assert!(!study.metrics().is_empty());
    assert_eq!(again(&study), study);
}
