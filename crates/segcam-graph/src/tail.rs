use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use burn::backend::ir::{HandleKind, OperationIr, TensorId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};

use crate::graph::Node;
use crate::{GraphError, Network};

/// The part of a network after one node, ready to be run with other values of that node.
pub struct Tail<B: Backend = Dispatch> {
    network: Arc<Network<B>>,
    node: TensorId,
    /// The operations that depend on the node.
    after: Vec<usize>,
    last_use: HashMap<TensorId, usize>,
    /// What they read beside it.
    values: HashMap<TensorId, HandleKind<B>>,
}

impl<B: Backend> fmt::Debug for Tail<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("network", &self.network).finish_non_exhaustive()
    }
}

impl<B: Backend> Network<B> {
    /// Computes what lies beside the part after `node`, for one input. `None` if the output does not
    /// depend on the node.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`].
    pub fn tail(
        self: &Arc<Self>,
        node: &Node,
        input: FloatTensor<B>,
    ) -> Result<Option<Tail<B>>, GraphError> {
        let operations = &self.graph.operations;
        let mut dependent = HashSet::from([node.id]);
        let mut after = vec![];
        for (index, operation) in operations.iter().enumerate() {
            if operation.inputs().any(|tensor| dependent.contains(&tensor.id)) {
                dependent.extend(operation.outputs().map(|out| out.id));
                after.push(index);
            }
        }
        if !dependent.contains(&self.graph.output) {
            return Ok(None);
        }
        let reads = |indices: &[usize]| -> HashMap<TensorId, usize> {
            let inputs = |at: &usize| operations[*at].inputs().map(|tensor| tensor.id);
            indices.iter().flat_map(|at| inputs(at).map(|id| (id, *at))).collect()
        };
        let last_use = reads(&after);

        let before: Vec<usize> = (0..operations.len()).filter(|at| !after.contains(at)).collect();
        let mut env = self.env();
        env.last_use = reads(&before);
        env.last_use.retain(|id, _| !last_use.contains_key(id));
        env.values.insert(self.graph.input, HandleKind::Float(input));
        for at in before {
            env.run(at, &operations[at])?;
        }
        let mut values = env.values;
        values.retain(|id, _| last_use.contains_key(id) && *id != node.id);
        let mut last_use = last_use;
        last_use.remove(&self.graph.output);
        Ok(Some(Tail { network: self.clone(), node: node.id, after, last_use, values }))
    }
}

impl<B: Backend> Tail<B> {
    /// The network's output when the node has the given value.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`].
    pub fn run(&self, value: FloatTensor<B>) -> Result<FloatTensor<B>, GraphError> {
        let network = &self.network;
        let mut env = network.env();
        env.last_use = self.last_use.clone();
        env.values = self.values.clone();
        env.values.insert(self.node, HandleKind::Float(value));
        for at in &self.after {
            let operation: &OperationIr = &network.graph.operations[*at];
            env.run(*at, operation)?;
        }
        match env.values.remove(&network.graph.output) {
            Some(HandleKind::Float(output)) => Ok(output),
            _ => Err(GraphError::Capture { reason: "it has no output".into() }),
        }
    }
}
