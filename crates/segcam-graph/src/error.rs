use std::any::Any;

/// Why a network cannot be captured, run or walked backwards as a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The forward pass cannot be recorded.
    #[error("the forward pass cannot be captured: {reason}")]
    Capture {
        /// What burn said.
        reason: String,
    },

    /// There is no rule for an operation.
    #[error("no rule for the operation `{operation}`")]
    Unsupported {
        /// The operation as [`Graph`](crate::Graph) prints it.
        operation: String,
    },

    /// The values that the reverse pass needs do not fit into the bound.
    #[error(
        "the reverse pass needs more than the {limit} bytes it may keep: raise the bound, or \
         explain fewer or later layers"
    )]
    Memory {
        /// The bound in bytes.
        limit: usize,
    },
}

/// The first line of what a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.and_then(|text| text.lines().next()).unwrap_or("unknown panic").to_string()
}
