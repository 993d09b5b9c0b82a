use burn::backend::Backend;
use burn::backend::ir::{ModuleOperationIr as Op, TensorIr};
use burn::backend::tensor::{FloatTensor, IntTensor};

use super::{Along, Rule, placeholder, rule, spatial, window};
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
    back: impl Fn(FloatTensor<B>, FloatTensor<B>, IntTensor<B>) -> FloatTensor<B>
    + Send
    + Sync
    + 'static,
) {
    let at = env.derived(input, x, indices);
    let (device, like) = (env.device.clone(), input.clone());
    env.path(input, move |g, count| {
        let at = if count > 1 { B::int_repeat_dim(at(), 0, count) } else { at() };
        back(placeholder::<B>(&device, &like, count), g, at)
    });
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
                by_index(env, &$d.x, x.clone(), indices, move |x, g, at| {
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
                    by_index(env, &d.x, x, indices, move |x, g, at| {
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
