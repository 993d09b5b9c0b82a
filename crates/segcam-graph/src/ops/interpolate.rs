use std::ops::Range;

use burn::backend::ir::{InterpolateModeIr as Mode, InterpolateOpIr, TensorIr};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, IntDType, TensorData};

use super::{Along, Rule, placeholder, rule, spatial};
use crate::cotangent::Cotangent;
use crate::env::{Back, Env, Head};

pub(super) fn rule_of<B: Backend>(d: &InterpolateOpIr) -> Option<Rule<'_, B>> {
    let mixed = |axis| {
        let (from, to) = (d.x.shape[axis + 2], d.out.shape[axis + 2]);
        mixed(&d.options.mode, d.options.align_corners, from, to)
    };
    rule::<B>(spatial(&d.x, mixed), |env| {
        let x = env.float(&d.x)?;
        if env.follows(&d.x) {
            let mut one_channel = d.x.clone();
            one_channel.shape[1] = 1;
            let (all, one) = (back(env, d, &d.x), back(env, d, &one_channel));
            env.part_path(&d.x, all);
            env.head(Head::Channel(one));
        }
        env.set_float(&d.out, B::interpolate(x, d.output_size, d.options.clone().into()))
    })
}

/// The cells along one axis that an interpolated one is mixed from.
fn mixed(mode: &Mode, align_corners: bool, from: usize, to: usize) -> Along {
    let reach: i64 = match mode {
        Mode::Nearest => return Along::cells(move |cell| [nearest(cell, from, to, 0.0).0]),
        Mode::NearestExact => return Along::cells(move |cell| [nearest(cell, from, to, 0.5).0]),
        Mode::Bilinear => 0,
        Mode::Bicubic => 1,
        Mode::Lanczos3 => 2,
    };
    Along::cells(move |cell| {
        let place = if align_corners {
            cell as f64 * (from - 1) as f64 / (to - 1).max(1) as f64
        } else {
            (cell as f64 + 0.5) * from as f64 / to as f64 - 0.5
        };
        let low = place.floor() as i64;
        let cells = low - reach..=low + 1 + reach;
        cells.map(move |cell| cell.clamp(0, from as i64 - 1) as usize)
    })
}

/// burn has that of bilinear interpolation for flex and LibTorch only.
fn has_backward<B: Backend>(device: &B::Device, mode: &Mode) -> bool {
    let everywhere = !matches!(mode, Mode::Bilinear);
    everywhere || B::name(device).contains("flex") || super::is_libtorch::<B>(device)
}

/// burn's own way back for the whole where it has one, and ours for regions.
fn back<B: Backend>(env: &Env<B>, d: &InterpolateOpIr, input: &TensorIr) -> Back<B> {
    let (device, input, int) = (env.device.clone(), input.clone(), env.settings.int_dtype);
    let (d, whole) = (d.clone(), has_backward::<B>(env.device, &d.options.mode));
    let between = [2, 3].map(|dim| (d.x.shape[dim], d.out.shape[dim]));
    let tap = taps(&d.options.mode, d.options.align_corners);
    Box::new(move |g, count| match (tap, g.region()) {
        (Some(tap), Some((region, _))) => {
            let taps = [0, 1].map(|axis| Taps::new(tap, between[axis], region[axis].clone()));
            let cells = taps.each_ref().map(|taps| taps.cells.clone()).to_vec();
            let values = spread::<B>(g.values, &taps, int);
            Cotangent::within(values, cells, &between.map(|(from, _)| from))
        }
        (Some(tap), None) if !whole => {
            let taps = between.map(|(from, to)| Taps::whole(tap, from, to));
            g.map(|g| spread::<B>(g, &taps, int))
        }
        _ => {
            let x = placeholder::<B>(&device, &input, count);
            let g = g.into_whole();
            let back = B::interpolate_backward(x, g, d.output_size, d.options.clone().into());
            Cotangent::whole(back)
        }
    })
}

