use std::collections::HashSet;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{
    CamError, Engine, Gradients, Layer, LayerView, Layers, Pass, SegmentationModel, Target,
};

/// The reference engine: burn's own autodiff, for any model.
///
/// burn's tape is consumed by `backward`, so each target costs one forward and one backward pass.
/// The wanted layer's tensor becomes a leaf on the tape during the forward pass: what precedes it
/// runs off the tape, and no parameter gets a gradient.
#[derive(Debug)]
pub struct TapeEngine<M> {
    model: Arc<M>,
}

impl<M> TapeEngine<M> {
    /// Puts `model` into inference mode: BatchNorm and dropout never train on the tape.
    pub fn new<const D: usize>(model: M) -> Self
    where
        M: SegmentationModel<D>,
    {
        Self { model: Arc::new(model.valid()) }
    }
}

impl<M: SegmentationModel<D>, const D: usize> Engine<D> for TapeEngine<M> {
    fn name(&self) -> &'static str {
        "tape"
    }

    fn observe(&self, input: Tensor<D>) -> Result<Box<dyn Pass<D>>, CamError> {
        self.model.check_input(input.dims())?;
        let input = input.inner();
        let mut layers: Vec<Layer> = vec![];
        let mut visitor = |view: LayerView| layers.push(view.layer);
        let logits = self.model.forward(input.clone(), &mut Layers::visited(&mut visitor));
        let mut names = HashSet::new();
        if let Some(twice) = layers.iter().find(|layer| !names.insert(&layer.name)) {
            return Err(CamError::DuplicateLayer { name: twice.name.clone() });
        }
        Ok(Box::new(TapePass { model: self.model.clone(), input, logits, layers }))
    }
}

struct TapePass<M, const D: usize> {
    model: Arc<M>,
    input: Tensor<D>,
    logits: Tensor<D>,
    layers: Vec<Layer>,
}

impl<M: SegmentationModel<D>, const D: usize> Pass<D> for TapePass<M, D> {
    fn logits(&self) -> Tensor<D> {
        self.logits.clone()
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn gradients(&self, layer: &str, target: &Target<D>) -> Result<Gradients<D>, CamError> {
        let no_path = || CamError::NoPath { layer: layer.to_string(), class: target.class };
        let mut leaf: Option<Tensor<D>> = None;
        let mut visitor = |mut view: LayerView| {
            if view.layer.name == layer
                && let Some(tensor) = view.tensor::<D>()
            {
                *tensor = Tensor::from_inner(tensor.clone().inner()).require_grad();
                leaf = Some(tensor.clone());
            }
        };
        let logits = self.model.forward(self.input.clone(), &mut Layers::visited(&mut visitor));
        let leaf = leaf.ok_or_else(no_path)?;
        if !logits.is_tracked() {
            return Err(no_path());
        }
        let weights = Tensor::from_inner(target.weights.clone());
        let score = (logits.narrow(1, target.class, 1) * weights).sum();
        let mut tape = score.backward();
        let gradients = leaf.grad_remove(&mut tape).ok_or_else(no_path)?;
        Ok(Gradients { activations: leaf.inner(), gradients })
    }
}
