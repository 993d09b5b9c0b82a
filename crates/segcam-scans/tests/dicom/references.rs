//! Every fixture as its generator read it with pydicom.

use std::fs::File;
use std::path::Path;

use segcam_scans::dicom::{self, DicomError};
use serde::Deserialize;

use crate::{assert_affine, dicom as dicom_error, fixture};

#[derive(Deserialize)]
struct Expected {
    name: String,
    size: [usize; 3],
    channels: usize,
    affine: [[f64; 4]; 3],
    values: Vec<f32>,
    window: Option<(f64, f64)>,
    inverted: bool,
    tolerance: f32,
    notes: usize,
}

fn expected() -> Vec<Expected> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/dicom.json.gz");
    let file = flate2::read::GzDecoder::new(File::open(path).expect("a file"));
    serde_json::from_reader(file).expect("JSON")
}

#[test]
fn values_and_geometry_are_pydicoms() {
    let all = expected();
    assert_eq!(all.len(), 29);
    for want in all {
        let name = &want.name;
        let read = dicom::open(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.scan.grid().size(), want.size, "{name}");
        assert_eq!(read.scan.channels(), want.channels, "{name}");
        assert_affine(read.scan.grid().affine(), &want.affine, name);
        assert_eq!((read.window, read.inverted), (want.window, want.inverted), "{name}");
        assert_eq!(read.notes.len(), want.notes, "{name}: {:?}", read.notes);
        for (at, (ours, theirs)) in read.scan.values().iter().zip(&want.values).enumerate() {
            assert!(
                (ours - theirs).abs() <= want.tolerance,
                "{name} at {at}: {ours}, not {theirs}"
            );
        }
    }
}

#[test]
fn what_is_not_decoded_is_named() {
    let open = |name: &str| dicom_error(dicom::open(fixture(name)).expect_err("no volume"));
    let jpeg_ls = open("refused/jpeg-ls.dcm");
    let DicomError::TransferSyntax { name, uid, .. } = &jpeg_ls else { panic!("{jpeg_ls}") };
    assert!(name.contains("JPEG-LS Lossless"), "{name}");
    assert_eq!(uid, "1.2.840.10008.1.2.4.80");
    let palette = open("refused/palette.dcm");
    let named = matches!(
        &palette,
        DicomError::Attribute { attribute: "PhotometricInterpretation", given, .. }
            if given.starts_with("PALETTE COLOR")
    );
    assert!(named, "{palette}");
    let promises = open("refused/promises.dcm");
    assert!(matches!(promises, DicomError::PixelData { .. }), "{promises}");
    assert!(promises.to_string().contains("1000 frame(s)"), "{promises}");
}
