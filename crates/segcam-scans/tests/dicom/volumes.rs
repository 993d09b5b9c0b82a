//! Folders that are one volume, several, or none.

use std::fs;
use std::path::{Path, PathBuf};

use segcam_scans::dicom::{self, DicomError};

use crate::{dicom as dicom_error, fixture};

/// A folder with copies of these fixtures.
fn folder(of: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in of {
        copy(&fixture(name), folder.path());
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    let files: Vec<PathBuf> = if from.is_dir() {
        fs::read_dir(from).expect("files").map(|entry| entry.expect("a file").path()).collect()
    } else {
        vec![from.into()]
    };
    for file in files {
        let parent = file.parent().and_then(Path::file_name).expect("a name").to_string_lossy();
        let name = format!("{parent}-{}", file.file_name().expect("a name").to_string_lossy());
        fs::copy(file, to.join(name)).expect("a copy");
    }
}

fn refused(path: &Path) -> DicomError {
    dicom_error(dicom::open(path).expect_err("no volume"))
}

/// The file of a slice, from first to last along the normal.
fn file_of(series: &str, slice: usize) -> PathBuf {
    let mut files: Vec<(f32, PathBuf)> = fs::read_dir(fixture(series))
        .expect("files")
        .map(|entry| {
            let path = entry.expect("a file").path();
            let height = dicom::open(&path).expect("a slice").scan.grid().affine()[2][3];
            (height as f32, path)
        })
        .collect();
    files.sort_by(|a, b| a.0.total_cmp(&b.0));
    files[slice].1.clone()
}

#[test]
fn a_missing_slice_is_named() {
    let folder = folder(&["oblique"]);
    let missing = file_of("oblique", 2);
    let name = format!("oblique-{}", missing.file_name().expect("a name").to_string_lossy());
    fs::remove_file(folder.path().join(name)).expect("removed");
    let error = refused(folder.path());
    let DicomError::Gap { before, after, step, given, .. } = &error else { panic!("{error}") };
    assert!((step - 3.0).abs() < 1e-3 && (given - 6.0).abs() < 1e-3, "{error}");
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(format!("oblique-{}", name(&file_of("oblique", 1))), name(&before.path));
    assert_eq!(format!("oblique-{}", name(&file_of("oblique", 3))), name(&after.path));
    assert!(error.to_string().ends_with("1 missing"), "{error}");
}

#[test]
fn two_files_at_one_place_are_named() {
    let folder = folder(&["oblique"]);
    let twice = folder.path().join("again.dcm");
    fs::copy(file_of("oblique", 3), &twice).expect("a copy");
    let error = refused(folder.path());
    let DicomError::SamePlace { first, second, images: 6, places: 5, .. } = &error else {
        panic!("{error}")
    };
    assert!(first.path == twice || second.path == twice, "{error}");
}

#[test]
fn an_even_shift_is_kept_and_an_uneven_one_refused() {
    let tilted = dicom::open(fixture("tilted")).expect("a volume");
    let column = |at: usize| [0, 1, 2].map(|row| tilted.scan.grid().affine()[row][at]);
    let along: f64 = column(1).iter().zip(column(2)).map(|(a, b)| a * b).sum();
    assert!((along - 0.75 * 0.4).abs() < 1e-4, "{along}");
    assert!(tilted.notes[0].contains("0.4 mm"), "{:?}", tilted.notes);
    let error = refused(&fixture("uneven"));
    let DicomError::Shifted { place, distance } = &error else { panic!("{error}") };
    assert!((distance - 0.9).abs() < 1e-3, "{error}");
    assert_eq!(place.path, file_of("uneven", 2));
}

#[test]
fn one_of_several_series_is_chosen() {
    let folder = folder(&["oblique", "tilted"]);
    let error = refused(folder.path());
    let DicomError::SeveralSeries { series } = &error else { panic!("{error}") };
    let text = error.to_string();
    assert!(text.contains("1: CT, 5 file(s)") && text.contains("2: CT, 5 file(s)"), "{text}");
    assert!(!text.contains(series[0].uid()), "a UID is an identifier: {text}");

    let listed = dicom::list(folder.path()).expect("a list");
    let numbers: Vec<_> = listed.iter().map(dicom::Series::number).collect();
    assert_eq!(numbers, [Some(2), Some(3)]);
    assert_eq!((listed[0].size(), listed[0].images(), listed[0].files().len()), ([9, 14], 5, 5));
    let oblique = dicom::open(fixture("oblique")).expect("a volume");
    for wanted in ["1", listed[0].uid()] {
        let chosen = dicom::open_series(folder.path(), wanted).expect("a volume");
        assert_eq!(chosen.scan, oblique.scan);
    }
    for wanted in ["0", "3", "1.2.3"] {
        let error = dicom_error(dicom::open_series(folder.path(), wanted).expect_err("none"));
        assert!(matches!(error, DicomError::UnknownSeries { known: 2, .. }), "{error}");
    }
}

#[test]
fn other_files_are_ignored_and_named() {
    let folder = folder(&["oblique"]);
    fs::write(folder.path().join("notes.txt"), "not DICOM").expect("written");
    fs::write(folder.path().join("empty"), "").expect("written");
    let read = dicom::open(folder.path()).expect("a volume");
    assert_eq!(read.notes, ["ignored 2 file(s) that are not DICOM: empty, notes.txt"]);
    let files = [fixture("explicit.dcm"), folder.path().join("notes.txt")];
    assert_eq!(dicom::open_files(&files).expect("an image").notes.len(), 1);
    let error = refused(&folder.path().join("notes.txt"));
    assert!(matches!(error, DicomError::Nothing { .. }), "{error}");
    let above = tempfile::tempdir().expect("a folder");
    fs::create_dir(above.path().join("inner")).expect("a folder");
    let error = refused(above.path());
    assert!(error.to_string().contains("1 folder(s)"), "{error}");
}

#[test]
fn nothing_says_who_it_was() {
    let read = dicom::open(fixture("oblique")).expect("a volume");
    let listed = dicom::list(fixture("oblique")).expect("a list");
    let shown = format!("{:?} {listed:?} {}", (read.source, read.notes), listed[0]);
    for secret in ["Nobody", "NOBODY", "2020", "1900", "1.2.826"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
