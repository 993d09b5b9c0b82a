use std::collections::HashMap;

use burn::backend::ir::{
    BatchNormOpIr, HandleKind, ModuleOperationIr, OperationIr, TensorId, TensorIr,
};
use burn::backend::{Backend, Shape};

use crate::Network;
use crate::env::Env;
use crate::ops::{convolution, scale_and_shift};

/// Folds BatchNorm with fixed statistics into the convolution before it, where nothing else reads
/// the convolution's result: `w' = w·scale`, `b' = b·scale + shift`.
pub(crate) fn fold_batch_norm<B: Backend>(network: &mut Network<B>) {
    let uses = network.graph.uses();
    let mut fresh = network.graph.fresh_id().value();
    // Where each convolution that may be changed stands, by the id of its result.
    let mut open: HashMap<TensorId, usize> = HashMap::new();
    let mut rest: Vec<OperationIr> = vec![];
    for mut operation in std::mem::take(&mut network.graph.operations) {
        if let OperationIr::Module(ModuleOperationIr::BatchNorm(norm)) = &operation
            && let Some(&at) = open.get(&norm.x.id)
            && let OperationIr::Module(before) = &mut rest[at]
            && fold(network, before, norm, &mut fresh).is_some()
        {
            continue;
        }
        if let OperationIr::Module(op) = &mut operation
            && let Some(found) = convolution(op)
        {
            let id = found.out.id;
            if uses.get(&id) == Some(&1) && !network.graph.is_named(id) {
                open.insert(id, rest.len());
            }
        }
        rest.push(operation);
    }
    network.graph.operations = rest;
}

/// Folds the two if all their parameters are constant.
fn fold<B: Backend>(
    network: &mut Network<B>,
    before: &mut ModuleOperationIr,
    norm: &BatchNormOpIr,
    fresh: &mut u64,
) -> Option<()> {
    let conv = convolution(before)?;
    let parts = [&norm.gamma, &norm.beta, &norm.mean, &norm.variance];
    let known = |tensor: &TensorIr| network.constants.contains_key(&tensor.id);
    if !(parts.into_iter().all(known) && known(conv.weight) && conv.bias.as_ref().is_none_or(known))
    {
        return None;
    }
    let mut env = Env::new(&network.device, &network.constants, &network.turned);
    let (scale, shift) = scale_and_shift(&mut env, norm).ok()?;
    let weight = env.float(conv.weight).ok()?;
    let bias = match conv.bias {
        Some(bias) => B::float_add(B::float_mul(env.float(bias).ok()?, scale.clone()), shift),
        None => shift,
    };

    // The output channel is dimension 0, or, with groups, the second part of a transposed one.
    let shape = conv.weight.shape.to_vec();
    let (split, factors) = if conv.transposed {
        let groups = conv.groups;
        let mut split = vec![groups, shape[0] / groups];
        split.extend(&shape[1..]);
        let mut factors = vec![1; split.len()];
        (factors[0], factors[2]) = (groups, shape[1]);
        (split, factors)
    } else {
        let mut factors = vec![1; shape.len()];
        factors[0] = shape[0];
        (shape.clone(), factors)
    };
    let scale = B::float_reshape(scale, factors.into());
    let weight = B::float_mul(B::float_reshape(weight, split.into()), scale);
    let weight = B::float_reshape(weight, shape.into());

    let mut add = |value, shape: Shape| {
        let tensor = TensorIr::uninit(TensorId::new(*fresh), shape, norm.out.dtype);
        *fresh += 1;
        network.constants.insert(tensor.id, HandleKind::Float(value));
        tensor
    };
    *conv.bias = Some(add(bias, norm.beta.shape.clone()));
    *conv.weight = add(weight, conv.weight.shape.clone());
    *conv.out = norm.out.clone();
    Some(())
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
