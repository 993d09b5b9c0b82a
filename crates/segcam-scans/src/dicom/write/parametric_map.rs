//! Parametric Map: PS3.3, A.75.

use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::DicomWriter;
use super::common::{Planes, common, reference, source_images};
use super::element::{Build, empty, fresh_uid};
use crate::Scan;

/// Whole volumes of derived values.
const TYPE: [&str; 4] = ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"];

pub(super) fn object(writer: &DicomWriter<'_>, map: &Scan) -> InMemDicomObject {
    let [columns, rows, frames] = map.grid().size();
    let series = fresh_uid();
    let planes = Planes::of(map.grid());
    let organisation = fresh_uid();
    let largest = map.values().iter().fold(0f32, |most, value| most.max(value.abs()));
    let object = common(writer, uids::PARAMETRIC_MAP_STORAGE, &series, 1)
        .with(tags::IMAGE_TYPE, strings(TYPE))
        .with(tags::CONTENT_LABEL, "CAM")
        .with(tags::CONTENT_DESCRIPTION, writer.description.as_str())
        .with(tags::CONTENT_CREATOR_NAME, PrimitiveValue::Empty)
        .with(tags::CONTENT_QUALIFICATION, "RESEARCH")
        .with(tags::PIXEL_PRESENTATION, "MONOCHROME")
        .with(tags::BURNED_IN_ANNOTATION, "NO")
        // Nobody has looked: a map of a head may show its face.
        .with(tags::RECOGNIZABLE_VISUAL_FEATURES, "YES")
        .with(tags::LOSSY_IMAGE_COMPRESSION, "00")
        .with(tags::PRESENTATION_LUT_SHAPE, "IDENTITY")
        .with(tags::SAMPLES_PER_PIXEL, 1u16)
        .with(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
        .with(tags::NUMBER_OF_FRAMES, frames.to_string())
        .with(tags::ROWS, rows as u16)
        .with(tags::COLUMNS, columns as u16)
        .with(tags::BITS_ALLOCATED, 32u16)
        .sequence(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new())
        .group(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            empty().with(tags::DIMENSION_ORGANIZATION_UID, organisation.as_str()),
        )
        .group(tags::DIMENSION_INDEX_SEQUENCE, dimension(&organisation))
        .group(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, shared(&planes, map, largest))
        .sequence(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            (0..frames).map(|frame| own(writer, &planes, frame)).collect(),
        )
        .with(tags::FLOAT_PIXEL_DATA, PrimitiveValue::F32(map.values().into()));
    match referenced_series(writer) {
        Some(series) => object.group(tags::REFERENCED_SERIES_SEQUENCE, series),
        None => object,
    }
}

fn strings<const N: usize>(texts: [&str; N]) -> PrimitiveValue {
    PrimitiveValue::Strs(texts.map(String::from).into_iter().collect())
}

/// Frames are in the order of where they lie.
fn dimension(organisation: &str) -> InMemDicomObject {
    empty()
        .with(tags::DIMENSION_ORGANIZATION_UID, organisation)
        .with(tags::DIMENSION_INDEX_POINTER, tags::IMAGE_POSITION_PATIENT)
        .with(tags::FUNCTIONAL_GROUP_POINTER, tags::PLANE_POSITION_SEQUENCE)
        .with(tags::DIMENSION_DESCRIPTION_LABEL, "Position")
}

/// What is the same for all frames.
fn shared(planes: &Planes, map: &Scan, largest: f32) -> InMemDicomObject {
    let window = if largest > 0.0 { 2.0 * f64::from(largest) } else { 1.0 };
    empty()
        .group(
            tags::PLANE_ORIENTATION_SEQUENCE,
            empty().decimals(tags::IMAGE_ORIENTATION_PATIENT, &planes.orientation()),
        )
        .group(
            tags::PIXEL_MEASURES_SEQUENCE,
            empty()
                .decimals(tags::PIXEL_SPACING, &planes.spacing())
                .decimals(tags::SLICE_THICKNESS, &[planes.apart()])
                .decimals(tags::SPACING_BETWEEN_SLICES, &[planes.apart()]),
        )
        .group(
            tags::FRAME_VOILUT_SEQUENCE,
            empty()
                .decimals(tags::WINDOW_CENTER, &[0.0])
                .decimals(tags::WINDOW_WIDTH, &[window])
                .with(tags::VOILUT_FUNCTION, "LINEAR_EXACT"),
        )
        .group(
            tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
            empty()
                .decimals(tags::RESCALE_INTERCEPT, &[0.0])
                .decimals(tags::RESCALE_SLOPE, &[1.0])
                .with(tags::RESCALE_TYPE, "US"),
        )
        .group(
            tags::PARAMETRIC_MAP_FRAME_TYPE_SEQUENCE,
            empty().with(tags::FRAME_TYPE, strings(TYPE)),
        )
        .group(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE, meaning(map))
}

/// What the values are: evidence for a class, with sign and without a unit.
fn meaning(map: &Scan) -> InMemDicomObject {
    let range = |pick: fn(f32, f32) -> f32| {
        f64::from(map.values().iter().copied().reduce(pick).unwrap_or_default())
    };
    let quantity = empty()
        .with(tags::VALUE_TYPE, "CODE")
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, "246205007", "SCT", "Quantity")
        .code(tags::CONCEPT_CODE_SEQUENCE, "CAM", "99SEGCAM", "Signed class activation map");
    empty()
        .with(tags::LUT_LABEL, "CAM")
        .with(tags::LUT_EXPLANATION, "Signed class activation map: evidence for a class")
        .with(tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_FIRST_VALUE_MAPPED, range(f32::min))
        .with(tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_LAST_VALUE_MAPPED, range(f32::max))
        .with(tags::REAL_WORLD_VALUE_INTERCEPT, 0f64)
        .with(tags::REAL_WORLD_VALUE_SLOPE, 1f64)
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, "1", "UCUM", "no units")
        .group(tags::QUANTITY_DEFINITION_SEQUENCE, quantity)
}

