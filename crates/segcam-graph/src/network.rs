use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use burn::backend::ir::{ActivationOperationIr as Activation, OperationIr, TensorId};
use burn::backend::{Backend, Dispatch};

use crate::constants::{Constant, Pending};
use crate::env::{Env, Weights};
use crate::{Constants, Graph, GraphError, Node, simplify};

/// A simplified graph with its constants on a device: ready to run.
pub struct Network<B: Backend = Dispatch> {
    pub(crate) graph: Graph,
    pub(crate) device: B::Device,
    pub(crate) constants: HashMap<TensorId, Constant<B>>,
    pub(crate) weights: Weights<B>,
    merged: Vec<Node>,
    before_relu: HashSet<TensorId>,
}

impl<B: Backend> fmt::Debug for Network<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("graph", &self.graph).finish_non_exhaustive()
    }
}

impl<B: Backend> Network<B> {
    /// Simplifies `graph` and puts its constants on `device`.
    ///
    /// What a named value is stays as it is. Operations that nothing needs are dropped, composed
    /// operations are taken apart, operations on constants are computed, and BatchNorm goes into
    /// the convolution before it.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] if a constant cannot be computed.
    pub fn new(
        mut graph: Graph,
        device: &B::Device,
        constants: &Constants<B>,
    ) -> Result<Arc<Self>, GraphError> {
        simplify::drop_dead(&mut graph);
        simplify::take_apart(&mut graph);
        let before = graph.nodes.clone();
        let fresh = graph.fresh_id();
        let mut pending = Pending::new(std::mem::take(&mut graph.constants));
        simplify::fold_constants(&mut graph, &mut pending);
        simplify::fold_batch_norm(&mut graph, &mut pending, fresh);
        simplify::drop_dead(&mut graph);
        let left: HashSet<TensorId> = graph.nodes.iter().map(|node| node.id).collect();
        let lost = |node: &Node| !left.contains(&node.id) && !pending.contains(node.id);
        let merged = before.into_iter().filter(lost).collect();
        let read = graph.uses();
        let needed = |id| read.contains_key(&id) || graph.is_named(id);
        let made = pending.make(needed, device, constants)?;
        let weights = Weights::new(constants.clone());
        let (before_relu, device) = (before_relu(&graph), device.clone());
        Ok(Arc::new(Self { graph, device, constants: made, weights, merged, before_relu }))
    }

    pub(crate) fn env(&self) -> Env<'_, B> {
        Env::new(&self.device, &self.constants, &self.weights, &self.before_relu)
    }

    /// The values that are no longer computed, because an operation became one with the next. A graph
    /// that [keeps](Graph::keep) them still computes them.
    pub fn merged(&self) -> &[Node] {
        &self.merged
    }

    /// The simplified graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// The values that one ReLU reads, and nothing else.
fn before_relu(graph: &Graph) -> HashSet<TensorId> {
    let uses = graph.uses();
    let relu = |operation: &OperationIr| match operation {
        OperationIr::Activation(Activation::Relu(d)) => Some(d.input.id),
        _ => None,
    };
    let alone = |id: &TensorId| uses.get(id) == Some(&1) && *id != graph.output;
    graph.operations.iter().filter_map(relu).filter(alone).collect()
}
