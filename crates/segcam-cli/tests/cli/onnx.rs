//! ONNX files.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use segcam::burn::tensor::Device;
use segcam::models::{Pretrained, UNetConfig, Upsampling, load_weights};
use segcam_tests::real_data;
use serde_json::Value;
use tempfile::tempdir;

use super::{compare_with_golden, fails, npy, works};

#[test]
fn the_program_gives_the_golden_maps_of_an_onnx_file() {
    let Some(data) = real_data("retina_unet") else { return };
    let golden = segcam_tests::Fixture::open(&data.join("golden.safetensors"));
    let weights = data.join("unet_drive.safetensors");
    let unet = Pretrained::retina_config().init(&Device::flex());
    let unet = load_weights(unet, &weights, Pretrained::retina_key).expect("weights that fit");
    let folder = tempdir().expect("a folder");
    let onnx = segcam_tests::to_onnx(&unet, [1, 1, 192, 192], ["mid", "dec1"]);
    std::fs::write(folder.path().join("retina.onnx"), &onnx).expect("written");
    let file = segcam::onnx::OnnxFile::from_bytes(onnx).expect("a model");
    let [_, mid, dec1] = file.outputs()[..] else { panic!("{:?}", file.outputs()) };
    std::fs::write(folder.path().join("retina.toml"), "classes = ['background', 'vessel']")
        .expect("written");
    let input = segcam_tests::host(&golden.tensor::<4>("input"));
    npy(&folder.path().join("input.npy"), &[1, 1, 192, 192], &input);
    works(
        folder.path(),
        &format!(
            "explain --model retina.onnx --input input.npy --class vessel --quiet \
             --save raw,heat --layer {mid},{dec1} --normalize min-max --out out"
        ),
    );
    compare_with_golden(folder.path(), &golden, [("mid", mid), ("dec1", dec1)]);
}

/// `small.onnx`: a random network for grey images of 40 rows and 48 columns.
pub(crate) fn write_small(folder: &Path) {
    let config = UNetConfig::new(1, 2).with_widths(vec![4, 8]).with_batch_norm(false);
    let config = config.with_upsampling(Upsampling::Nearest);
    let unet = segcam_tests::seeded_net(5, |device| config.init(device));
    let onnx = segcam_tests::to_onnx(&unet, [1, 1, 40, 48], ["mid", "dec1"]);
    fs::write(folder.join("small.onnx"), onnx).expect("written");
}

