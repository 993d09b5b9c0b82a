//! The program as users meet it: what it writes, and one line for every mistake.

mod evaluate;
mod onnx;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use segcam_tests::real_data;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

fn segcam(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segcam"))
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .output()
        .expect("the program starts")
}

fn works(folder: &Path, arguments: &str) -> String {
    let output = segcam(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "segcam {arguments}\n{stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// Fails with exit code 2 and one line that holds every one of `says`.
fn fails(folder: &Path, arguments: &str, says: &[&str]) {
    let output = segcam(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "segcam {arguments}\n{stderr}");
    assert_eq!(stderr.lines().count(), 1, "segcam {arguments}\n{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(stderr.len() < 700, "{} bytes: {}", stderr.len(), stderr.split_at(300).0);
    assert!(!stderr.contains("panicked"), "{stderr}");
    for word in says {
        assert!(stderr.contains(word), "segcam {arguments}\n{stderr} does not say {word}");
    }
}

/// A folder with a picture of two bright spots.
fn folder_with_image() -> TempDir {
    let folder = tempdir().expect("a folder");
    spots(48, 40).save(folder.path().join("spots.png")).expect("saved");
    folder
}

fn spots(width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        let spot = |cy: f32, cx: f32| {
            let distance = (y as f32 - cy).hypot(x as f32 - cx);
            if distance < 7.0 { 180.0 } else { 0.0 }
        };
        Luma([(20.0 + spot(12.0, 12.0) + spot(26.0, 34.0)) as u8])
    })
}

fn npy(path: &Path, shape: &[u64], values: &[f32]) {
    use npyz::WriterBuilder;
    let file = fs::File::create(path).expect("created");
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(file).begin_nd().expect("header");
    writer.extend(values.iter().copied()).expect("values");
    writer.finish().expect("finished");
}

fn read_npy(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let bytes = fs::read(path).expect("read");
    let file = npyz::NpyFile::new(&bytes[..]).expect("an array");
    (file.shape().to_vec(), file.into_vec().expect("float32"))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("read")).expect("json")
}

fn without(keys: &[&str], mut report: Value) -> Value {
    let fields = report.as_object_mut().expect("an object");
    keys.iter().for_each(|key| drop(fields.remove(*key)));
    for map in fields["maps"].as_array_mut().expect("maps") {
        map.as_object_mut().expect("an object").remove("seconds");
    }
    report
}

