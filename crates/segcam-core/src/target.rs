use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::checks::{expect_shape, finite, per_sample_sum};
use crate::error::asked;
use crate::{CamError, Observation, PixelSet, Prediction, Quantity, guarded};

/// The question that a map answers: where does this score come from?
///
/// `s = Σ_p w_p · Σ_c v_c · y^c_p`, the logits `y` of a class (`v = 1`), of others to compare it with
/// (`v < 0`), summed over the pixels of a [`PixelSet`] with their weights `w`, for each image of a
/// batch. It is made once, by [`Observation::target`], and then referred to: clones are the same
/// question, and maps that share one share its gradients. Asked of another observation of the same
/// size it means the same pixels, whatever is predicted there.
///
/// Two targets are equal if one is a clone of the other.
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let target = seen.target(&PredictedClass, 1)?;
/// println!("{} pixels of set {}: {}", target.sizes()[0], target.name(), seen.score(&target)?[0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Target<const D: usize = 4>(Arc<Question<D>>);

struct Question<const D: usize> {
    /// The class asked about, then those that it is compared with.
    channels: Vec<(usize, f64)>,
    weights: Tensor<D>,
    name: String,
    sizes: Vec<usize>,
    whole: bool,
}

impl<const D: usize> Target<D> {
    fn new(
        set: &dyn PixelSet<D>,
        prediction: &Prediction<D>,
        class: usize,
    ) -> Result<Self, CamError> {
        let classes = prediction.classes();
        let exists = |class| match class < classes {
            true => Ok(()),
            false => Err(CamError::ClassOutOfRange { class, classes }),
        };
        exists(class)?;
        let mut channels = vec![(class, 1.0)];
        for (against, share) in set.against(prediction, class)? {
            exists(against)?;
            if against == class {
                let reason = format!("class {class} cannot be compared with itself");
                return Err(CamError::PixelSet { set: set.name(), reason });
            }
            channels.push((against, -share));
        }
        // Networks compute in single precision or in another one.
        let weights = set.weights(prediction, class)?.inner().cast(prediction.logits().dtype());
        expect_shape("the pixel set's weights", &weights, prediction.shape())?;
        finite(&weights, || Quantity::PixelSet(set.name()))?;
        let why = || set.why_empty(prediction, class);
        Self::of(channels, weights, set.name(), set.is_whole_image(), why)
    }

    /// The first of `channels` is the class asked about. `why` there may be no pixels.
    fn of(
        channels: Vec<(usize, f64)>,
        weights: Tensor<D>,
        name: String,
        whole: bool,
        why: impl FnOnce() -> Option<String>,
    ) -> Result<Self, CamError> {
        let sizes = sizes(&weights);
        let samples: Vec<usize> = (0..sizes.len()).filter(|&sample| sizes[sample] == 0).collect();
        if samples.is_empty() {
            return Ok(Self(Arc::new(Question { channels, weights, name, sizes, whole })));
        }
        let reason = why().unwrap_or_else(|| {
            "choose a class that is predicted, or another pixel set".to_string()
        });
        Err(CamError::EmptyPixelSet { set: name, class: channels[0].0, reason, samples })
    }

    /// From values that were kept.
    #[cfg(feature = "serde")]
    pub(crate) fn of_values(
        channels: Vec<(usize, f64)>,
        weights: Tensor<D>,
        name: String,
        whole: bool,
    ) -> Result<Self, CamError> {
        if channels.is_empty() {
            return Err(CamError::PixelSet { set: name, reason: "it names no class".into() });
        }
        Self::of(channels, weights, name, whole, || None)
    }

    /// The class whose score is explained.
    pub fn class(&self) -> usize {
        self.0.channels[0].0
    }

    /// Every class with its factor `v` in the score: the explained one with 1, then those that are
    /// subtracted.
    pub fn classes(&self) -> &[(usize, f64)] {
        &self.0.channels
    }

    /// The weights `w` of the output pixels, `[N, 1, …]` at the size of the logits.
    pub fn weights(&self) -> &Tensor<D> {
        &self.0.weights
    }

    /// Name of the pixel set.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Number of pixels whose weight is not 0, for each image of the batch.
    pub fn sizes(&self) -> &[usize] {
        &self.0.sizes
    }

    /// Whether the set is that of [`AllPixels`](crate::AllPixels), so that a method's own name says
    /// it all.
    pub fn is_whole_image(&self) -> bool {
        self.0.whole
    }

    /// The same question about other pixels, `[N, 1, …]`: of a flipped or resized image.
    ///
    /// # Errors
    /// [`CamError::EmptyPixelSet`] if there are none in some image.
    pub fn with_weights(&self, weights: Tensor<D>) -> Result<Self, CamError> {
        let Question { channels, name, whole, .. } = &*self.0;
        let why = || Some("none of its pixels is left in the changed image".to_string());
        guarded(|| Self::of(channels.clone(), weights, name.clone(), *whole, why))
    }

