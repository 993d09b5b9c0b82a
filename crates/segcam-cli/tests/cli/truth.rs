//! Annotations: what is done to the image is done to them, and what their labels mean.

use std::fs;
use std::path::Path;

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, imageops};
use segcam::annotations::GroundTruth;
use segcam::burn::tensor::{Device, Tensor};
use segcam::models::{Network, Pretrained};
use segcam_cli::annotations::Annotations;
use segcam_cli::ask::{Asked, ask};
use segcam_cli::draw::draw;
use segcam_cli::explain::{How, explain};
use segcam_cli::files::File;
use segcam_cli::network::Model;
use segcam_cli::print::Print;
use segcam_cli::read::Input;
use segcam_cli::scene::{Scene, Style};
use serde_json::Value;
use tempfile::tempdir;

use crate::{fails, folder_with_image, npy, pictures_of, read_npy, spots, works};

fn report(folder: &Path, arguments: &str) -> Value {
    serde_json::from_str(&works(folder, &format!("{arguments} --json"))).expect("JSON")
}

fn notes(report: &Value) -> String {
    report["notes"].to_string()
}

/// The bright spots, as many tools write a mask.
fn mask(of: impl Fn(bool, u32) -> u8) -> GrayImage {
    let image = spots(48, 40);
    GrayImage::from_fn(48, 40, |x, y| Luma([of(image.get_pixel(x, y).0[0] > 100, x)]))
}

#[test]
fn masks_of_0_and_255_have_a_foreground() {
    let folder = folder_with_image();
    let path = folder.path();
    mask(|inside, _| u8::from(inside)).save(path.join("one.png")).expect("saved");
    mask(|inside, _| if inside { 255 } else { 0 }).save(path.join("white.png")).expect("saved");
    mask(|inside, _| if inside { 7 } else { 0 }).save(path.join("seven.png")).expect("saved");
    let void = |inside: bool, x| if x < 4 { 255 } else { u8::from(inside) };
    mask(void).save(path.join("void.png")).expect("saved");
    mask(|_, _| 255).save(path.join("all.png")).expect("saved");
    let three = |inside: bool, x| if x < 4 { 255 } else { 128 * u8::from(inside) };
    mask(three).save(path.join("three.png")).expect("saved");

    let of = |truth: &str| {
        report(path, &format!("explain --input spots.png --layer mid --truth {truth} --pixels tp"))
    };
    let one = of("one.png");
    let dice = one["judged"][0]["dice"].as_f64().expect("a number");
    assert!(dice > 0.8, "{dice}");
    for (file, label) in [("white.png", "255"), ("seven.png", "7")] {
        let same = of(file);
        assert_eq!(same["judged"], one["judged"]);
        assert!(notes(&same).contains(&format!("label {label} is the foreground")));
    }
    let left_out = of("void.png");
    assert!(notes(&left_out).contains("160 of 1920 pixels are left out"), "{}", notes(&left_out));
    assert_eq!(of("void.png --ignore 255")["judged"], left_out["judged"]);
    assert_eq!(of("three.png --truth-map 128:1 --ignore 255")["judged"], left_out["judged"]);
    assert_eq!(of("three.png --truth-map 128:1")["judged"], left_out["judged"]);
    assert_eq!(of("white.png --truth-map 255:1")["judged"], one["judged"]);

    let explain = "explain --input spots.png --layer mid --pixels tp --truth";
    for (arguments, says) in [
        ("all.png", &["every pixel has label 255", "--ignore 255", "--truth-map 255:1"][..]),
        ("three.png", &["[0, 128, 255]", "--truth-map"]),
        ("white.png --ignore 255", &["empty"]),
        ("white.png --ignore none", &["255", "2 classes"]),
        ("one.png --ignore two", &["none"]),
        ("one.png --truth-map 1:x", &["128:1,255:2"]),
        ("one.png --truth-map city", &["cityscapes"]),
    ] {
        fails(path, &format!("{explain} {arguments}"), says);
    }
}

