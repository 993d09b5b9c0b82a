use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ScanError;
use crate::orientation::Turn;

/// In which order a network has the three axes of a scan, its slowest side first.
///
/// `x`, `y`, `z` stand for `(i, j, k)` of the turned scan. Arrays of SimpleITK, and so nnU-Net, are
/// `zyx`; those of nibabel, and so MONAI, are `xyz`. All six orders are read.
///
/// ```
/// use segcam_scans::Axes;
///
/// assert_eq!(Axes::default(), Axes::ZYX);
/// assert_eq!("xyz".parse::<Axes>()?, Axes::XYZ);
/// assert!("xyy".parse::<Axes>().is_err());
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Axes {
    /// For each side of the network the axis of the scan.
    order: [usize; 3],
}

const LETTERS: [char; 3] = ['x', 'y', 'z'];

impl Axes {
    /// `k` is the slowest, as in SimpleITK's arrays and nnU-Net.
    pub const ZYX: Self = Self { order: [2, 1, 0] };
    /// `i` is the slowest, as in nibabel's arrays and MONAI.
    pub const XYZ: Self = Self { order: [0, 1, 2] };

    /// From the axis of the scan for each side, each axis once.
    pub(crate) fn of(order: [usize; 3]) -> Option<Self> {
        let all = (0..3).all(|axis| order.contains(&axis));
        all.then_some(Self { order })
    }

    /// What belongs to `(i, j, k)`, such as sizes, for each side of the network.
    pub fn to_sides<T: Copy>(self, of_axes: [T; 3]) -> [T; 3] {
        self.order.map(|axis| of_axes[axis])
    }

    /// What belongs to the sides of the network for each of `(i, j, k)`.
    pub fn to_axes<T: Copy>(self, of_sides: [T; 3]) -> [T; 3] {
        let mut of_axes = of_sides;
        for (side, axis) in self.order.into_iter().enumerate() {
            of_axes[axis] = of_sides[side];
        }
        of_axes
    }

    /// From values with `i` fastest to values with the last side fastest.
    pub(crate) fn turn(self) -> Turn {
        let [slowest, middle, fastest] = self.order;
        Turn { from: [fastest, middle, slowest], flip: [false; 3] }
    }
}

impl Default for Axes {
    fn default() -> Self {
        Self::ZYX
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.order.iter().try_for_each(|axis| write!(out, "{}", LETTERS[*axis]))
    }
}

impl FromStr for Axes {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        let place = |letter: char| LETTERS.iter().position(|known| *known == letter);
        let order: Option<Vec<usize>> =
            text.chars().map(|letter| place(letter.to_ascii_lowercase())).collect();
        let axes = order.and_then(|order| Self::of(order.try_into().ok()?));
        axes.ok_or_else(|| {
            ScanError::recipe("axes", text, "x, y and z, each once, such as \"zyx\" or \"xyz\"")
        })
    }
}

impl TryFrom<String> for Axes {
    type Error = ScanError;

    fn try_from(text: String) -> Result<Self, ScanError> {
        text.parse()
    }
}

impl From<Axes> for String {
    fn from(axes: Axes) -> Self {
        axes.to_string()
    }
}
