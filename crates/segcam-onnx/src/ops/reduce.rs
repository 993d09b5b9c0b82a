use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch as B, TensorMetadata};
use burn::tensor::ops::PadMode;

use super::unknown;
use crate::array::Array;
use crate::value::{Call, Result, Tensor, Value, axes, axis, narrowed, reshaped};

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
        "ReduceL2" => length(call, each(square(x), B::float_sum_dim)),
        "ReduceSumSquare" => each(square(x), B::float_sum_dim),
        "ReduceLogSum" => B::float_log(each(x, B::float_sum_dim)),
        "ReduceLogSumExp" => {
            // Shifted by the largest, so that nothing overflows; not by an infinite one, as ∞ − ∞ is
            // no number.
            let largest = each(x.clone(), B::float_max_dim);
            let (low, high) = (f64::from(f32::MIN), f64::from(f32::MAX));
            let largest = B::float_clamp_max(B::float_clamp_min(largest, low.into()), high.into());
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

/// The root of sums of squares. At 0 its slope is taken as 0, as PyTorch has it, where that of the root
/// alone is infinite.
fn length(call: &Call, squares: Tensor) -> Tensor {
    let nothing = B::float_equal_elem(squares.clone(), 0.0.into(), call.settings.bool_dtype);
    let root = B::float_sqrt(B::float_mask_fill(squares, nothing.clone(), 1.0.into()));
    B::float_mask_fill(root, nothing, 0.0.into())
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

/// Sums of all cells up to each one.
fn cumulative(call: &Call) -> Result<Value> {
    let given = call.known_ints(1)?.first().copied().unwrap_or_default();
    let value = call.value(0)?;
    let (at, shape) = (axis(given, value.rank())?, value.shape());
    let (exclusive, reverse) = (call.int("exclusive", 0) != 0, call.int("reverse", 0) != 0);
    let length = shape[at];
    if let Value::Known(array) = value {
        let mut sums = array;
        for mut row in sums.values.lanes_mut(ndarray::Axis(at)) {
            let old = row.to_owned();
            for (to, cell) in row.iter_mut().enumerate() {
                let (before, own) = if reverse { (to + 1..length, to) } else { (0..to, to) };
                let own = if exclusive { 0.0 } else { old[own] };
                *cell = before.map(|from| old[from]).sum::<f64>() + own;
            }
        }
        return Ok(sums.into());
    }
    // Each cell as it was `by` cells before, or after.
    let moved = |x: Tensor, by: usize| {
        if by >= length {
            return B::float_zeros(shape.clone().into(), call.device, call.settings.float_dtype);
        }
        let kept = narrowed(x, at, if reverse { by } else { 0 }, length - by);
        let mut pads = vec![(0, 0); shape.len()];
        pads[at] = if reverse { (0, by) } else { (by, 0) };
        B::float_pad(kept, &pads, PadMode::Constant(0.0))
    };
    // By doubling, and not by burn's own operation, which the graph engine has no rule for, nor as a
    // product with a triangle of ones, where ∞ · 0 would be no number.
    let x = call.tensor(0)?;
    let mut sums = if exclusive { moved(x, 1) } else { x };
    let mut reach = 1;
    while reach < length {
        sums = B::float_add(sums.clone(), moved(sums, reach));
        reach *= 2;
    }
    Ok(sums.into())
}
