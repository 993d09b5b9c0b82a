use std::rc::Rc;

use burn::tensor::Tensor;
use segcam_core::{Perturbation, upsample};
use serde::{Deserialize, Serialize};

use crate::order::{count, descending};
use crate::prepared::{Case, Prepared};
use crate::removal::mean;
use crate::values::read;
use crate::{Control, MetricError, Removal};

/// What the network says when only the surroundings of the explained pixels change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Context {
    /// For each fraction, the probability without the most relevant pixels outside the set.
    pub deletion: Vec<f64>,
    /// For each fraction, the probability with only the most relevant pixels outside the set.
    pub insertion: Vec<f64>,
}

impl Context {
    /// Mean probability after deletion, minus that of a random map: lower is better, 0 is chance.
    pub fn deletion_score(&self, random: &Self) -> f64 {
        difference(&self.deletion, &random.deletion)
    }

    /// Mean probability after insertion, minus that of a random map: higher is better, 0 is chance.
    pub fn insertion_score(&self, random: &Self) -> f64 {
        difference(&self.insertion, &random.insertion)
    }
}

fn difference(map: &[f64], random: &[f64]) -> f64 {
    mean(map.iter().zip(random).map(|(map, random)| map - random))
}

/// Deletion and insertion of context: does the network need what the map calls relevant outside of the
/// explained object?
///
/// The explained pixels themselves always stay, so a map gains nothing by showing the object itself.
/// Fractions are those of the pixels outside. The probability is `f_M`, see
/// [`road`](crate::road()).
///
/// After Petsiuk, Das and Saenko, "RISE", BMVC 2018,
/// [arXiv 1806.07421](https://arxiv.org/abs/1806.07421), and the context explanations of Grid
/// Saliency, [arXiv 1907.13054](https://arxiv.org/abs/1907.13054).
///
/// # Shapes
/// - `heat`: `[1, 1, …]` at input resolution
///
/// # Errors
/// As [`road`](crate::road()), and a set that holds the whole image.
///
/// # Example
/// ```no_run
/// use segcam_core::{Normalize, Observation, PredictedClass, SegHiResGradCam};
/// use segcam_metrics::{Control, Removal, context};
///
/// # fn example(seen: Observation) -> Result<(), Box<dyn std::error::Error>> {
/// let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
/// let network = seen.perturb(map.target(), map.layer())?;
/// let removal = Removal::new();
/// let found = context(&removal, &network, &map.heat_map(Normalize::Max))?;
/// let random = Control::Random.heat_map(&seen.input(), map.target(), 0);
/// let random = context(&removal, &network, &random)?;
/// println!("{:.3} {:.3}", found.deletion_score(&random), found.insertion_score(&random));
/// # Ok(())
/// # }
/// ```
pub fn context<const D: usize>(
    removal: &Removal,
    network: &Perturbation<D>,
    heat: &Tensor<D>,
) -> Result<Context, MetricError> {
    let values = removal.values(network, heat)?;
    // Where the output is smaller than the input, every input pixel under an explained one stays.
    let explained =
        upsample(network.target().weights().clone().abs(), &network.input().dims()[2..]);
    let explained: Vec<f32> = read(explained)?;
    let mut order = descending(&values, removal.seed);
    order.retain(|&at| explained[at] == 0.0);
    if order.is_empty() {
        let reason = "the pixel set holds the whole image";
        return Err(MetricError::Undefined { metric: "context", reason });
    }
    let counts = || removal.fractions.iter().map(|&fraction| count(fraction, order.len()));
    let most_relevant = counts().map(|count| order[..count].to_vec());
    let all_others = counts().map(|count| order[count..].to_vec());
    let removed: Vec<Vec<usize>> = most_relevant.chain(all_others).collect();
    let mut deletion = removal.probabilities(network, &removed)?;
    let insertion = deletion.split_off(removal.fractions.len());
    Ok(Context { deletion, insertion })
}

/// The scores of deletion and insertion. All maps that are judged by a question share the random order.
pub(crate) fn of<const D: usize>(case: &Case<D>) -> Result<Rc<(f64, f64)>, MetricError> {
    let (network, Prepared { protocol, known, .. }) = (&case.run.network, case.run.image);
    case.known.once((), || {
        let random = known.once(network.target().clone(), || {
            let heat = Control::Random.heat_map(&network.input(), network.target(), protocol.seed);
            context(&protocol.removal, network, &heat)
        })?;
        let found = context(&protocol.removal, network, &*case.heat()?)?;
        Ok((found.deletion_score(&random), found.insertion_score(&random)))
    })
}
