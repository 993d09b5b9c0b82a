use segcam_core::{CamError, Prediction};

use crate::GroundTruth;

/// How many pixels of a class are found, wrongly found and missed, over the whole batch. Ignored
/// pixels do not count.
///
/// # Example
/// ```
/// use segcam_annotations::{Confusion, GroundTruth};
/// use segcam_core::{Prediction, burn::tensor::{Device, Tensor}};
///
/// let logits = Tensor::<4>::from_floats([[[[2.0, 2.0, -2.0, -2.0]]]], &Device::flex());
/// let view = Prediction::new(logits, [1, 1, 1, 4]);
/// let truth = GroundTruth::from_labels([1, 0, 1, 0], [1, 4])?;
/// let counts = Confusion::new(&truth, &view, 0)?;
/// assert_eq!((counts.true_positives, counts.false_negatives), (1, 1));
/// assert_eq!(counts.dice(), Some(0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confusion {
    /// Predicted and annotated.
    pub true_positives: usize,
    /// Predicted, not annotated.
    pub false_positives: usize,
    /// Annotated, not predicted.
    pub false_negatives: usize,
    /// Neither.
    pub true_negatives: usize,
}

impl Confusion {
    /// Counts the pixels of a class.
    ///
    /// # Errors
    /// If the annotation does not fit the prediction, or the network has no such class.
    pub fn new<const D: usize>(
        truth: &GroundTruth,
        prediction: &Prediction<D>,
        class: usize,
    ) -> Result<Self, CamError> {
        let mut counts = Self::default();
        for pixel in truth.compared(prediction, class, "truth")?.into_iter().flatten() {
            *match pixel {
                (true, true) => &mut counts.true_positives,
                (true, false) => &mut counts.false_positives,
                (false, true) => &mut counts.false_negatives,
                (false, false) => &mut counts.true_negatives,
            } += 1;
        }
        Ok(counts)
    }

    /// Dice score, in `[0, 1]`: `2·tp / (2·tp + fp + fn)`. `None` if the class is neither predicted
    /// nor annotated.
    pub fn dice(&self) -> Option<f64> {
        let both = 2 * self.true_positives;
        ratio(both, both + self.false_positives + self.false_negatives)
    }

    /// Intersection over union, in `[0, 1]`: `tp / (tp + fp + fn)`. `None` if the class is neither
    /// predicted nor annotated.
    pub fn iou(&self) -> Option<f64> {
        let union = self.true_positives + self.false_positives + self.false_negatives;
        ratio(self.true_positives, union)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
