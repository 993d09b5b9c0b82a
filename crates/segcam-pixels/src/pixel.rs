use std::fmt;

use burn::tensor::Tensor;
use segcam_core::{CamError, LabelMap, Members, PixelSet, Prediction};

use crate::{Region, comma_separated};

/// A single pixel `[y, x]`, or a voxel `[z, y, x]`.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Pixel;
///
/// let view = Prediction::new(Tensor::zeros([1, 2, 2, 3], &Device::flex()), [1, 1, 2, 3]);
/// let weights = Pixel::new([1, 0]).weights(&view, 0)?.into_data().try_to_vec::<f32>()?;
/// assert_eq!(weights, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixel {
    at: Vec<usize>,
}

impl Pixel {
    /// Row and column, or slice, row and column, counted from 0.
    pub fn new(at: impl Into<Vec<usize>>) -> Self {
        Self { at: at.into() }
    }

    fn region(&self) -> Region {
        let end: Vec<usize> = self.at.iter().map(|&at| at.saturating_add(1)).collect();
        Region::new(self.at.clone(), end)
    }
}

impl<const D: usize> PixelSet<D> for Pixel {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        self.region().fill(prediction, self)
    }

    fn name(&self) -> String {
        self.to_string()
    }

    fn on_labels<'a>(
        &'a self,
        labels: &'a LabelMap,
        _class: usize,
    ) -> Result<Members<'a>, CamError> {
        self.region().members(labels, self)
    }
}

impl fmt::Display for Pixel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pixel:{}", comma_separated(&self.at))
    }
}
