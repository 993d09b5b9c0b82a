//! Networks that see an image through windows, against PyTorch's autograd through the whole blended
//! computation (`reference/windows.py`), and against what must hold.

use std::sync::atomic::Ordering;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, Conv3d, Conv3dConfig};
use burn::nn::{PaddingConfig2d, PaddingConfig3d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use segcam::core::upsample;
use segcam::engine::{GraphEngine, TapeEngine};
use segcam::windows::{WindowError, Windows};
use segcam::{
    AllPixels, CamError, EigenCam, Explainer, GradCam, HiResCam, LayerCam, Layers, MapStatus,
    Observation, PredictedClass, Request, ScoreCam, Seg, SegGradCam, SegHiResGradCam,
    SegmentationModel, XGradCam,
};
use segcam_tests::{
    Fixture, SmallNetConfig, Watched, host, noise, reference, relative_error, seeded_net,
};

macro_rules! net {
    ($net:ident, $rank:literal, $conv:ident, $config:ident, $kernel:expr, $one:expr, $padding:expr) => {
        #[derive(Module, Debug)]
        struct $net {
            enc: $conv,
            mid: $conv,
            dec: $conv,
            head: $conv,
            affine: bool,
        }

        impl $net {
            fn of(fixture: &Fixture, case: &str) -> Self {
                let device = Device::flex();
                let conv = |layer: &str, kernel: [usize; $rank - 2]| {
                    let key = format!("{case}.weight.{layer}.weight");
                    let weight = fixture.tensor::<$rank>(&key);
                    let [to, from, ..] = weight.dims();
                    let config = $config::new([from, to], kernel);
                    let config =
                        if kernel[0] == 3 { config.with_padding($padding) } else { config };
                    let mut conv = config.init(&device);
                    conv.weight = Param::from_tensor(weight);
                    let bias = fixture.tensor::<1>(&format!("{case}.weight.{layer}.bias"));
                    conv.bias = Some(Param::from_tensor(bias));
                    conv
                };
                let [enc, mid, dec] = ["enc", "mid", "dec"].map(|layer| conv(layer, $kernel));
                Self { enc, mid, dec, head: conv("head", $one), affine: case == "affine" }
            }
        }

        impl SegmentationModel<$rank> for $net {
            fn forward(&self, image: Tensor<$rank>, layers: &mut Layers) -> Tensor<$rank> {
                let act = |x| if self.affine { x } else { relu(x) };
                let enc = layers.name("enc", act(self.enc.forward(image)));
                let pooled = pooled(enc.clone(), self.affine);
                let mid = layers.name("mid", act(self.mid.forward(pooled)));
                let dec = self.dec.forward(Tensor::cat(vec![doubled(mid), enc], 1));
                self.head.forward(layers.name("dec", act(dec)))
            }
        }
    };
}
net!(Net2, 4, Conv2d, Conv2dConfig, [3; 2], [1; 2], PaddingConfig2d::Explicit(1, 1, 1, 1));
net!(Net3, 5, Conv3d, Conv3dConfig, [3; 3], [1; 3], PaddingConfig3d::Explicit(1, 1, 1));

/// Of two cells along each side the larger one, or their mean.
fn pooled<const D: usize>(x: Tensor<D>, mean: bool) -> Tensor<D> {
    (2..D).fold(x, |x, dim| {
        let mut shape = x.dims();
        let (outer, inner) = (shape[..dim].iter().product(), shape[dim + 1..].iter().product());
        shape[dim] /= 2;
        let pairs: Tensor<4> = x.reshape([outer, shape[dim], 2, inner]);
        if mean { pairs.mean_dim(2) } else { pairs.max_dim(2) }.reshape(shape)
    })
}

/// Every cell twice along each side.
fn doubled<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    (2..D).fold(x, |x, dim| {
        let mut shape = x.dims();
        let (outer, inner) = (shape[..dim].iter().product(), shape[dim + 1..].iter().product());
        let cells: Tensor<4> = x.reshape([outer, shape[dim], 1, inner]);
        shape[dim] *= 2;
        cells.repeat_dim(2, 2).reshape(shape)
    })
}

fn numbers(fixture: &Fixture, key: &str) -> Vec<usize> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight")) as usize;
    fixture.bytes(key).chunks(8).map(number).collect()
}

fn number(fixture: &Fixture, key: &str) -> f64 {
    f64::from_le_bytes(fixture.bytes(key).try_into().expect("one number"))
}

