//! Files that are written.

mod cases;
mod common;

use std::path::Path;
use std::process::Command;

use cases::same_every_run;
use common::{expected, file, reference};
use proptest::prelude::*;
use segcam_scans::{Grid, NiftiTemplate, Scan, ScanError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Named {
    file: String,
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

fn scans() -> impl Strategy<Value = Scan> {
    let side = || 1..6usize;
    let numbers = prop::array::uniform3(prop::array::uniform4(-300.0..300.0f64));
    let grid = (side(), side(), side(), numbers)
        .prop_filter_map("axes in one plane", |(i, j, k, affine)| {
            Grid::new([i, j, k], affine).ok()
        });
    (grid, 1..4usize).prop_flat_map(|(grid, channels)| {
        let values = prop::collection::vec(any::<f32>(), channels * grid.voxels());
        values.prop_map(move |values| Scan::new(grid.clone(), channels, values).expect("a scan"))
    })
}

proptest! {
    #![proptest_config(same_every_run(256))]

    #[test]
    fn what_is_written_is_read(scan in scans(), compressed: bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(if compressed { "a.nii.gz" } else { "a.nii" });
        scan.nifti_template().write(&path, scan.values(), "").expect("written");
        let back = Scan::open(&path).expect("read");
        prop_assert_eq!(back.channels(), scan.channels());
        let bits = |scan: &Scan| scan.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&back), bits(&scan));
        // float32 of up to 300 + 5 * 3 * 300 millimetres.
        prop_assert!(back.grid().same_space(scan.grid(), 1e-3));

        // From the file's own header, everything again.
        let again = folder.path().join("b.nii");
        back.nifti_template().write(&again, back.values(), "").expect("written");
        let again = Scan::open(&again).expect("read");
        prop_assert_eq!(again.grid(), back.grid());
    }

    #[test]
    fn labels_are_read_as_they_were(labels in prop::collection::vec(0..300u32, 6), high: u32) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.nii.gz");
        let grid = Grid::new([3, 2, 1], [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]]);
        let mut labels = labels;
        labels[4] = high % (1 << 24);
        NiftiTemplate::new(grid.expect("a grid")).write_labels(&path, &labels, "").expect("written");
        prop_assert_eq!(Scan::open(&path).expect("read").labels().expect("labels"), labels);
    }
}

#[test]
fn labels_take_the_smallest_type() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.nii");
    let grid = Grid::new([2, 1, 1], [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]]);
    let template = NiftiTemplate::new(grid.expect("a grid"));
    for (largest, datatype, bytes) in
        [(255, 2, 1), (256, 4, 2), (32_768, 512, 2), (65_536, 8, 4), (i32::MAX as u32, 8, 4)]
    {
        template.write_labels(&path, &[0, largest], "").expect("written");
        let written = std::fs::read(&path).expect("written");
        assert_eq!((written[70], written[71]), ((datatype % 256) as u8, (datatype / 256) as u8));
        assert_eq!(written.len(), 352 + 2 * bytes, "{largest}");
    }
    assert!(template.write_labels(&path, &[0, 1 << 31], "").is_err());
}

#[test]
fn no_text_of_the_scan_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["both.nii", "nifti2-f4-le.nii", "pair.hdr"] {
        let bytes = std::fs::read(file(name)).expect("a fixture");
        let there = |bytes: &[u8], word: &str| {
            bytes.windows(word.len()).any(|part| part == word.as_bytes())
        };
        let scan = Scan::open(file(name)).expect("a fixture");
        let path = folder.path().join("a.nii");
        // 79 bytes, not within a letter.
        let long = format!("{}äöü", "x".repeat(78));
        scan.nifti_template().write(&path, scan.values(), &long).expect("written");
        let written = std::fs::read(&path).expect("written");
        for word in ["somebody", "1970", "a name"] {
            assert!(there(&bytes, word) && !there(&written, word), "{name}: {word}");
        }
        assert!(there(&written, &format!("{}\0", "x".repeat(78))), "{name}");
    }
}

