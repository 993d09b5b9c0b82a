//! Pretrained networks against PyTorch and against ground truth.
//!
//! They need the folder of real data (`SEGCAM_DATA`); without it every test says that it is skipped.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use segcam::annotations::{FalseNegatives, GroundTruth};
use segcam::components::Each;
use segcam::models::{Network, Prepared, Pretrained};
use segcam::pixels::{Mask, Pixel};
use segcam::{
    AllPixels, CamError, Explainer, HiResCam, Normalize, OnPixels, PixelSet, PredictedClass,
    Request, SegGradCam, SegHiResGradCam, vocabulary,
};
use segcam_tests::{Fixture, host, real_data, relative_error};

/// How many neighbours of an input are tried.
const NUDGES: u32 = 24;

fn image_network(model: Pretrained, weights: &Path) -> Explainer {
    match model.load(Some(weights), &Device::flex()).expect("weights that fit") {
        Network::Image(explainer) => explainer,
        Network::Volume(_) => panic!("{model} labels images"),
    }
}

fn prepare(model: Pretrained, image: &Path) -> Prepared {
    let image = image::open(image).expect("an image");
    model.preprocess().apply(&image, &Device::flex()).expect("an image for the network")
}

fn assert_parity(given: &[f32], fixture: &Fixture, name: &str, model: Pretrained) {
    let wanted = host(&fixture.tensor::<4>(name));
    let error = relative_error(given, &wanted);
    println!("{model} {name}: {error:.1e}");
    assert!(error < 1e-4, "{model} {name}: {error:e}");
}

#[test]
fn retina_logits() {
    let Some(data) = real_data("retina_unet") else {
        return;
    };
    let model = Pretrained::RetinaUNet;
    let fixture = Fixture::open(&data.join("parity.safetensors"));
    let explainer = image_network(model, &data.join("unet_drive.safetensors"));
    let seen = explainer.observe(fixture.tensor("input")).expect("a pass");
    assert_parity(&host(&seen.logits()), &fixture, "logits", model);
}

#[test]
fn espnet_logits() {
    let Some(data) = real_data("street_espnet") else {
        return;
    };
    let model = Pretrained::EspNet;
    let fixture = Fixture::open(&data.join("parity.safetensors"));
    for weights in ["espnet_p_2_q_8.safetensors", "espnet_p_2_q_8.pth"] {
        let explainer = image_network(model, &data.join(weights));
        let seen = explainer.observe(fixture.tensor("input")).expect("a pass");
        assert_parity(&host(&seen.logits()), &fixture, "logits", model);
    }
}

#[test]
fn meshnet_logits() {
    let Some(data) = real_data("brain_meshnet") else {
        return;
    };
    let weights = data.join("meshnet5_gwm.safetensors");
    let network = Pretrained::MeshNet.load(Some(&weights), &Device::flex());
    let Network::Volume(explainer) = network.expect("weights that fit") else { panic!() };
    let fixture = Fixture::open(&data.join("parity.safetensors"));
    let seen = explainer.observe(fixture.tensor("input")).expect("a pass");
    let error = relative_error(&host(&seen.logits()), &host(&fixture.tensor::<5>("logits")));
    println!("meshnet logits: {error:.1e}");
    assert!(error < 1e-4, "{error:e}");
}

/// The input with every value moved by at most one unit in its last place.
fn nudged(input: &Tensor<4>, seed: u32) -> Tensor<4> {
    let values = host(input).into_iter().enumerate().map(|(i, value)| {
        let hash = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed * 40_503) >> 7;
        value * (1.0 + ((hash % 3) as f32 - 1.0) * f32::EPSILON)
    });
    let data = TensorData::new(values.collect::<Vec<f32>>(), input.dims());
    Tensor::from_data(data, &Device::flex())
}

