//! A backend chosen at compile time computes what the dispatching one does.

use burn::backend::{Backend, Dispatch, Flex, FlexDevice, read_sync};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use segcam_graph::{Constants, Graph, GraphError, Keep, Network, Target};

#[derive(Module, Debug)]
struct Net {
    first: Conv2d,
    pool: MaxPool2d,
    second: Conv2d,
    head: Conv2d,
}

fn capture(net: &Net, shape: [usize; 4]) -> Result<Graph, GraphError> {
    Graph::capture(shape, |x: Tensor<4>, names| {
        let net = net.valid().to_device(&x.device());
        let layer = names.name("layer", relu(net.first.forward(x)));
        let layer = relu(net.second.forward(net.pool.forward(layer)));
        net.head.forward(layer)
    })
}

/// The output, the gradients of two classes at the layer, and the output when the layer is doubled.
fn all<B: Backend>(graph: &Graph, device: &B::Device, input: TensorData) -> [Vec<f32>; 3] {
    let network = Network::<B>::new(graph.clone(), device, &Constants::default()).expect("rules");
    let layer = network.graph().nodes().iter().find(|node| node.named).expect("a layer").clone();
    let input = B::float_from_data(input, device);
    let keep = Keep { nodes: &[&layer], ..Keep::default() };
    let run = network.run(input.clone(), keep).expect("rules");
    let values = |tensor| -> Vec<f32> {
        read_sync(B::float_into_data(tensor)).expect("values").iter::<f32>().collect()
    };
    let weights = TensorData::ones::<f32, _>([1, 1, 3, 4]);
    let target = |class| Target {
        channels: vec![(class, 1.0)],
        weights: B::float_from_data(weights.clone(), device),
    };
    let mut gradients = vec![];
    run.reverse(&[target(0), target(1)], &[&layer], |_, found| gradients = values(found));
    let doubled = B::float_mul_scalar(run.value(&layer).expect("kept"), 2.0.into());
    let tail = network.tail(&layer, input).expect("rules").expect("a path");
    [values(run.output()), gradients, values(tail.run(doubled).expect("rules"))]
}

#[test]
fn a_concrete_backend_computes_what_dispatch_does() {
    let device = Device::flex();
    device.seed(1);
    let net = Net {
        first: Conv2dConfig::new([2, 3], [3, 3]).init(&device),
        pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        second: Conv2dConfig::new([3, 4], [1, 1]).init(&device),
        head: Conv2dConfig::new([4, 2], [1, 1]).init(&device),
    };
    // Weights are drawn at first use: now.
    let _drawn = net.valid();
    let graph = capture(&net, [1, 2, 8, 10]).expect("a graph");
    let input = Tensor::<4>::random([1, 2, 8, 10], Distribution::Normal(0.0, 1.0), &device);
    let input = input.into_data();
    let wanted = all::<Dispatch>(&graph, device.as_dispatch(), input.clone());
    assert_eq!(all::<Flex>(&graph, &FlexDevice, input), wanted);
    assert_eq!(wanted[1].len(), 2 * 3 * 6 * 8);
    assert!(wanted[1].iter().any(|value| *value != 0.0) && wanted[2] != wanted[0]);
}
