//! `segcam demo`.

use tempfile::tempdir;

use crate::{json, without, works};

#[test]
fn demo_is_repeatable_and_shows_one_nucleus() {
    let folder = tempdir().expect("a folder");
    let said = works(folder.path(), "demo --out a");
    assert!(said.contains("compare.png") && said.contains("seg-hires-grad-cam"), "{said}");
    works(folder.path(), "demo --out b --quiet");
    let at = |path: &str| folder.path().join(path);
    for picture in ["compare.png", "input.png", "nucleus.seg-hires-grad-cam.dec1.png"] {
        // The files differ: they say which command made them.
        let [a, b] = ["a", "b"].map(|folder| image::open(at(folder).join(picture)).expect("read"));
        assert!(a == b, "{picture}");
    }
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
