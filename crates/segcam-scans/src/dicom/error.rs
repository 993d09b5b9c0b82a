use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Series;

/// What can be wrong with DICOM files. Files are named by their paths; nothing is quoted that says who
/// the patient is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// A folder or list without an image.
    #[error("no DICOM image in {}{hint}", path.display())]
    Nothing {
        /// The folder, or the first file.
        path: PathBuf,
        /// What is there instead.
        hint: String,
    },
    /// Several series where one was wanted.
    #[error(
        "{} series where one volume is wanted; choose one by its number:{}",
        series.len(),
        listed(series)
    )]
    SeveralSeries {
        /// The series, in the order of their numbers from 1.
        series: Vec<Series>,
    },
    /// No series of that number or UID.
    #[error("no series {wanted}: there are the numbers 1 to {known}")]
    UnknownSeries {
        /// The number or UID asked for.
        wanted: String,
        /// How many there are.
        known: usize,
    },
    /// A file that cannot be parsed.
    #[error("cannot read {} as DICOM: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An attribute that is missing or says something that cannot be used.
    #[error("cannot use {}: {attribute} must be {wanted}, it is {given}", path.display())]
    Attribute {
        /// The file.
        path: PathBuf,
        /// The attribute's name in the standard.
        attribute: &'static str,
        /// What would work.
        wanted: &'static str,
        /// What is there.
        given: String,
    },
    /// Pixel data in a form that cannot be decoded.
    #[error(
        "cannot decode {}: its pixel data is {name} ({uid}); known are native, deflated, RLE, JPEG of \
         8 bits, JPEG lossless and JPEG 2000. Another tool can rewrite it uncompressed",
        path.display()
    )]
    TransferSyntax {
        /// The file.
        path: PathBuf,
        /// Name of the transfer syntax.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// Pixel data that is not what the header says.
    #[error("cannot decode {}: {source}", path.display())]
    PixelData {
        /// The file.
        path: PathBuf,
        /// What was wanted and what is there, or what the decoder says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A segmentation, which has labels and no image.
    #[error(
        "{} is a DICOM segmentation: it says what is where in another series, it is no image",
        path.display()
    )]
    Segmentation {
        /// The file.
        path: PathBuf,
    },
    /// A slice is missing, or slices are not evenly spaced.
    #[error(
        "slices are {step} mm apart, but {given} mm between {before} (at {at} mm along the normal) and \
         {after}: {}",
        missing(*step, *given)
    )]
    Gap {
        /// The slice before the gap.
        before: Place,
        /// The slice after it.
        after: Place,
        /// Where the slice before lies along the normal, in mm.
        at: f64,
        /// Distance of most slices in mm.
        step: f64,
        /// Distance of these two in mm.
        given: f64,
    },
    /// Several slices at one place.
    #[error(
        "{first} and {second} lie at the same place ({at} mm along the normal; {images} images, {places} \
         places): duplicates, or several volumes in one series (phases, directions, echoes). Name the \
         files of one volume"
    )]
    SamePlace {
        /// A slice there.
        first: Place,
        /// Another one.
        second: Place,
        /// Where, in mm.
        at: f64,
        /// Number of images in all.
        images: usize,
        /// Number of different places.
        places: usize,
    },
    /// Slices that are shifted sideways, each by another distance.
    #[error(
        "{place} lies {distance} mm off the line through the first and last slice: slices that are \
         shifted unevenly are no grid"
    )]
    Shifted {
        /// The slice.
        place: Place,
        /// How far off the line, in mm.
        distance: f64,
    },
    /// Results that do not lie on the scan they are said to explain.
    #[error("{what} do not fit the scan: wanted {wanted}, given {given}")]
    Results {
        /// What was given.
        what: &'static str,
        /// What the scan has.
        wanted: String,
        /// What was given.
        given: String,
    },
    /// A folder for a series of results that has files already, which would be taken for the series'.
    #[error("{} is not empty: a series is written into a folder of its own", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
}

/// An image: a file, and which of its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The frame from 1, in a file of several.
    pub frame: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.frame.map_or(Ok(()), |frame| write!(f, " frame {frame}"))
    }
}

impl DicomError {
    pub(super) fn attribute(
        path: &Path,
        attribute: &'static str,
        wanted: &'static str,
        given: impl fmt::Display,
    ) -> Self {
        Self::Attribute { path: path.into(), attribute, wanted, given: given.to_string() }
    }

    pub(super) fn pixels(path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::PixelData { path: path.into(), source: source.into() }
    }
}

fn listed(series: &[Series]) -> String {
    series.iter().enumerate().map(|(at, series)| format!("\n  {}: {series}", at + 1)).collect()
}

fn missing(step: f64, given: f64) -> String {
    let slices = (given / step).round();
    if slices >= 2.0 && (given / step - slices).abs() < 0.05 {
        format!("{} missing", slices - 1.0)
    } else {
        "they are no grid".into()
    }
}
