use burn::backend::ir::BinaryOpIr;
use burn::backend::ir::{NumericOperationIr as Op, ScalarIr, ScalarOpIr, TensorIr};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, Scalar, Shape};
use burn::tensor::BoolDType;

use super::{pass_where, unbroadcast};
use crate::env::{Env, Unsupported};

pub(super) fn run<B: Backend>(env: &mut Env<B>, op: &Op) -> Result<(), Unsupported> {
    match op {
        Op::Add(d) => sum(env, d, 1.0, B::float_add),
        Op::Sub(d) => sum(env, d, -1.0, B::float_sub),
        Op::AddScalar(d) => shift(env, d, 1.0, B::float_add_scalar),
        Op::SubScalar(d) => shift(env, d, -1.0, B::float_sub_scalar),
        Op::Mul(d) => {
            let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
            product(env, &d.lhs, &d.out, || y.clone());
            product(env, &d.rhs, &d.out, || x.clone());
            env.set_float(&d.out, B::float_mul(x, y));
            Ok(())
        }
        Op::Div(d) => {
            // (x/y)' = 1/y and −x/y²
            let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
            product(env, &d.lhs, &d.out, || B::float_recip(y.clone()));
            product(env, &d.rhs, &d.out, || {
                let square = B::float_mul(y.clone(), y.clone());
                B::float_neg(B::float_div(x.clone(), square))
            });
            env.set_float(&d.out, B::float_div(x, y));
            Ok(())
        }
        Op::MulScalar(d) => {
            let (x, by) = (env.float(&d.lhs)?, scalar(d.rhs));
            env.path(&d.lhs, move |g, _| B::float_mul_scalar(g, by));
            env.set_float(&d.out, B::float_mul_scalar(x, by));
            Ok(())
        }
        Op::DivScalar(d) => {
            let (x, by) = (env.float(&d.lhs)?, scalar(d.rhs));
            env.path(&d.lhs, move |g, _| B::float_div_scalar(g, by));
            env.set_float(&d.out, B::float_div_scalar(x, by));
            Ok(())
        }
        Op::Neg(d) => {
            let x = env.float(&d.input)?;
            env.path(&d.input, |g, _| B::float_neg(g));
            env.set_float(&d.out, B::float_neg(x));
            Ok(())
        }
        Op::Abs(d) => super::float::unary(env, d, B::float_abs, |x, _| B::float_sign(x)),
        Op::Sign(d) => super::float::flat(env, d, B::float_sign),
        Op::PowiScalar(d) => {
            let (x, power) = (env.float(&d.lhs)?, d.rhs.elem::<i64>());
            env.derivative(&d.lhs, || {
                let less = B::float_powi_scalar(x.clone(), Scalar::Int(power - 1));
                B::float_mul_scalar(less, (power as f64).into())
            });
            env.set_float(&d.out, B::float_powi_scalar(x, Scalar::Int(power)));
            Ok(())
        }
        Op::Clamp(d) => {
            let (x, min, max) = (env.float(&d.tensor)?, scalar(d.min), scalar(d.max));
            cut(env, &d.tensor, |dtype| {
                let low = B::float_greater_equal_elem(x.clone(), min, dtype);
                B::bool_and(low, B::float_lower_equal_elem(x.clone(), max, dtype))
            });
            env.set_float(&d.out, B::float_clamp(x, min, max));
            Ok(())
        }
        Op::ClampMin(d) => {
            let (x, min) = (env.float(&d.lhs)?, scalar(d.rhs));
            cut(env, &d.lhs, |dtype| B::float_greater_equal_elem(x.clone(), min, dtype));
            env.set_float(&d.out, B::float_clamp_min(x, min));
            Ok(())
        }
        Op::ClampMax(d) => {
            let (x, max) = (env.float(&d.lhs)?, scalar(d.rhs));
            cut(env, &d.lhs, |dtype| B::float_lower_equal_elem(x.clone(), max, dtype));
            env.set_float(&d.out, B::float_clamp_max(x, max));
            Ok(())
        }
        Op::Full(d) => {
            let shape = d.out.shape.clone();
            let full = B::float_full(shape, scalar(d.value), env.device, d.out.dtype.into());
            env.set_float(&d.out, full);
            Ok(())
        }
        Op::Pad(d) => super::index::pad(env, d),
        Op::Greater(d) => compare(env, d, B::float_greater),
        Op::GreaterEqual(d) => compare(env, d, B::float_greater_equal),
        Op::Lower(d) => compare(env, d, B::float_lower),
        Op::LowerEqual(d) => compare(env, d, B::float_lower_equal),
        Op::GreaterElem(d) => compare_elem(env, d, B::float_greater_elem),
        Op::GreaterEqualElem(d) => compare_elem(env, d, B::float_greater_equal_elem),
        Op::LowerElem(d) => compare_elem(env, d, B::float_lower_elem),
        Op::LowerEqualElem(d) => compare_elem(env, d, B::float_lower_equal_elem),
        _ => super::reduce::run(env, op),
    }
}

