//! Files from scanners, as SimpleITK has them. They are no part of the project.

use std::path::Path;

use segcam_scans::dicom::{self, DicomError};

use crate::real_data::real_data;
use crate::{assert_affine, dicom as dicom_error};

/// Size, affine, least and greatest value, mean: of SimpleITK 2.5.7 (GDCM).
type Known = ([usize; 3], [[f64; 4]; 3], f32, f32, f64);

fn assert_known(path: &Path, (size, affine, low, high, mean): Known) {
    let read = dicom::open(path).unwrap_or_else(|error| panic!("{error}"));
    let values = read.scan.values();
    assert_eq!(read.scan.grid().size(), size, "{path:?}");
    assert_affine(read.scan.grid().affine(), &affine, &path.display().to_string());
    let ends = values
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    assert_eq!(ends, (low, high), "{path:?}");
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    assert!((sum / values.len() as f64 - mean).abs() < 1e-6 * mean.abs(), "{path:?}");
}

#[test]
fn a_ct_of_jpeg_2000_is_as_gdcm_reads_it() {
    let Some(folder) = real_data("ct_volume/example_ct_dicom") else { return };
    let affine = [
        [-0.9765625, 0.0, 0.0, 249.51171875],
        [0.0, -0.9765625, 0.0, 437.51171875],
        [0.0, 0.0, 2.0, -804.5],
    ];
    assert_known(&folder, ([512, 512, 20], affine, -1024.0, 1839.0, -624.1259267807006));
}

#[test]
fn samples_are_as_gdcm_reads_them() {
    let Some(folder) = real_data("io_samples") else { return };
    let ct = [
        [-0.661468, 0.0, 0.0, 158.135803],
        [0.0, -0.661468, 0.0, 179.035797],
        [0.0, 0.0, 5.0, -75.699997],
    ];
    let ct = ([128, 128, 1], ct, -896.0, 1167.0, -119.0738525390625);
    assert_known(&folder.join("CT_small.dcm"), ct);
    // One slice has no distance to the next: GDCM takes 1 mm, this its thickness.
    let mr = [[-0.3125, 0.0, 0.0, 83.9063], [0.0, -0.3125, 0.0, 91.2], [0.0, 0.0, 0.8, 6.6406]];
    let mr = ([64, 64, 1], mr, 127.0, 2145.0, 518.88134765625);
    for name in ["MR_small", "MR_small_RLE", "MR_small_bigendian", "MR_small_implicit"] {
        assert_known(&folder.join(name).with_extension("dcm"), mr);
    }
    assert_known(&folder.join("MR_small_jp2klossless.dcm"), mr);
    let us = [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    assert_known(&folder.join("ExplVR_BigEnd.dcm"), ([80, 60, 1], us, 0.0, 255.0, 171.5775));
    let dose =
        [[-10.0, 0.0, 0.0, -189.43125], [0.0, -10.0, 0.0, -199.43125], [0.0, 0.0, 5.0, -761.87]];
    // GDCM's values times the header's 1e-6 Gy.
    assert_known(&folder.join("rtdose.dcm"), ([10, 10, 15], dose, 0.795, 1.254, 1.0132733333));
}

#[test]
fn samples_that_are_no_image_say_why() {
    let Some(folder) = real_data("io_samples") else { return };
    let open = |name: &str| dicom_error(dicom::open(folder.join(name)).expect_err("no image"));
    let segmentation = open("liver_1frame.dcm");
    assert!(matches!(segmentation, DicomError::Segmentation { .. }), "{segmentation}");
    let twelve_bits = open("JPGExtended.dcm");
    assert!(matches!(twelve_bits, DicomError::PixelData { .. }), "{twelve_bits}");
    assert!(twelve_bits.to_string().contains("12"), "{twelve_bits}");
    // Its first element is cut: pydicom, too, finds nothing in it.
    let damaged = open("no_meta.dcm");
    assert!(matches!(damaged, DicomError::Nothing { .. }), "{damaged}");
    let all = open("");
    assert!(matches!(all, DicomError::SeveralSeries { .. }), "{all}");
}
