//! Weights are made once, whatever the number of input shapes, and go when no network needs them.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use segcam_graph::{Constants, Graph, Keep, Network, Target};

#[derive(Module, Debug)]
struct Net {
    first: Conv2d,
    norm: BatchNorm,
    second: Conv2d,
}

fn net() -> Net {
    let device = Device::flex();
    device.seed(1);
    let net = Net {
        first: Conv2dConfig::new([2, 3], [3, 3]).init(&device),
        norm: BatchNormConfig::new(3).init(&device),
        second: Conv2dConfig::new([3, 2], [3, 3]).init(&device),
    };
    net.valid()
}

/// The network, after a forward and a reverse pass, and the gradient of its layer.
fn observed(net: &Net, side: usize, constants: &Constants) -> (Arc<Network>, Vec<f32>) {
    let device = Device::flex();
    let graph = Graph::capture([1, 2, side, side], |x: Tensor<4>, names| {
        let net = net.valid().to_device(&x.device());
        let x = names.name("layer", x);
        net.second.forward(relu(net.norm.forward(net.first.forward(x))))
    });
    let graph = graph.expect("a graph");
    let network = Network::<Dispatch>::new(graph, device.as_dispatch(), constants);
    let network = network.expect("rules");
    let node = &network.graph().nodes()[0];
    let input = Tensor::<4>::ones([1, 2, side, side], &device).into_dispatch();
    let run = network.run(input, Keep { nodes: &[node], ..Keep::default() }).expect("a run");
    let weights = Tensor::<4>::ones([1, 1, side - 4, side - 4], &device).into_dispatch();
    let mut found = vec![];
    run.reverse(&[Target { channels: vec![(0, 1.0)], weights }], &[node], |_, gradient| {
        found = Tensor::<4>::from_dispatch(gradient).into_data().iter::<f32>().collect();
    });
    (network, found)
}

#[test]
fn weights_are_made_once_for_all_shapes() {
    let (net, constants) = (net(), Constants::default());
    let (first, _) = observed(&net, 8, &constants);
    let made = constants.made();
    assert!(made > 0);
    assert!(format!("{first:?}").contains("Network"));
    let (second, gradient) = observed(&net, 9, &constants);
    let (third, _) = observed(&net, 8, &constants);
    assert_eq!(constants.made(), made);
    assert_eq!(observed(&net, 9, &Constants::default()).1, gradient);

    // Another model has its own.
    let mut other = net.clone();
    other.second = Conv2dConfig::new([3, 2], [3, 3]).init(&Device::flex()).valid();
    let (fourth, changed) = observed(&other, 9, &constants);
    assert!(constants.made() > made && changed != gradient);

    // What no network needs is gone, and made again when it is asked for.
    drop((first, second, third, fourth));
    let before = constants.made();
    let (_network, again) = observed(&net, 9, &constants);
    assert_eq!((constants.made(), again), (before + made, gradient));
}
