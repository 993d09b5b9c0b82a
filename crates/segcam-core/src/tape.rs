use std::any::Any;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::layers::expect_unique;
use crate::{
    CamError, Engine, EngineKind, Forward, Gradients, Layer, LayerView, Layers, Pass,
    SegmentationModel, Target, Wanted,
};

/// The reference engine: burn's own autodiff, for any model.
///
/// burn's tape is consumed by `backward`, so each target costs one forward and one backward pass at
/// each layer. The wanted layer's tensor becomes a leaf on the tape during the forward pass: what
/// precedes it runs off the tape, and no parameter gets a gradient.
#[derive(Debug)]
pub struct TapeEngine<M> {
    model: Arc<M>,
}

impl<M> Clone for TapeEngine<M> {
    fn clone(&self) -> Self {
        Self { model: self.model.clone() }
    }
}

/// What one forward pass gives: its findings, and the pass to ask for gradients.
pub(crate) type Observed<const D: usize> = Result<(Forward<D>, Box<dyn Pass<D>>), CamError>;

impl<M> TapeEngine<M> {
    /// Puts `model` into inference mode: BatchNorm and dropout never train on the tape.
    pub fn new<const D: usize>(model: M) -> Self
    where
        M: SegmentationModel<D>,
    {
        Self { model: Arc::new(model.valid()) }
    }

    /// The network in inference mode.
    pub(crate) fn model(&self) -> &M {
        &self.model
    }

    /// One forward pass; `instead` says why it is not the graph engine's.
    pub(crate) fn pass<const D: usize>(
        &self,
        input: Tensor<D>,
        instead: Option<String>,
    ) -> Observed<D>
    where
        M: SegmentationModel<D>,
    {
        self.model.check_input(input.dims())?;
        let input = input.inner();
        let (mut layers, mut operations): (Vec<Layer>, Vec<Layer>) = (vec![], vec![]);
        let mut visitor = |view: LayerView| {
            if view.detail { &mut operations } else { &mut layers }.push(view.layer);
        };
        let logits = self.model.try_forward(input.clone(), &mut Layers::visited(&mut visitor))?;
        expect_unique(layers.iter().chain(&operations))?;
        let engine = EngineKind::Tape { instead };
        let pass = TapePass { model: self.model.clone(), input };
        Ok((Forward { logits, layers, operations, engine }, Box::new(pass)))
    }
}

impl<M: SegmentationModel<D>, const D: usize> Engine<D> for TapeEngine<M> {
    fn observe(&self, input: Tensor<D>) -> Observed<D> {
        self.pass(input, None)
    }

    fn model(&self) -> &dyn Any {
        &*self.model
    }
}

struct TapePass<M, const D: usize> {
    model: Arc<M>,
    input: Tensor<D>,
}

impl<M: SegmentationModel<D>, const D: usize> Pass<D> for TapePass<M, D> {
    fn activations(&self, layers: &[&str]) -> Result<Vec<Tensor<D>>, CamError> {
        let mut found: Vec<Option<Tensor<D>>> = vec![None; layers.len()];
        self.forward(&mut |view| {
            let at = layers.iter().position(|layer| view.layer.name == *layer);
            if let Some(at) = at {
                found[at] = view.tensor::<D>().cloned();
            }
        })?;
        // Only a network that names other layers each time can do without one now.
        let missing = |at: usize| CamError::NoPath { layer: layers[at].to_string() };
        let found = found.into_iter().enumerate();
        found.map(|(at, tensor)| tensor.ok_or_else(|| missing(at))).collect()
    }

    fn gradients(
        &self,
        wanted: &[Wanted<D>],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        for (target_at, Wanted { target, layers }) in wanted.iter().enumerate() {
            for (layer_at, layer) in layers.iter().enumerate() {
                if let Some(found) = self.gradient(target, layer)? {
                    visit(target_at, layer_at, found)?;
                }
            }
        }
        Ok(())
    }

    fn perturbed(
        &self,
        layer: Option<&str>,
        count: usize,
        change: &mut dyn FnMut(usize) -> Result<Tensor<D>, CamError>,
        visit: &mut dyn FnMut(Tensor<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        if let Some(layer) = layer
            && self.tracked(layer)?.is_none()
        {
            return Err(CamError::NoPath { layer: layer.to_string() });
        }
        for version in 0..count {
            let value = change(version)?;
            visit(match layer {
                None => self.model.try_forward(value, &mut Layers::ignored())?,
                Some(layer) => self.with_layer(layer, |_| value.clone())?,
            })?;
        }
        Ok(())
    }
}

impl<M: SegmentationModel<D>, const D: usize> TapePass<M, D> {
    fn forward(&self, visitor: &mut dyn FnMut(&mut LayerView)) -> Result<Tensor<D>, CamError> {
        let mut visitor = |mut view: LayerView| visitor(&mut view);
        self.model.try_forward(self.input.clone(), &mut Layers::visited(&mut visitor))
    }

    /// A forward pass in which `change` replaces the layer's tensor.
    fn with_layer(
        &self,
        layer: &str,
        mut change: impl FnMut(Tensor<D>) -> Tensor<D>,
    ) -> Result<Tensor<D>, CamError> {
        self.forward(&mut |view| {
            if view.layer.name == layer
                && let Some(tensor) = view.tensor::<D>()
            {
                *tensor = change(tensor.clone());
            }
        })
    }

    /// The layer as a leaf on the tape, and the logits; `None` if they do not depend on it.
    fn tracked(&self, layer: &str) -> Result<Option<(Tensor<D>, Tensor<D>)>, CamError> {
        let mut leaf: Option<Tensor<D>> = None;
        let logits = self.with_layer(layer, |tensor| {
            let tensor = Tensor::from_inner(tensor.inner()).require_grad();
            leaf = Some(tensor.clone());
            tensor
        })?;
        Ok(leaf.filter(|_| logits.is_tracked()).map(|leaf| (leaf, logits)))
    }

    /// `None` if the layer does not reach the score.
    fn gradient(&self, target: &Target<D>, layer: &str) -> Result<Option<Gradients<D>>, CamError> {
        let Some((leaf, logits)) = self.tracked(layer)? else { return Ok(None) };
        let weights = Tensor::from_inner(target.weights().clone());
        let score = (target.pixel_scores(&logits) * weights).sum();
        let mut tape = score.backward();
        let gradients = leaf.grad_remove(&mut tape);
        Ok(gradients.map(|gradients| Gradients { activations: leaf.inner(), gradients }))
    }
}
