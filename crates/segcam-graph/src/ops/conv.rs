use std::sync::Arc;

use burn::backend::ir::{ModuleOperationIr as Op, TensorIr};
use burn::backend::ops::{ConvOptions, ConvTransposeOptions};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, TensorMetadata};

use segcam_conv::Precision;

use super::{Rule, narrow, placeholder, rule, side_by_side, spatial, under_window, window};
use crate::cotangent::Cotangent;
use crate::env::{Env, Head, Unsupported};
use crate::host::{HostConvolution, Options, Way};

/// What all convolutions have in common.
pub(crate) struct Convolution<'a> {
    pub(crate) weight: &'a mut TensorIr,
    pub(crate) bias: &'a mut Option<TensorIr>,
    pub(crate) out: &'a mut TensorIr,
    pub(crate) groups: usize,
    pub(crate) transposed: bool,
}

macro_rules! convolution {
    ($d:expr, $transposed:expr) => {
        Some(Convolution {
            weight: &mut $d.weight,
            bias: &mut $d.bias,
            out: &mut $d.out,
            groups: $d.options.groups,
            transposed: $transposed,
        })
    };
}

/// The operation as a convolution, if it is one.
pub(crate) fn convolution(op: &mut Op) -> Option<Convolution<'_>> {
    match op {
        Op::Conv1d(d) => convolution!(d, false),
        Op::Conv2d(d) => convolution!(d, false),
        Op::Conv3d(d) => convolution!(d, false),
        Op::ConvTranspose1d(d) => convolution!(d, true),
        Op::ConvTranspose2d(d) => convolution!(d, true),
        Op::ConvTranspose3d(d) => convolution!(d, true),
        _ => None,
    }
}

macro_rules! forward {
    ($d:ident, $conv:path, $backward:path) => {{
        let options: ConvOptions<_> = $d.options.clone().into();
        let kernel = &$d.weight.shape;
        let (stride, padding, dilation) = (options.stride, options.padding, options.dilation);
        let under = move |axis: usize| {
            let (padding, length) = (padding[axis].0, $d.x.shape[axis + 2]);
            window(kernel[axis + 2], stride[axis], padding, dilation[axis], length)
        };
        rule::<B>(spatial(&$d.x, under), move |env| {
            let (x, weight) = (env.parts(&$d.x)?, env.float(&$d.weight)?);
            let bias = bias(env, $d.bias.as_ref())?;
            let host = HostPaths::<B>::new(&$d.weight, &weight, Options::from(&options));
            if env.follows(&$d.x) {
                let whole = options.groups == 1;
                let device = env.device.clone();
                let back = host.back(&$d.x, &$d.out);
                let same = transposed_options(&options, &$d.weight.shape);
                let apart = whole && (back.is_some() || same.is_some());
                let parts = if apart { env.split(&$d.x) } else { None };
                let joined = parts.is_some();
                for (part, start) in parts.unwrap_or_else(|| vec![($d.x.clone(), 0)]) {
                    let channels = if joined { part.shape[1] } else { $d.weight.shape[1] };
                    let rows = (start, channels);
                    let back = back.clone();
                    let convolution =
                        back.and_then(|back| host.get(env, None, rows, (Way::Back, back)));
                    if convolution.is_none()
                        && let Some(same) = &same
                    {
                        let weight = env.transposed(&$d.weight, &weight, options.groups)?;
                        let weight = narrow::<B>(weight, 0, start, part.shape[1]);
                        let same = same.clone();
                        env.path(&part, move |g, _| $conv(g, weight.clone(), None, same.clone()));
                        continue;
                    }
                    let (weight, options) = (weight.clone(), options.clone());
                    let (device, input) = (device.clone(), part.clone());
                    env.part_path(&part, move |g, count| {
                        let host = convolution.as_ref().and_then(|host| host.back::<B>(&g));
                        host.unwrap_or_else(|| {
                            let x = placeholder::<B>(&device, &input, count);
                            let weight = narrow::<B>(weight.clone(), 1, rows.0, rows.1);
                            Cotangent::whole($backward(x, weight, g.into_whole(), options.clone()))
                        })
                    });
                }
                if whole && !joined {
                    let (weight, options) = (weight.clone(), options.clone());
                    let (input, precision) =
                        ($d.x.clone(), env.convolutions().precision(Way::Back));
                    env.head(Head::Mixed(Box::new(move |g: Cotangent<B>, channels| {
                        let count = g.values.shape()[0] / input.shape[0];
                        let row = combined::<B>(&weight, 0, channels);
                        if is_pointwise(&options, &row.shape()) {
                            return g.map(|g| B::float_mul(g, row));
                        }
                        let host = once::<B>(&row, back.as_ref(), precision, &g);
                        host.unwrap_or_else(|| {
                            let x = placeholder::<B>(&device, &input, count);
                            Cotangent::whole($backward(x, row, g.into_whole(), options.clone()))
                        })
                    })));
                }
            }
            let value = match host.forward(env, $d.bias.as_ref().zip(bias.as_ref()), &x, &$d.out) {
                Some(value) => value,
                None => $conv(side_by_side::<B>(x), weight, bias, options),
            };
            env.set_float(&$d.out, value)
        })
    }};
}

