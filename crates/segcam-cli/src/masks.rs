//! Pixel sets as pictures show them.

use std::sync::OnceLock;

use segcam::annotations::{Confusion, FalseNegatives, FalsePositives, TruePositives, Truth};
use segcam::burn::tensor::Tensor;
use segcam::render::Plane;
use segcam::{CamError, PixelSet, guarded};

use crate::drawing::here;
use crate::scene::Scene;
use crate::view::View;

/// A pixel set as the view lays it out, and at the sizes that panels have.
pub(crate) struct Mask {
    pub(crate) flat: Tensor<4>,
    pub(crate) sizes: [OnceLock<Outlined>; 3],
}

/// A pixel set at the size of a panel.
pub(crate) struct Outlined {
    pub(crate) mask: Plane,
    /// Whether it has no outline, which would hide it.
    pub(crate) thin: bool,
}

impl Mask {
    /// Of the pixels with a weight.
    pub(crate) fn new(weights: Tensor<4>) -> Self {
        Self { flat: weights.not_equal_elem(0.0).float(), sizes: Default::default() }
    }
}

/// A class's prediction beside its annotation in one image.
pub(crate) struct Beside {
    pub(crate) annotated: Mask,
    pub(crate) hits: Mask,
    pub(crate) misses: Mask,
    pub(crate) false_alarms: Mask,
    pub(crate) dice: Option<f64>,
}

/// A class's prediction beside its annotation, for every image of the batch.
pub(crate) struct Judged<const D: usize> {
    annotated: Tensor<D>,
    hits: Tensor<D>,
    misses: Tensor<D>,
    false_alarms: Tensor<D>,
}

impl<const D: usize> Judged<D> {
    /// `None` without an annotation.
    pub(crate) fn new(scene: Scene<D>, class: usize) -> Result<Option<Self>, CamError> {
        let Some(truth) = scene.truth else { return Ok(None) };
        let prediction = scene.seen.prediction();
        let of = |set: &dyn PixelSet<D>| guarded(|| here(&set.weights(prediction, class)?));
        Ok(Some(Self {
            annotated: of(&Truth::new(truth))?,
            hits: of(&TruePositives::new(truth))?,
            misses: of(&FalseNegatives::new(truth))?,
            false_alarms: of(&FalsePositives::new(truth))?,
        }))
    }

    /// In one image of the batch.
    pub(crate) fn of(&self, sample: usize, view: &View) -> Beside {
        let mask = |set: &Tensor<D>| Mask::new(view.flat(set, sample, false));
        Beside {
            annotated: mask(&self.annotated),
            hits: mask(&self.hits),
            misses: mask(&self.misses),
            false_alarms: mask(&self.false_alarms),
            dice: self.dice(sample),
        }
    }

    /// Of one image of the batch; `None` if the class is neither predicted nor annotated there.
    fn dice(&self, sample: usize) -> Option<f64> {
        let count = |set: &Tensor<D>| {
            set.clone().narrow(0, sample, 1).int().sum().into_scalar::<i64>() as usize
        };
        let counts = Confusion {
            true_positives: count(&self.hits),
            false_positives: count(&self.false_alarms),
            false_negatives: count(&self.misses),
            ..Confusion::default()
        };
        counts.dice()
    }
}
