//! Pixel sets for `segcam`: which output pixels a map explains.
//!
//! | set | text form | members |
//! |---|---|---|
//! | [`AllPixels`](segcam_core::AllPixels) | `all` | every pixel |
//! | [`PredictedClass`](segcam_core::PredictedClass) | `class` | predicted as the class asked about |
//! | [`Pixel`] | `pixel:70,16` | row 70, column 16 |
//! | [`Region`] | `box:10,20,64,80` | rows 10 to 63, columns 20 to 79 |
//! | [`Threshold`] | `threshold:0.5` | probability of the class above 0.5 |
//! | [`Mask`] | | a tensor of yours |
//! | [`and`](PixelAlgebra::and) [`or`](PixelAlgebra::or) [`minus`](PixelAlgebra::minus) [`not`](PixelAlgebra::not) | `a&b` `a\|b` `a-b` `!a` | combinations |
//!
//! Coordinates are those of the network's output, which for most networks has the size of the input;
//! rows come before columns (`z,y,x` in volumes), counted from 0. [`PixelSpec`] reads and writes the text form.
//!
//! ```
//! use segcam_core::{PredictedClass, SegHiResGradCam};
//! use segcam_pixels::{PixelAlgebra, PixelSpec, Region};
//!
//! let nucleus = PredictedClass.and(Region::new([10, 20], [64, 80]));
//! let method = SegHiResGradCam::new(nucleus);
//!
//! let the_same: PixelSpec = "class & box:10,20,64,80".parse()?;
//! assert_eq!(the_same.to_string(), "class&box:10,20,64,80");
//! # Ok::<(), segcam_pixels::SpecError>(())
//! ```

mod algebra;
mod mask;
mod pixel;
mod region;
mod spec;
mod threshold;

pub use algebra::{And, Minus, Not, Or, PixelAlgebra};
pub use mask::Mask;
pub use pixel::Pixel;
pub use region::Region;
pub use spec::{PixelSpec, SpecError};
pub use threshold::Threshold;

/// `1,2,3`
fn comma_separated<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