#[test]
fn labels_that_are_not_listed_can_be_one_class() {
    let folder = folder_with_image();
    let path = folder.path();
    mask(|inside, _| u8::from(inside)).save(path.join("one.png")).expect("saved");
    let organs = |inside: bool, x: u32| if inside { 2 + (x % 2) as u8 } else { 4 + (x % 30) as u8 };
    mask(organs).save(path.join("organs.png")).expect("saved");
    let explain = "explain --input spots.png --layer mid --pixels tp --truth";
    fails(path, &format!("{explain} organs.png"), &["--truth-map FROM:TO,…,*:0"]);
    let of = |truth: &str| report(path, &format!("{explain} {truth}"))["judged"].clone();
    assert_eq!(of("organs.png --truth-map 2:1,3:1,*:0"), of("one.png"));
    let left_out = of("organs.png --truth-map 2:1,*:0 --ignore 3");
    assert_ne!(left_out, of("one.png"));
    fails(path, &format!("{explain} organs.png --truth-map *:x"), &["*:0"]);
}

/// A table without rows is no result.
#[test]
fn an_evaluation_that_measures_nothing_fails_and_does_not_block_the_next() {
    let folder = folder_with_image();
    let path = folder.path();
    mask(|_, x| u8::from(x > 46)).save(path.join("elsewhere.png")).expect("saved");
    mask(|inside, _| if inside { 255 } else { 0 }).save(path.join("white.png")).expect("saved");
    let evaluate = "evaluate --input spots.png --layer mid --pixels tp --metric leak --out out";
    let says = ["nothing could be measured", "spots.png", "empty"];
    fails(path, &format!("{evaluate} --truth elsewhere.png"), &says);
    let said = works(path, &format!("{evaluate} --truth white.png"));
    assert!(said.contains("label 255 is the foreground"), "{said}");
}

/// The retina's network wants sides that are multiples of 4: images are padded, and so are masks.
#[test]
fn masks_of_drive_need_no_options() {
    let Some(data) = segcam_tests::real_data("retina_unet") else { return };
    let folder = tempdir().expect("a folder");
    let weights = data.join("unet_drive.safetensors");
    for (image, wanted) in [("01", 0.8308), ("02", 0.8544), ("08", 0.7825)] {
        let file = |folder: &str| data.join(folder).join(format!("{image}.png"));
        let report = report(
            folder.path(),
            &format!(
                "explain --model retina-unet --weights {} --input {} --truth {} --pixels fn \
                 --layer mid --method seg-grad-cam --save heat,prediction --out out",
                weights.display(),
                file("images").display(),
                file("manual").display(),
            ),
        );
        let dice = report["judged"][0]["dice"].as_f64().expect("a number");
        assert!((dice - wanted).abs() < 2e-3, "{image}: {dice}");
        let missed = report["judged"][0]["false_negatives"].as_u64().expect("a number");
        assert_eq!(report["maps"][0]["pixels"][0].as_u64(), Some(missed));
        if image == "01" {
            assert_eq!(missed, 4526);
        }
        // Arrays lie on the image.
        let (shape, _) = read_npy(&folder.path().join("out/seg-grad-cam.mid.heat.npy"));
        assert_eq!(shape, [1, 1, 584, 565]);
        let bytes = fs::read(folder.path().join("out/prediction.npy")).expect("read");
        assert_eq!(npyz::NpyFile::new(&bytes[..]).expect("an array").shape(), [1, 1, 584, 565]);
    }
}

/// All hundred of them, as the model card says of the images that the network has seen and of the others.
#[test]
fn masks_of_the_data_science_bowl_give_the_dice_of_the_model_card() {
    let Some(data) = segcam_tests::real_data("nuclei_dsb2018") else { return };
    let folder = tempdir().expect("a folder");
    let [images, masks] = ["images", "masks"].map(|kind| data.join(kind).display().to_string());
    works(
        folder.path(),
        &format!(
            "batch --input {images} --truth {masks} --layer dec1 --method hires-cam --pixels all \
             --csv --out out"
        ),
    );
    let mut table = csv::Reader::from_path(folder.path().join("out/results.csv")).expect("a table");
    let headers = table.headers().expect("names").clone();
    let column = |name: &str| headers.iter().position(|known| known == name).expect("a column");
    let (input, dice, notes) = (column("input"), column("dice"), column("notes"));
    let mut found: Vec<(String, f64)> = vec![];
    for row in table.records() {
        let row = row.expect("a row");
        assert!(row[notes].contains("label 255 is the foreground"), "{row:?}");
        found.push((row[input].to_string(), row[dice].parse().expect("a number")));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found.len(), 100);
    let card = include_str!("../../../../docs/model-card-nuclei.md");
    let wanted = |words: &str| -> f64 {
        let (_, rest) = card.split_once(words).expect("a number of the card");
        rest[..6].parse().expect("a number")
    };
    for (part, words) in [(&found[..80], ", training "), (&found[80..], "**held out ")] {
        let mean = part.iter().map(|(_, dice)| dice).sum::<f64>() / part.len() as f64;
        let wanted = wanted(words);
        assert!((mean - wanted).abs() < 5e-4, "{words}: {mean}, the card says {wanted}");
    }
}

