use std::fmt;
use std::path::PathBuf;

/// What can be wrong with an ONNX file, or with running it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file, or one that it names, cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// The bytes are no ONNX model.
    #[error("it is no ONNX model, or it is cut off")]
    Malformed {
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The file asks for operators that are not known here.
    #[error(
        "{} operator(s) are not supported: {}",
        .0.len(), .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Unsupported(Vec<UnsupportedOperator>),

    /// The version of the operator set is not known.
    #[error(
        "the file uses opset {given}, known are {} to {}: convert it with \
         onnx.version_converter, or export it again with opset_version=17",
        crate::OPSETS.start(), crate::OPSETS.end()
    )]
    Opset {
        /// The file's version.
        given: i64,
    },

    /// The graph does not hold together.
    #[error("the graph is broken: {reason}")]
    Graph {
        /// What is wrong.
        reason: String,
    },

    /// An initializer says one thing and holds another.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// Name of the initializer.
        name: String,
        /// What is wrong.
        reason: String,
    },

    /// The network is not one that labels pixels.
    #[error("{reason}")]
    NotSegmentation {
        /// What is missing, and what would work.
        reason: String,
    },

    /// No tensor of the file has this name.
    #[error(transparent)]
    UnknownName(#[from] segcam_core::UnknownName),

    /// An operator cannot be computed.
    #[error("node `{node}` ({operator}): {reason}")]
    Node {
        /// Name of the node, or of its first output.
        node: String,
        /// The operator.
        operator: String,
        /// What is wrong.
        reason: String,
    },
}

/// An operator without an implementation, and where the file uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedOperator {
    /// Its name; with its domain if that is not ONNX's own.
    pub operator: String,
    /// The first node that uses it.
    pub node: String,
    /// How many nodes use it.
    pub count: usize,
}

impl fmt::Display for UnsupportedOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} node(s), first `{}`)", self.operator, self.count, self.node)
    }
}
