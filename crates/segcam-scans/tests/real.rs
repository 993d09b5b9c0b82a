//! Real files: `io_samples`, `ct_volume` and `brain_meshnet` in `$SEGCAM_DATA`, or in `../shared/data`
//! beside the project.

mod real_data;

use std::path::{Path, PathBuf};

use real_data::real_data;
use segcam_scans::Scan;

fn data() -> Option<PathBuf> {
    real_data("io_samples")?.parent().map(Path::to_path_buf)
}

/// By nibabel 5.4.2: size, channels, orientation, the sum of `n % 1009` times value `n`, and where
/// voxel (1, 2, 3) is.
type Facts = (&'static str, [usize; 3], usize, &'static str, f64, [f64; 3]);

const READ: [Facts; 13] = [
    (
        "brain_meshnet/t1_crop.nii.gz",
        [256, 256, 256],
        1,
        "LIA",
        140664107212.0,
        [126.5999984741211, -130.48001098632812, 132.47999572753906],
    ),
    (
        "brain_meshnet/t1_crop_meshnet5_pred.nii.gz",
        [256, 256, 256],
        1,
        "LIA",
        1002503217.0,
        [126.5999984741211, -130.48001098632812, 132.47999572753906],
    ),
    (
        "ct_volume/example_ct_sm.nii.gz",
        [122, 101, 30],
        1,
        "RAS",
        -65823730312.0,
        [-174.95632934570312, 17.319000244140625, 103.3017578125],
    ),
    (
        "ct_volume/example_mr_sm.nii.gz",
        [117, 91, 20],
        1,
        "LPS",
        20789689202.0,
        [165.59963989257812, 160.35943603515625, 37.989641189575195],
    ),
    (
        "ct_volume/example_seg.nii.gz",
        [122, 101, 30],
        1,
        "RAS",
        1378182272.0,
        [-174.95632934570312, 17.319000244140625, 103.3017578125],
    ),
    (
        "ct_volume/example_seg_dicom.nii.gz",
        [512, 512, 20],
        1,
        "LAS",
        7190233600.0,
        [248.53515625, -59.55859375, -798.5],
    ),
    (
        "ct_volume/example_seg_mr.nii.gz",
        [117, 91, 20],
        1,
        "LPS",
        294483386.0,
        [165.59963989257812, 160.35943603515625, 37.989641189575195],
    ),
    ("io_samples/anatomical.nii", [33, 41, 25], 1, "LAS", 142507416602.0, [30.0, -36.0, -10.0]),
    (
        "io_samples/example4d.nii.gz",
        [128, 96, 24],
        2,
        "LAS",
        51373025922.0,
        [115.8551025390625, -32.84210407733917, -0.08913779258728027],
    ),
    (
        "io_samples/example_nifti2.nii.gz",
        [32, 20, 12],
        2,
        "LAS",
        3445416633.0,
        [115.8551025390625, -32.84210407733917, -0.08913779258728027],
    ),
    ("io_samples/functional.nii", [17, 21, 3], 20, "LAS", 38975352790.8396, [28.0, -32.0, 24.0]),
    ("io_samples/standard.nii.gz", [4, 5, 7], 1, "RAS", 549270.0, [1.0, 6.0, 6.0]),
    ("io_samples/test.mgz", [3, 4, 5], 2, "SAR", -1219.8499507021625, [1.0, -0.5, -0.5]),
];

#[test]
fn real_files_are_read_as_nibabel_reads_them() {
    let Some(root) = data() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (name, size, channels, orientation, sum, place) in READ {
        let scan = Scan::open(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((scan.grid().size(), scan.channels()), (size, channels), "{name}");
        assert_eq!(scan.grid().orientation().to_string(), orientation, "{name}");
        let weighted = scan.values().iter().enumerate();
        let ours: f64 = weighted.map(|(n, value)| (n % 1009) as f64 * f64::from(*value)).sum();
        assert!((ours - sum).abs() <= 1e-12 * sum.abs(), "{name}: {ours} and not {sum}");
        for (ours, theirs) in scan.grid().world([1.0, 2.0, 3.0]).iter().zip(place) {
            assert!((ours - theirs).abs() < 1e-9, "{name}: {ours} and not {theirs}");
        }
        let path = folder.path().join("again.nii.gz");
        scan.nifti_template().write(&path, scan.values(), "").expect("written");
        let again = Scan::open(&path).expect("read");
        assert_eq!(again.values(), scan.values(), "{name}");
        assert!(again.grid().same_space(scan.grid(), 1e-4), "{name}");
    }
}

#[test]
fn headers_without_their_values_are_refused() {
    let Some(root) = data() else { return };
    for name in ["nifti1.hdr", "nifti2.hdr"] {
        let error = Scan::open(root.join("io_samples").join(name)).expect_err(name).to_string();
        assert!(error.contains(&name.replace(".hdr", ".img")), "{error}");
    }
}
