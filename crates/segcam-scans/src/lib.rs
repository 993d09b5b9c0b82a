//! Medical scans: files in, geometry, resampling, and maps back onto the scan's grid.
//!
//! No networks in it: it can be used by itself.
//!
//! | piece | what it does |
//! |---|---|
//! | [`Scan::open`] | reads NIfTI-1 and 2, MGH, NRRD and MetaImage |
//! | [`dicom::open`] | reads a DICOM file, or a folder of slices |
//! | [`Scan`] | channels of values on a [`Grid`]; turned, cropped, resampled, as labels |
//! | [`Grid`] | size and affine: millimetres from voxels and back |
//! | [`Orientation`] | where the axes point, such as `RAS` |
//! | [`Resampling`] | from one grid onto another, and its exact adjoint |
//! | [`Recipe`] | what a network wants of a scan; [`PreparedScan`] knows the way back |
//! | [`NnUnetPlans`] | the recipe, windows and classes of a network of nnU-Net |
//! | [`NiftiTemplate`] | writes maps and labels so that they lie on the scan |

mod axes;
mod channels;
pub mod dicom;
mod error;
mod grid;
mod gzip;
mod matrix;
mod meta_image;
mod mgh;
mod nifti;
mod nnunet;
mod nonzero;
mod nrrd;
mod number;
mod open;
mod orientation;
mod prepared;
mod recipe;
mod resample;
mod scale;
mod scan;
mod source;

pub use axes::Axes;
pub use error::ScanError;
pub use grid::Grid;
pub use nifti::NiftiTemplate;
pub use nnunet::{NnUnetConfiguration, NnUnetPlans};
pub use orientation::Orientation;
pub use prepared::{PreparedScan, Side, Way};
pub use recipe::{Crop, Recipe};
pub use resample::{Interpolation, Resampling};
pub use scale::{ChannelRecipe, Scale};
pub use scan::Scan;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
