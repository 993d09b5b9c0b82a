//! What nibabel and SimpleITK say, from `tests/reference/scans.py`.

use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

pub(crate) fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

pub(crate) fn file(name: &str) -> PathBuf {
    reference().join("files").join(name)
}

/// A part of `expected.json.gz`.
pub(crate) fn expected<T: DeserializeOwned>(part: &str) -> Vec<T> {
    let packed = std::fs::File::open(reference().join("expected.json.gz")).expect("a fixture");
    let mut parts: serde_json::Value =
        serde_json::from_reader(GzDecoder::new(packed)).expect("as scans.py writes it");
    serde_json::from_value(parts[part].take()).expect("as scans.py writes it")
}
