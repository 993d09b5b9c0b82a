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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor as Image};
    use segcam_core::{Explainer, GradCam, Layer, MapStatus, Observation};

    use crate::auto_layers;
    use crate::proto::{Attribute, Node, Tensor};
    use crate::tests::{ints, load, model, node, tensor};

    fn weights(name: &str, dims: &[i64]) -> Tensor {
        let count: i64 = dims.iter().product();
        let values = (0..count).map(|at| (1.7 * at as f32 + 0.3 * name.len() as f32).sin());
        Tensor { float_data: values.collect(), ..tensor(name, dims, 1) }
    }

    fn with(attributes: &[Attribute], node: Node) -> Node {
        Node { attribute: attributes.to_vec(), ..node }
    }

    /// `deep` goes through a max pooling into a normalisation, and `more` reads what it will.
    fn seen(norm: Node, activation: Vec<Node>, more: Vec<Node>, last: &str) -> Observation {
        let (two, one) = (ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1]));
        let pool = [ints("kernel_shape", &[2, 2]), two.clone()];
        let mut nodes = vec![
            with(&[one], node("Conv", &["x", "w1"], &["first"])),
            node("Relu", &["first"], &["a"]),
            node("Conv", &["a", "w2"], &["deep"]),
            with(&pool, node("MaxPool", &["deep"], &["pooled"])),
            norm,
        ];
        nodes.extend(activation);
        nodes.push(with(&[two], node("ConvTranspose", &["acted", "w3"], &["up"])));
        nodes.push(node("Relu", &["up"], &["last"]));
        nodes.extend(more);
        nodes.push(node("Conv", &[last, "w4"], &["y"]));
        let known = vec![
            weights("w1", &[4, 1, 3, 3]),
            weights("w2", &[6, 4, 1, 1]),
            weights("scale", &[6]),
            weights("bias", &[6]),
            weights("w3", &[6, 6, 2, 2]),
            weights("w4", &[2, 6, 1, 1]),
        ];
        let mut file = model(nodes, known);
        file.opset_import[0].version = 21;
        let device = Device::flex();
        let network = load(&file).expect("a model").load::<4>(&device).expect("a network");
        let image: Vec<f32> = (0..256).map(|at| (0.37 * at as f32).sin()).collect();
        let image = Image::<1>::from_floats(&image[..], &device).reshape([1, 1, 16, 16]);
        Explainer::new(network).observe(image).expect("a pass")
    }

    fn names(layers: &[Layer]) -> Vec<&str> {
        layers.iter().map(|layer| layer.name.as_str()).collect()
    }

    fn norm(operator: &str) -> Node {
        node(operator, &["pooled", "scale", "bias"], &["normed"])
    }

    fn groups(count: i64) -> Node {
        let groups = Attribute { name: "num_groups".into(), i: count, ..Attribute::default() };
        with(&[groups], norm("GroupNormalization"))
    }

    fn relu() -> Vec<Node> {
        vec![node("Relu", &["normed"], &["acted"])]
    }

    #[test]
    fn no_layer_is_recommended_whose_gradients_average_to_zero() {
        let silu = || {
            vec![
                node("Sigmoid", &["normed"], &["gate"]),
                node("Mul", &["normed", "gate"], &["acted"]),
            ]
        };
        for (norm, activation) in [
            (norm("InstanceNormalization"), relu()),
            (norm("InstanceNormalization"), silu()),
            (groups(6), relu()),
        ] {
            let seen = seen(norm, activation, vec![], "last");
            assert_eq!(names(seen.layers()), ["acted", "last"]);
            assert_eq!(auto_layers(seen.layers()), ["acted", "last"]);
            let before = seen.explain(&GradCam, "deep", 1).expect("a map");
            assert_eq!(before.status(), [MapStatus::Rounding], "{:?}", before.range());
            for layer in ["acted", "last"] {
                let map = seen.explain(&GradCam, layer, 1).expect("a map");
                assert_ne!(map.status(), [MapStatus::Rounding], "{layer}");
            }
        }
    }

    #[test]
    fn layers_that_say_something_are_recommended_as_they_are() {
        // Something else reads it; groups of channels keep differences between channels.
        let add = vec![node("Add", &["last", "deep"], &["both"])];
        for seen in [
            seen(norm("InstanceNormalization"), relu(), add, "both"),
            seen(groups(2), relu(), vec![], "last"),
        ] {
            assert_eq!(names(seen.layers())[..2], ["deep", "acted"]);
            let map = seen.explain(&GradCam, "deep", 1).expect("a map");
            assert_ne!(map.status(), [MapStatus::Rounding]);
        }
    }
}
