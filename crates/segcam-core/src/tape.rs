use std::sync::Arc;

use burn::tensor::Tensor;

use crate::layers::expect_unique;
use crate::{
    CamError, Engine, Gradients, Layer, LayerView, Layers, Onward, Pass, SegmentationModel, Target,
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

impl<M> Clone for TapeEngine<M> {
    fn clone(&self) -> Self {
        Self { model: self.model.clone() }
    }
}

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

    /// One forward pass; `engine` says what reports call the result.
    pub(crate) fn pass<const D: usize>(
        &self,
        input: Tensor<D>,
        engine: String,
    ) -> Result<Box<dyn Pass<D>>, CamError>
    where
        M: SegmentationModel<D>,
    {
        self.model.check_input(input.dims())?;
        let input = input.inner();
        let (mut layers, mut details): (Vec<Layer>, Vec<Layer>) = (vec![], vec![]);
        let mut visitor = |view: LayerView| {
            if view.detail { &mut details } else { &mut layers }.push(view.layer);
        };
        let logits = self.model.forward(input.clone(), &mut Layers::visited(&mut visitor));
        expect_unique(&layers)?;
        let model = self.model.clone();
        Ok(Box::new(TapePass { model, input, logits, layers, details, engine }))
    }
}

impl<M: SegmentationModel<D>, const D: usize> Engine<D> for TapeEngine<M> {
    fn observe(&self, input: Tensor<D>) -> Result<Box<dyn Pass<D>>, CamError> {
        self.pass(input, "tape".into())
    }
}

struct TapePass<M, const D: usize> {
    model: Arc<M>,
    input: Tensor<D>,
    logits: Tensor<D>,
    layers: Vec<Layer>,
    details: Vec<Layer>,
    engine: String,
}

impl<M: SegmentationModel<D>, const D: usize> Pass<D> for TapePass<M, D> {
    fn engine(&self) -> String {
        self.engine.clone()
    }

    fn input(&self) -> Tensor<D> {
        self.input.clone()
    }

    fn logits(&self) -> Tensor<D> {
        self.logits.clone()
    }

    fn activations(&self, layer: &str) -> Result<Option<Tensor<D>>, CamError> {
        let mut found = None;
        self.forward(self.input.clone(), layer, |tensor| {
            found = Some(tensor.clone());
            tensor
        });
        Ok(found)
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn operations(&self) -> &[Layer] {
        &self.details
    }

    fn gradients(
        &self,
        targets: &[Target<D>],
        layers: &[&str],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>),
    ) -> Result<(), CamError> {
        for (target_at, target) in targets.iter().enumerate() {
            for (layer_at, layer) in layers.iter().enumerate() {
                if let Some(found) = self.gradient(target, layer) {
                    visit(target_at, layer_at, found);
                }
            }
        }
        Ok(())
    }

    fn onward(
        &self,
        layer: Option<&str>,
        copies: usize,
    ) -> Result<Option<Onward<'_, D>>, CamError> {
        let Some(layer) = layer.map(str::to_string) else {
            return Ok(Some(Box::new(|input| {
                Ok(self.model.forward(input, &mut Layers::ignored()))
            })));
        };
        if self.tracked(&layer).is_none() {
            return Ok(None);
        }
        let input = self.input.clone().repeat_dim(0, copies);
        Ok(Some(Box::new(move |value| Ok(self.forward(input.clone(), &layer, |_| value.clone())))))
    }
}

impl<M: SegmentationModel<D>, const D: usize> TapePass<M, D> {
    /// A forward pass in which `change` replaces the layer's tensor.
    fn forward(
        &self,
        input: Tensor<D>,
        layer: &str,
        mut change: impl FnMut(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        let mut visitor = |mut view: LayerView| {
            if view.layer.name == layer
                && let Some(tensor) = view.tensor::<D>()
            {
                *tensor = change(tensor.clone());
            }
        };
        self.model.forward(input, &mut Layers::visited(&mut visitor))
    }

    /// The layer as a leaf on the tape, and the logits; `None` if they do not depend on it.
    fn tracked(&self, layer: &str) -> Option<(Tensor<D>, Tensor<D>)> {
        let mut leaf: Option<Tensor<D>> = None;
        let logits = self.forward(self.input.clone(), layer, |tensor| {
            let tensor = Tensor::from_inner(tensor.inner()).require_grad();
            leaf = Some(tensor.clone());
            tensor
        });
        leaf.filter(|_| logits.is_tracked()).map(|leaf| (leaf, logits))
    }

    /// `None` if the layer does not reach the score.
    fn gradient(&self, target: &Target<D>, layer: &str) -> Option<Gradients<D>> {
        let (leaf, logits) = self.tracked(layer)?;
        let weights = Tensor::from_inner(target.weights.clone());
        let score = (target.asked(&logits) * weights).sum();
        let mut tape = score.backward();
        let gradients = leaf.grad_remove(&mut tape)?;
        Some(Gradients { activations: leaf.inner(), gradients })
    }
}
