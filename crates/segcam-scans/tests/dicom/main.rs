//! DICOM: values and geometry as pydicom and SimpleITK have them, volumes that are none, written files.

mod hostile;
mod real;
#[path = "../real_data/mod.rs"]
mod real_data;
mod references;
mod volumes;
mod written;

use std::path::{Path, PathBuf};

use segcam_scans::ScanError;
use segcam_scans::dicom::DicomError;

/// A fixture, or a folder of them.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/dicom").join(name)
}

/// The error of DICOM's that this is.
fn dicom(error: ScanError) -> DicomError {
    match error {
        ScanError::Dicom(error) => error,
        other => panic!("{other}"),
    }
}

fn assert_affine(ours: &[[f64; 4]; 3], theirs: &[[f64; 4]; 3], what: &str) {
    for (ours, theirs) in ours.as_flattened().iter().zip(theirs.as_flattened()) {
        assert!((ours - theirs).abs() < 1e-5, "{what}: {ours} and not {theirs}");
    }
}
