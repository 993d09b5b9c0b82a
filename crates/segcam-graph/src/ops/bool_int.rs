use burn::backend::Backend;
use burn::backend::ir::{BoolOperationIr, IntOperationIr, NumericOperationIr as Op};

use crate::env::{Env, Unsupported};

/// Arithmetic on indices.
pub(super) fn numeric<B: Backend>(env: &mut Env<B>, op: &Op) -> Result<(), Unsupported> {
    let bool_dtype = env.settings.bool_dtype;
    let (out, y) = match op {
        Op::Add(d) => (&d.out, B::int_add(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::Sub(d) => (&d.out, B::int_sub(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::Mul(d) => (&d.out, B::int_mul(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::Div(d) => (&d.out, B::int_div(env.int(&d.lhs)?, env.int(&d.rhs)?)),
        Op::AddScalar(d) => (&d.out, B::int_add_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::SubScalar(d) => (&d.out, B::int_sub_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::MulScalar(d) => (&d.out, B::int_mul_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::DivScalar(d) => (&d.out, B::int_div_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::RemScalar(d) => (&d.out, B::int_remainder_scalar(env.int(&d.lhs)?, d.rhs.into())),
        Op::Clamp(d) => (&d.out, B::int_clamp(env.int(&d.tensor)?, d.min.into(), d.max.into())),
        Op::Full(d) => {
            let shape = d.out.shape.clone();
            let full = B::int_full(shape, d.value.into(), env.device, env.settings.int_dtype);
            (&d.out, full)
        }
        Op::GreaterElem(d) => {
            let y = B::int_greater_elem(env.int(&d.lhs)?, d.rhs.into(), bool_dtype);
            env.set_bool(&d.out, y);
            return Ok(());
        }
        Op::LowerElem(d) => {
            let y = B::int_lower_elem(env.int(&d.lhs)?, d.rhs.into(), bool_dtype);
            env.set_bool(&d.out, y);
            return Ok(());
        }
        _ => return Err(Unsupported),
    };
    env.set_int(out, y);
    Ok(())
}

pub(super) fn int<B: Backend>(env: &mut Env<B>, op: &IntOperationIr) -> Result<(), Unsupported> {
    match op {
        IntOperationIr::IntoFloat(d) => {
            let y = B::int_into_float(env.int(&d.input)?, d.out.dtype.into());
            env.set_float(&d.out, y);
            Ok(())
        }
        _ => Err(Unsupported),
    }
}

pub(super) fn bool<B: Backend>(env: &mut Env<B>, op: &BoolOperationIr) -> Result<(), Unsupported> {
    use BoolOperationIr as Op;
    let (out, y) = match op {
        Op::IntoFloat(d) => {
            let y = B::bool_into_float(env.bool(&d.input)?, d.out.dtype.into());
            env.set_float(&d.out, y);
            return Ok(());
        }
        Op::IntoInt(d) => {
            let y = B::bool_into_int(env.bool(&d.input)?, env.settings.int_dtype);
            env.set_int(&d.out, y);
            return Ok(());
        }
        Op::Not(d) => (&d.out, B::bool_not(env.bool(&d.input)?)),
        Op::And(d) => (&d.out, B::bool_and(env.bool(&d.lhs)?, env.bool(&d.rhs)?)),
        Op::Or(d) => (&d.out, B::bool_or(env.bool(&d.lhs)?, env.bool(&d.rhs)?)),
        Op::Xor(d) => (&d.out, B::bool_xor(env.bool(&d.lhs)?, env.bool(&d.rhs)?)),
    };
    env.set_bool(out, y);
    Ok(())
}
