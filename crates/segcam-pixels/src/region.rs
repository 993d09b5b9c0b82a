use std::fmt;

use burn::tensor::{Slice, Tensor};
use segcam_core::{CamError, PixelSet, Prediction};

use crate::comma_separated;

/// A box: from its first corner up to, but not including, its last.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Region;
///
/// let view = Prediction::new(Tensor::zeros([1, 2, 2, 3], &Device::flex()), [1, 1, 2, 3]);
/// let weights = Region::new([0, 1], [2, 3]).weights(&view, 0)?;
/// assert_eq!(weights.into_data().try_to_vec::<f32>()?, [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    start: Vec<usize>,
    end: Vec<usize>,
}

impl Region {
    /// `start` and `end` are `[y, x]` or `[z, y, x]`; `end` lies outside the box.
    pub fn new(start: impl Into<Vec<usize>>, end: impl Into<Vec<usize>>) -> Self {
        Self { start: start.into(), end: end.into() }
    }

    /// Ones inside; errors speak of `set`.
    pub(crate) fn fill<const D: usize>(
        &self,
        prediction: &Prediction<D>,
        set: &impl fmt::Display,
    ) -> Result<Tensor<D>, CamError> {
        let image = prediction.size();
        if let Some(given) =
            [&self.start, &self.end].map(Vec::len).into_iter().find(|&n| n != D - 2)
        {
            return Err(CamError::SetRank { set: set.to_string(), wanted: D - 2, given });
        }
        if self.end.iter().zip(&image).any(|(end, side)| end > side) {
            return Err(CamError::OutsideImage { set: set.to_string(), image });
        }
        let zeros = Tensor::zeros(prediction.shape(), &prediction.device());
        if self.start.iter().zip(&self.end).any(|(start, end)| start >= end) {
            return Ok(zeros);
        }
        let inside: [Slice; D] = std::array::from_fn(|dim| match dim.checked_sub(2) {
            Some(axis) => (self.start[axis]..self.end[axis]).into(),
            None => (..).into(),
        });
        Ok(zeros.slice_fill(inside, 1.0))
    }
}

impl<const D: usize> PixelSet<D> for Region {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        self.fill(prediction, self)
    }

    fn name(&self) -> String {
        self.to_string()
    }

    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        Some("its last corner does not lie beyond its first".into())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "box:{},{}", comma_separated(&self.start), comma_separated(&self.end))
    }
}
