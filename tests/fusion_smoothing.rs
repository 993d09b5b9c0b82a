//! Several maps made one: fused heat maps, and maps averaged over changed inputs.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};
use segcam::burn;
use segcam::core::upsample;
use segcam::pixels::{Mask, Pixel};
use segcam::{
    AllPixels, CamError, Explainer, Fusion, FusionError, HiResCam, LayerCam, Layers, Normalize,
    OnPixels, PredictedClass, Seg, SegHiResGradCam, SegmentationModel, Smoothing,
};
use segcam_tests::{SmallNetConfig, host, noise, relative_error, seeded_net, smoothed};

const CLASS: usize = 1;

fn network() -> Explainer {
    Explainer::new(seeded_net(1, |device| SmallNetConfig::new(3).init_2d(device)))
}

#[test]
fn heat_maps_are_fused_pixel_by_pixel() {
    let seen = network().observe(noise(2, [2, 2, 8, 12])).expect("a pass");
    let map = |layer| seen.explain(&HiResCam, layer, CLASS).expect("a map");
    let maps = [map("enc"), map("mid"), map("dec")];
    let heat: Vec<Vec<f32>> = maps.iter().map(|map| host(&map.heat_map(Normalize::Max))).collect();
    let naive = |by: fn(&[f32]) -> f32| -> Vec<f32> {
        (0..heat[0].len()).map(|i| by(&[heat[0][i], heat[1][i], heat[2][i]])).collect()
    };
    let rules: [(Fusion, Vec<f32>); 3] = [
        (Fusion::Mean, naive(|v| v.iter().sum::<f32>() / 3.0)),
        (Fusion::Max, naive(|v| v.iter().copied().fold(0.0, f32::max))),
        (Fusion::Product, naive(|v| v.iter().product())),
    ];
    for (fusion, wanted) in rules {
        let fused = fusion.fuse(&maps).expect("a fused map");
        assert_eq!(fused.heat_map().dims(), [2, 1, 8, 12]);
        assert!(relative_error(&host(fused.heat_map()), &wanted) < 1e-6, "{fusion}");
        assert_eq!(fused.maps().len(), 3);
        assert_eq!(fused.fusion(), fusion);
        let text = "hires-cam at enc, hires-cam at mid, hires-cam at dec";
        assert_eq!(fused.to_string(), format!("{fusion} of {text}"));
    }
    let one = Fusion::Mean.fuse([&maps[1]]).expect("a fused map");
    assert_eq!(host(one.heat_map()), heat[1]);
}

#[test]
fn nothing_and_different_inputs_are_not_fused() {
    let nothing: [&segcam::Explanation; 0] = [];
    assert_eq!(Fusion::Mean.fuse(nothing).expect_err("no maps"), FusionError::Empty);
    let map = |shape| {
        let seen = network().observe(noise(3, shape)).expect("a pass");
        seen.explain(&LayerCam, "mid", 0).expect("a map")
    };
    let error = Fusion::Max.fuse([&map([1, 2, 8, 8]), &map([1, 2, 8, 10])]).expect_err("shapes");
    let (wanted, given) = (vec![1, 2, 8, 8], vec![1, 2, 8, 10]);
    assert_eq!(error, FusionError::DifferentInputs { wanted, given });
}

fn smooth(by: &Smoothing, method: &dyn OnPixels, input: Tensor<4>) -> segcam::Explanation {
    smoothed(by, &network(), input, method, "mid", CLASS).expect("a map")
}

#[test]
fn changes_that_change_nothing_give_the_clean_map() {
    let input = noise(4, [2, 2, 8, 12]);
    let method = Seg::of(LayerCam, Pixel::new([3, 4]));
    let seen = network().observe(input.clone()).expect("a pass");
    let clean = seen.explain(&method, "mid", CLASS).expect("a map");
    let nothing = [
        (Smoothing::noise(3, 0.0, 1), "noise:3,0"),
        (Smoothing::noise(0, 0.5, 1), "noise:0,0.5"),
        (Smoothing::scales([1.0, 1.01]), "scales:1,1.01"),
        (Smoothing::flips_along([2, 2]), "flips:2"),
    ];
    for (by, name) in nothing {
        let map = smooth(&by, &method, input.clone());
        assert!(relative_error(&host(map.raw()), &host(clean.raw())) < 1e-5, "{name}");
        assert_eq!(map.method(), format!("seg-layer-cam+{name}"));
        assert_eq!(map.score(), clean.score());
        assert_eq!(map.target().sizes(), clean.target().sizes());
        assert_eq!((map.layer(), map.class(), map.input_shape()), ("mid", CLASS, input.dims()));
    }
}

#[test]
fn flips_are_undone_with_their_pixels() {
    let input = noise(5, [1, 2, 8, 12]);
    let mask = noise::<4>(6, [1, 1, 8, 12]).greater_elem(0.5).float();
    let sides: [&[usize]; 4] = [&[], &[2], &[3], &[2, 3]];
    let flip = |tensor: &Tensor<4>, sides: &[usize]| {
        sides.iter().fold(tensor.clone(), |tensor, &side| tensor.flip([side]))
    };
    let each = sides.map(|sides| {
        let seen = network().observe(flip(&input, sides)).expect("a pass");
        let method = SegHiResGradCam::new(Mask::new(flip(&mask, sides)));
        flip(seen.explain(&method, "mid", CLASS).expect("a map").raw(), sides)
    });
    let method = SegHiResGradCam::new(Mask::new(mask));
    let [none, up_down, mirrored, both] = each;
    let map = smooth(&Smoothing::flips_along([1]), &method, input.clone());
    let wanted = host(&((none.clone() + mirrored.clone()) / 2.0));
    assert!(relative_error(&host(map.raw()), &wanted) < 1e-5);
    let map = smooth(&Smoothing::flips(), &method, input);
    assert_eq!(map.method(), "seg-hires-grad-cam+flips");
    let wanted = host(&((none + up_down + mirrored + both) / 4.0));
    assert!(relative_error(&host(map.raw()), &wanted) < 1e-5);
}

