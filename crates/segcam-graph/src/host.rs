//! Convolutions of values in host memory: they are computed by `segcam-conv` instead of the
//! backend's own kernels, without a copy of what goes in and out. Whether they are is decided here.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use burn::backend::ops::{ConvOptions, ConvTransposeOptions};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::TensorData;
use segcam_conv::{Convolution, Precision};

use crate::constants::Recipe;
use crate::cotangent::Cotangent;
use crate::ops::narrow;

/// What computes convolutions with constant weights where values are in host memory, in single
/// precision, on burn-flex. Elsewhere it is always the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Convolutions {
    /// `segcam-conv`, by the fastest algorithm for each shape. Forward, errors are no larger than
    /// those of sums of products, so that no other ReLUs are open; backward they are 1e-5 of the
    /// largest value at most.
    #[default]
    Fast,
    /// `segcam-conv`, by sums of products only.
    Exact,
    /// The backend's own kernels.
    Backend,
}

/// Through the network, or a cotangent back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Forward,
    Back,
}

impl Convolutions {
    /// `None` leaves it to the backend.
    pub(crate) fn precision(self, way: Way) -> Option<Precision> {
        match (self, way) {
            (Self::Backend, _) => None,
            (Self::Exact, _) => Some(Precision::Exact),
            (Self::Fast, Way::Forward) => Some(Precision::Accurate),
            (Self::Fast, Way::Back) => Some(Precision::Fast),
        }
    }
}

/// All options of a convolution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Options {
    stride: Vec<usize>,
    padding: Vec<(usize, usize)>,
    dilation: Vec<usize>,
    groups: usize,
    /// The output padding of a transposed convolution.
    transposed: Option<Vec<usize>>,
}

impl<const N: usize> From<&ConvOptions<N>> for Options {
    fn from(options: &ConvOptions<N>) -> Self {
        Self {
            stride: options.stride.to_vec(),
            padding: options.padding.to_vec(),
            dilation: options.dilation.to_vec(),
            groups: options.groups,
            transposed: None,
        }
    }
}

impl<const N: usize> From<&ConvTransposeOptions<N>> for Options {
    fn from(options: &ConvTransposeOptions<N>) -> Self {
        Self {
            stride: options.stride.to_vec(),
            padding: options.padding.iter().map(|padding| (*padding, *padding)).collect(),
            dilation: options.dilation.to_vec(),
            groups: options.groups,
            transposed: Some(options.padding_out.to_vec()),
        }
    }
}

impl Options {
    /// Those of the map that takes the cotangent of an output back to an input of these sides, with
    /// the same weights.
    pub(crate) fn back(&self, kernel: &[usize], input: &[usize], output: &[usize]) -> Option<Self> {
        let transposed = match self.transposed {
            Some(_) => None,
            None => {
                let left_over = |side: usize| {
                    let padding = self.padding[side].0 + self.padding[side].1;
                    let reach = (kernel[side] - 1) * self.dilation[side];
                    let spread = (output[side] - 1) * self.stride[side] + reach + 1;
                    (input[side] + padding).checked_sub(spread)
                };
                Some((0..input.len()).map(left_over).collect::<Option<_>>()?)
            }
        };
        Some(Self { transposed, ..self.clone() })
    }
}

/// A convolution of one network: what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    weights: Recipe,
    bias: Option<Recipe>,
    /// The input channels of the weights that it reads: first and count.
    part: (usize, usize),
    options: Options,
    precision: Precision,
}

/// Convolutions that all networks of a store share while one of them holds them.
#[derive(Default)]
pub(crate) struct Prepared {
    known: Mutex<HashMap<Key, Weak<HostConvolution>>>,
}

/// Those that one network holds.
pub(crate) struct Holding {
    pub(crate) convolutions: Convolutions,
    held: Mutex<HashMap<Key, Arc<HostConvolution>>>,
}

impl Holding {
    pub(crate) fn new(convolutions: Convolutions) -> Self {
        Self { convolutions, held: Mutex::default() }
    }

