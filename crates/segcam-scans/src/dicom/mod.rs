//! DICOM: files and folders in, maps out.
//!
//! A folder or a list of files becomes one volume. Files are grouped by series, orientation, size and
//! spacing, and sorted along the slices' normal by where they lie, whatever their names. Slices that are
//! missing, doubled or shifted are errors that name the files.
//!
//! ```no_run
//! use segcam_scans::dicom;
//!
//! let ct = dicom::open("ct/")?;
//! println!("{:?} voxels, window {:?}", ct.scan.grid().size(), ct.window);
//! # Ok::<(), segcam_scans::ScanError>(())
//! ```
//!
//! Values are those after the rescale of each file (Hounsfield units, gray); the window is beside them,
//! not applied. Names, dates and identifiers are in no error and no note.

mod codecs;
mod error;
mod file;
mod frames;
mod geometry;
mod header;
mod layout;
mod pixels;
mod series;
mod source;
mod walk;
mod write;

use std::path::{Path, PathBuf};

pub use error::{DicomError, Place};
pub use series::Series;
pub use source::DicomSource;
pub use write::DicomWriter;

use crate::{Scan, ScanError};
use header::Header;
use layout::Colour;

/// A volume of DICOM images.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DicomScan {
    /// The values: one channel, or red, green and blue.
    pub scan: Scan,
    /// Centre and width of the window that the header suggests for looking at the values.
    pub window: Option<(f64, f64)>,
    /// Whether low values are meant to be shown white (MONOCHROME1). The values are as stored: a picture
    /// of them must be inverted.
    pub inverted: bool,
    /// What was ignored or assumed.
    pub notes: Vec<String>,
    /// What results refer to.
    pub source: DicomSource,
}

/// An image of a volume: the place of its file in the list, and of its frame in the file.
#[derive(Clone, Copy)]
struct Slice {
    file: usize,
    frame: usize,
}

/// Reads the one series in a folder, or a file.
///
/// # Errors
/// [`DicomError::SeveralSeries`], files that cannot be read, slices that are no volume.
pub fn open(path: impl AsRef<Path>) -> Result<DicomScan, ScanError> {
    only(series::in_path(path.as_ref())?)
}

/// Reads the one series of these files.
///
/// # Errors
/// As [`open`].
pub fn open_files(files: &[PathBuf]) -> Result<DicomScan, ScanError> {
    only(series::in_files(files)?)
}

/// The series in a folder or file, in the order of their numbers from 1.
///
/// ```no_run
/// use segcam_scans::dicom;
///
/// for (at, series) in dicom::list("study/")?.iter().enumerate() {
///     println!("{}: {series}", at + 1);
/// }
/// let second = dicom::open_series("study/", "2")?;
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
///
/// # Errors
/// Files that cannot be read, and folders without an image.
pub fn list(path: impl AsRef<Path>) -> Result<Vec<Series>, ScanError> {
    series::in_path(path.as_ref())
}

/// Reads one of several series: by its number in the list from 1, or by its Series Instance UID.
///
/// # Errors
/// [`DicomError::UnknownSeries`], and as [`open`]: one UID may have images of several orientations.
pub fn open_series(path: impl AsRef<Path>, wanted: &str) -> Result<DicomScan, ScanError> {
    let mut series = series::in_path(path.as_ref())?;
    let known = series.len();
    let number: Option<usize> = wanted.parse().ok();
    if let Some(number) = number.filter(|number| (1..=known).contains(number)) {
        return series[number - 1].open();
    }
    series.retain(|series| series.uid() == wanted);
    if series.is_empty() {
        return Err(DicomError::UnknownSeries { wanted: wanted.into(), known }.into());
    }
    only(series)
}

fn only(series: Vec<Series>) -> Result<DicomScan, ScanError> {
    match &series[..] {
        [only] => only.open(),
        _ => Err(DicomError::SeveralSeries { series }.into()),
    }
}

/// One volume of these files.
fn assemble(headers: &[Header], mut notes: Vec<String>) -> Result<DicomScan, ScanError> {
    let stack = geometry::stack(headers)?;
    notes.extend(stack.notes);
    let first = &headers[stack.slices[0].file];
    if first.layout.stored > 24 && !first.layout.float {
        notes.push("stored with 32 bits: values are rounded to 24 bits".into());
    }
    let values = pixels::values(headers, &stack.slices)?;
    Ok(DicomScan {
        window: first.frames[stack.slices[0].frame].window,
        inverted: first.layout.colour == Colour::InvertedGrey,
        source: DicomSource::new(headers, &stack.slices, &stack.grid),
        scan: Scan::new(stack.grid, first.layout.samples(), values)?,
        notes,
    })
}
