//! One line for every mistake.

use std::fs;

use image::{GrayImage, Luma, Rgba, RgbaImage};
use tempfile::tempdir;

use crate::{fails, folder_with_image, npy, spots, works};

#[test]
fn wrong_words_get_one_line() {
    let folder = folder_with_image();
    let path = folder.path();
    for (arguments, says) in [
        (
            "explain --input spots.png --layer midd",
            &["midd", "`mid`", "enc1 enc2 enc3 mid", "`segcam layers`", "auto takes mid and dec1"]
                [..],
        ),
        ("studio missing --no-open", &["missing"]),
        ("studio --no-open --model espnet", &["--weights"]),
        ("studio --no-open --listen localhost", &["--listen"]),
        ("studio --no-open --listen 127.0.0.1:0 --port 1", &["--listen", "--port"]),
        ("explain --input spots.png --class 99", &["99", "0 to 1", "0 background, 1 nucleus"]),
        ("explain --input spots.png --class 2 --pixels threshold:0.5", &["class 2", "0 to 1"]),
        ("explain --input spots.png --class -1", &["`-1`", "nucleus"]),
        ("explain --input spots.png --class nuclei", &["did you mean `nucleus`"]),
        ("explain --input spots.png --pixels pixel:40,0", &["outside", "40×48"]),
        ("explain --input spots.png --pixels box:0,0,10,49", &["outside"]),
        ("explain --input spots.png --pixels pixel:1,2,3", &["column 10 "]),
        (
            "explain --input spots.png --pixels class|fn",
            &["error: pixel set `class|fn`: it needs an annotation (give --truth FILE)"],
        ),
        ("explain --input spots.png --pixels dilate(class", &["expected ,", "as in dilate(set,r)"]),
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
        ("explain --input spots.png --smooth noise:1e18,0.1", &["from 1 to 10000"]),
        ("explain --input spots.png --smooth noise:1e9,0.1", &["from 1 to 10000"]),
        ("explain --input spots.png --smooth noise:0,0.1", &["from 1 to 10000"]),
        ("explain --input spots.png --smooth noise:2.5,0.1", &["from 1 to 10000"]),
        ("explain --input spots.png --smooth scales:1e9", &["at most 16"]),
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
        #[cfg(not(feature = "tch"))]
        (
            "explain --input spots.png --device cuda",
            &["this build, which has flex", "--features tch", "LibTorch"],
        ),
        ("explain --input spots.png --colormap virdis", &["viridis"]),
        ("explain --input spots.png --normalize huge", &["huge", "min-max"]),
        ("explain --input spots.png --signed --normalize max", &["--signed", "--normalize"]),
        ("explain --input spots.png --positive --colormap blue-orange", &["for and against"]),
        ("explain --input spots.png --figure-width 17cm", &["85mm"]),
        ("explain --input spots.png --figure-width 30mm", &["from 35 to 2000"]),
        ("explain --input spots.png --save all", &["all", "raw"]),
        ("explain --input nowhere.png", &["nowhere.png"]),
        ("explain --input .", &["folder of pictures", "`segcam batch --input .`"]),
        ("explain spots.png", &["did you mean --input spots.png?"]),
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
        ("cut.png", &["cut.png", "cut off"][..]),
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
            &["retina-unet", "did you mean --model nuclei-unet"],
        ),
        ("--model vanilla-unet --weights own.safetensors", &["vanilla-unet", "nuclei-unet"]),
        ("--out a-file", &["a-file"]),
        ("--out a-file/below", &["a-file"]),
    ] {
        fails(path, &explain(rest), says);
    }
    works(path, &explain("--weights own.safetensors --layer mid"));
}
