//! ONNX files.

use std::fs;
use std::io::Write;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage, imageops};
use segcam::burn::tensor::{Device, Tensor, activation::relu};
use segcam::burn::{
    self,
    module::Module,
    nn::conv::{Conv2d, Conv2dConfig},
};
use segcam::models::{Pretrained, UNetConfig, Upsampling, load_weights};
use segcam::{Layers, SegmentationModel};
use segcam_tests::real_data;
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{
    compare_with_golden, copy_network, fails, folder_with_image, npy, pictures_of, spots, works,
};

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

#[test]
fn a_map_of_rounding_is_drawn_empty_and_says_so() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    copy_network("tiny-vnet.onnx", &path.join("net.onnx"));
    let layers: Value =
        serde_json::from_str(&works(path, "layers --model net.onnx --all --json")).expect("JSON");
    let layers = layers.as_array().expect("rows");
    // An InstanceNorm follows the first convolution.
    let first = layers.iter().find(|row| row["operator"] == "Conv").expect("a convolution");
    let first = first["layer"].as_str().expect("a name");
    let values: Vec<f32> = (0..12 * 16 * 16).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
    npy(&path.join("volume.npy"), &[1, 1, 12, 16, 16], &values);
    let explain = format!(
        "explain --model net.onnx --input volume.npy --class 1 --pixels all --layer {first} --svg --json"
    );
    let report: Value = serde_json::from_str(&works(path, &explain)).expect("JSON");
    let status = |at: usize| report["maps"][at]["status"][0].as_str().expect("a word");
    assert_eq!((status(0), status(1)), ("rounding", "positive"), "{report}");
    let svg = |at: usize| {
        let files = report["maps"][at]["files"].as_array().expect("files");
        let svg = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".svg"));
        fs::read_to_string(path.join("segcam-out").join(svg.expect("a figure"))).expect("text")
    };
    let colourful = |svg: &str| {
        let pixels = pictures_of(svg).into_iter().max_by_key(RgbImage::width).expect("the map");
        // Orange and blue, which no outline and no name of a side has.
        pixels.pixels().filter(|Rgb([r, g, b])| r.abs_diff(*b) > 60 && g < r.max(b)).count()
    };
    assert!(svg(0).contains("rounding only") && !svg(1).contains("rounding only"));
    let (empty, full) = (colourful(&svg(0)), colourful(&svg(1)));
    assert!(empty * 10 < full, "{empty} {full}");
    // A bar is a picture, too.
    assert_eq!(pictures_of(&svg(0)).len() + 1, pictures_of(&svg(1)).len());
}

/// Half as many rows and columns come out as go in.
#[derive(Module, Debug)]
struct Half {
    body: Conv2d,
    head: Conv2d,
}

impl SegmentationModel for Half {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let body = layers.name("body", self.body.forward(image));
        self.head.forward(layers.name("rectified", relu(body)))
    }
}

/// A mask of the image's size needs no option, whatever the size of what the network says.
#[test]
fn masks_follow_networks_that_say_less_than_they_see() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let net = segcam_tests::seeded_net(3, |device| Half {
        body: Conv2dConfig::new([1, 4], [2, 2]).with_stride([2, 2]).init(device),
        head: Conv2dConfig::new([4, 2], [1, 1]).init(device),
    });
    let onnx = segcam_tests::to_onnx(&net, [1, 1, 40, 48], ["body", "rectified"]);
    fs::write(path.join("half.onnx"), onnx).expect("written");
    let inside = |x: u32, y: u32| Luma([u8::from((10..30).contains(&x) && y < 20)]);
    for (name, factor) in [("same", 1), ("larger", 2)] {
        let size = (48 * factor, 40 * factor);
        spots(48, 40).save(path.join("same.png")).expect("saved");
        let large = imageops::resize(&spots(48, 40), size.0, size.1, imageops::FilterType::Nearest);
        large.save(path.join(format!("{name}.png"))).expect("saved");
        let mask = GrayImage::from_fn(size.0, size.1, |x, y| inside(x / factor, y / factor));
        mask.save(path.join(format!("{name}.mask.png"))).expect("saved");
        let explain = format!(
            "explain --model half.onnx --class 1 --layer auto --pixels truth --json --out {name} \
             --input {name}.png --truth {name}.mask.png"
        );
        let report: Value = serde_json::from_str(&works(path, &explain)).expect("JSON");
        assert_eq!(report["maps"][0]["pixels"][0], 10 * 10, "{name}");
    }
}

