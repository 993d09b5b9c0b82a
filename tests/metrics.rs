//! Metrics against Quantus, pytorch-grad-cam, captum and scipy (`reference/metrics.py`), and against
//! what must hold exactly.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use segcam::engine::TapeEngine;
use segcam::metrics::{
    Control, Metric, MetricError, Noise, Protocol, Removal, ablation, agreement, bias_share,
    comparison, completeness_error, context, descending, impute, instance_index, leak,
    pointing_game, r_squared, randomization, relevance_mass, relevance_rank, road, sensitivity,
    spearman, stability, summary,
};
use segcam::{
    AllPixels, CamError, CamMethod, Explainer, Explanation, GradCam, HiResCam, Layers, Normalize,
    Observation, PredictedClass, Prediction, Request, SegmentationModel, Target,
};
use segcam_tests::{Fixture, SmallNetConfig, host, noise, reference, seeded_net};

fn fixture() -> Fixture {
    Fixture::open(&reference().join("metrics.safetensors"))
}

/// A tensor of any rank as doubles.
fn values(fixture: &Fixture, name: &str) -> Vec<f64> {
    let bytes = fixture.bytes(name);
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes"))).collect()
}

fn floats(fixture: &Fixture, name: &str) -> Vec<f32> {
    values(fixture, name).into_iter().map(|value| value as f32).collect()
}

fn mask(fixture: &Fixture, name: &str) -> Vec<bool> {
    values(fixture, name).into_iter().map(|value| value != 0.0).collect()
}

#[track_caller]
fn close(given: f64, wanted: f64, tolerance: f64) {
    assert!((given - wanted).abs() <= tolerance, "{given} instead of {wanted}");
}

#[test]
fn localisation_as_quantus() {
    let fixture = fixture();
    for case in 0..6 {
        let name = |field| format!("localisation.{case}.{field}");
        let (map, region) = (values(&fixture, &name("map")), mask(&fixture, &name("region")));
        let wanted = |field| values(&fixture, &name(field))[0];
        close(pointing_game(&map, &region).expect("a value"), wanted("pointing"), 0.0);
        close(relevance_mass(&map, &region).expect("a value"), wanted("mass"), 1e-12);
        close(relevance_rank(&map, &region).expect("a value"), wanted("rank"), 1e-12);
        // Single precision gives the same.
        let map: Vec<f32> = map.iter().map(|&value| value as f32).collect();
        let mass = f64::from(relevance_mass(&map, &region).expect("a value"));
        close(mass, wanted("mass"), 1e-5);
    }
}

#[test]
fn imputation_as_pytorch_grad_cam() {
    let fixture = fixture();
    for case in 0..4 {
        let name = |field| format!("impute.{case}.{field}");
        let shape = fixture.shape(&name("image"));
        let keep = mask(&fixture, &name("keep"));
        let found = impute(&floats(&fixture, &name("image")), &shape[1..], &keep).expect("filled");
        let wanted = values(&fixture, &name("imputed"));
        let largest = wanted.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        for (found, wanted) in found.iter().zip(&wanted) {
            close(f64::from(*found), *wanted, 1e-4 * largest);
        }
    }
}

#[test]
fn imputed_pixels_are_the_mean_of_their_neighbours_in_volumes_too() {
    let size = [5, 6, 7];
    let pixels: usize = size.iter().product();
    let image = host(&noise(3, [1, 1, 5, 6, 7]));
    let keep: Vec<bool> = (0..pixels).map(|at| at % 3 == 0).collect();
    let filled = impute(&image, &size, &keep).expect("filled");
    let place = |z, y, x| (z * size[1] + y) * size[2] + x;
    for at in (0..pixels).filter(|&at| !keep[at]) {
        let (z, y, x) = (at / 42, at / 7 % 6, at % 7);
        let (mut sum, mut weights) = (0.0, 0.0);
        for other in (0..pixels).filter(|&other| other != at) {
            let (a, b, c) = (other / 42, other / 7 % 6, other % 7);
            assert_eq!(place(a, b, c), other);
            let apart = [z.abs_diff(a), y.abs_diff(b), x.abs_diff(c)];
            if apart.iter().all(|step| *step < 2) {
                let weight = 0.5f64.powi(apart.iter().sum::<usize>() as i32);
                sum += weight * f64::from(filled[other]);
                weights += weight;
            }
        }
        close(f64::from(filled[at]), sum / weights, 1e-4);
    }
}

