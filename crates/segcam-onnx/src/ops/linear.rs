use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch as B, TensorMetadata};

use super::unknown;
use crate::array::broadcast;
use crate::value::{Call, Result, Tensor, Value, permuted, reshaped, with_rank};

pub(super) const OPERATORS: &[&str] = &["Gemm", "MatMul"];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let y = match call.node.operator.as_str() {
        "MatMul" => product(call, call.tensor(0)?, call.tensor(1)?)?,
        "Gemm" => gemm(call)?,
        _ => return Err(unknown(call)),
    };
    Ok(vec![y.into()])
}

/// Matrix product with the rules of NumPy: vectors become matrices, leading dimensions broadcast.
fn product(call: &Call, a: Tensor, b: Tensor) -> Result<Tensor> {
    let (left, right) = (a.shape().to_vec(), b.shape().to_vec());
    if right.len() == 1 {
        let column = product(call, a, reshaped(b, &[right[0], 1]))?;
        return Ok(without(column, 1));
    }
    if left.len() == 1 {
        let row = product(call, reshaped(a, &[1, left[0]]), b)?;
        return Ok(without(row, 2));
    }
    let rank = left.len().max(right.len());
    let (inner, outer) = (left[left.len() - 1], right[right.len() - 2]);
    if inner != outer {
        return Err(format!("shapes {left:?} and {right:?} cannot be multiplied"));
    }
    let mut shape = broadcast(&left[..left.len() - 2], &right[..right.len() - 2])?;
    shape.extend([left[left.len() - 2], right[right.len() - 1]]);
    call.expect_size(&shape)?;
    if right.len() == 2 && rank > 2 {
        // One product of matrices instead of many.
        let rows: usize = left[..left.len() - 1].iter().product();
        return Ok(reshaped(B::float_matmul(reshaped(a, &[rows, inner]), b), &shape));
    }
    Ok(B::float_matmul(with_rank(a, rank), with_rank(b, rank)))
}

/// Drops the dimension of length one that is `from_end` from the end.
fn without(tensor: Tensor, from_end: usize) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    if let Some(at) = shape.len().checked_sub(from_end) {
        shape.remove(at);
    }
    reshaped(tensor, &shape)
}

/// `alpha·A·B + beta·C`
fn gemm(call: &Call) -> Result<Tensor> {
    let side = |at, flag| -> Result<Tensor> {
        let tensor = call.tensor(at)?;
        match tensor.shape().num_dims() {
            2 if call.int(flag, 0) != 0 => Ok(permuted(tensor, &[1, 0])),
            2 => Ok(tensor),
            rank => Err(format!("input {at} must be a matrix, it has {rank} dimensions")),
        }
    };
    let scaled = |tensor, by: f64| {
        if by == 1.0 { tensor } else { B::float_mul_scalar(tensor, by.into()) }
    };
    let y = product(call, side(0, "transA")?, side(1, "transB")?)?;
    let y = scaled(y, call.float("alpha", 1.0));
    if !call.has(2) {
        return Ok(y);
    }
    let c = with_rank(call.tensor(2)?, 2);
    broadcast(&y.shape().to_vec(), &c.shape().to_vec())?;
    Ok(B::float_add(y, scaled(c, call.float("beta", 1.0))))
}