    /// The convolution with constant weights `[out, in/groups, …]`, of which `part` says which rows
    /// of the second dimension it has; `None` leaves it to the backend.
    pub(crate) fn get<B: Backend>(
        &self,
        store: &Prepared,
        (recipe, weights): (Recipe, &FloatTensor<B>),
        bias: Option<(Recipe, &FloatTensor<B>)>,
        part: (usize, usize),
        (way, options): (Way, Options),
    ) -> Option<Arc<HostConvolution>> {
        let precision = self.convolutions.precision(way)?;
        let bias_recipe = bias.map(|(recipe, _)| recipe);
        let key = Key { weights: recipe, bias: bias_recipe, part, options, precision };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.get(&key) {
            return Some(known.clone());
        }
        let mut known = store.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, convolution| convolution.strong_count() > 0);
        let found = match known.get(&key).and_then(Weak::upgrade) {
            Some(found) => found,
            None => {
                let weights = narrow::<B>(weights.clone(), 1, part.0, part.1);
                let bias = bias.map(|(_, bias)| bias);
                let made = HostConvolution::new::<B>(&weights, bias, &key.options, precision);
                let made = Arc::new(made?);
                known.insert(key.clone(), Arc::downgrade(&made));
                made
            }
        };
        held.insert(key, found.clone());
        Some(found)
    }
}

/// A convolution that `segcam-conv` computes.
#[derive(Debug)]
pub(crate) struct HostConvolution(Convolution<Numbers>);

impl HostConvolution {
    /// `None` where the weights are not in host memory, or not in single precision.
    pub(crate) fn new<B: Backend>(
        weights: &FloatTensor<B>,
        bias: Option<&FloatTensor<B>>,
        options: &Options,
        precision: Precision,
    ) -> Option<Self> {
        let mut made = Convolution::new(&weights.shape(), Numbers::of::<B>(weights)?).ok()?;
        if let Some(padding) = &options.transposed {
            made = made.transposed(padding).ok()?;
        }
        made = made.groups(options.groups).ok()?.stride(&options.stride).ok()?;
        made = made.padding(&options.padding).ok()?.dilation(&options.dilation).ok()?;
        if let Some(bias) = bias {
            made = made.bias(Numbers::of::<B>(bias)?.as_ref()).ok()?;
        }
        Some(Self(made.precision(precision)))
    }

    /// The output for an input whose channels are those of `parts`; `None` if they are not in host memory
    /// or do not fit.
    pub(crate) fn run<B: Backend>(
        &self,
        parts: &[FloatTensor<B>],
        rectified: bool,
    ) -> Option<FloatTensor<B>> {
        let numbers = parts.iter().map(Numbers::of::<B>).collect::<Option<Vec<_>>>()?;
        let shapes: Vec<Vec<usize>> = parts.iter().map(|part| part.shape().to_vec()).collect();
        let lists = shapes.iter().map(Vec::as_slice).zip(numbers.iter().map(Numbers::as_ref));
        let out = self.0.run_joined(&lists.collect::<Vec<_>>(), rectified).ok()?;
        let mut shape = shapes.first()?.clone();
        shape[1] = shapes.iter().map(|shape| shape[1]).sum();
        let shape = self.0.output_shape(&shape).ok()?;
        Some(B::float_from_data(TensorData::new(out, shape), &parts.first()?.device()))
    }
}

impl HostConvolution {
    /// The same of a cotangent, of its region alone.
    pub(crate) fn back<B: Backend>(&self, g: &Cotangent<B>) -> Option<Cotangent<B>> {
        let Some((region, sides)) = g.region() else {
            let values = std::slice::from_ref(&g.values);
            return self.run::<B>(values, false).map(Cotangent::whole);
        };
        let mut shape = g.values.shape().to_vec();
        shape[2..].copy_from_slice(sides);
        let numbers = Numbers::of::<B>(&g.values)?;
        let (cells, out) = self.0.run_within(&shape, region, numbers.as_ref()).ok()?;
        let whole = self.0.output_shape(&shape).ok()?;
        let lengths = cells.iter().map(Range::len);
        let shape: Vec<usize> = whole[..2].iter().copied().chain(lengths).collect();
        // Strides may skip the region: then the whole is zero.
        (!out.is_empty()).then_some(())?;
        let values = B::float_from_data(TensorData::new(out, shape), &g.values.device());
        Some(Cotangent::within(values, cells, &whole[2..]))
    }
}