#[test]
fn demo_is_repeatable_and_shows_one_nucleus() {
    let folder = tempdir().expect("a folder");
    let said = works(folder.path(), "demo --out a");
    assert!(said.contains("compare.png") && said.contains("seg-hires-grad-cam"), "{said}");
    works(folder.path(), "demo --out b --quiet");
    let at = |path: &str| folder.path().join(path);
    for picture in ["compare.png", "input.png", "nucleus.seg-hires-grad-cam.dec1.png"] {
        let (a, b) = (fs::read(at("a").join(picture)), fs::read(at("b").join(picture)));
        assert_eq!(a.expect("read"), b.expect("read"), "{picture}");
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
    assert!(heat.iter().all(|value| (0.0..=1.0).contains(value)));
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

#[test]
fn lists_are_tables_or_json() {
    let folder = tempdir().expect("a folder");
    let layers = works(folder.path(), "layers");
    let names: Vec<&str> =
        layers.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.first(), Some(&"enc1.conv1"));
    assert_eq!(names.last(), Some(&"out"));
    for name in ["enc1", "enc3", "mid", "mid.conv2", "dec3", "dec1.up", "dec1"] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for (list, member) in [
        ("models", "espnet"),
        ("methods", "seg-hires-grad-cam"),
        ("pixels", "component@y,x"),
        ("devices", "flex"),
    ] {
        assert!(works(folder.path(), list).contains(member));
        let rows: Value =
            serde_json::from_str(&works(folder.path(), &format!("{list} --json"))).expect("json");
        assert!(rows.to_string().contains(member));
    }
    for model in ["nuclei-unet", "retina-unet", "vanilla-unet", "espnet", "meshnet"] {
        assert!(works(folder.path(), &format!("layers --model {model}")).contains("out"));
    }
    assert!(works(folder.path(), "explain --help").contains("Examples:"));
}

#[test]
fn wrong_words_get_one_line() {
    let folder = folder_with_image();
    let path = folder.path();
    for (arguments, says) in [
        ("explain --input spots.png --layer midd", &["midd", "mid", "dec1"][..]),
        ("explain --input spots.png --class 99", &["99", "0 to 1"]),
        ("explain --input spots.png --class 2 --pixels threshold:0.5", &["class 2", "0 to 1"]),
        ("explain --input spots.png --class -1", &["`-1`", "nucleus"]),
        ("explain --input spots.png --class nuclei", &["did you mean `nucleus`"]),
        ("explain --input spots.png --pixels pixel:40,0", &["outside", "40×48"]),
        ("explain --input spots.png --pixels box:0,0,10,49", &["outside"]),
        ("explain --input spots.png --pixels pixel:1,2,3", &["column 10 "]),
        ("explain --input spots.png --pixels class|fn", &["column 9 ", "--truth"]),
        ("explain --input spots.png --pixels box:10,20,64", &["a place is y,x"]),
        ("explain --input spots.png --pixels class&bx:1,2,3,4", &["did you mean `box`"]),
        ("explain --model espnet --input spots.png", &["--weights"]),
        ("explain --input spots.png --pixels instance:1", &["--instances"]),
        ("explain --input spots.png --pixels dilate(clas,2)", &["did you mean `class`"]),
        ("explain --input spots.png --pixels contrast:nuclei", &["did you mean `nucleus`"]),
        ("explain --input spots.png --pixels contrast:1 --class 1", &["with itself"]),
        ("explain --input spots.png --pixels component@0,0", &["empty"]),
        ("explain --input spots.png --pixels nth:3", &["component"]),
        ("explain --input spots.png --pixels entropy:0.9999999", &["largest value"]),
        ("explain --input spots.png --pixels polygon:0,0;20,20;20,0;0,20", &["crosses itself"]),
        ("explain --input spots.png --smooth blur", &["noise:", "scales:"]),
        ("explain --input spots.png --fuse sum", &["mean", "product"]),
        ("explain --input spots.png --method xres-cam:0", &["xres-cam:4"]),
        ("pixels --input spots.png --show erode(class,40)", &["nothing is left"]),
        ("pixels --show class", &["--input"]),
        ("explain --input spots.png --pixels clas", &["column 1 "]),
        ("explain --input spots.png --pixels box:9,9,5,5", &["corner"]),
        ("explain --input spots.png --method grad-cam --pixels pixel:99,0", &["outside"]),
        ("explain --input spots.png --pixels threshold:2", &["column 11"]),
        ("explain --input spots.png --method seg-gradcam", &["seg-grad-cam"]),
        ("explain --input spots.png --model unet", &["nuclei-unet"]),
        ("explain --input spots.png --model espnet", &["weights"]),
        ("explain --input spots.png --device vulkan:0", &["vulkan", "feature"]),
        #[cfg(not(feature = "remote"))]
        ("serve", &["feature `remote`"]),
        ("explain --input spots.png --device flux", &["did you mean `flex`"]),
        ("explain --input spots.png --colormap virdis", &["viridis"]),
        ("explain --input spots.png --normalize huge", &["huge", "min-max"]),
        ("explain --input spots.png --save all", &["all", "raw"]),
        ("explain --input nowhere.png", &["nowhere.png"]),
        ("explain --input .", &["cannot"]),
        ("explain", &["--input"]),
        ("expalin", &["expalin", "explain"]),
    ] {
        fails(path, arguments, says);
    }
    let endless = format!("all{}", "|all".repeat(20_000));
    fails(path, &format!("explain --input spots.png --pixels {endless}"), &["256 operators"]);
    assert!(!path.join("segcam-out").exists(), "a failed run leaves nothing behind");
}

#[test]
fn bad_images_get_one_line() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let whole = {
        spots(48, 40).save(path.join("whole.png")).expect("saved");
        fs::read(path.join("whole.png")).expect("read")
    };
    fs::write(path.join("cut.png"), &whole[..whole.len() / 2]).expect("written");
    fs::write(path.join("empty.png"), []).expect("written");
    fs::write(path.join("garbage.png"), [7; 999]).expect("written");
    GrayImage::from_pixel(1, 1, Luma([9])).save(path.join("1x1.png")).expect("saved");
    GrayImage::from_pixel(7, 5, Luma([9])).save(path.join("7x5.png")).expect("saved");
    GrayImage::new(48, 48).save(path.join("black.png")).expect("saved");
    RgbaImage::from_pixel(32, 32, Rgba([9, 9, 9, 50])).save(path.join("clear.png")).expect("saved");
    let numbers = [0.5; 3 * 32 * 32];
    npy(&path.join("three.npy"), &[3, 32, 32], &numbers);
    npy(&path.join("volume.npy"), &[1, 3, 32, 32, 1], &numbers);
    npy(&path.join("flat.npy"), &[3 * 32 * 32], &numbers);
    npy(&path.join("none.npy"), &[1, 0, 32], &[]);
    let mut broken = [0.5; 32 * 32];
    broken[77] = f32::NAN;
    npy(&path.join("nan.npy"), &[1, 32, 32], &broken);
    let bytes = fs::read(path.join("three.npy")).expect("read");
    fs::write(path.join("cut.npy"), &bytes[..bytes.len() - 10]).expect("written");
    fs::write(path.join("garbage.npy"), [7; 999]).expect("written");
    let huge = String::from_utf8_lossy(&bytes[..128])
        .replace("(3, 32, 32)", "(3, 99999999999, 99999999999)")
        .into_bytes();
    fs::write(path.join("huge.npy"), huge).expect("written");
    for (input, says) in [
        ("cut.png", &["cut.png"][..]),
        ("empty.png", &["empty.png", "PNG, JPEG or TIFF"]),
        ("garbage.png", &["garbage.png", "PNG, JPEG or TIFF"]),
        ("1x1.png", &["at least 8×8", "1×1"]),
        ("7x5.png", &["at least 8×8", "5×7"]),
        ("black.png", &["only background"]),
        ("clear.png", &["transparent"]),
        ("three.npy", &["takes 1 channel", "has 3"]),
        ("volume.npy", &["images"]),
        ("flat.npy", &["images", "[3072]"]),
        ("none.npy", &["none.npy", "no values"]),
        ("nan.npy", &["input", "1 NaN"]),
        ("cut.npy", &["cut off"]),
        ("garbage.npy", &["no .npy"]),
        ("huge.npy", &["huge.npy"]),
    ] {
        fails(path, &format!("explain --input {input}"), says);
    }
    fails(path, "explain --input black.png --class 1", &["`class` of class 1 is empty"]);
}

