//! NIfTI-1 and NIfTI-2.

mod geometry;
mod header;
mod layout;
mod read;
mod write;

pub(crate) use header::Header;
pub(crate) use read::{header_of, read, recognises, values_file};
pub use write::NiftiTemplate;
