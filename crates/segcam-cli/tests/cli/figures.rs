//! What figures of `segcam explain` show, and what their files say.

use std::fs;

use image::Rgb;
use serde_json::Value;

use crate::{folder_with_image, json, pictures_of, png_texts, works};

#[test]
fn figures_for_print_know_their_size_and_what_they_show() {
    let folder = folder_with_image();
    works(folder.path(), "explain --input spots.png --figure-width 85mm --svg --pdf --out out");
    let out = folder.path().join("out");
    let svg = fs::read_to_string(out.join("compare.svg")).expect("a text");
    assert!(svg.contains("width=\"85mm\"") && svg.contains("Seg-Grad-CAM at mid"), "{}", svg.len());
    let pdf = fs::read(out.join("compare.pdf")).expect("a file");
    assert!(pdf.starts_with(b"%PDF-"));
    let file = fs::File::open(out.join("compare.png")).expect("a picture");
    let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
    let info = reader.info();
    let dots = info.pixel_dims.expect("dots per metre").xppu;
    assert!((f64::from(info.width) / f64::from(dots) - 0.085).abs() < 1e-5);
    let texts = png_texts(&out.join("compare.png"));
    let says = |words: &str| texts.iter().any(|text| text.contains(words));
    assert!(says("Title: spots.png: class 1") && says("Source: spots.png"), "{texts:?}");
    assert!(says("Software: segcam") && says("Comment:"), "{texts:?}");
    // Nobody typed it.
    assert!(says("Model: nuclei-unet"), "{texts:?}");
    let report = json(&out.join("report.json"));
    assert!(report["maps"][0]["files"].to_string().contains("seg-grad-cam.mid.svg"));
    assert!(report["files"].to_string().contains("compare.svg"));
    assert!(report["files"].to_string().contains("compare.pdf"));
}

/// Evidence against the class is drawn, and `--normalize` and `--positive` leave it out.
#[test]
fn pictures_show_what_was_asked_for() {
    let folder = folder_with_image();
    let report = |options: &str| -> Value {
        let arguments = format!("explain --input spots.png --layer mid --json {options}");
        serde_json::from_str(&works(folder.path(), &arguments)).expect("JSON")
    };
    let of = |report: Value| {
        ["show", "normalize", "colormap"]
            .map(|key| report[key].as_str().expect("a word").to_string())
    };
    assert_eq!(of(report("")), ["signed", "max-abs", "blue-orange"]);
    assert_eq!(of(report("--signed")), ["signed", "max-abs", "blue-orange"]);
    assert_eq!(of(report("--positive")), ["positive", "max-abs", "inferno"]);
    assert_eq!(of(report("--normalize max")), ["positive", "max", "inferno"]);
    assert_eq!(of(report("--colormap viridis")), ["positive", "max-abs", "viridis"]);

    // In the map itself: bar and legend lie beside it.
    let blue = |options: &str| {
        // Most of it speaks against the background.
        report(&format!("{options} --class 0 --svg"));
        let svg = fs::read_to_string(folder.path().join("segcam-out/seg-hires-grad-cam.mid.svg"));
        let pictures = pictures_of(&svg.expect("a figure"));
        let map = pictures.iter().find(|picture| picture.width() == 480).expect("the map");
        map.pixels().filter(|Rgb([r, g, b])| *b > r.saturating_add(60) && g > r).count()
    };
    assert!(blue("") > 1000, "{}", blue(""));
    assert_eq!(blue("--positive"), 0);
}

/// Many layers go on in further rows.
#[test]
fn a_figure_of_all_layers_is_no_ribbon() {
    let folder = folder_with_image();
    let explain = "explain --input spots.png --layer all --json";
    let report: Value = serde_json::from_str(&works(folder.path(), explain)).expect("JSON");
    let maps = report["maps"].as_array().expect("maps").len();
    assert!(maps >= 14, "{maps}");
    let figure = image::open(folder.path().join("segcam-out/compare.png")).expect("a picture");
    assert!(figure.width() < 4000 && figure.height() > 1500, "{}", figure.width());
}
