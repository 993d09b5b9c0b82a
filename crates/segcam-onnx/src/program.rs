//! An ONNX graph that holds together: every name is known, every operator has an implementation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use segcam_core::UnknownName;

use crate::array::Array;
use crate::error::UnsupportedOperator;
use crate::proto;
use crate::tensor_file::{self, Stored};
use crate::{OPSETS, OnnxError, ops};

/// One operation: inputs and outputs are numbers of values; what is left out has none.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) operator: String,
    pub(crate) inputs: Vec<Option<usize>>,
    pub(crate) outputs: Vec<Option<usize>>,
    pub(crate) attributes: HashMap<String, proto::Attribute>,
    pub(crate) opset: i64,
}

/// A file's operations, in order: all of them, or those that lead to the class scores.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) nodes: Vec<Node>,
    /// Names of all values.
    pub(crate) names: Vec<String>,
    /// Values that are known before the network runs.
    pub(crate) known: HashMap<usize, Array>,
    /// Weights: their values' numbers and shapes.
    pub(crate) weights: Vec<(usize, Vec<usize>)>,
    pub(crate) input: usize,
    /// Sides of the input `[N, C, …]` as the file declares them; open ones have none.
    pub(crate) input_shape: Vec<Option<usize>>,
    /// Whether the file's own input is `[N, …, C]`.
    pub(crate) channels_last: bool,
    /// Names of the file's outputs.
    pub(crate) outputs: Vec<String>,
    pub(crate) scores: usize,
    /// Operators after the class scores, last first.
    pub(crate) skipped: Vec<String>,
    /// The values that the nodes read last.
    pub(crate) done: Vec<Vec<usize>>,
    /// Layers worth looking at first.
    pub(crate) landmarks: BTreeSet<usize>,
    /// Size of the file in bytes.
    pub(crate) size: usize,
}

impl Program {
    /// Everything in the file, and the values of its weights.
    pub(crate) fn read(
        model: &proto::Model,
        folder: Option<&Path>,
        size: usize,
    ) -> Result<(Self, Vec<Vec<f32>>), OnnxError> {
        let empty = || OnnxError::Malformed { source: "it has no graph".into() };
        let graph = model.graph.as_ref().ok_or_else(empty)?;
        let opset = opset(model)?;
        let outputs = graph.output.iter().map(|output| output.name.clone()).collect();
        let mut program = Self { size, outputs, ..Self::default() };
        let mut numbers = HashMap::new();
        let mut values = vec![];

        for tensor in &graph.initializer {
            let value = program.add(&tensor.name, &mut numbers)?;
            program.store(value, tensor_file::read(tensor, folder)?, &mut values);
        }
        program.read_input(graph, &mut numbers)?;
        for node in &graph.node {
            let inputs = node.input.iter().map(|name| match name.as_str() {
                "" => Ok(None),
                name => numbers.get(name).copied().map(Some).ok_or_else(|| {
                    let by = label(node);
                    broken(format!(
                        "node `{by}` reads `{name}`, which no input, initializer or earlier node is"
                    ))
                }),
            });
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            let outputs = node.output.iter().map(|name| match name.as_str() {
                "" => Ok(None),
                name => program.add(name, &mut numbers).map(Some),
            });
            let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
            if let (true, [Some(output)]) = (is_constant(node), &outputs[..]) {
                let stored = constant(node, folder)?;
                program.store(*output, stored, &mut values);
                continue;
            }
            let attributes =
                node.attribute.iter().map(|item| (item.name.clone(), item.clone())).collect();
            let (name, operator) = (label(node).to_string(), operator(node));
            program.nodes.push(Node { name, operator, inputs, outputs, attributes, opset });
        }
        program.find_layout();
        Ok((program, values))
    }

