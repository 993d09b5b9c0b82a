//! `segcam explain`: what it writes, and what it says of maps that it cannot make.

use std::fs;
use std::process::Command;

use image::{GrayImage, Luma, Rgb, RgbImage};
use segcam_tests::real_data;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{
    compare_with_golden, fails, folder_with_image, json, npy, partly, read_npy, spots, without,
    works,
};

#[test]
fn an_image_alone_is_enough() {
    let folder = folder_with_image();
    let said = works(folder.path(), "explain --input spots.png");
    assert!(said.contains("class: most frequent prediction; engine: graph"), "{said}");
    let mut files: Vec<String> = fs::read_dir(folder.path().join("segcam-out"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "compare.png",
            "report.json",
            "seg-grad-cam.dec1.png",
            "seg-grad-cam.mid.png",
            "seg-hires-grad-cam.dec1.png",
            "seg-hires-grad-cam.mid.png",
        ]
    );
}

#[test]
fn an_earlier_run_is_replaced_with_a_word_and_what_others_wrote_never() {
    let folder = folder_with_image();
    let path = folder.path();
    let explain = "explain --input spots.png --layer mid --method seg-hires-grad-cam";
    assert!(!works(path, explain).contains("replaced"));
    let said = works(path, explain);
    assert!(said.contains("replaced the earlier run in segcam-out/ (3 files)"), "{said}");

    // A run that was stopped has no report as yet.
    let out = path.join("segcam-out");
    fs::remove_file(out.join("report.json")).expect("removed");
    fs::write(out.join(".segcam-files"), "compare.png\nseg-hires-grad-cam.mid.png\n../spots.png\n")
        .expect("written");
    let said = works(path, explain);
    assert!(said.contains("(2 files)"), "{said}");
    assert!(path.join("spots.png").exists() && !out.join(".segcam-files").exists());

    let mine = path.join("mine");
    fs::create_dir(&mine).expect("made");
    fs::write(mine.join("compare.png"), "mine").expect("written");
    fails(path, &format!("{explain} --out mine"), &["mine/compare.png is there", "--out"]);
    assert_eq!(fs::read_to_string(mine.join("compare.png")).expect("read"), "mine");
    assert_eq!(fs::read_dir(&mine).expect("a folder").count(), 1);
}

