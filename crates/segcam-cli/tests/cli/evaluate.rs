//! `segcam evaluate`: what it writes, how it goes on, and what it says of images it cannot use.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::{copy_network, fails, in_two_files, npy, partly, segcam, spots, works};

/// What is quick to measure.
const QUICK: &str =
    "evaluate --input images --metric leak completeness-error road stability --quiet";

fn folder_with_images() -> TempDir {
    let folder = tempdir().expect("a folder");
    let images = folder.path().join("images");
    fs::create_dir(&images).expect("a folder");
    for (name, width) in [("a.png", 48), ("b.png", 56), ("c.png", 64)] {
        spots(width, 40).save(images.join(name)).expect("saved");
    }
    folder
}

#[test]
fn the_first_image_says_how_long_the_others_take() {
    let folder = folder_with_images();
    let evaluate = "evaluate --input images --metric leak --layer mid";
    let said = |arguments: &str| {
        let output = segcam(folder.path(), arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let forecast = said(&format!("{evaluate} --out out"));
    let [before, after] = forecast.lines().collect::<Vec<_>>()[..] else { panic!("{forecast}") };
    let work = "3 images, 2 methods, 1 metric: how long that takes is said after the first image";
    assert_eq!(before, work);
    assert!(after.starts_with("about ") && after.contains("for 2 more images"), "{after}");
    let one = "evaluate --input images/a.png --metric leak road --method hires-cam --layer mid";
    assert_eq!(said(&format!("{one} --out one")), "1 image, 1 method, 2 metrics\n");
    assert_eq!(said(&format!("{evaluate} --out out")), "", "everything is kept");
    assert_eq!(said(&format!("{evaluate} --out quiet --quiet")), "");
}

fn table(folder: &Path, file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder.join(file)).expect("a table");
    let line = |line: &str| line.split(',').map(String::from).collect();
    text.lines().map(line).collect()
}

#[test]
fn every_map_and_control_of_every_image_has_a_row() {
    let folder = folder_with_images();
    works(folder.path(), &format!("{QUICK} --out out"));
    let rows = table(folder.path(), "out/evaluation.csv");
    // Three images; two methods at two layers, and three controls.
    assert_eq!(rows.len(), 1 + 3 * (4 + 3));
    assert_eq!(rows[0][7..], ["leak", "completeness-error", "road", "stability", "missing"]);
    for row in &rows[1..] {
        assert!(!row.iter().any(|cell| cell.contains("NaN") || cell.contains("inf")), "{row:?}");
        if row[5] == "seg-hires-grad-cam" {
            assert_eq!(row[7], "0", "{row:?}");
            assert!(row[8].parse::<f64>().expect("a number") < 1e-4, "{row:?}");
        }
        assert_eq!(row[6].is_empty(), ["random", "edges", "pixel set"].contains(&row[5].as_str()));
    }
    let summary = table(folder.path(), "out/summary.csv");
    assert_eq!(summary.len(), 1 + 4 * 4 + 3, "maps have four metrics, controls one");
    for file in ["out/evaluation.png", "out/evaluation.svg"] {
        assert!(fs::metadata(folder.path().join(file)).expect("a figure").len() > 5000);
    }
    let json = fs::read(folder.path().join("out/evaluation.json")).expect("a file");
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    let comparison = &json["questions"][0]["comparisons"][0];
    let reason = comparison["reason"].as_str().expect("too few images");
    assert!(reason.contains("at least 6 images, there are 3"), "{reason}");
}

#[test]
fn a_killed_evaluation_goes_on_where_it_stopped() {
    let folder = folder_with_images();
    works(folder.path(), &format!("{QUICK} --out whole"));

    let parts = folder.path().join("out/images");
    let mut run = Command::new(env!("CARGO_BIN_EXE_segcam"))
        .current_dir(folder.path())
        .args(format!("{QUICK} --out out").split_whitespace())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let start = Instant::now();
    let done = || fs::read_dir(&parts).map_or(0, |files| files.flatten().count());
    while done() == 0 && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    run.kill().expect("killed");
    run.wait().expect("ended");

    // What a kill in the middle of writing leaves behind is no result.
    fs::write(parts.join(".segcam-half"), "{\"image\":").expect("written");
    fs::write(parts.join("c.png.json"), "{\"image\":").expect("written");
    let first = parts.join("a.png.json");
    let written = || fs::metadata(&first).and_then(|file| file.modified()).ok();
    let before = written();
    works(folder.path(), &format!("{QUICK} --out out"));
    if before.is_some() {
        assert_eq!(written(), before, "measured once");
    }
    for file in ["evaluation.csv", "summary.csv", "evaluation.svg"] {
        let read = |out: &str| fs::read(folder.path().join(out).join(file)).expect("a file");
        assert!(read("out") == read("whole"), "{file} differs");
    }

    // A changed image is measured again, a new one beside the others.
    spots(52, 44).save(folder.path().join("images/a.png")).expect("saved");
    spots(48, 44).save(folder.path().join("images/d.png")).expect("saved");
    works(folder.path(), &format!("{QUICK} --out out"));
    assert_ne!(written(), before);
    assert_eq!(table(folder.path(), "out/evaluation.csv").len(), 1 + 4 * 7);
    let other = format!("{QUICK} --seed 3 --out out");
    fails(folder.path(), &other, &["other settings", "seed was 0, is 3", "--out"]);
}

#[test]
fn images_that_cannot_be_used_are_listed_and_the_rest_is_done() {
    let folder = folder_with_images();
    fs::write(folder.path().join("images/b.png"), "no picture").expect("written");
    // Nothing is predicted here.
    image::GrayImage::new(48, 48).save(folder.path().join("images/e.png")).expect("saved");
    let arguments = format!("{QUICK} --class 1 --out out");
    let left_out = "error: left out: images/b.png: it is no PNG";
    assert!(partly(folder.path(), &arguments).starts_with(left_out));
    let output = segcam(folder.path(), &arguments.replace("--quiet", ""));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("images/e.png") && said.contains("is empty"), "{said}");
    assert_eq!(table(folder.path(), "out/evaluation.csv").len(), 1 + 2 * 7);

    let none = "evaluate --input images/b.png --out none";
    fails(folder.path(), none, &["none of 1 images", "b.png"]);
    assert!(!folder.path().join("none/evaluation.csv").exists());
}

