//! One file per family of operators. Each operator is one arm or one function, named as in the
//! [ONNX specification](https://onnx.ai/onnx/operators/).

mod activation;
mod arithmetic;
mod conv;
mod einsum;
mod index;
mod linear;
mod norm;
mod pool;
mod reduce;
mod resize;
mod shape;

use crate::program::Node;
use crate::value::{Call, Result, Value};

type Function = fn(&Call) -> Result<Vec<Value>>;

const FAMILIES: [(&[&str], Function); 11] = [
    (activation::OPERATORS, activation::run),
    (arithmetic::OPERATORS, arithmetic::run),
    (conv::OPERATORS, conv::run),
    (einsum::OPERATORS, einsum::run),
    (index::OPERATORS, index::run),
    (linear::OPERATORS, linear::run),
    (norm::OPERATORS, norm::run),
    (pool::OPERATORS, pool::run),
    (reduce::OPERATORS, reduce::run),
    (resize::OPERATORS, resize::run),
    (shape::OPERATORS, shape::run),
];

/// Names of all operators.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|(operators, _)| operators.iter().copied())
}

pub(crate) fn known(operator: &str) -> bool {
    all().any(|known| known == operator)
}

/// Computes the outputs of a node.
pub(crate) fn run(call: &Call) -> Result<Vec<Value>> {
    let operator = call.node.operator.as_str();
    let family = FAMILIES.iter().find(|(operators, _)| operators.contains(&operator));
    let (_, run) = family.ok_or_else(|| unknown(call))?;
    run(call)
}

fn unknown(call: &Call) -> String {
    format!("operator {} is not supported", call.node.operator)
}

/// Whether maps have another size after the operator.
pub(crate) fn changes_resolution(node: &Node) -> bool {
    match node.operator.as_str() {
        "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" => {
            let strides = node.attributes.get("strides");
            strides.is_some_and(|strides| strides.ints.iter().any(|&stride| stride > 1))
        }
        "Resize" | "Upsample" | "DepthToSpace" | "SpaceToDepth" | "MaxUnpool" => true,
        _ => false,
    }
}
