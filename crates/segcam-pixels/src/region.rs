use std::fmt;

use burn::tensor::{Slice, Tensor};
use segcam_core::{CamError, LabelMap, Members, PixelSet, Prediction};

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

    /// The members among the pixels of an image whose labels alone are held; errors speak of `set`.
    pub(crate) fn members<'a>(
        &self,
        labels: &'a LabelMap,
        set: &impl fmt::Display,
    ) -> Result<Members<'a>, CamError> {
        self.expect_inside(labels.size(), set)?;
        let sides: Vec<_> = self.start.iter().zip(&self.end).map(|(&a, &b)| a..b).collect();
        Ok(Box::new(move |pixel| {
            labels.place(pixel).zip(&sides).all(|(at, side)| side.contains(&at))
        }))
    }

    fn expect_inside(&self, image: &[usize], set: &impl fmt::Display) -> Result<(), CamError> {
        let corners = [&self.start, &self.end].map(Vec::len);
        if let Some(given) = corners.into_iter().find(|&sides| sides != image.len()) {
            return Err(CamError::SetRank { set: set.to_string(), wanted: image.len(), given });
        }
        if self.end.iter().zip(image).any(|(end, side)| end > side) {
            return Err(CamError::OutsideImage { set: set.to_string(), image: image.to_vec() });
        }
        Ok(())
    }

    /// Ones inside; errors speak of `set`.
    pub(crate) fn fill<const D: usize>(
        &self,
        prediction: &Prediction<D>,
        set: &impl fmt::Display,
    ) -> Result<Tensor<D>, CamError> {
        self.expect_inside(&prediction.size(), set)?;
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

    fn on_labels<'a>(
        &'a self,
        labels: &'a LabelMap,
        _class: usize,
    ) -> Result<Members<'a>, CamError> {
        self.members(labels, self)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "box:{},{}", comma_separated(&self.start), comma_separated(&self.end))
    }
}