#[test]
fn flips_have_eight_versions_of_a_volume() {
    let net = seeded_net(7, |device| SmallNetConfig::new(3).init_3d(device));
    let explainer = Explainer::new(net);
    let input = noise(8, [1, 2, 4, 6, 8]);
    let explain = |input: Tensor<5>| {
        let by = Smoothing::flips();
        smoothed(&by, &explainer, input, &HiResCam, "mid", CLASS).expect("a map")
    };
    // The average over a group does not care which of its members comes first.
    let map = explain(input.clone()).raw().clone();
    let other = explain(input.flip([2, 4])).raw().clone().flip([2, 4]);
    assert!(relative_error(&host(&map), &host(&other)) < 1e-5);
}

/// Two classes: a weighted sum of the channels, and another. Takes sides that are multiples of 4.
#[derive(Module, Debug)]
struct Sum {
    conv: Conv2d,
}

impl Sum {
    fn explainer() -> Explainer {
        let config = Conv2dConfig::new([2, 2], [1, 1]);
        Explainer::new(seeded_net(9, |device| Self { conv: config.init(device) }))
    }
}

impl SegmentationModel for Sum {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        layers.name("logits", self.conv.forward(image))
    }

    fn check_input(&self, shape: [usize; 4]) -> Result<(), CamError> {
        let given = shape[2..].to_vec();
        match given.iter().all(|side| side % 4 == 0) {
            true => Ok(()),
            false => Err(CamError::NotAMultiple { multiple: 4, given }),
        }
    }
}

#[test]
fn scales_are_resized_back_and_rounded_to_what_the_network_takes() {
    let (explainer, input) = (Sum::explainer(), noise::<4>(10, [1, 2, 12, 20]));
    // 0.8: 9.6×16 becomes 10×16, refused, and then 8×16.
    let by = Smoothing::scales([0.8, 1.0]);
    let map = smoothed(&by, &explainer, input.clone(), &HiResCam, "logits", 0).expect("a map");
    let raw = |input: Tensor<4>| {
        let seen = explainer.observe(input).expect("a pass");
        seen.explain(&HiResCam, "logits", 0).expect("a map").raw().clone()
    };
    let small = upsample(raw(upsample(input.clone(), &[8, 16])), &[12, 20]);
    let wanted = host(&((small + raw(input.clone())) / 2.0));
    assert!(relative_error(&host(map.raw()), &wanted) < 1e-5);

    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let by = Smoothing::scales([scale]);
        let error = smoothed(&by, &explainer, input.clone(), &HiResCam, "logits", 0);
        assert!(matches!(error, Err(CamError::EmptyInput { .. })), "{scale}");
    }
}

#[test]
fn pixels_are_those_of_the_clean_input() {
    // With so much noise other pixels are predicted; where the map is not zero tells which count.
    let (explainer, input) = (Sum::explainer(), noise::<4>(11, [1, 2, 16, 16]));
    let method = SegHiResGradCam::new(PredictedClass);
    let seen = explainer.observe(input.clone()).expect("a pass");
    let predicted = host(&seen.prediction().predicted(0));
    let by = Smoothing::noise(4, 2.0, 5);
    let map = smoothed(&by, &explainer, input, &method, "logits", 0).expect("a map");
    for (value, predicted) in host(map.raw()).iter().zip(predicted) {
        assert_eq!(*value != 0.0, predicted == 1.0);
    }
}

#[test]
fn noise_is_as_strong_as_asked_for_and_the_seed_decides() {
    // The map of the logits is the logits: its noise is the input's through the weights.
    let explainer = Sum::explainer();
    let input = Tensor::cat(vec![noise(12, [1, 2, 64, 64]), noise(13, [1, 2, 64, 64]) * 10.0], 0);
    let method = Seg::of(HiResCam, AllPixels);
    let explain = |by: Smoothing| {
        let map = smoothed(&by, &explainer, input.clone(), &method, "logits", 0);
        map.expect("a map").raw().clone()
    };
    let clean = explain(Smoothing::noise(0, 0.0, 0));
    let noisy = |samples, seed| explain(Smoothing::noise(samples, 0.1, seed)) - clean.clone();
    assert_eq!(host(&noisy(2, 1)), host(&noisy(2, 1)));
    assert_ne!(host(&noisy(2, 1)), host(&noisy(2, 2)));

    // What noise does to a pixel that is 1 in one channel: the weights, squared and added.
    let unit = |channel: usize| {
        let mut values = [0.0; 2];
        values[channel] = 1.0;
        let ones = Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 2, 1, 1]);
        let ones: Tensor<4> = ones.expand([1, 2, 4, 4]);
        let at = |input| host(&explainer.observe(input).expect("a pass").logits())[0];
        f64::from(at(ones.clone()) - at(ones.zeros_like()))
    };
    let gain = (unit(0).powi(2) + unit(1).powi(2)).sqrt();
    for samples in [1, 4] {
        let noise = noisy(samples, 3);
        for image in 0..2 {
            let input = host(&input.clone().narrow(0, image, 1));
            let low = input.iter().copied().fold(f32::INFINITY, f32::min);
            let high = input.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let wanted = 0.1 * f64::from(high - low) * gain / f64::from(samples as u8).sqrt();
            let values = host(&noise.clone().narrow(0, image, 1));
            let square: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            let given = (square / values.len() as f64).sqrt();
            assert!((given / wanted - 1.0).abs() < 0.05, "{given} against {wanted}");
        }
    }
}
