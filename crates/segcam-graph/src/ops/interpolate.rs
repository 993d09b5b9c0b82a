use burn::backend::ir::{InterpolateModeIr as Mode, InterpolateOpIr, TensorIr};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, TensorData};

use super::{Along, Rule, placeholder, rule, spatial};
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
            let (all, one) = if matches!(d.options.mode, Mode::Bilinear)
                && !has_bilinear_backward::<B>(env.device)
            {
                (bilinear_back(env, d), bilinear_back(env, d))
            } else {
                (burn_back(env, d, &d.x), burn_back(env, d, &one_channel))
            };
            env.path(&d.x, all);
            env.head(Head::Channel(one));
        }
        env.set_float(&d.out, B::interpolate(x, d.output_size, d.options.clone().into()))
    })
}

/// The cells along one axis that an interpolated one is mixed from.
fn mixed(mode: &Mode, align_corners: bool, from: usize, to: usize) -> Along {
    let reach: i64 = match mode {
        Mode::Nearest | Mode::NearestExact => {
            let half = if matches!(mode, Mode::NearestExact) { 0.5 } else { 0.0 };
            let place = move |cell| (cell as f64 + half) * from as f64 / to as f64;
            return Along::cells(move |cell| [(place(cell) as usize).min(from - 1)]);
        }
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

/// burn has it for flex and LibTorch only.
fn has_bilinear_backward<B: Backend>(device: &B::Device) -> bool {
    B::name(device).contains("flex") || super::is_libtorch::<B>(device)
}

fn burn_back<B: Backend>(env: &Env<B>, d: &InterpolateOpIr, input: &TensorIr) -> Back<B> {
    let (device, d, input) = (env.device.clone(), d.clone(), input.clone());
    Box::new(move |g, count| {
        let x = placeholder::<B>(&device, &input, count);
        B::interpolate_backward(x, g, d.output_size, d.options.clone().into())
    })
}

/// The transpose of bilinear interpolation, one axis after the other: each output cell gives its
/// cotangent to the two input cells that it was mixed from.
fn bilinear_back<B: Backend>(env: &Env<B>, d: &InterpolateOpIr) -> Back<B> {
    let axes = [2, 3].map(|dim| {
        let (from, to) = (d.x.shape[dim], d.out.shape[dim]);
        let taps: Vec<(usize, usize, f32)> =
            (0..to).map(|cell| tap(cell, from, to, d.options.align_corners)).collect();
        let ints = |cells: Vec<i64>| -> IntTensor<B> {
            let data = TensorData::new(cells, [to]).convert_dtype(env.settings.int_dtype.into());
            B::int_from_data(data, env.device)
        };
        let low = ints(taps.iter().map(|tap| tap.0 as i64).collect());
        let high = ints(taps.iter().map(|tap| tap.1 as i64).collect());
        let mut shape = [1; 4];
        shape[dim] = to;
        let share: Vec<f32> = taps.iter().map(|tap| tap.2).collect();
        let share = B::float_from_data(TensorData::new(share, shape), env.device);
        (dim, from, low, high, share)
    });
    Box::new(move |mut g: FloatTensor<B>, _| {
        for (dim, from, low, high, share) in &axes {
            let mut shape = g.shape();
            shape[*dim] = *from;
            let zeros = B::float_zeros(shape, &g.device(), g.dtype().into());
            let to_high = B::float_mul(g.clone(), share.clone());
            let to_low = B::float_sub(g, to_high.clone());
            let add = IndexingUpdateOp::Add;
            let sum = B::float_select_assign(zeros, *dim, low.clone(), to_low, add);
            g = B::float_select_assign(sum, *dim, high.clone(), to_high, IndexingUpdateOp::Add);
        }
        g
    })
}

/// The two input cells of an output cell, and the share of the second.
fn tap(cell: usize, from: usize, to: usize, align_corners: bool) -> (usize, usize, f32) {
    let place = if align_corners {
        cell as f64 * (from - 1) as f64 / (to - 1).max(1) as f64
    } else {
        ((cell as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0)
    };
    let low = (place as usize).min(from - 1);
    (low, (low + 1).min(from - 1), (place - low as f64) as f32)
}
