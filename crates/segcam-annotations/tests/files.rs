//! Every kind of label image, from files written here; damaged and wrong ones.

use std::fs;
use std::path::{Path, PathBuf};

use image::{ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use png::{BitDepth, ColorType};
use proptest::prelude::*;
use segcam_annotations::{AnnotationError, GroundTruth, cityscapes_colours};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Writes packed rows as they are.
fn write_png(path: &Path, size: [u32; 2], colour: ColorType, depth: BitDepth, rows: &[u8]) {
    let file = fs::File::create(path).expect("a file");
    let mut encoder = png::Encoder::new(file, size[1], size[0]);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        // Colours and transparency that have nothing to do with the labels.
        encoder.set_palette(
            (0..=255u8)
                .flat_map(|at| [at / 2, 7, 255 - at])
                .take(3 << depth as usize)
                .collect::<Vec<_>>(),
        );
        encoder.set_trns(vec![0, 128]);
    }
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(rows).expect("the rows");
}

fn packed(row: &[u32], bits: usize) -> Vec<u8> {
    if bits == 16 {
        return row.iter().flat_map(|&label| (label as u16).to_be_bytes()).collect();
    }
    let texts: String = row.iter().map(|label| format!("{label:0bits$b}")).collect();
    let bytes = texts.as_bytes().chunks(8).map(|byte| {
        let text = format!("{:0<8}", std::str::from_utf8(byte).expect("digits"));
        u8::from_str_radix(&text, 2).expect("eight bits")
    });
    bytes.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn gray_and_indexed_pngs(
        (depth, labels, width) in prop_oneof![
            Just(BitDepth::One), Just(BitDepth::Two), Just(BitDepth::Four), Just(BitDepth::Eight),
            Just(BitDepth::Sixteen),
        ].prop_flat_map(|depth| (1..20usize, 1..5usize).prop_flat_map(move |(width, height)| {
            let label = 0..1u32 << (depth as u32);
            (Just(depth), prop::collection::vec(label, width * height), Just(width))
        })),
    ) {
        let folder = folder();
        let rows: Vec<u8> =
            labels.chunks(width).flat_map(|row| packed(row, depth as usize)).collect();
        let size = [labels.len() / width, width];
        for colour in [ColorType::Grayscale, ColorType::Indexed] {
            if colour == ColorType::Indexed && depth == BitDepth::Sixteen {
                continue;
            }
            let path = folder.path().join("labels.png");
            write_png(&path, size.map(|side| side as u32), colour, depth, &rows);
            let truth = GroundTruth::from_image(&path).expect("a label image");
            prop_assert_eq!((truth.labels(), truth.size()), (&labels[..], &size[..]));
        }
    }
}

#[test]
fn gray_tiffs() {
    let folder = folder();
    let path = folder.path().join("labels.tiff");
    let eight = ImageBuffer::<Luma<u8>, _>::from_raw(3, 2, vec![0, 1, 2, 3, 254, 255]);
    eight.expect("6 pixels").save(&path).expect("a file");
    let truth = GroundTruth::from_image(&path).expect("a label image");
    assert_eq!((truth.labels(), truth.size()), (&[0, 1, 2, 3, 254, 255][..], &[2, 3][..]));

    let sixteen = ImageBuffer::<Luma<u16>, _>::from_raw(2, 1, vec![256, 65_535]);
    sixteen.expect("2 pixels").save(&path).expect("a file");
    assert_eq!(GroundTruth::from_image(&path).expect("a label image").labels(), [256, 65_535]);

    RgbImage::new(2, 2).save(&path).expect("a file");
    let error = GroundTruth::from_image(&path).expect_err("colours");
    assert!(matches!(error, AnnotationError::NotLabels { .. }), "{error}");

    let mut pages = tiff::encoder::TiffEncoder::new(fs::File::create(&path).expect("a file"))
        .expect("an encoder");
    for _ in 0..2 {
        pages.write_image::<tiff::encoder::colortype::Gray8>(2, 1, &[0, 1]).expect("a page");
    }
    let error = GroundTruth::from_image(&path).expect_err("two pages");
    assert!(matches!(error, AnnotationError::ManyPages { .. }), "{error}");
}

