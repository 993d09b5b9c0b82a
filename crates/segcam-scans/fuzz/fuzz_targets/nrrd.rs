#![no_main]

use libfuzzer_sys::fuzz_target;
use segcam_scans::Scan;

fuzz_target!(|bytes: &[u8]| {
    let _ = Scan::from_bytes("a.nrrd", &[b"NRRD0004\n", bytes].concat());
});
