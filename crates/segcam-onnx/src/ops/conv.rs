use burn::backend::ops::{ConvOptions, ConvTransposeOptions, FloatTensorOps, ModuleOps};
use burn::backend::{Dispatch as B, TensorMetadata};

use burn::tensor::ops::PadMode;

use super::unknown;
use crate::value::{Call, Result, Tensor, Value, narrowed, side};

pub(super) const OPERATORS: &[&str] = &["Conv", "ConvTranspose"];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let y = match call.node.operator.as_str() {
        "Conv" => conv(call)?,
        "ConvTranspose" => conv_transpose(call)?,
        _ => return Err(unknown(call)),
    };
    Ok(vec![y.into()])
}

/// How a window moves over an image: one entry for each spatial axis.
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    pub(super) pads: Vec<(usize, usize)>,
    pub(super) out: Vec<usize>,
}

impl Window {
    /// From the attributes that convolutions and pools have in common. `image` holds the spatial
    /// sides. With `ceil`, the last window may reach beyond the padding.
    pub(super) fn new(
        call: &Call,
        image: &[usize],
        kernel: Vec<usize>,
        ceil: bool,
    ) -> Result<Self> {
        let rank = image.len();
        let stride = sides(call, "strides", rank)?;
        let dilation = sides(call, "dilations", rank)?;
        if kernel.len() != rank || kernel.contains(&0) {
            return Err(format!("kernel {kernel:?} does not fit {rank} spatial dimensions"));
        }
        let reach: Vec<usize> =
            (0..rank).map(|at| 1 + dilation[at].saturating_mul(kernel[at] - 1)).collect();
        let auto = call.text("auto_pad", "NOTSET");
        let pads = match auto.as_str() {
            "NOTSET" => explicit_pads(call, rank)?,
            "VALID" => vec![(0, 0); rank],
            "SAME_UPPER" | "SAME_LOWER" => (0..rank)
                .map(|at| {
                    let out = image[at].div_ceil(stride[at]);
                    let needed =
                        (out.saturating_sub(1) * stride[at] + reach[at]).saturating_sub(image[at]);
                    let small = needed / 2;
                    let pair = (small, needed - small);
                    if auto == "SAME_UPPER" { pair } else { (pair.1, pair.0) }
                })
                .collect(),
            other => return Err(format!("auto_pad {other} is not known")),
        };
        let mut out = vec![];
        for at in 0..rank {
            let (begin, end) = pads[at];
            let padded = image[at].saturating_add(begin).saturating_add(end);
            let room = padded.checked_sub(reach[at]).ok_or_else(|| {
                format!("the window of {} is larger than the padded side {padded}", reach[at])
            })?;
            let mut count = 1 + if ceil { room.div_ceil(stride[at]) } else { room / stride[at] };
            // A window that starts in the padding behind the image is none.
            if ceil && (count - 1) * stride[at] >= image[at] + begin {
                count -= 1;
            }
            out.push(count);
        }
        Ok(Self { kernel, stride, dilation, pads, out })
    }
}

/// One positive number for each spatial axis, one by default.
fn sides(call: &Call, name: &str, rank: usize) -> Result<Vec<usize>> {
    let Some(given) = call.ints(name) else { return Ok(vec![1; rank]) };
    let sides: Vec<usize> =
        given.iter().filter_map(|&n| usize::try_from(n).ok().filter(|&n| n > 0)).collect();
    if sides.len() != rank || given.len() != rank {
        return Err(format!("{name} must be {rank} positive numbers, they are {given:?}"));
    }
    Ok(sides)
}

fn explicit_pads(call: &Call, rank: usize) -> Result<Vec<(usize, usize)>> {
    let Some(given) = call.ints("pads") else { return Ok(vec![(0, 0); rank]) };
    let pads: Vec<usize> = given.iter().filter_map(|&pad| usize::try_from(pad).ok()).collect();
    if pads.len() != 2 * rank || given.len() != 2 * rank {
        return Err(format!("pads must be {} numbers from 0 on, they are {given:?}", 2 * rank));
    }
    Ok((0..rank).map(|at| (pads[at], pads[at + rank])).collect())
}

/// What both kinds of convolution read: image, weights, bias and groups. `transposed` tells which
/// dimension of the weights the channels of the image are.
fn operands(call: &Call, transposed: bool) -> Result<(Tensor, Tensor, Option<Tensor>, usize)> {
    let (x, weight) = (call.tensor(0)?, call.tensor(1)?);
    let bias = if call.has(2) { Some(call.tensor(2)?) } else { None };
    let groups = call.int("group", 1);
    let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0);
    let groups = groups.ok_or("group must be positive")?;
    let (image, kernel) = (x.shape().to_vec(), weight.shape().to_vec());
    let rank = image.len();
    let fits = (3..=5).contains(&rank) && kernel.len() == rank && {
        let reads = if transposed { kernel[0] } else { kernel[1] * groups };
        reads == image[1] && kernel[0] % groups == 0
    };
    let outputs = if transposed { kernel[1] * groups } else { kernel[0] };
    let fits = fits && bias.as_ref().is_none_or(|bias| bias.shape().to_vec() == [outputs]);
    if !fits {
        let bias = bias.map(|bias| bias.shape().to_vec());
        return Err(format!(
            "weights {kernel:?} with {groups} group(s) and bias {bias:?} do not fit an input of \
             shape {image:?}"
        ));
    }
    Ok((x, weight, bias, groups))
}

