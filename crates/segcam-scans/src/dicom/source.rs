//! What results need to know about the images that they explain.

use std::fmt;

use dicom_core::header::HasLength;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::Slice;
use super::header::Header;
use crate::Grid;

/// Elements about the patient, the study and where the patient lay.
const SUBJECT: [Tag; 18] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
    tags::FRAME_OF_REFERENCE_UID,
    tags::POSITION_REFERENCE_INDICATOR,
];

/// Who and what was imaged, as the header has it.
#[derive(Clone)]
pub(super) struct Subject(pub(super) InMemDicomObject);

impl Subject {
    pub(super) fn of(object: &InMemDicomObject) -> Self {
        let elements = SUBJECT.iter().filter_map(|tag| object.get(*tag));
        let valid = elements.filter(|element| !element.is_empty() && is_valid(element));
        Self(InMemDicomObject::from_element_iter(valid.cloned()))
    }
}

/// Old files have dates and times that later ones must not have.
fn is_valid(element: &InMemElement) -> bool {
    let text = element.to_str().unwrap_or_default();
    let plain = text.trim_end().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match element.vr() {
        VR::DA => plain && text.trim_end().len() == 8,
        VR::TM => plain,
        _ => true,
    }
}

/// An image that a slice came from.
#[derive(Clone)]
pub(super) struct Reference {
    pub(super) class: String,
    pub(super) instance: String,
    /// From 1, in an object of several frames.
    pub(super) frame: Option<usize>,
}

/// The images that a scan was read from: what results refer to that are written as DICOM.
///
/// It holds the patient's and the study's data and does not show them: not even its `Debug` does.
#[derive(Clone)]
pub struct DicomSource {
    pub(super) grid: Grid,
    pub(super) slices: Vec<Reference>,
    pub(super) series: String,
    pub(super) modality: String,
    pub(super) subject: Subject,
}

impl DicomSource {
    pub(super) fn new(headers: &[Header], slices: &[Slice], grid: &Grid) -> Self {
        let reference = |slice: &Slice| {
            let header = &headers[slice.file];
            Reference {
                class: header.class.clone(),
                instance: header.instance.clone(),
                frame: (header.frames.len() > 1).then_some(slice.frame + 1),
            }
        };
        let first = &headers[slices[0].file];
        Self {
            grid: grid.clone(),
            slices: slices.iter().map(reference).collect(),
            series: first.series.clone(),
            modality: first.modality.clone(),
            subject: first.subject.clone(),
        }
    }

    /// What kind of image it is, in the standard's codes: CT, MR, …
    pub fn modality(&self) -> &str {
        &self.modality
    }

    /// The Series Instance UID, which identifies the series, and with it the patient.
    pub fn series_uid(&self) -> &str {
        &self.series
    }

    /// The SOP Instance UIDs of the slices, first to last, which identify them.
    pub fn instance_uids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.slices.iter().map(|slice| slice.instance.as_str())
    }
}

/// Without identifiers.
impl fmt::Debug for DicomSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DicomSource({}, {} slice(s))", self.modality, self.slices.len())
    }
}
