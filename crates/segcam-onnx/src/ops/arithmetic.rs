use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch as B, Scalar, TensorMetadata};

use super::unknown;
use crate::array::{Array, Kind, broadcast};
use crate::value::{Call, Result, Tensor, Value, expanded, kind, with_rank};

pub(super) const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Cos",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "Round",
    "Sign",
    "Sin",
    "Sqrt",
    "Sub",
    "Sum",
    "Tan",
    "Where",
    "Xor",
];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let value = match call.node.operator.as_str() {
        "Abs" => unary(call, f64::abs, B::float_abs)?,
        "Ceil" => unary(call, f64::ceil, B::float_ceil)?,
        "Cos" => unary(call, f64::cos, B::float_cos)?,
        "Erf" => B::float_erf(call.tensor(0)?).into(),
        "Exp" => unary(call, f64::exp, B::float_exp)?,
        "Floor" => unary(call, f64::floor, B::float_floor)?,
        "Log" => unary(call, f64::ln, B::float_log)?,
        "Neg" => unary(call, |x| -x, B::float_neg)?,
        "Reciprocal" => unary(call, f64::recip, B::float_recip)?,
        "Round" => unary(call, f64::round_ties_even, B::float_round)?,
        "Sign" => unary(call, |x| if x == 0.0 { 0.0 } else { x.signum() }, B::float_sign)?,
        "Sin" => unary(call, f64::sin, B::float_sin)?,
        "Sqrt" => unary(call, f64::sqrt, B::float_sqrt)?,
        "Tan" => unary(call, f64::tan, B::float_tan)?,
        "Add" | "Sum" => fold(call, add)?,
        "Mean" => {
            let count = call.values()?.len() as f64;
            divide(call, fold(call, add)?, Array::scalar(Kind::Float, count).into())?
        }
        "Sub" => subtract(call, call.value(0)?, call.value(1)?)?,
        "Mul" => fold(call, multiply)?,
        "Div" => divide(call, call.value(0)?, call.value(1)?)?,
        "Pow" => power(call, call.value(0)?, call.value(1)?)?,
        "Mod" => remainder(call)?,
        "Max" => fold(call, |call, a, b| {
            extreme(call, a, b, f64::max, B::float_clamp_min, B::float_greater_equal)
        })?,
        "Min" => fold(call, |call, a, b| {
            extreme(call, a, b, f64::min, B::float_clamp_max, B::float_lower_equal)
        })?,
        "Clip" => clip(call)?,
        "Equal" => compare(call, |a, b| a == b, B::float_equal)?,
        "Greater" => compare(call, |a, b| a > b, B::float_greater)?,
        "GreaterOrEqual" => compare(call, |a, b| a >= b, B::float_greater_equal)?,
        "Less" => compare(call, |a, b| a < b, B::float_lower)?,
        "LessOrEqual" => compare(call, |a, b| a <= b, B::float_lower_equal)?,
        "And" => logical(call, |a, b| a && b, B::bool_and)?,
        "Or" => logical(call, |a, b| a || b, B::bool_or)?,
        "Xor" => logical(call, |a, b| a != b, B::bool_xor)?,
        "Not" => match call.value(0)? {
            Value::Known(array) => array.map(Kind::Bool, |x| f64::from(x == 0.0)).into(),
            Value::Computed(tensor) => B::bool_not(tensor).into(),
        },
        "Where" => choose(call)?,
        "Cast" => cast(call, element_kind(call.int("to", 1))?)?,
        "CastLike" => cast(call, call.value(1)?.kind())?,
        _ => return Err(unknown(call)),
    };
    Ok(vec![value])
}

fn unary(call: &Call, known: fn(f64) -> f64, computed: fn(Tensor) -> Tensor) -> Result<Value> {
    match call.value(0)? {
        Value::Known(array) => Ok(array.map(array.kind, known).into()),
        Value::Computed(_) => Ok(computed(call.tensor(0)?).into()),
    }
}

/// Combines any number of inputs, from left to right.
fn fold(call: &Call, function: fn(&Call, Value, Value) -> Result<Value>) -> Result<Value> {
    let mut values = call.values()?.into_iter();
    let first = values.next().ok_or("it has no inputs")?;
    values.try_fold(first, |result, next| function(call, result, next))
}

/// Both known, one of them a single number, or neither.
enum Pair {
    Known(Array, Array, Vec<usize>),
    NumberRight(Tensor, f64),
    NumberLeft(f64, Tensor),
    Computed(Tensor, Tensor),
}

