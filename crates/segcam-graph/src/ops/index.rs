use burn::backend::ir::{
    GatherOpIr, PadModeIr, PadOpIr, ScatterOpIr, SelectAssignOpIr, SelectOpIr,
};
use burn::backend::{Backend, Slice, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, TensorData};

use super::{reduce::put_back, rows};
use crate::env::{Env, Unsupported};

pub(super) fn gather<B: Backend>(env: &mut Env<B>, d: &GatherOpIr) -> Result<(), Unsupported> {
    let (x, at) = (env.float(&d.tensor)?, env.int(&d.indices)?);
    put_back(env, &d.tensor, d.dim, at.clone());
    env.set_float(&d.out, B::float_gather(d.dim, x, at));
    Ok(())
}

pub(super) fn select<B: Backend>(env: &mut Env<B>, d: &SelectOpIr) -> Result<(), Unsupported> {
    let (x, at, dim) = (env.float(&d.tensor)?, env.int(&d.indices)?, d.dim);
    let (shape, kept) = (d.tensor.shape.clone(), at.clone());
    env.path(&d.tensor, move |g, count| {
        let zeros = B::float_zeros(rows(&shape, count), &g.device(), g.dtype().into());
        B::float_select_assign(zeros, dim, kept.clone(), g, IndexingUpdateOp::Add)
    });
    env.set_float(&d.out, B::float_select(x, dim, at));
    Ok(())
}

/// What is added to a tensor at some places takes its cotangent from there.
pub(super) fn scatter<B: Backend>(env: &mut Env<B>, d: &ScatterOpIr) -> Result<(), Unsupported> {
    let (x, at) = (env.float(&d.tensor)?, env.int(&d.indices)?);
    let (value, dim) = (env.float(&d.value)?, d.dim);
    expect_add(&d.update)?;
    let kept = env.keep(at.clone());
    env.path(&d.tensor, |g, _| g);
    env.path(&d.value, move |g, count| {
        let at = if count > 1 { B::int_repeat_dim(kept.clone(), 0, count) } else { kept.clone() };
        B::float_gather(dim, g, at)
    });
    env.set_float(&d.out, B::float_scatter(dim, x, at, value, IndexingUpdateOp::Add));
    Ok(())
}

/// The same for whole rows.
pub(super) fn select_assign<B: Backend>(
    env: &mut Env<B>,
    d: &SelectAssignOpIr,
) -> Result<(), Unsupported> {
    let (x, at) = (env.float(&d.tensor)?, env.int(&d.indices)?);
    let (value, dim) = (env.float(&d.value)?, d.dim);
    expect_add(&d.update)?;
    let kept = env.keep(at.clone());
    env.path(&d.tensor, |g, _| g);
    env.path(&d.value, move |g, _| B::float_select(g, dim, kept.clone()));
    env.set_float(&d.out, B::float_select_assign(x, dim, at, value, IndexingUpdateOp::Add));
    Ok(())
}

fn expect_add(update: &IndexingUpdateOp) -> Result<(), Unsupported> {
    if matches!(update, IndexingUpdateOp::Add) { Ok(()) } else { Err(Unsupported) }
}

/// Padding with a constant drops the cotangent of the border; the other modes give it to the
/// cells that the border was copied from.
pub(super) fn pad<B: Backend>(env: &mut Env<B>, d: &PadOpIr) -> Result<(), Unsupported> {
    let x = env.float(&d.input)?;
    let shape = d.input.shape.clone();
    if let PadModeIr::Constant(value) = d.mode {
        let ranges: Vec<Slice> = d
            .padding
            .iter()
            .enumerate()
            .map(|(dim, (before, _))| {
                Slice::new(*before as isize, Some((before + shape[dim]) as isize), 1)
            })
            .collect();
        if value.elem::<f64>() != 0.0 && value.elem::<f64>().is_finite() {
            let device = env.device;
            env.constant(|| {
                let zero = B::float_zeros(shape.clone(), device, d.out.dtype.into());
                B::float_pad(zero, &d.padding, d.mode.into())
            });
        }
        env.path(&d.input, move |g, count| {
            let mut ranges = ranges.clone();
            if count > 1 {
                ranges[0] = Slice::full();
            }
            B::float_slice(g, &ranges)
        });
    } else {
        let mut sources = vec![];
        for (dim, (before, after)) in d.padding.iter().enumerate() {
            if before + after > 0 {
                let length = shape[dim] as i64;
                let cells = -(*before as i64)..length + *after as i64;
                let from: Vec<i64> = cells
                    .map(|cell| match d.mode {
                        PadModeIr::Edge => cell.clamp(0, length - 1),
                        _ if cell < 0 => -cell,
                        _ if cell >= length => 2 * (length - 1) - cell,
                        _ => cell,
                    })
                    .collect();
                let data = TensorData::new(from.clone(), [from.len()]);
                let data = data.convert_dtype(env.settings.int_dtype.into());
                sources.push((dim, B::int_from_data(data, env.device)));
            }
        }
        env.path(&d.input, move |mut g, _| {
            for (dim, from) in &sources {
                let mut small = g.shape();
                small[*dim] = shape[*dim];
                let zeros = B::float_zeros(small, &g.device(), g.dtype().into());
                let from = from.clone();
                g = B::float_select_assign(zeros, *dim, from, g, IndexingUpdateOp::Add);
            }
            g
        });
    }
    env.set_float(&d.out, B::float_pad(x, &d.padding, d.mode.into()));
    Ok(())
}
