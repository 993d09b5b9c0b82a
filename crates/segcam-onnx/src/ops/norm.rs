use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::{Dispatch as B, TensorMetadata};

use super::unknown;
use crate::value::{Call, Result, Tensor, Value, axis, reshaped, with_rank};

pub(super) const OPERATORS: &[&str] = &[
    "BatchNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "LpNormalization",
];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let y = match call.node.operator.as_str() {
        "BatchNormalization" => batch(call)?,
        "InstanceNormalization" => instance(call)?,
        "GroupNormalization" => group(call)?,
        "LayerNormalization" => layer(call)?,
        "LpNormalization" => lp(call)?,
        _ => return Err(unknown(call)),
    };
    Ok(vec![y.into()])
}

fn epsilon(call: &Call) -> f64 {
    call.float("epsilon", 1e-5)
}

/// One number for each channel.
fn per_channel(call: &Call, at: usize, channels: usize) -> Result<Tensor> {
    let tensor = call.tensor(at)?;
    match tensor.shape().to_vec()[..] {
        [given] if given == channels => Ok(tensor),
        ref given => Err(format!("input {at} must have shape [{channels}], it has {given:?}")),
    }
}

fn channels(x: &Tensor) -> Result<usize> {
    let shape = x.shape().to_vec();
    shape.get(1).copied().ok_or_else(|| format!("an input of shape {shape:?} has no channels"))
}

fn batch(call: &Call) -> Result<Tensor> {
    if call.int("training_mode", 0) != 0 {
        return Err("it is in training mode: export the network in evaluation mode".into());
    }
    let x = call.tensor(0)?;
    let part = |at| per_channel(call, at, channels(&x)?);
    let (gamma, beta, mean, variance) = (part(1)?, part(2)?, part(3)?, part(4)?);
    Ok(B::batch_norm(x, gamma, beta, mean, variance, epsilon(call)))
}

/// To mean 0 and deviation 1 along the last dimension.
fn normalized(x: Tensor, epsilon: f64) -> Tensor {
    let last = x.shape().num_dims() - 1;
    let centred = B::float_sub(x.clone(), B::float_mean_dim(x, last));
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), last);
    B::float_div(centred, B::float_sqrt(B::float_add_scalar(variance, epsilon.into())))
}

fn scaled(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor {
    let mut shape = vec![1; x.shape().num_dims()];
    shape[1] = scale.shape()[0];
    B::float_add(B::float_mul(x, reshaped(scale, &shape)), reshaped(bias, &shape))
}

fn instance(call: &Call) -> Result<Tensor> {
    let x = call.tensor(0)?;
    let (shape, count) = (x.shape().to_vec(), channels(&x)?);
    let (scale, bias) = (per_channel(call, 1, count)?, per_channel(call, 2, count)?);
    let flat = reshaped(x, &[shape[0], count, shape[2..].iter().product()]);
    Ok(scaled(reshaped(normalized(flat, epsilon(call)), &shape), scale, bias))
}

/// One scale per group up to opset 20, one per channel since.
fn group(call: &Call) -> Result<Tensor> {
    let x = call.tensor(0)?;
    let (shape, count) = (x.shape().to_vec(), channels(&x)?);
    let groups = call.int("num_groups", 0);
    let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0 && count % groups == 0);
    let groups = groups.ok_or_else(|| format!("num_groups must divide {count} channels"))?;
    let cells: usize = shape[1..].iter().product();
    let flat = reshaped(x, &[shape[0], groups, cells / groups]);
    let y = normalized(flat, epsilon(call));
    let factors = if call.node.opset < 21 { groups } else { count };
    let (scale, bias) = (per_channel(call, 1, factors)?, per_channel(call, 2, factors)?);
    let y = reshaped(y, &[shape[0], factors, cells / factors]);
    Ok(reshaped(scaled(y, scale, bias), &shape))
}

/// Over all dimensions from `axis` on.
fn layer(call: &Call) -> Result<Tensor> {
    let x = call.tensor(0)?;
    let shape = x.shape().to_vec();
    let at = axis(call.int("axis", -1), shape.len())?;
    let (rows, cells) = (shape[..at].iter().product(), shape[at..].iter().product());
    let mut y = reshaped(normalized(reshaped(x, &[rows, cells]), epsilon(call)), &shape);
    let part = |input| -> Result<Tensor> {
        let tensor = with_rank(call.tensor(input)?, shape.len());
        let given = tensor.shape().to_vec();
        if given.iter().zip(&shape).all(|(&one, &all)| one == 1 || one == all) {
            return Ok(tensor);
        }
        Err(format!("input {input} of shape {given:?} does not fit {shape:?}"))
    };
    y = B::float_mul(y, part(1)?);
    if call.has(2) {
        y = B::float_add(y, part(2)?);
    }
    Ok(y)
}

/// Where all values are zero, so is the result.
fn lp(call: &Call) -> Result<Tensor> {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", -1), x.shape().num_dims())?;
    let (size, root) = match call.int("p", 2) {
        1 => (B::float_abs(x.clone()), false),
        2 => (B::float_mul(x.clone(), x.clone()), true),
        p => return Err(format!("p must be 1 or 2, it is {p}")),
    };
    let sum = B::float_sum_dim(size, at);
    // Before the root, whose slope at 0 is infinite and would be multiplied by 0 on the way back.
    let nothing = B::float_equal_elem(sum.clone(), 0.0.into(), call.settings.bool_dtype);
    let sum = B::float_mask_fill(sum, nothing, 1.0.into());
    Ok(B::float_div(x, if root { B::float_sqrt(sum) } else { sum }))
}
