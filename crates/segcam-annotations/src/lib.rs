//! Ground truth for `segcam`, and the pixel sets that follow from it: what did the network find,
//! see where it is not, and miss?
//!
//! | set | name in reports | members |
//! |---|---|---|
//! | [`TruePositives`] | `tp` | predicted and annotated as the class asked about |
//! | [`FalsePositives`] | `fp` | predicted, not annotated |
//! | [`FalseNegatives`] | `fn` | annotated, not predicted |
//! | [`TrueNegatives`] | `tn` | neither |
//! | [`Truth`] | `truth` | annotated |
//!
//! Ignored pixels are in none of them. [`GroundTruth`] comes from
//!
//! | source | how |
//! |---|---|
//! | labels in memory | [`from_labels`](GroundTruth::from_labels) |
//! | gray or indexed PNG, gray TIFF | [`from_image`](GroundTruth::from_image) |
//! | colour-coded mask | [`from_colours`](GroundTruth::from_colours) |
//! | COCO instances | [`Coco`], [`from_coco`](GroundTruth::from_coco) |
//! | Cityscapes | [`cityscapes_train_id`], [`cityscapes_colours`] |
//!
//! It must have the size of the network's output, and labels that are classes of the network:
//! [`resized`](GroundTruth::resized), [`ignore`](GroundTruth::ignore) and
//! [`remap`](GroundTruth::remap) see to that, and nothing happens unasked. [`Confusion`] counts.
//!
//! ```
//! use segcam_annotations::{FalseNegatives, GroundTruth};
//! use segcam_core::SegHiResGradCam;
//!
//! let truth = GroundTruth::from_labels([0, 1, 1, 255], [2, 2])?.ignore(255).resized([4, 4])?;
//! let method = SegHiResGradCam::new(FalseNegatives::new(&truth));
//! # Ok::<(), segcam_annotations::AnnotationError>(())
//! ```

mod cityscapes;
mod coco;
mod confusion;
mod error;
mod image_file;
mod mask;
mod sets;
mod truth;

pub use cityscapes::{CITYSCAPES, CityscapesClass, cityscapes_colours, cityscapes_train_id};
pub use coco::{Category, Coco};
pub use confusion::Confusion;
pub use error::AnnotationError;
pub use mask::MaskError;
pub use sets::{FalseNegatives, FalsePositives, TrueNegatives, TruePositives, Truth};
pub use truth::GroundTruth;