#[test]
fn what_was_asked_for_is_said() {
    let folder = folder_with_image();
    let said = works(folder.path(), "explain --input spots.png --layer mid --certify --html");
    for word in ["through layer", "impossible", "segcam-out/report.html", "segcam-out/compare.png"]
    {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    let hires = said.lines().find(|line| line.contains("seg-hires-grad-cam")).expect("a row");
    assert!(hires.trim_end().ends_with("0.0 %"), "{hires}");
}

#[test]
fn arrays_have_the_documented_shapes_and_agree_with_the_report() {
    let folder = folder_with_image();
    works(
        folder.path(),
        "explain --input spots.png --layer mid --method seg-hires-grad-cam hires-cam \
         --pixels class&box:0,0,24,24 --class 1 --save raw,heat,prediction --out out",
    );
    let out = folder.path().join("out");
    let (shape, raw) = read_npy(&out.join("seg-hires-grad-cam.mid.raw.npy"));
    assert_eq!(shape, [1, 1, 5, 6]);
    let (shape, heat) = read_npy(&out.join("seg-hires-grad-cam.mid.heat.npy"));
    assert_eq!(shape, [1, 1, 40, 48]);
    // What the picture shows: evidence for and against.
    assert!(heat.iter().all(|value| (-1.0..=1.0).contains(value)));
    assert!(heat.iter().any(|value| *value < 0.0));
    let report = json(&out.join("report.json"));
    let map = &report["maps"][0];
    let largest = raw.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    assert_eq!(map["raw_max"][0].as_f64().expect("a number") as f32, largest);
    assert_eq!(map["pixel_set"], "class&box:0,0,24,24");
    assert_eq!(report["maps"][1]["pixel_set"], "all");
    let bytes = fs::read(out.join("prediction.npy")).expect("read");
    let labels =
        npyz::NpyFile::new(&bytes[..]).expect("an array").into_vec::<i32>().expect("int32");
    let nuclei = labels.iter().filter(|&&label| label == 1).count();
    assert_eq!(report["predicted_pixels"][0][1].as_u64(), Some(nuclei as u64));
    let inside = (0..24 * 24).filter(|i| labels[i / 24 * 48 + i % 24] == 1).count();
    assert_eq!(map["pixels"][0].as_u64(), Some(inside as u64));
}

#[test]
fn a_batch_gives_a_picture_of_each_image() {
    let folder = tempdir().expect("a folder");
    let image: Vec<f32> = spots(32, 32).pixels().map(|p| f32::from(p.0[0]) / 200.0).collect();
    let path = folder.path().join("batch.npy");
    npy(&path, &[2, 1, 32, 32], &[image.clone(), image].concat());
    works(folder.path(), "explain --input batch.npy --layer dec1 --save raw --out out");
    for file in ["compare.0.png", "compare.1.png", "seg-grad-cam.dec1.1.png"] {
        assert!(folder.path().join("out").join(file).is_file(), "{file}");
    }
    let (shape, raw) = read_npy(&folder.path().join("out/seg-grad-cam.dec1.raw.npy"));
    assert_eq!(shape, [2, 1, 32, 32]);
    assert_eq!(raw[..1024], raw[1024..]);
}

#[test]
fn sixteen_bit_colour_and_other_formats_are_read() {
    let folder = tempdir().expect("a folder");
    let gray = spots(40, 40);
    let deep = image::ImageBuffer::from_fn(40, 40, |x, y| {
        Luma([u16::from(gray.get_pixel(x, y).0[0]) * 257])
    });
    deep.save(folder.path().join("deep.png")).expect("saved");
    deep.save(folder.path().join("deep.tiff")).expect("saved");
    let color = RgbImage::from_fn(40, 40, |x, y| Rgb([gray.get_pixel(x, y).0[0]; 3]));
    color.save(folder.path().join("color.png")).expect("saved");
    color.save(folder.path().join("color.jpg")).expect("saved");
    gray.save(folder.path().join("gray.png")).expect("saved");
    let scores: Vec<f64> = ["gray.png", "deep.png", "deep.tiff", "color.png", "color.jpg"]
        .map(|file| {
            let said = works(folder.path(), &format!("explain --json --layer mid --input {file}"));
            let report: Value = serde_json::from_str(&said).expect("json");
            report["maps"][0]["score"][0].as_f64().expect("a number")
        })
        .to_vec();
    for lossless in &scores[1..4] {
        assert!((scores[0] - lossless).abs() < 1e-3 * scores[0], "{scores:?}");
    }
    assert!(scores[4] > 0.5 * scores[0], "{scores:?}");
}

#[cfg(unix)]
#[test]
fn file_names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder_with_image();
    let name = std::ffi::OsStr::from_bytes(b"sp\xffots.png");
    fs::rename(folder.path().join("spots.png"), folder.path().join(name)).expect("renamed");
    let output = Command::new(env!("CARGO_BIN_EXE_segcam"))
        .current_dir(folder.path())
        .args(["explain", "--quiet", "--layer", "mid", "--input"])
        .arg(name)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn classes_have_names() {
    let folder = folder_with_image();
    let said = works(folder.path(), "explain --input spots.png --class nucleus --layer mid");
    assert!(said.contains("class: asked") && said.contains("nucleus"), "{said}");
}

#[test]
fn deep_images_are_shown_as_the_network_sees_them() {
    let folder = tempdir().expect("a folder");
    let gray = spots(64, 64);
    let dim = image::ImageBuffer::from_fn(64, 64, |x, y| {
        Luma([u16::from(gray.get_pixel(x, y).0[0]) * 4])
    });
    dim.save(folder.path().join("dim.png")).expect("saved");
    works(folder.path(), "explain --input dim.png --layer mid --out out");
    let picture = image::open(folder.path().join("out/seg-grad-cam.mid.png")).expect("a picture");
    // Below title and margin lies the picture, with the second spot bright.
    let bright = picture.to_luma8().pixels().filter(|p| (150..250).contains(&p.0[0])).count();
    assert!(bright > 500, "{bright}");
}

#[test]
fn volumes_show_the_planes_of_the_pixel_set() {
    let Some(data) = real_data("brain_meshnet") else { return };
    let folder = tempdir().expect("a folder");
    let values: Vec<f32> = (0..12 * 10 * 9).map(|i| (i % 37) as f32 / 37.0).collect();
    npy(&folder.path().join("volume.npy"), &[1, 1, 12, 10, 9], &values);
    let weights = data.join("meshnet5_gwm.safetensors");
    let explain = format!(
        "explain --model meshnet --weights {} --input volume.npy --class 1 --save raw --json",
        weights.display()
    );
    let said = works(folder.path(), &format!("{explain} --pixels pixel:7,3,3 --layer conv8,out"));
    let report: Value = serde_json::from_str(&said).expect("json");
    assert_eq!(report["planes"][0], json!([7, 3, 3]));
    let (shape, raw) = read_npy(&folder.path().join("segcam-out/seg-hires-grad-cam.out.raw.npy"));
    assert_eq!(shape, [1, 1, 12, 10, 9]);
    let nonzero: Vec<usize> = (0..raw.len()).filter(|&i| raw[i] != 0.0).collect();
    assert_eq!(nonzero, [(7 * 10 + 3) * 9 + 3]);
    fails(folder.path(), &format!("{explain} --pixels pixel:3,3"), &["z,y,x"]);
}

#[test]
fn the_program_gives_the_golden_maps() {
    let Some(data) = real_data("retina_unet") else { return };
    let golden = segcam_tests::Fixture::open(&data.join("golden.safetensors"));
    let folder = tempdir().expect("a folder");
    let input = segcam_tests::host(&golden.tensor::<4>("input"));
    npy(&folder.path().join("input.npy"), &[1, 1, 192, 192], &input);
    works(
        folder.path(),
        &format!(
            "explain --model retina-unet --weights {} --input input.npy --class vessel --quiet \
             --layer mid,dec1 --save raw,heat --normalize min-max --out out",
            data.join("unet_drive.safetensors").display()
        ),
    );
    compare_with_golden(folder.path(), &golden, [("mid", "mid"), ("dec1", "dec1")]);
}

#[test]
fn several_classes_and_sets_get_a_figure_each() {
    let folder = folder_with_image();
    let path = folder.path();
    let arguments = "explain --input spots.png --class 0 nucleus --layer mid --json --out out \
                     --pixels class box:0,0,24,24";
    let report: serde_json::Value = serde_json::from_str(&works(path, arguments)).expect("JSON");
    assert_eq!(report["engine"], "graph");
    assert_eq!(report["maps"].as_array().map(Vec::len), Some(2 * 2 * 2));
    assert_eq!(report["maps"][0]["class_name"], "background");
    assert_eq!(report["maps"][7]["class"], 1);
    assert_eq!(report["failures"], serde_json::json!([]));
    let commas = arguments.replace("0 nucleus", "0,nucleus");
    let again: serde_json::Value = serde_json::from_str(&works(path, &commas)).expect("JSON");
    assert_eq!(without(&["command"], again), without(&["command"], report));
    for class in ["background", "nucleus"] {
        for set in ["class", "box-0_0_24_24"] {
            assert!(path.join(format!("out/compare.{class}.{set}.png")).exists());
        }
    }
    // What that run wrote goes away with the next one; what is not of it stays.
    fs::write(path.join("out/notes.txt"), "mine").expect("written");
    works(path, "explain --input spots.png --layer mid --out out");
    let left: Vec<String> = fs::read_dir(path.join("out"))
        .expect("a folder")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(left.contains(&"notes.txt".to_string()), "{left:?}");
    assert!(!left.iter().any(|name| name.contains("background")), "{left:?}");
    // What cannot be explained is said, and the rest is done.
    let arguments = "explain --input spots.png --class all --layer mid --json --out all \
                     --pixels class-!class class";
    let report: serde_json::Value = serde_json::from_str(&works(path, arguments)).expect("JSON");
    assert_eq!(report["maps"].as_array().map(Vec::len), Some(8));
    let arguments = "explain --input spots.png --class all --layer mid --out none \
                     --pixels class&!class";
    fails(path, arguments, &["`class&!class`", "empty"]);
}

#[test]
fn annotations_of_another_size_or_with_other_labels_get_one_line() {
    let folder = folder_with_image();
    let path = folder.path();
    let truth = |side: u32, label: u8| {
        GrayImage::from_fn(48, side, |x, _| Luma([if x < 24 { label } else { 0 }]))
    };
    truth(40, 1).save(path.join("good.png")).expect("saved");
    truth(20, 1).save(path.join("small.png")).expect("saved");
    let other = GrayImage::from_fn(48, 40, |x, _| Luma([if x < 24 { 7 } else { x as u8 % 2 }]));
    other.save(path.join("other.png")).expect("saved");
    RgbImage::from_pixel(48, 40, Rgb([9, 0, 0])).save(path.join("colour.png")).expect("saved");
    fs::write(path.join("text.png"), "no image").expect("written");
    let explain = "explain --input spots.png --layer mid --out out --pixels";
    for (arguments, says) in [
        ("tp --truth small.png", &["20, 48", "40, 48", "--truth-resize"][..]),
        ("tp --truth other.png", &["7"]),
        ("tp --truth colour.png", &["colour"]),
        ("tp --truth text.png", &["text.png"]),
        ("tp --truth nowhere.png", &["nowhere.png"]),
        ("instances --instances small.png", &["20, 48"]),
        ("tp --truth-resize", &["--truth"]),
    ] {
        fails(path, &format!("{explain} {arguments}"), says);
    }
    works(path, &format!("{explain} tp --truth small.png --truth-resize"));
    let report: Value = serde_json::from_str(&works(
        path,
        &format!("{explain} tp fn truth --truth good.png --json"),
    ))
    .expect("JSON");
    let pixels = |at: usize| report["maps"][at]["pixels"][0].as_u64().expect("a number");
    assert_eq!(pixels(0) + pixels(2), pixels(4));
    assert_eq!(report["maps"][2]["pixel_set"], "fn");
}

#[test]
fn each_object_gets_its_own_map_and_certificates_are_reported() {
    let folder = folder_with_image();
    let path = folder.path();
    let arguments = "explain --input spots.png --layer mid,dec1 --certify --json --pixels each:5";
    let report: Value = serde_json::from_str(&works(path, arguments)).expect("JSON");
    let maps = report["maps"].as_array().expect("maps");
    assert_eq!(maps.len(), 2 * 2 * 2, "two spots");
    let name = maps[0]["pixel_set"].as_str().expect("a name");
    assert!(name.starts_with("component@"), "{name}");
    for map in maps {
        let certificate = &map["certificate"];
        let error = certificate["completeness_error"].as_f64().expect("a number");
        assert!(error < 1e-4, "{certificate}");
        let hires = map["method"] == "seg-hires-grad-cam";
        let impossible = certificate["impossible"].as_f64().expect("a number");
        assert!(!hires || impossible == 0.0, "{certificate}");
    }
    let figure = format!("segcam-out/compare.{}.png", name.replace(['@', ','], "_"));
    assert!(path.join(&figure).exists(), "{figure}");
    for sheet in ["seg-grad-cam.mid", "seg-hires-grad-cam.dec1"] {
        assert!(path.join(format!("segcam-out/overview.{sheet}.png")).exists(), "{sheet}");
    }
    let labels = GrayImage::from_fn(48, 40, |x, _| Luma([if x < 24 { 3 } else { 9 }]));
    labels.save(path.join("ids.png")).expect("saved");
    let arguments =
        "explain --input spots.png --layer mid --json --pixels instances --instances ids.png";
    let report: Value = serde_json::from_str(&works(path, arguments)).expect("JSON");
    assert_eq!(report["maps"][2]["pixel_set"], "instance:9");
}

/// While maps of the next figure are computed.
#[test]
fn a_figure_that_cannot_be_written_ends_the_run() {
    let folder = folder_with_image();
    let path = folder.path();
    let explain = "explain --input spots.png --layer mid --json --pixels each:5 class --out";
    let report: Value =
        serde_json::from_str(&works(path, &format!("{explain} whole"))).expect("JSON");
    let sets = report["maps"].as_array().expect("maps").iter().map(|map| map["pixel_set"].as_str());
    let sets: Vec<&str> = sets.map(|set| set.expect("a name")).collect();
    assert!(sets.len() == 6 && sets[4..] == ["class"; 2], "{sets:?}");
    assert!(sets[0] == sets[1] && sets[1] != sets[2] && sets[2] == sets[3], "{sets:?}");
    let files: Vec<&str> =
        report["files"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    let [first, second, ..] = files[..] else { panic!("{files:?}") };
    fs::create_dir_all(path.join("out").join(second)).expect("a folder in the way");
    fails(path, &format!("{explain} out"), &["cannot write", second]);
    assert!(path.join("out").join(first).is_file(), "{first} was finished before");
}

#[test]
fn maps_can_be_smoothed_and_fused() {
    let folder = folder_with_image();
    let path = folder.path();
    for how in ["noise:3,0.05", "flips", "scales:0.8,1,1.25"] {
        let arguments = format!("explain --input spots.png --layer dec1 --smooth {how} --json");
        let report: Value = serde_json::from_str(&works(path, &arguments)).expect("JSON");
        let method = report["maps"][1]["method"].as_str().expect("a name");
        assert_eq!(method, format!("seg-hires-grad-cam+{how}"));
    }
    works(path, "explain --input spots.png --fuse product --out fused");
    assert!(path.join("fused/seg-grad-cam.product.png").exists());
}

#[test]
fn every_method_makes_a_map() {
    let folder = folder_with_image();
    let path = folder.path();
    let methods: Value = serde_json::from_str(&works(path, "methods --json")).expect("JSON");
    let methods = methods.as_array().expect("a list");
    let names: Vec<&str> = ["method", "over_pixel_set"]
        .iter()
        .flat_map(|form| methods.iter().filter_map(|method| method[*form].as_str()))
        .collect();
    assert_eq!(names.len(), 20);
    let arguments =
        format!("explain --input spots.png --layer mid --json --method {}", names.join(","));
    let report: Value = serde_json::from_str(&works(path, &arguments)).expect("JSON");
    let maps = report["maps"].as_array().expect("maps");
    let given: Vec<&str> = maps.iter().filter_map(|map| map["method"].as_str()).collect();
    assert_eq!(given, names);
}

#[test]
fn a_map_that_fails_is_one_failed_map() {
    let folder = folder_with_image();
    let path = folder.path();
    // At a fifth of its size the image has no such pixel, which the whole image does not mind.
    let arguments = "explain --input spots.png --layer mid --method grad-cam seg-grad-cam \
                     --smooth scales:0.2,1 --pixels pixel:10,10 class --quiet --save raw";
    let said = partly(path, arguments);
    assert_eq!(said.lines().count(), 1, "{said}");
    for words in ["pixel:10,10", "seg-grad-cam at mid", "none of its pixels is left"] {
        assert!(said.contains(words), "{said}");
    }
    let out = path.join("segcam-out");
    for file in [
        "grad-cam.mid.pixel-10_10.png",
        "grad-cam.mid.pixel-10_10.raw.npy",
        "compare.pixel-10_10.png",
    ] {
        assert!(out.join(file).exists(), "{file}");
    }
    assert!(out.join("seg-grad-cam.mid.class.png").exists(), "the other figure");
    assert!(!out.join("seg-grad-cam.mid.pixel-10_10.png").exists());
    let report = json(&out.join("report.json"));
    assert_eq!(report["maps"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["failures"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["failures"][0]["method"], "seg-grad-cam");
    assert_eq!(report["failures"][0]["layer"], "mid");
}

#[test]
fn a_set_that_fails_leaves_the_others_and_only_what_was_asked_for_fails() {
    let folder = folder_with_image();
    let path = folder.path();
    let said = partly(path, "explain --input spots.png --layer mid --pixels class pixel:99,0");
    assert!(said.contains("outside"), "{said}");
    let report = json(&path.join("segcam-out/report.json"));
    assert_eq!(report["maps"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["failures"][0]["method"], Value::Null);
    // Nothing is a nucleus here, and nobody said that there was one.
    GrayImage::new(48, 48).save(path.join("black.png")).expect("saved");
    works(path, "explain --input black.png --layer mid --class all --out all");
    assert_eq!(json(&path.join("all/report.json"))["failures"], serde_json::json!([]));
    assert!(
        partly(path, "explain --input black.png --layer mid --class 0,1 --quiet")
            .contains("is empty")
    );
}

#[test]
fn names_of_files_are_names_everywhere() {
    let folder = folder_with_image();
    let path = folder.path();
    works(path, "explain --input spots.png --method xres-cam:4 --fuse max --save raw");
    let out = path.join("segcam-out");
    for file in ["xres-cam-4.mid.png", "xres-cam-4.mid.raw.npy", "xres-cam-4.max.png"] {
        assert!(out.join(file).exists(), "{file}");
    }
    let report = json(&out.join("report.json"));
    assert_eq!(report["maps"][0]["method"], "xres-cam:4");
    assert_eq!(report["device"], "flex");
    for file in fs::read_dir(out).expect("a folder") {
        let name = file.expect("a file").file_name().into_string().expect("text");
        assert!(!name.contains(':'), "{name}");
    }
}

#[test]
fn a_report_is_one_file_that_loads_nothing() {
    let folder = folder_with_image();
    let path = folder.path();
    works(path, "explain --input spots.png --pixels class largest --layer mid --html --certify");
    let (_, data) = crate::reports::report(&path.join("segcam-out/report.html"));
    let report = json(&path.join("segcam-out/report.json"));
    assert!(report["files"].as_array().is_some_and(|files| files.contains(&"report.html".into())));
    // Both questions with the report's numbers.
    let maps: Vec<&Value> = data["cases"][0]["figures"]
        .as_array()
        .expect("figures")
        .iter()
        .flat_map(|figure| figure["maps"].as_array().expect("maps"))
        .collect();
    let wanted = report["maps"].as_array().expect("maps");
    assert_eq!(maps.len(), wanted.len());
    for (given, wanted) in maps.iter().zip(wanted) {
        for number in ["pixel_set", "score", "raw_min", "raw_max", "status", "certificate"] {
            assert_eq!(given["report"][number], wanted[number], "{number}");
        }
    }
    npy(&path.join("two.npy"), &[2, 1, 32, 32], &[0.5; 2048]);
    fails(path, "explain --input two.npy --pixels all --class 1 --html --out two", &["--html"]);
}
