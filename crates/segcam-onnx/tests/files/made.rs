//! Files as they are made here.

use prost::Message;
use segcam_onnx::{OnnxError, OnnxFile};

use crate::proto::{
    Attribute, Dimension, Graph, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type,
    ValueInfo,
};

pub(crate) fn value(name: &str, sides: &[i64]) -> ValueInfo {
    let dim = sides.iter().map(|&dim_value| Dimension { dim_value }).collect();
    let tensor_type = Some(TensorType { shape: Some(Shape { dim }) });
    ValueInfo { name: name.into(), r#type: Some(Type { tensor_type }) }
}

pub(crate) fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let name = format!("the {op_type}");
    Node {
        input: owned(inputs),
        output: owned(outputs),
        op_type: op_type.into(),
        name,
        ..Node::default()
    }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.into(), ints: ints.to_vec(), ..Attribute::default() }
}

pub(crate) fn tensor(name: &str, dims: &[i64], data_type: i32) -> Tensor {
    Tensor { name: name.into(), dims: dims.to_vec(), data_type, ..Tensor::default() }
}

pub(crate) fn shape(name: &str, sides: &[i64]) -> Tensor {
    Tensor { int64_data: sides.to_vec(), ..tensor(name, &[sides.len() as i64], 7) }
}

pub(crate) fn model(nodes: Vec<Node>, initializer: Vec<Tensor>) -> Model {
    let graph = Graph {
        node: nodes,
        initializer,
        input: vec![value("x", &[0, 1, 0, 0])],
        output: vec![value("y", &[])],
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    Model { graph: Some(graph), opset_import }
}

pub(crate) fn load(model: &Model) -> Result<OnnxFile, OnnxError> {
    OnnxFile::from_bytes(model.encode_to_vec())
}