fn pair(call: &Call, a: Value, b: Value) -> Result<Pair> {
    let shape = broadcast(&a.shape(), &b.shape())?;
    call.expect_size(&shape)?;
    let rank = shape.len();
    Ok(match (a, b) {
        (Value::Known(a), Value::Known(b)) => Pair::Known(a, b, shape),
        (Value::Computed(a), Value::Known(b)) if b.single().is_some() && is_float(&a) => {
            Pair::NumberRight(with_rank(a, rank), b.single().unwrap_or_default())
        }
        (Value::Known(a), Value::Computed(b)) if a.single().is_some() && is_float(&b) => {
            Pair::NumberLeft(a.single().unwrap_or_default(), with_rank(b, rank))
        }
        (a, b) => {
            let (a, b) = (call.upload(a), call.upload(b));
            if kind(&a) != kind(&b) {
                return Err(format!("{:?} and {:?} cannot be combined", kind(&a), kind(&b)));
            }
            Pair::Computed(with_rank(a, rank), with_rank(b, rank))
        }
    })
}

fn is_float(tensor: &Tensor) -> bool {
    kind(tensor) == Kind::Float
}

/// One of two operations, by the kind of numbers.
fn either(
    a: Tensor,
    b: Tensor,
    float: fn(Tensor, Tensor) -> Tensor,
    int: fn(Tensor, Tensor) -> Tensor,
) -> Tensor {
    if is_float(&a) { float(a, b) } else { int(a, b) }
}

fn add(call: &Call, a: Value, b: Value) -> Result<Value> {
    Ok(match pair(call, a, b)? {
        Pair::Known(a, b, shape) => a.zip(&b, a.kind, &shape, |a, b| a + b)?.into(),
        Pair::NumberRight(a, b) | Pair::NumberLeft(b, a) => B::float_add_scalar(a, b.into()).into(),
        Pair::Computed(a, b) => either(a, b, B::float_add, B::int_add).into(),
    })
}

fn subtract(call: &Call, a: Value, b: Value) -> Result<Value> {
    Ok(match pair(call, a, b)? {
        Pair::Known(a, b, shape) => a.zip(&b, a.kind, &shape, |a, b| a - b)?.into(),
        Pair::NumberRight(a, b) => B::float_sub_scalar(a, b.into()).into(),
        Pair::NumberLeft(a, b) => B::float_add_scalar(B::float_neg(b), a.into()).into(),
        Pair::Computed(a, b) => either(a, b, B::float_sub, B::int_sub).into(),
    })
}

fn multiply(call: &Call, a: Value, b: Value) -> Result<Value> {
    Ok(match pair(call, a, b)? {
        Pair::Known(a, b, shape) => a.zip(&b, a.kind, &shape, |a, b| a * b)?.into(),
        Pair::NumberRight(a, b) | Pair::NumberLeft(b, a) => B::float_mul_scalar(a, b.into()).into(),
        Pair::Computed(a, b) => either(a, b, B::float_mul, B::int_mul).into(),
    })
}

fn divide(call: &Call, a: Value, b: Value) -> Result<Value> {
    Ok(match pair(call, a, b)? {
        Pair::Known(a, b, shape) if a.kind == Kind::Int => {
            if b.values.iter().any(|&value| value == 0.0) {
                return Err("division of integers by zero".into());
            }
            a.zip(&b, a.kind, &shape, |a, b| (a / b).trunc())?.into()
        }
        Pair::Known(a, b, shape) => a.zip(&b, a.kind, &shape, |a, b| a / b)?.into(),
        Pair::NumberRight(a, b) => B::float_div_scalar(a, b.into()).into(),
        Pair::NumberLeft(a, b) => B::float_mul_scalar(B::float_recip(b), a.into()).into(),
        Pair::Computed(a, b) => either(a, b, B::float_div, B::int_div).into(),
    })
}