fn scalar(value: ScalarIr) -> Scalar {
    value.into()
}

/// `x ± y`: the cotangent goes to both; a constant is accounted for.
fn sum<B: Backend>(
    env: &mut Env<B>,
    d: &BinaryOpIr,
    sign: f64,
    function: fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
) -> Result<(), Unsupported> {
    let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
    let signed = move |tensor: FloatTensor<B>| {
        if sign < 0.0 { B::float_neg(tensor) } else { tensor }
    };
    let (lhs, rhs, out) = (d.lhs.shape.clone(), d.rhs.shape.clone(), d.out.shape.clone());
    if env.is_constant(&d.rhs) {
        env.constant(|| signed(y.clone()));
    } else if env.is_constant(&d.lhs) {
        env.constant(|| x.clone());
    }
    let shape = out.clone();
    env.path(&d.lhs, move |g, _| unbroadcast::<B>(g, &lhs, &shape));
    env.path(&d.rhs, move |g, _| unbroadcast::<B>(signed(g), &rhs, &out));
    env.set_float(&d.out, function(x, y));
    Ok(())
}

/// `x ± c`
fn shift<B: Backend>(
    env: &mut Env<B>,
    d: &ScalarOpIr,
    sign: f64,
    function: fn(FloatTensor<B>, Scalar) -> FloatTensor<B>,
) -> Result<(), Unsupported> {
    let x = env.float(&d.lhs)?;
    let device = env.device;
    env.constant(|| {
        let one = Shape::from(vec![1; d.out.shape.num_dims()]);
        let by = (sign * d.rhs.elem::<f64>()).into();
        B::float_full(one, by, device, d.out.dtype.into())
    });
    env.path(&d.lhs, |g, _| g);
    env.set_float(&d.out, function(x, scalar(d.rhs)));
    Ok(())
}

/// One side of a product: the cotangent times the other side.
fn product<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    out: &TensorIr,
    factor: impl FnOnce() -> FloatTensor<B>,
) {
    if env.follows(input) {
        let factor = env.keep(factor());
        let (shape, out) = (input.shape.clone(), out.shape.clone());
        env.path(input, move |g, _| {
            unbroadcast::<B>(B::float_mul(g, factor.clone()), &shape, &out)
        });
    }
}

/// The identity where the mask is set, flat elsewhere.
fn cut<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    mask: impl FnOnce(BoolDType) -> BoolTensor<B>,
) {
    if env.follows(input) {
        let mask = mask(env.settings.bool_dtype);
        let mask = env.keep(mask);
        env.path(input, move |g, _| pass_where::<B>(g, mask.clone()));
    }
}

pub(super) fn compare<B: Backend>(
    env: &mut Env<B>,
    d: &BinaryOpIr,
    function: fn(FloatTensor<B>, FloatTensor<B>, BoolDType) -> BoolTensor<B>,
) -> Result<(), Unsupported> {
    let (x, y, dtype) = (env.float(&d.lhs)?, env.float(&d.rhs)?, env.settings.bool_dtype);
    env.set_bool(&d.out, function(x, y, dtype));
    Ok(())
}

pub(super) fn compare_elem<B: Backend>(
    env: &mut Env<B>,
    d: &ScalarOpIr,
    function: fn(FloatTensor<B>, Scalar, BoolDType) -> BoolTensor<B>,
) -> Result<(), Unsupported> {
    let (x, dtype) = (env.float(&d.lhs)?, env.settings.bool_dtype);
    env.set_bool(&d.out, function(x, scalar(d.rhs), dtype));
    Ok(())
}
