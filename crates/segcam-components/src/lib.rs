//! Pixel sets for `segcam` from connected components and instances, in images and volumes: *this*
//! nucleus instead of all nuclei.
//!
//! | set | name in reports | members |
//! |---|---|---|
//! | [`ComponentAt`] | `component@120,88` | the component that holds row 120, column 88 |
//! | [`Largest`], [`Smallest`] | `largest`, `smallest` | the one with the most, the fewest pixels |
//! | [`Nth`] | `nth:2` | the component that is second by size |
//! | [`AtLeast`] | `atleast:50` | all components of 50 pixels or more |
//! | [`Each`] | `each`, `each:50` | every component (of 50 pixels or more) as a set of its own |
//! | [`Instances`] | `instance:7`, `instances` | what an image of instance ids marks with 7; each id by itself |
//!
//! Components are those of the pixels predicted as the class asked about, or of another set's
//! nonzero pixels with `within`. Pixels touch if they share a side; `connectivity` says otherwise.
//! Each image of a batch is labelled by itself.
//!
//! ```
//! use segcam_components::{ComponentAt, Connectivity, Largest};
//! use segcam_core::{AllPixels, PixelSet, SegHiResGradCam};
//!
//! let method = SegHiResGradCam::new(ComponentAt::new([120, 88]));
//!
//! let set = Largest::new().within(AllPixels).connectivity(Connectivity::Corners);
//! assert_eq!(PixelSet::<4>::name(&set), "largest(all)/corners");
//! ```

mod chosen;
mod each;
mod flood;
mod instances;
mod label_image;
mod labels;
mod sets;

pub use each::{Component, Each};
pub use instances::{Instance, Instances};
pub use labels::Connectivity;
pub use sets::{AtLeast, ComponentAt, Largest, Nth, Smallest};