/// Along one axis, the two input cells that each of some output cells was mixed from, and the share of
/// the second.
struct Taps {
    /// The input cells among which they are, from which they are counted.
    cells: Range<usize>,
    taps: Vec<(usize, usize, f32)>,
}

impl Taps {
    fn new(tap: Tap, (from, to): (usize, usize), region: Range<usize>) -> Self {
        let mut taps: Vec<_> = region.map(|cell| tap(cell, from, to)).collect();
        let start = taps.iter().map(|tap| tap.0).min().unwrap_or(0);
        let end = taps.iter().map(|tap| tap.1 + 1).max().unwrap_or(0);
        for (low, high, _) in &mut taps {
            (*low, *high) = (*low - start, *high - start);
        }
        Self { cells: start..end, taps }
    }

    fn whole(tap: Tap, from: usize, to: usize) -> Self {
        let taps = (0..to).map(|cell| tap(cell, from, to)).collect();
        Self { cells: 0..from, taps }
    }
}

/// The transpose of linear interpolation, one axis after the other: each output cell gives its
/// cotangent to the two input cells that it was mixed from.
fn spread<B: Backend>(mut g: FloatTensor<B>, axes: &[Taps; 2], int: IntDType) -> FloatTensor<B> {
    let device = g.device();
    for (dim, Taps { cells, taps }) in [2, 3].into_iter().zip(axes) {
        let ints = |cells: Vec<i64>| -> IntTensor<B> {
            let data = TensorData::new(cells, [taps.len()]).convert_dtype(int.into());
            B::int_from_data(data, &device)
        };
        let low = ints(taps.iter().map(|tap| tap.0 as i64).collect());
        let high = ints(taps.iter().map(|tap| tap.1 as i64).collect());
        let mut shape = [1; 4];
        shape[dim] = taps.len();
        let share: Vec<f32> = taps.iter().map(|tap| tap.2).collect();
        let share = TensorData::new(share, shape).convert_dtype(g.dtype());
        let share = B::float_from_data(share, &device);
        let mut shape = g.shape();
        shape[dim] = cells.len();
        let zeros = B::float_zeros(shape, &device, g.dtype().into());
        let to_high = B::float_mul(g.clone(), share);
        let to_low = B::float_sub(g, to_high.clone());
        let sum = B::float_select_assign(zeros, dim, low, to_low, IndexingUpdateOp::Add);
        g = B::float_select_assign(sum, dim, high, to_high, IndexingUpdateOp::Add);
    }
    g
}

/// The two input cells of an output cell, and the share of the second, between axes of two lengths.
type Tap = fn(usize, usize, usize) -> (usize, usize, f32);

/// Those of modes that mix two cells at most.
fn taps(mode: &Mode, align_corners: bool) -> Option<Tap> {
    match mode {
        Mode::Bilinear if align_corners => Some(|cell, from, to| linear(cell, from, to, true)),
        Mode::Bilinear => Some(|cell, from, to| linear(cell, from, to, false)),
        Mode::Nearest => Some(|cell, from, to| nearest(cell, from, to, 0.0)),
        Mode::NearestExact => Some(|cell, from, to| nearest(cell, from, to, 0.5)),
        Mode::Bicubic | Mode::Lanczos3 => None,
    }
}

fn nearest(cell: usize, from: usize, to: usize, within: f64) -> (usize, usize, f32) {
    let place = (cell as f64 + within) * from as f64 / to as f64;
    let place = (place as usize).min(from - 1);
    (place, place, 0.0)
}

fn linear(cell: usize, from: usize, to: usize, align_corners: bool) -> (usize, usize, f32) {
    let place = if align_corners {
        cell as f64 * (from - 1) as f64 / (to - 1).max(1) as f64
    } else {
        ((cell as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0)
    };
    let low = (place as usize).min(from - 1);
    (low, (low + 1).min(from - 1), (place - low as f64) as f32)
}
