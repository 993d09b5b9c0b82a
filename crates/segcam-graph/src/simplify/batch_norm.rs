use std::collections::HashMap;

use burn::backend::ir::{
    BatchNormOpIr, ModuleOperationIr, NumericOperationIr as N, OperationIr, TensorId, TensorIr,
};

use super::parts::Parts;
use crate::Graph;
use crate::constants::Pending;
use crate::ops::{Convolution, convolution};

/// Folds BatchNorm with fixed statistics into the convolution before it, where nothing else reads
/// the convolution's result: `w' = w·scale`, `b' = b·scale + shift`.
pub(crate) fn fold_batch_norm(graph: &mut Graph, pending: &mut Pending, fresh: TensorId) {
    let uses = graph.uses();
    let mut parts = Parts::new(fresh);
    // Where each convolution that may be changed stands, by the id of its result.
    let mut open: HashMap<TensorId, usize> = HashMap::new();
    let mut rest: Vec<OperationIr> = vec![];
    for mut operation in std::mem::take(&mut graph.operations) {
        if let OperationIr::Module(ModuleOperationIr::BatchNorm(norm)) = &operation
            && let Some(&at) = open.get(&norm.x.id)
            && let OperationIr::Module(before) = &mut rest[at]
            && let Some(conv) = convolution(before)
            && are_constant(pending, &conv, norm)
        {
            fold(&mut parts, conv, norm);
            parts.operations.drain(..).for_each(|operation| pending.compute_later(operation));
            continue;
        }
        if let OperationIr::Module(op) = &mut operation
            && let Some(found) = convolution(op)
        {
            let id = found.out.id;
            if uses.get(&id) == Some(&1) && !graph.is_named(id) {
                open.insert(id, rest.len());
            }
        }
        rest.push(operation);
    }
    graph.operations = rest;
}

fn are_constant(pending: &Pending, conv: &Convolution, norm: &BatchNormOpIr) -> bool {
    let norm = [&norm.gamma, &norm.beta, &norm.mean, &norm.variance];
    let mut all = norm.into_iter().chain([&*conv.weight]).chain(conv.bias.as_ref());
    all.all(|tensor| pending.contains(tensor.id))
}

fn fold(parts: &mut Parts, conv: Convolution, norm: &BatchNormOpIr) {
    let deviation = parts.deviation(norm.variance.clone(), norm.epsilon);
    let scale = parts.binary(&norm.gamma, &deviation, None, N::Div);
    let mean = parts.binary(&norm.mean, &scale, None, N::Mul);
    let shift = parts.binary(&norm.beta, &mean, None, N::Sub);
    let bias = match conv.bias {
        None => shift,
        Some(bias) => {
            let scaled = parts.binary(bias, &scale, None, N::Mul);
            parts.binary(&scaled, &shift, None, N::Add)
        }
    };
    *conv.bias = Some(bias);
    *conv.weight = scaled(parts, conv.weight, &scale, conv.transposed.then_some(conv.groups));
    *conv.out = norm.out.clone();
}

/// The weights times one number for each output channel: dimension 0, or, with groups, the second
/// part of a transposed convolution's.
fn scaled(
    parts: &mut Parts,
    weight: &TensorIr,
    scale: &TensorIr,
    transposed: Option<usize>,
) -> TensorIr {
    let shape = weight.shape.to_vec();
    let (split, factors) = match transposed {
        None => {
            let mut factors = vec![1; shape.len()];
            factors[0] = shape[0];
            (shape.clone(), factors)
        }
        Some(groups) => {
            let split = [&[groups, shape[0] / groups], &shape[1..]].concat();
            let mut factors = vec![1; split.len()];
            (factors[0], factors[2]) = (groups, shape[1]);
            (split, factors)
        }
    };
    let weight = parts.reshape(weight, split);
    let scale = parts.reshape(scale, factors);
    let product = parts.binary(&weight, &scale, None, N::Mul);
    parts.reshape(&product, shape)
}

#[cfg(test)]
mod tests {
    use crate::{Constants, Graph, Keep, Network};
    use burn::backend::Dispatch;
    use burn::module::{Module, Param, RunningState};
    use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
    use burn::nn::{BatchNorm, BatchNormConfig};
    use burn::tensor::{Device, Distribution, Tensor};

    fn norm(channels: usize, device: &Device) -> BatchNorm {
        let random = |low| Tensor::random([channels], Distribution::Uniform(low, 1.5), device);
        let mut norm = BatchNormConfig::new(channels).init(device);
        norm.running_mean = RunningState::new(random(-1.0));
        norm.running_var = RunningState::new(random(0.1));
        norm.gamma = Param::from_tensor(random(0.5));
        norm.beta = Param::from_tensor(random(-1.0));
        norm.valid()
    }

    #[test]
    fn convolutions_take_it_in_unless_their_own_result_is_wanted() {
        let device = Device::flex();
        device.seed(1);
        let conv = Conv2dConfig::new([4, 6], [3, 3]).with_groups(2).with_bias(false).init(&device);
        let up = ConvTranspose2dConfig::new([6, 4], [2, 2]).with_groups(2).init(&device);
        let (conv, up) = (conv.valid(), up.valid());
        let (one, two, three) = (norm(6, &device), norm(4, &device), norm(4, &device));
        let forward = |x: Tensor<4>, mut name: Box<dyn FnMut(Tensor<4>) -> Tensor<4> + '_>| {
            let at = x.device();
            let x = one.valid().to_device(&at).forward(conv.valid().to_device(&at).forward(x));
            let x = two.valid().to_device(&at).forward(up.valid().to_device(&at).forward(x));
            three.valid().to_device(&at).forward(name(x))
        };
        let graph = Graph::capture([2, 4, 5, 6], |x, names| {
            forward(x, Box::new(|x| names.name("kept", x)))
        });
        let network = Network::<Dispatch>::new(
            graph.expect("a graph"),
            device.as_dispatch(),
            &Constants::default(),
        );
        let network = network.expect("a network");
        // The last one stays: what comes before it has a name.
        assert_eq!(network.graph().len(), 3, "{}", network.graph());
        let x = Tensor::<4>::random([2, 4, 5, 6], Distribution::Normal(0.0, 1.0), &device);
        let run = network.run(x.clone().into_dispatch(), Keep::default()).expect("a run");
        let given = Tensor::<4>::from_dispatch(run.output());
        let wanted = forward(x, Box::new(|x| x));
        let gap: f32 = (given - wanted.clone()).abs().max().into_scalar();
        let scale: f32 = wanted.abs().max().into_scalar();
        assert!(gap / scale < 1e-5, "{}", gap / scale);
    }
}
