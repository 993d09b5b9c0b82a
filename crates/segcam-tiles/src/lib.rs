//! Pictures that are larger than memory: rows of TIFF files in, tiled TIFF files out.
//!
//! [`TiffRows`] reads some rows at a time of a grey or RGB file with 8 bits, tiled or striped, BigTIFF or
//! not. [`write_tiled`] writes a picture of one channel whose rows are made when they are needed.

mod error;
mod read;
mod write;

pub use error::TilesError;
pub use read::TiffRows;
pub use write::{Sample, write_tiled};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