/// A gradient jumps where a ReLU's input passes zero or two cells of a pooling window are equal, and
/// on this input some are, to the last digit: PyTorch itself in float64 is 1.4e-3 away from the
/// fixture, and up to 7.5e-3 when the input is nudged by a rounding error. So a map must be the
/// fixture's within 1e-4 on this input or on one that rounding cannot tell from it.
#[test]
fn retina_maps_of_captum_and_pytorch_grad_cam() {
    let Some(data) = real_data("retina_unet") else {
        return;
    };
    let explainer = image_network(Pretrained::RetinaUNet, &data.join("unet_drive.safetensors"));
    let golden = Fixture::open(&data.join("golden.safetensors"));
    let input = golden.tensor("input");
    let observe = |input| explainer.observe(input).expect("a pass");
    let mut seen = vec![observe(input.clone())];
    let at = host(&golden.tensor::<1>("pixel_yx"));
    let pixel = Pixel::new([at[0] as usize, at[1] as usize]);
    let predicted = host(&golden.tensor::<3>("predicted_mask"));
    let given = PredictedClass.weights(seen[0].prediction(), 1).expect("weights");
    assert_eq!(host(&given), predicted);
    let predicted = golden.tensor::<3>("predicted_mask").unsqueeze_dim(1);

    let (mut at_once, mut worst_at_once, mut worst_nudged, mut worst_final) = (0, 0f32, 0f32, 0f32);
    for layer in ["enc1", "mid", "dec2", "dec1"] {
        for set in ["predicted", "all", "pixel"] {
            let pixels = || -> Box<dyn PixelSet> {
                match set {
                    "predicted" => Box::new(Mask::new(predicted.clone())),
                    "all" => Box::new(AllPixels),
                    _ => Box::new(pixel.clone()),
                }
            };
            let methods: [(&str, Box<dyn OnPixels>); 2] = [
                ("seg_grad_cam", Box::new(SegGradCam::new(pixels()))),
                ("seg_hires_grad_cam", Box::new(SegHiResGradCam::new(pixels()))),
            ];
            for (name, method) in methods {
                let key = format!("{set}.{layer}.{name}");
                let wanted = |kind: &str| host(&golden.tensor::<4>(&format!("{kind}.{key}")));
                let raw = wanted("raw");
                let mut first = None;
                let (map, error) = (0..NUDGES as usize)
                    .find_map(|nudge| {
                        if nudge == seen.len() {
                            seen.push(observe(nudged(&input, nudge as u32)));
                        }
                        let map = seen[nudge].explain(&*method, layer, 1).expect("a map");
                        let error = relative_error(&host(map.raw()), &raw);
                        first.get_or_insert(error);
                        (error < 1e-4).then_some((map, error))
                    })
                    .unwrap_or_else(|| panic!("{key}: {first:?}, and no nudge brings it closer"));
                let first = first.expect("at least one");
                assert!(first < 2e-2, "{key}: {first:e}");
                if first == error {
                    at_once += 1;
                    worst_at_once = worst_at_once.max(error);
                } else {
                    println!("{key}: {first:.1e} at once, {error:.1e} nudged");
                    worst_nudged = worst_nudged.max(error);
                }
                let shown = host(&map.heat_map(Normalize::MinMax));
                let shown = relative_error(&shown, &wanted("final"));
                assert!(shown < 1e-3, "{key}: {shown:e}");
                worst_final = worst_final.max(shown);
            }
        }
    }
    println!(
        "{at_once} of 24 raw maps at once: {worst_at_once:.1e}; the others {worst_nudged:.1e}"
    );
    println!("final maps: {worst_final:.1e}");
    assert!(at_once >= 18);
}

