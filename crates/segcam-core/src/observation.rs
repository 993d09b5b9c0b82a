use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::checks::expect_shape;
use crate::error::closest;
use crate::{
    CamError, Cancel, EngineKind, Explainer, Explanation, Forward, Layer, OnPixels, Pass,
    Prediction, Request, Target, guarded,
};

/// A finished forward pass: what the network predicted, and the layers that can explain it. Threads
/// may share it.
pub struct Observation<const D: usize = 4> {
    explainer: Explainer<D>,
    input: Tensor<D>,
    forward: Forward<D>,
    pass: Box<dyn Pass<D>>,
    prediction: Prediction<D>,
    identity: Identity,
    progress: Option<Box<Progress>>,
}

type Progress = dyn Fn(usize, usize) + Send + Sync;

/// Tells one observation from all others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity(Arc<()>);

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<const D: usize> Observation<D> {
    pub(crate) fn new(
        explainer: Explainer<D>,
        input: Tensor<D>,
        forward: Forward<D>,
        pass: Box<dyn Pass<D>>,
        prediction: Prediction<D>,
    ) -> Self {
        let identity = Identity::default();
        Self { explainer, input, forward, pass, prediction, identity, progress: None }
    }

    /// The input, `[N, C, …]`.
    pub fn input(&self) -> Tensor<D> {
        self.input.clone()
    }

    /// The class scores before softmax or sigmoid, `[N, classes, …]`.
    pub fn logits(&self) -> Tensor<D> {
        self.prediction.logits()
    }

    /// What the network predicted.
    pub fn prediction(&self) -> &Prediction<D> {
        &self.prediction
    }

    /// The named layers in forward order.
    pub fn layers(&self) -> &[Layer] {
        &self.forward.layers
    }

    /// Results of single operations that can be explained, too: `conv2d.7`, or the name that
    /// [`Layers::detail`](crate::Layers::detail) gave them.
    pub fn operations(&self) -> &[Layer] {
        &self.forward.operations
    }

    /// What computes the gradients, and why it is not the fast engine.
    pub fn engine(&self) -> &EngineKind {
        &self.forward.engine
    }

    /// Calls `progress` with the number of finished steps and of all steps of a method that asks the
    /// network again and again ([`Perturbation`](crate::Perturbation)).
    pub fn with_progress(self, progress: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        Self { progress: Some(Box::new(progress)), ..self }
    }

    /// Whatever is asked ends with [`CamError::Cancelled`] once `cancel` says so.
    pub fn with_cancel(self, cancel: &Cancel) -> Self {
        Self { explainer: self.explainer.with_cancel(cancel), ..self }
    }

    /// Another input through the same network.
    ///
    /// # Errors
    /// Those of [`Explainer::observe`].
    pub fn observe_again(&self, input: Tensor<D>) -> Result<Self, CamError> {
        self.explainer.observe(input)
    }

    /// The same network with random weights from its end back to the layer `after`, or everywhere:
    /// the values of each weight tensor are shuffled. A map that stays the same does not depend on
    /// what the network has learnt.
    ///
    /// # Errors
    /// [`CamError::UnknownLayer`], and [`CamError::FixedWeights`] with an engine that cannot do it.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(seen: Observation) -> Result<(), CamError> {
    /// let untrained = seen.with_random_weights(Some("mid"), 0)?;
    /// let map = untrained.observe(seen.input())?.explain(&HiResCam, "mid", 1)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_random_weights(
        &self,
        after: Option<&str>,
        seed: u64,
    ) -> Result<Explainer<D>, CamError> {
        let mut all = self.layers().iter().chain(self.operations());
        if let Some(after) = after
            && all.all(|layer| layer.name != after)
        {
            return Err(self.unknown_layer(after));
        }
        let graph = self.explainer.engine.as_graph().ok_or(CamError::FixedWeights)?;
        let engine = graph.with_random_weights(after, seed);
        Ok(Explainer { engine, ..self.explainer.clone() })
    }

    /// The map of `layer` that says where the score of `class` comes from: over the whole image, or
    /// over the pixel set of [`Seg`](crate::Seg). A batch of N inputs gives N maps.
    ///
    /// # Errors
    /// An unknown layer or class, an empty pixel set, a layer without a path to the score, NaN or
    /// infinity on the way, and whatever the pixel set itself reports.
    pub fn explain<M: OnPixels<D> + ?Sized>(
        &self,
        method: &M,
        layer: &str,
        class: usize,
    ) -> Result<Explanation<D>, CamError> {
        self.layer(layer)?;
        let target = self.target(method.pixels(), class)?;
        self.answer(&Request::new(method.method(), layer, &target))
    }

    /// The map of one request; see [`explain_all`](Self::explain_all) for many.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn answer(&self, request: &Request<D>) -> Result<Explanation<D>, CamError> {
        let no_path = || CamError::NoPath { layer: request.layer().to_string() };
        self.explain_all([request.clone()]).next().ok_or_else(no_path)?
    }

    /// A map that was made elsewhere, as if it were ours: it can be drawn, certified and measured.
    ///
    /// # Shapes
    /// - `raw`: the signed map `[N, 1, …]` at the size of `layer`, in units of the score
    ///
    /// # Errors
    /// [`CamError::UnknownLayer`], [`CamError::ShapeMismatch`], [`CamError::NonFinite`].
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::{*, burn::tensor::Tensor};
    /// # fn example(seen: Observation, from_captum: Tensor<4>) -> Result<(), CamError> {
    /// let target = seen.target(&PredictedClass, 1)?;
    /// let map = seen.foreign_map("layer-lrp", "mid", &target, from_captum)?;
    /// println!("{:?}", seen.certify(&map)?.impossible);
    /// # Ok(())
    /// # }
    /// ```
    pub fn foreign_map(
        &self,
        method: &str,
        layer: &str,
        target: &Target<D>,
        raw: Tensor<D>,
    ) -> Result<Explanation<D>, CamError> {
        let layer_shape = &self.layer(layer)?.shape;
        let mut shape = self.input.dims();
        shape[1] = 1;
        if self.pass.mapper().is_none() {
            shape[2..].copy_from_slice(&layer_shape[2..]);
        }
        expect_shape("the map", &raw, shape)?;
        let score = self.score(target)?;
        guarded(|| Explanation::new(self, method.to_string(), layer, target, score, raw, None))
    }

    pub(crate) fn pass(&self) -> &dyn Pass<D> {
        &*self.pass
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn progressed(&self, done: usize, all: usize) {
        if let Some(progress) = &self.progress {
            progress(done, all);
        }
    }

    pub(crate) fn expect_going_on(&self) -> Result<(), CamError> {
        self.explainer.cancel.expect_going_on()
    }

    /// The layer of this name, if it can be explained.
    pub(crate) fn layer(&self, wanted: &str) -> Result<&Layer, CamError> {
        let mut all = self.layers().iter().chain(self.operations());
        let layer = all.find(|layer| layer.name == wanted);
        let layer = layer.ok_or_else(|| self.unknown_layer(wanted))?;
        if layer.shape.len() != D {
            let (layer, given) = (layer.name.clone(), layer.shape.len());
            return Err(CamError::LayerRank { layer, wanted: D, given });
        }
        Ok(layer)
    }

    fn unknown_layer(&self, wanted: &str) -> CamError {
        let explainable = self.layers().iter().filter(|layer| layer.shape.len() == D);
        let known: Vec<String> = explainable.map(|layer| layer.name.clone()).collect();
        let operations = self.operations().iter().map(|layer| layer.name.clone());
        let all: Vec<String> = known.iter().cloned().chain(operations).collect();
        let closest = closest(wanted, &all);
        CamError::UnknownLayer { wanted: wanted.to_string(), closest, known }
    }
}

impl<const D: usize> fmt::Debug for Observation<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observation")
            .field("input", &self.input.dims())
            .field("logits", &self.forward.logits.dims())
            .field("layers", &self.forward.layers)
            .field("engine", &self.forward.engine)
            .finish_non_exhaustive()
    }
}
