use burn::tensor::{Tensor, TensorData};

use super::{ratio, space};
use crate::{CamError, CamMethod, Perturbation, PerturbationWeights, Uses, upsample};

/// Score-CAM: channels weighted by the score of the input seen through each of them.
///
/// `L(u) = Σ_k w_k · A_k(u)` with `w = softmax_k s(x ∘ H_k)`: the channel `A_k`, upsampled to the
/// input's size and stretched onto `[0, 1]`, is a mask `H_k` for the input `x`, and `s` is the class
/// score summed over the whole image. One forward pass per channel, no gradients; every weight is
/// positive.
///
/// The softmax is over sums of logits, which lie far apart when the pixel set is large: one channel
/// then has all the weight. Constant channels are no mask: they have weight 0 and are left out of
/// the softmax, as in the authors' code.
///
/// pytorch-grad-cam lets constant channels take part with the score of an empty input, and upsamples
/// with aligned corners; otherwise the two agree. torch-cam stretches before it upsamples.
///
/// Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
/// CVPR Workshops 2020, [arXiv 1910.01279](https://arxiv.org/abs/1910.01279).
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let map = seen.explain(&Seg::of(ScoreCam, PredictedClass), "mid", 1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScoreCam;

impl<const D: usize> CamMethod<D> for ScoreCam {
    fn combine(&self, activations: Tensor<D>, weights: Tensor<D>) -> Tensor<D> {
        (weights * activations).sum_dim(1)
    }

    fn uses(&self) -> Uses<'_, D> {
        Uses::Perturbation(self)
    }

    fn name(&self) -> String {
        "score-cam".into()
    }
}

impl<const D: usize> PerturbationWeights<D> for ScoreCam {
    fn weights(&self, network: &Perturbation<D>) -> Result<Tensor<D>, CamError> {
        let (activations, input) = (network.activations()?, network.input());
        let space = space::<D>();
        let mut shape = activations.dims();
        shape[2..].fill(1);
        let [n, channels] = [shape[0], shape[1]];

        let spread = activations.clone().max_dims(&space) - activations.clone().min_dims(&space);
        let spread: Vec<f64> = spread.into_data().iter::<f64>().collect();
        let varies = |image: usize, channel: usize| spread[image * channels + channel] > 0.0;
        let asked: Vec<usize> =
            (0..channels).filter(|&k| (0..n).any(|image| varies(image, k))).collect();

        let found = network.scores_with_input(asked.len(), |version| {
            let channel = activations.clone().narrow(1, asked[version], 1);
            let channel = upsample(channel, &input.dims()[2..]);
            let low = channel.clone().min_dims(&space);
            let high = channel.clone().max_dims(&space);
            input.clone() * ratio(channel - low.clone(), high - low)
        })?;

        let mut weights = vec![0f32; n * channels];
        for image in 0..n {
            let scores = asked.iter().zip(&found).filter(|(k, _)| varies(image, **k));
            let scores: Vec<(usize, f64)> = scores.map(|(&k, score)| (k, score[image])).collect();
            let best = scores.iter().fold(f64::NEG_INFINITY, |best, score| best.max(score.1));
            let total: f64 = scores.iter().map(|score| (score.1 - best).exp()).sum();
            for (channel, score) in scores {
                weights[image * channels + channel] = ((score - best).exp() / total) as f32;
            }
        }
        Ok(Tensor::from_data(TensorData::new(weights, shape), &activations.device()))
    }
}