macro_rules! transposed {
    ($d:ident, $conv:path, $backward:path) => {{
        let options: ConvTransposeOptions<_> = $d.options.clone().into();
        let kernel = &$d.weight.shape;
        let (stride, padding, dilation) = (options.stride, options.padding, options.dilation);
        let under = move |axis: usize| {
            let (padding, length) = (padding[axis], $d.x.shape[axis + 2]);
            under_window(kernel[axis + 2], stride[axis], padding, dilation[axis], length)
        };
        rule::<B>(spatial(&$d.x, under), move |env| {
            let (x, weight) = (env.parts(&$d.x)?, env.float(&$d.weight)?);
            let bias = bias(env, $d.bias.as_ref())?;
            let host = HostPaths::<B>::new(&$d.weight, &weight, Options::from(&options));
            if env.follows(&$d.x) {
                let (kept, same) = (weight.clone(), options.clone());
                let back = host.back(&$d.x, &$d.out);
                let rows = (0, $d.weight.shape[1]);
                let prepared = back.clone();
                let convolution =
                    prepared.and_then(|back| host.get(env, None, rows, (Way::Back, back)));
                env.part_path(&$d.x, move |g, _| {
                    let host = convolution.as_ref().and_then(|host| host.back::<B>(&g));
                    host.unwrap_or_else(|| {
                        Cotangent::whole($backward(kept.clone(), g.into_whole(), same.clone()))
                    })
                });
                if options.groups == 1 {
                    let (weight, options) = (weight.clone(), options.clone());
                    let precision = env.convolutions().precision(Way::Back);
                    env.head(Head::Mixed(Box::new(move |g: Cotangent<B>, channels| {
                        let row = combined::<B>(&weight, 1, channels);
                        let host = once::<B>(&row, back.as_ref(), precision, &g);
                        host.unwrap_or_else(|| {
                            Cotangent::whole($backward(row, g.into_whole(), options.clone()))
                        })
                    })));
                }
            }
            let value = match host.forward(env, $d.bias.as_ref().zip(bias.as_ref()), &x, &$d.out) {
                Some(value) => value,
                None => $conv(side_by_side::<B>(x), weight, bias, options),
            };
            env.set_float(&$d.out, value)
        })
    }};
}

pub(super) fn rule_of<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    match op {
        Op::Conv1d(d) => forward!(d, B::conv1d, B::conv1d_x_backward),
        Op::Conv2d(d) => forward!(d, B::conv2d, B::conv2d_x_backward),
        Op::Conv3d(d) => forward!(d, B::conv3d, B::conv3d_x_backward),
        Op::ConvTranspose1d(d) => {
            transposed!(d, B::conv_transpose1d, B::conv_transpose1d_x_backward)
        }
        Op::ConvTranspose2d(d) => {
            transposed!(d, B::conv_transpose2d, B::conv_transpose2d_x_backward)
        }
        Op::ConvTranspose3d(d) => {
            transposed!(d, B::conv_transpose3d, B::conv_transpose3d_x_backward)
        }
        _ => super::pool::rule_of(op),
    }
}

/// The ways of one convolution that can be taken in host memory.
struct HostPaths<'a, B: Backend> {
    weights: &'a TensorIr,
    value: FloatTensor<B>,
    options: Options,
}

impl<'a, B: Backend> HostPaths<'a, B> {
    fn new(weights: &'a TensorIr, value: &FloatTensor<B>, options: Options) -> Self {
        Self { weights, value: value.clone(), options }
    }

