use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ScanError;
use crate::matrix::{Matrix, nearest_rotation, transpose};

/// Where the axes of a grid point: for each of `(i, j, k)` the direction in which it counts up.
///
/// Its text form has a letter for each: **R**ight or **L**eft, **A**nterior or **P**osterior,
/// **S**uperior or **I**nferior.
///
/// ```
/// use segcam_scans::Orientation;
///
/// let orientation: Orientation = "lps".parse()?;
/// assert_eq!(orientation.to_string(), "LPS");
/// assert!("LRS".parse::<Orientation>().is_err());
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Orientation {
    /// For each axis of the grid: the axis of space, and whether it counts up along it.
    axes: [(usize, bool); 3],
}

const LETTERS: [[char; 2]; 3] = [['L', 'R'], ['P', 'A'], ['I', 'S']];

impl Orientation {
    /// To the right, anterior, superior.
    pub const RAS: Self = Self { axes: [(0, true), (1, true), (2, true)] };

    /// As nibabel's `io_orientation`: axes are taken from the one that is clearest to the least clear,
    /// each for the axis of space it is nearest to of those that are left.
    pub(crate) fn of(directions: &Matrix) -> Self {
        let mut columns = transpose(&nearest_rotation(directions));
        let clearest = |axis: usize| columns[axis].iter().fold(0.0f64, |most, x| most.max(x * x));
        let mut order = [0, 1, 2];
        let clear = [clearest(0), clearest(1), clearest(2)];
        order.sort_by(|a, b| clear[*b].total_cmp(&clear[*a]));
        let mut axes = [(0, true); 3];
        let mut left = vec![0, 1, 2];
        for axis in order {
            let column = columns[axis];
            // Of equals the first.
            let nearest = left.iter().copied().rev();
            let nearest = nearest.max_by(|a, b| column[*a].abs().total_cmp(&column[*b].abs()));
            let nearest = nearest.unwrap_or(axis);
            axes[axis] = (nearest, column[nearest] >= 0.0);
            left.retain(|space| *space != nearest);
            columns[axis] = [0.0; 3];
        }
        Self { axes }
    }

    /// What turns a grid of another orientation into one of this.
    pub(crate) fn turn_from(self, other: Self) -> Turn {
        let source = self.axes.map(|(space, _)| {
            other.axes.iter().position(|(from, _)| *from == space).unwrap_or_default()
        });
        let flip = |axis: usize| other.axes[source[axis]].1 != self.axes[axis].1;
        Turn { from: source, flip: [flip(0), flip(1), flip(2)] }
    }

    /// For each axis the letters of its smaller and of its larger indices.
    pub(crate) fn ends(self) -> [(char, char); 3] {
        self.axes.map(|(space, up)| {
            let [low, high] = LETTERS[space];
            if up { (low, high) } else { (high, low) }
        })
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ends().iter().try_for_each(|(_, towards)| write!(out, "{towards}"))
    }
}

impl FromStr for Orientation {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        let wrong = || {
            ScanError::Mismatch(format!(
                "{text:?} is no orientation: three letters, one each of R or L, A or P, S or I"
            ))
        };
        let axes: Vec<(usize, bool)> = text
            .chars()
            .map(|letter| {
                let letter = letter.to_ascii_uppercase();
                let space = LETTERS.iter().position(|pair| pair.contains(&letter))?;
                Some((space, LETTERS[space][1] == letter))
            })
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        let axes: [(usize, bool); 3] = axes.try_into().map_err(|_| wrong())?;
        let all = (0..3).all(|space| axes.iter().any(|(axis, _)| *axis == space));
        all.then_some(Self { axes }).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Orientation {
    type Error = ScanError;

    fn try_from(text: String) -> Result<Self, ScanError> {
        text.parse()
    }
}

impl From<Orientation> for String {
    fn from(orientation: Orientation) -> Self {
        orientation.to_string()
    }
}

/// A permutation of axes and a direction for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The old axis of each new one.
    pub(crate) from: [usize; 3],
    /// Whether the new one runs the other way.
    pub(crate) flip: [bool; 3],
}

impl Turn {
    /// Everything stays as it is.
    pub(crate) const NONE: Self = Self { from: [0, 1, 2], flip: [false; 3] };

    /// What undoes it.
    pub(crate) fn inverse(self) -> Self {
        let mut inverse = self;
        for (new, old) in self.from.into_iter().enumerate() {
            inverse.from[old] = new;
            inverse.flip[old] = self.flip[new];
        }
        inverse
    }

    /// Values of a grid of this size in their new order.
    pub(crate) fn apply(&self, size: [usize; 3], values: &[f32]) -> Vec<f32> {
        let steps = [1, size[0], size[0] * size[1]];
        let [width, height, _] = self.from.map(|axis| size[axis]);
        // Where an index along a new axis lies among the old values.
        let place = |axis: usize, index: usize| {
            let old = self.from[axis];
            steps[old] * if self.flip[axis] { size[old] - 1 - index } else { index }
        };
        let mut turned = vec![0.0; values.len()];
        turned.par_chunks_mut(width * height).enumerate().for_each(|(k, slice)| {
            for (j, row) in slice.chunks_mut(width).enumerate() {
                let start = place(2, k) + place(1, j);
                for (i, value) in row.iter_mut().enumerate() {
                    *value = values[start + place(0, i)];
                }
            }
        });
        turned
    }
}
