use std::slice::from_ref;

use burn::backend::ir::{
    NumericOperationIr as Op, ReduceDimOpIr, ReduceDimWithIndicesOpIr, TensorIr,
};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Shape, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, IntDType};

use super::{Along, Rule, across, rows, rule};
use crate::env::Env;

pub(super) fn rule_of<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    match op {
        Op::SumDim(d) => rule::<B>(across(from_ref(&d.axis)), |env| {
            let x = env.float(&d.input)?;
            spread(env, &d.input, 1.0);
            env.set_float(&d.out, B::float_sum_dim(x, d.axis))
        }),
        Op::MeanDim(d) => rule::<B>(across(from_ref(&d.axis)), |env| {
            let x = env.float(&d.input)?;
            spread(env, &d.input, 1.0 / d.input.shape[d.axis] as f64);
            env.set_float(&d.out, B::float_mean_dim(x, d.axis))
        }),
        Op::SumDims(d) => rule::<B>(across(&d.axes), |env| {
            let x = env.float(&d.input)?;
            spread(env, &d.input, 1.0);
            env.set_float(&d.out, B::float_sum_dims(x, &d.axes))
        }),
        Op::Sum(d) => rule::<B>(everything, |env| {
            let x = env.float(&d.input)?;
            spread_all(env, &d.input, 1.0);
            env.set_float(&d.out, B::float_sum(x))
        }),
        Op::Mean(d) => rule::<B>(everything, |env| {
            let x = env.float(&d.input)?;
            spread_all(env, &d.input, 1.0 / d.input.shape.num_elements() as f64);
            env.set_float(&d.out, B::float_mean(x))
        }),
        Op::MaxDim(d) => extreme(d, B::float_max_dim_with_indices),
        Op::MinDim(d) => extreme(d, B::float_min_dim_with_indices),
        Op::MaxDimWithIndices(d) => with_indices(d, B::float_max_dim_with_indices),
        Op::MinDimWithIndices(d) => with_indices(d, B::float_min_dim_with_indices),
        Op::ArgMax(d) => rule::<B>(across(from_ref(&d.axis)), |env| {
            let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
            env.set_int(&d.out, B::float_argmax(x, d.axis, dtype))
        }),
        Op::ArgMin(d) => rule::<B>(across(from_ref(&d.axis)), |env| {
            let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
            env.set_int(&d.out, B::float_argmin(x, d.axis, dtype))
        }),
        _ => None,
    }
}

fn everything(_input: &TensorIr, _dim: usize) -> Along {
    Along::All
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

fn extreme<B: Backend>(d: &ReduceDimOpIr, function: Extreme<B>) -> Option<Rule<'_, B>> {
    rule::<B>(across(from_ref(&d.axis)), move |env| {
        let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
        let (y, at) = function(x, d.axis, dtype);
        put_back(env, &d.input, d.axis, at);
        env.set_float(&d.out, y)
    })
}

fn with_indices<B: Backend>(
    d: &ReduceDimWithIndicesOpIr,
    function: Extreme<B>,
) -> Option<Rule<'_, B>> {
    rule::<B>(across(from_ref(&d.dim)), move |env| {
        let (x, dtype) = (env.float(&d.tensor)?, env.settings.int_dtype);
        let (y, at) = function(x, d.dim, dtype);
        put_back(env, &d.tensor, d.dim, at.clone());
        env.set_int(&d.out_indices, at)?;
        env.set_float(&d.out, y)
    })
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
