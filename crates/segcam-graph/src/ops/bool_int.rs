use burn::backend::Backend;
use burn::backend::ir::{
    BaseOperationIr as Base, BoolOperationIr, IntOperationIr, NumericOperationIr as Op, TensorIr,
};

use super::shape::{expanded, flipped, joined, permuted, repeated, sliced, swapped};
use super::{Rule, anywhere, reshaped, rule, same};

/// An integer from the inputs.
macro_rules! int {
    ($out:expr, |$env:ident| $value:expr) => {
        rule::<B>(same, move |$env| {
            let value = $value;
            $env.set_int(&$out, value)
        })
    };
}

macro_rules! bool {
    ($out:expr, |$env:ident| $value:expr) => {
        rule::<B>(same, move |$env| {
            let value = $value;
            $env.set_bool(&$out, value)
        })
    };
}

/// Arithmetic on indices.
pub(super) fn numeric<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    match op {
        Op::Add(d) => int!(d.out, |env| B::int_add(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::Sub(d) => int!(d.out, |env| B::int_sub(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::Mul(d) => int!(d.out, |env| B::int_mul(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::Div(d) => int!(d.out, |env| B::int_div(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::AddScalar(d) => int!(d.out, |env| B::int_add_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::SubScalar(d) => int!(d.out, |env| B::int_sub_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::MulScalar(d) => int!(d.out, |env| B::int_mul_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::DivScalar(d) => int!(d.out, |env| B::int_div_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::RemScalar(d) => {
            int!(d.out, |env| B::int_remainder_scalar(env.int(&d.lhs)?, d.rhs.into()))
        }
        Op::Clamp(d) => {
            int!(d.out, |env| B::int_clamp(env.int(&d.tensor)?, d.min.into(), d.max.into()))
        }
        Op::Full(d) => int!(d.out, |env| {
            let (shape, dtype) = (d.out.shape.clone(), env.settings.int_dtype);
            B::int_full(shape, d.value.into(), env.device, dtype)
        }),
        Op::GreaterElem(d) => bool!(d.out, |env| {
            B::int_greater_elem(env.int(&d.lhs)?, d.rhs.into(), env.settings.bool_dtype)
        }),
        Op::LowerElem(d) => bool!(d.out, |env| {
            B::int_lower_elem(env.int(&d.lhs)?, d.rhs.into(), env.settings.bool_dtype)
        }),
        _ => None,
    }
}

pub(super) fn int<B: Backend>(op: &IntOperationIr) -> Option<Rule<'_, B>> {
    match op {
        IntOperationIr::IntoFloat(d) => rule::<B>(same, |env| {
            let y = B::int_into_float(env.int(&d.input)?, d.out.dtype.into());
            env.set_float(&d.out, y)
        }),
        _ => None,
    }
}

pub(super) fn bool<B: Backend>(op: &BoolOperationIr) -> Option<Rule<'_, B>> {
    use BoolOperationIr as Op;
    match op {
        Op::IntoFloat(d) => rule::<B>(same, |env| {
            let y = B::bool_into_float(env.bool(&d.input)?, d.out.dtype.into());
            env.set_float(&d.out, y)
        }),
        Op::IntoInt(d) => {
            int!(d.out, |env| B::bool_into_int(env.bool(&d.input)?, env.settings.int_dtype))
        }
        Op::Not(d) => bool!(d.out, |env| B::bool_not(env.bool(&d.input)?)),
        Op::And(d) => bool!(d.out, |env| B::bool_and(env.bool(&d.lhs)?, env.bool(&d.rhs)?)),
        Op::Or(d) => bool!(d.out, |env| B::bool_or(env.bool(&d.lhs)?, env.bool(&d.rhs)?)),
        Op::Xor(d) => bool!(d.out, |env| B::bool_xor(env.bool(&d.lhs)?, env.bool(&d.rhs)?)),
    }
}

macro_rules! without_gradient {
    ($name:ident, $get:ident, $set:ident, $reshape:path, $swap:path, $permute:path, $flip:path,
     $expand:path, $repeat:path, $slice:path, $cat:path, $select:path, $gather:path,
     $zeros:path, $ones:path, $dtype:ident) => {
        /// Operations on values that no cotangent passes through.
        pub(super) fn $name<B: Backend>(op: &Base) -> Option<Rule<'_, B>> {
            match op {
                Base::Reshape(d) => rule::<B>(reshaped(&d.input.shape, &d.out.shape), |env| {
                    let y = $reshape(env.$get(&d.input)?, d.out.shape.clone());
                    env.$set(&d.out, y)
                }),
                Base::SwapDims(d) => rule::<B>(swapped(d), |env| {
                    let y = $swap(env.$get(&d.input)?, d.dim1, d.dim2);
                    env.$set(&d.out, y)
                }),
                Base::Permute(d) => rule::<B>(permuted(d), |env| {
                    let y = $permute(env.$get(&d.input)?, &d.axes);
                    env.$set(&d.out, y)
                }),
                Base::Flip(d) => rule::<B>(flipped(d), |env| {
                    let y = $flip(env.$get(&d.input)?, &d.axes);
                    env.$set(&d.out, y)
                }),
                Base::Expand(d) => rule::<B>(expanded(d), |env| {
                    let y = $expand(env.$get(&d.input)?, d.out.shape.clone());
                    env.$set(&d.out, y)
                }),
                Base::RepeatDim(d) => rule::<B>(repeated(d), |env| {
                    let y = $repeat(env.$get(&d.tensor)?, d.dim, d.times);
                    env.$set(&d.out, y)
                }),
                Base::Slice(d) => rule::<B>(sliced(d), |env| {
                    let y = $slice(env.$get(&d.tensor)?, &d.ranges);
                    env.$set(&d.out, y)
                }),
                Base::Cat(d) => rule::<B>(joined(d), |env| {
                    let parts = d.tensors.iter().map(|part| env.$get(part));
                    let y = $cat(parts.collect::<Result<_, _>>()?, d.dim);
                    env.$set(&d.out, y)
                }),
                Base::Select(d) => rule::<B>(anywhere(&d.tensor, d.dim), |env| {
                    let (x, at) = (env.$get(&d.tensor)?, env.int(&d.indices)?);
                    env.$set(&d.out, $select(x, d.dim, at))
                }),
                Base::Gather(d) => rule::<B>(anywhere(&d.tensor, d.dim), |env| {
                    let (x, at) = (env.$get(&d.tensor)?, env.int(&d.indices)?);
                    env.$set(&d.out, $gather(d.dim, x, at))
                }),
                Base::Zeros(d) | Base::Empty(d) => rule::<B>(same, |env| {
                    let y = $zeros(d.out.shape.clone(), env.device, env.settings.$dtype);
                    env.$set(&d.out, y)
                }),
                Base::Ones(d) => rule::<B>(same, |env| {
                    let y = $ones(d.out.shape.clone(), env.device, env.settings.$dtype);
                    env.$set(&d.out, y)
                }),
                _ => other_kind(op),
            }
        }
    };
}

without_gradient!(
    base_int,
    int,
    set_int,
    B::int_reshape,
    B::int_swap_dims,
    B::int_permute,
    B::int_flip,
    B::int_expand,
    B::int_repeat_dim,
    B::int_slice,
    B::int_cat,
    B::int_select,
    B::int_gather,
    B::int_zeros,
    B::int_ones,
    int_dtype
);
without_gradient!(
    base_bool,
    bool,
    set_bool,
    B::bool_reshape,
    B::bool_swap_dims,
    B::bool_permute,
    B::bool_flip,
    B::bool_expand,
    B::bool_repeat_dim,
    B::bool_slice,
    B::bool_cat,
    B::bool_select,
    B::bool_gather,
    B::bool_zeros,
    B::bool_ones,
    bool_dtype
);

/// Comparisons of integers.
fn other_kind<B: Backend>(op: &Base) -> Option<Rule<'_, B>> {
    let is_int = |tensor: &TensorIr| tensor.dtype.is_int() || tensor.dtype.is_uint();
    match op {
        Base::Equal(d) if is_int(&d.lhs) => rule::<B>(same, |env| {
            let (x, y, dtype) = (env.int(&d.lhs)?, env.int(&d.rhs)?, env.settings.bool_dtype);
            env.set_bool(&d.out, B::int_equal(x, y, dtype))
        }),
        Base::EqualElem(d) if is_int(&d.lhs) => rule::<B>(same, |env| {
            let (x, dtype) = (env.int(&d.lhs)?, env.settings.bool_dtype);
            env.set_bool(&d.out, B::int_equal_elem(x, d.rhs.into(), dtype))
        }),
        Base::NotEqualElem(d) if is_int(&d.lhs) => rule::<B>(same, |env| {
            let (x, dtype) = (env.int(&d.lhs)?, env.settings.bool_dtype);
            env.set_bool(&d.out, B::int_not_equal_elem(x, d.rhs.into(), dtype))
        }),
        _ => None,
    }
}
