use std::io;
use std::ops::Range;
use std::path::PathBuf;

use tiff::TiffError;

/// What can go wrong with a picture that is read or written by tiles.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TilesError {
    /// The file cannot be opened or made.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no TIFF, is damaged, or is compressed in a way that is not known.
    #[error("cannot use {path} as TIFF")]
    Tiff {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TiffError,
    },
    /// Pixels that are not read.
    #[error(
        "{path} holds {given}: by tiles, grey and RGB pictures of 8 bits are read. Convert it, for \
         example with `vips tiffsave in.tif out.tif --tile --compression deflate`"
    )]
    Pixels {
        /// The file.
        path: PathBuf,
        /// What it holds.
        given: String,
    },
    /// A tile or a strip that is itself too large.
    #[error(
        "{path} has tiles or strips of {bytes} bytes, at most {most} are read: write it with smaller \
         ones, for example with `vips tiffsave in.tif out.tif --tile --compression deflate`"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many bytes one has.
        bytes: u64,
        /// How many are read.
        most: u64,
    },
    /// Rows that the picture does not have.
    #[error("rows {} to {} are asked for of a picture of {height}", .rows.start, .rows.end)]
    NoRows {
        /// The rows.
        rows: Range<usize>,
        /// How many there are.
        height: usize,
    },
    /// Rows of another size than the picture that is written.
    #[error("rows {} to {} have {wanted} values, {given} were given", .rows.start, .rows.end)]
    WrongRows {
        /// The rows.
        rows: Range<usize>,
        /// How many values they have.
        wanted: usize,
        /// How many were given.
        given: usize,
    },
    /// What is to be written cannot be had.
    #[error("cannot read what is to be written")]
    Source(#[from] io::Error),
}
