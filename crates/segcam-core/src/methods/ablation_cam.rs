use burn::tensor::{Tensor, TensorData};

use crate::{CamError, CamMethod, Perturbation, PerturbationWeights, Uses};

/// Ablation-CAM: channels weighted by what the score loses without them.
///
/// `L(u) = Σ_k w_k · A_k(u)` with `w_k = (s − s_k) / |s|`, where `s` is the class score summed over
/// the whole image and `s_k` the score with channel `k` of the layer set to zero. One pass from the
/// layer on per channel, no gradients.
///
/// The paper divides by `s`, which is the same for a positive score; below zero it would turn the
/// map around, so that what holds the score up counts against it. Sums of logits are often negative,
/// and here a positive weight always means that the score falls without the channel. A score of
/// exactly 0 has no fractions to lose: then `w_k = s − s_k`.
///
/// Where the network has a way past the layer, a channel may hold little of the score: of a
/// difference of 1e-5 of it, single precision keeps two digits.
///
/// pytorch-grad-cam divides by `s`. If the smallest activation of the layer is not 0, it does not
/// set channels to zero but to 1e7 below that activation.
///
/// Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
/// Gradient-free Localization", WACV 2020,
/// [doi 10.1109/WACV45572.2020.9093360](https://doi.org/10.1109/WACV45572.2020.9093360).
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let map = seen.explain(&Seg::of(AblationCam, PredictedClass), "mid", 1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AblationCam;

impl<const D: usize> CamMethod<D> for AblationCam {
    fn combine(&self, activations: Tensor<D>, weights: Tensor<D>) -> Tensor<D> {
        (weights * activations).sum_dim(1)
    }

    fn uses(&self) -> Uses<'_, D> {
        Uses::Perturbation(self)
    }

    fn name(&self) -> String {
        "ablation-cam".into()
    }
}

impl<const D: usize> PerturbationWeights<D> for AblationCam {
    fn weights(&self, network: &Perturbation<D>) -> Result<Tensor<D>, CamError> {
        let activations = network.activations()?;
        let mut shape = activations.dims();
        shape[2..].fill(1);
        let [n, channels] = [shape[0], shape[1]];

        let without = |channel| activations.clone().slice_fill([0..n, channel..channel + 1], 0.0);
        let without = network.scores_with_layer(channels, without)?;

        let mut weights = vec![0f32; n * channels];
        for (image, score) in network.scores()?.into_iter().enumerate() {
            let scale = if score == 0.0 { 1.0 } else { score.abs() };
            for (channel, without) in without.iter().enumerate() {
                weights[image * channels + channel] = ((score - without[image]) / scale) as f32;
            }
        }
        Ok(Tensor::from_data(TensorData::new(weights, shape), &activations.device()))
    }
}