fn power(call: &Call, a: Value, b: Value) -> Result<Value> {
    Ok(match pair(call, a, b)? {
        Pair::Known(a, b, shape) => a.zip(&b, a.kind, &shape, f64::powf)?.into(),
        Pair::NumberRight(a, 1.0) => a.into(),
        Pair::NumberRight(a, 2.0) => B::float_mul(a.clone(), a).into(),
        Pair::NumberRight(a, 0.5) => B::float_sqrt(a).into(),
        Pair::NumberRight(a, b) => B::float_powf_scalar(a, b.into()).into(),
        // aᵇ = exp(b·ln a); the logarithm of 0 is infinite, and of less no number.
        Pair::NumberLeft(a, b) if a > 0.0 => {
            B::float_exp(B::float_mul_scalar(b, a.ln().into())).into()
        }
        Pair::NumberLeft(a, b) => {
            let a =
                expanded(call.upload(Array::scalar(Kind::Float, a).into()), &b.shape().to_vec());
            B::float_powf(a, b).into()
        }
        Pair::Computed(a, b) if is_float(&a) => B::float_powf(a, b).into(),
        Pair::Computed(..) => return Err("powers of integers that the network computes".into()),
    })
}

/// With the sign of the divisor, or of the dividend if `fmod` is set.
fn remainder(call: &Call) -> Result<Value> {
    let dividend = call.int("fmod", 0) == 1;
    let (a, b) = (call.value(0)?, call.value(1)?);
    let shape = broadcast(&a.shape(), &b.shape())?;
    call.expect_size(&shape)?;
    if let (Value::Known(a), Value::Known(b)) = (&a, &b) {
        let function = |a: f64, b: f64| if dividend { a % b } else { a - b * (a / b).floor() };
        return Ok(a.zip(b, a.kind, &shape, function)?.into());
    }
    let (a, b) = (expanded(call.upload(a), &shape), expanded(call.upload(b), &shape));
    Ok(match (kind(&a), kind(&b)) {
        (Kind::Float, Kind::Float) => {
            let ratio = B::float_div(a.clone(), b.clone());
            let whole = if dividend { B::float_trunc(ratio) } else { B::float_floor(ratio) };
            B::float_sub(a, B::float_mul(b, whole)).into()
        }
        (Kind::Int, Kind::Int) if !dividend => B::int_remainder(a, b).into(),
        (Kind::Int, Kind::Int) => {
            let whole = B::int_div(a.clone(), b.clone());
            B::int_sub(a, B::int_mul(b, whole)).into()
        }
        (a, b) => return Err(format!("{a:?} and {b:?} cannot be divided")),
    })
}

type Comparison = fn(Tensor, Tensor, burn::tensor::BoolDType) -> Tensor;

/// The larger or the smaller of two.
fn extreme(
    call: &Call,
    a: Value,
    b: Value,
    known: fn(f64, f64) -> f64,
    clamp: fn(Tensor, Scalar) -> Tensor,
    wins: Comparison,
) -> Result<Value> {
    Ok(match pair(call, a, b)? {
        Pair::Known(a, b, shape) => a.zip(&b, a.kind, &shape, known)?.into(),
        Pair::NumberRight(a, b) | Pair::NumberLeft(b, a) => clamp(a, b.into()).into(),
        Pair::Computed(a, b) if is_float(&a) => {
            let shape = broadcast(&a.shape().to_vec(), &b.shape().to_vec())?;
            let (a, b) = (expanded(a, &shape), expanded(b, &shape));
            let first = wins(a.clone(), b.clone(), call.settings.bool_dtype);
            B::float_mask_where(b, first, a).into()
        }
        Pair::Computed(..) => return Err("integers that the network computes".into()),
    })
}

fn clip(call: &Call) -> Result<Value> {
    let bound = |name: &str, at: usize| -> Result<Option<f64>> {
        if call.has(at) {
            return Ok(call.known(at)?.single());
        }
        Ok(call.node.attributes.get(name).map(|attribute| f64::from(attribute.f)))
    };
    let (low, high) = (bound("min", 1)?, bound("max", 2)?);
    Ok(match call.value(0)? {
        Value::Known(array) => {
            let (low, high) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
            array.map(array.kind, |x| x.max(low).min(high)).into()
        }
        Value::Computed(_) => {
            let mut tensor = call.tensor(0)?;
            if let Some(low) = low {
                tensor = B::float_clamp_min(tensor, low.into());
            }
            if let Some(high) = high {
                tensor = B::float_clamp_max(tensor, high.into());
            }
            tensor.into()
        }
    })
}

