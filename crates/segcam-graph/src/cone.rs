use std::collections::HashMap;

use burn::backend::ir::{
    ActivationOperationIr as A, BaseOperationIr as Base, FloatOperationIr as F,
    InterpolateModeIr as Mode, ModuleOperationIr as M, NumericOperationIr as N, OperationIr,
    PadModeIr, TensorId, TensorIr,
};
use burn::backend::ops::ConvOptions;

use crate::Graph;
use crate::graph::Node;

/// The cells of a value that something depends on.
#[derive(Debug, Clone)]
enum Cells {
    /// All of them, as far as is known.
    All,
    /// `[N, …]`: images and space, in row-major order. Channels are not told apart.
    Some(Vec<bool>, Vec<usize>),
}

/// The input cells along one axis that an output cell along the same axis depends on.
type Taps = Box<dyn Fn(usize) -> Vec<usize>>;

impl Graph {
    /// The cells of `node` that the output's cells in `mask` can depend on, whatever the input's
    /// values are; `true` where they can. What is not known to be impossible counts as possible.
    ///
    /// `mask` has one entry for each image and pixel of the output, the result one for each image
    /// and cell of the node, both in row-major order.
    pub fn cone(&self, mask: &[bool], node: &Node) -> Vec<bool> {
        let shapes: HashMap<TensorId, Vec<usize>> = self
            .operations
            .iter()
            .flat_map(OperationIr::nodes)
            .map(|tensor| (tensor.id, cells(&tensor.shape)))
            .collect();
        let count: usize = cells(&node.shape).iter().product();
        let Some(output) = shapes.get(&self.output) else { return mask.to_vec() };
        let mut found = HashMap::from([(self.output, Cells::Some(mask.to_vec(), output.clone()))]);
        for operation in self.operations.iter().rev() {
            // The node itself is where the walk ends.
            let outs = operation.outputs().filter(|out| out.id != node.id);
            let outs: Vec<Cells> = outs.filter_map(|out| found.remove(&out.id)).collect();
            let Some(cells) = outs.into_iter().reduce(union) else { continue };
            for input in operation.inputs().filter(|input| !self.constants.contains_key(&input.id))
            {
                let reached = before(operation, input, &cells);
                let all = match found.remove(&input.id) {
                    Some(other) => union(other, reached),
                    None => reached,
                };
                found.insert(input.id, all);
            }
        }
        match found.remove(&node.id) {
            Some(Cells::Some(cells, _)) => cells,
            Some(Cells::All) => vec![true; count],
            None => vec![false; count],
        }
    }
}

/// The shape without its channels.
fn cells(shape: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().filter(|(dim, _)| *dim != 1).map(|(_, side)| *side).collect()
}

fn union(a: Cells, b: Cells) -> Cells {
    match (a, b) {
        (Cells::Some(mut a, shape), Cells::Some(b, other)) if shape == other => {
            a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
            Cells::Some(a, shape)
        }
        _ => Cells::All,
    }
}

/// The cells of `input` that an operation's output cells depend on.
fn before(operation: &OperationIr, input: &TensorIr, out: &Cells) -> Cells {
    let Cells::Some(mask, shape) = out else { return Cells::All };
    let wanted = cells(&input.shape);
    if wanted.len() != shape.len() {
        return Cells::All;
    }
    let Some(axes) = axes(operation, input, &wanted, shape) else { return Cells::All };
    // Windows are the same in every direction, so that one axis after the other is exact.
    let (mut mask, mut shape) = (mask.clone(), shape.clone());
    for (axis, taps) in axes.into_iter().enumerate() {
        if let Some(taps) = taps {
            mask = along(&mask, &shape, axis, wanted[axis], &taps);
            shape[axis] = wanted[axis];
        }
    }
    Cells::Some(mask, shape)
}

fn along(mask: &[bool], shape: &[usize], axis: usize, length: usize, taps: &Taps) -> Vec<bool> {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut reached = vec![false; outer * length * inner];
    for to in 0..shape[axis] {
        for from in taps(to) {
            for block in 0..outer {
                let source = &mask[(block * shape[axis] + to) * inner..][..inner];
                let place = &mut reached[(block * length + from) * inner..][..inner];
                place.iter_mut().zip(source).for_each(|(place, source)| *place |= source);
            }
        }
    }
    reached
}

