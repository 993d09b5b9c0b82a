use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use burn::backend::ir::{HandleKind, TensorId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};

use crate::env::Step;
use crate::graph::Node;
use crate::{GraphError, Network};

/// What a forward pass keeps for the reverse pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep<'a> {
    /// The values that gradients are wanted for. Without any, nothing is kept.
    pub nodes: &'a [&'a Node],
    /// Most bytes to keep beside the network and the wanted values.
    pub limit: Option<usize>,
    /// Keep also what [`Run::shares`] needs, for each of the nodes.
    pub shares: bool,
}

/// A finished forward pass that can be walked backwards any number of times.
pub struct Run<B: Backend = Dispatch> {
    pub(crate) network: Arc<Network<B>>,
    pub(crate) output: FloatTensor<B>,
    pub(crate) values: HashMap<TensorId, FloatTensor<B>>,
    pub(crate) steps: Vec<Step<B>>,
    /// Whether it has what shares need.
    pub(crate) certified: bool,
}

impl<B: Backend> fmt::Debug for Run<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("network", &self.network).finish_non_exhaustive()
    }
}

impl<B: Backend> Network<B> {
    /// Computes the output for `input`, and keeps what later reverse passes need.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`], [`GraphError::Memory`].
    pub fn run(self: &Arc<Self>, input: FloatTensor<B>, keep: Keep) -> Result<Run<B>, GraphError> {
        let graph = &self.graph;
        let wanted: HashSet<TensorId> = keep.nodes.iter().map(|node| node.id).collect();
        let mut env = self.env();
        env.active = graph.descendants(wanted.iter().copied());
        env.moving = keep.shares.then(|| graph.descendants([graph.input]));
        for (index, operation) in graph.operations.iter().enumerate() {
            env.last_use.extend(operation.inputs().map(|tensor| (tensor.id, index)));
        }
        let bypasses: HashSet<TensorId> = match &env.moving {
            Some(moving) => wanted.iter().flat_map(|id| self.bypasses(*id, moving)).collect(),
            None => HashSet::new(),
        };
        for id in wanted.iter().chain(&bypasses).chain([&graph.output]) {
            env.last_use.remove(id);
        }
        env.values.insert(graph.input, HandleKind::Float(input));

        let mut steps = vec![];
        for (index, operation) in graph.operations.iter().enumerate() {
            steps.extend(env.run(index, operation)?);
            if let Some(limit) = keep.limit.filter(|limit| env.kept > *limit) {
                return Err(GraphError::Memory { limit });
            }
        }
        let mut values: HashMap<_, _> = env
            .values
            .into_iter()
            .filter_map(|(id, value)| match value {
                HandleKind::Float(value) => Some((id, value)),
                _ => None,
            })
            .collect();
        for (id, constant) in &self.constants {
            if let HandleKind::Float(value) = &*constant.value {
                values.entry(*id).or_insert_with(|| value.clone());
            }
        }
        let output = values.get(&graph.output).cloned();
        values.retain(|id, _| wanted.contains(id) || bypasses.contains(id));
        let output = output.ok_or(GraphError::Capture { reason: "it has no output".into() })?;
        Ok(Run { network: self.clone(), output, values, steps, certified: keep.shares })
    }

    /// The values that reach the output beside those that depend on `node`.
    fn bypasses(&self, node: TensorId, moving: &HashSet<TensorId>) -> Vec<TensorId> {
        let active = self.graph.descendants([node]);
        let inside = self
            .graph
            .operations
            .iter()
            .filter(|operation| operation.inputs().any(|tensor| active.contains(&tensor.id)));
        inside
            .flat_map(|operation| operation.inputs())
            .map(|tensor| tensor.id)
            .filter(|id| !active.contains(id) && moving.contains(id))
            .collect()
    }
}

impl<B: Backend> Run<B> {
    /// The network's output.
    pub fn output(&self) -> FloatTensor<B> {
        self.output.clone()
    }

    /// The value of a node; `None` if the forward pass was not asked to keep it.
    pub fn value(&self, node: &Node) -> Option<FloatTensor<B>> {
        self.values.get(&node.id).cloned()
    }
}
