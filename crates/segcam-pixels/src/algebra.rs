use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

/// Combines pixel sets. On weights between 0 and 1 the laws of probability hold for independent
/// sets; on 0 and 1 they are those of sets. A [`Contrast`](crate::Contrast) inside stays one.
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

    /// In exactly one: `a + b − 2·a·b`.
    fn xor<B>(self, other: B) -> Xor<Self, B> {
        Xor(self, other)
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

/// See [`PixelAlgebra::xor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xor<A, B>(A, B);

/// See [`PixelAlgebra::not`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Not<A>(A);

macro_rules! binary_operation {
    ($name:ident, $symbol:literal, $combine:expr, $empty:literal) => {
        impl<A: PixelSet<D>, B: PixelSet<D>, const D: usize> PixelSet<D> for $name<A, B> {
            fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
                if let (Some(a), Some(b)) = (self.0.against(), self.1.against())
                    && a != b
                {
                    let set = PixelSet::<D>::name(self);
                    let reason = format!("it compares with class {a} and with class {b}");
                    return Err(CamError::PixelSet { set, reason });
                }
                let combine: fn(Tensor<D>, Tensor<D>) -> Tensor<D> = $combine;
                Ok(combine(self.0.weights(view, class)?, self.1.weights(view, class)?))
            }

            fn name(&self) -> String {
                // From left to right: only a combination on the right needs parentheses.
                format!("{}{}{}", self.0.name(), $symbol, grouped(self.1.name()))
            }

            fn against(&self) -> Option<usize> {
                self.0.against().or(self.1.against())
            }

            fn why_empty(&self, _view: &Prediction<D>, _class: usize) -> Option<String> {
                Some($empty.into())
            }
        }
    };
}
binary_operation!(And, "&", |a, b| a * b, "no pixel is in both");
binary_operation!(Or, "|", |a, b| a.clone() + b.clone() - a * b, "both sets are empty");
binary_operation!(
    Minus,
    "-",
    |a, b| a.clone() - a * b,
    "every pixel of the first is in the second"
);
binary_operation!(
    Xor,
    "^",
    |a, b| a.clone() + b.clone() - a * b * 2.0,
    "the two sets are the same"
);

impl<A: PixelSet<D>, const D: usize> PixelSet<D> for Not<A> {
    fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        Ok(self.0.weights(view, class)?.neg() + 1.0)
    }

    fn name(&self) -> String {
        format!("!{}", grouped(self.0.name()))
    }

    fn against(&self) -> Option<usize> {
        self.0.against()
    }

    fn why_empty(&self, _view: &Prediction<D>, _class: usize) -> Option<String> {
        Some("every pixel is in the set".into())
    }
}

/// In parentheses if the name is itself a combination.
fn grouped(name: String) -> String {
    let mut depth = 0;
    let combines = name.chars().any(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && matches!(c, '&' | '|' | '-' | '^')
    });
    if combines { format!("({name})") } else { name }
}
