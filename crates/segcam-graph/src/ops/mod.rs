//! One file per family of operations. Each operation is one arm: which cells of its inputs an output
//! cell reads, what it computes, and how the cotangent of its output goes back to its inputs.

mod activation;
mod bool_int;
mod conv;
mod float;
mod index;
mod interpolate;
mod matmul;
mod norm;
mod numeric;
mod pool;
mod reads;
mod reduce;
mod shape;

use burn::backend::ir::{ModuleOperationIr, OperationIr, TensorIr};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, Shape, Slice, TensorMetadata};

use self::reads::{Reads, across, anywhere, reshaped, same, spatial, under_window, window};
use crate::cotangent::Cotangent;
use crate::env::{Done, Env};

pub(crate) use conv::{Convolution, convolution, transpose};
pub(crate) use reads::Along;

type Compute<'a, B> = Box<dyn FnOnce(&mut Env<B>) -> Done + 'a>;

/// What is known of one operation. Whatever has none is refused by the reverse pass, and taken to
/// mix images and to read everything.
pub(crate) struct Rule<'a, B: Backend> {
    /// Which cells of its inputs an output cell depends on.
    pub(crate) reads: Reads<'a>,
    /// Computes it, and records how its output's cotangent goes back to its inputs.
    pub(crate) run: Compute<'a, B>,
}

fn rule<'a, B: Backend>(
    reads: impl Fn(&TensorIr, usize) -> Along + 'a,
    run: impl FnOnce(&mut Env<B>) -> Done + 'a,
) -> Option<Rule<'a, B>> {
    Some(Rule { reads: Box::new(reads), run: Box::new(run) })
}

/// The rule of an operation. Random numbers must never have one: an operation with a rule and
/// constant inputs is computed once.
pub(crate) fn rule_of<B: Backend>(operation: &OperationIr) -> Option<Rule<'_, B>> {
    use ModuleOperationIr as M;
    match operation {
        OperationIr::BaseFloat(op) => shape::rule_of(op),
        OperationIr::BaseInt(op) => bool_int::base_int(op),
        OperationIr::BaseBool(op) => bool_int::base_bool(op),
        OperationIr::NumericFloat(_, op) => numeric::rule_of(op),
        OperationIr::NumericInt(_, op) => bool_int::numeric(op),
        OperationIr::Int(op) => bool_int::int(op),
        OperationIr::Bool(op) => bool_int::bool(op),
        OperationIr::Float(_, op) => float::rule_of(op),
        OperationIr::Activation(op) => activation::rule_of(op),
        OperationIr::Module(M::BatchNorm(op)) => norm::batch_norm(op),
        OperationIr::Module(op) => conv::rule_of(op),
        _ => None,
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

/// Tensors joined along their channels.
pub(crate) fn side_by_side<B: Backend>(mut parts: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    if parts.len() == 1 { parts.remove(0) } else { B::float_cat(parts, 1) }
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
    shape[0] *= count;
    shape
}

/// A tensor that has a shape and no memory, for backward operations that only look at the shape.
fn placeholder<B: Backend>(device: &B::Device, like: &TensorIr, count: usize) -> FloatTensor<B> {
    let ones = Shape::from(vec![1; like.shape.num_dims()]);
    let zero = B::float_zeros(ones, device, like.dtype.into());
    B::float_expand(zero, rows(&like.shape, count))
}

/// `cotangent` where the mask is set, zeros elsewhere.
fn pass_where<B: Backend>(cotangent: Cotangent<B>, mask: BoolTensor<B>) -> Cotangent<B> {
    let mask = B::bool_into_float(cotangent.part_of_mask(mask), cotangent.values.dtype().into());
    cotangent.map(|cotangent| {
        if is_libtorch::<B>(&cotangent.device()) {
            // Filling by a mask is eight times slower there; infinite cotangents become NaN, which
            // the caller sees.
            return B::float_mul(cotangent, mask);
        }
        // The mask stands for a ReLU's output: infinite cotangents are cut off, too.
        let shape = cotangent.shape();
        let mask = if mask.shape() == shape { mask } else { B::float_expand(mask, shape) };
        B::relu_backward(mask, cotangent)
    })
}

/// Whether a tensor is not broadcast along any side.
fn same_sides(tensor: &TensorIr, out: &TensorIr) -> bool {
    tensor.shape.num_dims() > 1 && tensor.shape[2..] == out.shape[2..]
}

fn is_libtorch<B: Backend>(device: &B::Device) -> bool {
    B::name(device).contains("torch")
}