#[test]
fn bad_weights_and_folders_get_one_line() {
    let folder = folder_with_image();
    let path = folder.path();
    let own = include_bytes!("../../../segcam-models/weights/nuclei-unet.safetensors");
    fs::write(path.join("cut.safetensors"), &own[..own.len() / 2]).expect("written");
    fs::write(path.join("empty.safetensors"), []).expect("written");
    fs::write(path.join("garbage.safetensors"), [200; 999]).expect("written");
    fs::write(path.join("own.safetensors"), own).expect("written");
    for name in ["empty", "garbage"] {
        let bytes: &[u8] = if name == "empty" { &[] } else { &[200; 999] };
        fs::write(path.join(format!("{name}.pth")), bytes).expect("written");
    }
    fs::write(path.join("weights.bin"), own).expect("written");
    fs::write(path.join("a-file"), "").expect("written");
    let explain = |rest: &str| format!("explain --input spots.png {rest}");
    for (rest, says) in [
        ("--weights cut.safetensors", &["cut.safetensors"][..]),
        ("--weights empty.safetensors", &["empty.safetensors"]),
        ("--weights garbage.safetensors", &["garbage.safetensors"]),
        ("--weights empty.pth", &["empty.pth"]),
        ("--weights garbage.pth", &["garbage.pth"]),
        ("--weights nowhere.pth", &["nowhere.pth"]),
        ("--weights weights.bin", &[".safetensors"]),
        ("--weights .", &["."]),
        (
            "--model retina-unet --weights own.safetensors",
            &["retina-unet", "missing", "unexpected"],
        ),
        ("--model vanilla-unet --weights own.safetensors", &["vanilla-unet", "needs", "has"]),
        ("--out a-file", &["a-file"]),
        ("--out a-file/below", &["a-file"]),
    ] {
        fails(path, &explain(rest), says);
    }
    works(path, &explain("--weights own.safetensors --layer mid"));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_segcam"))
        .arg("models")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
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
fn volumes_show_the_slice_of_the_pixel_set() {
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
    assert_eq!(report["slices"][0], 7);
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

/// The maps in the folder `out` beside the golden ones: each layer, and its name in the files.
fn compare_with_golden(folder: &Path, golden: &segcam_tests::Fixture, layers: [(&str, &str); 2]) {
    for (layer, file) in layers {
        for (method, name) in
            [("seg-grad-cam", "seg_grad_cam"), ("seg-hires-grad-cam", "seg_hires_grad_cam")]
        {
            for (kind, key, tolerance) in [("raw", "raw", 1e-4), ("heat", "final", 1e-3)] {
                let file = format!("out/{method}.{file}.{kind}.npy");
                let (_, given) = read_npy(&folder.join(&file));
                let wanted = golden.tensor::<4>(&format!("{key}.predicted.{layer}.{name}"));
                let error = segcam_tests::relative_error(&given, &segcam_tests::host(&wanted));
                assert!(error < tolerance, "{file}: {error:e}");
            }
        }
    }
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
    for class in [0, 1] {
        for set in [1, 2] {
            assert!(path.join(format!("out/compare.class{class}.set{set}.png")).exists());
        }
    }
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
fn the_graph_is_shown_and_its_operations_can_be_explained() {
    let folder = folder_with_image();
    let path = folder.path();
    let said = works(path, "graph --input spots.png");
    assert!(said.contains("captured, 59 operations") && said.contains("simplified, "), "{said}");
    let (_, simplified) = said.split_once("simplified").expect("both");
    assert!(!simplified.contains("= batch_norm("), "{simplified}");
    assert!(works(path, "layers --all").contains("batch_norm.1"));
    works(path, "explain --input spots.png --layer batch_norm.1 --out out");
    assert!(path.join("out/seg-hires-grad-cam.batch_norm.1.png").exists());
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
    truth(40, 7).save(path.join("other.png")).expect("saved");
    RgbImage::new(48, 40).save(path.join("colour.png")).expect("saved");
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
    assert!(path.join("segcam-out/compare.part2.png").exists());
    let labels = GrayImage::from_fn(48, 40, |x, _| Luma([if x < 24 { 3 } else { 9 }]));
    labels.save(path.join("ids.png")).expect("saved");
    let arguments =
        "explain --input spots.png --layer mid --json --pixels instances --instances ids.png";
    let report: Value = serde_json::from_str(&works(path, arguments)).expect("JSON");
    assert_eq!(report["maps"][2]["pixel_set"], "instance:9");
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
        assert!(drawn || form.contains([' ', '!']), "{form} is not in the picture");
        let docs = include_str!("../../../../docs/pixel-sets.md");
        assert!(docs.contains(&format!("`{word}")) || form.contains([' ', '!']), "{form}");
    }
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
