//! What flows between operators, and what an operator sees of its node.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{DeviceSettings, Dispatch, Shape, Slice, TensorMetadata};
use burn::tensor::TensorData;

use crate::array::{Array, Kind};
use crate::program::Node;

/// A tensor of burn whose rank is not a type parameter.
pub(crate) type Tensor = burn::backend::DispatchTensor;
pub(crate) type Device = burn::backend::DispatchDevice;

/// Why an operator cannot be computed; its node is added later.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// A value on its way through the graph.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Known before the network runs.
    Known(Array),
    /// Computed by the network. What has no dimensions in ONNX has one of length one here.
    Computed(Tensor),
}

impl From<Array> for Value {
    fn from(array: Array) -> Self {
        Self::Known(array)
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Computed(tensor)
    }
}

impl Value {
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Known(array) => array.shape().to_vec(),
            Self::Computed(tensor) => tensor.shape().to_vec(),
        }
    }

    pub(crate) fn rank(&self) -> usize {
        self.shape().len()
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Known(array) => array.kind,
            Self::Computed(tensor) => kind(tensor),
        }
    }
}

pub(crate) fn kind(tensor: &Tensor) -> Kind {
    let dtype = tensor.dtype();
    if dtype.is_float() {
        Kind::Float
    } else if dtype.is_bool() {
        Kind::Bool
    } else {
        Kind::Int
    }
}

/// A node, its inputs, and where to compute.
pub(crate) struct Call<'a> {
    pub(crate) node: &'a Node,
    pub(crate) inputs: Vec<Option<Value>>,
    pub(crate) device: &'a Device,
    pub(crate) settings: DeviceSettings,
    /// Most numbers that a result may have.
    pub(crate) limit: usize,
}

impl Call<'_> {
    pub(crate) fn has(&self, at: usize) -> bool {
        self.inputs.get(at).is_some_and(Option::is_some)
    }

    pub(crate) fn value(&self, at: usize) -> Result<Value> {
        let value = self.inputs.get(at).cloned().flatten();
        value.ok_or_else(|| format!("input {at} is missing"))
    }

    /// All inputs that are there.
    pub(crate) fn values(&self) -> Result<Vec<Value>> {
        let all: Vec<Value> = self.inputs.iter().flatten().cloned().collect();
        if all.is_empty() { Err("it has no inputs".into()) } else { Ok(all) }
    }

    /// An input as a tensor of real numbers on the device.
    pub(crate) fn tensor(&self, at: usize) -> Result<Tensor> {
        let tensor = self.upload(self.value(at)?);
        match kind(&tensor) {
            Kind::Float => Ok(tensor),
            other => Err(format!("input {at} must hold real numbers, it holds {other:?}")),
        }
    }

    /// An input that decides about shapes.
    pub(crate) fn known(&self, at: usize) -> Result<Array> {
        match self.value(at)? {
            Value::Known(array) => Ok(array),
            Value::Computed(_) => Err(format!(
                "input {at} depends on the values of the image; it must be known from the shapes"
            )),
        }
    }

    pub(crate) fn known_ints(&self, at: usize) -> Result<Vec<i64>> {
        self.known(at)?.to_ints()
    }

    pub(crate) fn upload(&self, value: Value) -> Tensor {
        match value {
            Value::Computed(tensor) => tensor,
            Value::Known(array) => upload(&array, self.device, self.settings),
        }
    }

    pub(crate) fn upload_floats(&self, values: Vec<f64>, shape: &[usize]) -> Result<Tensor> {
        Ok(self.upload(Array::from_vec(Kind::Float, shape, values)?.into()))
    }

    /// Indices on the device.
    pub(crate) fn indices(&self, values: &[usize]) -> Tensor {
        let array = Array::ints(values.iter().map(|&value| value as i64));
        self.upload(array.into())
    }

    /// Refuses results that are too large, before memory is taken for them.
    pub(crate) fn expect_size(&self, shape: &[usize]) -> Result<()> {
        // A side of length zero does not make the others harmless.
        let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side.max(1)));
        if count.is_some_and(|count| count <= self.limit) {
            return Ok(());
        }
        Err(format!("its result of shape {shape:?} is too large for this file and input"))
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.node.attributes.get(name).map_or(default, |attribute| attribute.i)
    }

    pub(crate) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.node.attributes.get(name).map(|attribute| attribute.ints.clone())
    }

    pub(crate) fn float(&self, name: &str, default: f64) -> f64 {
        self.node.attributes.get(name).map_or(default, |attribute| f64::from(attribute.f))
    }

    pub(crate) fn text(&self, name: &str, default: &str) -> String {
        let given = self.node.attributes.get(name);
        given.map_or_else(
            || default.to_string(),
            |attribute| String::from_utf8_lossy(&attribute.s).into_owned(),
        )
    }

    /// Numbers that are an attribute in old opsets and an input in new ones.
    pub(crate) fn ints_or_input(&self, name: &str, at: usize) -> Result<Option<Vec<i64>>> {
        match self.ints(name) {
            None if self.has(at) => self.known_ints(at).map(Some),
            ints => Ok(ints),
        }
    }
}

