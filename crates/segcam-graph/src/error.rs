use std::panic::{AssertUnwindSafe, catch_unwind};

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

    /// No value of the graph has this name.
    #[error("no value of the graph is named `{name}`")]
    UnknownValue {
        /// The name.
        name: String,
    },

    /// The forward pass was not told to keep what is asked for.
    #[error("the forward pass did not keep what `{name}` needs")]
    NotKept {
        /// The name of the node.
        name: String,
    },

    /// Values cannot be read from the device.
    #[error("values cannot be read from the device: {reason}")]
    Read {
        /// What burn said.
        reason: String,
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

/// Runs `work`; if it panics, gives all that the panic said, in one line and without a backtrace. burn
/// answers wrong shapes, lack of memory and lost servers by panicking.
///
/// # Errors
/// If `work` panics.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let lines = text.unwrap_or("unknown panic").lines().map(str::trim);
        // LibTorch and CubeCL add where in their own code they were.
        let traces = ["Exception raised from", "Backtrace:"];
        let said = lines.take_while(|line| !traces.iter().any(|trace| line.starts_with(trace)));
        said.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    })
}
