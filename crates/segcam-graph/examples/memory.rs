//! What more memory a network costs that is captured at several input shapes: the peak of this
//! process after the first shape and after the fourth, each less what it took before the model was
//! made. Inputs are small, so that weights are nearly all of it.
//!
//! `cargo run --release -p segcam-graph --example memory` (Linux).

use std::collections::VecDeque;

use burn::backend::Dispatch;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use segcam_graph::{Constants, Graph, GraphError, Keep, Network, Target};

const WIDTH: usize = 512;

#[derive(Module, Debug)]
struct Net {
    first: Conv2d,
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Net {
    fn new(device: &Device) -> Self {
        let conv = |input: usize| {
            let config = Conv2dConfig::new([input, WIDTH], [3, 3]);
            config.with_padding(PaddingConfig2d::Same).init(device)
        };
        Self {
            first: conv(1),
            convs: (0..10).map(|_| conv(WIDTH)).collect(),
            norms: (0..10).map(|_| BatchNormConfig::new(WIDTH).init(device)).collect(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.first.forward(x);
        self.convs
            .iter()
            .zip(&self.norms)
            .fold(x, |x, (conv, norm)| relu(norm.forward(conv.forward(x))))
    }
}

/// One forward and one reverse pass; the network stays.
fn observe(
    net: &Net,
    side: usize,
    device: &Device,
    constants: &Constants,
) -> Result<std::sync::Arc<Network>, GraphError> {
    let graph = Graph::capture([1, 1, side, side], |x: Tensor<4>, names| {
        let net = net.valid().to_device(&x.device());
        net.forward(names.name("input", x))
    })?;
    let network = Network::<Dispatch>::new(graph, device.as_dispatch(), constants)?;
    let node = &network.graph().nodes()[0];
    let input = Tensor::<4>::ones([1, 1, side, side], device).into_dispatch();
    let run = network.run(input, Keep { nodes: &[node], ..Keep::default() })?;
    let weights = Tensor::<4>::ones([1, 1, side, side], device).into_dispatch();
    run.reverse(&[Target { channels: vec![(0, 1.0)], weights }], &[node], |_, _| ());
    Ok(network)
}

/// `VmRSS` or `VmHWM` of this process, in MiB.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().ok());
    number.unwrap_or(f64::NAN) / 1024.0
}

fn main() -> Result<(), GraphError> {
    let before = memory("VmRSS");
    let device = Device::flex();
    let net = Net::new(&device).valid();
    let weights = net.num_params() as f64 * 4.0 / 1024.0 / 1024.0;
    println!("weights              {weights:7.1} MiB");
    println!("model                {:7.1} MiB", memory("VmRSS") - before);
    let constants = Constants::default();
    let mut known = VecDeque::new();
    let mut peaks = vec![];
    for side in [8, 9, 10, 11] {
        known.push_back(observe(&net, side, &device, &constants)?);
        peaks.push(memory("VmHWM") - before);
        let (peak, now) = (peaks[peaks.len() - 1], memory("VmRSS") - before);
        let made = constants.made();
        println!(
            "{side:2} × {side:2}: peak {peak:7.1} MiB, then {now:7.1} MiB, {made} constants made"
        );
    }
    println!("four shapes / one    {:7.2}", peaks[3] / peaks[0]);
    Ok(())
}
