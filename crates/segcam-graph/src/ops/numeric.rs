use burn::backend::ir::{BinaryOpIr, NumericOperationIr as Op, ScalarIr, ScalarOpIr, TensorIr};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, Scalar, Shape};
use burn::tensor::BoolDType;

use super::{Rule, pass_where, rule, same, same_sides, unbroadcast};
use crate::cotangent::Cotangent;
use crate::env::Env;

pub(super) fn rule_of<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    match op {
        Op::Add(d) => sum(d, 1.0, B::float_add),
        Op::Sub(d) => sum(d, -1.0, B::float_sub),
        Op::AddScalar(d) => shift(d, 1.0, B::float_add_scalar),
        Op::SubScalar(d) => shift(d, -1.0, B::float_sub_scalar),
        Op::Mul(d) => rule::<B>(same, |env| {
            let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
            product(env, &d.lhs, &d.out, || y.clone());
            product(env, &d.rhs, &d.out, || x.clone());
            env.set_float(&d.out, B::float_mul(x, y))
        }),
        Op::Div(d) => rule::<B>(same, |env| {
            // (x/y)' = 1/y and −x/y²
            let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
            product(env, &d.lhs, &d.out, || B::float_recip(y.clone()));
            product(env, &d.rhs, &d.out, || {
                let square = B::float_mul(y.clone(), y.clone());
                B::float_neg(B::float_div(x.clone(), square))
            });
            env.set_float(&d.out, B::float_div(x, y))
        }),
        Op::MulScalar(d) => rule::<B>(same, |env| {
            let (x, by) = (env.float(&d.lhs)?, scalar(d.rhs));
            env.cell_path(&d.lhs, move |g, _| B::float_mul_scalar(g, by));
            env.set_float(&d.out, B::float_mul_scalar(x, by))
        }),
        Op::DivScalar(d) => rule::<B>(same, |env| {
            let (x, by) = (env.float(&d.lhs)?, scalar(d.rhs));
            env.cell_path(&d.lhs, move |g, _| B::float_div_scalar(g, by));
            env.set_float(&d.out, B::float_div_scalar(x, by))
        }),
        Op::Neg(d) => rule::<B>(same, |env| {
            let x = env.float(&d.input)?;
            env.cell_path(&d.input, |g, _| B::float_neg(g));
            env.set_float(&d.out, B::float_neg(x))
        }),
        Op::Abs(d) => super::float::unary::<B>(d, B::float_abs, |x, _| B::float_sign(x)),
        Op::Sign(d) => super::float::flat::<B>(d, B::float_sign),
        Op::PowiScalar(d) => rule::<B>(same, |env| {
            let (x, power) = (env.float(&d.lhs)?, d.rhs.elem::<i64>());
            env.derivative(&d.lhs, || {
                let less = B::float_powi_scalar(x.clone(), Scalar::Int(power - 1));
                B::float_mul_scalar(less, (power as f64).into())
            });
            env.set_float(&d.out, B::float_powi_scalar(x, Scalar::Int(power)))
        }),
        Op::Clamp(d) => {
            let (min, max) = (scalar(d.min), scalar(d.max));
            let on = move |x: FloatTensor<B>, dtype| {
                let low = B::float_greater_equal_elem(x.clone(), min, dtype);
                B::bool_and(low, B::float_lower_equal_elem(x, max, dtype))
            };
            cut(&d.tensor, &d.out, move |x| B::float_clamp(x, min, max), on)
        }
        Op::ClampMin(d) => {
            let min = scalar(d.rhs);
            let on = move |x, dtype| B::float_greater_equal_elem(x, min, dtype);
            cut(&d.lhs, &d.out, move |x| B::float_clamp_min(x, min), on)
        }
        Op::ClampMax(d) => {
            let max = scalar(d.rhs);
            let on = move |x, dtype| B::float_lower_equal_elem(x, max, dtype);
            cut(&d.lhs, &d.out, move |x| B::float_clamp_max(x, max), on)
        }
        Op::Full(d) => rule::<B>(same, |env| {
            let (shape, dtype) = (d.out.shape.clone(), d.out.dtype.into());
            env.set_float(&d.out, B::float_full(shape, scalar(d.value), env.device, dtype))
        }),
        Op::Pad(d) => super::index::pad(d),
        Op::Greater(d) => compare(d, B::float_greater),
        Op::GreaterEqual(d) => compare(d, B::float_greater_equal),
        Op::Lower(d) => compare(d, B::float_lower),
        Op::LowerEqual(d) => compare(d, B::float_lower_equal),
        Op::GreaterElem(d) => compare_elem(d, B::float_greater_elem),
        Op::GreaterEqualElem(d) => compare_elem(d, B::float_greater_equal_elem),
        Op::LowerElem(d) => compare_elem(d, B::float_lower_elem),
        Op::LowerEqualElem(d) => compare_elem(d, B::float_lower_equal_elem),
        _ => super::reduce::rule_of(op),
    }
}