fn windows(fixture: &Fixture, case: &str) -> Windows {
    let size = numbers(fixture, &format!("{case}.window"));
    let windows = if case.starts_with("nnunet") {
        Windows::nnunet(size).with_overlap(1.0 - number(fixture, &format!("{case}.step")))
    } else {
        let windows = Windows::monai(size);
        let windows = windows.with_overlap(number(fixture, &format!("{case}.overlap")));
        let gaussian = fixture.bytes(&format!("{case}.gaussian"))[0] == 1;
        if gaussian { windows.gaussian() } else { windows }
    };
    windows.mirrored(numbers(fixture, &format!("{case}.axes")))
}

/// Every map of a case, with both engines.
fn check<const D: usize>(fixture: &Fixture, case: &str, nets: [Explainer<D>; 2]) {
    let of = |what: &str| format!("{case}.{what}");
    let windows = windows(fixture, case);
    let input = fixture.tensor::<D>(&of("input"));
    let class = numbers(fixture, &of("class"))[0];
    let starts: Vec<usize> =
        windows.starts(&input.dims()[2..]).expect("places").into_iter().flatten().collect();
    assert_eq!(starts, numbers(fixture, &of("starts")), "{case}");
    let mut worst = 0f32;
    for (engine, net) in ["graph", "tape"].into_iter().zip(nets) {
        let seen = windows.explainer(&net).expect("windows").observe(input.clone());
        let seen = seen.expect("a pass");
        assert_eq!(seen.engine().to_string(), engine);
        let wanted = host(&fixture.tensor::<D>(&of("logits")));
        let error = relative_error(&host(&seen.logits()), &wanted);
        assert!(error < 1e-5, "{case}: {error:e}");
        let mask = seen.prediction().predicted(class);
        assert_eq!(host(&mask), host(&fixture.tensor::<D>(&of("mask"))), "{case}");
        let target = seen.target(&PredictedClass, class).expect("pixels");
        let score = seen.score(&target).expect("a score")[0];
        let wanted = number(fixture, &of("score"));
        assert!((score - wanted).abs() < 1e-5 * wanted.abs().max(1.0), "{case}: {score} {wanted}");

        let alone = windows.clone().averaging_each();
        let alone = alone.explainer(&net).expect("windows").observe(input.clone());
        let alone = alone.expect("a pass");
        // Layers that do not fit together: gradients are averaged first.
        let tight = windows.clone().with_memory(1);
        let tight = tight.explainer(&net).expect("windows").observe(input.clone());
        let tight = tight.expect("a pass");
        for layer in ["enc", "mid", "dec"] {
            let mut compare = |seen: &Observation<D>, kind: &str, map: segcam::Explanation<D>| {
                assert_eq!(map.raw().dims()[2..], input.dims()[2..]);
                let wanted = host(&fixture.tensor::<D>(&format!("{case}.{kind}.{layer}")));
                let error = relative_error(&host(map.raw()), &wanted);
                assert!(error < 1e-4, "{case} {kind} {layer} {engine}: {error:e}");
                worst = worst.max(error);
                drop(seen.certify(&map));
            };
            let hires = seen.explain(&SegHiResGradCam::new(PredictedClass), layer, class);
            let hires = hires.expect("a map");
            let total = number(fixture, &format!("{case}.total.hires.{layer}"));
            let scale = host(hires.raw()).iter().map(|value| f64::from(value.abs())).sum::<f64>();
            assert!((hires.total()[0] - total).abs() < 1e-5 * scale, "{case} {layer}");
            compare(&seen, "hires", hires);
            let averaged = SegGradCam::new(PredictedClass);
            compare(&seen, "grad", seen.explain(&averaged, layer, class).expect("a map"));
            compare(&tight, "grad", tight.explain(&averaged, layer, class).expect("a map"));
            compare(&alone, "grad-each", alone.explain(&averaged, layer, class).expect("a map"));
        }
    }
    println!("{case}: {worst:.1e}");
}

#[test]
fn maps_agree_with_autograd_through_monai_and_nnunet() {
    let fixture = Fixture::open(&reference().join("windows.safetensors"));
    let names = fixture.names();
    let cases: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".input")).collect();
    assert!(cases.len() >= 11, "{cases:?}");
    for case in cases {
        if fixture.shape(&format!("{case}.input")).len() == 4 {
            let net = Net2::of(&fixture, case);
            let tape = Explainer::with_engine(TapeEngine::new::<4>(net.clone()));
            check(&fixture, case, [Explainer::new(net), tape]);
        } else {
            let net = Net3::of(&fixture, case);
            let tape = Explainer::with_engine(TapeEngine::new::<5>(net.clone()));
            check(&fixture, case, [Explainer::new(net), tape]);
        }
    }
}

