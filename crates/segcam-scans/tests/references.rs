//! Files, orientations, resampling and written headers as nibabel and SimpleITK have them.

mod common;

use common::{expected, file};
use segcam_scans::{Grid, Interpolation, Resampling, Scan, ScanError};
use serde::Deserialize;

type Affine = [[f64; 4]; 3];

#[derive(Deserialize)]
struct ReadFile {
    file: String,
    size: [usize; 3],
    channels: usize,
    affine: Affine,
    orientation: String,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct RefusedFile {
    file: String,
    text: String,
}

#[derive(Deserialize)]
struct WrittenHeader {
    file: String,
    header: String,
}

#[derive(Deserialize)]
struct Turned {
    affine: Affine,
    is: String,
    wanted: String,
    values: Vec<f32>,
    turned: Vec<f32>,
    turned_affine: Affine,
}

#[derive(Deserialize)]
struct Resampled {
    size: [usize; 3],
    affine: Affine,
    how: String,
    values: Vec<f32>,
    outside: f32,
    onto_size: [usize; 3],
    onto_affine: Affine,
    resampled: Vec<f32>,
}

/// Within what float32 and another order of operations make of them.
fn assert_affine(ours: &Affine, theirs: &Affine, tolerance: f64, what: &str) {
    for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
        let apart = (ours - theirs).abs();
        assert!(apart <= tolerance * theirs.abs().max(1.0), "{what}: {ours} and not {theirs}");
    }
}

#[test]
fn files_are_read_as_nibabel_and_simpleitk_read_them() {
    let read = expected::<ReadFile>("read");
    assert!(read.len() > 100, "{} files", read.len());
    for wanted in read {
        let name = &wanted.file;
        let scan = Scan::open(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((scan.grid().size(), scan.channels()), (wanted.size, wanted.channels), "{name}");
        assert_affine(scan.grid().affine(), &wanted.affine, 1e-12, name);
        assert_eq!(scan.grid().orientation().to_string(), wanted.orientation, "{name}");
        assert_eq!(scan.values(), wanted.values, "{name}");
        // Not by its name.
        let packed = name.ends_with(".nhdr") || name.ends_with(".mhd") || name.contains(".hdr");
        let bytes = std::fs::read(file(name)).expect("a fixture");
        match Scan::from_bytes("a file", &bytes) {
            Ok(again) => assert_eq!(again, scan, "{name}"),
            Err(error) => assert!(packed, "{name}: {error}"),
        }
    }
}

#[test]
fn what_is_no_scan_is_a_typed_error() {
    for wanted in expected::<RefusedFile>("refused") {
        let error = Scan::open(file(&wanted.file)).expect_err(&wanted.file);
        assert!(error.to_string().contains(&wanted.text), "{error} and not {:?}", wanted.text);
        assert!(matches!(error, ScanError::Format { .. } | ScanError::File { .. }), "{error}");
    }
}

#[test]
fn either_file_of_a_pair_opens_it() {
    for (header, image) in [("pair.hdr", "pair.img"), ("pair-packed.hdr.gz", "pair-packed.img.gz")]
    {
        let [header, image] = [header, image].map(|name| Scan::open(file(name)).expect("a pair"));
        assert_eq!(header, image);
    }
    for (header, values) in [
        ("pair.hdr", "pair.img"),
        ("pair-packed.hdr.gz", "pair-packed.img.gz"),
        ("split.mhd", "split.raw"),
        ("detached.nhdr", "detached.raw"),
        ("detached-packed.nhdr", "detached-packed.raw.gz"),
    ] {
        assert_eq!(Scan::files(file(header)).expect("files"), [file(header), file(values)]);
    }
    for (named, wanted) in [("pair.img", &["pair.hdr", "pair.img"][..]), ("f4.mgh", &["f4.mgh"])] {
        let wanted: Vec<_> = wanted.iter().map(|name| file(name)).collect();
        assert_eq!(Scan::files(file(named)).expect("files"), wanted);
    }
    let alone = Scan::open(file("split.raw")).expect_err("values alone").to_string();
    assert!(alone.contains(".mhd or .nhdr"), "{alone}");
}

#[test]
fn orientations_are_those_of_nibabel() {
    for case in expected::<Turned>("orientations") {
        let grid = Grid::new([4, 3, 2], case.affine).expect("a grid");
        assert_eq!(grid.orientation().to_string(), case.is);
        let scan = Scan::new(grid, 1, case.values).expect("a scan");
        let turned = scan.reoriented(case.wanted.parse().expect("an orientation"));
        assert_eq!(turned.grid().orientation().to_string(), case.wanted);
        assert_eq!(turned.values(), case.turned);
        assert_affine(turned.grid().affine(), &case.turned_affine, 1e-12, &case.wanted);
        let back = turned.reoriented(scan.grid().orientation());
        assert_eq!(back.values(), scan.values());
        assert!(back.grid().same_space(scan.grid(), 1e-9));
    }
}

#[test]
fn resampling_is_that_of_simpleitk() {
    for case in expected::<Resampled>("resamplings") {
        let from = Grid::new(case.size, case.affine).expect("a grid");
        let onto = Grid::new(case.onto_size, case.onto_affine).expect("a grid");
        let how = match case.how.as_str() {
            "nearest" => Interpolation::Nearest,
            _ => Interpolation::Trilinear,
        };
        let ours = Resampling::new(from, onto, how).apply(&case.values, case.outside);
        let ours = ours.expect("values");
        let outside = ours.iter().filter(|value| **value == case.outside).count();
        assert!((50..ours.len() - 50).contains(&outside), "{outside} of {}", ours.len());
        for (ours, theirs) in ours.iter().zip(&case.resampled) {
            assert!((ours - theirs).abs() < 2e-6, "{}: {ours} and not {theirs}", case.how);
        }
    }
}

#[test]
fn headers_are_written_as_nibabel_writes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    for wanted in expected::<WrittenHeader>("written") {
        let scan = Scan::open(file(&wanted.file)).expect("a fixture");
        let mut values = vec![0.0; scan.grid().voxels()];
        (values[0], values[1]) = (-1.5, 2.25);
        let path = folder.path().join("map.nii");
        scan.nifti_template().write(&path, &values, "a map").expect("written");
        let bytes = std::fs::read(&path).expect("written");
        let header = &bytes[..wanted.header.len() / 2];
        let ours: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
        let differ =
            (0..header.len()).find(|at| ours[2 * at..][..2] != wanted.header[2 * at..][..2]);
        assert_eq!(differ, None, "{}: byte", wanted.file);
        assert_eq!(bytes.len() - header.len(), 4 * values.len());
    }
}