#[test]
fn statistics_as_scipy() {
    let fixture = fixture();
    let pair = |group: &str, case| {
        let name = |field: &str| format!("{group}.{case}.{field}");
        (values(&fixture, &name("a")), values(&fixture, &name("b")))
    };
    for case in 0..3 {
        let (a, b) = pair("spearman", case);
        let rho = values(&fixture, &format!("spearman.{case}.rho"))[0];
        close(spearman(&a, &b).expect("a value"), rho, 1e-12);

        let (a, b) = pair("pearson", case);
        let r = values(&fixture, &format!("pearson.{case}.r"))[0];
        close(r_squared(&a, &b).expect("a value"), r * r, 1e-12);

        let (a, b) = pair("wilcoxon", case);
        let p = values(&fixture, &format!("wilcoxon.{case}.p"))[0];
        close(comparison(&a, &b, 0).expect("a value").p, p, 1e-9 * p);
    }
}

/// The interval of a mean of many normal numbers is 1.96 standard errors wide on each side.
#[test]
fn bootstrap_intervals_are_those_of_the_normal_distribution() {
    let sample: Vec<f64> = host(&noise(11, [1, 1, 20, 20])).into_iter().map(f64::from).collect();
    let found = summary(&sample, 1).expect("a summary");
    let mean = sample.iter().sum::<f64>() / 400.0;
    let variance = sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 400.0;
    let (low, high) = found.interval.expect("an interval");
    close(found.mean, mean, 1e-12);
    // Of 10,000 draws a 2.5 % quantile is known to √(0.025·0.975/10,000)/φ(1.96) = 0.027 errors.
    let error = (variance / 400.0).sqrt();
    close(low, mean - 1.96 * error, 4.0 * 0.027 * error);
    close(high, mean + 1.96 * error, 4.0 * 0.027 * error);
    assert_eq!(found, summary(&sample, 1).expect("a summary"), "the same seed");
}

#[test]
fn sensitivity_as_captum() {
    let fixture = fixture();
    let map = values(&fixture, "sensitivity.0.map");
    let changed = values(&fixture, "sensitivity.0.changed");
    let changed: Vec<Vec<f64>> = changed.chunks(map.len()).map(<[f64]>::to_vec).collect();
    let wanted = values(&fixture, "sensitivity.0.max")[0];
    close(sensitivity(&map, &changed).expect("a value"), wanted, 1e-12);
}

/// Two convolutions with the weights of the fixture.
#[derive(Module, Debug)]
struct TwoConvs {
    first: Conv2d,
    second: Conv2d,
}

impl SegmentationModel for TwoConvs {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        self.second.forward(layers.name("first", relu(self.first.forward(image))))
    }
}

impl TwoConvs {
    fn of(fixture: &Fixture) -> Self {
        let device = Device::flex();
        let conv = |channels, number| {
            let config = Conv2dConfig::new(channels, [3, 3]);
            let mut conv = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(&device);
            let weight = floats(fixture, &format!("road.0.w{number}"));
            let weight = Tensor::<1>::from_floats(&*weight, &device);
            conv.weight = conv.weight.map(|old| weight.reshape(old.dims()));
            let bias = floats(fixture, &format!("road.0.b{number}"));
            conv.bias = conv.bias.map(|old| old.map(|_| Tensor::from_floats(&*bias, &device)));
            conv
        };
        Self { first: conv([2, 4], 1), second: conv([4, 3], 2) }
    }
}

