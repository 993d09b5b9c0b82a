//! Secondary Capture: PS3.3, A.8.1, with the plane in which a picture lies.

use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::DicomWriter;
use super::common::{Planes, common, reference, source_images};
use super::element::Build;

pub(super) fn object(
    writer: &DicomWriter<'_>,
    series: &str,
    slice: usize,
    rgb: &[u8],
) -> InMemDicomObject {
    let [columns, rows, _] = writer.source.grid.size();
    let planes = Planes::of(&writer.source.grid);
    let kind = ["DERIVED", "SECONDARY"].map(String::from);
    let mut rgb = rgb.to_vec();
    // Values have an even length.
    rgb.resize(rgb.len().next_multiple_of(2), 0);
    let object = common(writer, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, series, slice + 1)
        .with(tags::IMAGE_TYPE, PrimitiveValue::Strs(kind.into_iter().collect()))
        .with(tags::CONVERSION_TYPE, "WSD")
        .with(tags::DERIVATION_DESCRIPTION, writer.description.as_str())
        .with(tags::PATIENT_ORIENTATION, PrimitiveValue::Empty)
        .decimals(tags::IMAGE_POSITION_PATIENT, &planes.position(slice))
        .decimals(tags::IMAGE_ORIENTATION_PATIENT, &planes.orientation())
        .decimals(tags::PIXEL_SPACING, &planes.spacing())
        .decimals(tags::SLICE_THICKNESS, &[planes.apart()])
        .with(tags::LOSSY_IMAGE_COMPRESSION, "00")
        .with(tags::SAMPLES_PER_PIXEL, 3u16)
        .with(tags::PHOTOMETRIC_INTERPRETATION, "RGB")
        .with(tags::PLANAR_CONFIGURATION, 0u16)
        .with(tags::ROWS, rows as u16)
        .with(tags::COLUMNS, columns as u16)
        .with(tags::BITS_ALLOCATED, 8u16)
        .with(tags::BITS_STORED, 8u16)
        .with(tags::HIGH_BIT, 7u16)
        .with(tags::PIXEL_REPRESENTATION, 0u16);
    let pixels = PrimitiveValue::U8(rgb.into());
    let element = dicom_core::DataElement::new(tags::PIXEL_DATA, dicom_core::VR::OB, pixels);
    let mut object = match reference(writer, slice) {
        Some(image) => object.sequence(tags::SOURCE_IMAGE_SEQUENCE, source_images(vec![image])),
        None => object,
    };
    object.put(element);
    object
}
