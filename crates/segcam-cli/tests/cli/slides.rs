//! Pictures that are read by tiles: as those in memory, and gone on with where a run was killed.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use segcam_tests::relative_error;
use tempfile::{TempDir, tempdir};
use tiff::decoder::{Decoder, DecodingResult};

use crate::{fails, json, read_npy, spots, without, works};

const UNFINISHED: &str = "out/.segcam-unfinished";

fn folder_with_tiff(width: u32, height: u32) -> TempDir {
    let folder = tempdir().expect("a folder");
    spots(width, height).save(folder.path().join("spots.tif")).expect("saved");
    folder
}

fn tiff(path: &Path) -> DecodingResult {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = Decoder::new(file).expect("a TIFF");
    decoder.read_image().expect("pixels")
}

fn map(path: &Path) -> Vec<f32> {
    let DecodingResult::F32(values) = tiff(path) else { panic!("a map of other numbers") };
    values
}

#[test]
fn tiles_are_as_memory() {
    let folder = folder_with_tiff(48, 40);
    let path = folder.path();
    let how = "explain --input spots.tif --window 16x16 --overlap 0.5 --class 1 --layer mid,dec1 \
               --method seg-grad-cam hires-cam --pixels component@12,12 class-box:0,0,20,20";
    works(path, &format!("{how} --save raw,prediction --out memory"));
    works(path, &format!("{how} --save prediction --tiles"));
    works(path, &format!("{how} --tiles --out out"));
    let (wanted, given) =
        (json(&path.join("memory/report.json")), json(&path.join("out/report.json")));
    let maps = |report: &serde_json::Value| report["maps"].as_array().expect("maps").clone();
    assert_eq!(maps(&given).len(), 8);
    for (given, wanted) in maps(&given).iter().zip(maps(&wanted)) {
        for same in ["class", "method", "layer", "pixel_set", "pixels", "status", "shape"] {
            assert_eq!(given[same], wanted[same], "{same}");
        }
        let number = |map: &serde_json::Value, key: &str| map[key][0].as_f64().expect("a number");
        let strongest = number(&wanted, "raw_max").max(-number(&wanted, "raw_min"));
        for near in ["raw_min", "raw_max"] {
            assert!((number(given, near) - number(&wanted, near)).abs() < 1e-5 * strongest);
        }
        let scores = number(given, "score") / number(&wanted, "score");
        assert!((scores - 1.0).abs() < 1e-5, "{scores}");
        let files = given["files"].as_array().expect("files");
        let file = |ending: &str| {
            let mut names = files.iter().filter_map(|file| file.as_str());
            names.find(|name| name.ends_with(ending)).expect("a file").to_string()
        };
        assert!(path.join("out").join(file(".png")).is_file());
        let file = file(".tif");
        let raw = file.replace(".tif", ".raw.npy");
        let (_, raw) = read_npy(&path.join("memory").join(raw));
        assert!(relative_error(&map(&path.join("out").join(&file)), &raw) < 1e-5, "{file}");
    }
    let labels = match tiff(&path.join("segcam-out/prediction.tif")) {
        DecodingResult::U8(labels) => labels,
        _ => panic!("labels of other numbers"),
    };
    let bytes = fs::read(path.join("memory/prediction.npy")).expect("read");
    let file = npyz::NpyFile::new(&bytes[..]).expect("an array");
    let wanted: Vec<i32> = file.into_vec().expect("int32");
    assert_eq!(labels.iter().map(|label| i32::from(*label)).collect::<Vec<_>>(), wanted);
    assert!(!path.join(UNFINISHED).exists());
}

#[test]
fn a_killed_run_goes_on() {
    let folder = folder_with_tiff(96, 480);
    let path = folder.path();
    let how = "explain --input spots.tif --window 32x32 --class 1 --layer mid --tiles";
    works(path, &format!("{how} --out whole"));
    for waits_for in ["labels.sweep", "maps.sweep", "averages.sweep"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_segcam"))
            .current_dir(path)
            .args(how.split_whitespace().chain(["--out", "out"]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let kept = path.join(UNFINISHED).join(waits_for);
        while !kept.exists() && program.try_wait().expect("a state").is_none() {
            sleep(Duration::from_millis(1));
        }
        program.kill().expect("killed");
        program.wait().expect("ended");
        assert!(kept.exists(), "it was done before it was killed");
        assert!(!path.join("out/report.json").exists());
    }
    let labels = path.join(UNFINISHED).join("labels");
    let kept = fs::metadata(&labels).expect("finished work").modified().expect("a time");
    works(path, &format!("{how} --out other"));
    assert_eq!(fs::metadata(&labels).expect("kept").modified().expect("a time"), kept);
    works(path, &format!("{how} --out out"));
    assert!(!path.join(UNFINISHED).exists());
    let pixels =
        |folder: &str| image::open(path.join(folder).join("compare.png")).expect("a picture");
    assert!(pixels("out") == pixels("whole"));
    for file in ["seg-grad-cam.mid.tif", "seg-hires-grad-cam.mid.tif"] {
        let [given, wanted] =
            ["out", "whole"].map(|folder| fs::read(path.join(folder).join(file)).expect("a file"));
        assert!(given == wanted, "{file}");
    }
    let report = |folder: &str| without(&["command"], json(&path.join(folder).join("report.json")));
    assert_eq!(report("out"), report("whole"));

    // What another question has left is no part of this one.
    fs::create_dir_all(path.join(UNFINISHED)).expect("a folder");
    fs::write(path.join(UNFINISHED).join("key"), "another").expect("written");
    fs::write(path.join(UNFINISHED).join("labels"), "rubbish").expect("written");
    works(path, &format!("{how} --out out"));
    assert_eq!(report("out"), report("whole"));
}

#[test]
fn what_tiles_cannot_do_is_said() {
    let folder = folder_with_tiff(48, 40);
    let path = folder.path();
    spots(48, 40).save(path.join("spots.png")).expect("saved");
    let how = "explain --input spots.tif --window 16x16 --class 1 --layer mid --tiles";
    fails(path, "explain --input spots.tif --tiles", &["--window"]);
    fails(path, "explain --input spots.png --window 16x16 --tiles", &["TIFF"]);
    fails(path, &format!("{how} --certify"), &["--certify", "by tiles"]);
    fails(path, &format!("{how} --save raw"), &["TIFF", "drop"]);
    fails(path, &format!("{how} --method seg-xgrad-cam"), &["seg-hires-grad-cam"]);
    fails(path, &format!("{how} --pixels soft"), &["soft", "component@"]);
    fails(path, &format!("{how} --pixels pixle:1,2"), &["pixel"]);
    fails(path, &format!("{how} --pixels box:0,0,41,3"), &["outside", "40"]);
    fails(path, &format!("{how} --class 7"), &["class 7"]);
    fails(path, &format!("{how} --layer middle"), &["`mid`"]);
    assert!(!path.join("segcam-out/report.json").exists());
    // An empty set beside another one is a failure of its own.
    let said = crate::partly(path, &format!("{how} --pixels class component@0,0 --out partly"));
    assert!(said.contains("component@0,0"), "{said}");
    assert_eq!(json(&path.join("partly/report.json"))["maps"].as_array().expect("maps").len(), 2);
}