#[test]
fn removal_as_pytorch_grad_cam() {
    let fixture = fixture();
    let device = Device::flex();
    let tensor = |name: &str, shape: [usize; 4]| -> Tensor<4> {
        Tensor::<1>::from_floats(&*floats(&fixture, name), &device).reshape(shape)
    };
    let size = fixture.shape("road.0.heat");
    let [height, width] = [size[0], size[1]];
    let image = tensor("road.0.image", [1, 2, height, width]);
    let seen = Explainer::new(TwoConvs::of(&fixture)).observe(image).expect("an observation");
    let pixels = tensor("road.0.mask", [1, 1, height, width]);
    let set = move |_: &Prediction, _| pixels.clone();
    let class = values(&fixture, "road.0.class")[0] as usize;
    let target = seen.target(&set, class).expect("a target");
    let network = seen.perturb(&target, "first").expect("a question");
    let clean =
        network.probability_with_input(1, |_| network.input()).expect("a probability")[0][0];
    close(clean, values(&fixture, "road.0.clean")[0], 1e-5);

    let removal = Removal::new().with_noise(0.0);
    let heat = tensor("road.0.heat", [1, 1, height, width]);
    let same = |given: &[f64], name: &str| {
        let wanted = values(&fixture, name);
        assert_eq!(given.len(), wanted.len());
        given.iter().zip(wanted).for_each(|(given, wanted)| close(*given, wanted, 1e-4));
    };
    let found = road(&removal, &network, &heat).expect("ROAD");
    same(&found.most_relevant_first, "road.0.morf");
    same(&found.least_relevant_first, "road.0.lerf");
    close(found.score(), values(&fixture, "road.0.score")[0], 1e-4);

    let found = context(&removal, &network, &heat).expect("deletion and insertion");
    same(&found.deletion, "context.0.deletion");
    let random = Control::Random.heat_map(&network.input(), network.target(), 3);
    let random = context(&removal, &network, &random).expect("deletion and insertion");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let [deletion, insertion] =
        [(&found.deletion, &random.deletion), (&found.insertion, &random.insertion)]
            .map(|(map, random)| mean(map) - mean(random));
    assert!(deletion != 0.0 && insertion != 0.0);
    close(found.deletion_score(&random), deletion, 1e-12);
    close(found.insertion_score(&random), insertion, 1e-12);
    same(&found.insertion, "context.0.insertion");
}

/// A network whose part behind `dec` is affine.
fn small() -> (Explainer, Tensor<4>) {
    let net = seeded_net(5, |device| SmallNetConfig::new(3).init_2d(device));
    (Explainer::new(net), noise(6, [1, 2, 12, 14]))
}

/// The pixels of the class that is predicted most often.
fn frequent<const D: usize>(seen: &Observation<D>) -> Target<D> {
    let prediction = seen.prediction();
    let count = |class: usize| prediction.predicted(class).sum().into_scalar::<f32>();
    let class = (0..prediction.classes()).max_by(|a, b| count(*a).total_cmp(&count(*b)));
    seen.target(&PredictedClass, class.expect("a class")).expect("a target")
}

fn map(seen: &Observation, method: &dyn CamMethod, layer: &str, target: &Target) -> Explanation {
    seen.answer(&Request::new(method, layer, target)).expect("a map")
}

#[test]
fn hires_tells_what_single_cells_are_worth_before_an_affine_head() {
    let (explainer, image) = small();
    let seen = explainer.observe(image).expect("an observation");
    let target = frequent(&seen);
    let hires = map(&seen, &HiResCam, "dec", &target);
    let grad = map(&seen, &GradCam, "dec", &target);
    let cells = ablation(&seen.perturb(&target, "dec").expect("a question"), 1000, 0);
    let cells = cells.expect("drops");
    assert_eq!(cells.cells.len(), 12 * 14, "all of them");
    // The drop is the map's value, cell by cell.
    let map = host(hires.raw());
    for (cell, drop) in cells.cells.iter().zip(&cells.drops) {
        close(*drop, f64::from(map[*cell]), 1e-4 * hires.range()[0].1.abs());
    }
    let [hires, averaged] = [&hires, &grad].map(|map| cells.fidelity(map).expect("a fidelity"));
    close(hires.r_squared, 1.0, 1e-9);
    // Cells that differ by rounding may change places.
    close(hires.spearman, 1.0, 1e-4);
    let map: Vec<f64> = host(grad.raw()).into_iter().map(f64::from).collect();
    let map: Vec<f64> = cells.cells.iter().map(|&cell| map[cell]).collect();
    close(averaged.r_squared, r_squared(&map, &cells.drops).expect("a value"), 1e-12);
    close(averaged.spearman, spearman(&map, &cells.drops).expect("a value"), 1e-12);
    assert!(averaged.r_squared < 0.999, "{averaged:?}");
}

