//! One file per family of operations. Each operation is one arm: what it computes, and how the
//! cotangent of its output goes back to its inputs.

mod activation;
mod bool_int;
mod conv;
mod float;
mod index;
mod interpolate;
mod linear;
mod norm;
mod numeric;
mod pool;
mod reduce;
mod shape;

use burn::backend::ir::{ModuleOperationIr, OperationIr, TensorIr};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, Shape, Slice, TensorMetadata};

use crate::env::{Env, Unsupported};

pub(crate) use conv::convolution;
pub(crate) use norm::scale_and_shift;

/// Computes `operation` and records its paths.
pub(crate) fn run<B: Backend>(
    env: &mut Env<B>,
    operation: &OperationIr,
) -> Result<(), Unsupported> {
    use ModuleOperationIr as M;
    match operation {
        OperationIr::BaseFloat(op) => shape::float(env, op),
        OperationIr::BaseInt(op) => shape::int(env, op),
        OperationIr::BaseBool(op) => shape::bool(env, op),
        OperationIr::NumericFloat(_, op) => numeric::run(env, op),
        OperationIr::NumericInt(_, op) => bool_int::numeric(env, op),
        OperationIr::Int(op) => bool_int::int(env, op),
        OperationIr::Bool(op) => bool_int::bool(env, op),
        OperationIr::Float(_, op) => float::run(env, op),
        OperationIr::Activation(op) => activation::run(env, op),
        OperationIr::Module(M::Linear(op)) => linear::linear(env, op),
        OperationIr::Module(M::BatchNorm(op)) => norm::batch_norm(env, op),
        OperationIr::Module(op) => conv::run(env, op),
        _ => Err(Unsupported),
    }
}

/// Sums a cotangent over the dimensions along which an input was broadcast.
fn unbroadcast<B: Backend>(
    mut cotangent: FloatTensor<B>,
    input: &Shape,
    out: &Shape,
) -> FloatTensor<B> {
    for dim in 0..out.num_dims() {
        if input[dim] == 1 && out[dim] > 1 {
            cotangent = B::float_sum_dim(cotangent, dim);
        }
    }
    cotangent
}

/// `count` cells of one dimension, from `start` on.
pub(crate) fn narrow<B: Backend>(
    tensor: FloatTensor<B>,
    dim: usize,
    start: usize,
    count: usize,
) -> FloatTensor<B> {
    let shape = tensor.shape();
    if shape[dim] == count {
        return tensor;
    }
    let mut ranges = vec![Slice::full(); shape.num_dims()];
    ranges[dim] = Slice::new(start as isize, Some((start + count) as isize), 1);
    B::float_slice(tensor, &ranges)
}

/// The shape of `tensor` with `count` of it along the batch.
fn rows(tensor: &Shape, count: usize) -> Shape {
    let mut shape = tensor.clone();
    if count > 1 {
        shape[0] *= count;
    }
    shape
}

/// A tensor that has a shape and no memory, for backward operations that only look at the shape.
fn ghost<B: Backend>(device: &B::Device, like: &TensorIr, count: usize) -> FloatTensor<B> {
    let ones = Shape::from(vec![1; like.shape.num_dims()]);
    let zero = B::float_zeros(ones, device, like.dtype.into());
    B::float_expand(zero, rows(&like.shape, count))
}

/// `cotangent` where the mask is set, zeros elsewhere.
fn pass_where<B: Backend>(cotangent: FloatTensor<B>, mask: BoolTensor<B>) -> FloatTensor<B> {
    let mask = B::bool_into_float(mask, cotangent.dtype().into());
    if is_libtorch::<B>(&cotangent.device()) {
        // Filling by a mask is eight times slower there; infinite cotangents become NaN, which the
        // caller sees.
        return B::float_mul(cotangent, mask);
    }
    // The mask stands for a ReLU's output: infinite cotangents are cut off, too.
    let shape = cotangent.shape();
    let mask = if mask.shape() == shape { mask } else { B::float_expand(mask, shape) };
    B::relu_backward(mask, cotangent)
}

fn is_libtorch<B: Backend>(device: &B::Device) -> bool {
    B::name(device).contains("torch")
}
