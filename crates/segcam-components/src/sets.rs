use segcam_core::burn::tensor::Tensor;
use segcam_core::{CamError, LabelMap, Members, PixelSet, PredictedClass, Prediction};

use crate::chosen::{AnySet, Choice, Chosen};
use crate::{Connectivity, Each};

/// The component that holds a pixel `[y, x]`, or a voxel `[z, y, x]`: one nucleus, one kidney.
///
/// It is empty where the pixel itself is not in the inner set.
///
/// # Example
/// ```
/// use segcam_components::ComponentAt;
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
///
/// let logits = Tensor::from_floats([[[[1.0, 1.0, -1.0, 1.0]]]], &Device::flex());
/// let view = Prediction::<4>::new(logits, [1, 1, 1, 4]);
/// let weights = ComponentAt::new([0, 1]).weights(&view, 0)?.into_data().try_to_vec::<f32>()?;
/// assert_eq!(weights, [1.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentAt<S = PredictedClass>(Chosen<S>);

impl ComponentAt {
    /// Row and column, or slice, row and column, counted from 0.
    pub fn new(at: impl Into<Vec<usize>>) -> Self {
        Self(Chosen::new(Choice::At(at.into())))
    }
}

/// The component with the most pixels. Of equal ones the first in scan order.
///
/// # Example
/// ```
/// use segcam_components::{Connectivity, Largest};
/// use segcam_core::{AllPixels, PixelSet};
///
/// let set = Largest::new().within(AllPixels).connectivity(Connectivity::Corners);
/// assert_eq!(PixelSet::<4>::name(&set), "largest(all)/corners");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Largest<S = PredictedClass>(Chosen<S>);

impl Largest {
    /// Of what is predicted as the class asked about.
    #[expect(clippy::new_without_default, reason = "one way to write it")]
    pub fn new() -> Self {
        Self(Chosen::new(Choice::Largest))
    }
}

/// The component with the fewest pixels. Of equal ones the first in scan order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smallest<S = PredictedClass>(Chosen<S>);

impl Smallest {
    /// Of what is predicted as the class asked about.
    #[expect(clippy::new_without_default, reason = "one way to write it")]
    pub fn new() -> Self {
        Self(Chosen::new(Choice::Smallest))
    }
}

/// The component that is n-th by size. Equal ones count in scan order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nth<S = PredictedClass>(Chosen<S>);

impl Nth {
    /// 1 is the largest.
    pub fn new(n: usize) -> Self {
        Self(Chosen::new(Choice::Nth(n)))
    }
}

/// All components of some size together: the inner set without its specks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtLeast<S = PredictedClass>(Chosen<S>);

impl AtLeast {
    /// Those of so many pixels or more.
    pub fn new(pixels: usize) -> Self {
        Self(Chosen::new(Choice::AtLeast(pixels)))
    }
}

macro_rules! builder {
    ($($name:ident)*) => {$(
        impl<S> $name<S> {
            /// Looks at the components of this set, the pixels whose weight is not zero, instead of
            /// those predicted as the class. The weights inside the component stay as they are.
            ///
            /// Of a set with [`parts`](PixelSet::parts) it looks at the components of each part; only
            /// [`Each`] takes none.
            pub fn within<T>(self, inner: T) -> $name<T> {
                $name(self.0.within(inner))
            }

            /// Which pixels touch; by default those that share a side.
            pub fn connectivity(self, connectivity: Connectivity) -> Self {
                Self(Chosen { connectivity, ..self.0 })
            }
        }
    )*};
}
builder!(ComponentAt Largest Smallest Nth AtLeast Each);

macro_rules! pixel_set {
    ($($name:ident)*) => {$(
        impl<S: PixelSet<D>, const D: usize> PixelSet<D> for $name<S> {
            fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
                self.0.weights(view, class)
            }

            fn name(&self) -> String {
                PixelSet::<D>::name(&self.0)
            }

            fn parts(
                &self,
                view: &Prediction<D>,
                class: usize,
            ) -> Result<Vec<AnySet<D>>, CamError> {
                self.0.parts(view, class)
            }

            fn why_empty(&self, view: &Prediction<D>, class: usize) -> Option<String> {
                self.0.why_empty(view, class)
            }

            fn on_labels<'a>(
                &'a self,
                labels: &'a LabelMap,
                class: usize,
            ) -> Result<Members<'a>, CamError> {
                PixelSet::<D>::on_labels(&self.0, labels, class)
            }
        }
    )*};
}
pixel_set!(ComponentAt Largest Smallest Nth AtLeast);