/// How an operation's output depends on an input along each axis of `[N, …]`; `None` for an axis
/// along which nothing moves. `None` in all if it is not known.
fn axes(
    operation: &OperationIr,
    input: &TensorIr,
    from: &[usize],
    to: &[usize],
) -> Option<Vec<Option<Taps>>> {
    let space = from.len() - 1;
    // Along the batch nothing moves.
    let spatial = |taps: &dyn Fn(usize) -> Taps| {
        std::iter::once(None).chain((0..space).map(|axis| Some(taps(axis)))).collect()
    };
    macro_rules! conv {
        ($d:expr) => {{
            let o: ConvOptions<_> = $d.options.clone().into();
            let kernel = |axis: usize| $d.weight.shape[axis + 2];
            (input.id == $d.x.id).then(|| {
                spatial(&|axis| {
                    let padding = o.padding[axis].0;
                    window(kernel(axis), o.stride[axis], padding, o.dilation[axis], from[axis + 1])
                })
            })
        }};
    }
    macro_rules! transposed {
        ($d:expr) => {{
            let o = &$d.options;
            let kernel = |axis: usize| $d.weight.shape[axis + 2];
            (input.id == $d.x.id).then(|| {
                spatial(&|axis| {
                    let (kernel, length) = (kernel(axis), from[axis + 1]);
                    let (stride, padding) = (o.stride[axis], o.padding[axis]);
                    let dilation = o.dilation[axis];
                    Box::new(move |to| {
                        let starts =
                            (0..kernel).filter_map(|k| (to + padding).checked_sub(k * dilation));
                        let starts = starts.filter(|start| start % stride == 0);
                        starts.map(|start| start / stride).filter(|at| *at < length).collect()
                    })
                })
            })
        }};
    }
    macro_rules! pool {
        ($d:expr, $dilation:expr) => {
            Some(spatial(&|axis| {
                let [k, s, p, d] = [$d.kernel_size, $d.stride, $d.padding, $dilation]
                    .map(|all| Sides::at(&all, axis));
                window(k, s, p, d, from[axis + 1])
            }))
        };
    }
    match operation {
        OperationIr::Module(M::Conv1d(d)) => conv!(d),
        OperationIr::Module(M::Conv2d(d)) => conv!(d),
        OperationIr::Module(M::Conv3d(d)) => conv!(d),
        OperationIr::Module(M::ConvTranspose1d(d)) => transposed!(d),
        OperationIr::Module(M::ConvTranspose2d(d)) => transposed!(d),
        OperationIr::Module(M::ConvTranspose3d(d)) => transposed!(d),
        OperationIr::Module(M::MaxPool1d(d)) => pool!(d, d.dilation),
        OperationIr::Module(M::MaxPool2d(d)) => pool!(d, d.dilation),
        OperationIr::Module(M::MaxPool2dWithIndices(d)) => pool!(d, d.dilation),
        OperationIr::Module(M::AvgPool1d(d)) => pool!(d, d.kernel_size.ones()),
        OperationIr::Module(M::AvgPool2d(d)) => pool!(d, d.kernel_size.ones()),
        OperationIr::Module(
            M::AdaptiveAvgPool1d(_) | M::AdaptiveAvgPool2d(_) | M::AdaptiveAvgPool3d(_),
        ) => Some(spatial(&|axis| {
            let (from, to) = (from[axis + 1], to[axis + 1]);
            Box::new(move |cell| (cell * from / to..((cell + 1) * from).div_ceil(to)).collect())
        })),
        OperationIr::Module(M::Interpolate(d)) => Some(spatial(&|axis| {
            let (from, to) = (from[axis + 1], to[axis + 1]);
            interpolated(&d.options.mode, d.options.align_corners, from, to)
        })),
        OperationIr::NumericFloat(_, N::Pad(d)) => Some(axes_of(from.len(), |dim, axis| {
            let ((start, end), length) = (d.padding[dim], from[axis] as i64);
            let mode = d.mode;
            (start + end > 0).then(|| -> Taps {
                Box::new(move |cell| {
                    let cell = cell as i64 - start as i64;
                    let source = match mode {
                        PadModeIr::Constant(_) => cell,
                        PadModeIr::Edge => cell.clamp(0, length - 1),
                        PadModeIr::Reflect if cell < 0 => -cell,
                        PadModeIr::Reflect if cell >= length => 2 * (length - 1) - cell,
                        PadModeIr::Reflect => cell,
                    };
                    (0..length).contains(&source).then_some(source as usize).into_iter().collect()
                })
            })
        })),
        OperationIr::BaseFloat(Base::Slice(d)) => Some(axes_of(from.len(), |dim, axis| {
            let slice = d.ranges.get(dim).copied()?;
            let cells: Vec<usize> = {
                let (range, step) = slice.to_range_and_step(from[axis]);
                let stepped = range.clone().step_by(step.unsigned_abs());
                if step < 0 {
                    range.rev().step_by(step.unsigned_abs()).collect()
                } else {
                    stepped.collect()
                }
            };
            Some(Box::new(move |cell| cells.get(cell).copied().into_iter().collect()))
        })),
        OperationIr::BaseFloat(Base::Flip(d)) => Some(axes_of(from.len(), |dim, axis| {
            let length = from[axis];
            d.axes.contains(&dim).then(|| -> Taps { Box::new(move |cell| vec![length - 1 - cell]) })
        })),
        OperationIr::BaseFloat(Base::Cat(d)) => Some(axes_of(from.len(), |dim, axis| {
            let length = from[axis];
            // The same tensor may stand in several places.
            let mut starts = vec![];
            let mut start = 0;
            for part in &d.tensors {
                if part.id == input.id {
                    starts.push(start);
                }
                start += part.shape[dim];
            }
            (dim == d.dim).then(|| -> Taps {
                Box::new(move |cell| {
                    let places = starts.iter().filter_map(|start| cell.checked_sub(*start));
                    places.filter(|place| *place < length).collect()
                })
            })
        })),
        _ if is_cellwise(operation) => from
            .iter()
            .zip(to)
            .map(|(from, to)| match (from, to) {
                (from, to) if from == to => Some(None),
                (1, _) => Some(Some(Box::new(|_| vec![0usize]) as Taps)),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// For each axis of `[N, …]`, with its dimension in `[N, C, …]`.
fn axes_of(axes: usize, taps: impl Fn(usize, usize) -> Option<Taps>) -> Vec<Option<Taps>> {
    (0..axes).map(|axis| taps(if axis == 0 { 0 } else { axis + 1 }, axis)).collect()
}

/// Whether each output cell depends on the input cell at its own place only, or on the only one
/// there is.
fn is_cellwise(operation: &OperationIr) -> bool {
    match operation {
        OperationIr::Module(M::BatchNorm(_)) => true,
        OperationIr::Activation(A::Softmax(d) | A::LogSoftmax(d) | A::Softmin(d)) => d.axis == 1,
        OperationIr::Activation(_) | OperationIr::Bool(_) => true,
        OperationIr::Float(_, F::Matmul(_) | F::Cross(_) | F::GridSample2d(_) | F::Quantize(_)) => {
            false
        }
        OperationIr::Float(_, _) => true,
        OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => {
            match op {
                Base::Reshape(d) => d.input.shape == d.out.shape,
                Base::Cast(_) | Base::MaskFill(_) | Base::MaskWhere(_) => true,
                Base::Equal(_) | Base::EqualElem(_) => true,
                Base::NotEqual(_) | Base::NotEqualElem(_) => true,
                _ => false,
            }
        }
        OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => match op {
            N::SumDim(d) | N::MeanDim(d) | N::MaxDim(d) | N::MinDim(d) | N::ArgMax(d) => {
                d.axis == 1
            }
            N::Add(_) | N::Sub(_) | N::Mul(_) | N::Div(_) | N::Abs(_) | N::Neg(_) | N::Sign(_) => {
                true
            }
            N::AddScalar(_) | N::SubScalar(_) | N::MulScalar(_) | N::DivScalar(_) => true,
            N::PowiScalar(_) | N::Clamp(_) | N::ClampMin(_) | N::ClampMax(_) => true,
            N::Greater(_) | N::GreaterEqual(_) | N::Lower(_) | N::LowerEqual(_) => true,
            N::GreaterElem(_) | N::GreaterEqualElem(_) => true,
            N::LowerElem(_) | N::LowerEqualElem(_) => true,
            _ => false,
        },
        _ => false,
    }
}

/// The cells under a window.
fn window(kernel: usize, stride: usize, padding: usize, dilation: usize, length: usize) -> Taps {
    Box::new(move |to| {
        let cells = (0..kernel).filter_map(|k| (to * stride + k * dilation).checked_sub(padding));
        cells.filter(|cell| *cell < length).collect()
    })
}

/// The cells that an interpolated one is mixed from.
fn interpolated(mode: &Mode, align_corners: bool, from: usize, to: usize) -> Taps {
    let reach: i64 = match mode {
        Mode::Nearest | Mode::NearestExact | Mode::Bilinear => 0,
        Mode::Bicubic => 1,
        Mode::Lanczos3 => 2,
    };
    let exact = matches!(mode, Mode::NearestExact);
    if matches!(mode, Mode::Nearest | Mode::NearestExact) {
        return Box::new(move |cell| {
            let half = if exact { 0.5 } else { 0.0 };
            let place = (cell as f64 + half) * from as f64 / to as f64;
            vec![(place as usize).min(from - 1)]
        });
    }
    Box::new(move |cell| {
        let place = if align_corners {
            cell as f64 * (from - 1) as f64 / (to - 1).max(1) as f64
        } else {
            (cell as f64 + 0.5) * from as f64 / to as f64 - 0.5
        };
        let low = place.floor() as i64;
        let mut cells: Vec<usize> = (low - reach..=low + 1 + reach)
            .map(|cell| cell.clamp(0, from as i64 - 1) as usize)
            .collect();
        cells.dedup();
        cells
    })
}

/// Sizes of a window: one number, or one for each axis.
trait Sides {
    fn at(&self, axis: usize) -> usize;
    fn ones(&self) -> Self;
}

impl Sides for usize {
    fn at(&self, _axis: usize) -> usize {
        *self
    }

    fn ones(&self) -> Self {
        1
    }
}

impl<const N: usize> Sides for [usize; N] {
    fn at(&self, axis: usize) -> usize {
        self[axis]
    }

    fn ones(&self) -> Self {
        [1; N]
    }
}
