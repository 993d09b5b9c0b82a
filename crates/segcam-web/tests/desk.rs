//! The desk answers what the library answers, and says no in words.

use std::io::Cursor;

use burn::tensor::Device;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use segcam::onnx::OnnxFile;
use segcam::{Explainer, PredictedClass, SegHiResGradCam};
use segcam_core::upsample;
use segcam_models::Card;
use segcam_web::{Desk, WebError};
use serde_json::{Value, json};

const CARD: &str =
    "classes = [\"nothing\", \"one\", \"two\", \"three\", \"four\"]\n[input]\nmean = [0.3]";

fn network(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/onnx/");
    std::fs::read(format!("{folder}{name}.onnx")).expect("a fixture")
}

fn picture() -> DynamicImage {
    let color = |x: u32, y: u32| Rgb([(3 * x) as u8, (5 * y) as u8, (x * y) as u8]);
    RgbImage::from_fn(48, 40, color).into()
}

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    image.write_to(&mut bytes, ImageFormat::Png).expect("written");
    bytes.into_inner()
}

fn desk() -> Desk {
    Desk::new("tiny.onnx".into(), network("tiny-dynamic"), Some(CARD)).expect("a network")
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn question(image: &str, pixels: &str, layer: &str) -> String {
    let methods = ["seg-hires-grad-cam", "grad-cam"];
    json!({ "image": image, "class": null, "pixels": pixels, "layers": [layer], "methods": methods })
        .to_string()
}

fn layer(look: &Value) -> String {
    let layers = look["layers"].as_array().expect("layers");
    let auto = layers.iter().find(|layer| layer["auto"] == true).expect("a first layer");
    auto["name"].as_str().expect("a name").to_string()
}

#[test]
fn a_map_is_the_librarys() {
    let mut desk = desk();
    let look = parsed(&desk.look("i1".into(), "a.png", &png(&picture())).expect("looked at"));
    assert_eq!((&look["picture"], &look["maps"]), (&json!([40, 48]), &json!([40, 48])));
    let layer = layer(&look);
    let answer = parsed(&desk.ask(&question("i1", "class", &layer)).expect("an answer"));
    let class = answer["class"].as_u64().expect("a class") as usize;
    assert_eq!(answer["class_name"], look["classes"][class]["name"]);
    assert_eq!(answer["pixels"], look["classes"][class]["pixels"]);

    let device = Device::flex();
    let model = OnnxFile::from_bytes(network("tiny-dynamic")).expect("a file");
    let model = model.load::<4>(&device).expect("a network");
    let card: Card = CARD.parse().expect("a card");
    let input = card.input.apply(&picture(), &device).expect("an input").input;
    let seen = Explainer::new(model).observe(input).expect("seen");
    let map = seen.explain(&SegHiResGradCam::new(PredictedClass), &layer, class).expect("a map");
    let right: Vec<f32> = upsample(map.signal(), &[40, 48]).into_data().iter().collect();
    assert_eq!(desk.map("q1", 0).expect("a map"), right);
    // serde_json reads to the last place but one.
    let (told, score) = (answer["maps"][0]["report"]["score"][0].as_f64(), map.score()[0]);
    assert!(told.is_some_and(|told| (told - score).abs() <= f64::EPSILON * score.abs()));

    let labels = desk.labels("i1").expect("labels");
    let pixels = desk.pixels("q1").expect("pixels");
    for (label, pixel) in labels.iter().zip(pixels) {
        assert_eq!(*label as usize == class, pixel == 1);
    }
    let exact = parsed(&desk.certify("q1").expect("certificates"));
    let certificate = seen.certify(&map).expect("a certificate");
    let share = exact["maps"][0]["share"].as_f64().expect("a share");
    assert!((share - certificate.exact / certificate.score).abs() < 1e-6);
    assert_eq!(desk.picture("i1").expect("a picture")[..4], [0, 0, 0, 255]);
}

/// The studio's page is this one's, too, and reads what the studio's API promises.
#[test]
fn everything_is_said_that_the_studio_says() {
    let api = parsed(include_str!("../../segcam-cli/src/studio/page/openapi.json"));
    let mut desk = desk();
    let look = parsed(&desk.look("i1".into(), "a.png", &png(&picture())).expect("looked at"));
    let answer = desk.ask(&question("i1", "class", &layer(&look))).expect("an answer");
    let about = desk.about();
    for (name, said) in [("Studio", parsed(&about)), ("Look", look), ("Answer", parsed(&answer))] {
        let promised = &api["components"]["schemas"][name]["properties"];
        for field in promised.as_object().expect("a schema").keys() {
            // What a server has, and what only scripts read.
            if field != "limits" && field != "class_chosen" {
                assert!(said.get(field).is_some(), "{name} has no {field:?}: {said}");
            }
        }
    }
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut desk = desk();
    let gone = desk.ask(&question("i1", "class", "any"));
    assert!(matches!(gone, Err(WebError::Forgotten)));
    let look = parsed(&desk.look("i1".into(), "a.png", &png(&picture())).expect("looked at"));
    desk.ask(&question("i1", "class", &layer(&look))).expect("an answer");
    desk.look("i2".into(), "b.png", &png(&picture())).expect("looked at");
    assert!(matches!(desk.map("q1", 0), Err(WebError::Forgotten)));
    assert!(matches!(desk.picture("i1"), Err(WebError::Forgotten)));
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let mut desk = desk();
    let image = desk.look("i1".into(), "a.txt", b"no image").expect_err("no image");
    assert!(image.to_string().contains("PNG"), "{image}");
    let look = parsed(&desk.look("i1".into(), "a.png", &png(&picture())).expect("looked at"));
    let layer = layer(&look);
    let set = desk.ask(&question("i1", "class & nonsense", &layer)).expect_err("no set");
    assert_eq!(parsed(&set.to_json())["column"], 9);
    let parts = desk.ask(&question("i1", "each", &layer));
    assert!(matches!(parts, Err(WebError::Parts { .. })), "{parts:?}");
    let unknown = parsed(&desk.ask(&question("i1", "class", "nowhere")).expect("an answer"));
    assert!(unknown["maps"][0]["error"].as_str().is_some_and(|text| text.contains("nowhere")));
    assert!(matches!(desk.ask("{}"), Err(WebError::Question(_))));
}

#[test]
fn networks_that_need_the_program_are_refused() {
    let volume = Desk::new("v.onnx".into(), network("tiny-vnet"), None);
    assert!(matches!(volume, Err(WebError::NotHere(_))), "{volume:?}");
    let windows = "[windows]\nsize = [32, 32]";
    let windows = Desk::new("w.onnx".into(), network("tiny-dynamic"), Some(windows));
    assert!(matches!(windows, Err(WebError::NotHere(_))), "{windows:?}");
    let card = Desk::new("c.onnx".into(), network("tiny-dynamic"), Some("colour = 3"));
    assert!(matches!(card, Err(WebError::Card(_))), "{card:?}");
}
