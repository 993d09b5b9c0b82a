use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
use segcam_core::{AllPixels, CamError, PixelSet, PredictedClass, Prediction};

use crate::{Pixel, PixelAlgebra, Region, Threshold};

/// A pixel set in text form.
///
/// ```text
/// set    = factor { ("&" | "-" | "|") factor }      from left to right
/// factor = "!" factor | "(" set ")" | atom
/// atom   = "all" | "class" | "pixel:" y,x | "box:" y0,x0,y1,x1 | "threshold:" p
/// ```
///
/// Volumes use `z,y,x`. A box ends before its last corner. Spaces are ignored.
///
/// # Example
/// ```
/// use segcam_pixels::PixelSpec;
///
/// let set: PixelSpec = "class - pixel:70,16".parse()?;
/// assert_eq!(set.to_string(), "class-pixel:70,16");
///
/// let error = "class & pixle:3,4".parse::<PixelSpec>().unwrap_err();
/// assert_eq!(error.column, 9);
/// # Ok::<(), segcam_pixels::SpecError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum PixelSpec {
    /// `all`
    All,
    /// `class`
    Class,
    /// `pixel:y,x`
    Pixel(Pixel),
    /// `box:y0,x0,y1,x1`
    Box(Region),
    /// `threshold:p`
    Threshold(Threshold),
    /// `a&b`
    And(Box<Self>, Box<Self>),
    /// `a|b`
    Or(Box<Self>, Box<Self>),
    /// `a-b`
    Minus(Box<Self>, Box<Self>),
    /// `!a`
    Not(Box<Self>),
}

impl<const D: usize> PixelSet<D> for PixelSpec {
    fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        // Operands are looked at through `dyn`, or the type of a nested set would never end.
        fn set<const D: usize>(operand: &PixelSpec) -> &dyn PixelSet<D> {
            operand
        }
        match self {
            Self::All => AllPixels.weights(view, class),
            Self::Class => PredictedClass.weights(view, class),
            Self::Pixel(pixel) => pixel.weights(view, class),
            Self::Box(region) => region.weights(view, class),
            Self::Threshold(threshold) => threshold.weights(view, class),
            Self::And(a, b) => set(a).and(set(b)).weights(view, class),
            Self::Or(a, b) => set(a).or(set(b)).weights(view, class),
            Self::Minus(a, b) => set(a).minus(set(b)).weights(view, class),
            Self::Not(a) => set(a).not().weights(view, class),
        }
    }

    fn name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for PixelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = |f: &mut fmt::Formatter<'_>, a: &Self, symbol, b: &Self| {
            // From left to right: only a combination on the right needs parentheses.
            match b {
                Self::And(..) | Self::Or(..) | Self::Minus(..) => write!(f, "{a}{symbol}({b})"),
                _ => write!(f, "{a}{symbol}{b}"),
            }
        };
        match self {
            Self::All => write!(f, "all"),
            Self::Class => write!(f, "class"),
            Self::Pixel(pixel) => write!(f, "{pixel}"),
            Self::Box(region) => write!(f, "{region}"),
            Self::Threshold(threshold) => write!(f, "{threshold}"),
            Self::And(a, b) => binary(f, a, '&', b),
            Self::Or(a, b) => binary(f, a, '|', b),
            Self::Minus(a, b) => binary(f, a, '-', b),
            Self::Not(a) => match **a {
                Self::And(..) | Self::Or(..) | Self::Minus(..) => write!(f, "!({a})"),
                _ => write!(f, "!{a}"),
            },
        }
    }
}

/// A text that is no pixel set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of pixel set `{}`: expected {wanted}", Excerpt(.text, *.column))]
pub struct SpecError {
    /// The whole text.
    pub text: String,
    /// Where it went wrong, counted from 1 in characters.
    pub column: usize,
    /// What would have been right there.
    pub wanted: &'static str,
}

/// The text, or of a long one what lies around the column.
struct Excerpt<'a>(&'a str, usize);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AROUND: usize = 30;
        let start = self.1.saturating_sub(AROUND);
        let shown: String = self.0.chars().skip(start).take(2 * AROUND).collect();
        let before = if start > 0 { "…" } else { "" };
        let after = if start + 2 * AROUND < self.0.chars().count() { "…" } else { "" };
        write!(f, "{before}{shown}{after}")
    }
}