#[test]
fn colour_coded_masks() {
    let folder = folder();
    let path = folder.path().join("mask.png");
    let (red, blue) = ([255, 0, 0], [0, 0, 255]);
    let mut mask = RgbaImage::from_pixel(3, 2, Rgba([0, 0, 255, 7]));
    mask.put_pixel(1, 1, Rgba([255, 0, 0, 255]));
    mask.save(&path).expect("a file");
    let colours = [(red, 4), (blue, GroundTruth::IGNORED)];
    let truth = GroundTruth::from_colours(&path, &colours).expect("known colours");
    let ignored = GroundTruth::IGNORED;
    assert_eq!(truth.labels(), [ignored, ignored, ignored, ignored, 4, ignored]);

    let error = GroundTruth::from_colours(&path, &colours[1..]).expect_err("no red");
    assert!(matches!(
        error,
        AnnotationError::UnknownColour { colour, at: [1, 1], .. } if colour == red
    ));
    let error = GroundTruth::from_image(&path).expect_err("colours");
    assert!(error.to_string().contains("list of its colours"), "{error}");
    let twice = GroundTruth::from_colours(&path, &[(red, 1), (blue, 0), (red, 2)]);
    assert!(matches!(twice, Err(AnnotationError::AmbiguousColour { labels: [1, 2], .. })));

    RgbImage::from_pixel(2, 1, Rgb([153, 153, 153])).save(&path).expect("a file");
    let poles = GroundTruth::from_colours(&path, &cityscapes_colours()).expect("poles");
    assert_eq!(poles.labels(), [5, 5]);
    // Grey values that were saved as colours.
    let grey = GroundTruth::from_image(&path).expect("grey");
    assert_eq!((grey.labels(), grey.size()), (&[153, 153][..], &[1, 2][..]));
}

#[test]
fn files_that_are_no_annotations() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let missing = GroundTruth::from_image(folder.path().join("missing.png"));
    let missing = missing.expect_err("no file");
    assert!(matches!(missing, AnnotationError::Io { .. }));
    // The reason is the source, and said once.
    let source = std::error::Error::source(&missing).expect("why").to_string();
    assert!(!source.is_empty() && !missing.to_string().contains(&source), "{missing}: {source}");
    for (name, bytes) in [("empty.png", &b""[..]), ("photo.png", b"\xff\xd8\xff\xe0 JFIF")] {
        let error = GroundTruth::from_image(write(name, bytes)).expect_err(name);
        assert!(matches!(error, AnnotationError::NotALabelImage { .. }), "{error}");
    }

    // A PNG and a TIFF, cut off and with bytes changed at every place: never a panic.
    let (png, tiff) = (folder.path().join("good.png"), folder.path().join("good.tif"));
    write_png(&png, [2, 3], ColorType::Indexed, BitDepth::Four, &[0x12, 0x30, 0x45, 0x60]);
    let gray = ImageBuffer::<Luma<u8>, _>::from_raw(3, 2, vec![0, 1, 2, 3, 4, 5]);
    gray.expect("6 pixels").save(&tiff).expect("a file");
    for path in [png, tiff] {
        let good = fs::read(&path).expect("the file");
        for at in 0..good.len() {
            let _ = GroundTruth::from_image(write("cut", &good[..at]));
            for other in [0, 1, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= other;
                let changed = write("changed", &bytes);
                let _ = GroundTruth::from_image(&changed);
                let _ = GroundTruth::from_colours(&changed, &[([0, 0, 0], 0)]);
            }
        }
        let cut = GroundTruth::from_image(write("cut", &good[..good.len() / 2]));
        assert!(matches!(cut, Err(AnnotationError::Decode { .. })), "{cut:?}");
    }
}

#[test]
fn a_header_that_claims_too_much_is_refused() {
    let folder = folder();
    let path = folder.path().join("huge.png");
    let file = fs::File::create(&path).expect("a file");
    let mut encoder = png::Encoder::new(file, 1 << 16, 1 << 15);
    encoder.set_color(ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c]).expect("the start of a chunk");
    drop(writer);
    for error in [
        GroundTruth::from_image(&path).expect_err("2^31 pixels"),
        GroundTruth::from_colours(&path, &[]).expect_err("2^31 pixels"),
    ] {
        assert!(
            matches!(&error, AnnotationError::TooLarge { size, .. } if *size == [1 << 15, 1 << 16]),
            "{error}"
        );
    }
}