#[test]
fn other_voxels_of_the_same_space_keep_its_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.nii");
    // sform code 4, qform code 1 of another affine.
    let scan = Scan::open(file("both.nii")).expect("a fixture");
    let turned = scan.reoriented("PIR".parse().expect("an orientation"));
    turned.nifti_template().write(&path, turned.values(), "").expect("written");
    let bytes = std::fs::read(&path).expect("written");
    // Sheared: no qform.
    assert_eq!((bytes[252], bytes[254]), (0, 4));
    let back = Scan::open(&path).expect("read");
    assert_eq!(back.values(), turned.values());
    assert!(back.grid().same_space(turned.grid(), 1e-5));
    let metres = Scan::open(file("metres.nii")).expect("a fixture");
    let part = metres.cropped([1, 1, 1], [2, 2, 2]).expect("inside");
    part.nifti_template().write(&path, part.values(), "").expect("written");
    assert!(Scan::open(&path).expect("read").grid().same_space(part.grid(), 1e-5));
}

#[test]
fn a_file_is_whole_or_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = Scan::open(file("both.nii")).expect("a fixture");
    let (template, path) = (scan.nifti_template(), folder.path().join("a.nii.gz"));
    std::fs::write(&path, b"earlier").expect("written");
    let short = template.write(&path, &scan.values()[1..], "").expect_err("a value is missing");
    assert!(matches!(&short, ScanError::Mismatch(text) if text.contains("59 values")), "{short}");
    assert_eq!(std::fs::read(&path).expect("there"), b"earlier");
    template.write(&path, scan.values(), "").expect("written");
    assert_eq!(Scan::open(&path).expect("read").values(), scan.values());
    assert_eq!(names(folder.path()), ["a.nii.gz"]);
    let nowhere = folder.path().join("nowhere/a.nii");
    assert!(matches!(template.write(nowhere, scan.values(), ""), Err(ScanError::File { .. })));
    let other = template.write(folder.path().join("a.nrrd"), scan.values(), "");
    assert!(other.expect_err("no NIfTI").to_string().contains(".nii or .nii.gz"));
    assert_eq!(names(folder.path()), ["a.nii.gz"]);
    // The same bytes at any time.
    let bytes = std::fs::read(&path).expect("there");
    template.write(&path, scan.values(), "").expect("written");
    assert_eq!(std::fs::read(&path).expect("there"), bytes);
}

#[test]
fn sides_are_those_of_the_version() {
    let long = Grid::new([40_000, 1, 1], [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]]);
    let long = long.expect("a grid");
    let path = std::env::temp_dir().join("never-written.nii");
    let error = NiftiTemplate::new(long).write(path, &[0.0; 40_000], "").expect_err("too long");
    assert!(error.to_string().contains("40000"), "{error}");
}

/// `SEGCAM_SCANS_PYTHON=.venv/bin/python cargo test -p segcam-scans --test written -- --ignored`, with
/// the environment of `tests/reference/scans-requirements.txt`.
#[test]
#[ignore = "needs a Python with nibabel and SimpleITK"]
fn nibabel_and_simpleitk_read_what_is_written() {
    let python = std::env::var_os("SEGCAM_SCANS_PYTHON").expect("SEGCAM_SCANS_PYTHON");
    let folder = tempfile::tempdir().expect("a folder");
    for wanted in expected::<Named>("read") {
        let scan = Scan::open(file(&wanted.file)).expect("a fixture");
        let count = scan.grid().voxels();
        let values: Vec<f32> = (0..count).map(|n| n as f32 * 0.3 - 4.0).collect();
        let labels: Vec<u32> = (0..count as u32).map(|n| n * n).collect();
        let path = |what: &str| folder.path().join(format!("{}{what}", wanted.file));
        let template = scan.nifti_template();
        template.write(path(".map.nii.gz"), &values, "segcam").expect("written");
        template.write_labels(path(".labels.nii"), &labels, "segcam").expect("written");
    }
    let script = reference().join("check_written.py");
    let status = Command::new(python).arg(script).arg(file("")).arg(folder.path()).status();
    assert!(status.expect("Python starts").success());
}
