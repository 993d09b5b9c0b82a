//! Gradients on their way back, of which only the part that is not zero is held.

use std::ops::Range;

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, Shape, Slice, TensorMetadata};

/// An interval of cells along each axis in space.
pub(crate) type Region = Vec<Range<usize>>;

/// The derivative of a score by a value `[N, C, sides…]`. A score of few pixels depends on few cells of
/// the last layers: such a cotangent is zero outside of a region, and is held, and taken back, as the
/// region alone.
#[derive(Debug, Clone)]
pub(crate) struct Cotangent<B: Backend> {
    /// All of it, or what lies in its region.
    pub(crate) values: FloatTensor<B>,
    within: Option<Within>,
}

#[derive(Debug, Clone)]
struct Within {
    region: Region,
    /// Of the whole.
    sides: Vec<usize>,
}

impl<B: Backend> Cotangent<B> {
    pub(crate) fn whole(values: FloatTensor<B>) -> Self {
        Self { values, within: None }
    }

    /// What is zero outside of `region`, of which `values` are given, in a value of these `sides`.
    pub(crate) fn within(values: FloatTensor<B>, region: Region, sides: &[usize]) -> Self {
        let all = region.iter().zip(sides).all(|(range, side)| range.len() == *side);
        let within = (!all).then(|| Within { region, sides: sides.to_vec() });
        Self { values, within }
    }

    /// `values`, which are zero outside of the region, if there is one.
    pub(crate) fn cut(values: FloatTensor<B>, region: Option<&Region>) -> Self {
        let Some(region) = region else { return Self::whole(values) };
        let sides = values.shape()[2..].to_vec();
        Self::within(B::float_slice(values, &slices(region)), region.clone(), &sides)
    }

    /// The region, unless it is everything, and the sides of the whole.
    pub(crate) fn region(&self) -> Option<(&Region, &[usize])> {
        self.within.as_ref().map(|within| (&within.region, &within.sides[..]))
    }

    /// The whole, zeros included.
    pub(crate) fn into_whole(self) -> FloatTensor<B> {
        match self.within {
            Some(Within { region, sides }) => {
                let all = sides.iter().map(|side| 0..*side).collect();
                widen::<B>(self.values, &region, &all)
            }
            None => self.values,
        }
    }

    /// The same cells of a map that treats all cells alike.
    pub(crate) fn map(self, map: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>) -> Self {
        Self { values: map(self.values), within: self.within }
    }

    /// The cells of `tensor` that it holds; all along axes of length one, which are broadcast.
    pub(crate) fn part_of(&self, tensor: FloatTensor<B>) -> FloatTensor<B> {
        match self.slices_of(&tensor.shape()) {
            Some(slices) => B::float_slice(tensor, &slices),
            None => tensor,
        }
    }

    pub(crate) fn part_of_mask(&self, mask: BoolTensor<B>) -> BoolTensor<B> {
        match self.slices_of(&mask.shape()) {
            Some(slices) => B::bool_slice(mask, &slices),
            None => mask,
        }
    }

    pub(crate) fn part_of_indices(&self, indices: IntTensor<B>) -> IntTensor<B> {
        match self.slices_of(&indices.shape()) {
            Some(slices) => B::int_slice(indices, &slices),
            None => indices,
        }
    }

    fn slices_of(&self, shape: &Shape) -> Option<Vec<Slice>> {
        let Within { region, sides } = self.within.as_ref()?;
        let mut slices = slices(region);
        for (axis, side) in sides.iter().enumerate() {
            if shape[axis + 2] != *side {
                slices[axis + 2] = Slice::full();
            }
        }
        Some(slices)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self { values: a, within: Some(one) }, Self { values: b, within: Some(two) }) => {
                let both = one.region.iter().zip(&two.region);
                let hull = both.map(|(a, b)| a.start.min(b.start)..a.end.max(b.end)).collect();
                let a = widen::<B>(a, &one.region, &hull);
                let b = widen::<B>(b, &two.region, &hull);
                Self::within(B::float_add(a, b), hull, &one.sides)
            }
            (one, other) => Self::whole(B::float_add(one.into_whole(), other.into_whole())),
        }
    }
}

/// What lies at `from`, with zeros around it, so that it is what lies at `to`.
fn widen<B: Backend>(values: FloatTensor<B>, from: &Region, to: &Region) -> FloatTensor<B> {
    if from == to {
        return values;
    }
    let mut shape = values.shape();
    let mut place = vec![];
    for (axis, (from, to)) in from.iter().zip(to).enumerate() {
        shape[axis + 2] = to.len();
        place.push(from.start - to.start..from.end - to.start);
    }
    let zeros = B::float_zeros(shape, &values.device(), values.dtype().into());
    B::float_slice_assign(zeros, &slices(&place), values)
}

