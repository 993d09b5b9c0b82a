//! Damaged files are errors: nothing panics, and nothing is allocated on a header's word.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use segcam_scans::dicom;

use crate::fixture;

/// All single files among the fixtures.
fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture("")).expect("fixtures");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

fn open(bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), bytes).expect("written");
    if let Ok(read) = dicom::open(file.path()) {
        let grid = read.scan.grid();
        assert_eq!(read.scan.values().len(), grid.voxels() * read.scan.channels());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_bytes_never_panic(
        which in 0usize..1000,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let files = files();
        let mut bytes = fs::read(&files[which % files.len()]).expect("bytes");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        open(&bytes);
    }

    #[test]
    fn cut_files_never_panic(which in 0usize..1000, at in any::<prop::sample::Index>()) {
        let files = files();
        let bytes = fs::read(&files[which % files.len()]).expect("bytes");
        open(&bytes[..at.index(bytes.len())]);
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic && bytes.len() > 132 {
            bytes[128..132].copy_from_slice(b"DICM");
        }
        open(&bytes);
    }
}

/// The header and what follows it.
fn parts(name: &str) -> (Vec<u8>, Vec<u8>) {
    const GROUP: usize = 140;
    let mut bytes = fs::read(fixture(name)).expect("bytes");
    let length: [u8; 4] = bytes[GROUP..GROUP + 4].try_into().expect("four bytes");
    let data_set = bytes.split_off(GROUP + 4 + u32::from_le_bytes(length) as usize);
    (bytes, data_set)
}

fn refused(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), bytes).expect("written");
    dicom::open(file.path()).expect_err("no image").to_string()
}

#[test]
fn a_tower_of_sequences_is_refused() {
    let (mut bytes, _) = parts("explicit.dcm");
    for _ in 0..100_000 {
        bytes.extend(*b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff");
        bytes.extend(*b"\xfe\xff\0\xe0\xff\xff\xff\xff");
    }
    let error = refused(&bytes);
    assert!(error.contains("nested"), "{error}");
}

#[test]
fn lengths_beyond_the_file_are_refused() {
    for value in ["OB", "UT", "SQ", "OW"] {
        let (mut bytes, data_set) = parts("explicit.dcm");
        bytes.extend(*b"\x08\0\x01\0");
        bytes.extend(value.bytes());
        bytes.extend(*b"\0\0\0\0\0\xf0");
        bytes.extend(&data_set);
        let error = refused(&bytes);
        assert!(error.contains("4026531840 bytes where"), "{error}");
    }
}

#[test]
fn a_data_set_needs_no_header() {
    for name in ["explicit.dcm", "implicit.dcm"] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), parts(name).1).expect("written");
        let bare = dicom::open(file.path()).expect("an image");
        assert_eq!(bare.scan, dicom::open(fixture(name)).expect("an image").scan);
    }
}

#[test]
fn what_follows_the_pixels_does_not_matter() {
    // Padding, and an element of another group with more bytes than there are.
    let behind: [&[u8]; 2] = [b"\xfc\xff\xfc\xffOB padding", b"\x08\0\x01\0OB\0\0\0\0\0\xf0"];
    for name in ["explicit.dcm", "implicit.dcm", "rle-signed.dcm"] {
        for behind in behind {
            let mut bytes = fs::read(fixture(name)).expect("bytes");
            bytes.extend(behind);
            let file = tempfile::NamedTempFile::new().expect("a file");
            fs::write(file.path(), bytes).expect("written");
            let read = dicom::open(file.path()).expect("an image");
            assert_eq!(read.scan, dicom::open(fixture(name)).expect("an image").scan);
        }
    }
}

/// Every byte after the preamble, one at a time, in the file's first kilobyte and a half.
#[test]
fn each_byte_of_a_header_may_be_wrong() {
    for name in ["explicit.dcm", "implicit.dcm"] {
        let good = fs::read(fixture(name)).expect("bytes");
        for at in 128..good.len().min(1500) {
            for byte in [0, 0xff, good[at] ^ 1] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                open(&bytes);
            }
        }
    }
}