const ATOM: &str = "all, class, pixel:y,x, box:y0,x0,y1,x1, threshold:p, ! or (";
/// More operators than anyone writes, fewer than the stack can follow: sets are trees.
const MAX_OPERATORS: usize = 256;

impl FromStr for PixelSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut parser = Parser { text, at: 0, operators: 0 };
        let set = parser.set()?;
        match parser.peek() {
            None => Ok(set),
            Some(_) => parser.fail("&, -, | or the end"),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    operators: usize,
}

impl<'a> Parser<'a> {
    fn set(&mut self) -> Result<PixelSpec, SpecError> {
        let mut left = self.factor()?;
        while let Some(symbol @ ('&' | '-' | '|')) = self.peek() {
            self.count_operator()?;
            self.at += 1;
            let (a, b) = (Box::new(left), Box::new(self.factor()?));
            left = match symbol {
                '&' => PixelSpec::And(a, b),
                '-' => PixelSpec::Minus(a, b),
                _ => PixelSpec::Or(a, b),
            };
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<PixelSpec, SpecError> {
        let prefix = self.peek();
        if !matches!(prefix, Some('!' | '(')) {
            return self.atom();
        }
        self.count_operator()?;
        self.at += 1;
        Ok(if prefix == Some('!') {
            PixelSpec::Not(Box::new(self.factor()?))
        } else {
            let set = self.set()?;
            if self.peek() != Some(')') {
                return self.fail(")");
            }
            self.at += 1;
            set
        })
    }

    fn count_operator(&mut self) -> Result<(), SpecError> {
        if self.operators == MAX_OPERATORS {
            return self.fail("the end: a set may have 256 operators");
        }
        self.operators += 1;
        Ok(())
    }

    fn atom(&mut self) -> Result<PixelSpec, SpecError> {
        self.peek();
        let start = self.at;
        let word = self.take(|c| c.is_ascii_alphabetic());
        match word {
            "all" => return Ok(PixelSpec::All),
            "class" => return Ok(PixelSpec::Class),
            "pixel" | "box" | "threshold" if self.peek() == Some(':') => self.at += 1,
            "pixel" | "box" | "threshold" => return self.fail(":"),
            _ => {
                self.at = start;
                return self.fail(ATOM);
            }
        }
        if word == "threshold" {
            self.peek();
            let start = self.at;
            let number = self.take(|c| c.is_ascii_digit() || c == '.');
            return match number.parse() {
                Ok(level) if (0.0..1.0).contains(&level) => {
                    Ok(PixelSpec::Threshold(Threshold(level)))
                }
                _ => {
                    self.at = start;
                    self.fail("a probability of at least 0 and below 1")
                }
            };
        }
        let mut numbers = self.numbers()?;
        match (word, numbers.len()) {
            ("pixel", 2 | 3) => Ok(PixelSpec::Pixel(Pixel::new(numbers))),
            ("box", 4 | 6) => {
                let end = numbers.split_off(numbers.len() / 2);
                if numbers.iter().zip(&end).any(|(start, end)| start >= end) {
                    return self
                        .fail("a last corner that lies beyond the first in every direction");
                }
                Ok(PixelSpec::Box(Region::new(numbers, end)))
            }
            ("pixel", _) => self.fail("2 numbers y,x (3 in volumes)"),
            _ => self.fail("4 numbers y0,x0,y1,x1 (6 in volumes)"),
        }
    }

    fn numbers(&mut self) -> Result<Vec<usize>, SpecError> {
        let mut numbers = vec![];
        loop {
            self.peek();
            let start = self.at;
            match self.take(|c| c.is_ascii_digit()).parse() {
                Ok(number) => numbers.push(number),
                Err(_) => {
                    self.at = start;
                    return self.fail("a whole number of at least 0");
                }
            }
            if self.peek() != Some(',') {
                return Ok(numbers);
            }
            self.at += 1;
        }
    }

    /// The next character that is not a space.
    fn peek(&mut self) -> Option<char> {
        self.take(char::is_whitespace);
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn fail<T>(&self, wanted: &'static str) -> Result<T, SpecError> {
        let column = self.text[..self.at].chars().count() + 1;
        Err(SpecError { text: self.text.to_string(), column, wanted })
    }
}
