//! `segcam demo`.

use tempfile::tempdir;

use crate::{json, png_texts, without, works};

#[test]
fn demo_is_repeatable_and_shows_one_nucleus() {
    let folder = tempdir().expect("a folder");
    let said = works(folder.path(), "demo --out a");
    assert!(said.contains("compare.png") && said.contains("seg-hires-grad-cam"), "{said}");
    assert!(said.trim_end().ends_with("segcam studio 'a/input.png'"), "{said}");
    assert_eq!(works(folder.path(), "demo --out b --quiet"), "");
    let at = |path: &str| folder.path().join(path);
    for picture in ["compare.png", "input.png", "nucleus.seg-hires-grad-cam.dec1.png"] {
        // The files differ: they say which command made them.
        let [a, b] = ["a", "b"].map(|folder| image::open(at(folder).join(picture)).expect("read"));
        assert!(a == b, "{picture}");
    }
    let texts = png_texts(&at("a/compare.png"));
    let title = texts.iter().find(|text| text.starts_with("Title: ")).expect("a title");
    assert!(title.contains("generated, seed ") && title.contains("nuclei"), "{title}");
    let report = json(&at("a/report.json"));
    assert_eq!(
        without(&["command"], report.clone()),
        without(&["command"], json(&at("b/report.json")))
    );
    assert_eq!(report["maps"].as_array().expect("maps").len(), 8);
    for map in report["maps"].as_array().expect("maps") {
        assert_eq!(map["status"][0], "positive", "{map}");
    }
    let picture = image::open(at("a/compare.png")).expect("a picture");
    assert!(picture.width() > 1000 && picture.height() > 500);
}

#[test]
fn the_demo_of_a_volume_is_what_explain_says_of_its_scan() {
    let folder = tempdir().expect("a folder");
    let said = works(folder.path(), "demo --volume --out demo");
    assert!(
        said.contains("compare.png") && said.contains("seen through 48×48×48 windows"),
        "{said}"
    );
    let at = |path: &str| folder.path().join(path);
    let report = json(&at("demo/report.json"));
    let maps = report["maps"].as_array().expect("maps");
    assert_eq!(maps.len(), 8);
    for map in maps {
        assert_eq!(map["status"][0], "positive", "{map}");
        let error = map["certificate"]["completeness_error"].as_f64().expect("a number");
        assert!(error < 1e-3, "{map}");
    }
    let dice = report["judged"][0]["dice"].as_f64().expect("a number");
    assert!(dice > 0.7, "{dice}");
    let picture = image::open(at("demo/compare.png")).expect("a picture");
    assert!(picture.width() > 1000 && picture.height() > 500);

    works(
        folder.path(),
        "explain --input demo/scan.nii.gz --model lesions-meshnet --class lesion --layer conv4 \
         --method seg-hires-grad-cam --window 48x48x48 --overlap 0.5 --blend gaussian --out out",
    );
    let [demo, explained] = ["demo/class.", "out/"].map(|before| {
        let path = at(&format!("{before}seg-hires-grad-cam.conv4.nii.gz"));
        std::fs::read(path).expect("a map")
    });
    assert!(demo == explained, "the maps differ");
}
