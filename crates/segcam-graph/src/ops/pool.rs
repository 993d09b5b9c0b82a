use std::ops::Range;

use burn::backend::Backend;
use burn::backend::ir::{ModuleOperationIr as Op, TensorIr};
use burn::backend::tensor::{FloatTensor, IntTensor};

use super::{Along, Rule, placeholder, rule, spatial, window};
use crate::cotangent::{Cotangent, Region};
use crate::env::Env;

/// A backward operation that looks at the shape of the input only.
fn by_shape<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    back: impl Fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B> + Send + Sync + 'static,
) {
    let (device, like) = (env.device.clone(), input.clone());
    env.path(input, move |g, count| back(placeholder::<B>(&device, &like, count), g));
}

/// Max pooling: the indices of the largest values lead back.
fn by_index<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    x: FloatTensor<B>,
    indices: impl Fn(FloatTensor<B>) -> IntTensor<B> + Send + Sync + 'static,
    reached: impl Fn(usize, &Range<usize>) -> Range<usize> + Send + Sync + 'static,
    back: impl Fn(FloatTensor<B>, FloatTensor<B>, IntTensor<B>) -> FloatTensor<B>
    + Send
    + Sync
    + 'static,
) {
    let at = env.derived(input, x, indices);
    let (device, like) = (env.device.clone(), input.clone());
    env.part_path(input, move |g, count| {
        let at = if count > 1 { B::int_repeat_dim(at(), 0, count) } else { at() };
        let mut like = like.clone();
        let Some((region, _)) = g.region() else {
            return g.map(|g| back(placeholder::<B>(&device, &like, count), g, at));
        };
        let cells: Region =
            region.iter().enumerate().map(|(axis, range)| reached(axis, range)).collect();
        let sides = like.shape[2..].to_vec();
        let at = counted_within::<B>(g.part_of_indices(at), &cells, &sides);
        for (axis, cells) in cells.iter().enumerate() {
            like.shape[axis + 2] = cells.len();
        }
        let values = back(placeholder::<B>(&device, &like, count), g.values, at);
        Cotangent::within(values, cells, &sides)
    });
}

/// Numbers of cells, in row-major order, counted within a region instead of the whole.
fn counted_within<B: Backend>(
    mut at: IntTensor<B>,
    region: &Region,
    sides: &[usize],
) -> IntTensor<B> {
    let mut within: Option<IntTensor<B>> = None;
    let (mut step, mut stride) =
        (sides.iter().product::<usize>(), region.iter().map(Range::len).product::<usize>());
    for (range, side) in region.iter().zip(sides) {
        step /= side;
        stride /= range.len();
        let place = B::int_div_scalar(at.clone(), (step as i64).into());
        let passed = B::int_mul_scalar(place.clone(), (step as i64).into());
        at = B::int_sub(at, passed);
        let place = B::int_sub_scalar(place, (range.start as i64).into());
        let part = B::int_mul_scalar(place, (stride as i64).into());
        within = Some(match within {
            Some(within) => B::int_add(within, part),
            None => part,
        });
    }
    within.unwrap_or(at)
}

/// The cells under a pooling window.
fn under<const N: usize>(
    x: &TensorIr,
    [kernel, stride, padding, dilation]: [[usize; N]; 4],
) -> impl Fn(&TensorIr, usize) -> Along + '_ {
    spatial(x, move |axis| {
        let length = x.shape[axis + 2];
        window(kernel[axis], stride[axis], padding[axis], dilation[axis], length)
    })
}

/// The cells under the windows of a row of output cells.
fn reached<const N: usize>(
    x: &TensorIr,
    [kernel, stride, padding, dilation]: [[usize; N]; 4],
) -> impl Fn(usize, &Range<usize>) -> Range<usize> + use<N> {
    let sides = x.shape[2..].to_vec();
    move |axis, to| {
        let start = (to.start * stride[axis]).saturating_sub(padding[axis]);
        let last = (to.end - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis];
        start..(last + 1).saturating_sub(padding[axis]).min(sides[axis])
    }
}

macro_rules! avg_pool {
    ($d:ident, $under:expr, $pool:path, $backward:path) => {{
        let (k, s, p) = ($d.kernel_size, $d.stride, $d.padding);
        let (pad, ceil) = ($d.count_include_pad, $d.ceil_mode);
        rule::<B>(under(&$d.x, $under), move |env| {
            let x = env.float(&$d.x)?;
            by_shape(env, &$d.x, move |x, g| $backward(x, g, k, s, p, pad, ceil));
            env.set_float(&$d.out, $pool(x, k, s, p, pad, ceil))
        })
    }};
}

