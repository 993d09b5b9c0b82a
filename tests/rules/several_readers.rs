//! Values that more than one operation reads, and values that are named where a shortcut would go past them.

use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, activation as act};
use segcam_graph::{Constants, Graph, Keep, Network, Node, Run, Target};
use segcam_tests::device;

use crate::{F, check, close, host, numbers, weights};

fn conv(x: Tensor<4>, out: usize) -> Tensor<4> {
    let [_, channels, ..] = x.dims();
    let weight = weights([out, channels, 3, 3], &x.device());
    conv2d(x, weight, None, ConvOptions::new([1; 2], [1; 2], [1; 2], 1))
}

fn both(x: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![x.clone(), x.exp()], 1)
}

#[test]
fn each_reader_gets_the_value() {
    let cases: &[(&str, F<4>)] = &[
        ("a ReLU and a sum", |x| {
            let x = conv(x, 3);
            act::relu(x.clone()) + x * 0.5
        }),
        ("a product and a ReLU", |x| {
            let x = conv(x, 3);
            x.clone() * 0.5 - act::relu(x)
        }),
        ("two convolutions of a concatenation", |x| {
            let x = both(x);
            conv(x.clone(), 2) + conv(x.exp(), 2)
        }),
        ("three readers of a concatenation", |x| {
            let x = both(x);
            conv(x.clone(), 4) - conv(x.clone(), 4) * 0.5 + x
        }),
        ("a concatenation of concatenations", |x| {
            let x = both(x);
            conv(Tensor::cat(vec![conv(x.clone(), 1), x], 1), 2)
        }),
        ("a concatenation in space", |x| conv(Tensor::cat(vec![x.clone(), x.exp()], 2), 2)),
        ("a concatenation with a constant", |x| {
            let [n, _, height, width] = x.dims();
            let constant = weights([n, 2, height, width], &x.device());
            conv(Tensor::cat(vec![constant, x.exp()], 1), 2)
        }),
    ];
    check([1, 2, 3, 4], cases);
}

/// A value that is named is the layer's, and has its gradient, whatever is made of its reader.
#[test]
fn a_layer_is_what_its_reader_gets() {
    let cases: &[(&str, F<4>, F<4>)] = &[
        ("a concatenation before a convolution", both, |x| conv(x, 3)),
        ("a convolution before a ReLU", |x| conv(x, 3), |x| conv(act::relu(x), 3)),
        ("a ReLU before a concatenation", |x| act::relu(conv(x, 3)), |x| conv(both(x), 3)),
    ];
    for (what, layer, rest) in cases {
        let shape = [2, 2, 3, 4];
        // The layer before it is wanted, too.
        let graph = Graph::capture(shape, |x, names| {
            let inside = layer(names.name("first", x));
            rest(names.name("layer", inside))
        });
        let (run, node) = run_of(graph.expect("a graph"), numbers(shape, 1, &device()), false);
        let inside = layer(numbers(shape, 1, &Device::flex()));
        close(&host(of(run.value(&node).expect("kept"))), &host(inside.clone()), 1e-6, what);
        close(&host(of(run.output())), &host(rest(inside.clone())), 1e-5, what);

        let graph = Graph::capture(inside.dims(), |x, names| rest(names.name("layer", x)));
        let (alone, only) = run_of(graph.expect("a graph"), inside.to_device(&device()), false);
        let gradients = [(&run, &node), (&alone, &only)].map(|(run, node)| {
            let weights = numbers([2, 1, 3, 4], 5, &device()).into_dispatch();
            let mut gradient = vec![];
            run.reverse(&[Target { channels: vec![(1, 1.0)], weights }], &[node], |_, found| {
                gradient = host(of(found));
            });
            gradient
        });
        assert!(!gradients[1].is_empty());
        close(&gradients[0], &gradients[1], 1e-6, what);
    }
}

fn of(tensor: FloatTensor<Dispatch>) -> Tensor<4> {
    Tensor::from_dispatch(tensor)
}

/// With shares it keeps what a cut at the layer needs.
fn run_of(graph: Graph, x: Tensor<4>, shares: bool) -> (Run, Node) {
    let network = Network::<Dispatch>::new(graph, device().as_dispatch(), &Constants::default());
    let network = network.expect("rules");
    let named: Vec<&Node> = network.graph().nodes().iter().filter(|node| node.named).collect();
    let run = network.run(x.into_dispatch(), Keep { nodes: &named, shares, ..Keep::default() });
    let layer = named.into_iter().find(|node| node.name == "layer").expect("a layer");
    (run.expect("a run"), layer.clone())
}

/// What goes past a layer and has no name of its own: the input is called so.
#[test]
fn the_input_past_a_layer_is_called_input() {
    let graph = Graph::capture([1, 2, 3, 4], |x: Tensor<4>, names| {
        names.name("layer", conv(x.clone(), 2)) + x
    });
    let x = numbers([1, 2, 3, 4], 1, &device());
    let (run, layer) = run_of(graph.expect("a graph"), x, true);
    let weights = Tensor::<4>::ones([1, 1, 3, 4], &device()).into_dispatch();
    let shares = run.shares(&Target { channels: vec![(0, 1.0)], weights }, &layer).expect("shares");
    let past: Vec<&str> = shares.bypasses.iter().map(|(name, _)| &**name).collect();
    assert_eq!(past, ["input"]);
}
