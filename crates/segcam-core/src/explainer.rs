use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::checks::finite;
use crate::{
    CamError, Cancel, Engine, Graph, GraphEngine, Observation, Prediction, Quantity,
    SegmentationModel,
};

/// Explains one network. The network is held in inference mode.
///
/// See [`SegmentationModel`] for a complete example. Clones share the network; threads may share an
/// explainer.
#[derive(Clone)]
pub struct Explainer<const D: usize = 4> {
    pub(crate) engine: Arc<dyn Engine<D>>,
    pub(crate) cancel: Cancel,
}

impl<const D: usize> Explainer<D> {
    /// Takes a network; the [`GraphEngine`] computes the gradients.
    pub fn new(model: impl SegmentationModel<D>) -> Self {
        Self::with_engine(GraphEngine::new(model))
    }

    /// Takes a network that others hold, too. The weights are shared, not copied.
    pub fn from_arc<M: SegmentationModel<D>>(model: Arc<M>) -> Self {
        // A module's clone shares its tensors; only this one is in inference mode.
        Self::new(Arc::unwrap_or_clone(model))
    }

    /// What runs the network, for engines that are built on others.
    pub fn engine(&self) -> &Arc<dyn Engine<D>> {
        &self.engine
    }

    /// Takes an engine that already holds its network.
    pub fn with_engine(engine: impl Engine<D> + 'static) -> Self {
        Self { engine: Arc::new(engine), cancel: Cancel::default() }
    }

    /// Whatever is asked, of observations, too, ends with [`CamError::Cancelled`] once `cancel` says
    /// so.
    pub fn with_cancel(self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// The network in inference mode; `None` if it is not an `M`.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example<M: SegmentationModel>(model: M) {
    /// let explainer = Explainer::new(model);
    /// let model: &M = explainer.model().expect("what was given");
    /// # }
    /// ```
    pub fn model<M: SegmentationModel<D>>(&self) -> Option<&M> {
        self.engine.model().downcast_ref()
    }

    /// The forward pass as the engine runs it on an input of this shape: captured, and simplified.
    /// `None` if the engine does not capture it.
    ///
    /// # Errors
    /// Shapes the network does not take, [`CamError::Forward`] if it panics at them, and
    /// [`CamError::Graph`] if it cannot be captured.
    pub fn program(
        &self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Option<(Graph, Graph)>, CamError> {
        let program = || self.engine.as_graph().map(|graph| graph.program(shape, device));
        forward_pass(shape, || program().transpose())
    }

    /// One forward pass. The observation can then be explained any number of times.
    ///
    /// # Shapes
    /// - `input`: `[N, C, …]` on the network's device
    ///
    /// # Errors
    /// A shape the network does not take, NaN or infinity in the input or the logits, two layers of
    /// one name, and what the network itself reports.
    pub fn observe(&self, input: Tensor<D>) -> Result<Observation<D>, CamError> {
        self.cancel.expect_going_on()?;
        let shape = input.dims();
        if shape.contains(&0) {
            return Err(CamError::EmptyInput { shape: shape.to_vec() });
        }
        forward_pass(shape, || self.observed(input))
    }

    fn observed(&self, input: Tensor<D>) -> Result<Observation<D>, CamError> {
        let shape = input.dims();
        finite(&input, || Quantity::Input)?;
        let (forward, pass) = self.engine.observe(input.clone())?;
        finite(&forward.logits, || Quantity::Logits)?;
        let given = forward.logits.dims();
        if given[0] != shape[0] || given[1] == 0 {
            let mut wanted = given.to_vec();
            (wanted[0], wanted[1]) = (shape[0], wanted[1].max(1));
            let given = given.to_vec();
            return Err(CamError::ShapeMismatch { what: "the network's output", wanted, given });
        }
        let prediction = Prediction::new(forward.logits.clone(), shape);
        Ok(Observation::new(self.clone(), input.inner(), forward, pass, prediction))
    }
}

/// A panic of the network is an error.
fn forward_pass<T, const D: usize>(
    shape: [usize; D],
    work: impl FnOnce() -> Result<T, CamError>,
) -> Result<T, CamError> {
    let failed = |reason| CamError::Forward { shape: shape.to_vec(), reason };
    segcam_graph::guarded(work).map_err(failed)?
}

impl<const D: usize> fmt::Debug for Explainer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explainer").finish_non_exhaustive()
    }
}