/// Whether a tensor's numbers are in host memory, in single precision: then small regions of it are
/// taken back by themselves.
pub(crate) fn is_on_host<B: Backend>(tensor: &FloatTensor<B>) -> bool {
    Numbers::of::<B>(tensor).is_some()
}

/// Numbers of a tensor in host memory, in one row.
#[derive(Debug)]
struct Numbers(HostTensor);

#[cfg(feature = "flex")]
type HostTensor = burn::backend::flex::FlexTensor;
#[cfg(not(feature = "flex"))]
type HostTensor = std::convert::Infallible;

impl Numbers {
    #[cfg(feature = "flex")]
    fn of<B: Backend>(tensor: &FloatTensor<B>) -> Option<Self> {
        use std::any::Any;

        use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind as Kind};

        let tensor = tensor as &dyn Any;
        let tensor = match tensor.downcast_ref::<DispatchTensor>().map(|tensor| &tensor.kind) {
            Some(Kind::Flex(BackendTensor::Float(tensor))) => tensor,
            _ => tensor.downcast_ref::<HostTensor>()?,
        };
        let tensor = if tensor.is_contiguous() { tensor.clone() } else { tensor.to_contiguous() };
        tensor.as_slice::<f32>().is_some().then_some(Self(tensor))
    }

    #[cfg(not(feature = "flex"))]
    fn of<B: Backend>(_: &FloatTensor<B>) -> Option<Self> {
        None
    }
}

impl AsRef<[f32]> for Numbers {
    #[cfg(feature = "flex")]
    fn as_ref(&self) -> &[f32] {
        self.0.as_slice().unwrap_or_default()
    }

    #[cfg(not(feature = "flex"))]
    fn as_ref(&self) -> &[f32] {
        match self.0 {}
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::backend::Dispatch;
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::constants::Held;

    /// Networks of one store share a convolution while one of them holds it.
    #[test]
    fn a_convolution_is_prepared_once() {
        let device = Device::flex();
        let weights = || Tensor::<4>::ones([2, 3, 1, 1], &device);
        let recipe = Held::new(weights().into_data()).recipe;
        let options = Options::from(&ConvOptions::new([1; 2], [0; 2], [1; 2], 1));
        let store = Prepared::default();
        let prepared = |holding: &Holding, part| {
            let weights = weights().into_dispatch();
            let how = (Way::Forward, options.clone());
            holding.get::<Dispatch>(&store, (recipe, &weights), None, part, how)
        };
        let [one, other] = [(); 2].map(|()| Holding::new(Convolutions::Fast));
        let made = prepared(&one, (0, 3)).expect("in host memory");
        let shared = prepared(&other, (0, 3)).expect("in host memory");
        assert!(Arc::ptr_eq(&made, &shared));
        let part = prepared(&one, (1, 2)).expect("in host memory");
        assert!(!Arc::ptr_eq(&made, &part));
        assert!(prepared(&Holding::new(Convolutions::Backend), (0, 3)).is_none());

        // It computes, and does not leave it to the backend.
        let input = Tensor::<4>::from_floats([[[[1.0]], [[2.0]], [[-4.0]]]], &device);
        let out = made.run::<Dispatch>(&[input.into_dispatch()], false).expect("an output");
        let out = Tensor::<4>::from_dispatch(out).into_data();
        assert_eq!(out.iter::<f32>().collect::<Vec<_>>(), [-1.0, -1.0]);

        let known = || store.known.lock().expect("no panic").len();
        assert_eq!(known(), 2);
        drop((one, other, made, shared, part));
        let holding = Holding::new(Convolutions::Fast);
        assert!(prepared(&holding, (0, 1)).is_some());
        assert_eq!(known(), 1, "what nobody holds is forgotten");
    }
}