macro_rules! adaptive_avg_pool {
    ($d:ident, $pool:path, $backward:path) => {{
        let part = |axis| {
            let [from, to]: [usize; 2] = [$d.x.shape[axis + 2], $d.out.shape[axis + 2]];
            Along::cells(move |cell: usize| cell * from / to..((cell + 1) * from).div_ceil(to))
        };
        rule::<B>(spatial(&$d.x, part), |env| {
            let x = env.float(&$d.x)?;
            by_shape(env, &$d.x, $backward);
            env.set_float(&$d.out, $pool(x, $d.output_size))
        })
    }};
}

macro_rules! max_pool {
    ($d:ident, $under:expr, $pool:path, $with_indices:path, $backward:path) => {{
        let (k, s, p, l, c) = ($d.kernel_size, $d.stride, $d.padding, $d.dilation, $d.ceil_mode);
        rule::<B>(under(&$d.x, $under), move |env| {
            let (x, dtype) = (env.float(&$d.x)?, env.settings.int_dtype);
            if env.follows(&$d.x) {
                let indices = move |x| $with_indices(x, k, s, p, l, c, dtype).indices;
                let reached = reached(&$d.x, $under);
                by_index(env, &$d.x, x.clone(), indices, reached, move |x, g, at| {
                    $backward(x, k, s, p, l, c, g, at).x_grad
                });
            }
            env.set_float(&$d.out, $pool(x, k, s, p, l, c))
        })
    }};
}

pub(super) fn rule_of<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    match op {
        Op::MaxPool1d(d) => max_pool!(
            d,
            [[d.kernel_size], [d.stride], [d.padding], [d.dilation]],
            B::max_pool1d,
            B::max_pool1d_with_indices,
            B::max_pool1d_with_indices_backward
        ),
        Op::MaxPool2d(d) => max_pool!(
            d,
            [d.kernel_size, d.stride, d.padding, d.dilation],
            B::max_pool2d,
            B::max_pool2d_with_indices,
            B::max_pool2d_with_indices_backward
        ),
        Op::MaxPool2dWithIndices(d) => {
            let (k, s, p, l, c) = (d.kernel_size, d.stride, d.padding, d.dilation, d.ceil_mode);
            rule::<B>(under(&d.x, [k, s, p, l]), move |env| {
                let (x, dtype) = (env.float(&d.x)?, env.settings.int_dtype);
                let found = B::max_pool2d_with_indices(x.clone(), k, s, p, l, c, dtype);
                if env.follows(&d.x) {
                    let indices = found.indices.clone();
                    let indices = move |_| indices.clone();
                    let reached = reached(&d.x, [k, s, p, l]);
                    by_index(env, &d.x, x, indices, reached, move |x, g, at| {
                        B::max_pool2d_with_indices_backward(x, k, s, p, l, c, g, at).x_grad
                    });
                }
                env.set_int(&d.out_indices, found.indices)?;
                env.set_float(&d.out, found.output)
            })
        }
        Op::AvgPool1d(d) => avg_pool!(
            d,
            [[d.kernel_size], [d.stride], [d.padding], [1]],
            B::avg_pool1d,
            B::avg_pool1d_backward
        ),
        Op::AvgPool2d(d) => avg_pool!(
            d,
            [d.kernel_size, d.stride, d.padding, [1; 2]],
            B::avg_pool2d,
            B::avg_pool2d_backward
        ),
        Op::AdaptiveAvgPool1d(d) => {
            adaptive_avg_pool!(d, B::adaptive_avg_pool1d, B::adaptive_avg_pool1d_backward)
        }
        Op::AdaptiveAvgPool2d(d) => {
            adaptive_avg_pool!(d, B::adaptive_avg_pool2d, B::adaptive_avg_pool2d_backward)
        }
        Op::AdaptiveAvgPool3d(d) => {
            adaptive_avg_pool!(d, B::adaptive_avg_pool3d, B::adaptive_avg_pool3d_backward)
        }
        Op::Interpolate(d) => super::interpolate::rule_of(d),
        _ => None,
    }
}
