#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use segcam_scans::dicom;

/// DICOM is read from files: one for each process.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::temp_dir().join(format!("segcam-fuzz-{}.dcm", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    // The preamble and the mark, so that few runs are spent on other files.
    let start = if bytes.get(128..132) == Some(b"DICM") { &[][..] } else { &[0; 128][..] };
    let mark: &[u8] = if start.is_empty() { b"" } else { b"DICM" };
    fs::write(&*FILE, [start, mark, bytes].concat()).expect("a place for files");
    let _ = dicom::open_files(std::slice::from_ref(&*FILE));
});
