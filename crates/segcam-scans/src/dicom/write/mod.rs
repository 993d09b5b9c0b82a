//! Results as DICOM objects beside the images that they explain.

mod common;
mod element;
mod overlay;
mod parametric_map;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::{DicomError, DicomSource};
use crate::{Scan, ScanError};
use element::fresh_uid;

/// Writes results of a scan as DICOM: maps as Parametric Maps, pictures as Secondary Captures.
///
/// What it writes says nothing about the patient unless [`keep_patient`](Self::keep_patient) is asked
/// for: the study, the patient and the frame of reference are new ones then, and no source image is
/// named. All that one writer writes is in one study and one frame of reference.
///
/// ```no_run
/// use segcam_scans::{Scan, dicom};
///
/// let ct = dicom::open("ct/")?;
/// # let map: Scan = ct.scan.clone();
/// let writer = dicom::DicomWriter::new(&ct.source, "Seg-HiRes-Grad-CAM of the lung");
/// writer.keep_patient(true).write_map("map.dcm", &map)?;
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DicomWriter<'a> {
    source: &'a DicomSource,
    description: String,
    keep_patient: bool,
    series_number: u32,
    study: String,
    frame_of_reference: String,
}

impl<'a> DicomWriter<'a> {
    /// For results on this source; viewers show the description, of which the first 64 characters are
    /// kept.
    pub fn new(source: &'a DicomSource, description: &str) -> Self {
        // What a value of DICOM's long strings may have.
        let plain = description.chars().filter(|letter| !letter.is_control() && *letter != '\\');
        Self {
            source,
            description: plain.take(64).collect(),
            keep_patient: false,
            series_number: 9000,
            study: fresh_uid(),
            frame_of_reference: fresh_uid(),
        }
    }

    /// Whether to copy who the patient is and which study it was, to keep the frame of reference and to
    /// name the source images by their UIDs. An archive files the results beside the images only then.
    /// Otherwise nothing of the source's header is written but where its slices lie.
    pub fn keep_patient(mut self, keep: bool) -> Self {
        self.keep_patient = keep;
        self
    }

    /// The number under which viewers list the series; 9000 unless set.
    pub fn series_number(mut self, number: u32) -> Self {
        self.series_number = number;
        self
    }

    /// Writes a map as a Parametric Map: one file of 32-bit floating-point frames, as they are.
    ///
    /// Many viewers show only pictures: see [`write_overlay`](Self::write_overlay).
    ///
    /// # Errors
    /// A map of another grid or of several channels, and a file that cannot be written.
    pub fn write_map(&self, path: impl AsRef<Path>, map: &Scan) -> Result<(), ScanError> {
        self.check_map(map)?;
        let class = dicom_dictionary_std::uids::PARAMETRIC_MAP_STORAGE;
        self.write(path.as_ref(), class, parametric_map::object(self, map))
    }

    /// Writes coloured slices as a series of Secondary Captures, one file for each slice of the source,
    /// and returns the files' paths. The folder is made if it is missing, and must be empty.
    ///
    /// A slice is its rows from top to bottom, each pixel red, green and blue. What is seen on the
    /// pictures is not looked at: text in them stays.
    ///
    /// # Errors
    /// Another number of slices or pixels, a folder with files, and files that cannot be written.
    pub fn write_overlay(
        &self,
        folder: impl AsRef<Path>,
        slices: &[Vec<u8>],
    ) -> Result<Vec<PathBuf>, ScanError> {
        let folder = folder.as_ref();
        let [columns, rows, count] = self.source.grid.size();
        let wanted = || format!("{count} slices of {} bytes", rows * columns * 3);
        if let Some(bad) = slices.iter().find(|slice| slice.len() != rows * columns * 3) {
            let given = format!("a slice of {} bytes", bad.len());
            return Err(
                DicomError::Results { what: "the pictures", wanted: wanted(), given }.into()
            );
        }
        if slices.len() != count {
            let given = format!("{} slices", slices.len());
            return Err(
                DicomError::Results { what: "the pictures", wanted: wanted(), given }.into()
            );
        }
        let failed = |source| ScanError::File { path: folder.into(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
            return Err(DicomError::NotEmpty { folder: folder.into() }.into());
        }
        let series = fresh_uid();
        let class = dicom_dictionary_std::uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
        let file = |(slice, rgb): (usize, &Vec<u8>)| {
            let path = folder.join(format!("{:04}.dcm", slice + 1));
            self.write(&path, class, overlay::object(self, &series, slice, rgb))?;
            Ok(path)
        };
        slices.iter().enumerate().map(file).collect()
    }

    fn check_map(&self, map: &Scan) -> Result<(), DicomError> {
        let (wanted, given) = (&self.source.grid, map.grid());
        let numbers = |grid: &crate::Grid| grid.affine().as_flattened().to_vec();
        let near = super::geometry::close(&numbers(wanted), &numbers(given), 1e-3);
        if wanted.size() != given.size() || !near || map.channels() != 1 {
            return Err(DicomError::Results {
                what: "the maps",
                wanted: format!("1 channel on {wanted:?}"),
                given: format!("{} on {given:?}", map.channels()),
            });
        }
        if map.values().iter().any(|value| !value.is_finite()) {
            return Err(DicomError::Results {
                what: "the maps",
                wanted: "finite values".into(),
                given: "others".into(),
            });
        }
        if given.voxels() > u32::MAX as usize / 4 {
            return Err(DicomError::Results {
                what: "the maps",
                wanted: "at most 4 GB".into(),
                given: format!("{} voxels", given.voxels()),
            });
        }
        Ok(())
    }

    fn write(&self, path: &Path, class: &str, object: InMemDicomObject) -> Result<(), ScanError> {
        // What fails in writing says which element and where, and quotes no value, unlike in reading.
        let failed =
            |error: Box<dyn Error + Send + Sync>| ScanError::file(path, io::Error::other(error));
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(class)
            .transfer_syntax(dicom_dictionary_std::uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let object = object.with_meta(meta).map_err(|error| failed(error.into()))?;
        object.write_to_file(path).map_err(|error| failed(error.into()))
    }
}
