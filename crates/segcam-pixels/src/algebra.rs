use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

/// Combines pixel sets. On weights between 0 and 1 the laws of probability hold for independent
/// sets; on 0 and 1 they are those of sets.
///
/// # Example
/// ```
/// use segcam_core::{AllPixels, PixelSet, PredictedClass};
/// use segcam_pixels::{PixelAlgebra, Pixel};
///
/// let set = AllPixels.minus(PredictedClass.or(Pixel::new([3, 4])));
/// assert_eq!(PixelSet::<4>::name(&set), "all-(class|pixel:3,4)");
/// ```
pub trait PixelAlgebra: Sized {
    /// In both: `a·b`.
    fn and<B>(self, other: B) -> And<Self, B> {
        And(self, other)
    }

    /// In at least one: `a + b − a·b`.
    fn or<B>(self, other: B) -> Or<Self, B> {
        Or(self, other)
    }

    /// In the first, not in the second: `a·(1 − b)`.
    fn minus<B>(self, other: B) -> Minus<Self, B> {
        Minus(self, other)
    }

    /// Not in the set: `1 − a`.
    fn not(self) -> Not<Self> {
        Not(self)
    }
}

impl<P> PixelAlgebra for P {}

/// See [`PixelAlgebra::and`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct And<A, B>(A, B);

/// See [`PixelAlgebra::or`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Or<A, B>(A, B);

/// See [`PixelAlgebra::minus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minus<A, B>(A, B);

/// See [`PixelAlgebra::not`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Not<A>(A);

macro_rules! binary_operation {
    ($name:ident, $symbol:literal, $combine:expr) => {
        impl<A: PixelSet<D>, B: PixelSet<D>, const D: usize> PixelSet<D> for $name<A, B> {
            fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
                let combine: fn(Tensor<D>, Tensor<D>) -> Tensor<D> = $combine;
                Ok(combine(self.0.weights(view, class)?, self.1.weights(view, class)?))
            }

            fn name(&self) -> String {
                format!("{}{}{}", grouped(self.0.name()), $symbol, grouped(self.1.name()))
            }
        }
    };
}
binary_operation!(And, "&", |a, b| a * b);
binary_operation!(Or, "|", |a, b| a.clone() + b.clone() - a * b);
binary_operation!(Minus, "-", |a, b| a.clone() - a * b);

impl<A: PixelSet<D>, const D: usize> PixelSet<D> for Not<A> {
    fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        Ok(self.0.weights(view, class)?.neg() + 1.0)
    }

    fn name(&self) -> String {
        format!("!{}", grouped(self.0.name()))
    }
}

/// In parentheses if the name is itself a combination.
fn grouped(name: String) -> String {
    if name.contains(['&', '|', '-']) { format!("({name})") } else { name }
}
