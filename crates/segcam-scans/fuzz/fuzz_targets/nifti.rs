#![no_main]

use libfuzzer_sys::fuzz_target;
use segcam_scans::Scan;

fuzz_target!(|bytes: &[u8]| {
    // The mark of one file of version 1, so that few runs are spent on other formats.
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 348 && !bytes[4..].starts_with(b"n+2\0") {
        bytes[344..348].copy_from_slice(b"n+1\0");
    }
    let _ = Scan::from_bytes("a.nii", &bytes);
});
