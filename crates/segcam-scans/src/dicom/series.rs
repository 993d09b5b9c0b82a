//! Which files belong together.

use std::fmt;
use std::path::{Path, PathBuf};

use super::geometry::close;
use super::header::{Found, Header, look};
use super::{DicomError, DicomScan, assemble};
use crate::ScanError;

/// Files of one series with the same orientation, size and spacing: what can be one volume.
///
/// It says nothing that identifies anyone unless asked for its [`uid`](Self::uid).
#[derive(Clone)]
pub struct Series {
    headers: Vec<Header>,
    notes: Vec<String>,
}

impl Series {
    /// What kind of image it is, in the standard's codes: CT, MR, …
    pub fn modality(&self) -> &str {
        &self.headers[0].modality
    }

    /// The number that the scanner gave it.
    pub fn number(&self) -> Option<u32> {
        self.headers[0].series_number
    }

    /// Number of rows and columns.
    pub fn size(&self) -> [usize; 2] {
        [self.headers[0].layout.rows, self.headers[0].layout.columns]
    }

    /// Number of images: frames of all files.
    pub fn images(&self) -> usize {
        self.headers.iter().map(|header| header.frames.len()).sum()
    }

    /// Its files.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.headers.iter().map(|header| header.path.as_path())
    }

    /// Its Series Instance UID, which identifies it, and with it the patient.
    pub fn uid(&self) -> &str {
        &self.headers[0].series
    }

    /// Reads it as one volume.
    ///
    /// # Errors
    /// Slices that are missing, doubled or shifted, and pixels that cannot be decoded.
    pub fn open(&self) -> Result<DicomScan, ScanError> {
        assemble(&self.headers, self.notes.clone())
    }

    fn takes(&self, other: &Header) -> bool {
        let own = &self.headers[0];
        let (a, b) = (&own.layout, &other.layout);
        let same = own.series == other.series
            && (a.rows, a.columns, a.colour) == (b.rows, b.columns, b.colour);
        let first = |header: &Header| (header.frames[0].orientation, header.frames[0].spacing);
        let ((turned, spaced), (other_turned, other_spaced)) = (first(own), first(other));
        let near = |a: Option<&[f64]>, b: Option<&[f64]>| match (a, b) {
            (Some(a), Some(b)) => close(a, b, 1e-3),
            (None, None) => true,
            _ => false,
        };
        same && near(turned.as_ref().map(|a| &a[..]), other_turned.as_ref().map(|b| &b[..]))
            && near(spaced.as_ref().map(|a| &a[..]), other_spaced.as_ref().map(|b| &b[..]))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rows, columns] = self.size();
        let (modality, files, images) = (self.modality(), self.headers.len(), self.images());
        write!(
            f,
            "{modality}, {files} file(s), {images} image(s) of {rows} rows, {columns} columns"
        )?;
        self.number().map_or(Ok(()), |number| write!(f, ", scanner's number {number}"))
    }
}

/// As displayed: no identifiers.
impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Series({self})")
    }
}

/// The series in a file, or in the files of a folder (and not in folders within it).
pub(super) fn in_path(path: &Path) -> Result<Vec<Series>, ScanError> {
    if !path.is_dir() {
        return in_files(&[path.to_path_buf()]);
    }
    let failed = |source| ScanError::File { path: path.into(), source };
    let mut files = Vec::new();
    let mut folders = 0;
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        if entry.is_dir() { folders += 1 } else { files.push(entry) }
    }
    files.sort();
    if files.is_empty() {
        let hint = match folders {
            0 => ": it is empty".into(),
            folders => format!(": only {folders} folder(s). Name the one with the images"),
        };
        return Err(DicomError::Nothing { path: path.into(), hint }.into());
    }
    in_files(&files)
}

/// The series of these files, sorted by the scanner's number and the first file.
pub(super) fn in_files(files: &[PathBuf]) -> Result<Vec<Series>, ScanError> {
    let mut series: Vec<Series> = Vec::new();
    let (mut without_image, mut segmentations, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for path in files {
        let header = match look(path)? {
            Found::Image(header) => *header,
            Found::NoImage => {
                without_image.push(path);
                continue;
            }
            Found::Segmentation => {
                segmentations.push(path);
                continue;
            }
            Found::NotDicom => {
                other.push(path);
                continue;
            }
        };
        match series.iter_mut().find(|series| series.takes(&header)) {
            Some(series) => series.headers.push(header),
            None => series.push(Series { headers: vec![header], notes: Vec::new() }),
        }
    }
    if let ([], [path, ..]) = (&series[..], &segmentations[..]) {
        return Err(DicomError::Segmentation { path: path.to_path_buf() }.into());
    }
    let ignored = [
        ("that are not DICOM", other),
        ("without an image", without_image),
        ("of segmentations", segmentations),
    ];
    let ignored = ignored.into_iter().filter(|(_, files)| !files.is_empty());
    let notes: Vec<String> = ignored
        .map(|(what, files)| format!("ignored {} file(s) {what}: {}", files.len(), names(&files)))
        .collect();
    if series.is_empty() {
        let hint = notes.iter().map(|note| format!(": {note}")).collect();
        let path = files.first().cloned().unwrap_or_default();
        return Err(DicomError::Nothing { path, hint }.into());
    }
    series.sort_by_key(Series::number);
    series.iter_mut().for_each(|series| series.notes.clone_from(&notes));
    Ok(series)
}

fn names(files: &[&PathBuf]) -> String {
    let name =
        |path: &&PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = files.iter().map(name).collect();
    names.join(", ")
}
