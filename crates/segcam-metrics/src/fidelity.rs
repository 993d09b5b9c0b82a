use std::rc::Rc;

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use segcam_core::{Explanation, Perturbation};
use serde::{Deserialize, Serialize};

use crate::prepared::Case;
use crate::values::{expect_length, values_of};
use crate::{MetricError, r_squared, spearman};

/// What the score loses without single cells of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ablation {
    /// The cells: places in the layer's map.
    pub cells: Vec<usize>,
    /// `Δ_u = s(A) − s(A; A(u) = 0)` for each of them: all channels of the cell set to zero.
    pub drops: Vec<f64>,
    size: usize,
}

/// How well a map tells what the score loses without a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fidelity {
    /// Share of the variance of `Δ` that a straight line in the map's values explains, 0 to 1.
    pub r_squared: f64,
    /// Rank correlation of the map's values and `Δ`, −1 to 1.
    pub spearman: f64,
}

/// Asks the network again for up to `cells` cells of the layer, drawn at random, each set to zero by
/// itself.
///
/// The result serves every map of the same layer and score. Where what follows the layer is affine,
/// HiResCAM *is* `Δ`. After feature ablation, Zeiler and Fergus, "Visualizing and Understanding
/// Convolutional Networks", ECCV 2014, [arXiv 1311.2901](https://arxiv.org/abs/1311.2901).
///
/// # Errors
/// A batch, and whatever makes the network fail.
///
/// # Example
/// ```no_run
/// use segcam_core::{Observation, PredictedClass, SegHiResGradCam};
/// use segcam_metrics::ablation;
///
/// # fn example(seen: Observation) -> Result<(), Box<dyn std::error::Error>> {
/// let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
/// let ablation = ablation(&seen.perturb(map.target(), map.layer())?, 256, 0)?;
/// println!("{:.2}", ablation.fidelity(&map)?.r_squared);
/// # Ok(())
/// # }
/// ```
pub fn ablation<const D: usize>(
    network: &Perturbation<D>,
    cells: usize,
    seed: u64,
) -> Result<Ablation, MetricError> {
    let activations = network.activations()?;
    let shape = activations.dims();
    if shape[0] != 1 {
        return Err(MetricError::OneImage { given: shape[0] });
    }
    let size: usize = shape[2..].iter().product();
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let cells = sample(&mut generator, size, cells.min(size)).into_vec();
    let flat: Tensor<3> = activations.reshape([1, shape[1], size]);
    let without = |k: usize| {
        let cell = cells[k];
        flat.clone().slice_fill([0..1, 0..shape[1], cell..cell + 1], 0.0).reshape(shape)
    };
    let scores = network.scores_with_layer(cells.len(), without)?;
    let clean = network.scores()?[0];
    Ok(Ablation { drops: scores.iter().map(|images| clean - images[0]).collect(), cells, size })
}

impl Ablation {
    /// Compares a map of the same layer and score.
    ///
    /// # Errors
    /// A map of another size, and a map or drops that are the same everywhere.
    pub fn fidelity<const D: usize>(&self, map: &Explanation<D>) -> Result<Fidelity, MetricError> {
        let values = values_of(map)?;
        expect_length("the map", values.len(), self.size)?;
        let value = |&cell: &usize| {
            let outside = MetricError::Length {
                what: "the map",
                wanted: cell.saturating_add(1),
                given: self.size,
            };
            values.get(cell).copied().ok_or(outside)
        };
        let chosen = self.cells.iter().map(value).collect::<Result<Vec<f64>, _>>()?;
        Ok(Fidelity {
            r_squared: r_squared(&chosen, &self.drops)?,
            spearman: spearman(&chosen, &self.drops)?,
        })
    }
}

/// Maps of the same layer and score share what the network says.
pub(crate) fn of<const D: usize>(case: &Case<D>) -> Result<Rc<Fidelity>, MetricError> {
    case.known.once((), || {
        let (map, image) = (case.map()?, case.run.image);
        let drops = image.known.once((map.layer().to_string(), map.target().clone()), || {
            let network = image.seen.perturb(map.target(), map.layer())?;
            ablation(&network, image.protocol.cells, image.protocol.seed)
        })?;
        drops.fidelity(map)
    })
}
