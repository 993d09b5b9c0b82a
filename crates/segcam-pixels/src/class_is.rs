use burn::tensor::Tensor;
use segcam_core::{CamError, LabelMap, Members, PixelSet, Prediction};

/// The pixels predicted as one class, whichever class is asked about.
///
/// "Where does *road* come from in the pixels predicted as *car*?"
///
/// # Example
/// ```
/// use segcam_core::SegGradCam;
/// use segcam_pixels::ClassIs;
///
/// let method = SegGradCam::new(ClassIs(13));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassIs(
    /// The predicted class.
    pub usize,
);

impl<const D: usize> PixelSet<D> for ClassIs {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let (class, classes) = (self.0, prediction.classes());
        if class >= classes {
            return Err(CamError::ClassOutOfRange { class, classes });
        }
        Ok(prediction.predicted(class))
    }

    fn name(&self) -> String {
        format!("class:{}", self.0)
    }

    fn why_empty(&self, _prediction: &Prediction<D>, _class: usize) -> Option<String> {
        Some(format!("no pixel is predicted as class {}", self.0))
    }

    fn on_labels<'a>(
        &'a self,
        labels: &'a LabelMap,
        _class: usize,
    ) -> Result<Members<'a>, CamError> {
        let (class, classes) = (self.0, labels.classes());
        if class >= classes {
            return Err(CamError::ClassOutOfRange { class, classes });
        }
        Ok(Box::new(move |pixel| labels.is(pixel, class)))
    }
}
