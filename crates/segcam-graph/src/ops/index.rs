use std::ptr::eq;

use burn::backend::ir::{
    GatherOpIr, PadModeIr, PadOpIr, ScatterOpIr, SelectAssignOpIr, SelectOpIr, TensorIr,
};
use burn::backend::{Backend, Shape, Slice, TensorMetadata};
use burn::tensor::{IndexingUpdateOp, TensorData};

use super::{Along, Rule, anywhere, reduce::put_back, rows, rule};
use crate::env::Env;

pub(super) fn gather<B: Backend>(d: &GatherOpIr) -> Option<Rule<'_, B>> {
    rule::<B>(anywhere(&d.tensor, d.dim), |env| {
        let (x, at) = (env.float(&d.tensor)?, env.int(&d.indices)?);
        put_back(env, &d.tensor, d.dim, at.clone());
        env.set_float(&d.out, B::float_gather(d.dim, x, at))
    })
}

pub(super) fn select<B: Backend>(d: &SelectOpIr) -> Option<Rule<'_, B>> {
    rule::<B>(anywhere(&d.tensor, d.dim), |env| {
        let (x, at, dim) = (env.float(&d.tensor)?, env.int(&d.indices)?, d.dim);
        let (shape, kept) = (d.tensor.shape.clone(), at.clone());
        env.path(&d.tensor, move |g, count| {
            let zeros = B::float_zeros(rows(&shape, count), &g.device(), g.dtype().into());
            B::float_select_assign(zeros, dim, kept.clone(), g, IndexingUpdateOp::Add)
        });
        env.set_float(&d.out, B::float_select(x, dim, at))
    })
}

/// What is added to a tensor at some places takes its cotangent from there.
pub(super) fn scatter<B: Backend>(d: &ScatterOpIr) -> Option<Rule<'_, B>> {
    let adds = matches!(d.update, IndexingUpdateOp::Add);
    let put = |x, at, value| B::float_scatter(d.dim, x, at, value, IndexingUpdateOp::Add);
    adds.then_some(())?;
    rule::<B>(added(&d.tensor, d.dim), move |env| {
        let (x, at) = (env.float(&d.tensor)?, env.int(&d.indices)?);
        let (value, dim) = (env.float(&d.value)?, d.dim);
        let kept = env.keep(at.clone());
        env.path(&d.tensor, |g, _| g);
        env.path(&d.value, move |g, count| {
            let at =
                if count > 1 { B::int_repeat_dim(kept.clone(), 0, count) } else { kept.clone() };
            B::float_gather(dim, g, at)
        });
        env.constant_parts(&d.out, [(&d.tensor, &x), (&d.value, &value)], |x, value| {
            put(x, at.clone(), value)
        });
        env.set_float(&d.out, put(x, at, value))
    })
}

/// The same for whole rows.
pub(super) fn select_assign<B: Backend>(d: &SelectAssignOpIr) -> Option<Rule<'_, B>> {
    let adds = matches!(d.update, IndexingUpdateOp::Add);
    let put = |x, at, value| B::float_select_assign(x, d.dim, at, value, IndexingUpdateOp::Add);
    adds.then_some(())?;
    rule::<B>(added(&d.tensor, d.dim), move |env| {
        let (x, at) = (env.float(&d.tensor)?, env.int(&d.indices)?);
        let (value, dim) = (env.float(&d.value)?, d.dim);
        let kept = env.keep(at.clone());
        env.path(&d.tensor, |g, _| g);
        env.path(&d.value, move |g, _| B::float_select(g, dim, kept.clone()));
        env.constant_parts(&d.out, [(&d.tensor, &x), (&d.value, &value)], |x, value| {
            put(x, at.clone(), value)
        });
        env.set_float(&d.out, put(x, at, value))
    })
}

/// The same place of `tensor`, and anything along one dimension of what is added to it.
fn added(tensor: &TensorIr, axis: usize) -> impl Fn(&TensorIr, usize) -> Along + '_ {
    move |input, dim| {
        if !eq(input, tensor) && dim == axis { Along::All } else { Along::Same }
    }
}

/// The cell that a cell of the padded tensor is copied from, if any.
fn source(mode: PadModeIr, cell: i64, length: i64) -> Option<usize> {
    let source = match mode {
        PadModeIr::Constant(_) => cell,
        PadModeIr::Edge => cell.clamp(0, length - 1),
        PadModeIr::Reflect if cell < 0 => -cell,
        PadModeIr::Reflect if cell >= length => 2 * (length - 1) - cell,
        PadModeIr::Reflect => cell,
    };
    (0..length).contains(&source).then_some(source as usize)
}

/// Padding with a constant drops the cotangent of the border; the other modes give it to the
/// cells that the border was copied from.
pub(super) fn pad<B: Backend>(d: &PadOpIr) -> Option<Rule<'_, B>> {
    let shape = &d.input.shape;
    let copied = |_: &TensorIr, dim: usize| match d.padding[dim] {
        (0, 0) => Along::Same,
        (before, _) => {
            let (length, mode) = (shape[dim] as i64, d.mode);
            Along::cells(move |cell| source(mode, cell as i64 - before as i64, length))
        }
    };
    rule::<B>(copied, |env| {
        let x = env.float(&d.input)?;
        match d.mode {
            PadModeIr::Constant(value) => cut_border(env, d, value.elem()),
            _ => fold_border(env, d),
        }
        env.set_float(&d.out, B::float_pad(x, &d.padding, d.mode.into()))
    })
}

fn cut_border<B: Backend>(env: &mut Env<B>, d: &PadOpIr, value: f64) {
    let inside = |(dim, (before, _)): (usize, &(usize, usize))| {
        let end = before + d.input.shape[dim];
        Slice::new(*before as isize, Some(end as isize), 1)
    };
    let ranges: Vec<Slice> = d.padding.iter().enumerate().map(inside).collect();
    if value != 0.0 && value.is_finite() {
        let device = env.device;
        env.constant(|| {
            let zero = B::float_zeros(d.input.shape.clone(), device, d.out.dtype.into());
            B::float_pad(zero, &d.padding, d.mode.into())
        });
    }
    env.path(&d.input, move |g, count| B::float_slice(g, &super::shape::all_rows(&ranges, count)));
}

fn fold_border<B: Backend>(env: &mut Env<B>, d: &PadOpIr) {
    let shape: Shape = d.input.shape.clone();
    let mut sources = vec![];
    for (dim, (before, after)) in d.padding.iter().enumerate() {
        if before + after > 0 {
            let length = shape[dim] as i64;
            let cells = -(*before as i64)..length + *after as i64;
            let from: Vec<i64> = cells
                .filter_map(|cell| source(d.mode, cell, length).map(|cell| cell as i64))
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