#[test]
fn retina_preprocessing_and_dice() {
    let Some(data) = real_data("retina_unet") else {
        return;
    };
    let model = Pretrained::RetinaUNet;
    let explainer = image_network(model, &data.join("unet_drive.safetensors"));
    for number in ["01", "02"] {
        let file = |folder: &str| data.join(folder).join(format!("{number}.png"));
        let input = prepare(model, &file("images")).input;
        let theirs = host(&prepare(model, &file("prep")).input);
        let differing = host(&input).iter().zip(&theirs).filter(|(a, b)| a != b).count();
        println!("retina {number}: {differing} of {} prepared pixels differ", theirs.len());
        let largest =
            host(&input).iter().zip(&theirs).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp);
        assert!(largest.is_some_and(|largest| largest < 2.5 / 255.0), "{largest:?}");

        let seen = explainer.observe(input).expect("a pass");
        let probability = seen.prediction().probability(1);
        let vessel = |folder| image::open(file(folder)).expect("an image").to_luma8();
        let (manual, inside) = (vessel("manual"), vessel("fov"));
        let (width, height) = manual.dimensions();
        let rows = probability.dims()[3];
        let probability = host(&probability);
        let (mut both, mut sizes) = (0, 0);
        for y in 0..height {
            for x in (0..width).filter(|&x| inside.get_pixel(x, y).0[0] > 127) {
                let wanted = manual.get_pixel(x, y).0[0] > 127;
                let given = probability[y as usize * rows + x as usize] > 0.5;
                both += u32::from(wanted && given);
                sizes += u32::from(wanted) + u32::from(given);
            }
        }
        let dice = 2.0 * f64::from(both) / f64::from(sizes);
        println!("retina {number}: Dice {dice:.4}");
        assert!(dice >= 0.82, "{dice}");
    }
}

#[test]
fn espnet_pixel_accuracy() {
    let Some(data) = real_data("street_espnet") else {
        return;
    };
    let model = Pretrained::EspNet;
    let explainer = image_network(model, &data.join("espnet_p_2_q_8.pth"));
    let frame = "frankfurt_000001_058914";
    let prepared = prepare(model, &data.join(format!("images/{frame}_leftImg8bit.png")));
    let labels: Tensor<4> =
        explainer.observe(prepared.input).expect("a pass").prediction().labels().float();
    let labels = host(&labels);
    let truth = image::open(data.join(format!("labels/{frame}_trainIds.png")));
    let truth = truth.expect("an image").to_luma8();
    let (mut right, mut all) = (0u32, 0u32);
    for (x, y, pixel) in truth.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] < 19) {
        let at = |at: u32, side: u32, sides: u32| (at * sides / side) as usize;
        let (y, x) = (at(y, truth.height(), 512), at(x, truth.width(), 1024));
        right += u32::from(labels[y * 1024 + x] == f32::from(pixel.0[0]));
        all += 1;
    }
    let accuracy = f64::from(right) / f64::from(all);
    println!("espnet: pixel accuracy {accuracy:.4}");
    assert!(accuracy >= 0.93, "{accuracy}");
}

#[test]
fn weights_of_another_network() {
    let Some(data) = real_data("street_espnet") else {
        return;
    };
    let error = Pretrained::RetinaUNet
        .load(Some(&data.join("espnet_p_2_q_8.safetensors")), &Device::flex())
        .expect_err("should not fit")
        .to_string();
    assert!(error.contains("22 missing: enc1_a.weight"), "{error}");
    assert!(error.contains("unexpected: br.bias"), "{error}");
}

/// One nucleus each in one planned call; they share every activation of the class map.
#[test]
fn maps_of_single_nuclei_add_up_to_the_map_of_all() {
    let Some(data) = real_data("nuclei_dsb2018") else {
        return;
    };
    let explainer = match Pretrained::NucleiUNet.load(None, &Device::flex()).expect("embedded") {
        Network::Image(explainer) => explainer,
        Network::Volume(_) => panic!("nuclei-unet labels images"),
    };
    let mut images: Vec<_> = std::fs::read_dir(data.join("images")).expect("a folder").collect();
    images.sort_by_key(|entry| entry.as_ref().map(|entry| entry.file_name()).ok());
    let image = images[0].as_ref().expect("an image").path();
    let seen = explainer.observe(prepare(Pretrained::NucleiUNet, &image).input).expect("a pass");
    let parts = seen.targets(&Each::new(), 1).expect("one image");
    assert!(parts.len() > 10, "{} nuclei", parts.len());
    for layer in ["mid", "dec1"] {
        let requests = parts.iter().map(|part| Request::new(&HiResCam, layer, part));
        let maps: Vec<_> =
            seen.explain_all(requests).collect::<Result<_, _>>().expect("a map for each");
        assert_eq!(maps.len(), parts.len());
        let all = seen.explain(&SegHiResGradCam::new(PredictedClass), layer, 1).expect("a map");
        let sum = maps.iter().map(|map| map.raw().clone()).reduce(|a, b| a + b).expect("some");
        let error = relative_error(&host(&sum), &host(all.raw()));
        println!("{} nuclei at {layer}: {error:.1e}", maps.len());
        assert!(error < 1e-4, "{layer}: {error:e}");
    }
}

