//! Where the frames of a file lie and how their stored values become values.

use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::DicomError;
use super::file::{item, items, number, numbers, several};

/// Position, orientation and values of one frame, as far as the header says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    /// Centre of the first pixel, mm in LPS.
    pub(super) position: Option<[f64; 3]>,
    /// Directions of the rows and columns, LPS.
    pub(super) orientation: Option<[f64; 6]>,
    /// Distance between rows, and between columns.
    pub(super) spacing: Option<[f64; 2]>,
    /// Whether that is the spacing at the detector, where things look larger.
    pub(super) at_detector: bool,
    /// Distance to a neighbouring slice, if the header says so or gives the thickness.
    pub(super) step: Option<f64>,
    pub(super) slope: f64,
    pub(super) intercept: f64,
    pub(super) window: Option<(f64, f64)>,
}

/// All frames of a file.
pub(super) fn frames(
    object: &InMemDicomObject,
    path: &Path,
    count: usize,
) -> Result<Vec<Frame>, DicomError> {
    let shared = item(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let each = items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if !each.is_empty() {
        if each.len() != count {
            let attribute = "PerFrameFunctionalGroupsSequence";
            let given = format!("{} items for {count} frames", each.len());
            return Err(DicomError::attribute(path, attribute, "one item for each frame", given));
        }
        return Ok(each.iter().map(|own| grouped(own, shared)).collect());
    }
    let mut first = plain(object);
    if let Some(shared) = shared {
        first = grouped(shared, None);
    }
    let offsets = numbers(object, tags::GRID_FRAME_OFFSET_VECTOR);
    if offsets.len() == count
        && let Some(at) = first.position
        && let Some(normal) = first.orientation.map(super::geometry::normal)
    {
        // Either distances from the first frame, or places along the patient's axis.
        return Ok(offsets
            .iter()
            .map(|offset| {
                let along = offset - offsets[0];
                let position = [0, 1, 2].map(|axis| at[axis] + along * normal[axis]);
                Frame { position: Some(position), ..first.clone() }
            })
            .collect());
    }
    if count > 1 {
        first.position = None;
    }
    Ok(vec![first; count])
}

/// A frame that the main data set describes.
fn plain(object: &InMemDicomObject) -> Frame {
    let dose = number(object, tags::DOSE_GRID_SCALING);
    let spacing = positive(several(object, tags::PIXEL_SPACING));
    let imager = positive(several(object, tags::IMAGER_PIXEL_SPACING));
    Frame {
        position: several(object, tags::IMAGE_POSITION_PATIENT),
        orientation: several(object, tags::IMAGE_ORIENTATION_PATIENT),
        spacing: spacing.or(imager),
        at_detector: spacing.is_none() && imager.is_some(),
        step: step(object),
        slope: dose.or_else(|| number(object, tags::RESCALE_SLOPE)).unwrap_or(1.0),
        intercept: number(object, tags::RESCALE_INTERCEPT).unwrap_or(0.0),
        window: window(object),
    }
}

/// A frame that functional groups describe: its own, else those of all.
fn grouped(own: &InMemDicomObject, shared: Option<&InMemDicomObject>) -> Frame {
    let group = |tag: Tag| item(own, tag).or_else(|| shared.and_then(|shared| item(shared, tag)));
    let measures = group(tags::PIXEL_MEASURES_SEQUENCE);
    let values = group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
    let values = |tag| values.and_then(|values| number(values, tag));
    Frame {
        position: group(tags::PLANE_POSITION_SEQUENCE)
            .and_then(|group| several(group, tags::IMAGE_POSITION_PATIENT)),
        orientation: group(tags::PLANE_ORIENTATION_SEQUENCE)
            .and_then(|group| several(group, tags::IMAGE_ORIENTATION_PATIENT)),
        spacing: measures.and_then(|group| positive(several(group, tags::PIXEL_SPACING))),
        at_detector: false,
        step: measures.and_then(step),
        slope: values(tags::RESCALE_SLOPE).unwrap_or(1.0),
        intercept: values(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
        window: group(tags::FRAME_VOILUT_SEQUENCE).and_then(window),
    }
}

fn positive(spacing: Option<[f64; 2]>) -> Option<[f64; 2]> {
    spacing.filter(|spacing| spacing.iter().all(|side| *side > 0.0))
}

fn step(object: &InMemDicomObject) -> Option<f64> {
    let given = [tags::SPACING_BETWEEN_SLICES, tags::SLICE_THICKNESS];
    given.into_iter().filter_map(|tag| number(object, tag)).find(|step| *step > 0.0)
}

fn window(object: &InMemDicomObject) -> Option<(f64, f64)> {
    let width = number(object, tags::WINDOW_WIDTH).filter(|width| *width > 0.0)?;
    Some((number(object, tags::WINDOW_CENTER)?, width))
}
