//! What is written is read back, by this crate and by the crate `tiff` as a whole; what is no such picture is
//! an error that says why.

use std::fs::File;
use std::path::Path;

use segcam_tiles::{TiffRows, TilesError, write_tiled};
use tiff::decoder::{Decoder, DecodingResult};
use tiff::encoder::colortype::{Gray8, Gray16, RGB8};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder};

const SIZE: [usize; 2] = [600, 515];

fn value(at: usize) -> u8 {
    (at * 7 + at / 515 * 3) as u8
}

fn whole(path: &Path) -> DecodingResult {
    let mut decoder = Decoder::new(File::open(path).expect("a file")).expect("a TIFF");
    assert_eq!(decoder.dimensions().expect("a size"), (515, 600));
    decoder.read_image().expect("pixels")
}

#[test]
fn labels_and_maps_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (labels, map) = (folder.path().join("labels.tif"), folder.path().join("map.tif"));
    write_tiled(&labels, SIZE, "labels", &mut |rows| {
        Ok((rows.start * 515..rows.end * 515).map(value).collect())
    })
    .expect("written");
    let signed = |at: usize| f32::from(value(at)) / 3.0 - 40.0;
    write_tiled(&map, SIZE, "a map", &mut |rows| {
        Ok((rows.start * 515..rows.end * 515).map(signed).collect::<Vec<f32>>())
    })
    .expect("written");
    let all = || 0..SIZE[0] * SIZE[1];
    let DecodingResult::U8(found) = whole(&labels) else { panic!("bytes") };
    assert_eq!(found, all().map(value).collect::<Vec<_>>());
    let DecodingResult::F32(found) = whole(&map) else { panic!("numbers") };
    assert_eq!(found, all().map(signed).collect::<Vec<_>>());

    let rows = TiffRows::open(&labels).expect("a picture");
    assert_eq!((rows.size(), rows.channels()), (SIZE, 1));
    for wanted in [0..600, 0..1, 255..257, 300..599, 600..600] {
        let values: Vec<u8> = (wanted.start * 515..wanted.end * 515).map(value).collect();
        assert_eq!(rows.read(wanted.clone()).expect("rows"), values, "{wanted:?}");
    }
    assert!(matches!(rows.read(500..601), Err(TilesError::NoRows { height: 600, .. })));
    assert_eq!(TiffRows::pixels(&labels).expect("a file"), Some(600 * 515));
    let error = TiffRows::open(&map).expect_err("numbers of 32 bits");
    assert!(error.to_string().contains("Gray(32)"), "{error}");
}

#[test]
fn strips_of_colours_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("strips.tif");
    let values: Vec<u8> = (0..SIZE[0] * SIZE[1] * 3).map(value).collect();
    for (big, compression) in [
        (false, Compression::Uncompressed),
        (true, Compression::Lzw),
        (true, Compression::Deflate(DeflateLevel::Fast)),
    ] {
        let file = File::create(&path).expect("a file");
        let (width, height) = (SIZE[1] as u32, SIZE[0] as u32);
        let written = if big {
            let encoder = TiffEncoder::new_big(file).expect("an encoder");
            encoder.with_compression(compression).write_image::<RGB8>(width, height, &values)
        } else {
            let encoder = TiffEncoder::new(file).expect("an encoder");
            encoder.with_compression(compression).write_image::<RGB8>(width, height, &values)
        };
        written.expect("written");
        let rows = TiffRows::open(&path).expect("a picture");
        assert_eq!((rows.size(), rows.channels()), (SIZE, 3));
        assert_eq!(rows.read(0..600).expect("rows"), values);
        let each = 515 * 3;
        assert_eq!(rows.read(77..303).expect("rows"), values[77 * each..303 * each]);
    }
}

#[test]
fn other_files_are_errors_that_say_what_would_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.tif");
    let error = TiffRows::open(&path).expect_err("no file");
    assert!(matches!(error, TilesError::File { .. }));
    std::fs::write(&path, b"no picture").expect("written");
    assert!(matches!(TiffRows::open(&path), Err(TilesError::Tiff { .. })));
    assert_eq!(TiffRows::pixels(&path).expect("a file"), None);

    let mut encoder = TiffEncoder::new(File::create(&path).expect("a file")).expect("an encoder");
    encoder.write_image::<Gray16>(2, 2, &[1, 2, 3, 4]).expect("written");
    let error = TiffRows::open(&path).expect_err("16 bits");
    assert!(error.to_string().contains("vips tiffsave"), "{error}");

    let mut encoder = TiffEncoder::new(File::create(&path).expect("a file")).expect("an encoder");
    encoder.write_image::<Gray8>(300, 200, &[1; 300 * 200]).expect("written");
    let bytes = std::fs::read(&path).expect("a file");
    for length in (0..bytes.len()).step_by(97) {
        std::fs::write(&path, &bytes[..length]).expect("written");
        let read = TiffRows::open(&path).and_then(|rows| rows.read(0..200));
        assert!(read.is_err(), "{length}");
    }

    let written = write_tiled(&path, [300, 20], "", &mut |_| Ok(vec![0u8; 5]));
    assert!(matches!(written, Err(TilesError::WrongRows { wanted: 5120, given: 5, .. })));
}