#[test]
fn the_protocol_has_a_value_or_a_reason_for_everything() {
    let (explainer, image) = small();
    let seen = explainer.observe(image).expect("an observation");
    let question = frequent(&seen);
    let whole = seen.target(&AllPixels, question.class()).expect("a target");
    let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    let requests: Vec<Request> = ["enc", "mid", "dec"]
        .into_iter()
        .flat_map(|layer| [&question, &whole].map(|target| (layer, target)))
        .flat_map(|(layer, target)| methods.map(|method| Request::new(method, layer, target)))
        .collect();
    let region: Vec<bool> = (0..12 * 14).map(|at| at % 5 == 0).collect();
    let (mut last, mut count) = ((0, 0), 0);
    let mut progress = |done, all| {
        last = (done, all);
        count += 1;
    };
    let protocol = Protocol::new();
    let image = protocol.prepare(&seen).expect("one image");
    let rows = image.run(&question, &requests, Some(&region), &mut progress).expect("rows");
    assert_eq!(rows.len(), 12 + 3);
    assert_eq!((last.0, count), (last.1, last.1));
    let maps: Vec<_> =
        seen.explain_all(requests.iter().cloned()).map(|map| map.expect("a map")).collect();
    let noisy = Noise::new().observe(&seen).expect("observations");
    for (row, stable) in rows[..12].iter().zip(stability(&noisy, &requests, &maps)) {
        let stable = stable.expect("a value");
        assert_eq!(row.values[&Metric::Stability], stable.spearman, "{row:?}");
        assert_eq!(row.values[&Metric::Sensitivity], stable.sensitivity, "{row:?}");
        // A hundredth of the input's range of noise hardly changes the order of cells.
        assert!((0.9..=1.0).contains(&stable.spearman), "{stable:?}");
        for metric in Metric::all() {
            let known = row.values.get(metric).is_some_and(|value| value.is_finite());
            assert!(known != row.missing.contains_key(metric), "{metric} of {row:?}");
        }
    }
    for row in &rows[..12] {
        if row.method == "seg-hires-grad-cam" {
            assert_eq!(row.values[&Metric::Leak], 0.0);
            // A sum of thousands of products in single precision.
            assert!(row.values[&Metric::CompletenessError] < 1e-4, "{row:?}");
        }
    }
    for (row, control) in rows[12..].iter().zip(Control::all()) {
        assert_eq!((row.method.as_str(), row.layer.as_str()), (control.name(), ""));
        assert_eq!(row.values.len(), 6, "what needs a heat map only: {row:?}");
        assert_eq!(row.missing[&Metric::Leak], "it needs a map of a layer");
    }
    let only = Protocol::new().with_metrics([Metric::Road].into()).with_controls(false);
    let image = only.prepare(&seen).expect("one image");
    let some = image.run(&question, &requests[..2], None, &mut |_, _| {}).expect("rows");
    assert_eq!(some[0].values[&Metric::Road], rows[0].values[&Metric::Road]);
    assert_eq!((some.len(), some[0].values.len()), (2, 1));
}

#[test]
fn metrics_are_kept_by_their_names() {
    for &metric in Metric::all() {
        let kept = serde_json::to_string(&metric).expect("JSON");
        assert_eq!(kept, format!("\"{metric}\""));
        assert_eq!(serde_json::from_str::<Metric>(&kept).expect("a metric"), metric);
    }
}

