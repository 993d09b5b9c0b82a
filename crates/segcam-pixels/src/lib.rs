//! Pixel sets for `segcam`: which output pixels a map explains.
//!
//! | set | text form | members |
//! |---|---|---|
//! | [`AllPixels`](segcam_core::AllPixels) | `all` | every pixel |
//! | [`PredictedClass`](segcam_core::PredictedClass) | `class` | predicted as the class asked about |
//! | [`ClassIs`] | `class:3` | predicted as class 3 |
//! | [`Threshold`] | `threshold:0.5` | probability of the class above 0.5 |
//! | [`Soft`] | `soft` | every pixel, weighted by its probability |
//! | [`Top`] | `top:100` | the 100 most confident pixels |
//! | [`Uncertain`] | `entropy:0.5` `margin:0.5` `leastconfidence:0.3` | the network is unsure |
//! | [`Contrast`] | `contrast:3` | why the class and not class 3 |
//! | [`Pixel`], [`Points`] | `pixel:70,16` `points:3,4;5,6` | single pixels |
//! | [`Region`] | `box:10,20,64,80` | rows 10 to 63, columns 20 to 79 |
//! | [`Disc`], [`Polygon`] | `disc:60,60,7.5` `polygon:0,0;9,0;9,9` | within a radius, inside corners |
//! | [`Random`], [`Border`] | `random:50,1` `border:4` | controls |
//! | [`Morphology`] | `dilate(class,3)` `band(class,2)` … | grown, shrunk, around the boundary |
//! | [`Mask`] | | a tensor of yours |
//! | [`PixelAlgebra`] | `a&b` `a\|b` `a-b` `a^b` `!a` | combinations |
//!
//! A set that consists of [`parts`](segcam_core::PixelSet::parts), such as every nucleus by itself, keeps
//! them in combinations, or the combination is an error: see [`PixelAlgebra`].
//!
//! Coordinates are those of the network's output, which for most networks has the size of the input;
//! rows come before columns (`z,y,x` in volumes), counted from 0. [`Vocabulary`] reads the text form.
//!
//! ```
//! use segcam_core::{PixelSet, PredictedClass, SegHiResGradCam};
//! use segcam_pixels::{PixelAlgebra, Region, Vocabulary};
//!
//! let nucleus = PredictedClass.and(Region::new([10, 20], [64, 80]));
//! let method = SegHiResGradCam::new(nucleus);
//!
//! let the_same = Vocabulary::<4>::new().parse("class & box:10,20,64,80")?;
//! assert_eq!(the_same.name(), "class&box:10,20,64,80");
//! # Ok::<(), segcam_pixels::SpecError>(())
//! ```

mod algebra;
mod border;
mod cells;
mod class_is;
mod contrast;
mod disc;
mod mask;
mod morphology;
mod parts;
mod pixel;
mod points;
mod polygon;
mod random;
mod region;
mod soft;
mod threshold;
mod top;
mod uncertain;
mod vocabulary;
mod words;

pub use algebra::{And, Minus, Not, Or, PixelAlgebra, Xor};
pub use border::Border;
pub use class_is::ClassIs;
pub use contrast::Contrast;
pub use disc::Disc;
pub use mask::Mask;
pub use morphology::Morphology;
pub use pixel::Pixel;
pub use points::Points;
pub use polygon::Polygon;
pub use random::Random;
pub use region::Region;
pub use soft::Soft;
pub use threshold::Threshold;
pub use top::Top;
pub use uncertain::{Uncertain, Uncertainty};
pub use vocabulary::{AnySet, Reader, SpecError, Vocabulary, Word};

use segcam_core::{CamError, PixelSet};

/// `1,2,3`
fn comma_separated<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// An error unless the place lies in the image.
fn expect_inside<const D: usize>(
    set: &impl PixelSet<D>,
    place: &[usize],
    image: Vec<usize>,
) -> Result<(), CamError> {
    if place.len() != image.len() {
        return Err(CamError::SetRank { set: set.name(), wanted: image.len(), given: place.len() });
    }
    if place.iter().zip(&image).any(|(at, side)| at >= side) {
        return Err(CamError::OutsideImage { set: set.name(), image });
    }
    Ok(())
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
