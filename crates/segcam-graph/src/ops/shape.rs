use std::ptr::eq;

use burn::backend::Backend;
use burn::backend::ir::{
    BaseOperationIr as Op, CatOpIr, FlipOpIr, PermuteOpIr, RepeatDimOpIr, ShapeOpIr,
    SliceAssignOpIr, SliceOpIr, SwapDimsOpIr, TensorIr,
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Slice, TensorMetadata};

use super::numeric::broadcast_path;
use super::{Along, Rule, narrow, pass_where, reshaped, rows, rule, same, unbroadcast};

pub(super) fn rule_of<B: Backend>(op: &Op) -> Option<Rule<'_, B>> {
    match op {
        Op::Reshape(d) => rule::<B>(reshaped(&d.input.shape, &d.out.shape), |env| {
            let x = env.float(&d.input)?;
            let shape = d.input.shape.clone();
            // The names of values are reshapes to the same shape.
            match shape == d.out.shape {
                true => env.cell_path(&d.input, |g, _| g),
                false => {
                    env.path(&d.input, move |g, count| B::float_reshape(g, rows(&shape, count)))
                }
            }
            env.set_float(&d.out, B::float_reshape(x, d.out.shape.clone()))
        }),
        Op::SwapDims(d) => rule::<B>(swapped(d), |env| {
            let (x, one, two) = (env.float(&d.input)?, d.dim1, d.dim2);
            env.path(&d.input, move |g, _| B::float_swap_dims(g, one, two));
            env.set_float(&d.out, B::float_swap_dims(x, one, two))
        }),
        Op::Permute(d) => rule::<B>(permuted(d), |env| {
            let x = env.float(&d.input)?;
            let mut back = vec![0; d.axes.len()];
            for (to, from) in d.axes.iter().enumerate() {
                back[*from] = to;
            }
            env.path(&d.input, move |g, _| B::float_permute(g, &back));
            env.set_float(&d.out, B::float_permute(x, &d.axes))
        }),
        Op::Flip(d) => rule::<B>(flipped(d), |env| {
            let (x, axes) = (env.float(&d.input)?, d.axes.clone());
            env.path(&d.input, move |g, _| B::float_flip(g, &axes));
            env.set_float(&d.out, B::float_flip(x, &d.axes))
        }),
        Op::Expand(d) => rule::<B>(expanded(d), |env| {
            let x = env.float(&d.input)?;
            let (from, to) = (d.input.shape.clone(), d.out.shape.clone());
            env.path(&d.input, move |g, count| {
                // Leading dimensions that the input does not have, then those of length one.
                let mut padded = vec![1; to.num_dims() - from.num_dims()];
                padded.extend(from.to_vec());
                let summed = unbroadcast::<B>(g, &padded.into(), &to);
                B::float_reshape(summed, rows(&from, count))
            });
            env.set_float(&d.out, B::float_expand(x, d.out.shape.clone()))
        }),
        Op::RepeatDim(d) => rule::<B>(repeated(d), |env| {
            let (x, dim, times) = (env.float(&d.tensor)?, d.dim, d.times);
            let shape = d.tensor.shape.clone();
            env.path(&d.tensor, move |g, count| {
                let one = rows(&shape, count);
                let mut split = one.to_vec();
                split.insert(dim, times);
                B::float_reshape(B::float_sum_dim(B::float_reshape(g, split.into()), dim), one)
            });
            env.set_float(&d.out, B::float_repeat_dim(x, dim, times))
        }),
        Op::Slice(d) => rule::<B>(sliced(d), |env| {
            let x = env.float(&d.tensor)?;
            let shape = d.tensor.shape.clone();
            let is_cut = |dim: &usize| taken(d.ranges.get(*dim), shape[*dim]).is_some();
            let cut = (0..shape.num_dims()).rev().find(is_cut).map_or(0, |dim| dim + 1);
            let ranges = d.ranges[..cut].to_vec();
            let back = move |g: FloatTensor<B>, count| {
                // Sides that are not cut are those of the cotangent.
                let mut sides = g.shape();
                sides[..cut].copy_from_slice(&rows(&shape, count)[..cut]);
                let zeros = B::float_zeros(sides, &g.device(), g.dtype().into());
                B::float_slice_assign(zeros, &all_rows(&ranges, count), g)
            };
            if cut <= 2 {
                env.cell_path(&d.tensor, back)
            } else {
                env.path(&d.tensor, back)
            }
            env.set_float(&d.out, B::float_slice(x, &d.ranges))
        }),
        Op::SliceAssign(d) => rule::<B>(assigned(d), |env| {
            let (x, value) = (env.float(&d.tensor)?, env.float(&d.value)?);
            let (shape, ranges) = (d.value.shape.clone(), d.ranges.clone());
            env.path(&d.tensor, move |g, count| {
                let zeros = B::float_zeros(rows(&shape, count), &g.device(), g.dtype().into());
                B::float_slice_assign(g, &all_rows(&ranges, count), zeros)
            });
            let ranges = d.ranges.clone();
            env.path(&d.value, move |g, count| B::float_slice(g, &all_rows(&ranges, count)));
            env.constant_parts(&d.out, [(&d.tensor, &x), (&d.value, &value)], |x, value| {
                B::float_slice_assign(x, &d.ranges, value)
            });
            env.set_float(&d.out, B::float_slice_assign(x, &d.ranges, value))
        }),
        Op::Cat(d) => rule::<B>(joined(d), |env| {
            let parts = d.tensors.iter().map(|part| env.float(part));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let (mut start, dim) = (0, d.dim);
            for part in &d.tensors {
                let (from, count) = (start, part.shape[dim]);
                let back = move |g, _| narrow::<B>(g, dim, from, count);
                if dim == 1 {
                    env.cell_path(part, back)
                } else {
                    env.path(part, back)
                }
                start += count;
            }
            if dim == 1 {
                env.join(&d.out, &d.tensors);
            }
            let fixed: Vec<bool> = d.tensors.iter().map(|part| env.is_fixed(part)).collect();
            if fixed.contains(&true) {
                env.constant(|| {
                    let only = parts.iter().zip(fixed).map(|(value, fixed)| {
                        let scale = if fixed { 1.0 } else { 0.0 };
                        B::float_mul_scalar(value.clone(), scale.into())
                    });
                    B::float_cat(only.collect(), dim)
                });
            }
            match dim {
                1 => env.set_parts(&d.out, parts),
                _ => env.set_float(&d.out, B::float_cat(parts, dim)),
            }
        }),
        Op::Cast(d) => rule::<B>(same, |env| {
            let (x, dtype) = (env.float(&d.input)?, d.input.dtype);
            env.cell_path(&d.input, move |g, _| B::float_cast(g, dtype.into()));
            env.set_float(&d.out, B::float_cast(x, d.out.dtype.into()))
        }),
        Op::MaskFill(d) => rule::<B>(same, |env| {
            let (x, mask) = (env.float(&d.tensor)?, env.bool(&d.mask)?);
            if env.follows(&d.tensor) {
                let rest = env.keep(B::bool_not(mask.clone()));
                broadcast_path(env, &d.tensor, &d.out, move |g| pass_where::<B>(g, rest.clone()));
                if d.value.elem::<f64>().is_finite() {
                    env.constant(|| {
                        let filled = B::bool_into_float(mask.clone(), d.out.dtype.into());
                        B::float_mul_scalar(filled, d.value.into())
                    });
                }
            }
            env.set_float(&d.out, B::float_mask_fill(x, mask, d.value.into()))
        }),
        Op::MaskWhere(d) => rule::<B>(same, |env| {
            let (x, mask) = (env.float(&d.tensor)?, env.bool(&d.mask)?);
            let value = env.float(&d.value)?;
            let other = B::bool_not(mask.clone());
            for (side, mask) in [(&d.tensor, other), (&d.value, mask.clone())] {
                if env.follows(side) {
                    let mask = env.keep(mask);
                    broadcast_path(env, side, &d.out, move |g| pass_where::<B>(g, mask.clone()));
                }
            }
            env.constant_parts(&d.out, [(&d.tensor, &x), (&d.value, &value)], |x, value| {
                B::float_mask_where(x, mask.clone(), value)
            });
            env.set_float(&d.out, B::float_mask_where(x, mask, value))
        }),
        Op::Select(d) => super::index::select(d),
        Op::Gather(d) => super::index::gather(d),
        Op::SelectAssign(d) => super::index::select_assign(d),
        Op::Scatter(d) => super::index::scatter(d),
        Op::Zeros(d) | Op::Empty(d) => rule::<B>(same, |env| {
            let zeros = B::float_zeros(d.out.shape.clone(), env.device, d.out.dtype.into());
            env.set_float(&d.out, zeros)
        }),
        Op::Ones(d) => rule::<B>(same, |env| {
            let ones = B::float_ones(d.out.shape.clone(), env.device, d.out.dtype.into());
            env.set_float(&d.out, ones)
        }),
        Op::Equal(d) => super::numeric::compare(d, B::float_equal),
        // burn's `is_nan`. Shaders may compare as if all were numbers.
        Op::NotEqual(d) if d.lhs.id == d.rhs.id => rule::<B>(same, |env| {
            let (x, dtype) = (env.float(&d.lhs)?, env.settings.bool_dtype);
            env.set_bool(&d.out, B::float_is_nan(x, dtype))
        }),
        Op::NotEqual(d) => super::numeric::compare(d, B::float_not_equal),
        Op::EqualElem(d) => super::numeric::compare_elem(d, B::float_equal_elem),
        Op::NotEqualElem(d) => super::numeric::compare_elem(d, B::float_not_equal_elem),
        _ => None,
    }
}