#[test]
fn the_protocol_takes_volumes() {
    let net = seeded_net(5, |device| SmallNetConfig::new(2).init_3d(device));
    let seen = Explainer::new(net).observe(noise(6, [1, 2, 6, 8, 6])).expect("an observation");
    let question = frequent(&seen);
    let requests = [Request::new(&HiResCam, "mid", &question)];
    let protocol = Protocol::new();
    let image = protocol.prepare(&seen).expect("one image");
    let rows = image.run(&question, &requests, None, &mut |_, _| {}).expect("rows");
    assert_eq!(rows[0].values[&Metric::Leak], 0.0);
    assert!(rows[0].values.contains_key(&Metric::Road), "{:?}", rows[0]);
    assert_eq!(rows.len(), 4);
}

#[test]
fn random_weights_change_what_follows_a_layer_and_nothing_before_it() {
    let (explainer, image) = small();
    let seen = explainer.observe(image.clone()).expect("an observation");
    let target = frequent(&seen);
    let requests = ["enc", "mid"].map(|layer| Request::new(&HiResCam, layer, &target));
    let maps: Vec<_> = seen.explain_all(requests.clone()).map(|map| map.expect("a map")).collect();
    let random = |after: Option<&str>| {
        let random = seen.with_random_weights(after, 3).expect("random weights");
        random.observe(image.clone()).expect("an observation")
    };
    let correlation = |after: Option<&str>| -> Vec<f64> {
        let found = randomization(&random(after), &requests, &maps);
        found.into_iter().map(|rho| rho.expect("a value")).collect()
    };
    // Nothing follows the last layer; rounding of the correlation itself.
    correlation(Some("out")).into_iter().for_each(|rho| close(rho, 1.0, 1e-12));
    let behind = random(Some("mid"));
    let activations = |seen: &Observation, layer: &str| {
        host(&seen.perturb(&target, layer).expect("a question").activations().expect("a layer"))
    };
    for layer in ["enc", "mid"] {
        assert_eq!(activations(&behind, layer), activations(&seen, layer), "{layer}");
    }
    assert_ne!(activations(&behind, "dec"), activations(&seen, "dec"));
    // Maps that have nothing in common, of at least 42 cells, correlate by chance: 3 deviations of that.
    let chance = 3.0 / f64::sqrt(41.0);
    assert!(correlation(None).iter().all(|rho| rho.abs() < chance), "{:?}", correlation(None));

    let error = seen.with_random_weights(Some("end"), 3).map(|_| ()).expect_err("no such layer");
    assert!(error.to_string().contains("`end`"), "{error}");
    let net = seeded_net(5, |device| SmallNetConfig::new(3).init_2d(device));
    let tape = Explainer::<4>::with_engine(TapeEngine::new(net)).observe(image).expect("a pass");
    let error = tape.with_random_weights(None, 0).map(|_| ()).expect_err("the tape cannot");
    assert_eq!(error, CamError::FixedWeights);
}

#[test]
fn without_noise_maps_stay_the_same() {
    let (explainer, image) = small();
    let seen = explainer.observe(image).expect("an observation");
    let target = frequent(&seen);
    let requests = [Request::new(&HiResCam, "mid", &target)];
    let maps = [map(&seen, &HiResCam, "mid", &target)];
    let judged = |sigma| {
        let noisy = Noise::new().with_sigma(sigma).observe(&seen).expect("observations");
        stability(&noisy, &requests, &maps)[0].clone().expect("a value")
    };
    close(judged(0.0).spearman, 1.0, 1e-12);
    assert_eq!(judged(0.0).sensitivity, 0.0);
    let (little, much) = (judged(0.001), judged(0.1));
    assert!(little.spearman > much.spearman && little.sensitivity < much.sensitivity);
    assert!(Noise::new().with_samples(0).observe(&seen).is_err());
}

#[test]
fn agreement_of_a_map_with_itself_is_one() {
    let (explainer, image) = small();
    let seen = explainer.observe(image).expect("an observation");
    let map = map(&seen, &HiResCam, "mid", &frequent(&seen));
    let twice = [map.clone(), map];
    for rho in agreement(&twice).expect("two maps") {
        close(rho.expect("a value"), 1.0, 1e-12);
    }
    assert!(matches!(agreement(&twice[..1]), Err(MetricError::Undefined { .. })));
}

