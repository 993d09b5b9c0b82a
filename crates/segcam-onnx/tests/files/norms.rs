//! Layers that a normalisation comes before.

use burn::tensor::{Device, Tensor as Image};
use segcam_core::{Explainer, GradCam, Layer, MapStatus, Observation};
use segcam_onnx::auto_layers;

use crate::made::{ints, load, model, node, tensor};
use crate::proto::{Attribute, Node, Tensor};

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
        vec![node("Sigmoid", &["normed"], &["gate"]), node("Mul", &["normed", "gate"], &["acted"])]
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