/// The weights say how many channels the paper's U-Net takes.
#[test]
fn a_grey_image_goes_into_a_vanilla_unet_for_colours() {
    let folder = folder_with_image();
    let path = folder.path();
    let mut shapes: Vec<(String, Vec<usize>)> = vec![];
    let mut block = |name: String, from: usize, to: usize| {
        for (number, from) in [(1, from), (2, to)] {
            shapes.push((format!("{name}.conv{number}.weight"), vec![to, from, 3, 3]));
            shapes.push((format!("{name}.conv{number}.bias"), vec![to]));
            let of_norm = ["weight", "bias", "running_mean", "running_var"];
            shapes.extend(of_norm.map(|part| (format!("{name}.norm{number}.{part}"), vec![to])));
        }
    };
    let widths = [64, 128, 256, 512, 1024];
    block("middle".into(), 512, 1024);
    for level in 0..4 {
        let before = if level == 0 { 3 } else { widths[level - 1] };
        block(format!("encoder.{level}"), before, widths[level]);
        block(format!("decoder.{level}.block"), 2 * widths[level], widths[level]);
    }
    for level in 0..4 {
        let shape = vec![widths[level + 1], widths[level], 2, 2];
        shapes.push((format!("decoder.{level}.up.weight"), shape));
        shapes.push((format!("decoder.{level}.up.bias"), vec![widths[level]]));
    }
    shapes.push(("out.weight".into(), vec![2, 64, 1, 1]));
    shapes.push(("out.bias".into(), vec![2]));
    let mut end = 0;
    let entries = shapes.into_iter().map(|(name, shape)| {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        (name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }))
    });
    let header = Value::from(entries.collect::<serde_json::Map<_, _>>()).to_string();
    let mut file = fs::File::create(path.join("rgb.safetensors")).expect("created");
    file.write_all(&(header.len() as u64).to_le_bytes()).expect("written");
    file.write_all(header.as_bytes()).expect("written");
    // All weights are zeros, which take no room.
    file.set_len((8 + header.len() + end) as u64).expect("as long as it says");

    let explain = "explain --model vanilla-unet --weights rgb.safetensors --input spots.png \
                   --class 0 --pixels all --layer out --method hires-cam --json";
    let report: Value = serde_json::from_str(&works(path, explain)).expect("JSON");
    assert_eq!(report["input_shape"], json!([1, 3, 40, 48]));
    assert!(report["notes"].to_string().contains("its brightness goes into all three channels"));
}

/// A file may fix how many images it takes.
#[test]
fn a_network_for_two_images_lists_its_layers() {
    let folder = tempdir().expect("a folder");
    let config = UNetConfig::new(1, 2).with_widths(vec![4, 8]).with_batch_norm(false);
    let config = config.with_upsampling(Upsampling::Nearest);
    let unet = segcam_tests::seeded_net(5, |device| config.init(device));
    let onnx = segcam_tests::to_onnx(&unet, [2, 1, 40, 48], ["mid", "dec1"]);
    fs::write(folder.path().join("two.onnx"), onnx).expect("written");
    let layers = works(folder.path(), "layers --model two.onnx --json");
    let layers: Value = serde_json::from_str(&layers).expect("JSON");
    let layers = layers.as_array().expect("rows");
    assert!(layers.len() >= 2 && layers.iter().all(|row| row["shape"][0] == 2), "{layers:?}");
}

/// `small.onnx`: a random network for grey images of so many rows and columns.
pub(crate) fn write_small(folder: &Path, [rows, columns]: [usize; 2]) {
    let config = UNetConfig::new(1, 2).with_widths(vec![4, 8]).with_batch_norm(false);
    let config = config.with_upsampling(Upsampling::Nearest);
    let unet = segcam_tests::seeded_net(5, |device| config.init(device));
    let onnx = segcam_tests::to_onnx(&unet, [1, 1, rows, columns], ["mid", "dec1"]);
    fs::write(folder.join("small.onnx"), onnx).expect("written");
}

#[test]
fn an_onnx_file_is_explained_on_an_image() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let copy = |from: &str, to: &str| copy_network(from, &path.join(to));
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
