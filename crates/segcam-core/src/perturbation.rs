use burn::tensor::Tensor;

use crate::checks::{expect_shape, per_sample_sum};
use crate::{CamError, Observation, Prediction, Target, guarded};

/// Asks the network again with something changed: at a layer, or at the input. What is asked about is
/// always the same score.
///
/// [`PerturbationWeights`](crate::PerturbationWeights) has an example.
#[derive(Debug)]
pub struct Perturbation<'a, const D: usize = 4> {
    seen: &'a Observation<D>,
    target: &'a Target<D>,
    layer: &'a str,
}

impl<const D: usize> Perturbation<'_, D> {
    /// The layer's output, `[N, C, …]`.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    pub fn activations(&self) -> Result<Tensor<D>, CamError> {
        let mut found = self.seen.pass().activations(&[self.layer])?;
        Ok(found.swap_remove(0))
    }

    /// The network's input, `[N, C, …]`.
    pub fn input(&self) -> Tensor<D> {
        self.seen.input()
    }

    /// The score that is asked about.
    pub fn target(&self) -> &Target<D> {
        self.target
    }

    /// The score of each image when nothing is changed.
    ///
    /// # Errors
    /// Whatever makes the backend fail.
    pub fn scores(&self) -> Result<Vec<f64>, CamError> {
        self.seen.score(self.target)
    }

    /// The scores, one for each image, of `count` changed versions of the layer's output; `change`
    /// gives each version, `[N, C, …]`.
    ///
    /// Versions are computed as many at a time as [`GraphEngine::with_chunk`] allows, if the network
    /// keeps images apart.
    ///
    /// # Errors
    /// [`CamError::NoPath`] if the layer does not reach the score, [`CamError::ShapeMismatch`], and
    /// whatever makes the engine fail.
    ///
    /// [`GraphEngine::with_chunk`]: crate::GraphEngine::with_chunk
    pub fn scores_with_layer(
        &self,
        count: usize,
        change: impl FnMut(usize) -> Tensor<D>,
    ) -> Result<Vec<Vec<f64>>, CamError> {
        self.again(Some(self.layer), count, change, |logits| self.target.pixel_scores(logits))
    }

    /// The same for changed versions of the input, which go through the whole network.
    ///
    /// # Errors
    /// As [`scores_with_layer`](Self::scores_with_layer).
    pub fn scores_with_input(
        &self,
        count: usize,
        change: impl FnMut(usize) -> Tensor<D>,
    ) -> Result<Vec<Vec<f64>>, CamError> {
        self.again(None, count, change, |logits| self.target.pixel_scores(logits))
    }

    /// The mean probability of the class over the explained pixels, in `[0, 1]`, for changed versions
    /// of the input: `f_M = Σ_p w_p · P(c | p) / Σ_p w_p` of each image.
    ///
    /// # Errors
    /// As [`scores_with_layer`](Self::scores_with_layer), and [`CamError::PixelSet`] for weights of
    /// both signs that add up to zero: they have no mean.
    pub fn probability_with_input(
        &self,
        count: usize,
        change: impl FnMut(usize) -> Tensor<D>,
    ) -> Result<Vec<Vec<f64>>, CamError> {
        let class = self.target.class();
        let weights = self.target.weights();
        let (sizes, absolute) = guarded(|| {
            let absolute = per_sample_sum(weights.clone().abs());
            Ok::<_, CamError>((per_sample_sum(weights.clone()), absolute))
        })?;
        if sizes.iter().zip(absolute).any(|(size, absolute)| size.abs() <= 1e-6 * absolute) {
            let reason = "its weights add up to zero, so that there is no mean probability".into();
            return Err(CamError::PixelSet { set: self.target.name().to_string(), reason });
        }
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
        let mut shape = None;
        let mut change = |version| {
            self.seen.expect_going_on()?;
            let changed = change(version);
            expect_shape("a changed version", &changed, *shape.get_or_insert(changed.dims()))?;
            Ok(changed)
        };
        let mut scores = vec![];
        let mut visit = |logits: Tensor<D>| {
            scores.push(per_sample_sum(read(&logits) * self.target.weights().clone()));
            self.seen.progressed(scores.len(), count);
            Ok(())
        };
        guarded(|| self.seen.pass().perturbed(layer, count, &mut change, &mut visit))?;
        Ok(scores)
    }
}

impl<const D: usize> Observation<D> {
    /// Asks about a score with something changed at `layer` or at the input.
    ///
    /// # Errors
    /// [`CamError::UnknownLayer`], [`CamError::ShapeMismatch`].
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(seen: Observation) -> Result<(), CamError> {
    /// let target = seen.target(&PredictedClass, 1)?;
    /// let network = seen.perturb(&target, "mid")?;
    /// let [dark, bright] = [0.5, 1.5].map(|by| network.input() * by);
    /// let p = network.probability_with_input(2, |k| [dark.clone(), bright.clone()][k].clone())?;
    /// println!("darker {:.3}, brighter {:.3}", p[0][0], p[1][0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn perturb<'a>(
        &'a self,
        target: &'a Target<D>,
        layer: &'a str,
    ) -> Result<Perturbation<'a, D>, CamError> {
        self.layer(layer)?;
        self.expect_size(target)?;
        Ok(Perturbation { seen: self, target, layer })
    }
}
