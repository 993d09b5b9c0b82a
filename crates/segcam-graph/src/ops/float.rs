use burn::backend::Backend;
use burn::backend::ir::{FloatOperationIr as Op, UnaryOpIr};
use burn::backend::tensor::FloatTensor;

use super::numeric::product;
use super::{Rule, rule, same};

pub(super) fn rule_of<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    // Each line: the operation, its function, its derivative from x and y = f(x).
    match op {
        Op::Exp(d) => unary::<B>(d, B::float_exp, |_, y| y),
        Op::Log(d) => unary::<B>(d, B::float_log, |x, _| B::float_recip(x)),
        Op::Log1p(d) => unary::<B>(d, B::float_log1p, |x, _| B::float_recip(plus::<B>(x, 1.0))),
        Op::Sqrt(d) => unary::<B>(d, B::float_sqrt, |_, y| times::<B>(B::float_recip(y), 0.5)),
        Op::Recip(d) => unary::<B>(d, B::float_recip, |_, y| B::float_neg(square::<B>(y))),
        Op::Sin(d) => unary::<B>(d, B::float_sin, |x, _| B::float_cos(x)),
        Op::Cos(d) => unary::<B>(d, B::float_cos, |x, _| B::float_neg(B::float_sin(x))),
        Op::Tan(d) => unary::<B>(d, B::float_tan, |_, y| plus::<B>(square::<B>(y), 1.0)),
        Op::Sinh(d) => unary::<B>(d, B::float_sinh, |x, _| B::float_cosh(x)),
        Op::Cosh(d) => unary::<B>(d, B::float_cosh, |x, _| B::float_sinh(x)),
        Op::Tanh(d) => {
            unary::<B>(d, B::float_tanh, |_, y| plus::<B>(B::float_neg(square::<B>(y)), 1.0))
        }
        Op::ArcTan(d) => {
            unary::<B>(d, B::float_atan, |x, _| B::float_recip(plus::<B>(square::<B>(x), 1.0)))
        }
        Op::Erf(d) => unary::<B>(d, B::float_erf, |x, _| {
            let bell = B::float_exp(B::float_neg(square::<B>(x)));
            times::<B>(bell, std::f64::consts::FRAC_2_SQRT_PI)
        }),
        Op::Floor(d) => flat::<B>(d, B::float_floor),
        Op::Ceil(d) => flat::<B>(d, B::float_ceil),
        Op::Round(d) => flat::<B>(d, B::float_round),
        Op::Trunc(d) => flat::<B>(d, B::float_trunc),
        Op::PowfScalar(d) => rule::<B>(same, |env| {
            let (x, power) = (env.float(&d.lhs)?, d.rhs.elem::<f64>());
            env.derivative(&d.lhs, || {
                times::<B>(B::float_powf_scalar(x.clone(), (power - 1.0).into()), power)
            });
            env.set_float(&d.out, B::float_powf_scalar(x, power.into()))
        }),
        Op::Powf(d) => rule::<B>(same, |env| {
            let (x, power) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
            let y = B::float_powf(x.clone(), power.clone());
            let slopes: [(_, &dyn Fn() -> FloatTensor<B>); 2] = [
                (&d.lhs, &|| {
                    let less = plus::<B>(power.clone(), -1.0);
                    B::float_mul(B::float_powf(x.clone(), less), power.clone())
                }),
                (&d.rhs, &|| B::float_mul(y.clone(), B::float_log(x.clone()))),
            ];
            for (side, slope) in slopes {
                product(env, side, &d.out, slope);
            }
            env.set_float(&d.out, y)
        }),
        Op::Matmul(d) => super::matmul::matmul(d),
        Op::IntoInt(d) => rule::<B>(same, |env| {
            let (x, dtype) = (env.float(&d.input)?, env.settings.int_dtype);
            env.set_int(&d.out, B::float_into_int(x, dtype))
        }),
        _ => None,
    }
}

/// An operation on single values.
pub(super) fn unary<B: Backend>(
    op: &UnaryOpIr,
    function: fn(FloatTensor<B>) -> FloatTensor<B>,
    derivative: fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
) -> Option<Rule<'_, B>> {
    rule::<B>(same, move |env| {
        let x = env.float(&op.input)?;
        let before = env.follows(&op.input).then(|| x.clone());
        let y = function(x);
        if let Some(x) = before {
            env.derivative(&op.input, || derivative(x, y.clone()));
        }
        env.set_float(&op.out, y)
    })
}

/// An operation on single values with derivative zero wherever it has one.
pub(super) fn flat<B: Backend>(
    op: &UnaryOpIr,
    function: fn(FloatTensor<B>) -> FloatTensor<B>,
) -> Option<Rule<'_, B>> {
    rule::<B>(same, move |env| {
        let y = function(env.float(&op.input)?);
        env.no_path(&op.input);
        env.constant(|| y.clone());
        env.set_float(&op.out, y)
    })
}

fn plus<B: Backend>(x: FloatTensor<B>, scalar: f64) -> FloatTensor<B> {
    B::float_add_scalar(x, scalar.into())
}

fn times<B: Backend>(x: FloatTensor<B>, scalar: f64) -> FloatTensor<B> {
    B::float_mul_scalar(x, scalar.into())
}

fn square<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x.clone(), x)
}