/// Each with the mean of its rank correlations with the others.
#[test]
fn agreement_is_the_mean_over_the_other_maps() {
    let (explainer, image) = small();
    let seen = explainer.observe(image).expect("an observation");
    let target = frequent(&seen);
    let maps = ["enc", "mid", "dec"].map(|layer| map(&seen, &HiResCam, layer, &target));
    let size = &seen.prediction().input_shape()[2..];
    let values = |map: &Explanation| host(&segcam::core::upsample(map.raw().clone(), size));
    let values: Vec<Vec<f32>> = maps.iter().map(values).collect();
    let found = agreement(&maps).expect("three maps");
    for (at, found) in found.into_iter().enumerate() {
        let others = (0..3).filter(|other| *other != at);
        let rho = |other: usize| -> f64 {
            let [a, b] = [at, other].map(|at| values[at].iter().copied().map(f64::from).collect());
            let (a, b): (Vec<f64>, Vec<f64>) = (a, b);
            spearman(&a, &b).expect("a value")
        };
        close(found.expect("a value"), others.map(rho).sum::<f64>() / 2.0, 1e-12);
    }
}

/// Central differences by loops, of the channel where they are largest; borders have none.
#[test]
fn edges_are_central_differences() {
    let (explainer, _) = small();
    for (height, width) in [(8, 12), (8, 8)] {
        let input = noise(21, [1, 2, height, width]);
        let seen = explainer.observe(input.clone()).expect("an observation");
        let target = seen.target(&AllPixels, 1).expect("a target");
        // A side of three has one middle, a side of two has none.
        for (rows, columns) in [(height, width), (3, width), (2, width), (height, 2), (height, 3)] {
            let part = input.clone().narrow(2, 0, rows).narrow(3, 0, columns);
            let values = host(&part);
            let at = |c: usize, y: usize, x: usize| values[(c * rows + y) * columns + x];
            let of = |c: usize, y: usize, x: usize| {
                let down = match y > 0 && y + 1 < rows {
                    true => at(c, y + 1, x) - at(c, y - 1, x),
                    false => 0.0,
                };
                let right = match x > 0 && x + 1 < columns {
                    true => at(c, y, x + 1) - at(c, y, x - 1),
                    false => 0.0,
                };
                (down * down + right * right).sqrt()
            };
            let wanted = (0..rows * columns).map(|i| (i / columns, i % columns));
            let wanted = wanted.map(|(y, x)| of(0, y, x).max(of(1, y, x)));
            let edges = Control::Edges.heat_map(&part, &target, 0);
            assert_eq!(edges.dims(), [1, 1, rows, columns]);
            for (given, wanted) in host(&edges).into_iter().zip(wanted) {
                close(f64::from(given), f64::from(wanted), 1e-6);
            }
        }
    }
    let names: Vec<&str> = Control::all().iter().map(|control| control.name()).collect();
    assert_eq!(names, ["random", "edges", "pixel set"]);
}

#[test]
fn correlations_need_three_values_that_differ() {
    for of in [spearman::<f64>, r_squared::<f64>] {
        close(of(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]).expect("a line"), 1.0, 1e-12);
        for (a, b) in [
            (&[1.0, 2.0][..], &[1.0, 2.0][..]),
            (&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]),
            (&[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0]),
        ] {
            assert!(matches!(of(a, b), Err(MetricError::Undefined { .. })), "{a:?} {b:?}");
        }
    }
}

#[test]
fn equal_values_come_in_an_order_that_only_the_seed_decides() {
    let values = [1.0, 0.0, 0.0, 0.0, 0.0, 2.0];
    let order = descending(&values, 1);
    assert_eq!((&order[..2], order.len()), (&[5, 0][..], 6));
    assert_eq!(order, descending(&values, 1));
    assert!((0..20).any(|seed| descending(&values, seed) != order));
}