    /// What leads to the class scores: the tensor called `output`, or the file's first output before
    /// softmax, sigmoid and argmax.
    pub(crate) fn towards(&self, output: Option<&str>) -> Result<Self, OnnxError> {
        let mut program = self.clone();
        match output {
            Some(name) => program.scores = self.named(name)?,
            None => program.find_scores()?,
        }
        program.prune();
        program.expect_supported()?;
        program.landmarks = program.find_landmarks();
        Ok(program)
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// The tensor of this name that a node computes.
    fn named(&self, name: &str) -> Result<usize, OnnxError> {
        let computed = self.number(name).filter(|&value| self.producer(value).is_some());
        computed.ok_or_else(|| {
            let landmarks = self.find_landmarks().into_iter().map(|value| &self.names[value]);
            UnknownName::new("tensor", name, landmarks.chain(&self.outputs)).into()
        })
    }

    fn add(
        &mut self,
        name: &str,
        numbers: &mut HashMap<String, usize>,
    ) -> Result<usize, OnnxError> {
        let number = self.names.len();
        if numbers.insert(name.to_string(), number).is_some() {
            return Err(broken(format!("two values are named `{name}`")));
        }
        self.names.push(name.to_string());
        Ok(number)
    }

    fn store(&mut self, value: usize, stored: Stored, values: &mut Vec<Vec<f32>>) {
        match stored {
            Stored::Known(array) => {
                self.known.insert(value, array);
            }
            Stored::Weights(shape, numbers) => {
                self.weights.push((value, shape));
                values.push(numbers);
            }
        }
    }

    /// The only input that is no initializer.
    fn read_input(
        &mut self,
        graph: &proto::Graph,
        numbers: &mut HashMap<String, usize>,
    ) -> Result<(), OnnxError> {
        let inputs = graph.input.iter().filter(|input| !numbers.contains_key(&input.name));
        let inputs: Vec<&proto::ValueInfo> = inputs.collect();
        let [input] = inputs[..] else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            let reason = format!(
                "a network with one input is wanted, this one has {}: {}",
                names.len(),
                names.join(" ")
            );
            return Err(OnnxError::NotSegmentation { reason });
        };
        let shape =
            input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()?.shape.as_ref());
        let side = |dim: &proto::Dimension| usize::try_from(dim.dim_value).ok().filter(|&n| n > 0);
        self.input_shape = shape.map_or(vec![], |shape| shape.dim.iter().map(side).collect());
        if !(4..=5).contains(&self.input_shape.len()) {
            let reason = format!(
                "input `{}` has {} dimensions in the file: images [N, C, H, W] or volumes \
                 [N, C, D, H, W] are wanted",
                input.name,
                self.input_shape.len()
            );
            return Err(OnnxError::NotSegmentation { reason });
        }
        self.input = self.add(&input.name, numbers)?;
        Ok(())
    }

    /// Networks of TensorFlow take channels last, and turn their input first of all.
    fn find_layout(&mut self) {
        let reads = |node: &&Node| node.inputs.contains(&Some(self.input));
        let turns = |node: &Node| perm(node) == to_front(self.input_shape.len());
        if self.nodes.iter().any(|node| reads(&node)) && self.nodes.iter().filter(reads).all(turns)
        {
            self.channels_last = true;
            self.input_shape[1..].rotate_right(1);
        }
    }

    /// The file's first output, before softmax, sigmoid and argmax.
    fn find_scores(&mut self) -> Result<(), OnnxError> {
        let first = self.outputs.first().map_or("", String::as_str);
        let last = self.number(first);
        let last = last.ok_or_else(|| broken(format!("nothing computes its output `{first}`")))?;
        self.scores = last;
        let (mut at, mut passed) = (last, vec![]);
        while let Some(node) = self.producer(at) {
            match node.operator.as_str() {
                "Softmax" | "LogSoftmax" | "Sigmoid" | "ArgMax" => {
                    passed.push(node.operator.clone());
                    let Some(&Some(input)) = node.inputs.first() else { break };
                    at = input;
                    (self.scores, self.skipped) = (at, passed.clone());
                }
                // They may stand between: ArgMax, Cast.
                "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Transpose" => {
                    let Some(&Some(input)) = node.inputs.first() else { break };
                    passed.push(node.operator.clone());
                    at = input;
                }
                _ => break,
            }
        }
        if self.channels_last
            && let Some(node) = self.producer(self.scores)
            && perm(node) == to_back(self.input_shape.len())
            && let Some(&Some(input)) = node.inputs.first()
        {
            self.scores = input;
        }
        Ok(())
    }

    pub(crate) fn producer(&self, value: usize) -> Option<&Node> {
        self.nodes.iter().find(|node| node.outputs.contains(&Some(value)))
    }

    /// Keeps what leads to the scores, and notes what each node reads last.
    fn prune(&mut self) {
        let mut needed = HashSet::from([self.scores]);
        let mut done = vec![];
        let mut kept = vec![];
        for node in self.nodes.drain(..).rev() {
            if node.outputs.iter().flatten().any(|value| needed.contains(value)) {
                let inputs = node.inputs.iter().flatten().copied();
                done.push(inputs.filter(|&value| needed.insert(value)).collect());
                kept.push(node);
            }
        }
        kept.reverse();
        done.reverse();
        (self.nodes, self.done) = (kept, done);
    }

    fn expect_supported(&self) -> Result<(), OnnxError> {
        let mut unknown: BTreeMap<&str, UnsupportedOperator> = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| !ops::known(&node.operator)) {
            let (operator, name) = (node.operator.clone(), node.name.clone());
            let entry = UnsupportedOperator { operator, node: name, count: 0 };
            unknown.entry(&node.operator).or_insert(entry).count += 1;
        }
        if unknown.is_empty() {
            return Ok(());
        }
        Err(OnnxError::Unsupported(unknown.into_values().collect()))
    }

    /// The last maps before each change of resolution, and the one before the scores; behind a
    /// normalisation where averaged gradients say nothing before it.
    fn find_landmarks(&self) -> BTreeSet<usize> {
        let through = |mut value: usize, operators: &[&str]| {
            while let Some(node) = self.producer(value)
                && operators.contains(&node.operator.as_str())
                && let Some(&Some(input)) = node.inputs.first()
            {
                value = input;
            }
            value
        };
        let first = |node: &Node| node.inputs.first().copied().flatten();
        let small = ["Pad", "Identity", "Dropout", "Cast"];
        // What follows the last convolution only moves class scores about.
        let moved = ["Resize", "Upsample", "Identity", "Cast", "Transpose", "Slice", "Pad"];
        let head = self.producer(through(self.scores, &moved));
        let head = head.filter(|node| ["Conv", "ConvTranspose"].contains(&node.operator.as_str()));
        let end = head.and_then(|head| self.nodes.iter().position(|node| std::ptr::eq(node, head)));
        let before = &self.nodes[..end.unwrap_or(self.nodes.len())];
        let changes = before.iter().filter(|node| ops::changes_resolution(node));
        let found = changes.chain(head).filter_map(first).map(|value| through(value, &small));
        let found = found.filter(|&value| self.producer(value).is_some());
        found.map(|value| self.behind_norm(value).unwrap_or(value)).collect()
    }
}

