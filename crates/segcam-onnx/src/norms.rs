//! Where gradients average to zero: a normalisation over all pixels of a channel takes the channel's mean
//! away, so that the score does not depend on it.

use crate::program::{Node, Program};

/// Operators that share each gradient out among the pixels before it and lose none: gradients that add up
/// to zero behind them do so before them.
const EVEN: [&str; 6] = ["Identity", "Dropout", "Cast", "Resize", "Upsample", "MaxPool"];

const ACTIVATIONS: [&str; 14] = [
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "HardSwish",
    "HardSigmoid",
    "Mish",
    "Softplus",
    "Softsign",
    "Tanh",
    "Sigmoid",
];

impl Program {
    /// The map behind the normalisation, and behind its activation, that alone reads what becomes of `value`.
    pub(crate) fn behind_norm(&self, value: usize) -> Option<usize> {
        let mut at = value;
        let norm = loop {
            let node = self.only_reader(at)?;
            if self.takes_means(node) {
                break node;
            }
            if !is_even(node) {
                return None;
            }
            at = output(node)?;
        };
        let normed = output(norm)?;
        Some(self.activated(normed).unwrap_or(normed))
    }

    fn readers(&self, value: usize) -> Vec<&Node> {
        self.nodes.iter().filter(|node| node.inputs.contains(&Some(value))).collect()
    }

    fn only_reader(&self, value: usize) -> Option<&Node> {
        match self.readers(value)[..] {
            [node] if value != self.scores => Some(node),
            _ => None,
        }
    }

    /// Whether it takes the mean of each channel away; of groups of channels only the group's.
    fn takes_means(&self, node: &Node) -> bool {
        match node.operator.as_str() {
            "InstanceNormalization" => true,
            "GroupNormalization" => {
                let groups = node.attributes.get("num_groups").map(|groups| groups.i);
                // Up to opset 20 there is a scale for each group, and nothing says how many channels it has.
                let channels =
                    node.inputs.get(1).copied().flatten().and_then(|scale| self.first_side(scale));
                node.opset >= 21 && groups.is_some() && groups == channels
            }
            _ => false,
        }
    }

    /// The first side of what is known before the network runs.
    fn first_side(&self, value: usize) -> Option<i64> {
        let weights = self.weights.iter().find(|(weights, _)| *weights == value);
        let few = self.known.get(&value).map(|array| array.shape());
        let shape = weights.map(|(_, shape)| &shape[..]).or(few)?;
        shape.first().map(|&side| side as i64)
    }

    /// What an activation makes of a value that only it reads.
    fn activated(&self, value: usize) -> Option<usize> {
        match self.readers(value)[..] {
            _ if value == self.scores => None,
            [node] if ACTIVATIONS.contains(&node.operator.as_str()) => output(node),
            // SiLU: the value times its sigmoid.
            [one, other] => {
                let (gate, product) =
                    if one.operator == "Mul" { (other, one) } else { (one, other) };
                let is_gate = ["Sigmoid", "HardSigmoid"].contains(&gate.operator.as_str());
                let gated = product.operator == "Mul" && product.inputs.contains(&output(gate));
                if is_gate && gated { output(product) } else { None }
            }
            _ => None,
        }
    }
}

fn output(node: &Node) -> Option<usize> {
    node.outputs.first().copied().flatten()
}

/// See [`EVEN`]. Where nothing meets padding, each tap of a kernel hands on all gradients, too.
fn is_even(node: &Node) -> bool {
    let padded = || {
        let pads =
            node.attributes.get("pads").is_some_and(|pads| pads.ints.iter().any(|&p| p != 0));
        let auto = node.attributes.get("auto_pad");
        pads || auto.is_some_and(|auto| !matches!(&auto.s[..], b"NOTSET" | b"VALID" | b""))
    };
    match node.operator.as_str() {
        "Conv" | "AveragePool" => !padded(),
        operator => EVEN.contains(&operator),
    }
}