pub(crate) fn upload(array: &Array, device: &Device, settings: DeviceSettings) -> Tensor {
    let shape = match array.shape() {
        [] => vec![1],
        shape => shape.to_vec(),
    };
    let values = array.values.iter();
    match array.kind {
        Kind::Float => {
            let data = TensorData::new(values.map(|&v| v as f32).collect::<Vec<_>>(), shape);
            Dispatch::float_from_data(data, device)
        }
        Kind::Int => {
            let data = TensorData::new(values.map(|&v| v as i64).collect::<Vec<_>>(), shape);
            Dispatch::int_from_data(data.convert_dtype(settings.int_dtype.into()), device)
        }
        Kind::Bool => {
            let data = TensorData::new(values.map(|&v| v != 0.0).collect::<Vec<_>>(), shape);
            Dispatch::bool_from_data(data.convert_dtype(settings.bool_dtype.into()), device)
        }
    }
}

/// One of `length` places, which may count from the end.
pub(crate) fn place(given: i64, length: usize) -> Option<usize> {
    let from_start = if given < 0 { given.saturating_add(length as i64) } else { given };
    usize::try_from(from_start).ok().filter(|&place| place < length)
}

/// An axis that may count from the end.
pub(crate) fn axis(given: i64, rank: usize) -> Result<usize> {
    let missing = || format!("axis {given} does not exist: there are {rank} dimensions");
    place(given, rank).ok_or_else(missing)
}

pub(crate) fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>> {
    given.iter().map(|&one| axis(one, rank)).collect()
}

/// A side of a shape.
pub(crate) fn side(given: i64) -> Result<usize> {
    usize::try_from(given).map_err(|_| format!("a side of length {given}"))
}

/// One operation for each kind of tensor.
macro_rules! by_kind {
    ($tensor:expr, $float:path, $int:path, $bool:path, $($argument:expr),*) => {
        match $crate::value::kind(&$tensor) {
            $crate::array::Kind::Float => $float($tensor, $($argument),*),
            $crate::array::Kind::Int => $int($tensor, $($argument),*),
            $crate::array::Kind::Bool => $bool($tensor, $($argument),*),
        }
    };
}
pub(crate) use by_kind;

pub(crate) fn reshape(value: Value, shape: &[usize]) -> Result<Value> {
    let given = value.shape();
    if given.iter().product::<usize>() != shape.iter().product::<usize>() {
        return Err(format!("shape {given:?} cannot become {shape:?}"));
    }
    Ok(match value {
        Value::Known(array) => array.reshape(shape)?.into(),
        Value::Computed(tensor) => reshaped(tensor, shape).into(),
    })
}

/// `shape` must have as many cells.
pub(crate) fn reshaped(tensor: Tensor, shape: &[usize]) -> Tensor {
    let shape = if shape.is_empty() { &[1] } else { shape };
    if tensor.shape().to_vec() == shape {
        return tensor;
    }
    let shape = Shape::from(shape.to_vec());
    by_kind!(tensor, Dispatch::float_reshape, Dispatch::int_reshape, Dispatch::bool_reshape, shape)
}

pub(crate) fn permute(value: Value, order: &[usize]) -> Value {
    if order.iter().enumerate().all(|(to, &from)| to == from) {
        return value;
    }
    match value {
        Value::Known(array) => array.permute(order).into(),
        Value::Computed(tensor) => permuted(tensor, order).into(),
    }
}

pub(crate) fn permuted(tensor: Tensor, order: &[usize]) -> Tensor {
    by_kind!(tensor, Dispatch::float_permute, Dispatch::int_permute, Dispatch::bool_permute, order)
}

