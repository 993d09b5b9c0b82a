//! No bytes make the crate panic, or take more memory than they are worth.

mod cases;
mod common;

use std::sync::LazyLock;

use cases::same_every_run;
use common::{expected, file};
use proptest::prelude::*;
use segcam_scans::{Scan, ScanError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Named {
    file: String,
}

/// One-file fixtures, by format.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let names = expected::<Named>("read").into_iter().map(|named| named.file);
    let files = names.map(|name| (name.clone(), std::fs::read(file(&name)).expect("a fixture")));
    files.collect()
});

fn of(ending: &str) -> Vec<&'static [u8]> {
    let files = FILES.iter().filter(|(name, _)| name.ends_with(ending));
    let files: Vec<_> = files.map(|(_, bytes)| bytes.as_slice()).collect();
    assert!(!files.is_empty(), "{ending}");
    files
}

/// The start of a file of each format, then anything.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let mut nifti_1 = vec![0; 348];
    nifti_1[344..].copy_from_slice(b"n+1\0");
    let starts: Vec<Vec<u8>> = vec![
        nifti_1,
        b"\x1c\x02\0\0n+2\0\r\n\x1a\n".into(),
        b"\0\0\0\x01\0\0\0\x02\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\0\0\x03".into(),
        b"NRRD0004\ntype: float\nencoding: raw\nendian: little\n".into(),
        b"ObjectType = Image\nNDims = 3\nElementType = MET_SHORT\n".into(),
        b"\x1f\x8b\x08\0\0\0\0\0\0\0".into(),
    ];
    (prop::sample::select(starts), prop::collection::vec(any::<u8>(), 0..600))
        .prop_map(|(start, rest)| [start, rest].concat())
}

/// A valid file with some bytes replaced, left out, doubled, or cut off.
fn changed(ending: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..5u8, 1..9usize);
    let changes = prop::collection::vec(change, 1..8);
    (prop::sample::select(of(ending)), changes).prop_map(|(bytes, changes)| {
        let mut bytes = bytes.to_owned();
        for (place, byte, what, length) in changes {
            if bytes.is_empty() {
                break;
            }
            // Mostly in the header.
            let start = place.index(if what < 3 { bytes.len().min(400) } else { bytes.len() });
            let end = (start + length).min(bytes.len());
            match what {
                0 => bytes[start] = byte,
                1 => bytes[start] = b"0123456789-.eE \n"[usize::from(byte % 16)],
                2 => bytes[start..end].fill(byte),
                3 => bytes.truncate(bytes.len() - usize::from(byte) % bytes.len()),
                _ => {
                    let part = bytes[start..end].to_owned();
                    bytes.splice(start..start, part);
                }
            }
        }
        bytes
    })
}

/// What can be read is whole: this is all that a file may lead to.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match Scan::from_bytes("some file", bytes) {
        Ok(scan) => {
            prop_assert_eq!(scan.values().len(), scan.grid().voxels() * scan.channels());
            // Without compression a value takes a byte; deflate packs 1,032 into one.
            prop_assert!(scan.values().len() <= 1032 * bytes.len());
            let _ = (scan.labels(), scan.grid().orientation(), scan.grid().shear());
        }
        Err(ScanError::Mismatch(text)) => prop_assert!(false, "not of the file: {text}"),
        Err(error) => prop_assert!(error.to_string().starts_with("cannot use some file: ")),
    }
    Ok(())
}

proptest! {
    #![proptest_config(same_every_run(2000))]

    #[test]
    fn anything_is_read_or_refused(bytes in anything()) {
        check(&bytes)?;
    }

    #[test]
    fn changed_nifti_is_read_or_refused(bytes in changed(".nii")) {
        check(&bytes)?;
    }

    #[test]
    fn changed_gzip_is_read_or_refused(bytes in changed(".nii.gz")) {
        check(&bytes)?;
    }

    #[test]
    fn changed_mgh_is_read_or_refused(bytes in changed(".mgh")) {
        check(&bytes)?;
    }

    #[test]
    fn changed_nrrd_is_read_or_refused(bytes in changed(".nrrd")) {
        check(&bytes)?;
    }

    #[test]
    fn changed_meta_images_are_read_or_refused(bytes in changed(".mha")) {
        check(&bytes)?;
    }
}

#[test]
fn every_beginning_of_a_file_is_refused() {
    for ending in [".nii", ".nii.gz", ".nrrd", ".mha", ".mgh"] {
        let bytes = of(ending)[0];
        // The last bytes of gzip are a length that says nothing more; after MGH's values comes text.
        let end = if ending == ".mgh" { 284 + 5 * 4 * 3 } else { bytes.len() - 8 };
        for end in 0..end {
            let error = Scan::from_bytes("a part", &bytes[..end]).expect_err(ending).to_string();
            assert!(error.starts_with("cannot use a part: "), "{error}");
        }
        Scan::from_bytes("all", bytes).expect(ending);
    }
}
