//! What is written comes back, and says no more than it was asked to.

use std::error::Error;
use std::iter::successors;
use std::{fs, io};

use segcam_scans::dicom::{self, DicomError, DicomScan, DicomWriter};
use segcam_scans::{Grid, Scan};

use crate::{assert_affine, dicom as dicom_error, fixture};

fn map_on(image: &DicomScan) -> Scan {
    let grid = image.scan.grid().clone();
    let values = (0..grid.voxels()).map(|at| (at as f32 * 0.37).sin() * 1e-3).collect();
    Scan::new(grid, 1, values).expect("a map")
}

#[test]
fn a_map_comes_back_bit_for_bit() {
    for name in ["oblique", "tilted", "enhanced.dcm", "x-ray.dcm", "explicit.dcm"] {
        let image = dicom::open(fixture(name)).expect("a scan");
        let map = map_on(&image);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("map.dcm");
        for keep in [false, true] {
            let writer = DicomWriter::new(&image.source, "a map").keep_patient(keep);
            writer.write_map(&path, &map).expect("written");
            let back = dicom::open(&path).expect("a map");
            assert_eq!(back.scan.values(), map.values(), "{name}");
            assert_affine(back.scan.grid().affine(), map.grid().affine(), name);
            let largest = map.values().iter().fold(0f32, |most, value| most.max(value.abs()));
            let (centre, width) = back.window.expect("a window");
            assert!(centre == 0.0 && (width - 2.0 * f64::from(largest)).abs() < 1e-12);
        }
    }
}

#[test]
fn pictures_come_back() {
    let image = dicom::open(fixture("oblique")).expect("a scan");
    let [columns, rows, count] = image.scan.grid().size();
    let byte = |at: usize| (at * 7 % 251) as u8;
    let plane = rows * columns;
    let slices: Vec<Vec<u8>> =
        (0..count).map(|slice| (0..plane * 3).map(|at| byte(at + slice)).collect()).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let writer = DicomWriter::new(&image.source, "pictures").keep_patient(true);
    let files = writer.write_overlay(folder.path().join("new"), &slices).expect("written");
    assert_eq!(files.len(), count);
    let again =
        dicom_error(writer.write_overlay(folder.path().join("new"), &slices).expect_err("twice"));
    assert!(matches!(again, DicomError::NotEmpty { .. }), "{again}");
    let back = dicom::open(folder.path().join("new")).expect("a volume");
    assert_affine(back.scan.grid().affine(), image.scan.grid().affine(), "pictures");
    for (slice, rgb) in slices.iter().enumerate() {
        for (at, byte) in rgb.iter().enumerate() {
            let (pixel, channel) = (at / 3, at % 3);
            let ours = back.scan.values()[(channel * count + slice) * plane + pixel];
            assert_eq!(ours, f32::from(*byte));
        }
    }
}

#[test]
fn identifiers_are_written_only_if_asked_for() {
    let image = dicom::open(fixture("oblique")).expect("a scan");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("map.dcm");
    let secrets = ["Nobody", "NOBODY", "20200229", "19000101", "1.2.826.0.1.3680043.8.498.1"];
    let holds =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
    for keep in [false, true] {
        let writer = DicomWriter::new(&image.source, "a map").keep_patient(keep);
        writer.write_map(&path, &map_on(&image)).expect("written");
        let plane = vec![0; image.scan.grid().size()[0] * image.scan.grid().size()[1] * 3];
        let slices = vec![plane; image.scan.grid().size()[2]];
        let pictures = writer.write_overlay(folder.path().join(keep.to_string()), &slices);
        let pictures = pictures.expect("written");
        for file in [&path, &pictures[0]] {
            let bytes = fs::read(file).expect("bytes");
            for secret in secrets {
                assert_eq!(holds(&bytes, secret), keep, "{secret} in {}", file.display());
            }
            let named = image.source.instance_uids().any(|uid| holds(&bytes, uid));
            assert_eq!(named, keep);
        }
    }
}

#[test]
fn other_grids_and_pictures_are_refused() {
    let image = dicom::open(fixture("explicit.dcm")).expect("a scan");
    let writer = DicomWriter::new(&image.source, "a map");
    let path = std::path::Path::new("never-written.dcm");
    let [columns, rows, _] = image.scan.grid().size();
    let grid = Grid::new([rows, columns, 1], *image.scan.grid().affine()).expect("a grid");
    let other = Scan::new(grid, 1, vec![0.0; rows * columns]).expect("a map");
    let hole = vec![f32::NAN; rows * columns];
    let hole = Scan::new(image.scan.grid().clone(), 1, hole).expect("a map");
    let two = vec![0.0; 2 * rows * columns];
    let two = Scan::new(image.scan.grid().clone(), 2, two).expect("maps");
    let results = [
        writer.write_map(path, &other),
        writer.write_map(path, &hole),
        writer.write_map(path, &two),
        writer.write_overlay(path, &[]).map(drop),
        writer.write_overlay(path, &[vec![0; 3]]).map(drop),
    ];
    for result in results {
        let error = dicom_error(result.expect_err("refused"));
        assert!(matches!(error, DicomError::Results { .. }), "{error}");
    }
    let nowhere = writer.write_map(path.join("map.dcm"), &map_on(&image)).expect_err("no folder");
    let mut causes = successors(nowhere.source(), |&cause| cause.source());
    let is_missing = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    let is_missing = causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_missing));
    assert!(is_missing, "{nowhere}");
    assert!(!path.exists());
}