/// The order of dimensions that a Transpose makes.
fn perm(node: &Node) -> Option<Vec<i64>> {
    let perm = node.attributes.get("perm").filter(|_| node.operator == "Transpose");
    perm.map(|perm| perm.ints.clone())
}

/// From `[N, …, C]` to `[N, C, …]`.
fn to_front(rank: usize) -> Option<Vec<i64>> {
    let rank = rank as i64;
    Some([0, rank - 1].into_iter().chain(1..rank - 1).collect())
}

/// From `[N, C, …]` to `[N, …, C]`.
fn to_back(rank: usize) -> Option<Vec<i64>> {
    Some([0].into_iter().chain(2..rank as i64).chain([1]).collect())
}

fn broken(reason: String) -> OnnxError {
    OnnxError::Graph { reason }
}

/// The node's name, or that of what it computes.
fn label(node: &proto::Node) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn operator(node: &proto::Node) -> String {
    if is_default(&node.domain) {
        return node.op_type.clone();
    }
    format!("{}.{}", node.domain, node.op_type)
}

fn opset(model: &proto::Model) -> Result<i64, OnnxError> {
    let own = model.opset_import.iter().find(|set| is_default(&set.domain));
    let given = own.map_or(1, |set| set.version);
    if OPSETS.contains(&given) { Ok(given) } else { Err(OnnxError::Opset { given }) }
}

fn is_constant(node: &proto::Node) -> bool {
    node.op_type == "Constant" && is_default(&node.domain)
}

/// What a Constant node holds.
fn constant(node: &proto::Node, folder: Option<&Path>) -> Result<Stored, OnnxError> {
    let attribute = node.attribute.first();
    let (mut tensor, one) = match attribute.map(|a| (a.name.as_str(), a)) {
        Some(("value", proto::Attribute { t: Some(tensor), .. })) => (tensor.clone(), false),
        Some(("value_float", a)) => (proto::Tensor { float_data: vec![a.f], ..float() }, true),
        Some(("value_floats", a)) => {
            (proto::Tensor { float_data: a.floats.clone(), ..float() }, false)
        }
        Some(("value_int", a)) => (proto::Tensor { int64_data: vec![a.i], ..int() }, true),
        Some(("value_ints", a)) => (proto::Tensor { int64_data: a.ints.clone(), ..int() }, false),
        other => {
            let given = other.map_or("nothing", |(name, _)| name);
            let (node, operator) = (label(node).to_string(), "Constant".to_string());
            let reason = format!("it holds {given}, a tensor or numbers are wanted");
            return Err(OnnxError::Node { node, operator, reason });
        }
    };
    let count = tensor.float_data.len() + tensor.int64_data.len();
    if attribute.is_some_and(|attribute| attribute.name != "value") && !one {
        tensor.dims = vec![count as i64];
    }
    tensor.name = label(node).to_string();
    tensor_file::read(&tensor, folder)
}

fn float() -> proto::Tensor {
    proto::Tensor { data_type: 1, ..Default::default() }
}

fn int() -> proto::Tensor {
    proto::Tensor { data_type: 7, ..Default::default() }
}