/// Maps that say nothing: a defined value or an error that says why, never NaN.
#[test]
fn empty_and_constant_maps() {
    let (zeros, ones, region) = ([0.0; 4], [1.0; 4], [true, false, false, false]);
    let undefined = |error: Result<f64, MetricError>| {
        assert!(matches!(error, Err(MetricError::Undefined { .. })), "{error:?}");
    };
    undefined(leak(&zeros, &region));
    undefined(relevance_mass(&zeros, &region));
    undefined(relevance_mass(&[-1.0; 4], &region));
    undefined(relevance_rank(&ones, &[false; 4]));
    undefined(instance_index(&zeros, &region, &[true; 4]));
    undefined(bias_share(&zeros, &[region.to_vec()], 0));
    undefined(bias_share(&ones, &[region.to_vec()], 1));
    undefined(bias_share(&ones, &[vec![false; 4]], 0));
    undefined(completeness_error(0.0, &[0.0, 0.0]));
    undefined(spearman(&zeros, &ones));
    undefined(r_squared(&[1.0, 2.0], &[1.0, 2.0]));
    undefined(sensitivity(&zeros, &[]));
    undefined(pointing_game::<f64>(&[], &[]));
    assert_eq!(pointing_game(&ones, &region), Ok(0.25));
    assert_eq!(relevance_rank(&ones, &region), Ok(0.25));

    let short = leak(&ones, &region[..3]);
    assert!(matches!(short, Err(MetricError::Length { wanted: 4, given: 3, .. })), "{short:?}");
    let nan = relevance_mass(&[f64::NAN; 4], &region);
    assert!(matches!(nan, Err(MetricError::NotFinite { count: 4, .. })), "{nan:?}");
    let one = summary(&[1.0], 0).expect("a mean");
    assert_eq!((one.mean, one.interval), (1.0, None));
    assert!(matches!(summary(&[], 0), Err(MetricError::TooFew { .. })));
    let few = comparison(&[1.0; 5], &[0.0; 5], 0).expect_err("too few");
    assert_eq!(few.to_string(), "Wilcoxon's signed-rank test needs at least 6 images, there are 5");
    assert!(impute(&[1.0; 4], &[2, 2], &[false; 4]).is_err());
    assert!(impute(&[1.0; 5], &[2, 2], &[true; 4]).is_err());
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let (explainer, _) = small();
    let seen = explainer.observe(noise(6, [2, 2, 12, 14])).expect("an observation");
    let target: Target = seen.target(&AllPixels, 1).expect("a target");
    let network = seen.perturb(&target, "mid").expect("a question");
    let batch = Err(MetricError::OneImage { given: 2 });
    let heat = Tensor::ones([2, 1, 12, 14], &Device::flex());
    assert_eq!(road(&Removal::new(), &network, &heat).map(|_| ()), batch);
    assert_eq!(ablation(&network, 3, 0).map(|_| ()), batch);
    assert!(seen.perturb(&target, "middle").is_err());

    let seen = explainer.observe(noise(6, [1, 2, 12, 14])).expect("an observation");
    let target = seen.target(&AllPixels, 1).expect("a target");
    let network = seen.perturb(&target, "mid").expect("a question");
    let heat = Control::Random.heat_map(&seen.input(), &target, 0);
    let whole = context(&Removal::new(), &network, &heat);
    assert!(matches!(whole, Err(MetricError::Undefined { .. })), "{whole:?}");
    let wrong = Removal::new().with_fractions(vec![0.5, 1.5]);
    assert_eq!(road(&wrong, &network, &heat), Err(MetricError::Fraction { fraction: 1.5 }));
    let small = heat.narrow(2, 0, 5);
    assert!(matches!(
        road(&Removal::new(), &network, &small),
        Err(MetricError::Length { wanted: 168, given: 70, .. })
    ));
    let map = seen.explain(&HiResCam, "mid", 1).expect("a map");
    assert!(road(&Removal::new(), &network, &map.heat_map(Normalize::Max)).is_ok());
}