#[test]
fn places_and_weights_are_those_of_monai_and_nnunet() {
    let fixture = Fixture::open(&reference().join("windows.safetensors"));
    let (mut places, mut weights) = (0, 0);
    for name in fixture.names() {
        if let Some(key) = name.strip_prefix("positions.").and_then(|n| n.strip_suffix(".starts")) {
            let of = |what: &str| format!("positions.{key}.{what}");
            let size = numbers(&fixture, &of("window"));
            let windows = match key.starts_with("monai") {
                true => Windows::monai(size).with_overlap(number(&fixture, &of("overlap"))),
                false => Windows::nnunet(size).with_overlap(1.0 - number(&fixture, &of("step"))),
            };
            let starts = windows.starts(&numbers(&fixture, &of("image"))).expect("places");
            assert_eq!(starts.concat(), numbers(&fixture, &name), "{name}");
            places += 1;
        }
        if let Some(key) = name.strip_prefix("gaussian.") {
            let size = fixture.shape(&name);
            let windows = match key.starts_with("monai") {
                true => Windows::monai(size).gaussian(),
                false => Windows::nnunet(size),
            };
            let bytes = fixture.bytes(&name);
            let wanted = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().expect("four")));
            for (given, wanted) in windows.weights().expect("weights").into_iter().zip(wanted) {
                assert!((given - wanted).abs() <= 1e-6 * wanted.max(1.0), "{given} {wanted}");
            }
            weights += 1;
        }
    }
    assert!(places >= 24 && weights >= 6, "{places} {weights}");
}

#[test]
fn an_affine_network_adds_up_to_its_score() {
    let fixture = Fixture::open(&reference().join("windows.safetensors"));
    let net = Explainer::new(Net2::of(&fixture, "affine"));
    let seen = windows(&fixture, "affine").explainer(&net).expect("windows");
    let seen = seen.observe(fixture.tensor("affine.input")).expect("a pass");
    let class = numbers(&fixture, "affine.class")[0];
    let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "enc", class).expect("a map");
    let left = map.score()[0] - number(&fixture, "affine.bias");
    assert!((map.total()[0] - left).abs() < 1e-4 * left.abs(), "{} {left}", map.total()[0]);
    // At full resolution nothing is upsampled, and the picture adds up, too.
    let sum: f64 = host(map.raw()).iter().map(|value| f64::from(*value)).sum();
    assert!((sum - left).abs() < 1e-4 * left.abs(), "{sum} {left}");
}

#[test]
fn certificates_hold_for_the_whole() {
    let fixture = Fixture::open(&reference().join("windows.safetensors"));
    for case in ["gaussian2", "mirrored", "smaller", "nnunet"] {
        let net = Explainer::new(Net2::of(&fixture, case));
        let seen = windows(&fixture, case).explainer(&net).expect("windows");
        let seen = seen.observe(fixture.tensor(&format!("{case}.input"))).expect("a pass");
        let class = numbers(&fixture, &format!("{case}.class"))[0];
        for layer in ["enc", "mid", "dec"] {
            let map = seen.explain(&SegHiResGradCam::new(PredictedClass), layer, class);
            let certificate = seen.certify(&map.expect("a map")).expect("a certificate");
            let error = certificate.completeness_error().expect("the graph engine");
            assert!(error < 1e-4, "{case} {layer}: {error:e}");
            let scale = certificate.exact.abs().max(1.0);
            assert!(certificate.lost().abs() < 1e-4 * scale, "{case} {layer}: {certificate:?}");
            assert_eq!(certificate.impossible, Some(0.0), "{case} {layer}");
        }
    }
}

#[test]
fn a_certificate_sees_each_window_once() {
    let model = seeded_net(7, |device| SmallNetConfig::new(3).init_2d(device));
    let (engine, counts) = Watched::new(GraphEngine::new(model));
    let net = Explainer::with_engine(engine);
    let seen = Windows::monai([8, 8]).explainer(&net).expect("windows");
    let seen = seen.observe(noise(8, [1, 2, 16, 12])).expect("a pass");
    let map = seen.explain(&HiResCam, "mid", 1).expect("a map");
    let before = counts.observations.load(Ordering::Relaxed);
    let certificate = seen.certify(&map).expect("a certificate");
    assert_eq!(certificate.impossible, Some(0.0));
    let windows = counts.observations.load(Ordering::Relaxed) - before;
    // With an overlap of a quarter: rows 0, 6 and 8; columns 0 and 4.
    assert_eq!(windows, 6);
}