/// All images and channels of a region.
fn slices(region: &Region) -> Vec<Slice> {
    let space = region.iter().cloned().map(Slice::from);
    [Slice::full(), Slice::full()].into_iter().chain(space).collect()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::backend::Dispatch;
    use burn::module::Module;
    use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
    use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
    use burn::tensor::activation::{leaky_relu, relu, sigmoid};
    use burn::tensor::module::{interpolate, max_pool2d};
    use burn::tensor::ops::{InterpolateMode, InterpolateOptions, MaxPoolOptions};
    use burn::tensor::{Device, Tensor, TensorData};

    use super::Cotangent;
    use crate::{Constants, Graph, Keep, Network, Target};

    /// What decoders are made of, and a pooling.
    #[derive(Module, Debug)]
    struct Net {
        narrow: Conv2d,
        wide: Conv2d,
        up: ConvTranspose2d,
        norm: BatchNorm,
        out: Conv2d,
    }

    fn net(device: &Device) -> Net {
        device.seed(3);
        let conv = |channels| {
            let same = PaddingConfig2d::Same;
            Conv2dConfig::new(channels, [3, 3]).with_padding(same).init(device)
        };
        let up = ConvTranspose2dConfig::new([16, 4], [2, 2]).with_stride([2, 2]);
        Net {
            narrow: conv([2, 16]),
            wide: conv([16, 16]),
            up: up.init(device),
            norm: BatchNormConfig::new(4).init(device),
            out: conv([10, 2]),
        }
    }

    /// The gradients at `layer` and `half` of a score of a few pixels, with the values behind them whose
    /// cotangents were whole: of a walk of the region, and of one of the whole.
    fn walked() -> [(Vec<f32>, Vec<String>); 2] {
        let device = Device::flex();
        let net = net(&device);
        let graph = Graph::capture([1, 2, 64, 64], |x: Tensor<4>, names| {
            let net = net.valid().to_device(&x.device());
            let layer = names.name("layer", relu(net.narrow.forward(x.clone())));
            let half = max_pool2d(layer, MaxPoolOptions::new([2, 2]).with_stride([2, 2]));
            let half = names.name("half", leaky_relu(net.wide.forward(half), 0.1));
            let up = net.norm.forward(net.up.forward(half.clone())) * 0.5 + 1.0;
            let resized = |mode| {
                let part = half.clone().slice([0..1, 0..2]);
                interpolate(part, InterpolateOptions::new(mode).with_output_size([64, 64]))
            };
            let linear = sigmoid(resized(InterpolateMode::Bilinear));
            let nearest = resized(InterpolateMode::Nearest).clamp(-0.5, 0.5);
            let gate = linear.clone() * nearest.clone();
            net.out.forward(Tensor::cat(vec![up, linear, nearest, -x + gate], 1))
        });
        let constants = Constants::default();
        let network =
            Network::<Dispatch>::new(graph.expect("a graph"), device.as_dispatch(), &constants);
        let network = network.expect("rules");
        let nodes: Vec<_> = network.graph().nodes().iter().filter(|node| node.named).collect();
        let values: Vec<f32> = (0..2 * 64 * 64).map(|at| (at as f32 * 0.37).sin()).collect();
        let input = Tensor::<4>::from_data(TensorData::new(values, [1, 2, 64, 64]), &device);
        let run = network.run(input.into_dispatch(), Keep { nodes: &nodes, ..Keep::default() });
        let run = run.expect("a run");
        let weights = Tensor::<4>::zeros([1, 1, 64, 64], &device);
        let weights = weights.slice_fill([0..1, 0..1, 30..34, 41..44], 2.0).into_dispatch();
        let target = Target { channels: vec![(1, 1.0)], weights };
        let ids: Vec<_> = nodes.iter().map(|node| node.id).collect();
        let active = network.graph.descendants(ids.iter().copied());
        let (start, cotangent) = run.start(&[vec![target]], &ids);
        let everything = Cotangent::whole(cotangent.clone().into_whole());
        [cotangent, everything].map(|cotangent| {
            let (mut found, mut whole) = (vec![], vec![]);
            run.walk((start, cotangent), 1, &active, |id, cotangent| {
                if cotangent.region().is_none() {
                    whole.push(network.graph.name(id));
                }
                if ids.contains(&id) {
                    let gradient = Tensor::<4>::from_dispatch(cotangent.clone().into_whole());
                    found.extend(gradient.into_data().iter::<f32>());
                }
            });
            (found, whole)
        })
    }

    #[test]
    fn what_decoders_are_made_of_takes_regions_back() {
        let [(found, whole), (wanted, everything)] = walked();
        assert_eq!((whole, everything.len() > 10), (Vec::<String>::new(), true));
        let largest = wanted.iter().fold(0f32, |most, value| most.max(value.abs()));
        assert!(largest > 0.0 && found.len() == wanted.len());
        let mut gaps = found.iter().zip(&wanted).map(|(one, other)| (one - other).abs());
        // NaN is no small gap.
        assert!(gaps.all(|gap| gap <= 1e-5 * largest));
    }
}
