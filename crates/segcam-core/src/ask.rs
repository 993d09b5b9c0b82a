use burn::tensor::Tensor;

use crate::error::guarded;
use crate::explainer::{expect_shape, per_sample_sum};
use crate::{CamError, Observation, Prediction, Target};

/// Asks the network again with something changed, for methods that do without gradients.
///
/// # Example
/// ```
/// use segcam_core::{Ask, CamError, CamMethod, burn::tensor::Tensor};
///
/// /// How much the score falls when a channel is left out.
/// struct Occlusion;
///
/// impl CamMethod for Occlusion {
///     fn combine(&self, a: Tensor<4>, w: Tensor<4>) -> Tensor<4> {
///         (a * w).sum_dim(1)
///     }
///
///     fn weights(&self, ask: &Ask) -> Option<Result<Tensor<4>, CamError>> {
///         let fall = || {
///             let a = ask.activations()?;
///             let [n, channels, ..] = a.dims();
///             let without = |k| a.clone().slice_fill([0..n, k..k + 1], 0.0);
///             let scores = ask.with_layer(channels, without)?;
///             let before = ask.score();
///             let fall = (0..n).flat_map(|image| scores.iter().map(move |s| (image, s)));
///             let fall = fall.map(|(image, s)| (before[image] - s[image]) as f32);
///             let fall: Vec<f32> = fall.collect();
///             Ok(Tensor::<1>::from_floats(&*fall, &a.device()).reshape([n, channels, 1, 1]))
///         };
///         Some(fall())
///     }
/// }
/// ```
pub struct Ask<'a, const D: usize = 4> {
    pub(crate) seen: &'a Observation<D>,
    pub(crate) target: &'a Target<D>,
    pub(crate) layer: &'a str,
}

impl<const D: usize> Ask<'_, D> {
    /// The layer's output, `[N, C, …]`.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    pub fn activations(&self) -> Result<Tensor<D>, CamError> {
        self.seen.pass.activations(self.layer)?.ok_or_else(|| self.no_path())
    }

    /// The network's input, `[N, C, …]`.
    pub fn input(&self) -> Tensor<D> {
        self.seen.pass.input()
    }

    /// The score that is asked about.
    pub fn target(&self) -> &Target<D> {
        self.target
    }

    /// The score of each image when nothing is changed.
    pub fn score(&self) -> Vec<f64> {
        self.seen.score(self.target)
    }

    /// The scores, one for each image, of `count` changed versions of the layer's output; `change`
    /// gives each version, `[N, C, …]`.
    ///
    /// Versions are computed as many at a time as [`GraphEngine::with_chunk`] allows.
    ///
    /// # Errors
    /// [`CamError::NoPath`] if the layer does not reach the score, [`CamError::ShapeMismatch`], and
    /// whatever makes the engine fail.
    ///
    /// [`GraphEngine::with_chunk`]: crate::GraphEngine::with_chunk
    pub fn with_layer(
        &self,
        count: usize,
        change: impl FnMut(usize) -> Tensor<D>,
    ) -> Result<Vec<Vec<f64>>, CamError> {
        self.again(Some(self.layer), count, change, |logits| self.target.asked(logits))
    }

    /// The same for changed versions of the input, which go through the whole network.
    ///
    /// # Errors
    /// As [`with_layer`](Self::with_layer).
    pub fn with_input(
        &self,
        count: usize,
        change: impl FnMut(usize) -> Tensor<D>,
    ) -> Result<Vec<Vec<f64>>, CamError> {
        self.again(None, count, change, |logits| self.target.asked(logits))
    }

    /// The mean probability of the class over the explained pixels, in `[0, 1]`, for changed versions
    /// of the input: `f_M = Σ_p w_p · P(c | p) / Σ_p w_p` of each image.
    ///
    /// # Errors
    /// As [`with_layer`](Self::with_layer).
    pub fn probability_with_input(
        &self,
        count: usize,
        change: impl FnMut(usize) -> Tensor<D>,
    ) -> Result<Vec<Vec<f64>>, CamError> {
        let sizes = per_sample_sum(self.target.weights.clone());
        let class = self.target.class;
        let read =
            |logits: &Tensor<D>| Prediction::new(logits.clone(), logits.dims()).probability(class);
        let mut found = self.again(None, count, change, read)?;
        for images in &mut found {
            images.iter_mut().zip(&sizes).for_each(|(sum, size)| *sum /= size);
        }
        Ok(found)
    }

    /// What `read` finds in the logits of each version, summed over the explained pixels.
    fn again(
        &self,
        layer: Option<&str>,
        count: usize,
        mut change: impl FnMut(usize) -> Tensor<D>,
        read: impl Fn(&Tensor<D>) -> Tensor<D>,
    ) -> Result<Vec<Vec<f64>>, CamError> {
        guarded(|| {
            let copies = self.seen.pass.chunk().min(count).max(1);
            let onward = self.seen.pass.onward(layer, copies)?.ok_or_else(|| self.no_path())?;
            let weights = self.target.weights.clone().repeat_dim(0, copies);
            let images = weights.dims()[0] / copies;
            let mut scores = vec![];
            let mut shape = None;
            while scores.len() < count {
                // The last chunk is filled up with its own last version.
                let versions = (0..copies).map(|k| change((scores.len() + k).min(count - 1)));
                let versions: Vec<_> = versions.collect();
                let wanted = *shape.get_or_insert(versions[0].dims());
                for version in &versions {
                    expect_shape("a changed version", version, wanted)?;
                }
                let logits = onward(Tensor::cat(versions, 0))?;
                let found = per_sample_sum(read(&logits) * weights.clone());
                scores.extend(found.chunks(images).map(<[f64]>::to_vec).take(count - scores.len()));
                self.seen.progressed(scores.len(), count);
            }
            Ok(scores)
        })
    }

    fn no_path(&self) -> CamError {
        CamError::NoPath { layer: self.layer.to_string(), class: self.target.class }
    }
}

impl<const D: usize> Observation<D> {
    /// Asks about a score that was explained, [`Explanation::target`], with something changed at
    /// `layer` or at the input.
    ///
    /// # Errors
    /// [`CamError::UnknownLayer`].
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(seen: Observation) -> Result<(), CamError> {
    /// let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
    /// let ask = seen.ask(map.target(), map.layer())?;
    /// let [dark, bright] = [0.5, 1.5].map(|by| ask.input() * by);
    /// let p = ask.probability_with_input(2, |k| [dark.clone(), bright.clone()][k].clone())?;
    /// println!("darker {:.3}, brighter {:.3}", p[0][0], p[1][0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`Explanation::target`]: crate::Explanation::target
    pub fn ask<'a>(
        &'a self,
        target: &'a Target<D>,
        layer: &'a str,
    ) -> Result<Ask<'a, D>, CamError> {
        self.layer(layer)?;
        Ok(Ask { seen: self, target, layer })
    }
}