fn fixed<T: Copy, const N: usize>(values: &[T]) -> [T; N] {
    std::array::from_fn(|at| values[at])
}

fn conv(call: &Call) -> Result<Tensor> {
    let (x, weight, bias, groups) = operands(call, false)?;
    let (image, kernel) = (x.shape().to_vec(), weight.shape().to_vec());
    let mut window = Window::new(call, &image[2..], kernel[2..].to_vec(), false)?;
    call.expect_size(&[&[image[0], kernel[0]], &window.out[..]].concat())?;
    let mut x = x;
    if image.len() == 5 && window.pads.iter().any(|(begin, end)| begin != end) {
        // burn 0.22.1 gives gradients of another shape for volumes padded more on one side.
        let pads = [&[(0, 0); 2], &window.pads[..]].concat();
        x = B::float_pad(x, &pads, PadMode::Constant(0.0));
        window.pads.fill((0, 0));
    }
    fn options<const N: usize>(window: &Window, groups: usize) -> ConvOptions<N> {
        let (stride, dilation) = (fixed(&window.stride), fixed(&window.dilation));
        ConvOptions::new_with_padding(stride, fixed(&window.pads), dilation, groups)
    }
    Ok(match image.len() {
        3 => B::conv1d(x, weight, bias, options(&window, groups)),
        4 => B::conv2d(x, weight, bias, options(&window, groups)),
        _ => B::conv3d(x, weight, bias, options(&window, groups)),
    })
}

fn conv_transpose(call: &Call) -> Result<Tensor> {
    let (x, weight, bias, groups) = operands(call, true)?;
    let (image, kernel) = (x.shape().to_vec(), weight.shape().to_vec());
    let rank = image.len() - 2;
    let stride = sides(call, "strides", rank)?;
    let dilation = sides(call, "dilations", rank)?;
    let extra = call.ints("output_padding").unwrap_or_else(|| vec![0; rank]);
    let extra = extra.iter().map(|&n| side(n)).collect::<Result<Vec<_>>>()?;
    if extra.len() != rank || kernel[2..].contains(&0) || image[2..].contains(&0) {
        return Err(format!("output_padding {extra:?} or kernel {kernel:?} is wrong"));
    }
    // The whole result, from which the padding is cut off.
    let whole: Vec<usize> = (0..rank)
        .map(|at| {
            let reach = dilation[at].saturating_mul(kernel[at + 2] - 1);
            let steps = (image[at + 2] - 1).saturating_mul(stride[at]);
            steps.saturating_add(reach).saturating_add(1 + extra[at])
        })
        .collect();
    call.expect_size(&[&[image[0], kernel[1] * groups], &whole[..]].concat())?;
    let auto = call.text("auto_pad", "NOTSET");
    let wanted = match (call.ints("output_shape"), auto.as_str()) {
        (Some(sides), _) => Some(sides.iter().map(|&n| side(n)).collect::<Result<Vec<_>>>()?),
        (None, "SAME_UPPER" | "SAME_LOWER") => {
            Some((0..rank).map(|at| image[at + 2].saturating_mul(stride[at])).collect())
        }
        _ => None,
    };
    let pads = match wanted {
        None => explicit_pads(call, rank)?,
        Some(wanted) if wanted.len() == rank => (0..rank)
            .map(|at| {
                let total = whole[at].checked_sub(wanted[at]).ok_or_else(|| {
                    format!("an output of {} is wanted, it has only {}", wanted[at], whole[at])
                })?;
                let (small, large) = (total / 2, total - total / 2);
                Ok(if auto == "SAME_UPPER" { (small, large) } else { (large, small) })
            })
            .collect::<Result<_>>()?,
        Some(wanted) => return Err(format!("output_shape {wanted:?} needs {rank} sides")),
    };
    if (0..rank).any(|at| pads[at].0.saturating_add(pads[at].1) >= whole[at]) {
        return Err(format!("pads {pads:?} leave nothing of {whole:?}"));
    }
    let padding: Vec<usize> = pads.iter().map(|&(begin, end)| begin.min(end)).collect();
    let alike = pads.iter().all(|(begin, end)| begin == end);
    let cut = if alike { padding } else { vec![0; rank] };
    fn options<const N: usize>(
        stride: &[usize],
        cut: &[usize],
        extra: &[usize],
        dilation: &[usize],
        groups: usize,
    ) -> ConvTransposeOptions<N> {
        let (stride, cut) = (fixed(stride), fixed(cut));
        ConvTransposeOptions::new(stride, cut, fixed(extra), fixed(dilation), groups)
    }
    macro_rules! options {
        () => {
            options(&stride, &cut, &extra, &dilation, groups)
        };
    }
    let mut y = match rank {
        1 => B::conv_transpose1d(x, weight, bias, options!()),
        2 => B::conv_transpose2d(x, weight, bias, options!()),
        _ => B::conv_transpose3d(x, weight, bias, options!()),
    };
    if !alike {
        for (at, &(begin, end)) in pads.iter().enumerate() {
            y = narrowed(y, at + 2, begin, whole[at] - begin - end);
        }
    }
    Ok(y)
}