/// What a recipe resizes: the same network, weights and pixels, but an image and a mask of twice the
/// size.
#[test]
fn masks_are_resized_with_the_image() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let large = imageops::resize(&spots(48, 40), 96, 80, imageops::FilterType::Nearest);
    large.save(path.join("large.png")).expect("saved");
    let white = mask(|inside, _| if inside { 255 } else { 0 });
    let white = imageops::resize(&white, 96, 80, imageops::FilterType::Nearest);
    white.save(path.join("white.png")).expect("saved");
    let ids =
        GrayImage::from_fn(96, 80, |x, y| Luma([if x >= 48 { 9 } else { u8::from(y < 40) * 3 }]));
    ids.save(path.join("ids.png")).expect("saved");
    crate::onnx::write_small(path, [40, 48]);
    let explain = "explain --model small.onnx --size 40x48 --class 1 --layer auto --input large.png \
                   --truth white.png --instances ids.png --pixels truth instance:3 instance:9 \
                   --save heat,prediction --svg --out out";
    let found = report(path, explain);
    let small = mask(|inside, _| u8::from(inside));
    let members = small.pixels().filter(|pixel| pixel.0[0] == 1).count() as u64;
    assert_eq!(found["maps"][0]["pixels"][0].as_u64(), Some(members));
    assert_eq!(found["input_shape"], serde_json::json!([1, 1, 40, 48]));
    let bytes = fs::read(path.join("out/prediction.npy")).expect("read");
    assert_eq!(npyz::NpyFile::new(&bytes[..]).expect("an array").shape(), [1, 1, 80, 96]);
    // Two methods at two layers for each set.
    let pixels = |at: usize| found["maps"][at]["pixels"][0].as_u64();
    assert_eq!((pixels(4), pixels(8)), (Some(20 * 24), Some(40 * 24)));
    let svg = fs::read_to_string(path.join("out/compare.truth.svg")).expect("a figure");
    assert!(svg.contains("what the network sees, 40 × 48"), "{}", svg.len());

    // A region goes the same way, so it holds the same share of the map.
    spots(48, 40).save(path.join("small.png")).expect("saved");
    mask(|inside, _| u8::from(inside)).save(path.join("inside.png")).expect("saved");
    let mass = |image: &str, region: &str| -> f64 {
        let arguments = format!(
            "evaluate --model small.onnx --size 40x48 --class 1 --pixels all --layer auto \
             --method seg-hires-grad-cam --metric mass --input {image} --region {region} --out {image}.out"
        );
        report(path, &arguments);
        let table = fs::read_to_string(path.join(format!("{image}.out/evaluation.csv")));
        let table = table.expect("a table");
        let row = table.lines().nth(1).expect("a row").split(',').nth(7);
        row.and_then(|cell| cell.parse().ok()).expect("a number")
    };
    let (large, small) = (mass("large.png", "white.png"), mass("small.png", "inside.png"));
    assert!((large - small).abs() < 0.05 * small && small > 0.0, "{large} {small}");
}