    /// What of the question pixels of other weights ask, `[N, 1, …]`, of a part of the image or of a
    /// changed one. There may be none in an image; `None` if there are none in any.
    pub fn part(&self, weights: Tensor<D>) -> Option<Self> {
        let Question { channels, name, whole, .. } = &*self.0;
        Self::of_some(channels.clone(), weights, name.clone(), *whole)
    }

    /// What a set, by its name, asks of a part of an image that is never seen as a whole: the score of a
    /// class over pixels of such weights, `[N, 1, …]`. `None` if there are none.
    pub fn of_part(set: &str, class: usize, weights: Tensor<D>) -> Option<Self> {
        Self::of_some(vec![(class, 1.0)], weights, set.to_string(), false)
    }

    fn of_some(
        channels: Vec<(usize, f64)>,
        weights: Tensor<D>,
        name: String,
        whole: bool,
    ) -> Option<Self> {
        let sizes = sizes(&weights);
        let some = sizes.iter().any(|&size| size > 0);
        some.then(|| Self(Arc::new(Question { channels, weights, name, sizes, whole })))
    }

    /// The scores of single pixels before they are weighted and summed, `Σ_c v_c · y^c_p`, as
    /// `[N, 1, …]` from logits `[N, classes, …]`.
    pub fn pixel_scores(&self, logits: &Tensor<D>) -> Tensor<D> {
        let of = |&(class, factor): &(usize, f64)| {
            let logit = logits.clone().narrow(1, class, 1);
            if factor == 1.0 { logit } else { logit * factor }
        };
        let (first, others) = (&self.0.channels[0], &self.0.channels[1..]);
        others.iter().fold(of(first), |sum, other| sum + of(other))
    }
}

fn set_named<const D: usize>(set: &dyn PixelSet<D>) -> String {
    format!("pixel set `{}`", set.name())
}

/// Number of pixels whose weight is not 0, for each image.
fn sizes<const D: usize>(weights: &Tensor<D>) -> Vec<usize> {
    let inside = weights.clone().not_equal_elem(0.0).float();
    per_sample_sum(inside).into_iter().map(|size| size as usize).collect()
}

impl<const D: usize> PartialEq for Target<D> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<const D: usize> Eq for Target<D> {}

impl<const D: usize> fmt::Debug for Target<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("classes", &self.0.channels)
            .field("name", &self.0.name)
            .field("sizes", &self.0.sizes)
            .finish_non_exhaustive()
    }
}

impl<const D: usize> Observation<D> {
    /// The score of `class` over a pixel set: the question that maps answer.
    ///
    /// # Errors
    /// An unknown class, an empty pixel set, and whatever the pixel set itself reports.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(seen: Observation) -> Result<(), CamError> {
    /// let target = seen.target(&PredictedClass, 1)?;
    /// let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    /// for map in seen.explain_all(methods.map(|method| Request::new(method, "mid", &target))) {
    ///     println!("{}", map?.method()); // seg-grad-cam, seg-hires-grad-cam
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn target(&self, pixels: &dyn PixelSet<D>, class: usize) -> Result<Target<D>, CamError> {
        self.expect_going_on()?;
        let prediction = self.prediction();
        asked(|| set_named(pixels), &prediction.device(), || Target::new(pixels, prediction, class))
    }

    /// A target for each [part](PixelSet::parts) of the set, or one for a set without parts.
    ///
    /// # Errors
    /// As [`target`](Self::target).
    pub fn targets(
        &self,
        pixels: &dyn PixelSet<D>,
        class: usize,
    ) -> Result<Vec<Target<D>>, CamError> {
        let prediction = self.prediction();
        let parts = || pixels.parts(prediction, class);
        let parts = asked(|| set_named(pixels), &prediction.device(), parts)?;
        if parts.is_empty() {
            return Ok(vec![self.target(pixels, class)?]);
        }
        parts.iter().map(|part| self.target(part, class)).collect()
    }

    /// The score of each image.
    ///
    /// # Errors
    /// [`CamError::ShapeMismatch`] if the target is of an output of another size.
    pub fn score(&self, target: &Target<D>) -> Result<Vec<f64>, CamError> {
        self.expect_going_on()?;
        self.expect_size(target)?;
        let scores = || target.pixel_scores(&self.logits()) * target.weights().clone();
        guarded(|| Ok(per_sample_sum(scores())))
    }

    pub(crate) fn expect_size(&self, target: &Target<D>) -> Result<(), CamError> {
        expect_shape("the target's pixels", target.weights(), self.prediction().shape())
    }
}
