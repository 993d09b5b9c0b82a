//! The program as users meet it: what it writes, and one line for every mistake.

mod batch;
mod demo;
mod evaluate;
mod explain;
mod figures;
mod listing;
mod mistakes;
mod onnx;
mod pixels;
mod reports;
mod scans;
mod slides;
mod truth;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{GrayImage, Luma, RgbImage};
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

/// What a program says that did what it could: exit code 2, and a line for each failure.
fn partly(folder: &Path, arguments: &str) -> String {
    let output = segcam(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.lines().all(|line| line.starts_with("error: ")), "{stderr}");
    stderr
}

/// Puts a small network of the tests' into a folder.
fn copy_network(from: &str, to: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/onnx");
    std::fs::copy(fixtures.join(from), to).expect("copied");
}

/// A scan in two files that are not called the same: `{name}.mhd`, and the voxels it names.
fn in_two_files(folder: &Path, name: &str, size: [usize; 3], values: impl Iterator<Item = f32>) {
    let [width, height, depth] = size;
    let header = format!(
        "ObjectType = Image\nNDims = 3\nDimSize = {width} {height} {depth}\n\
         ElementType = MET_FLOAT\nElementSpacing = 1 1 1\nElementByteOrderMSB = False\n\
         ElementDataFile = voxels of {name}.raw\n"
    );
    std::fs::write(folder.join(format!("{name}.mhd")), header).expect("written");
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    std::fs::write(folder.join(format!("voxels of {name}.raw")), bytes).expect("written");
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

/// The pictures in an SVG file, in their order.
fn pictures_of(svg: &str) -> Vec<RgbImage> {
    let pictures = svg.split("data:image/png;base64,").skip(1);
    let picture = |rest: &str| {
        let text = rest.split('"').next().expect("an end");
        let bytes = STANDARD.decode(text).expect("base64");
        image::load_from_memory(&bytes).expect("a picture").into_rgb8()
    };
    pictures.map(picture).collect()
}

/// What a PNG file says of itself.
fn png_texts(path: &Path) -> Vec<String> {
    let file = fs::File::open(path).expect("a picture");
    let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
    let texts = reader.info().utf8_text.iter();
    texts.map(|text| format!("{}: {}", text.keyword, text.get_text().expect("text"))).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("read")).expect("json")
}

/// Whether a number of a text is that of a table, which holds its bits: serde_json reads to the last place
/// but one.
fn same(read: Option<f64>, wanted: Option<f64>) -> bool {
    match (read, wanted) {
        (Some(read), Some(wanted)) => (read - wanted).abs() <= f64::EPSILON * wanted.abs(),
        _ => read == wanted,
    }
}

fn without(keys: &[&str], mut report: Value) -> Value {
    let fields = report.as_object_mut().expect("an object");
    keys.iter().for_each(|key| drop(fields.remove(*key)));
    for map in fields["maps"].as_array_mut().expect("maps") {
        map.as_object_mut().expect("an object").remove("seconds");
    }
    report
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
