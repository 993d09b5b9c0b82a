use std::path::{Path, PathBuf};

use crate::Grid;

/// What can be wrong with a scan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A file that cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is not what its name or first bytes say.
    #[error("cannot use {}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was wanted, what is there, what would work.
        reason: String,
    },
    /// A file of JSON that says something else than it should.
    #[error("cannot use {}: {what}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be, or the part that is meant.
        what: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Values or sizes that do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// DICOM files that cannot be used.
    #[error(transparent)]
    Dicom(#[from] crate::dicom::DicomError),
    /// A part of a recipe that cannot be.
    #[error("{field} = {given} in the recipe of a scan: wanted {wanted}")]
    Recipe {
        /// The part.
        field: String,
        /// What it is.
        given: String,
        /// What would work.
        wanted: String,
    },
    /// An annotation that does not lie on its scan; `annotation.resampled(scan.grid().clone(),
    /// Interpolation::Nearest, 0.0)` does.
    #[error(
        "the annotation has {}, the scan has {}: what lies in the same space can be resampled onto the scan, \
         by nearest voxel",
        words(given),
        words(wanted)
    )]
    OtherGrid {
        /// Of the annotation.
        given: Box<Grid>,
        /// Of the scan.
        wanted: Box<Grid>,
    },
}

fn words(grid: &Grid) -> String {
    let joined =
        |numbers: [f64; 3], by: &str| numbers.map(|number| format!("{number:.2}")).join(by);
    let size = grid.size().map(|side| side.to_string()).join(" × ");
    let (spacing, first) = (joined(grid.spacing(), " × "), joined(grid.world([0.0; 3]), ", "));
    let orientation = grid.orientation();
    format!("{size} voxels of {spacing} mm, {orientation}, the first at {first} mm")
}

impl ScanError {
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn recipe(
        field: impl Into<String>,
        given: impl Into<String>,
        wanted: impl Into<String>,
    ) -> Self {
        Self::Recipe { field: field.into(), given: given.into(), wanted: wanted.into() }
    }

    pub(crate) fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }

    /// The same, of a file: what does not fit together there is the file's fault.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Mismatch(reason) => Self::format(path, reason),
            other => other,
        }
    }
}