#[test]
fn lists_and_regions() {
    let folder = folder_with_images();
    fs::write(folder.path().join("list.txt"), "images/a.png\n\nimages/c.png\n").expect("written");
    let regions = folder.path().join("regions");
    fs::create_dir(&regions).expect("a folder");
    for (name, width) in [("a.png", 48), ("c.png", 64)] {
        let inside = |x: u32, y: u32| image::Luma([u8::from(x < 24 && y < 24)]);
        let mask = image::GrayImage::from_fn(width, 40, inside);
        mask.save(regions.join(name)).expect("saved");
    }
    let list = "evaluate --input list.txt --metric mass pointing --region regions --quiet";
    works(folder.path(), &format!("{list} --layer dec1 --out out"));
    let rows = table(folder.path(), "out/evaluation.csv");
    assert_eq!(rows.len(), 1 + 2 * 5);
    for row in &rows[1..] {
        let mass: f64 = row[8].parse().expect("a number");
        assert!((0.0..=1.0).contains(&mass), "{row:?}");
        assert_eq!(row[1..3], ["1", "nucleus"], "{row:?}");
    }
    // Of another size: nothing is resized unasked.
    image::GrayImage::from_pixel(32, 20, image::Luma([1]))
        .save(regions.join("c.png"))
        .expect("saved");
    let said = partly(folder.path(), &format!("{list} --out other"));
    assert!(said.contains("[20, 32]") && said.contains("--region-resize"), "{said}");
    works(folder.path(), &format!("{list} --region-resize --layer dec1 --out resized"));
    assert_eq!(table(folder.path(), "resized/evaluation.csv").len(), 1 + 2 * 5);

    fs::remove_file(regions.join("c.png")).expect("removed");
    let said = partly(folder.path(), &format!("{list} --out again"));
    assert!(said.contains("left out: images/c.png: regions has no file named c.*"), "{said}");
}

#[test]
fn mistakes() {
    let folder = folder_with_images();
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    let wrong = [
        ("evaluate --input nothing", vec!["there is no nothing"]),
        ("evaluate --input empty", vec!["empty: the folder holds no images"]),
        ("evaluate --input images --metric raod", vec!["raod", "road"]),
        ("evaluate --input images --cells 2", vec!["--cells", "3.."]),
        ("evaluate --input images --region-resize", vec!["--region"]),
        ("evaluate --input images --truth-resize", vec!["--truth"]),
        ("evaluate --input images --layer dec9", vec!["dec9", "dec1"]),
        ("evaluate --input images --method seg-gradcam", vec!["seg-grad-cam"]),
    ];
    for (arguments, says) in wrong {
        fails(folder.path(), arguments, &says);
    }
}

/// Another run in the folder `out` gives the numbers that it gives in a new folder. What they are.
fn as_if_new(folder: &Path, arguments: &str) -> String {
    works(folder, &format!("{arguments} --out out"));
    works(folder, &format!("{arguments} --out new"));
    let read = |out: &str| fs::read_to_string(folder.join(out).join("evaluation.csv"));
    let table = read("out").expect("a table");
    assert_eq!(table, read("new").expect("a table"));
    fs::remove_dir_all(folder.join("new")).expect("removed");
    table
}

/// Changes a file in place: its size and its time stay as they are.
fn change(path: &Path, change: impl FnOnce() -> Vec<u8>) {
    let before = fs::metadata(path).expect("a file");
    let bytes = change();
    assert_eq!(bytes.len() as u64, before.len());
    fs::write(path, bytes).expect("written");
    let file = fs::File::options().append(true).open(path).expect("a file");
    file.set_modified(before.modified().expect("a time")).expect("set");
}

/// An array of an image of spots, brighter or darker.
fn array(path: &Path, bright: f32) {
    let image = spots(48, 40);
    let values: Vec<f32> = image.pixels().map(|p| bright * f32::from(p.0[0]) / 200.0).collect();
    npy(path, &[1, 40, 48], &values);
}

