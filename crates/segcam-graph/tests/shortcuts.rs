//! What changes no number, and saves work: that it is done is seen by the memory that is asked for.

use std::sync::Arc;

use allocation_counter::measure;
use burn::backend::Dispatch;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use segcam_graph::{Constants, Graph, Keep, Network, Node, Run, Target};

const SIDE: usize = 32;
/// Bytes of a channel.
const CHANNEL: u64 = (SIDE * SIDE * 4) as u64;

/// Of windows of 3 × 3.
fn conv(x: Tensor<4>, out: usize) -> Tensor<4> {
    let [_, channels, ..] = x.dims();
    let weight = Tensor::ones([out, channels, 3, 3], &x.device());
    conv2d(x, weight, None, ConvOptions::new([1; 2], [1; 2], [1; 2], 1))
}

/// Of an image with one channel, and the layers that `f` names.
fn network(
    f: impl Fn(Tensor<4>, &mut dyn FnMut(&str, Tensor<4>) -> Tensor<4>) -> Tensor<4>,
) -> Arc<Network> {
    let graph = Graph::capture([1, 1, SIDE, SIDE], |x: Tensor<4>, names| {
        f(x, &mut |name, x| names.name(name, x))
    });
    let device = Device::flex();
    Network::new(graph.expect("a graph"), device.as_dispatch(), &Constants::default())
        .expect("rules")
}

fn layer(network: &Network) -> Node {
    network.graph().nodes().iter().find(|node| node.named).expect("a layer").clone()
}

fn run(network: &Arc<Network>, layer: &Node) -> Run {
    let input = Tensor::<4>::ones([1, 1, SIDE, SIDE], &Device::flex()).into_dispatch();
    network.run(input, Keep { nodes: &[layer], ..Keep::default() }).expect("a run")
}

/// Bytes that a walk asks for, from the first channel of so many pixels in each direction.
fn walked(run: &Run, layer: &Node, pixels: usize) -> u64 {
    let device = Device::flex();
    let weights = Tensor::<4>::zeros([1, 1, SIDE, SIDE], &device);
    let weights = weights.slice_fill([0..1, 0..1, 0..pixels, 0..pixels], 1.0).into_dispatch();
    let target: Target<Dispatch> = Target { channels: vec![(0, 1.0)], weights };
    let walk = || {
        let mut found = 0;
        run.reverse(std::slice::from_ref(&target), &[layer], |_, _| found += 1);
        assert_eq!(found, 1);
    };
    // What is made once is made.
    walk();
    measure(walk).bytes_total
}

#[test]
fn the_other_parts_of_a_concatenation_are_left_out() {
    let network = network(|x, name| {
        let layer = name("layer", relu(conv(x.clone(), 2)));
        conv(relu(conv(Tensor::cat(vec![layer, relu(conv(x, 60))], 1), 2)), 2)
    });
    let layer = layer(&network);
    let bytes = walked(&run(&network, &layer), &layer, SIDE);
    assert!(bytes < 30 * CHANNEL, "{} channels", bytes / CHANNEL);
}

#[test]
fn the_last_convolution_takes_one_map_back() {
    let network = network(|x, name| conv(relu(conv(name("layer", relu(conv(x, 2))), 2)), 60));
    let layer = layer(&network);
    let bytes = walked(&run(&network, &layer), &layer, SIDE);
    assert!(bytes < 30 * CHANNEL, "{} channels", bytes / CHANNEL);
}

#[test]
fn a_pixel_costs_what_its_windows_have_of_the_image() {
    let network = network(|x, name| {
        let layer = name("layer", relu(conv(x, 2)));
        (0..5).fold(layer, |x, _| relu(conv(x, 8)))
    });
    let layer = layer(&network);
    let run = run(&network, &layer);
    let [one, all] = [1, SIDE].map(|pixels| walked(&run, &layer, pixels));
    assert!(4 * one < all, "{one} beside {all}");
}

#[test]
fn a_concatenation_is_read_part_by_part() {
    let network = network(|x, name| {
        let x = name("layer", x);
        conv(Tensor::cat((0..30).map(|_| x.clone()).collect(), 1), 2)
    });
    let layer = layer(&network);
    run(&network, &layer);
    let bytes = measure(|| drop(run(&network, &layer))).bytes_total;
    assert!(bytes < 20 * CHANNEL, "{} channels", bytes / CHANNEL);
}