#[test]
fn arrays_of_every_real_type_are_read() {
    use npyz::WriterBuilder;
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let image: Vec<u8> = spots(48, 40).into_raw();
    let floats: Vec<f32> = image.iter().map(|value| f32::from(*value)).collect();
    npy(&path.join("f4.npy"), &[1, 40, 48], &floats);
    macro_rules! write {
        ($($name:literal, $kind:ty);*) => {$({
            let file = fs::File::create(path.join(concat!($name, ".npy"))).expect("created");
            let options = npyz::WriteOptions::<$kind>::new().default_dtype().shape(&[1, 40, 48]);
            let mut writer = options.writer(file).begin_nd().expect("header");
            writer.extend(image.iter().map(|value| *value as $kind)).expect("values");
            writer.finish().expect("finished");
        })*};
    }
    write!("f8", f64; "u1", u8; "u2", u16; "u4", u32; "u8", u64; "i2", i16; "i4", i32; "i8", i64);
    // As NumPy of IBM's machines and of MATLAB's friends writes: the first byte, the first index first.
    let write = |name: &str, kind: &str, order: npyz::Order, values: &[f32]| {
        let file = fs::File::create(path.join(format!("{name}.npy"))).expect("created");
        let kind = npyz::DType::Plain(kind.parse().expect("a type"));
        let options = npyz::WriteOptions::new().dtype(kind).order(order).shape(&[1, 40, 48]);
        let mut writer = options.writer(file).begin_nd().expect("header");
        writer.extend(values.iter().copied()).expect("values");
        writer.finish().expect("finished");
    };
    let columns: Vec<f32> = (0..48)
        .flat_map(|x| (0..40).map(move |y| y * 48 + x))
        .map(|at: usize| floats[at])
        .collect();
    write("big", ">f4", npyz::Order::C, &floats);
    write("fortran", "<f4", npyz::Order::Fortran, &columns);
    macro_rules! write_as {
        ($name:literal, $kind:ty, $values:expr) => {{
            let file = fs::File::create(path.join(concat!($name, ".npy"))).expect("created");
            let options = npyz::WriteOptions::<$kind>::new().default_dtype().shape(&[1, 40, 48]);
            let mut writer = options.writer(file).begin_nd().expect("header");
            writer.extend($values).expect("values");
            writer.finish().expect("finished");
        }};
    }
    write_as!("f2", half::f16, floats.iter().map(|value| half::f16::from_f32(*value)));
    write_as!("bool", bool, floats.iter().map(|value| *value > 100.0));
    let ones: Vec<f32> = floats.iter().map(|value| f32::from(u8::from(*value > 100.0))).collect();
    npy(&path.join("ones.npy"), &[1, 40, 48], &ones);
    let score = |file: &str| {
        let arguments = format!("explain --input {file}.npy --class 1 --pixels all --layer mid");
        report(path, &arguments)["maps"][0]["score"].clone()
    };
    let wanted = score("f4");
    for name in ["f8", "u1", "u2", "u4", "u8", "i2", "i4", "i8", "f2", "big", "fortran"] {
        assert_eq!(score(name), wanted, "{name}");
    }
    assert_eq!(score("bool"), score("ones"));
    assert_ne!(score("bool"), wanted);
}

#[test]
fn what_is_not_said_is_said_by_the_program() {
    let folder = folder_with_image();
    let path = folder.path();
    let said = report(path, "explain --input spots.png --layer mid");
    let (_, note) = notes(&said).split_once("no --model: taken was nuclei-unet").map_or_else(
        || panic!("{}", notes(&said)),
        |(before, after)| (before.to_string(), after.to_string()),
    );
    let (_, sure) = note.split_once("mean probability of what it predicts is ").expect("how sure");
    let sure: f64 = sure[..4].parse().expect("a number");
    assert!((0.5..=1.0).contains(&sure), "{note}");
    let said = report(path, "explain --model nuclei-unet --input spots.png --layer mid");
    assert_eq!(said["notes"], serde_json::json!([]));

    crate::onnx::write_small(path, [40, 48]);
    DynamicImage::ImageLuma8(spots(48, 40)).to_rgb8().save(path.join("rgb.png")).expect("saved");
    let small = "explain --model small.onnx --class 1 --pixels all --layer auto --input";
    let said = report(path, &format!("{small} spots.png"));
    assert!(notes(&said).contains("divided by 255"), "{}", notes(&said));
    npy(&path.join("array.npy"), &[1, 40, 48], &[0.5; 40 * 48]);
    fs::write(path.join("scan.nii.gz"), []).expect("written");
    let said = report(path, &format!("{small} array.npy"));
    assert!(!notes(&said).contains("divided"), "{}", notes(&said));
    for (arguments, says) in [
        (format!("{small} array.npy --mean 0.5"), &["--mean", "image files"][..]),
        (format!("{small} scan.nii.gz --std 2"), &["--std", "image files", "`[scan]`"]),
        (format!("{small} spots.png --scale 0"), &["above 0"]),
        (format!("{small} spots.png --channels rgb"), &["takes 1 channel", "has 3"]),
        ("explain --model net.pt --input spots.png".into(), &["torch.onnx.export"]),
        ("explain --model net.keras --input spots.png".into(), &["tf2onnx"]),
    ] {
        fails(path, &arguments, says);
    }
}