/// Ranges that span the whole batch, whatever its length.
pub(super) fn all_rows(ranges: &[Slice], count: usize) -> Vec<Slice> {
    let mut ranges = ranges.to_vec();
    if count > 1 && !ranges.is_empty() {
        ranges[0] = Slice::full();
    }
    ranges
}

pub(super) fn swapped(d: &SwapDimsOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    |_, dim| if dim == d.dim1 || dim == d.dim2 { Along::All } else { Along::Same }
}

pub(super) fn permuted(d: &PermuteOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    |_, dim| if d.axes[dim] == dim { Along::Same } else { Along::All }
}

pub(super) fn flipped(d: &FlipOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    |input, dim| match d.axes.contains(&dim) {
        true => {
            let length = input.shape[dim];
            Along::cells(move |cell| [length - 1 - cell])
        }
        false => Along::Same,
    }
}

/// New leading dimensions move all others.
pub(super) fn expanded(d: &ShapeOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    let moved = d.input.shape.num_dims() != d.out.shape.num_dims();
    move |_, _| if moved { Along::All } else { Along::Same }
}

pub(super) fn repeated(d: &RepeatDimOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    |input, dim| {
        let length = input.shape[dim];
        if dim == d.dim { Along::cells(move |cell| [cell % length]) } else { Along::Same }
    }
}