#[test]
fn retina_certificates() {
    let Some(data) = real_data("retina_unet") else {
        return;
    };
    let model = Pretrained::RetinaUNet;
    let explainer = image_network(model, &data.join("unet_drive.safetensors"));
    let input = prepare(model, &data.join("images/01.png")).input;
    let seen = explainer.observe(input).expect("a pass");
    for layer in ["mid", "dec2", "dec1"] {
        let hires = seen.explain(&SegHiResGradCam::new(PredictedClass), layer, 1).expect("a map");
        let grad = seen.explain(&SegGradCam::new(PredictedClass), layer, 1).expect("a map");
        let hires = seen.certify(&hires).expect("a certificate");
        let grad = seen.certify(&grad).expect("a certificate");
        let error = hires.completeness_error().expect("the graph engine");
        let relative = (hires.score - hires.shares.as_ref().expect("shares").total()).abs()
            / hires.score.abs();
        println!(
            "retina {layer}: score {:.4e} = layer {:.4e} + past it {:.4e} + biases {:.4e}; error \
             {error:.1e}, relative to the score {relative:.1e}; Seg-Grad-CAM adds up to {:.4e}, \
             {:.1} % of it where influence is impossible",
            hires.score,
            hires.exact,
            hires.shares.as_ref().expect("shares").bypasses.iter().map(|(_, s)| s).sum::<f64>(),
            hires.shares.as_ref().expect("shares").bias,
            grad.map,
            100.0 * grad.impossible.expect("the graph engine"),
        );
        assert!(error < 1e-4 && relative < 1e-4, "{layer}: {error:e}, {relative:e}");
        assert!(hires.lost().abs() < 1e-4 * hires.exact.abs().max(hires.score.abs()));
        assert_eq!(hires.impossible, Some(0.0));
    }
}

#[test]
fn missed_and_invented_persons_of_a_street() {
    let Some(data) = real_data("street_espnet") else {
        return;
    };
    let model = Pretrained::EspNet;
    let explainer = image_network(model, &data.join("espnet_p_2_q_8.pth"));
    let frame = "frankfurt_000001_058914";
    let prepared = prepare(model, &data.join(format!("images/{frame}_leftImg8bit.png")));
    let seen = explainer.observe(prepared.input).expect("a pass");
    let view = seen.prediction();
    const PERSON: usize = 11;

    let truth = GroundTruth::from_image(data.join(format!("labels/{frame}_trainIds.png")));
    let truth = truth.expect("a label image").ignore(255);
    let as_it_is = FalseNegatives::new(&truth).weights(view, PERSON);
    assert!(matches!(as_it_is, Err(CamError::ShapeMismatch { .. })));
    let truth = truth.resized(view.size()).expect("two sides");

    let vocabulary = vocabulary::<4>(Some(&truth), None);
    let count = |text: &str| {
        let weights = vocabulary.parse(text).expect(text).weights(view, PERSON).expect(text);
        weights.sum().into_scalar::<f32>()
    };
    let [tp, fp, missed, tn] = ["tp", "fp", "fn", "tn"].map(count);
    println!("person: {tp} hits, {fp} invented, {missed} missed");
    assert!(tp > 0.0 && fp > 0.0 && missed > 0.0);
    assert_eq!(tp + missed, count("truth"));
    assert_eq!(tp + fp, count("class") - count("class - tp - fp"));
    assert!(tp + fp + missed + tn < 1024.0 * 512.0, "ignored pixels are in none");
    for text in ["fp", "fn", "fn & dilate(class,5)"] {
        let set = vocabulary.parse(text).expect(text);
        let map = seen.explain(&SegHiResGradCam::new(set), &seen.layers()[0].name, PERSON);
        assert_eq!(map.expect(text).target().sizes()[0] as f32, count(text));
    }
}
