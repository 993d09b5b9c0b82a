use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::ir::{HandleKind, TensorId};
use burn::backend::{Backend, Dispatch, get_device_settings};
use burn::tensor::TensorData;

use crate::env::Turned;
use crate::{Graph, GraphError, Node, simplify};

/// Constants on a device, shared by all networks that hold the same values: the same model captured
/// at several input shapes uploads its weights once.
pub struct Constants<B: Backend = Dispatch>(Mutex<HashMap<u64, HandleKind<B>>>);

impl<B: Backend> Default for Constants<B> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<B: Backend> Constants<B> {
    fn upload(&self, data: &TensorData, device: &B::Device) -> Result<HandleKind<B>, GraphError> {
        let mut hasher = DefaultHasher::new();
        let kind = format!("{:?} {device:?}", data.dtype());
        (data.shape().to_vec(), kind).hash(&mut hasher);
        data.as_bytes().hash(&mut hasher);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&hasher.finish()) {
            return Ok(found.clone());
        }
        let settings = get_device_settings::<B>(device);
        let (data, dtype) = (data.clone(), data.dtype());
        let value = if dtype.is_float() {
            HandleKind::Float(B::float_from_data(data, device))
        } else if dtype.is_int() || dtype.is_uint() {
            let data = data.convert_dtype(settings.int_dtype.into());
            HandleKind::Int(B::int_from_data(data, device))
        } else if dtype.is_bool() {
            let data = data.convert_dtype(settings.bool_dtype.into());
            HandleKind::Bool(B::bool_from_data(data, device))
        } else {
            return Err(GraphError::Unsupported { operation: format!("{dtype:?} values") });
        };
        known.insert(hasher.finish(), value.clone());
        Ok(value)
    }
}

/// A simplified graph with its constants on a device: ready to run.
pub struct Network<B: Backend = Dispatch> {
    pub(crate) graph: Graph,
    pub(crate) device: B::Device,
    pub(crate) constants: HashMap<TensorId, HandleKind<B>>,
    pub(crate) turned: Turned<B>,
    merged: Vec<Node>,
}

impl<B: Backend> Network<B> {
    /// Simplifies `graph` and puts its constants on `device`.
    ///
    /// What a named value is stays as it is. Operations that nothing needs are dropped, composed
    /// operations are taken apart, operations on constants are computed, and BatchNorm goes into
    /// the convolution before it.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] if a constant cannot be computed.
    pub fn new(
        mut graph: Graph,
        device: &B::Device,
        constants: &Constants<B>,
    ) -> Result<Arc<Self>, GraphError> {
        simplify::drop_dead(&mut graph);
        simplify::take_apart(&mut graph);
        let before = graph.nodes.clone();
        let mut on_device = HashMap::new();
        for (id, data) in std::mem::take(&mut graph.constants) {
            on_device.insert(id, constants.upload(&data, device)?);
        }
        let mut network = Self {
            graph,
            device: device.clone(),
            constants: on_device,
            turned: Mutex::default(),
            merged: vec![],
        };
        simplify::fold_constants(&mut network)?;
        simplify::fold_batch_norm(&mut network);
        simplify::drop_dead(&mut network.graph);
        let known = |id| network.constants.contains_key(&id);
        let left: HashSet<TensorId> = network.graph.nodes.iter().map(|node| node.id).collect();
        let lost = |node: &Node| !left.contains(&node.id) && !known(node.id);
        network.merged = before.into_iter().filter(lost).collect();
        let read = network.graph.uses();
        let kept = |id| read.contains_key(&id) || network.graph.is_named(id);
        network.constants.retain(|id, _| kept(*id));
        Ok(Arc::new(network))
    }

    /// The values that are no longer computed, because an operation became one with the next. A graph
    /// that [keeps](Graph::keep) them still computes them.
    pub fn merged(&self) -> &[Node] {
        &self.merged
    }

    /// The simplified graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}