    /// The options of the way back.
    fn back(&self, x: &TensorIr, out: &TensorIr) -> Option<Options> {
        let sides = |tensor: &TensorIr| tensor.shape[2..].to_vec();
        self.options.back(&sides(self.weights), &sides(x), &sides(out))
    }

    fn get(
        &self,
        env: &Env<B>,
        bias: Option<(&TensorIr, &FloatTensor<B>)>,
        rows: (usize, usize),
        options: (Way, Options),
    ) -> Option<Arc<HostConvolution>> {
        env.host_convolution((self.weights, &self.value), bias, rows, options)
    }

    fn forward(
        &self,
        env: &mut Env<B>,
        bias: Option<(&TensorIr, &FloatTensor<B>)>,
        x: &[FloatTensor<B>],
        out: &TensorIr,
    ) -> Option<FloatTensor<B>> {
        let rows = (0, self.weights.shape[1]);
        let host = self.get(env, bias, rows, (Way::Forward, self.options.clone()))?;
        let rectified = env.is_before_relu(out);
        let value = host.run::<B>(x, rectified)?;
        if rectified {
            env.set_rectified(out);
        }
        Some(value)
    }
}

/// What a convolution with weights that are used once takes back, in host memory.
fn once<B: Backend>(
    weights: &FloatTensor<B>,
    options: Option<&Options>,
    precision: Option<Precision>,
    g: &Cotangent<B>,
) -> Option<Cotangent<B>> {
    HostConvolution::new::<B>(weights, None, options?, precision?)?.back::<B>(g)
}

/// The weights of one output channel, the sum of `channels` times their coefficients.
fn combined<B: Backend>(
    weight: &FloatTensor<B>,
    dim: usize,
    channels: &[(usize, f64)],
) -> FloatTensor<B> {
    let rows = channels.iter().map(|(channel, by)| {
        let row = narrow::<B>(weight.clone(), dim, *channel, 1);
        if *by == 1.0 { row } else { B::float_mul_scalar(row, (*by).into()) }
    });
    let none = || B::float_mul_scalar(narrow::<B>(weight.clone(), dim, 0, 1), 0.0.into());
    rows.reduce(B::float_add).unwrap_or_else(none)
}

/// The bias, which is also the constant part of the output.
fn bias<B: Backend>(
    env: &mut Env<B>,
    bias: Option<&TensorIr>,
) -> Result<Option<FloatTensor<B>>, Unsupported> {
    let Some(bias) = bias else { return Ok(None) };
    let value = env.float(bias)?;
    env.constant_channels(&value);
    Ok(Some(value))
}

/// The options of the convolution with transposed weights that is the input gradient of a convolution
/// with stride one; `None` for other strides.
fn transposed_options<const N: usize>(
    options: &ConvOptions<N>,
    weight: &Shape,
) -> Option<ConvOptions<N>> {
    let mut padding = options.padding;
    for axis in 0..N {
        let reach = options.dilation[axis] * (weight[axis + 2] - 1);
        let (begin, end) = options.padding[axis];
        padding[axis] = (reach.checked_sub(begin)?, reach.checked_sub(end)?);
    }
    let whole = options.stride == [1; N];
    whole.then(|| ConvOptions::new_with_padding([1; N], padding, options.dilation, options.groups))
}

/// Weights `[out, in/groups, …]` mirrored in space and with the channels exchanged.
pub(crate) fn transpose<B: Backend>(weight: FloatTensor<B>, groups: usize) -> FloatTensor<B> {
    let shape = weight.shape().to_vec();
    let space: Vec<usize> = (2..shape.len()).collect();
    let mut grouped = vec![groups, shape[0] / groups];
    grouped.extend(&shape[1..]);
    let mut exchanged = vec![groups * shape[1], shape[0] / groups];
    exchanged.extend(&shape[2..]);
    let weight = B::float_flip(weight, &space);
    let weight = B::float_swap_dims(B::float_reshape(weight, grouped.into()), 1, 2);
    B::float_reshape(weight, exchanged.into())
}

fn is_pointwise<const N: usize>(options: &ConvOptions<N>, weight: &Shape) -> bool {
    options.stride == [1; N]
        && options.padding == [(0, 0); N]
        && (2..weight.num_dims()).all(|dim| weight[dim] == 1)
}