/// `count` cells of one axis, from `start` on.
pub(crate) fn narrow(value: Value, axis: usize, start: usize, count: usize) -> Value {
    match value {
        Value::Known(array) => {
            array.select(axis, &(start..start + count).collect::<Vec<_>>()).into()
        }
        Value::Computed(tensor) => narrowed(tensor, axis, start, count).into(),
    }
}

pub(crate) fn narrowed(tensor: Tensor, axis: usize, start: usize, count: usize) -> Tensor {
    let shape = tensor.shape();
    if shape[axis] == count {
        return tensor;
    }
    let mut ranges = vec![Slice::full(); shape.num_dims()];
    ranges[axis] = Slice::new(start as isize, Some((start + count) as isize), 1);
    let ranges = &ranges;
    by_kind!(tensor, Dispatch::float_slice, Dispatch::int_slice, Dispatch::bool_slice, ranges)
}

/// The cells `indices` of one axis, in that order.
pub(crate) fn select(call: &Call, value: Value, axis: usize, indices: &[usize]) -> Value {
    let tensor = match value {
        Value::Known(array) => return array.select(axis, indices).into(),
        Value::Computed(tensor) => tensor,
    };
    let run = indices.windows(2).all(|pair| pair[1] == pair[0] + 1);
    if let (true, Some(&start)) = (run, indices.first()) {
        return narrowed(tensor, axis, start, indices.len()).into();
    }
    let at = call.indices(indices);
    match kind(&tensor) {
        Kind::Float => Dispatch::float_select(tensor, axis, at),
        Kind::Int => Dispatch::int_select(tensor, axis, at),
        Kind::Bool => Dispatch::bool_select(tensor, axis, at),
    }
    .into()
}

pub(crate) fn concat(call: &Call, parts: Vec<Value>, axis: usize) -> Result<Value> {
    let rank = parts.first().map_or(0, Value::rank);
    let cross = |part: &Value| {
        let mut shape = part.shape();
        if axis < shape.len() {
            shape[axis] = 0;
        }
        shape
    };
    if let Some(odd) = parts.iter().find(|part| cross(part) != cross(&parts[0])) {
        let (one, two) = (parts[0].shape(), odd.shape());
        return Err(format!("shapes {one:?} and {two:?} cannot be joined along axis {axis}"));
    }
    if axis >= rank {
        return Err(format!("axis {axis} does not exist: there are {rank} dimensions"));
    }
    let known: Option<Vec<Array>> = parts
        .iter()
        .map(|part| if let Value::Known(array) = part { Some(array.clone()) } else { None })
        .collect();
    if let Some(known) = known {
        return Array::concat(&known, axis).map(Value::from);
    }
    let mut tensors: Vec<Tensor> = parts.into_iter().map(|part| call.upload(part)).collect();
    Ok(match tensors.len() {
        1 => tensors.swap_remove(0),
        _ => match kind(&tensors[0]) {
            Kind::Float => Dispatch::float_cat(tensors, axis),
            Kind::Int => Dispatch::int_cat(tensors, axis),
            Kind::Bool => Dispatch::bool_cat(tensors, axis),
        },
    }
    .into())
}

pub(crate) fn expand(call: &Call, value: Value, shape: &[usize]) -> Result<Value> {
    call.expect_size(shape)?;
    Ok(match value {
        Value::Known(array) => array.expand(shape)?.into(),
        Value::Computed(tensor) => expanded(tensor, shape).into(),
    })
}

/// `shape` must be one that the tensor broadcasts to.
pub(crate) fn expanded(tensor: Tensor, shape: &[usize]) -> Tensor {
    let tensor = with_rank(tensor, shape.len());
    if tensor.shape().to_vec() == shape || shape.is_empty() {
        return tensor;
    }
    let shape = Shape::from(shape.to_vec());
    by_kind!(tensor, Dispatch::float_expand, Dispatch::int_expand, Dispatch::bool_expand, shape)
}

/// With dimensions of length one in front, up to `rank`.
pub(crate) fn with_rank(tensor: Tensor, rank: usize) -> Tensor {
    let given = tensor.shape().to_vec();
    if given.len() >= rank {
        return tensor;
    }
    let mut shape = vec![1; rank - given.len()];
    shape.extend(given);
    reshaped(tensor, &shape)
}
