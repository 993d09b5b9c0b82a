//! Modules that all results have: patient, study, series, equipment, and where slices lie.

use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::DicomWriter;
use super::element::{Build, empty, fresh_uid};
use crate::Grid;
use crate::dicom::geometry::{length, normal};
use crate::dicom::source::Reference;

/// The program that made them.
const MAKER: &str = "segcam";

/// Patient, study, series, equipment and the object itself.
pub(super) fn common(
    writer: &DicomWriter<'_>,
    class: &str,
    series: &str,
    number: usize,
) -> InMemDicomObject {
    let now = chrono::Local::now();
    let (date, time) = (now.format("%Y%m%d").to_string(), now.format("%H%M%S").to_string());
    let subject = if writer.keep_patient { known(writer) } else { nobody(writer) };
    subject
        .with(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
        .with(tags::SOP_CLASS_UID, class)
        .with(tags::SOP_INSTANCE_UID, fresh_uid())
        .with(tags::INSTANCE_CREATION_DATE, date.as_str())
        .with(tags::INSTANCE_CREATION_TIME, time.as_str())
        .with(tags::CONTENT_DATE, date)
        .with(tags::CONTENT_TIME, time)
        .with(tags::MODALITY, "OT")
        .with(tags::SERIES_INSTANCE_UID, series)
        .with(tags::SERIES_NUMBER, writer.series_number.to_string())
        .with(tags::SERIES_DESCRIPTION, writer.description.as_str())
        // Not known, and to be sent where a part of the body has two sides.
        .with(tags::LATERALITY, PrimitiveValue::Empty)
        .with(tags::INSTANCE_NUMBER, number.to_string())
        .with(tags::MANUFACTURER, MAKER)
        .with(tags::MANUFACTURER_MODEL_NAME, MAKER)
        .with(tags::DEVICE_SERIAL_NUMBER, "1")
        .with(tags::SOFTWARE_VERSIONS, env!("CARGO_PKG_VERSION"))
}

/// The source's patient and study.
fn known(writer: &DicomWriter<'_>) -> InMemDicomObject {
    let required = [
        (tags::STUDY_INSTANCE_UID, writer.study.as_str()),
        (tags::FRAME_OF_REFERENCE_UID, writer.frame_of_reference.as_str()),
    ];
    let mut subject = writer.source.subject.0.clone();
    subject.convert_to_utf8();
    for (tag, fallback) in required {
        if subject.get(tag).is_none() {
            subject = subject.with(tag, fallback);
        }
    }
    for tag in MAY_BE_EMPTY {
        if subject.get(tag).is_none() {
            subject = subject.with(tag, PrimitiveValue::Empty);
        }
    }
    subject
}

/// What must be there, but may say nothing.
const MAY_BE_EMPTY: [dicom_core::Tag; 10] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::POSITION_REFERENCE_INDICATOR,
];

/// A patient and a study that are nobody's.
fn nobody(writer: &DicomWriter<'_>) -> InMemDicomObject {
    // Archives take patients of one name and identifier for one person.
    let id = &writer.study[writer.study.len() - 12..];
    let blank = MAY_BE_EMPTY.iter().fold(empty(), |all, tag| all.with(*tag, PrimitiveValue::Empty));
    blank
        .with(tags::PATIENT_NAME, "Anonymous^Patient")
        .with(tags::PATIENT_ID, format!("{MAKER}-{id}"))
        .with(tags::PATIENT_IDENTITY_REMOVED, "YES")
        .with(tags::DEIDENTIFICATION_METHOD, "Nothing copied from the source but slice geometry")
        .with(tags::STUDY_INSTANCE_UID, writer.study.as_str())
        .with(tags::FRAME_OF_REFERENCE_UID, writer.frame_of_reference.as_str())
}

/// A source image, unless it must not be named or has no name.
pub(super) fn reference(writer: &DicomWriter<'_>, slice: usize) -> Option<InMemDicomObject> {
    let Reference { class, instance, frame } = &writer.source.slices[slice];
    let study = writer.source.subject.0.get(tags::STUDY_INSTANCE_UID).is_some();
    let named = study && [class, instance, &writer.source.series].iter().all(|uid| !uid.is_empty());
    if !writer.keep_patient || !named {
        return None;
    }
    let image = empty()
        .with(tags::REFERENCED_SOP_CLASS_UID, class.as_str())
        .with(tags::REFERENCED_SOP_INSTANCE_UID, instance.as_str());
    Some(match frame {
        Some(frame) => image.with(tags::REFERENCED_FRAME_NUMBER, frame.to_string()),
        None => image,
    })
}

/// Source images and what they were used for.
pub(super) fn source_images(images: Vec<InMemDicomObject>) -> Vec<InMemDicomObject> {
    let purpose = |image: InMemDicomObject| {
        let code = ("121322", "DCM", "Source image for image processing operation");
        image.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, code.0, code.1, code.2)
    };
    images.into_iter().map(purpose).collect()
}

/// How the slices of a grid lie, in LPS.
pub(super) struct Planes {
    columns: [[f64; 3]; 4],
}

impl Planes {
    pub(super) fn of(grid: &Grid) -> Self {
        let affine = grid.affine();
        let columns =
            [0, 1, 2, 3].map(|column| [-affine[0][column], -affine[1][column], affine[2][column]]);
        Self { columns }
    }

    /// Centre of a slice's first pixel.
    pub(super) fn position(&self, slice: usize) -> [f64; 3] {
        let [_, _, step, first] = self.columns;
        [0, 1, 2].map(|axis| first[axis] + step[axis] * slice as f64)
    }

    /// Directions of rows and columns.
    pub(super) fn orientation(&self) -> [f64; 6] {
        let [across, down] = [0, 1].map(|at| {
            let column: [f64; 3] = self.columns[at];
            column.map(|number| number / length(column))
        });
        [across[0], across[1], across[2], down[0], down[1], down[2]]
    }

    /// Distance of rows, and of columns.
    pub(super) fn spacing(&self) -> [f64; 2] {
        [length(self.columns[1]), length(self.columns[0])]
    }

    /// Distance of slices along their normal.
    pub(super) fn apart(&self) -> f64 {
        let (normal, step) = (normal(self.orientation()), self.columns[2]);
        normal.iter().zip(step).map(|(a, b)| a * b).sum::<f64>().abs()
    }
}
