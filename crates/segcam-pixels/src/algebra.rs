use burn::tensor::Tensor;
use segcam_core::{CamError, LabelMap, Members, PixelSet, Prediction};

use crate::AnySet;
use crate::parts::{self, Frozen};

/// Combines pixel sets. On weights between 0 and 1 the laws of probability hold for independent
/// sets; on 0 and 1 they are those of sets. A [`Contrast`](crate::Contrast) inside stays one.
///
/// A set that consists of [`parts`](PixelSet::parts), each to be explained by itself, keeps them in
/// `parts & set`, `set & parts` and `parts - set`; parts that lose all their pixels are left out. Every
/// other combination would make one set of them and is [`CamError::PixelSet`] when it is asked.
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

/// Which operand may consist of parts: each of them is then combined with the other operand.
#[derive(Clone, Copy)]
enum PartsIn {
    /// Either, not both.
    One,
    First,
    Neither,
}

impl PartsIn {
    /// An error where an operation would make one set of the parts. `whole` is its name.
    fn check<const D: usize>(
        self,
        symbol: &str,
        [a, b]: [&dyn PixelSet<D>; 2],
        whole: impl Fn() -> String,
        view: &Prediction<D>,
        class: usize,
    ) -> Result<(), CamError> {
        let one_set = |operand: &dyn PixelSet<D>| {
            parts::expect_one_set(&operand, symbol, &whole, view, class)
        };
        match self {
            // All components of a batch are a set, too, though its parts cannot be listed.
            Self::One if b.parts(view, class).is_ok_and(|parts| !parts.is_empty()) => one_set(a),
            Self::One => Ok(()),
            Self::First => one_set(b),
            Self::Neither => one_set(a).and_then(|()| one_set(b)),
        }
    }
}

macro_rules! binary_operation {
    ($name:ident, $symbol:literal, $combine:expr, $hold:expr, $empty:literal, $parts:expr) => {
        impl<A: PixelSet<D>, B: PixelSet<D>, const D: usize> PixelSet<D> for $name<A, B> {
            fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
                let name = || PixelSet::<D>::name(self);
                $parts.check($symbol, [&self.0, &self.1], name, view, class)?;
                let combine: fn(Tensor<D>, Tensor<D>) -> Tensor<D> = $combine;
                Ok(combine(self.0.weights(view, class)?, self.1.weights(view, class)?))
            }

            fn name(&self) -> String {
                // From left to right: only a combination on the right needs parentheses.
                format!("{}{}{}", self.0.name(), $symbol, grouped(self.1.name()))
            }

            fn against(
                &self,
                view: &Prediction<D>,
                class: usize,
            ) -> Result<Vec<(usize, f64)>, CamError> {
                let (a, b) = (self.0.against(view, class)?, self.1.against(view, class)?);
                if !a.is_empty() && !b.is_empty() && a != b {
                    let [a, b] = [a, b].map(|classes| classes[0].0);
                    let reason = format!("it compares with class {a} and with class {b}");
                    return Err(CamError::PixelSet { set: PixelSet::<D>::name(self), reason });
                }
                Ok(if a.is_empty() { b } else { a })
            }

            fn parts(
                &self,
                view: &Prediction<D>,
                class: usize,
            ) -> Result<Vec<AnySet<D>>, CamError> {
                let name = || PixelSet::<D>::name(self);
                $parts.check($symbol, [&self.0, &self.1], name, view, class)?;
                let first = self.0.parts(view, class)?;
                if !first.is_empty() {
                    let other = Frozen::new(&self.1, view, class)?;
                    return parts::changed(first, view, class, |part| $name(part, other.clone()));
                }
                let second = self.1.parts(view, class)?;
                if second.is_empty() {
                    return Ok(vec![]);
                }
                let other = Frozen::new(&self.0, view, class)?;
                parts::changed(second, view, class, |part| $name(other.clone(), part))
            }

            fn why_empty(&self, _view: &Prediction<D>, _class: usize) -> Option<String> {
                Some($empty.into())
            }

            fn on_labels<'a>(
                &'a self,
                labels: &'a LabelMap,
                class: usize,
            ) -> Result<Members<'a>, CamError> {
                let hold: fn(bool, bool) -> bool = $hold;
                let (a, b) = (self.0.on_labels(labels, class)?, self.1.on_labels(labels, class)?);
                Ok(Box::new(move |pixel| hold(a(pixel), b(pixel))))
            }
        }
    };
}
binary_operation!(And, "&", |a, b| a * b, |a, b| a && b, "no pixel is in both", PartsIn::One);
binary_operation!(
    Or,
    "|",
    |a, b| a.clone() + b.clone() - a * b,
    |a, b| a || b,
    "both sets are empty",
    PartsIn::Neither
);
binary_operation!(
    Minus,
    "-",
    |a, b| a.clone() - a * b,
    |a, b| a && !b,
    "every pixel of the first is in the second",
    PartsIn::First
);
binary_operation!(
    Xor,
    "^",
    |a, b| a.clone() + b.clone() - a * b * 2.0,
    |a, b| a != b,
    "the two sets are the same",
    PartsIn::Neither
);

impl<A> Not<A> {
    fn expect_one_set<const D: usize>(
        &self,
        view: &Prediction<D>,
        class: usize,
    ) -> Result<(), CamError>
    where
        A: PixelSet<D>,
    {
        parts::expect_one_set(&self.0, "!", || PixelSet::<D>::name(self), view, class)
    }
}

impl<A: PixelSet<D>, const D: usize> PixelSet<D> for Not<A> {
    fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        self.expect_one_set(view, class)?;
        Ok(self.0.weights(view, class)?.neg() + 1.0)
    }

    fn name(&self) -> String {
        format!("!{}", grouped(self.0.name()))
    }

    fn against(&self, view: &Prediction<D>, class: usize) -> Result<Vec<(usize, f64)>, CamError> {
        self.0.against(view, class)
    }

    fn parts(&self, view: &Prediction<D>, class: usize) -> Result<Vec<AnySet<D>>, CamError> {
        self.expect_one_set(view, class)?;
        Ok(vec![])
    }

    fn why_empty(&self, _view: &Prediction<D>, _class: usize) -> Option<String> {
        Some("every pixel is in the set".into())
    }

    fn on_labels<'a>(
        &'a self,
        labels: &'a LabelMap,
        class: usize,
    ) -> Result<Members<'a>, CamError> {
        let inside = self.0.on_labels(labels, class)?;
        Ok(Box::new(move |pixel| !inside(pixel)))
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