#[test]
fn what_was_measured_of_other_contents_is_measured_again() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let at = |name: &str| path.join(name);
    for (name, bright) in [("d1", 1.0), ("d2", 0.7)] {
        fs::create_dir(at(name)).expect("a folder");
        array(&at(name).join("x.npy"), bright);
        // As old as the other, and as large.
        let x = at(name).join("x.npy");
        change(&x, || fs::read(&x).expect("read"));
        let time = fs::metadata(at("d1/x.npy")).and_then(|file| file.modified()).expect("a time");
        let file = fs::File::options().append(true).open(&x).expect("a file");
        file.set_modified(time).expect("set");
    }
    let own = include_bytes!("../../../segcam-models/weights/nuclei-unet.safetensors");
    fs::write(at("own.safetensors"), own).expect("written");
    let mask = |label: u8| {
        let inside = |x: u32, _| image::Luma([if x < 24 { label } else { 1 - label }]);
        image::GrayImage::from_fn(48, 40, inside)
    };
    mask(1).save(at("truth.png")).expect("saved");

    let quick = "--metric leak completeness-error --layer mid --quiet";
    let arguments = |input: &str| {
        format!(
            "evaluate --input {input} --weights own.safetensors {quick} --pixels tp|truth \
                 --truth truth.png --class 1"
        )
    };
    // The same name in another folder.
    let first = as_if_new(path, &arguments("d1"));
    assert_ne!(as_if_new(path, &arguments("d2")).replace("d2", "d1"), first);
    fs::write(at("both.txt"), "d1/x.npy\nd2/x.npy\n").expect("written");
    as_if_new(path, &arguments("both.txt"));
    // Another annotation, other weights.
    mask(0).save(at("truth.png")).expect("saved");
    let annotated = as_if_new(path, &arguments("d1"));
    assert_ne!(annotated, first);
    change(&at("own.safetensors"), || {
        let mut retrained = own.to_vec();
        let half = retrained.len() / 2;
        // Flips the highest bit of each mantissa.
        retrained[half..].chunks_exact_mut(4).step_by(7).for_each(|number| number[2] ^= 0x40);
        retrained
    });
    assert_ne!(as_if_new(path, &arguments("d1")), annotated);
}

#[test]
fn a_changed_card_is_measured_again() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    copy_network("tiny-deeplab.onnx", &path.join("net.onnx"));
    let color = |x: u32, y: u32| image::Rgb([x as u8 * 2, y as u8 * 4, 90]);
    image::RgbImage::from_fn(90, 60, color).save(path.join("photo.png")).expect("saved");
    let arguments = "evaluate --model net.onnx --input photo.png --metric leak completeness-error \
                     --pixels all --class 1 --quiet";
    let [one, other] = ["0.1", "0.6"].map(|mean| {
        let card = format!("classes = ['a', 'b', 'c']\n[input]\nmean = [{mean}]\n");
        fs::write(path.join("net.toml"), card).expect("written");
        as_if_new(path, arguments)
    });
    assert_ne!(one, other);
}

/// Plans of nnU-Net beside a network, and a scan whose voxels are not in the file with its header.
#[test]
fn what_other_files_say_is_measured_again() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    copy_network("tiny-vnet.onnx", &path.join("net.onnx"));
    let voxels = |step: usize| {
        let values = (0..12 * 16 * 16).map(|at| (at * step % 101) as f32);
        in_two_files(path, "scan", [16, 16, 12], values);
    };
    let plans = |high: f64| {
        let seen = serde_json::json!({
            "mean": 50.0, "std": 20.0, "percentile_00_5": 0.0, "percentile_99_5": high,
        });
        let planned = serde_json::json!({
            "preprocessor_name": "DefaultPreprocessor",
            "spacing": [1.0, 1.0, 1.0],
            "patch_size": [12, 16, 16],
            "normalization_schemes": ["CTNormalization"],
            "use_mask_for_norm": [false],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
        });
        let plans = serde_json::json!({
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2],
            "configurations": { "3d_fullres": planned },
            "foreground_intensity_properties_per_channel": { "0": seen },
        });
        fs::write(path.join("plans.json"), plans.to_string()).expect("written");
    };
    let dataset = |liver: &str| {
        let dataset = serde_json::json!({
            "channel_names": { "0": "CT" },
            "labels": { "background": 0, liver: 1, "tumour": 2 },
        });
        fs::write(path.join("dataset.json"), dataset.to_string()).expect("written");
    };
    let measured = || {
        let arguments = "evaluate --model net.onnx --input scan.mhd --metric leak completeness-error \
                         --pixels all --class 1 --quiet";
        as_if_new(path, arguments)
    };
    voxels(37);
    plans(101.0);
    dataset("liver");
    let mut tables = vec![measured()];
    voxels(41);
    tables.push(measured());
    plans(60.0);
    tables.push(measured());
    dataset("spleen");
    measured();
    tables.dedup();
    assert_eq!(tables.len(), 3, "{tables:?}");
}
