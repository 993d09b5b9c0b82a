use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use std::slice::from_ref;

use burn::backend::ir::ActivationOperationIr as Op;
use burn::backend::{Backend, TensorMetadata};

use super::{Rule, across, float::unary, pass_where, rule, same};

pub(super) fn rule_of<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    match op {
        Op::Relu(d) => rule::<B>(same, |env| {
            let (x, bool_dtype) = (env.float(&d.input)?, env.settings.bool_dtype);
            let y = if env.is_rectified(&d.input) { x } else { B::relu(x) };
            if env.follows(&d.input) {
                let on = env.derived(&d.out, y.clone(), move |y| {
                    B::float_greater_elem(y, 0.0.into(), bool_dtype)
                });
                env.part_path(&d.input, move |g, _| pass_where::<B>(g, on()));
            }
            env.set_float(&d.out, y)
        }),
        Op::LeakyRelu(d) => rule::<B>(same, |env| {
            let x = env.float(&d.lhs)?;
            if env.follows(&d.lhs) {
                let dtype = env.settings.bool_dtype;
                let on = env.keep(B::float_greater_equal_elem(x.clone(), 0.0.into(), dtype));
                let slope = d.rhs.elem::<f64>();
                env.part_path(&d.lhs, move |g, _| {
                    let on =
                        B::bool_into_float(g.part_of_mask(on.clone()), g.values.dtype().into());
                    let rest = B::float_mul_scalar(on, (1.0 - slope).into());
                    g.map(|g| B::float_mul(g, B::float_add_scalar(rest, slope.into())))
                });
            }
            env.set_float(&d.out, B::leaky_relu(x, d.rhs.into()))
        }),
        // The slopes are a vector along the channels.
        Op::PRelu(d) => rule::<B>(same, |env| {
            let (x, alpha) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
            if env.follows(&d.lhs) {
                let dtype = env.settings.bool_dtype;
                let on = env.keep(B::float_greater_equal_elem(x.clone(), 0.0.into(), dtype));
                let alpha = alpha.clone();
                env.part_path(&d.lhs, move |g, _| {
                    // α + (1 − α) where x is positive
                    let on =
                        B::bool_into_float(g.part_of_mask(on.clone()), g.values.dtype().into());
                    let rest = B::float_add_scalar(B::float_neg(alpha.clone()), 1.0.into());
                    let slope = B::float_add(B::float_mul(on, rest), alpha.clone());
                    g.map(|g| B::float_mul(g, slope))
                });
            }
            env.set_float(&d.out, B::prelu(x, alpha))
        }),
        // (x·Φ(x))' = Φ(x) + x·φ(x); burn's own backward operation is an approximation.
        Op::Gelu(d) => unary::<B>(d, B::gelu, |x, _| {
            let scaled = B::float_mul_scalar(x.clone(), FRAC_1_SQRT_2.into());
            let whole = B::float_add_scalar(B::float_erf(scaled.clone()), 1.0.into());
            let bell = B::float_exp(B::float_neg(B::float_mul(scaled.clone(), scaled)));
            let slope = B::float_mul(x, bell);
            let slope = B::float_mul_scalar(slope, (FRAC_2_SQRT_PI * FRAC_1_SQRT_2).into());
            B::float_mul_scalar(B::float_add(whole, slope), 0.5.into())
        }),
        Op::Sigmoid(d) => unary::<B>(d, B::sigmoid, |_, y| {
            B::float_mul(y.clone(), B::float_add_scalar(B::float_neg(y), 1.0.into()))
        }),
        // (log σ)' = 1 − σ = σ(−x)
        Op::LogSigmoid(d) => unary::<B>(d, B::log_sigmoid, |x, _| B::sigmoid(B::float_neg(x))),
        Op::HardSigmoid(d) => rule::<B>(same, |env| {
            let (x, dtype) = (env.float(&d.tensor)?, env.settings.bool_dtype);
            let y = B::hard_sigmoid(x, d.alpha.into(), d.beta.into());
            if env.follows(&d.tensor) {
                let low = B::float_greater_elem(y.clone(), 0.0.into(), dtype);
                let high = B::float_lower_elem(y.clone(), 1.0.into(), dtype);
                let steep = env.keep(B::bool_and(low, high));
                let (alpha, beta) = (d.alpha.into(), d.beta.into());
                env.constant(|| B::float_mask_fill(y.clone(), steep.clone(), beta));
                env.part_path(&d.tensor, move |g, _| {
                    pass_where::<B>(g.map(|g| B::float_mul_scalar(g, alpha)), steep.clone())
                });
            }
            env.set_float(&d.out, y)
        }),
        Op::Softmax(d) => rule::<B>(across(from_ref(&d.axis)), |env| {
            // g ↦ y·(g − Σ g·y)
            let y = B::softmax(env.float(&d.input)?, d.axis);
            if env.follows(&d.input) {
                let (kept, axis) = (env.keep(y.clone()), d.axis);
                env.path(&d.input, move |g, _| {
                    let total = B::float_sum_dim(B::float_mul(g.clone(), kept.clone()), axis);
                    B::float_mul(B::float_sub(g, total), kept.clone())
                });
            }
            env.set_float(&d.out, y)
        }),
        Op::LogSoftmax(d) => rule::<B>(across(from_ref(&d.axis)), |env| {
            // g ↦ g − softmax·Σ g
            let y = B::log_softmax(env.float(&d.input)?, d.axis);
            if env.follows(&d.input) {
                let (p, axis) = (env.keep(B::float_exp(y.clone())), d.axis);
                env.path(&d.input, move |g, _| {
                    let total = B::float_sum_dim(g.clone(), axis);
                    B::float_sub(g, B::float_mul(total, p.clone()))
                });
            }
            env.set_float(&d.out, y)
        }),
        _ => None,
    }
}