/// The pixels of one corner can be influenced from the windows that hold them, and from nowhere else.
#[test]
fn windows_without_explained_pixels_add_nothing() {
    let net = Explainer::new(seeded_net(1, |device| SmallNetConfig::new(3).init_2d(device)));
    let windows = Windows::monai([8, 8]).with_overlap(0.5);
    let seen = windows.explainer(&net).expect("windows").observe(noise(2, [1, 2, 24, 24]));
    let seen = seen.expect("a pass");
    let mut corner = vec![0.0; 24 * 24];
    (corner[0], corner[25]) = (1.0, 1.0);
    let corner = Tensor::<1>::from_floats(&*corner, &Device::flex()).reshape([1, 1, 24, 24]);
    let pixels = move |_: &segcam::Prediction, _| corner.clone();
    let averaged = Seg::of(GradCam, pixels.clone());
    let map = seen.explain(&Seg::of(HiResCam, pixels), "enc", 1).expect("a map");
    let values = host(map.raw());
    let beyond = |at: usize| at / 24 >= 8 || at % 24 >= 8;
    assert!((0..24 * 24).filter(|&at| beyond(at)).all(|at| values[at] == 0.0));
    assert!(values.iter().any(|value| *value != 0.0));
    // Averaged gradients put it everywhere, and the certificate says how much.
    let map = seen.explain(&averaged, "enc", 1).expect("a map");
    let certificate = seen.certify(&map).expect("a certificate");
    assert!(certificate.impossible > Some(0.5), "{certificate:?}");
}

#[test]
fn one_window_is_the_plain_explainer() {
    let net = Explainer::new(seeded_net(3, |device| SmallNetConfig::new(3).init_3d(device)));
    let input = noise::<5>(4, [2, 2, 6, 8, 4]);
    let plain = net.observe(input.clone()).expect("a pass");
    for windows in [Windows::monai([6, 8, 4]), Windows::nnunet([6, 8, 4])] {
        let seen = windows.explainer(&net).expect("windows").observe(input.clone());
        let seen = seen.expect("a pass");
        for method in ["hires-cam", "grad-cam", "xgrad-cam", "layer-cam", "grad-cam++"] {
            let method = segcam::AnyMethod::<5>::parse(method).expect("a method");
            for layer in ["enc", "mid", "dec"] {
                let [whole, parts] = [&plain, &seen].map(|seen| {
                    let target = seen.target(&AllPixels, 1).expect("a target");
                    let request = Request::new(method.method(), layer, &target);
                    seen.answer(&request).expect("a map")
                });
                let whole = host(&upsample(whole.raw().clone(), &[6, 8, 4]));
                let parts = host(parts.raw());
                let error = relative_error(&parts, &whole);
                assert!(error < 1e-5, "{} {layer}: {error:e}", method.name());
            }
        }
    }
}

#[test]
fn many_requests_are_what_they_are_alone() {
    let net = Explainer::with_engine(GraphEngine::new(seeded_net(5, |device| {
        SmallNetConfig::new(3).init_2d(device)
    })));
    let windows = Windows::nnunet([8, 12]).mirrored([1]).with_memory(3 * 4 * 20 * 26);
    let seen = windows.explainer(&net).expect("windows").observe(noise(6, [1, 2, 20, 26]));
    let seen = seen.expect("a pass");
    let targets: Vec<_> =
        (0..3).map(|class| seen.target(&AllPixels, class).expect("a target")).collect();
    let methods: [&dyn segcam::CamMethod; 2] = [&HiResCam, &LayerCam];
    let mut requests = vec![];
    for target in &targets {
        for layer in ["enc", "mid"] {
            requests.extend(methods.map(|method| Request::new(method, layer, target)));
        }
    }
    let together: Vec<_> = seen.explain_all(requests.clone()).collect();
    assert_eq!(together.len(), 12);
    for (map, request) in together.into_iter().zip(&requests) {
        let alone = seen.answer(request).expect("a map");
        let error = relative_error(&host(map.expect("a map").raw()), &host(alone.raw()));
        assert!(error < 1e-6, "{request:?}: {error:e}");
    }
}