fn scalar(value: ScalarIr) -> Scalar {
    value.into()
}

/// `x ± y`: the cotangent goes to both; a constant is accounted for.
fn sum<B: Backend>(
    d: &BinaryOpIr,
    sign: f64,
    function: fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
) -> Option<Rule<'_, B>> {
    rule::<B>(same, move |env| {
        let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
        let signed = move |tensor: FloatTensor<B>| {
            if sign < 0.0 { B::float_neg(tensor) } else { tensor }
        };
        if env.is_fixed(&d.rhs) {
            env.constant(|| signed(y.clone()));
        } else if env.is_fixed(&d.lhs) {
            env.constant(|| x.clone());
        }
        broadcast_path(env, &d.lhs, &d.out, |g| g);
        broadcast_path(env, &d.rhs, &d.out, move |g| g.map(signed));
        env.set_float(&d.out, function(x, y))
    })
}

/// `x ± c`
fn shift<B: Backend>(
    d: &ScalarOpIr,
    sign: f64,
    function: fn(FloatTensor<B>, Scalar) -> FloatTensor<B>,
) -> Option<Rule<'_, B>> {
    rule::<B>(same, move |env| {
        let (x, device) = (env.float(&d.lhs)?, env.device);
        env.constant(|| {
            let one = Shape::from(vec![1; d.out.shape.num_dims()]);
            let by = (sign * d.rhs.elem::<f64>()).into();
            B::float_full(one, by, device, d.out.dtype.into())
        });
        env.cell_path(&d.lhs, |g, _| g);
        env.set_float(&d.out, function(x, scalar(d.rhs)))
    })
}

/// One side of a product: the cotangent times the other side.
pub(super) fn product<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    out: &TensorIr,
    factor: impl FnOnce() -> FloatTensor<B>,
) {
    if env.follows(input) {
        let factor = env.keep(factor());
        broadcast_path(env, input, out, move |g| {
            let factor = g.part_of(factor.clone());
            g.map(|g| B::float_mul(g, factor))
        });
    }
}

/// The path to an input that may be broadcast, of an operation on single values.
pub(super) fn broadcast_path<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    out: &TensorIr,
    back: impl Fn(Cotangent<B>) -> Cotangent<B> + Send + Sync + 'static,
) {
    let (whole, shape, out) = (!same_sides(input, out), input.shape.clone(), out.shape.clone());
    env.part_path(input, move |g, _| {
        let back = back(g);
        let back = if whole { Cotangent::whole(back.into_whole()) } else { back };
        back.map(|back| unbroadcast::<B>(back, &shape, &out))
    });
}

/// The identity where the mask is set, a constant elsewhere.
fn cut<'a, B: Backend>(
    input: &'a TensorIr,
    out: &'a TensorIr,
    function: impl FnOnce(FloatTensor<B>) -> FloatTensor<B> + 'a,
    mask: impl FnOnce(FloatTensor<B>, BoolDType) -> BoolTensor<B> + 'a,
) -> Option<Rule<'a, B>> {
    rule::<B>(same, move |env| {
        let x = env.float(input)?;
        let on = env.follows(input).then(|| mask(x.clone(), env.settings.bool_dtype));
        let y = function(x);
        if let Some(on) = on {
            let on = env.keep(on);
            env.constant(|| B::float_mask_fill(y.clone(), on.clone(), 0.0.into()));
            env.part_path(input, move |g, _| pass_where::<B>(g, on.clone()));
        }
        env.set_float(out, y)
    })
}

pub(super) fn compare<B: Backend>(
    d: &BinaryOpIr,
    function: fn(FloatTensor<B>, FloatTensor<B>, BoolDType) -> BoolTensor<B>,
) -> Option<Rule<'_, B>> {
    rule::<B>(same, move |env| {
        let (x, y, dtype) = (env.float(&d.lhs)?, env.float(&d.rhs)?, env.settings.bool_dtype);
        env.set_bool(&d.out, function(x, y, dtype))
    })
}

pub(super) fn compare_elem<B: Backend>(
    d: &ScalarOpIr,
    function: fn(FloatTensor<B>, Scalar, BoolDType) -> BoolTensor<B>,
) -> Option<Rule<'_, B>> {
    rule::<B>(same, move |env| {
        let (x, dtype) = (env.float(&d.lhs)?, env.settings.bool_dtype);
        env.set_bool(&d.out, function(x, scalar(d.rhs), dtype))
    })
}
