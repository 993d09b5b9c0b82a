use burn::backend::Backend;
use burn::backend::ir::{ModuleOperationIr as Op, TensorIr};
use burn::backend::tensor::{FloatTensor, IntTensor};

use super::ghost;
use crate::env::{Env, Unsupported};

/// A backward operation that looks at the shape of the input only.
fn by_shape<B: Backend>(
    env: &mut Env<B>,
    input: &TensorIr,
    back: impl Fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B> + Send + Sync + 'static,
) {
    let (device, like) = (env.device.clone(), input.clone());
    env.path(input, move |g, count| back(ghost::<B>(&device, &like, count), g));
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
        back(ghost::<B>(&device, &like, count), g, at)
    });
}

macro_rules! max_pool {
    ($env:ident, $d:ident, $pool:path, $with_indices:path, $backward:path) => {{
        let (x, dtype) = ($env.float(&$d.x)?, $env.settings.int_dtype);
        let (k, s, p, l, c) = ($d.kernel_size, $d.stride, $d.padding, $d.dilation, $d.ceil_mode);
        if $env.follows(&$d.x) {
            let indices = move |x| $with_indices(x, k, s, p, l, c, dtype).indices;
            by_index($env, &$d.x, x.clone(), indices, move |x, g, at| {
                $backward(x, k, s, p, l, c, g, at).x_grad
            });
        }
        $env.set_float(&$d.out, $pool(x, k, s, p, l, c));
    }};
}

pub(super) fn run<B: Backend>(env: &mut Env<B>, op: &Op) -> Result<(), Unsupported> {
    match op {
        Op::MaxPool1d(d) => max_pool!(
            env,
            d,
            B::max_pool1d,
            B::max_pool1d_with_indices,
            B::max_pool1d_with_indices_backward
        ),
        Op::MaxPool2d(d) => max_pool!(
            env,
            d,
            B::max_pool2d,
            B::max_pool2d_with_indices,
            B::max_pool2d_with_indices_backward
        ),
        Op::MaxPool2dWithIndices(d) => {
            let x = env.float(&d.x)?;
            let (k, s, p, l, c) = (d.kernel_size, d.stride, d.padding, d.dilation, d.ceil_mode);
            let dtype = env.settings.int_dtype;
            let found = B::max_pool2d_with_indices(x.clone(), k, s, p, l, c, dtype);
            if env.follows(&d.x) {
                let indices = found.indices.clone();
                by_index(
                    env,
                    &d.x,
                    x,
                    move |_| indices.clone(),
                    move |x, g, at| {
                        B::max_pool2d_with_indices_backward(x, k, s, p, l, c, g, at).x_grad
                    },
                );
            }
            env.set_float(&d.out, found.output);
            env.set_int(&d.out_indices, found.indices);
        }
        Op::AvgPool1d(d) => {
            let x = env.float(&d.x)?;
            let (k, s, p) = (d.kernel_size, d.stride, d.padding);
            let (pad, ceil) = (d.count_include_pad, d.ceil_mode);
            by_shape(env, &d.x, move |x, g| B::avg_pool1d_backward(x, g, k, s, p, pad, ceil));
            env.set_float(&d.out, B::avg_pool1d(x, k, s, p, pad, ceil));
        }
        Op::AvgPool2d(d) => {
            let x = env.float(&d.x)?;
            let (k, s, p) = (d.kernel_size, d.stride, d.padding);
            let (pad, ceil) = (d.count_include_pad, d.ceil_mode);
            by_shape(env, &d.x, move |x, g| B::avg_pool2d_backward(x, g, k, s, p, pad, ceil));
            env.set_float(&d.out, B::avg_pool2d(x, k, s, p, pad, ceil));
        }
        Op::AdaptiveAvgPool1d(d) => {
            let x = env.float(&d.x)?;
            by_shape(env, &d.x, B::adaptive_avg_pool1d_backward);
            env.set_float(&d.out, B::adaptive_avg_pool1d(x, d.output_size));
        }
        Op::AdaptiveAvgPool2d(d) => {
            let x = env.float(&d.x)?;
            by_shape(env, &d.x, B::adaptive_avg_pool2d_backward);
            env.set_float(&d.out, B::adaptive_avg_pool2d(x, d.output_size));
        }
        Op::AdaptiveAvgPool3d(d) => {
            let x = env.float(&d.x)?;
            by_shape(env, &d.x, B::adaptive_avg_pool3d_backward);
            env.set_float(&d.out, B::adaptive_avg_pool3d(x, d.output_size));
        }
        Op::Interpolate(d) => super::interpolate::run(env, d)?,
        _ => return Err(Unsupported),
    }
    Ok(())
}