/// How many pixels have a colour that was painted on grey.
fn painted(picture: &RgbImage, color: [u8; 3]) -> usize {
    let close = |pixel: &&Rgb<u8>| {
        pixel.0.iter().zip(color).all(|(given, of)| {
            let grey = f32::from(*given) - 0.8 * f32::from(of);
            (-1.0..=42.0).contains(&grey)
        })
    };
    picture.pixels().filter(close).count()
}

/// The second annotation has only what lies at the right, and a corner that is not predicted.
#[test]
fn each_image_of_a_batch_has_its_own_dice_score() {
    let device = Device::flex();
    let network = Pretrained::NucleiUNet.load(None, &device).expect("embedded weights");
    let Network::Image(explainer) = network else { panic!("a network for images") };
    let model = Model::embedded(Pretrained::NucleiUNet);
    let image = DynamicImage::ImageLuma8(spots(48, 40));
    let input = Input::of_picture("spots", &image, &model, &device).expect("an input");
    let tensor = Tensor::cat(vec![input.tensor.clone(), input.tensor], 0);
    let input: Input<4> = Input { tensor, picture: None, ..input };
    let seen = explainer.observe(input.tensor.clone()).expect("a pass");

    let labels: Vec<u32> = seen.prediction().labels().into_data().iter::<u32>().collect();
    let all = labels[..40 * 48].to_vec();
    let right: Vec<u32> =
        all.iter().enumerate().map(|(at, l)| if at % 48 < 24 { 0 } else { *l }).collect();
    let corner = |at: usize| at / 48 >= 34 && at % 48 < 10;
    assert!(all.iter().enumerate().all(|(at, label)| !corner(at) || *label == 0));
    let and_corner: Vec<u32> =
        right.iter().enumerate().map(|(at, l)| if corner(at) { 1 } else { *l }).collect();
    let [all_pixels, right_pixels] = [&all, &right].map(|labels| labels.iter().sum::<u32>() as f64);
    assert!(right_pixels > 20.0 && right_pixels < all_pixels - 20.0);
    let truths =
        [all, and_corner].map(|labels| GroundTruth::from_labels(labels, [40, 48]).expect("labels"));
    let truth = GroundTruth::stack(truths).expect("two");

    let asked = Asked {
        layers: vec!["mid".into()],
        classes: vec!["nucleus".into()],
        methods: vec!["seg-grad-cam".into()],
        pixels: vec!["class".into()],
    };
    let question = ask(&asked, &Annotations::default(), &model, &seen).expect("a question");
    let how = How::default();
    let style = Style { print: Print { svg: true, ..Print::default() }, ..Style::default() };
    let answer = explain(&question, &seen, &how, || {}).next().expect("an answer");
    let scene = Scene { input: &input, seen: &seen, model: &model, truth: Some(&truth) };
    let drawn = draw(scene, &question, &answer, &style).expect("pictures");
    let missed = 60.0;
    let of_images = [
        (1.0, [all_pixels, 0.0, 0.0]),
        (
            2.0 * right_pixels / (all_pixels + right_pixels + missed),
            [right_pixels, missed, all_pixels - right_pixels],
        ),
    ];
    for (image, (dice, pixels)) in of_images.into_iter().enumerate() {
        let named = |file: &&File| file.name == format!("compare.{image}.svg");
        let svg =
            String::from_utf8(drawn.files.iter().find(named).expect("a figure").bytes.clone());
        let svg = svg.expect("text");
        let words = format!("Dice {dice:.3}");
        for words in [&*words, "right", "missed", "false alarm", "outline: annotated"] {
            assert!(svg.contains(words), "{words} of image {image}");
        }
        // Ten pixels for each side of one of the image, in the first panel.
        let panel = pictures_of(&svg).into_iter().find(|picture| picture.width() >= 480);
        let panel = panel.expect("the prediction");
        let colors = [[0, 158, 115], [255, 236, 60], [222, 50, 150]];
        for (color, wanted) in colors.into_iter().zip(pixels) {
            assert_eq!(painted(&panel, color) as f64, 100.0 * wanted, "{color:?} of image {image}");
        }
    }
}
