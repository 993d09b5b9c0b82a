use burn::backend::ops::{FloatTensorOps, IntTensorOps, ModuleOps};
use burn::backend::{Dispatch as B, Slice, TensorMetadata};
use burn::tensor::IndexingUpdateOp;
use burn::tensor::ops::PadMode;

use super::conv::Window;
use super::unknown;
use crate::value::{Call, Result, Tensor, Value, reshaped, side};

pub(super) const OPERATORS: &[&str] =
    &["AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "MaxUnpool"];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    Ok(match call.node.operator.as_str() {
        "AveragePool" => vec![average_pool(call)?.into()],
        "MaxPool" => max_pool(call)?,
        "MaxUnpool" => vec![max_unpool(call)?.into()],
        "GlobalAveragePool" => vec![global(call, B::float_mean_dim)?.into()],
        "GlobalMaxPool" => vec![global(call, B::float_max_dim)?.into()],
        _ => return Err(unknown(call)),
    })
}

fn global(call: &Call, function: fn(Tensor, usize) -> Tensor) -> Result<Tensor> {
    let x = call.tensor(0)?;
    let shape = x.shape().to_vec();
    if shape.len() < 3 {
        return Err(format!("an input of shape {shape:?} has no space"));
    }
    // All of space at once.
    let flat = reshaped(x, &[shape[0], shape[1], shape[2..].iter().product()]);
    let mut pooled = shape;
    pooled[2..].fill(1);
    Ok(reshaped(function(flat, 2), &pooled))
}

/// The padded input, how the window moves over it, and its spatial rank.
fn windows(call: &Call, fill: f32) -> Result<(Tensor, Window)> {
    let x = call.tensor(0)?;
    let shape = x.shape().to_vec();
    if !(3..=5).contains(&shape.len()) {
        return Err(format!("an input of shape {shape:?} has no 1 to 3 spatial dimensions"));
    }
    let kernel = call.ints("kernel_shape").ok_or("it has no kernel_shape")?;
    let kernel = kernel.iter().map(|&n| side(n)).collect::<Result<Vec<_>>>()?;
    let window = Window::new(call, &shape[2..], kernel, call.int("ceil_mode", 0) != 0)?;
    let mut pads = vec![(0, 0); 2];
    for (at, &(begin, end)) in window.pads.iter().enumerate() {
        // What the windows read, and not more.
        let reach = window.dilation[at] * (window.kernel[at] - 1) + 1;
        let read = (window.out[at] - 1) * window.stride[at] + reach;
        pads.push((begin, end.max(read.saturating_sub(shape[at + 2] + begin))));
    }
    let padded: Vec<usize> =
        shape.iter().zip(&pads).map(|(n, (a, b))| n.saturating_add(a + b)).collect();
    call.expect_size(&padded)?;
    let x = if padded == shape { x } else { B::float_pad(x, &pads, PadMode::Constant(fill)) };
    Ok((x, window))
}

/// Pools one or two axes at a time: that is what burn's operation for images does.
fn by_planes(x: Tensor, window: &Window, pool: impl Fn(Tensor, [Axis; 2]) -> Tensor) -> Tensor {
    let axis = |at: usize| Axis {
        kernel: window.kernel[at],
        stride: window.stride[at],
        dilation: window.dilation[at],
    };
    let still = Axis { kernel: 1, stride: 1, dilation: 1 };
    let shape = x.shape().to_vec();
    match shape[2..] {
        [length] => {
            let y = pool(reshaped(x, &[shape[0], shape[1], 1, length]), [still, axis(0)]);
            reshaped(y, &[shape[0], shape[1], window.out[0]])
        }
        [_, _] => pool(x, [axis(0), axis(1)]),
        _ => {
            let (height, width) = (window.out[1], window.out[2]);
            let slices = [shape[0], shape[1] * shape[2], shape[3], shape[4]];
            let y = pool(reshaped(x, &slices), [axis(1), axis(2)]);
            let columns = [shape[0], shape[1], shape[2], height * width];
            let y = pool(reshaped(y, &columns), [axis(0), still]);
            reshaped(y, &[shape[0], shape[1], window.out[0], height, width])
        }
    }
}

#[derive(Clone, Copy)]
struct Axis {
    kernel: usize,
    stride: usize,
    dilation: usize,
}

fn max_pool(call: &Call) -> Result<Vec<Value>> {
    let (x, window) = windows(call, f32::NEG_INFINITY)?;
    let indices = call.node.outputs.get(1).is_some_and(Option::is_some);
    if indices {
        return max_pool_with_indices(call, x, &window);
    }
    let y = by_planes(x, &window, |x, axes| {
        let [kernel, stride, dilation] =
            [axes.map(|a| a.kernel), axes.map(|a| a.stride), axes.map(|a| a.dilation)];
        B::max_pool2d(x, kernel, stride, [0, 0], dilation, false)
    });
    Ok(vec![y.into()])
}