/// What is a frame's own.
fn own(writer: &DicomWriter<'_>, planes: &Planes, frame: usize) -> InMemDicomObject {
    let derived = reference(writer, frame).map(|image| {
        empty()
            .code(tags::DERIVATION_CODE_SEQUENCE, "CAM", "99SEGCAM", "Class activation mapping")
            .sequence(tags::SOURCE_IMAGE_SEQUENCE, source_images(vec![image]))
    });
    empty()
        .sequence(tags::DERIVATION_IMAGE_SEQUENCE, derived.into_iter().collect())
        .group(
            tags::FRAME_CONTENT_SEQUENCE,
            empty().with(tags::DIMENSION_INDEX_VALUES, frame as u32 + 1),
        )
        .group(
            tags::PLANE_POSITION_SEQUENCE,
            empty().decimals(tags::IMAGE_POSITION_PATIENT, &planes.position(frame)),
        )
}

/// The source's series with each of its objects once.
fn referenced_series(writer: &DicomWriter<'_>) -> Option<InMemDicomObject> {
    let slices = &writer.source.slices;
    let mut known = std::collections::HashSet::new();
    let first = (0..slices.len()).filter(|slice| known.insert(&slices[*slice].instance));
    let mut images: Vec<InMemDicomObject> =
        first.filter_map(|slice| reference(writer, slice)).collect();
    if images.is_empty() {
        return None;
    }
    images.iter_mut().for_each(|image| {
        image.remove_element(tags::REFERENCED_FRAME_NUMBER);
    });
    let series = empty()
        .with(tags::SERIES_INSTANCE_UID, writer.source.series.as_str())
        .sequence(tags::REFERENCED_INSTANCE_SEQUENCE, images);
    Some(series)
}
