//! `segcam pixels`.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

use crate::{fails, folder_with_image, works};

#[test]
fn every_pixel_set_can_be_shown() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    works(path, "demo --out demo --quiet");
    let script = include_str!("../../../../docs/images/pixel-sets.sh");
    let sets: Vec<&str> = script
        .lines()
        .skip_while(|line| !line.contains("--show"))
        .filter_map(|line| line.trim().trim_end_matches(" \\").strip_prefix('\''))
        .filter_map(|line| line.strip_suffix('\''))
        .collect();
    let listed: Value = serde_json::from_str(&works(path, "pixels --json")).expect("JSON");
    for row in listed.as_array().expect("a list") {
        let form = row["form"].as_str().expect("a form");
        let word: String = form.chars().take_while(char::is_ascii_alphabetic).collect();
        let drawn = sets.iter().any(|set| set.starts_with(&word));
        // Millimetres need a scan.
        let drawn = drawn || form.starts_with("sphere");
        assert!(drawn || form.contains([' ', '!']), "{form} is not in the picture");
        let docs = include_str!("../../../../docs/pixel-sets.md");
        assert!(docs.contains(&format!("`{word}")) || form.contains([' ', '!']), "{form}");
    }
    assert!(works(path, "pixels").contains("sphere:x,y,z,r"));
    let output = Command::new(env!("CARGO_BIN_EXE_segcam"))
        .current_dir(path)
        .args(["pixels", "--input", "demo/input.png", "--truth", "demo/truth.png"])
        .args(["--instances", "demo/instances.png", "--class", "nucleus", "--show"])
        .args(&sets)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(path.join("segcam-out/pixels.png").exists());
}

#[test]
fn the_picture_says_of_which_image_it_is_and_replaces_only_its_own() {
    let folder = folder_with_image();
    let path = folder.path();
    let out = path.join("segcam-out");
    works(path, "explain --input spots.png --layer mid");
    let before = fs::read(out.join("compare.png")).expect("a picture");
    let pixels = "pixels --input spots.png --show class largest";
    assert!(!works(path, &format!("{pixels} --svg")).contains("replaced"));
    let svg = fs::read_to_string(out.join("pixels.svg")).expect("a text");
    assert!(svg.contains("spots.png: class 1 (nucleus)"), "{}", svg.len());
    let said = works(path, pixels);
    assert!(said.contains("replaced the earlier picture in segcam-out"), "{said}");
    assert!(!out.join("pixels.svg").exists(), "it is of the earlier run");
    assert!(before == fs::read(out.join("compare.png")).expect("a picture"));

    let mine = path.join("mine");
    fs::create_dir(&mine).expect("made");
    crate::spots(9, 9).save(mine.join("pixels.png")).expect("saved");
    let before = fs::read(mine.join("pixels.png")).expect("a picture");
    fails(path, &format!("{pixels} --out mine"), &["mine/pixels.png is there", "--out"]);
    assert!(before == fs::read(mine.join("pixels.png")).expect("a picture"));
}
