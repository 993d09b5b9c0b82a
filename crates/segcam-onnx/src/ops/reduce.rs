use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch as B, TensorMetadata};

use super::unknown;
use crate::array::{Array, Kind};
use crate::value::{Call, Result, Tensor, Value, axes, axis, narrowed, permuted, reshaped};

pub(super) const OPERATORS: &[&str] = &[
    "ArgMax",
    "ArgMin",
    "CumSum",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let value = match call.node.operator.as_str() {
        "ArgMax" => arg(call, B::float_argmax)?,
        "ArgMin" => arg(call, B::float_argmin)?,
        "CumSum" => cumulative(call)?,
        _ => reduce(call)?,
    };
    Ok(vec![value])
}

fn reduce(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let given = call.ints_or_input("axes", 1)?.unwrap_or_default();
    if given.is_empty() && call.int("noop_with_empty_axes", 0) != 0 {
        return Ok(value);
    }
    let mut over = axes(&given, shape.len())?;
    if over.is_empty() {
        over = (0..shape.len()).collect();
    }
    if over.iter().any(|&axis| shape[axis] == 0) {
        return Err(format!("an input of shape {shape:?} has nothing to reduce"));
    }
    let mut kept: Vec<usize> = shape.clone();
    over.iter().for_each(|&axis| kept[axis] = 1);
    if call.int("keepdims", 1) == 0 {
        kept = (0..shape.len()).filter(|axis| !over.contains(axis)).map(|at| shape[at]).collect();
    }
    if let Value::Known(array) = &value {
        return known(call, array, &over)?.reshape(&kept).map(Value::from);
    }
    let x = call.tensor(0)?;
    let each = |x: Tensor, function: fn(Tensor, usize) -> Tensor| {
        over.iter().fold(x, |x, &axis| function(x, axis))
    };
    let square = |x: Tensor| B::float_mul(x.clone(), x);
    let y = match call.node.operator.as_str() {
        "ReduceSum" => each(x, B::float_sum_dim),
        "ReduceMean" => each(x, B::float_mean_dim),
        "ReduceMax" => each(x, B::float_max_dim),
        "ReduceMin" => each(x, B::float_min_dim),
        "ReduceProd" => each(x, product),
        "ReduceL1" => each(B::float_abs(x), B::float_sum_dim),
        "ReduceL2" => B::float_sqrt(each(square(x), B::float_sum_dim)),
        "ReduceSumSquare" => each(square(x), B::float_sum_dim),
        "ReduceLogSum" => B::float_log(each(x, B::float_sum_dim)),
        "ReduceLogSumExp" => {
            // Shifted by the largest, so that nothing overflows.
            let largest = each(x.clone(), B::float_max_dim);
            let sum = each(B::float_exp(B::float_sub(x, largest.clone())), B::float_sum_dim);
            B::float_add(B::float_log(sum), largest)
        }
        _ => return Err(unknown(call)),
    };
    Ok(reshaped(y, &kept).into())
}

fn known(call: &Call, array: &Array, over: &[usize]) -> Result<Array> {
    let count: usize = over.iter().map(|&axis| array.shape()[axis]).product();
    let each = |first, function: fn(f64, f64) -> f64| {
        over.iter().fold(array.clone(), |array, &axis| array.fold(axis, first, function))
    };
    Ok(match call.node.operator.as_str() {
        "ReduceSum" => each(0.0, |a, b| a + b),
        "ReduceProd" => each(1.0, |a, b| a * b),
        "ReduceMax" => each(f64::NEG_INFINITY, f64::max),
        "ReduceMin" => each(f64::INFINITY, f64::min),
        "ReduceMean" => each(0.0, |a, b| a + b).map(array.kind, |sum| sum / count as f64),
        other => return Err(format!("{other} of numbers that are known from the shapes")),
    })
}

/// The product along one axis, cell by cell: exact where a factor is zero, too.
fn product(x: Tensor, axis: usize) -> Tensor {
    let cells = (1..x.shape()[axis]).map(|at| narrowed(x.clone(), axis, at, 1));
    cells.fold(narrowed(x.clone(), axis, 0, 1), B::float_mul)
}

fn arg(
    call: &Call,
    function: fn(Tensor, usize, burn::tensor::IntDType) -> Tensor,
) -> Result<Value> {
    let x = call.tensor(0)?;
    let mut shape = x.shape().to_vec();
    let at = axis(call.int("axis", 0), shape.len())?;
    if call.int("keepdims", 1) == 0 {
        shape.remove(at);
    } else {
        shape[at] = 1;
    }
    let (length, dtype) = (x.shape()[at], call.settings.int_dtype);
    let found = if call.int("select_last_index", 0) == 0 {
        function(x, at, dtype)
    } else {
        // The first one from the end.
        let found = B::int_neg(function(B::float_flip(x, &[at]), at, dtype));
        B::int_add_scalar(found, (length as i64 - 1).into())
    };
    Ok(reshaped(found, &shape).into())
}

/// Sums of all cells up to each one, as a product with a triangle of ones: unlike burn's own
/// operation it has a rule in the graph engine.
fn cumulative(call: &Call) -> Result<Value> {
    let given = call.known_ints(1)?.first().copied().unwrap_or_default();
    let value = call.value(0)?;
    let (at, shape) = (axis(given, value.rank())?, value.shape());
    let (exclusive, reverse) = (call.int("exclusive", 0) != 0, call.int("reverse", 0) != 0);
    let length = shape[at];
    call.expect_size(&[length, length])?;
    let counts = |from: usize, to: usize| {
        let before = if reverse { to < from } else { from < to };
        f64::from(before || (from == to && !exclusive))
    };
    let cells = (0..length).flat_map(|from| (0..length).map(move |to| counts(from, to)));
    let triangle = Array::from_vec(Kind::Float, &[length, length], cells.collect())?;
    let last = shape.len() - 1;
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.swap(at, last);
    if let Value::Known(array) = value {
        let mut sums = array.permute(&order);
        for mut row in sums.values.rows_mut() {
            let old = row.to_owned();
            for (to, cell) in row.iter_mut().enumerate() {
                *cell = (0..length).map(|from| old[from] * counts(from, to)).sum();
            }
        }
        return Ok(sums.permute(&order).into());
    }
    let rows = permuted(call.tensor(0)?, &order);
    let turned = rows.shape().to_vec();
    let matrix = reshaped(rows, &[turned[..last].iter().product(), length]);
    let sums = reshaped(B::float_matmul(matrix, call.upload(triangle.into())), &turned);
    Ok(permuted(sums, &order).into())
}
