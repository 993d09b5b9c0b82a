use burn::tensor::Tensor;
use segcam_core::{CamError, LabelMap, Members, PixelSet, Prediction};

use crate::{cells, comma_separated};

/// A disc, or a ball in volumes: pixels whose centres lie within a radius of one pixel's centre.
///
/// What lies outside the image is left out; the centre must be inside.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Disc;
///
/// let view = Prediction::new(Tensor::zeros([1, 2, 3, 3], &Device::flex()), [1, 1, 3, 3]);
/// let weights = Disc::new([1, 1], 1.0).weights(&view, 0)?.into_data().try_to_vec::<f32>()?;
/// assert_eq!(weights, [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Disc {
    centre: Vec<usize>,
    radius: f64,
}

impl Disc {
    /// Around `[y, x]` or `[z, y, x]`; the radius is in pixels.
    pub fn new(centre: impl Into<Vec<usize>>, radius: f64) -> Self {
        Self { centre: centre.into(), radius }
    }

    fn holds(&self, place: impl Iterator<Item = usize>) -> bool {
        let squares = place.zip(&self.centre).map(|(a, b)| a.abs_diff(*b).pow(2));
        squares.sum::<usize>() as f64 <= self.radius * self.radius
    }
}

impl<const D: usize> PixelSet<D> for Disc {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        crate::expect_inside::<D>(self, &self.centre, prediction.size())?;
        Ok(cells::at_places(prediction, |place| self.holds(place.iter().copied())))
    }

    fn name(&self) -> String {
        format!("disc:{},{}", comma_separated(&self.centre), self.radius)
    }

    fn on_labels<'a>(
        &'a self,
        labels: &'a LabelMap,
        _class: usize,
    ) -> Result<Members<'a>, CamError> {
        crate::expect_inside::<D>(self, &self.centre, labels.size().to_vec())?;
        Ok(Box::new(|pixel| self.holds(labels.place(pixel))))
    }
}
