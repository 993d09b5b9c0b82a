use burn::backend::ops::{ActivationOps, FloatTensorOps};
use burn::backend::{Dispatch as B, TensorMetadata};

use super::unknown;
use crate::value::{Call, Result, Tensor, Value, axis, reshaped, with_rank};

pub(super) const OPERATORS: &[&str] = &[
    "Celu",
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "LogSoftmax",
    "Mish",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "ThresholdedRelu",
];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let x = call.tensor(0)?;
    let float = |name, default| call.float(name, default);
    let y = match call.node.operator.as_str() {
        "Relu" => B::relu(x),
        "LeakyRelu" => B::leaky_relu(x, float("alpha", 0.01).into()),
        "PRelu" => {
            let slope = with_rank(call.tensor(1)?, x.shape().num_dims());
            B::float_sub(B::relu(x.clone()), B::float_mul(negative(x), slope))
        }
        "Elu" => exponential(x, 1.0, float("alpha", 1.0), 1.0),
        "Celu" => {
            let alpha = float("alpha", 1.0);
            exponential(x, 1.0, alpha, alpha)
        }
        "Selu" => {
            let (alpha, gamma) = (float("alpha", 1.673_263_2), float("gamma", 1.050_701));
            exponential(x, gamma, gamma * alpha, 1.0)
        }
        "ThresholdedRelu" => {
            let bool_dtype = call.settings.bool_dtype;
            let off = B::float_lower_equal_elem(x.clone(), float("alpha", 1.0).into(), bool_dtype);
            B::float_mask_fill(x, off, 0.0.into())
        }
        "Sigmoid" => B::sigmoid(x),
        "HardSigmoid" => B::hard_sigmoid(x, float("alpha", 0.2).into(), float("beta", 0.5).into()),
        "HardSwish" => {
            let gate = B::hard_sigmoid(x.clone(), (1.0 / 6.0).into(), 0.5.into());
            B::float_mul(x, gate)
        }
        "Tanh" => B::float_tanh(x),
        "Softplus" => softplus(x),
        "Softsign" => {
            let below = B::float_add_scalar(B::float_abs(x.clone()), 1.0.into());
            B::float_div(x, below)
        }
        "Mish" => B::float_mul(x.clone(), B::float_tanh(softplus(x))),
        "Gelu" if call.text("approximate", "none") == "tanh" => gelu_by_tanh(x),
        "Gelu" => B::gelu(x),
        "Softmax" => softmax(call, x, B::softmax)?,
        "LogSoftmax" => softmax(call, x, B::log_softmax)?,
        _ => return Err(unknown(call)),
    };
    Ok(vec![y.into()])
}

/// `max(−x, 0)`
fn negative(x: Tensor) -> Tensor {
    B::relu(B::float_neg(x))
}

/// `scale·max(x, 0) + below·(exp(min(x, 0)/width) − 1)`
fn exponential(x: Tensor, scale: f64, below: f64, width: f64) -> Tensor {
    let exponent = B::float_mul_scalar(negative(x.clone()), (-1.0 / width).into());
    let curve = B::float_sub_scalar(B::float_exp(exponent), 1.0.into());
    let straight = B::float_mul_scalar(B::relu(x), scale.into());
    B::float_add(straight, B::float_mul_scalar(curve, below.into()))
}

/// `ln(1 + eˣ)` without overflow.
fn softplus(x: Tensor) -> Tensor {
    let tail = B::float_log1p(B::float_exp(B::float_neg(B::float_abs(x.clone()))));
    B::float_add(B::relu(x), tail)
}

fn gelu_by_tanh(x: Tensor) -> Tensor {
    let square = B::float_mul(x.clone(), x.clone());
    let inner = B::float_add_scalar(B::float_mul_scalar(square, 0.044_715.into()), 1.0.into());
    let inner = B::float_mul_scalar(
        B::float_mul(x.clone(), inner),
        (2.0 / std::f64::consts::PI).sqrt().into(),
    );
    let gate = B::float_add_scalar(B::float_tanh(inner), 1.0.into());
    B::float_mul_scalar(B::float_mul(x, gate), 0.5.into())
}

/// Before opset 13 the sum runs over all dimensions from `axis` on.
fn softmax(call: &Call, x: Tensor, function: fn(Tensor, usize) -> Tensor) -> Result<Tensor> {
    let shape = x.shape().to_vec();
    if call.node.opset >= 13 {
        return Ok(function(x, axis(call.int("axis", -1), shape.len())?));
    }
    let at = axis(call.int("axis", 1), shape.len())?;
    let rows: usize = shape[..at].iter().product();
    let columns = shape[at..].iter().product();
    Ok(reshaped(function(reshaped(x, &[rows, columns]), 1), &shape))
}
