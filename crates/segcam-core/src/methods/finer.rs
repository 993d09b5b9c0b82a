use burn::tensor::Tensor;

use crate::checks::per_sample_sum;
use crate::{CamError, PixelSet, PredictedClass, Prediction};

/// Finer-CAM: what of the image tells a class from those that are most like it?
///
/// The score is `s = Σ_p w_p · (y^c_p − γ/n · Σ_{d∈R} y^d_p)`, with `R` the `n` classes whose mean
/// logits over the pixels are closest to that of `c`. The paper asks Grad-CAM:
/// `SegGradCam::new(Finer::default())`. Any other method can be asked the same.
///
/// The classes are chosen by the clean prediction, and must be the same for all images of a batch.
///
/// Zhang et al., "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
/// CVPR 2025, [arXiv 2501.11309](https://arxiv.org/abs/2501.11309), as torch-cam 0.5.0 computes it
/// for classifiers: of a single pixel the two are the same. pytorch-grad-cam weights the classes by
/// their probabilities instead, which is not linear in the logits.
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let map = seen.explain(&SegGradCam::new(Finer::default()), "mid", 1)?;
/// println!("{:?}", map.target().classes()); // [(1, 1.0), (4, -0.2), (2, -0.2), (7, -0.2)]
/// // Seg-HiRes-Grad-CAM of the whole image, against the one class that comes closest.
/// let closest = Finer::against(1, 1.0).within(AllPixels);
/// let map = seen.explain(&SegHiResGradCam::new(closest), "mid", 1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finer<P = PredictedClass> {
    set: P,
    references: usize,
    strength: f64,
}

/// The paper's `γ`.
const STRENGTH: f64 = 0.6;

impl Default for Finer {
    /// Three classes and `γ = 0.6`, as in the paper, of the pixels predicted as the class.
    fn default() -> Self {
        Self::against(3, STRENGTH)
    }
}

impl Finer {
    /// Against the mean of the `references` most similar classes, or all others if there are fewer,
    /// which counts `strength` (`γ`) times.
    pub fn against(references: usize, strength: f64) -> Self {
        Self { set: PredictedClass, references, strength }
    }
}

impl<P> Finer<P> {
    /// Of the pixels in `set`.
    pub fn within<Q>(self, set: Q) -> Finer<Q> {
        Finer { set, references: self.references, strength: self.strength }
    }
}

impl<P: PixelSet<D>, const D: usize> PixelSet<D> for Finer<P> {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        self.set.weights(prediction, class)
    }

    fn name(&self) -> String {
        match self.set.name().as_str() {
            "class" if self.strength == STRENGTH => format!("finer:{}", self.references),
            set => format!("finer({set},{},{})", self.references, self.strength),
        }
    }

    fn against(
        &self,
        prediction: &Prediction<D>,
        class: usize,
    ) -> Result<Vec<(usize, f64)>, CamError> {
        let wrong = |reason: String| CamError::PixelSet { set: self.name(), reason };
        if !self.set.against(prediction, class)?.is_empty() {
            return Err(wrong("the set inside compares classes already".into()));
        }
        if self.references == 0 || !self.strength.is_finite() {
            return Err(wrong("give at least one class and a finite strength".into()));
        }
        if prediction.classes() < 2 {
            return Err(wrong("a network of one class has no other to compare it with".into()));
        }
        let weights = self.set.weights(prediction, class)?;
        let images = closest(prediction, &weights, class);
        let chosen: Vec<&[usize]> =
            images.iter().map(|image| &image[..self.references.min(image.len())]).collect();
        let sorted = |classes: &[usize]| {
            let mut classes = classes.to_vec();
            classes.sort_unstable();
            classes
        };
        if let Some(other) = chosen.iter().find(|image| sorted(image) != sorted(chosen[0])) {
            return Err(wrong(format!(
                "the classes most like {class} are {:?} in one image of the batch and {other:?} in \
                 another: ask about one image at a time",
                chosen[0]
            )));
        }
        let share = self.strength / chosen[0].len() as f64;
        Ok(chosen[0].iter().map(|&class| (class, share)).collect())
    }

    fn parts(
        &self,
        prediction: &Prediction<D>,
        class: usize,
    ) -> Result<Vec<Box<dyn PixelSet<D>>>, CamError> {
        let Self { references, strength, .. } = *self;
        let parts = self.set.parts(prediction, class)?.into_iter();
        let finer = |set| -> Box<dyn PixelSet<D>> { Box::new(Finer { set, references, strength }) };
        Ok(parts.map(finer).collect())
    }

    fn why_empty(&self, prediction: &Prediction<D>, class: usize) -> Option<String> {
        self.set.why_empty(prediction, class)
    }
}

/// The other classes of each image, those whose mean logit over the pixels is closest to that of
/// `class` first; of equally close ones the first.
fn closest<const D: usize>(
    prediction: &Prediction<D>,
    weights: &Tensor<D>,
    class: usize,
) -> Vec<Vec<usize>> {
    let sums = |of| per_sample_sum(prediction.logit(of) * weights.clone());
    let sums: Vec<Vec<f64>> = (0..prediction.classes()).map(sums).collect();
    // All means divide by the same number, which does not change who is closest.
    let order = |image: usize| {
        let far = |other: usize| (sums[other][image] - sums[class][image]).abs();
        let mut others: Vec<usize> = (0..sums.len()).filter(|&other| other != class).collect();
        others.sort_by(|&a, &b| far(a).total_cmp(&far(b)));
        others
    };
    (0..sums[class].len()).map(order).collect()
}