#[test]
fn an_onnx_file_is_explained_on_an_image() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/onnx");
    let copy = |from: &str, to: &str| {
        fs::copy(fixtures.join(from), path.join(to)).expect("copied");
    };
    copy("tiny-deeplab.onnx", "net.onnx");
    copy("tiny-vnet.onnx", "volume.onnx");
    copy("tiny-argmax.onnx", "argmax.onnx");
    RgbImage::from_fn(90, 60, |x, y| Rgb([x as u8 * 2, y as u8 * 4, 90]))
        .save(path.join("photo.png"))
        .expect("written");
    GrayImage::from_fn(90, 60, |x, _| Luma([x as u8]))
        .save(path.join("gray.png"))
        .expect("written");

    let rows: Value =
        serde_json::from_str(&works(path, "layers --model net.onnx --json")).expect("JSON");
    let rows = rows.as_array().expect("rows");
    let auto = rows.iter().filter(|row| row["auto"] == true).count();
    assert!(auto == 2 && rows.len() > 3, "{rows:?}");
    assert!(rows.iter().all(|row| row["operator"].is_string()), "{rows:?}");
    let all = works(path, "layers --model net.onnx --json --all");
    assert!(all.matches("\"operator\": \"Conv\"").count() > 5, "{all}");
    works(path, "layers --model volume.onnx");
    copy("tiny-unet-11.onnx", "fixed.onnx");
    let report =
        works(path, "explain --model fixed.onnx --input gray.png --pixels all --class 1 --json");
    let changed = "resized from 60 × 90 to 32 × 48 pixels";
    assert!(report.contains(changed) && !report.contains("proportions"), "{report}");
    let square = GrayImage::from_fn(64, 64, |x, _| Luma([x as u8]));
    square.save(path.join("square.png")).expect("written");
    let report =
        works(path, "explain --model fixed.onnx --input square.png --pixels all --class 1 --json");
    assert!(report.contains("which changes its proportions"), "{report}");
    npy(&path.join("volume.npy"), &[1, 1, 14, 20, 16], &[0.5; 14 * 20 * 16]);
    fails(path, "explain --model volume.onnx --input volume.npy", &["(try --window 12x16x16)"]);

    // The picture has the size of the photo, whatever the network's input is.
    let explain = "explain --model net.onnx --input photo.png --layer auto --out out --json";
    let report: Value = serde_json::from_str(&works(path, explain)).expect("JSON");
    assert_eq!(report["engine"], "graph");
    assert!(report["notes"][0].as_str().expect("a note").contains("divided by 255"), "{report}");
    let file = report["maps"][0]["files"][0].as_str().expect("a picture").to_string();
    assert!(!file.contains('/'), "{file}");
    let alone = image::open(path.join("out").join(&file)).expect("a picture");
    // Enlarged by a whole factor, beside a colour bar and above a caption.
    assert!(
        alone.width() > 90 * 5 && alone.height() > 60 * 5,
        "{:?}",
        (alone.width(), alone.height())
    );

    let long = "/stage1/body/body.0/body.0.2/HardSwish_output_0";
    let long_named =
        format!("{explain} --svg --fuse mean --layer {long}").replace("--layer auto ", "");
    let report: Value = serde_json::from_str(&works(path, &long_named)).expect("JSON");
    assert_eq!(report["maps"][0]["layer"], long);
    for file in ["compare.svg", "seg-grad-cam.mean.svg"] {
        let svg = fs::read_to_string(path.join("out").join(file)).expect("a text");
        assert!(
            svg.contains("/stage1/…y.0.2/HardSwish_output_0") && !svg.contains("body"),
            "{file}"
        );
    }

    fs::write(path.join("net.toml"), "classes = ['a', 'b', 'c']\n[input]\nmean = [0.5]\n")
        .expect("written");
    let report: Value =
        serde_json::from_str(&works(path, &format!("{explain} --class b --pixels all")))
            .expect("JSON");
    assert_eq!(report["maps"][0]["class_name"], "b");
    // Of the card nothing is said.
    let size = "the image is resized from 60 × 90 to 32 × 48 pixels";
    assert_eq!(report["notes"], serde_json::json!([size]));
    let grey = works(path, "explain --model net.onnx --input gray.png --class b --pixels all");
    assert!(grey.contains("its brightness goes into all three channels"), "{grey}");
    let said = works(path, "explain --model argmax.onnx --input photo.png --out out");
    assert!(said.contains("before ArgMax"), "{said}");

    for (arguments, says) in [
        ("--model net.onnx --input photo.png --mean 1,2", &["mean", "3 channel"][..]),
        ("--model net.onnx --input photo.png --std 0", &["std"]),
        ("--model net.onnx --input photo.png --size 9", &["512x1024"]),
        ("--model net.onnx --input photo.png --weights a.pth", &["drop --weights"]),
        ("--model net.onnx --input photo.png --output nothing", &["no tensor is named `nothing`"]),
        (
            "--model net.onnx --input photo.png --layer nothing",
            &["no layer", " known layers: ", "`segcam layers`"],
        ),
        ("--model net.onnx --input photo.png --layer output_0", &["layers end in `output_0`"]),
        ("--model argmax.onnx --input photo.png --class tumour", &["0 to", "a card"]),
        ("--model none.onnx --input photo.png", &["cannot read none.onnx"]),
        ("--model photo.onx --input photo.png", &["or an .onnx file"]),
        ("--model volume.onnx --input photo.png", &["takes volumes"]),
        ("--input photo.png --mean 1", &["--mean is for .onnx files"]),
    ] {
        fails(path, &format!("explain {arguments}"), says);
    }
    fs::copy(path.join("photo.png"), path.join("picture.onnx")).expect("copied");
    fails(path, "layers --model picture.onnx", &["no ONNX model"]);
    fs::write(path.join("net.toml"), "clases = []").expect("written");
    fails(path, "layers --model net.onnx", &["net.toml", "unknown field `clases`"]);
}