/// The cells that a slice takes, in its order; `None` for all of them as they are.
fn taken(slice: Option<&Slice>, length: usize) -> Option<Vec<usize>> {
    let (range, step) = slice?.to_range_and_step(length);
    let mut cells: Vec<usize> = range.collect();
    if step < 0 {
        cells.reverse();
    }
    let cells: Vec<usize> = cells.into_iter().step_by(step.unsigned_abs()).collect();
    (!cells.iter().copied().eq(0..length)).then_some(cells)
}

pub(super) fn sliced(d: &SliceOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    |input, dim| match taken(d.ranges.get(dim), input.shape[dim]) {
        Some(cells) => Along::cells(move |cell| cells.get(cell).copied()),
        None => Along::Same,
    }
}

/// The same place of the tensor, and that of the value that was written over it.
fn assigned(d: &SliceAssignOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    |input, dim| match taken(d.ranges.get(dim), d.out.shape[dim]) {
        Some(cells) if eq(input, &d.value) => {
            Along::cells(move |cell| cells.iter().position(|at| *at == cell))
        }
        _ => Along::Same,
    }
}

pub(super) fn joined(d: &CatOpIr) -> impl Fn(&TensorIr, usize) -> Along {
    |input, dim| {
        if dim != d.dim {
            return Along::Same;
        }
        let before = d.tensors.iter().take_while(|part| !eq(*part, input));
        let (start, length) = (before.map(|part| part.shape[dim]).sum(), input.shape[dim]);
        Along::cells(move |cell: usize| cell.checked_sub(start).filter(|at| *at < length))
    }
}
