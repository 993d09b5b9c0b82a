use burn::backend::ir::{NumericOperationIr as Op, ReduceDimWithIndicesOpIr, TensorIr};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Shape, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, IntDType};

use super::rows;
use crate::env::{Env, Unsupported};

pub(super) fn run<B: Backend>(env: &mut Env<B>, op: &Op) -> Result<(), Unsupported> {
    match op {
        Op::SumDim(d) => {
            let x = env.float(&d.input)?;
            spread(env, &d.input, 1.0);
            env.set_float(&d.out, B::float_sum_dim(x, d.axis));
        }
        Op::MeanDim(d) => {
            let x = env.float(&d.input)?;
            spread(env, &d.input, 1.0 / d.input.shape[d.axis] as f64);
            env.set_float(&d.out, B::float_mean_dim(x, d.axis));
        }
        Op::SumDims(d) => {
            let x = env.float(&d.input)?;
            spread(env, &d.input, 1.0);
            env.set_float(&d.out, B::float_sum_dims(x, &d.axes));
        }
        Op::Sum(d) => {
            let x = env.float(&d.input)?;
            spread_all(env, &d.input, 1.0);
            env.set_float(&d.out, B::float_sum(x));
        }
        Op::Mean(d) => {
            let x = env.float(&d.input)?;
            spread_all(env, &d.input, 1.0 / d.input.shape.num_elements() as f64);
            env.set_float(&d.out, B::float_mean(x));
        }
        Op::MaxDim(d) => {
            let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
            let (y, at) = B::float_max_dim_with_indices(x, d.axis, dtype);
            put_back(env, &d.input, d.axis, at);
            env.set_float(&d.out, y);
        }
        Op::MinDim(d) => {
            let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
            let (y, at) = B::float_min_dim_with_indices(x, d.axis, dtype);
            put_back(env, &d.input, d.axis, at);
            env.set_float(&d.out, y);
        }
        Op::MaxDimWithIndices(d) => with_indices(env, d, B::float_max_dim_with_indices)?,
        Op::MinDimWithIndices(d) => with_indices(env, d, B::float_min_dim_with_indices)?,
        Op::ArgMax(d) => {
            let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
            env.set_int(&d.out, B::float_argmax(x, d.axis, dtype));
        }
        Op::ArgMin(d) => {
            let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
            env.set_int(&d.out, B::float_argmin(x, d.axis, dtype));
        }
        _ => return Err(Unsupported),
    }
    Ok(())
}

/// Back through a sum that keeps its dimensions with length one.
fn spread<B: Backend>(env: &mut Env<B>, input: &TensorIr, scale: f64) {
    let shape = input.shape.clone();
    env.path(input, move |g, count| {
        B::float_expand(B::float_mul_scalar(g, scale.into()), rows(&shape, count))
    });
}

/// Back through a sum of everything.
fn spread_all<B: Backend>(env: &mut Env<B>, input: &TensorIr, scale: f64) {
    let shape = input.shape.clone();
    env.path(input, move |g, _| {
        let one = B::float_reshape(g, Shape::from(vec![1; shape.num_dims()]));
        B::float_expand(B::float_mul_scalar(one, scale.into()), shape.clone())
    });
}

type Extreme<B> = fn(FloatTensor<B>, usize, IntDType) -> (FloatTensor<B>, IntTensor<B>);

fn with_indices<B: Backend>(
    env: &mut Env<B>,
    d: &ReduceDimWithIndicesOpIr,
    function: Extreme<B>,
) -> Result<(), Unsupported> {
    let (x, dtype) = (env.float(&d.tensor)?, env.settings.int_dtype);
    let (y, at) = function(x, d.dim, dtype);
    put_back(env, &d.tensor, d.dim, at.clone());
    env.set_float(&d.out, y);
    env.set_int(&d.out_indices, at);
    Ok(())
}

/// Each value of the cotangent goes to the place that its index names.
pub(super) fn put_back<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    dim: usize,
    at: IntTensor<B>,
) {
    if env.follows(input) {
        let (shape, at) = (input.shape.clone(), env.keep(at));
        env.path(input, move |g, count| {
            let zeros = B::float_zeros(rows(&shape, count), &g.device(), g.dtype().into());
            let at = if count > 1 { B::int_repeat_dim(at.clone(), 0, count) } else { at.clone() };
            B::float_scatter(dim, zeros, at, g, IndexingUpdateOp::Add)
        });
    }
}
