//! The fast engine. `programs` captures the network and keeps it, `runs` turns wanted layers into a
//! forward pass that has them, `pass` walks back.

mod pass;
mod programs;
mod runs;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use segcam_graph::{Convolutions, Graph, GraphError, Node};

use self::pass::GraphPass;
use self::programs::Programs;
use self::runs::Runs;
use crate::tape::Observed;
use crate::{
    AsGraph, CamError, Engine, EngineKind, Forward, Layer, Pass, SegmentationModel, TapeEngine,
};

/// The fast engine: the network's forward pass is captured as a graph, computed once, and walked
/// backwards at most once per target, whatever the number of layers and methods.
///
/// A network that cannot be captured, or has an operation without a rule, is answered by the
/// [`TapeEngine`], and the explanation's [`engine`](crate::Explanation::engine) says why.
///
/// # Example
/// ```no_run
/// # use segcam_core::{burn::module::Module, *};
/// # fn example<M: SegmentationModel>(model: M) {
/// // At most 2 GiB for what the reverse pass needs, and 8 targets at a time (for a GPU).
/// let engine = GraphEngine::new(model).with_memory(2 << 30).with_chunk(8);
/// let explainer = Explainer::with_engine(engine);
/// # }
/// ```
///
/// Clones share the network and what was captured of it.
pub struct GraphEngine<M, const D: usize = 4> {
    programs: Arc<Programs<M, D>>,
    memory: Option<usize>,
    chunk: usize,
    convolutions: Convolutions,
}

impl<M, const D: usize> Clone for GraphEngine<M, D> {
    fn clone(&self) -> Self {
        Self { programs: self.programs.clone(), ..*self }
    }
}

impl<M, const D: usize> fmt::Debug for GraphEngine<M, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphEngine")
            .field("memory", &self.memory)
            .field("chunk", &self.chunk)
            .field("convolutions", &self.convolutions)
            .finish_non_exhaustive()
    }
}

impl<M: SegmentationModel<D>, const D: usize> GraphEngine<M, D> {
    /// Puts `model` into inference mode.
    pub fn new(model: M) -> Self {
        let convolutions = Convolutions::default();
        let programs = Programs::new(TapeEngine::new(model), None, convolutions);
        Self { programs: Arc::new(programs), memory: None, chunk: 1, convolutions }
    }

    /// What computes convolutions on the CPU backend burn-flex: `segcam-conv` by its
    /// [fastest](Convolutions::Fast) algorithms, with errors of about 1e-5 of a gradient's largest
    /// value at most, by [sums of products](Convolutions::Exact) only, or burn's own kernels.
    pub fn with_convolutions(self, convolutions: Convolutions) -> Self {
        let programs = Programs::new(self.programs.tape.clone(), None, convolutions);
        Self { programs: Arc::new(programs), convolutions, ..self }
    }

    /// Keeps at most so many bytes between the forward and the reverse pass, beside the weights and
    /// the explained layers. What does not fit is computed again when it is asked for.
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Walks backwards for so many targets at a time, and perturbs so many versions at a time. More
    /// than one helps on GPUs; walking needs an input of one image. A network that mixes images, or joins
    /// them with windows or heads, is asked one at a time.
    pub fn with_chunk(mut self, targets: usize) -> Self {
        self.chunk = targets.max(1);
        self
    }

    fn run(&self, input: Tensor<D>) -> Result<(Forward<D>, GraphPass<M, D>), CamError> {
        let runs = Runs::new(self.programs.clone(), input, self.memory)?;
        let network = runs.network();
        let layer = |node: &Node| Layer { name: node.name.clone(), shape: node.shape.clone() };
        let nodes = network.graph().nodes();
        let layers = nodes.iter().filter(|node| node.named).map(layer).collect();
        let operations = nodes.iter().filter(|node| !node.named).chain(network.merged());
        let operations = operations.filter(|node| node.shape.len() == D).map(layer).collect();
        let forward =
            Forward { logits: runs.logits(), layers, operations, engine: EngineKind::Graph };
        Ok((forward, GraphPass { runs, chunk: self.chunk }))
    }
}

impl<M: SegmentationModel<D>, const D: usize> Engine<D> for GraphEngine<M, D> {
    fn observe(&self, input: Tensor<D>) -> Observed<D> {
        self.programs.tape.model().check_input(input.dims())?;
        let input = input.inner();
        match self.run(input.clone()) {
            Ok((forward, pass)) => Ok((forward, Box::new(pass) as Box<dyn Pass<D>>)),
            // The tape would run with the weights as they are.
            Err(CamError::Graph(
                reason @ (GraphError::Capture { .. } | GraphError::Unsupported { .. }),
            )) if self.programs.has_own_weights() => {
                self.programs.tape.pass(input, Some(reason.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn model(&self) -> &dyn Any {
        self.programs.tape.model()
    }

    fn as_graph(&self) -> Option<&dyn AsGraph<D>> {
        Some(self)
    }
}

impl<M: SegmentationModel<D>, const D: usize> AsGraph<D> for GraphEngine<M, D> {
    fn program(&self, shape: [usize; D], device: &Device) -> Result<(Graph, Graph), CamError> {
        self.programs.tape.model().check_input(shape)?;
        self.programs.listing(shape, device)
    }

    fn with_random_weights(&self, after: Option<&str>, seed: u64) -> Arc<dyn Engine<D>> {
        let randomized = Some((after.map(ToString::to_string), seed));
        let programs = Programs::new(self.programs.tape.clone(), randomized, self.convolutions);
        Arc::new(Self { programs: Arc::new(programs), ..*self })
    }
}

#[cfg(test)]
mod tests;
