use std::sync::Arc;

use burn::backend::{Dispatch, TensorMetadata, get_device_settings};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use segcam_core::{CamError, Layers, SegmentationModel};

use crate::array::Kind;
use crate::program::{Node, Program};
use crate::value::{Call, Value, kind, permuted, reshaped, upload};
use crate::{OnnxError, ops};

/// How many times larger than the file and the input together a result may be.
const GROWTH: usize = 4096;

/// A network of an ONNX file; see [`OnnxFile`](crate::OnnxFile).
///
/// The result of each node is a layer under its tensor's name. The last maps before each change of
/// resolution are named layers, the others can be explained, too
/// ([`Layers::detail`](segcam_core::Layers::detail)).
#[derive(Module, Debug)]
pub struct OnnxModel<const D: usize = 4> {
    weights: Vec<Param<Tensor<1>>>,
    #[module(skip)]
    program: Arc<Program>,
}

impl<const D: usize> OnnxModel<D> {
    pub(crate) fn new(program: Program, weights: Vec<Vec<f32>>, device: &Device) -> Self {
        let weights = weights.into_iter().map(|values| {
            let count = values.len();
            Param::from_data(TensorData::new(values, [count]), device)
        });
        Self { weights: weights.collect(), program: Arc::new(program) }
    }

    /// Names of the tensors that the network computes, in order, each with its operator.
    pub fn operators(&self) -> impl Iterator<Item = (&str, &str)> {
        self.program.nodes.iter().flat_map(|node| {
            let outputs = node.outputs.iter().flatten();
            outputs.map(|&value| (self.program.names[value].as_str(), node.operator.as_str()))
        })
    }

    /// The class scores, as [`SegmentationModel::try_forward`], with the error as it is.
    ///
    /// # Errors
    /// [`OnnxError::Node`] says which node fails, and why.
    pub fn run(&self, image: Tensor<D>, layers: &mut Layers) -> Result<Tensor<D>, OnnxError> {
        let program = &self.program;
        let images = image.dims()[0];
        let cells = image.shape().num_elements();
        let input = image.into_dispatch();
        let (device, rank) = (input.device(), input.shape().num_dims());
        let settings = get_device_settings::<Dispatch>(&device);
        let limit = program.size.saturating_add(cells).saturating_mul(GROWTH);
        let input = if program.channels_last {
            let order: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
            permuted(input, &order)
        } else {
            input
        };

        let mut values: Vec<Option<Value>> = vec![None; program.names.len()];
        values[program.input] = Some(input.into());
        for (value, array) in &program.known {
            values[*value] = Some(array.clone().into());
        }
        for ((value, shape), weight) in program.weights.iter().zip(&self.weights) {
            values[*value] = Some(reshaped(weight.val().into_dispatch(), shape).into());
        }
        for (node, done) in program.nodes.iter().zip(&program.done) {
            let inputs = node.inputs.iter().map(|at| at.and_then(|at| values[at].clone()));
            let call = Call { node, inputs: inputs.collect(), device: &device, settings, limit };
            let outputs = ops::run(&call).map_err(|reason| failed(node, reason))?;
            drop(call);
            for &value in done {
                values[value] = None;
            }
            for (at, value) in node.outputs.iter().zip(outputs) {
                let Some(at) = *at else { continue };
                let (name, landmark) = (&program.names[at], program.landmarks.contains(&at));
                values[at] = Some(named(layers, name, value, landmark, images));
            }
        }
        let scores = values[program.scores].take();
        let scores = scores.map(|value| match value {
            Value::Known(array) => upload(&array, &device, settings).into(),
            computed => computed,
        });
        let scores = scores.map(|value| (value.shape(), value));
        match scores {
            Some((shape, Value::Computed(scores)))
                if shape.len() == D && shape[0] == images && kind(&scores) == Kind::Float =>
            {
                Ok(Tensor::from_dispatch(scores))
            }
            other => {
                let shape = other.map(|(shape, _)| shape).unwrap_or_default();
                let reason = format!(
                    "tensor `{}` of shape {shape:?} are no class scores: {D} dimensions [N, \
                     classes, …] and N = {images} are wanted; choose another tensor as the output",
                    program.names[program.scores]
                );
                Err(OnnxError::NotSegmentation { reason })
            }
        }
    }
}

fn failed(node: &Node, reason: String) -> OnnxError {
    OnnxError::Node { node: node.name.clone(), operator: node.operator.clone(), reason }
}

/// Shows a tensor of the network to whoever looks for layers.
fn named(layers: &mut Layers, name: &str, value: Value, landmark: bool, images: usize) -> Value {
    let tensor = match value {
        Value::Computed(tensor) if kind(&tensor) == Kind::Float => tensor,
        other => return other,
    };
    let shape = tensor.shape().to_vec();
    let map = shape[0] == images && shape.iter().skip(2).product::<usize>() > 1;
    macro_rules! name {
        ($($rank:literal),*) => {
            match shape.len() {
                $($rank => {
                    let tensor = Tensor::<$rank>::from_dispatch(tensor);
                    if landmark && map {
                        layers.name(name, tensor)
                    } else {
                        layers.detail(name, tensor)
                    }
                    .into_dispatch()
                })*
                _ => tensor,
            }
        };
    }
    name!(2, 3, 4, 5, 6).into()
}

impl<const D: usize> SegmentationModel<D> for OnnxModel<D> {
    /// # Panics
    /// Where [`try_forward`](SegmentationModel::try_forward) is an error; segcam calls that one.
    fn forward(&self, input: Tensor<D>, layers: &mut Layers) -> Tensor<D> {
        self.run(input, layers).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_forward(&self, input: Tensor<D>, layers: &mut Layers) -> Result<Tensor<D>, CamError> {
        self.run(input, layers).map_err(CamError::model)
    }

    fn check_input(&self, shape: [usize; D]) -> Result<(), CamError> {
        let declared = &self.program.input_shape;
        if let Some(wanted) = declared[1].filter(|&wanted| wanted != shape[1]) {
            let (given, shape) = (shape[1], shape.to_vec());
            return Err(CamError::WrongChannels { wanted, given, shape });
        }
        let wanted: Vec<usize> =
            declared.iter().zip(shape).map(|(side, given)| side.unwrap_or(given)).collect();
        if wanted == shape {
            return Ok(());
        }
        Err(CamError::ShapeMismatch { what: "the network's input", wanted, given: shape.to_vec() })
    }
}
