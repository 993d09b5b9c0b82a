use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::backend::capture::{CaptureBackend, TensorId};
use burn::backend::ir::{BaseOperationIr, IrVisitorMut, OperationIr, TensorIr};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Device, Tensor, TensorData};

use crate::constants::Held;
use crate::graph::{Graph, Node};
use crate::{GraphError, guarded};

/// Collects the values that a network names while its forward pass is captured.
#[derive(Debug, Default)]
pub struct Names(Vec<Node>);

impl Names {
    /// Gives a value of the captured forward pass a name, and hands it back. The name stands for
    /// every use of the tensor that is returned.
    pub fn name<const R: usize>(&mut self, name: &str, tensor: Tensor<R>) -> Tensor<R> {
        self.add(name, tensor, true)
    }

    /// The same for a value that need not survive when the graph is simplified.
    pub fn detail<const R: usize>(&mut self, name: &str, tensor: Tensor<R>) -> Tensor<R> {
        self.add(name, tensor, false)
    }

    fn add<const R: usize>(&mut self, name: &str, tensor: Tensor<R>, named: bool) -> Tensor<R> {
        // A value of its own, so that uses of the tensor that came in do not count.
        let Ok(value) = tensor.clone().try_into_primitive::<CaptureBackend>() else {
            return tensor;
        };
        let own = CaptureBackend::float_reshape(value, tensor.shape());
        let shape = tensor.dims().to_vec();
        self.0.push(Node { name: name.to_string(), shape, named, id: own.id() });
        Tensor::from_primitive::<CaptureBackend>(own)
    }
}

impl Graph {
    /// Records what `forward` does with an input of the given shape, without computing it.
    ///
    /// `forward` gets an input that lives on burn's capture device; whatever it is combined with
    /// must be moved there: `model.valid().to_device(&input.device())`.
    ///
    /// # Errors
    /// [`GraphError::Capture`] if the forward pass reads values of tensors, or panics.
    ///
    /// # Example
    /// ```
    /// use burn::tensor::activation::relu;
    /// use segcam_graph::Graph;
    ///
    /// let graph = Graph::capture([1, 1, 2, 2], |x, names| {
    ///     names.name("layer", relu(x)) * 2.0
    /// })?;
    /// assert_eq!(graph.nodes()[0].name, "layer");
    /// assert_eq!(graph.len(), 2);
    /// # Ok::<(), segcam_graph::GraphError>(())
    /// ```
    pub fn capture<const D: usize>(
        shape: [usize; D],
        forward: impl FnOnce(Tensor<D>, &mut Names) -> Tensor<D>,
    ) -> Result<Self, GraphError> {
        let _capturing = Capturing::begin()?;
        // One device for all captures: burn can only make 65,536 of them.
        static DEVICE: LazyLock<Mutex<Device>> = LazyLock::new(|| Mutex::new(Device::capture()));
        let device = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);

        let mut names = Names::default();
        let mut boundary = None;
        let captured = guarded(|| {
            device.capture_scope(|scope| {
                let zeros = TensorData::zeros::<f32, _>(shape);
                let input = Tensor::<D>::from_data(zeros, &*device);
                let start = id(&input);
                let output = forward(input, &mut names);
                boundary = start.zip(id(&output));
                scope.complete(start, id(&output).filter(|end| Some(*end) != start))
            })
        });
        let captured = captured
            .and_then(|captured| captured.map_err(|error| error.to_string()))
            .map_err(|reason| GraphError::Capture { reason })?;
        let (input, output) = boundary.ok_or_else(|| GraphError::Capture {
            reason: "the output does not depend on the input".into(),
        })?;

        let constants = captured.values.into_iter().filter(|(id, _)| *id != input);
        let constants = constants.map(|(id, data)| (id, Held::new(data))).collect();
        let operations = captured.graph.operations;
        let operations =
            operations.into_iter().filter(|op| !matches!(op, OperationIr::Init(_))).collect();
        let mut graph = Self { operations, input, output, constants, nodes: names.0 };
        graph.merge_names();
        graph.name_operations();
        Ok(graph)
    }

    /// Where nothing else reads a value that was given a name, the two become one.
    fn merge_names(&mut self) {
        let uses = self.uses();
        let named: HashSet<TensorId> = self.nodes.iter().map(|node| node.id).collect();
        let mut merged: Vec<OperationIr> = vec![];
        for operation in self.operations.drain(..) {
            if let OperationIr::BaseFloat(BaseOperationIr::Reshape(name)) = &operation
                && named.contains(&name.out.id)
                && uses.get(&name.input.id) == Some(&1)
                && !named.contains(&name.input.id)
                && name.input.id != self.output
                && let Some(before) = merged.last_mut()
                && before.outputs().next().is_some_and(|out| out.id == name.input.id)
            {
                before.visit_mut(&mut Rename { from: name.input.id, to: name.out.id });
            } else {
                merged.push(operation);
            }
        }
        self.operations = merged;
    }
}

thread_local! {
    static CAPTURING: Cell<bool> = const { Cell::new(false) };
}

/// [`Graph::capture`] within a forward pass that this thread captures would wait for itself.
///
/// # Errors
/// [`GraphError::Capture`] within such a forward pass.
///
/// # Example
/// ```
/// use segcam_graph::{Graph, expect_not_capturing};
///
/// assert!(expect_not_capturing().is_ok());
/// Graph::capture([1, 1, 2, 2], |x, _| {
///     assert!(expect_not_capturing().is_err());
///     x * 2.0
/// })?;
/// # Ok::<(), segcam_graph::GraphError>(())
/// ```
pub fn expect_not_capturing() -> Result<(), GraphError> {
    if CAPTURING.get() {
        let reason = "it is part of another network's forward pass".into();
        return Err(GraphError::Capture { reason });
    }
    Ok(())
}

/// Marks this thread as capturing.
struct Capturing;

impl Capturing {
    fn begin() -> Result<Self, GraphError> {
        expect_not_capturing()?;
        CAPTURING.set(true);
        Ok(Self)
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        CAPTURING.set(false);
    }
}

struct Rename {
    from: TensorId,
    to: TensorId,
}

impl IrVisitorMut for Rename {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        if tensor.id == self.from {
            tensor.id = self.to;
        }
    }
}

fn id<const R: usize>(tensor: &Tensor<R>) -> Option<TensorId> {
    tensor.clone().try_into_primitive::<CaptureBackend>().ok().map(|tensor| tensor.id())
}