#[test]
fn what_windows_cannot_answer_says_what_would_work() {
    let net = Explainer::new(seeded_net(7, |device| SmallNetConfig::new(3).init_2d(device)));
    let image = || noise::<4>(8, [1, 2, 16, 16]);
    let windows = Windows::monai([8, 8]);
    let seen = windows.explainer(&net).expect("windows").observe(image()).expect("a pass");
    for result in
        [seen.explain(&EigenCam, "mid", 1), seen.explain(&Seg::of(ScoreCam, AllPixels), "mid", 1)]
    {
        let error = result.expect_err("no layer of the whole");
        assert!(matches!(error, CamError::InWindows { .. }), "{error}");
        assert!(error.to_string().contains("seg-hires-grad-cam"), "{error}");
    }
    let tight = Windows::monai([8, 8]).with_memory(1 << 10);
    let tight = tight.explainer(&net).expect("windows").observe(image()).expect("a pass");
    let error = tight.explain(&XGradCam, "enc", 1).expect_err("too little memory");
    assert!(error.to_string().contains("seg-grad-cam"), "{error}");
    assert!(tight.explain(&HiResCam, "enc", 1).is_ok());
    assert!(tight.explain(&GradCam, "enc", 1).is_ok());
    let error = seen.explain(&HiResCam, "midd", 1).expect_err("no such layer");
    assert!(error.to_string().contains("`mid`"), "{error}");
    // Windows that the network does not take: sides must be even.
    let odd = Windows::monai([7, 8]).explainer(&net).expect("windows").observe(image());
    assert!(odd.is_err());

    let size = |size: &[usize]| Windows::monai(size.to_vec());
    for (windows, wanted) in [
        (size(&[8, 8, 8]), WindowError::Sides { wanted: 2, given: 3 }),
        (size(&[8, 0]), WindowError::Empty { given: vec![8, 0] }),
        (size(&[usize::MAX, 2]), WindowError::Empty { given: vec![usize::MAX, 2] }),
        (size(&[8, 8]).with_overlap(1.0), WindowError::Overlap { given: 1.0 }),
        (size(&[8, 8]).with_overlap(-0.1), WindowError::Overlap { given: -0.1 }),
        (size(&[8, 8]).gaussian_of(0.0), WindowError::Sigma { given: 0.0 }),
        (size(&[8, 8]).mirrored([0, 2]), WindowError::Mirrored { wanted: 2, given: 2 }),
    ] {
        assert_eq!(windows.explainer(&net).err(), Some(wanted.clone()), "{wanted}");
    }
    assert!(size(&[8, 8]).with_overlap(f64::NAN).explainer(&net).is_err());
}

#[test]
fn perturbed_inputs_and_random_weights_go_through_the_windows() {
    let net = Explainer::new(seeded_net(9, |device| SmallNetConfig::new(3).init_2d(device)));
    let windows = Windows::monai([8, 8]).with_overlap(0.5).gaussian();
    let explainer = windows.explainer(&net).expect("windows");
    let image = noise::<4>(10, [1, 2, 20, 14]);
    let seen = explainer.observe(image.clone()).expect("a pass");
    let target = seen.target(&AllPixels, 1).expect("a target");
    let asked = seen.perturb(&target, "mid").expect("the network");
    let scores = asked.scores_with_input(1, |_| image.clone() * 0.5).expect("scores");
    let again = explainer.observe(image.clone() * 0.5).expect("a pass");
    assert_eq!(scores[0], again.score(&target).expect("a score"));

    let untrained = seen.with_random_weights(None, 0).expect("other weights");
    let logits = untrained.observe(image).expect("a pass").logits();
    assert!(relative_error(&host(&logits), &host(&seen.logits())) > 1e-2);
    let map = seen.explain(&HiResCam, "mid", 1).expect("a map");
    assert_eq!(map.status(), [MapStatus::Positive]);
}

/// Only the windows' own engine can make a map of them: a double of it hands the question on.
#[test]
fn windows_that_are_watched_make_the_same_maps() {
    let net = Explainer::new(seeded_net(7, |device| SmallNetConfig::new(3).init_2d(device)));
    let windows = Windows::monai([8, 8]).explainer(&net).expect("windows");
    let (engine, counts) = Watched::of(windows.engine().clone());
    let map = |explainer: &Explainer| {
        let seen = explainer.observe(noise(8, [1, 2, 16, 12])).expect("a pass");
        host(seen.explain(&HiResCam, "mid", 1).expect("a map").raw())
    };
    assert_eq!(map(&Explainer::with_engine(engine)), map(&windows));
    assert_eq!(counts.observations.load(Ordering::Relaxed), 1);
}
