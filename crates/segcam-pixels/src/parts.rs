use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::{AnySet, cells};

/// What a combination of sets with parts can be, for errors.
pub(crate) const TAKEN: &str = "sets with parts are taken as `parts & set`, `set & parts`, \
     `parts - set`, and inside words such as dilate(parts,3); their pixels as one set are `class` or \
     `atleast:n` instead of `each`, and `instance:n` is one of `instances`";

/// The pixels of a set on one prediction, shared by the parts that are combined with it. It stays what
/// it is, whatever prediction and class it is asked about.
#[derive(Debug, Clone)]
pub(crate) struct Frozen<const D: usize> {
    weights: Tensor<D>,
    name: String,
    against: Vec<(usize, f64)>,
}

impl<const D: usize> Frozen<D> {
    pub(crate) fn new(
        set: &impl PixelSet<D>,
        prediction: &Prediction<D>,
        class: usize,
    ) -> Result<Self, CamError> {
        let weights = set.weights(prediction, class)?;
        Ok(Self { weights, name: set.name(), against: set.against(prediction, class)? })
    }
}

impl<const D: usize> PixelSet<D> for Frozen<D> {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let (wanted, given) = (prediction.shape(), self.weights.dims());
        if wanted == given {
            return Ok(self.weights.clone().to_device(&prediction.device()));
        }
        let (wanted, given) = (wanted.to_vec(), given.to_vec());
        Err(CamError::ShapeMismatch { what: "the set that parts are combined with", wanted, given })
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn against(
        &self,
        _prediction: &Prediction<D>,
        _class: usize,
    ) -> Result<Vec<(usize, f64)>, CamError> {
        Ok(self.against.clone())
    }
}

/// An error if `operand` consists of parts: `operator` would make one set of them. `whole` is the name
/// of the combination.
pub(crate) fn expect_one_set<const D: usize>(
    operand: &impl PixelSet<D>,
    operator: &str,
    whole: impl Fn() -> String,
    prediction: &Prediction<D>,
    class: usize,
) -> Result<(), CamError> {
    if operand.parts(prediction, class)?.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "`{}` is explained part by part, and `{operator}` would make one set of the parts: {TAKEN}",
        operand.name()
    );
    Err(CamError::PixelSet { set: whole(), reason })
}

/// The parts, each as `change` makes it, without those that have no pixel then.
pub(crate) fn changed<P: PixelSet<D> + 'static, const D: usize>(
    parts: Vec<AnySet<D>>,
    prediction: &Prediction<D>,
    class: usize,
    change: impl Fn(AnySet<D>) -> P,
) -> Result<Vec<AnySet<D>>, CamError> {
    let mut kept: Vec<AnySet<D>> = vec![];
    for part in parts.into_iter().map(change) {
        let weights = cells::values(part.weights(prediction, class)?);
        if weights.into_iter().any(|weight| weight != 0.0) {
            kept.push(Box::new(part));
        }
    }
    Ok(kept)
}