/// Places count through the whole tensor, as ONNX has them, and not through the padding.
fn max_pool_with_indices(call: &Call, x: Tensor, window: &Window) -> Result<Vec<Value>> {
    let shape = call.value(0)?.shape();
    let &[images, channels, height, width] = &shape[..] else {
        return Err("indices are supported for images [N, C, H, W]".into());
    };
    if call.int("storage_order", 0) != 0 {
        return Err("indices are supported in row order".into());
    }
    let pair = |values: &[usize]| [values[0], values[1]];
    let (kernel, stride) = (pair(&window.kernel), pair(&window.stride));
    let (dilation, dtype) = (pair(&window.dilation), call.settings.int_dtype);
    let padded = x.shape()[3] as i64;
    let found = B::max_pool2d_with_indices(x, kernel, stride, [0, 0], dilation, false, dtype);
    // From row and column of the padded plane to those of the image.
    let (top, left) = (window.pads[0].0 as i64, window.pads[1].0 as i64);
    let rows = B::int_div_scalar(found.indices.clone(), padded.into());
    let columns = B::int_remainder_scalar(found.indices, padded.into());
    let rows = B::int_mul_scalar(B::int_sub_scalar(rows, top.into()), (width as i64).into());
    let places = B::int_add(rows, B::int_sub_scalar(columns, left.into()));
    let planes: Vec<usize> = (0..images * channels).map(|plane| plane * height * width).collect();
    let planes = reshaped(call.indices(&planes), &[images, channels, 1, 1]);
    Ok(vec![found.output.into(), B::int_add(places, planes).into()])
}

fn max_unpool(call: &Call) -> Result<Tensor> {
    let (x, places) = (call.tensor(0)?, call.upload(call.value(1)?));
    let shape = x.shape().to_vec();
    let mut pooled = shape.clone();
    if call.has(2) {
        pooled = call.known_ints(2)?.into_iter().map(side).collect::<Result<_>>()?;
    } else {
        let kernel = call.ints("kernel_shape").ok_or("it has no kernel_shape")?;
        let stride = call.ints("strides").unwrap_or_else(|| vec![1; kernel.len()]);
        let pads = call.ints("pads").unwrap_or_else(|| vec![0; 2 * kernel.len()]);
        if [kernel.len(), stride.len(), pads.len() / 2] != [shape.len().saturating_sub(2); 3] {
            return Err("kernel_shape, strides and pads do not fit the input".into());
        }
        for at in 0..kernel.len() {
            let steps = (shape[at + 2] as i64 - 1).saturating_mul(stride[at]);
            let cut = pads[at].saturating_add(pads[at + kernel.len()]);
            pooled[at + 2] = side(steps.saturating_add(kernel[at]).saturating_sub(cut))?;
        }
    }
    call.expect_size(&pooled)?;
    if pooled.len() != shape.len() || places.shape().to_vec() != shape {
        return Err(format!("places and an output of shape {pooled:?} do not fit {shape:?}"));
    }
    let (cells, count) = (pooled.iter().product::<usize>(), shape.iter().product());
    let zeros = B::float_zeros([cells].into(), call.device, call.settings.float_dtype);
    let (x, places) = (reshaped(x, &[count]), reshaped(places, &[count]));
    let add = IndexingUpdateOp::Add;
    Ok(reshaped(B::float_scatter(0, zeros, places, x, add), &pooled))
}

fn average_pool(call: &Call) -> Result<Tensor> {
    let (x, window) = windows(call, 0.0)?;
    let shape = call.value(0)?.shape();
    let mut y = if window.dilation.iter().all(|&dilation| dilation == 1) {
        by_planes(x, &window, |x, axes| {
            let (kernel, stride) = (axes.map(|a| a.kernel), axes.map(|a| a.stride));
            B::avg_pool2d(x, kernel, stride, [0, 0], true, false)
        })
    } else {
        dilated_average(x, &window)
    };
    // A window at the border holds fewer cells than it is large.
    let whole = call.int("count_include_pad", 0) != 0;
    for at in 0..window.out.len() {
        let (begin, end) = window.pads[at];
        let (low, high) =
            if whole { (0, shape[at + 2] + begin + end) } else { (begin, begin + shape[at + 2]) };
        let factor = |cell: usize| {
            let start = cell * window.stride[at];
            let cells = (0..window.kernel[at]).map(|tap| start + tap * window.dilation[at]);
            let held = cells.filter(|cell| (low..high).contains(cell)).count();
            window.kernel[at] as f64 / held.max(1) as f64
        };
        let factors: Vec<f64> = (0..window.out[at]).map(factor).collect();
        if factors.iter().any(|&factor| factor != 1.0) {
            let mut sides = vec![1; shape.len()];
            sides[at + 2] = window.out[at];
            y = B::float_mul(y, call.upload_floats(factors, &sides)?);
        }
    }
    Ok(y)
}

/// burn's average pool has no dilation: one slice of the input for each cell of the window.
fn dilated_average(mut x: Tensor, window: &Window) -> Tensor {
    for at in 0..window.kernel.len() {
        let (stride, out) = (window.stride[at], window.out[at]);
        let mut total: Option<Tensor> = None;
        for tap in 0..window.kernel[at] {
            let start = (tap * window.dilation[at]) as isize;
            let end = start + ((out - 1) * stride + 1) as isize;
            let mut ranges = vec![Slice::full(); x.shape().num_dims()];
            ranges[at + 2] = Slice::new(start, Some(end), stride as isize);
            let cells = B::float_slice(x.clone(), &ranges);
            total = Some(match total {
                None => cells,
                Some(total) => B::float_add(total, cells),
            });
        }
        if let Some(total) = total {
            x = B::float_div_scalar(total, (window.kernel[at] as f64).into());
        }
    }
    x
}
