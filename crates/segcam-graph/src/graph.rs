use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use burn::backend::ir::{OperationIr, TensorId, TensorIr};

use crate::constants::Held;
use crate::names::kind;

/// A network's forward pass as a list of operations, captured at one input shape.
///
/// It prints as a program, one operation per line.
#[derive(Clone)]
pub struct Graph {
    pub(crate) operations: Vec<OperationIr>,
    pub(crate) input: TensorId,
    pub(crate) output: TensorId,
    pub(crate) constants: BTreeMap<TensorId, Held>,
    pub(crate) nodes: Vec<Node>,
}

/// A value of the graph that has a name: a layer that the network named, or the result of one of
/// its operations (`conv2d.7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name.
    pub name: String,
    /// The value's shape.
    pub shape: Vec<usize>,
    /// Whether the network gave the name.
    pub named: bool,
    pub(crate) id: TensorId,
}

impl Graph {
    /// Every value with a name: first those that the network named, then the results of
    /// floating-point operations, each in forward order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The same graph, in which these values stay what they are when it is simplified.
    pub fn keep(mut self, names: &[&str]) -> Self {
        for node in &mut self.nodes {
            node.named |= names.contains(&node.name.as_str());
        }
        self
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether the output is the input.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Whether a pass over the graph must keep this value as it is.
    pub(crate) fn is_named(&self, id: TensorId) -> bool {
        self.output == id || self.nodes.iter().any(|node| node.named && node.id == id)
    }

    /// How often each value is read.
    pub(crate) fn uses(&self) -> HashMap<TensorId, usize> {
        let mut uses = HashMap::new();
        for tensor in self.operations.iter().flat_map(OperationIr::inputs) {
            *uses.entry(tensor.id).or_default() += 1;
        }
        uses
    }

    /// An id that no value has.
    pub(crate) fn fresh_id(&self) -> TensorId {
        let known = self.operations.iter().flat_map(OperationIr::nodes).map(|tensor| tensor.id);
        let largest = known.chain(self.constants.keys().copied()).map(|id| id.value()).max();
        TensorId::new(largest.map_or(0, |id| id + 1))
    }

    /// The values that depend on any of `sources`, themselves included.
    pub(crate) fn descendants(
        &self,
        sources: impl IntoIterator<Item = TensorId>,
    ) -> HashSet<TensorId> {
        let mut found: HashSet<TensorId> = sources.into_iter().collect();
        for operation in &self.operations {
            if operation.inputs().any(|tensor| found.contains(&tensor.id)) {
                let outputs = operation.outputs().filter(|out| out.dtype.is_float());
                found.extend(outputs.map(|out| out.id));
            }
        }
        found
    }

    /// Names the results of floating-point operations that have no name yet.
    pub(crate) fn name_operations(&mut self) {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let mut seen: HashSet<TensorId> = self.nodes.iter().map(|node| node.id).collect();
        for operation in &self.operations {
            let kind = kind(operation);
            let count = counts.entry(kind).or_default();
            *count += 1;
            if let Some(out) = operation.outputs().next()
                && out.dtype.is_float()
                && seen.insert(out.id)
            {
                let name = format!("{kind}.{count}");
                self.nodes.push(Node { name, shape: out.shape.to_vec(), named: false, id: out.id });
            }
        }
    }

    pub(crate) fn name(&self, id: TensorId) -> String {
        let node = self.nodes.iter().find(|node| node.id == id);
        node.map_or_else(
            || if id == self.input { "input" } else { "" }.into(),
            |node| node.name.clone(),
        )
    }

    fn label(&self, tensor: &TensorIr) -> String {
        let name = self.name(tensor.id);
        if name.is_empty() { format!("constant{:?}", tensor.shape.to_vec()) } else { name }
    }
}

impl fmt::Debug for Graph {
    /// Not its weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operations, constants) = (self.len(), self.constants.len());
        write!(f, "Graph {{ {operations} operations, {constants} constants }}")
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for operation in &self.operations {
            let Some(out) = operation.outputs().next() else { continue };
            let inputs: Vec<String> = operation.inputs().map(|tensor| self.label(tensor)).collect();
            writeln!(
                f,
                "{} {:?} = {}({})",
                self.label(out),
                out.shape.to_vec(),
                kind(operation),
                inputs.join(", ")
            )?;
        }
        Ok(())
    }
}
