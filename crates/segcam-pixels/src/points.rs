use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::{Pixel, comma_separated};

/// Several pixels `[y, x]`, or voxels `[z, y, x]`.
///
/// # Example
/// ```
/// use segcam_core::PixelSet;
/// use segcam_pixels::Points;
///
/// let set = Points::new([[3, 4], [5, 6]]);
/// assert_eq!(PixelSet::<4>::name(&set), "points:3,4;5,6");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Points {
    points: Vec<Vec<usize>>,
}

impl Points {
    /// Rows and columns, or slices, rows and columns, counted from 0.
    pub fn new<P: Into<Vec<usize>>>(points: impl IntoIterator<Item = P>) -> Self {
        Self { points: points.into_iter().map(Into::into).collect() }
    }
}

impl<const D: usize> PixelSet<D> for Points {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        let mut all = Tensor::zeros(prediction.shape(), &prediction.device());
        for point in &self.points {
            all = all.max_pair(Pixel::new(point.clone()).weights(prediction, class)?);
        }
        Ok(all)
    }

    fn name(&self) -> String {
        let points: Vec<String> = self.points.iter().map(|point| comma_separated(point)).collect();
        format!("points:{}", points.join(";"))
    }

    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        Some("it has no points".into())
    }
}