fn compare(call: &Call, known: fn(f64, f64) -> bool, computed: Comparison) -> Result<Value> {
    let (a, b) = (call.value(0)?, call.value(1)?);
    let shape = broadcast(&a.shape(), &b.shape())?;
    call.expect_size(&shape)?;
    if let (Value::Known(a), Value::Known(b)) = (&a, &b) {
        let compared = a.zip(b, Kind::Bool, &shape, |a, b| f64::from(known(a, b)))?;
        return Ok(compared.into());
    }
    let tensor = |value: Value| {
        let tensor = expanded(call.upload(value), &shape);
        match kind(&tensor) {
            Kind::Float => tensor,
            Kind::Int => B::int_into_float(tensor, call.settings.float_dtype),
            Kind::Bool => B::bool_into_float(tensor, call.settings.float_dtype),
        }
    };
    Ok(computed(tensor(a), tensor(b), call.settings.bool_dtype).into())
}

fn logical(
    call: &Call,
    known: fn(bool, bool) -> bool,
    computed: fn(Tensor, Tensor) -> Tensor,
) -> Result<Value> {
    let (a, b) = (call.value(0)?, call.value(1)?);
    let shape = broadcast(&a.shape(), &b.shape())?;
    call.expect_size(&shape)?;
    if let (Value::Known(a), Value::Known(b)) = (&a, &b) {
        let function = |a: f64, b: f64| f64::from(known(a != 0.0, b != 0.0));
        return Ok(a.zip(b, Kind::Bool, &shape, function)?.into());
    }
    let tensor = |value| expanded(call.upload(value), &shape);
    Ok(computed(tensor(a), tensor(b)).into())
}

fn choose(call: &Call) -> Result<Value> {
    let (mask, a, b) = (call.value(0)?, call.value(1)?, call.value(2)?);
    let shape = broadcast(&broadcast(&mask.shape(), &a.shape())?, &b.shape())?;
    call.expect_size(&shape)?;
    if let (Value::Known(mask), Value::Known(a), Value::Known(b)) = (&mask, &a, &b) {
        let (mask, a, b) = (mask.expand(&shape)?, a.expand(&shape)?, b.expand(&shape)?);
        let chosen = ndarray::Zip::from(&mask.values).and(&a.values).and(&b.values);
        let chosen = chosen.map_collect(|&mask, &a, &b| if mask == 0.0 { b } else { a });
        return Ok(Array::new(a.kind, chosen).into());
    }
    let tensor = |value| expanded(call.upload(value), &shape);
    let (mask, a, b) = (tensor(mask), tensor(a), tensor(b));
    match (kind(&mask), kind(&a), kind(&b)) {
        (Kind::Bool, Kind::Float, Kind::Float) => Ok(B::float_mask_where(b, mask, a).into()),
        (Kind::Bool, Kind::Int, Kind::Int) => Ok(B::int_mask_where(b, mask, a).into()),
        (mask, a, b) => Err(format!("{mask:?} cannot choose between {a:?} and {b:?}")),
    }
}

/// The kind of numbers behind an element type of ONNX.
fn element_kind(element: i64) -> Result<Kind> {
    match element {
        1 | 10 | 11 | 16 => Ok(Kind::Float),
        2..=7 | 12 | 13 => Ok(Kind::Int),
        9 => Ok(Kind::Bool),
        other => Err(format!("element type {other} is not supported")),
    }
}

/// All real numbers have single precision here.
fn cast(call: &Call, to: Kind) -> Result<Value> {
    let settings = call.settings;
    let value = call.value(0)?;
    let from = value.kind();
    let tensor = match value {
        Value::Known(array) => {
            let function = match to {
                Kind::Float => |x| x,
                Kind::Int => f64::trunc,
                Kind::Bool => |x| f64::from(x != 0.0),
            };
            return Ok(array.map(to, function).into());
        }
        Value::Computed(tensor) => tensor,
    };
    Ok(match (from, to) {
        (Kind::Float, Kind::Int) => B::float_into_int(tensor, settings.int_dtype),
        (Kind::Float, Kind::Bool) => {
            B::float_not_equal_elem(tensor, 0.0.into(), settings.bool_dtype)
        }
        (Kind::Int, Kind::Float) => B::int_into_float(tensor, settings.float_dtype),
        (Kind::Int, Kind::Bool) => B::int_not_equal_elem(tensor, 0.into(), settings.bool_dtype),
        (Kind::Bool, Kind::Float) => B::bool_into_float(tensor, settings.float_dtype),
        (Kind::Bool, Kind::Int) => B::bool_into_int(tensor, settings.int_dtype),
        _ => tensor,
    }
    .into())
}
