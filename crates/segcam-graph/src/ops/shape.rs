use burn::backend::Backend;
use burn::backend::ir::{BaseOperationIr as Op, TensorIr};
use burn::backend::{Slice, TensorMetadata};

use super::{narrow, pass_where, rows, unbroadcast};
use crate::env::{Env, Unsupported};

pub(super) fn float<B: Backend>(env: &mut Env<B>, op: &Op) -> Result<(), Unsupported> {
    match op {
        Op::Reshape(d) => {
            let x = env.float(&d.input)?;
            let shape = d.input.shape.clone();
            env.path(&d.input, move |g, count| B::float_reshape(g, rows(&shape, count)));
            env.set_float(&d.out, B::float_reshape(x, d.out.shape.clone()));
        }
        Op::SwapDims(d) => {
            let (x, one, two) = (env.float(&d.input)?, d.dim1, d.dim2);
            env.path(&d.input, move |g, _| B::float_swap_dims(g, one, two));
            env.set_float(&d.out, B::float_swap_dims(x, one, two));
        }
        Op::Permute(d) => {
            let x = env.float(&d.input)?;
            let mut back = vec![0; d.axes.len()];
            for (to, from) in d.axes.iter().enumerate() {
                back[*from] = to;
            }
            env.path(&d.input, move |g, _| B::float_permute(g, &back));
            env.set_float(&d.out, B::float_permute(x, &d.axes));
        }
        Op::Flip(d) => {
            let (x, axes) = (env.float(&d.input)?, d.axes.clone());
            env.path(&d.input, move |g, _| B::float_flip(g, &axes));
            env.set_float(&d.out, B::float_flip(x, &d.axes));
        }
        Op::Expand(d) => {
            let x = env.float(&d.input)?;
            let (from, to) = (d.input.shape.clone(), d.out.shape.clone());
            env.path(&d.input, move |g, count| {
                // Leading dimensions that the input does not have, then those of length one.
                let mut padded = vec![1; to.num_dims() - from.num_dims()];
                padded.extend(from.to_vec());
                let summed = unbroadcast::<B>(g, &padded.into(), &to);
                B::float_reshape(summed, rows(&from, count))
            });
            env.set_float(&d.out, B::float_expand(x, d.out.shape.clone()));
        }
        Op::RepeatDim(d) => {
            let (x, dim, times) = (env.float(&d.tensor)?, d.dim, d.times);
            let shape = d.tensor.shape.clone();
            env.path(&d.tensor, move |g, count| {
                let one = rows(&shape, count);
                let mut split = one.to_vec();
                split.insert(dim, times);
                B::float_reshape(B::float_sum_dim(B::float_reshape(g, split.into()), dim), one)
            });
            env.set_float(&d.out, B::float_repeat_dim(x, dim, times));
        }
        Op::Slice(d) => {
            let x = env.float(&d.tensor)?;
            let (shape, ranges) = (d.tensor.shape.clone(), d.ranges.clone());
            env.path(&d.tensor, move |g, count| {
                let zeros = B::float_zeros(rows(&shape, count), &g.device(), g.dtype().into());
                B::float_slice_assign(zeros, &all_rows(&ranges, count), g)
            });
            env.set_float(&d.out, B::float_slice(x, &d.ranges));
        }
        Op::SliceAssign(d) => {
            let (x, value) = (env.float(&d.tensor)?, env.float(&d.value)?);
            let (shape, ranges) = (d.value.shape.clone(), d.ranges.clone());
            env.path(&d.tensor, move |g, count| {
                let zeros = B::float_zeros(rows(&shape, count), &g.device(), g.dtype().into());
                B::float_slice_assign(g, &all_rows(&ranges, count), zeros)
            });
            let ranges = d.ranges.clone();
            env.path(&d.value, move |g, count| B::float_slice(g, &all_rows(&ranges, count)));
            env.set_float(&d.out, B::float_slice_assign(x, &d.ranges, value));
        }
        Op::Cat(d) => {
            let parts = d.tensors.iter().map(|part| env.float(part));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let (mut start, dim) = (0, d.dim);
            for part in &d.tensors {
                let (from, count) = (start, part.shape[dim]);
                env.path(part, move |g, _| narrow::<B>(g, dim, from, count));
                start += count;
            }
            if dim == 1 {
                env.join(&d.out, &d.tensors);
            }
            let constant: Vec<bool> = d.tensors.iter().map(|part| env.is_constant(part)).collect();
            if constant.contains(&true) {
                env.constant(|| {
                    let only = parts.iter().zip(constant).map(|(value, constant)| {
                        let scale = if constant { 1.0 } else { 0.0 };
                        B::float_mul_scalar(value.clone(), scale.into())
                    });
                    B::float_cat(only.collect(), dim)
                });
            }
            env.set_float(&d.out, B::float_cat(parts, dim));
        }
        Op::Cast(d) => {
            let (x, dtype) = (env.float(&d.input)?, d.input.dtype);
            env.path(&d.input, move |g, _| B::float_cast(g, dtype.into()));
            env.set_float(&d.out, B::float_cast(x, d.out.dtype.into()));
        }
        Op::MaskFill(d) => {
            let (x, mask) = (env.float(&d.tensor)?, env.bool(&d.mask)?);
            if env.follows(&d.tensor) {
                let rest = env.keep(B::bool_not(mask.clone()));
                let (shape, out) = (d.tensor.shape.clone(), d.out.shape.clone());
                env.path(&d.tensor, move |g, _| {
                    unbroadcast::<B>(pass_where::<B>(g, rest.clone()), &shape, &out)
                });
                env.constant(|| {
                    let filled = B::bool_into_float(mask.clone(), d.out.dtype.into());
                    B::float_mul_scalar(filled, d.value.into())
                });
            }
            env.set_float(&d.out, B::float_mask_fill(x, mask, d.value.into()));
        }
        Op::MaskWhere(d) => {
            let (x, mask) = (env.float(&d.tensor)?, env.bool(&d.mask)?);
            let value = env.float(&d.value)?;
            let other = B::bool_not(mask.clone());
            for (side, value, mask) in [(&d.tensor, &x, other), (&d.value, &value, mask.clone())] {
                if env.follows(side) {
                    let mask = env.keep(mask);
                    let (shape, out) = (side.shape.clone(), d.out.shape.clone());
                    env.path(side, move |g, _| {
                        unbroadcast::<B>(pass_where::<B>(g, mask.clone()), &shape, &out)
                    });
                } else if env.is_constant(side) {
                    env.constant(|| {
                        let mask = B::bool_into_float(mask, d.out.dtype.into());
                        B::float_mul(mask, value.clone())
                    });
                }
            }
            env.set_float(&d.out, B::float_mask_where(x, mask, value));
        }
        Op::Select(d) => super::index::select(env, d)?,
        Op::Gather(d) => super::index::gather(env, d)?,
        Op::SelectAssign(d) => super::index::select_assign(env, d)?,
        Op::Scatter(d) => super::index::scatter(env, d)?,
        Op::Zeros(d) | Op::Empty(d) => {
            let zeros = B::float_zeros(d.out.shape.clone(), env.device, d.out.dtype.into());
            env.set_float(&d.out, zeros);
        }
        Op::Ones(d) => {
            let ones = B::float_ones(d.out.shape.clone(), env.device, d.out.dtype.into());
            env.set_float(&d.out, ones);
        }
        Op::Equal(d) => super::numeric::compare(env, d, B::float_equal)?,
        Op::NotEqual(d) => super::numeric::compare(env, d, B::float_not_equal)?,
        Op::EqualElem(d) => super::numeric::compare_elem(env, d, B::float_equal_elem)?,
        Op::NotEqualElem(d) => super::numeric::compare_elem(env, d, B::float_not_equal_elem)?,
        _ => return Err(Unsupported),
    }
    Ok(())
}

/// Ranges that span the whole batch, whatever its length.
fn all_rows(ranges: &[Slice], count: usize) -> Vec<Slice> {
    let mut ranges = ranges.to_vec();
    if count > 1 {
        ranges[0] = Slice::full();
    }
    ranges
}

macro_rules! without_gradient {
    ($name:ident, $get:ident, $set:ident, $reshape:path, $swap:path, $permute:path, $flip:path,
     $expand:path, $repeat:path, $slice:path, $cat:path, $select:path, $gather:path,
     $zeros:path, $ones:path, $dtype:ident) => {
        /// Operations on values that no cotangent passes through.
        pub(super) fn $name<B: Backend>(env: &mut Env<B>, op: &Op) -> Result<(), Unsupported> {
            let (out, y) = match op {
                Op::Reshape(d) => (&d.out, $reshape(env.$get(&d.input)?, d.out.shape.clone())),
                Op::SwapDims(d) => (&d.out, $swap(env.$get(&d.input)?, d.dim1, d.dim2)),
                Op::Permute(d) => (&d.out, $permute(env.$get(&d.input)?, &d.axes)),
                Op::Flip(d) => (&d.out, $flip(env.$get(&d.input)?, &d.axes)),
                Op::Expand(d) => (&d.out, $expand(env.$get(&d.input)?, d.out.shape.clone())),
                Op::RepeatDim(d) => (&d.out, $repeat(env.$get(&d.tensor)?, d.dim, d.times)),
                Op::Slice(d) => (&d.out, $slice(env.$get(&d.tensor)?, &d.ranges)),
                Op::Cat(d) => {
                    let parts = d.tensors.iter().map(|part| env.$get(part));
                    (&d.out, $cat(parts.collect::<Result<_, _>>()?, d.dim))
                }
                Op::Select(d) => {
                    let (x, at) = (env.$get(&d.tensor)?, env.int(&d.indices)?);
                    (&d.out, $select(x, d.dim, at))
                }
                Op::Gather(d) => {
                    let (x, at) = (env.$get(&d.tensor)?, env.int(&d.indices)?);
                    (&d.out, $gather(d.dim, x, at))
                }
                Op::Zeros(d) | Op::Empty(d) => {
                    (&d.out, $zeros(d.out.shape.clone(), env.device, env.settings.$dtype))
                }
                Op::Ones(d) => {
                    (&d.out, $ones(d.out.shape.clone(), env.device, env.settings.$dtype))
                }
                _ => return other_kind(env, op),
            };
            env.$set(out, y);
            Ok(())
        }
    };
}

without_gradient!(
    int,
    int,
    set_int,
    B::int_reshape,
    B::int_swap_dims,
    B::int_permute,
    B::int_flip,
    B::int_expand,
    B::int_repeat_dim,
    B::int_slice,
    B::int_cat,
    B::int_select,
    B::int_gather,
    B::int_zeros,
    B::int_ones,
    int_dtype
);
without_gradient!(
    bool,
    bool,
    set_bool,
    B::bool_reshape,
    B::bool_swap_dims,
    B::bool_permute,
    B::bool_flip,
    B::bool_expand,
    B::bool_repeat_dim,
    B::bool_slice,
    B::bool_cat,
    B::bool_select,
    B::bool_gather,
    B::bool_zeros,
    B::bool_ones,
    bool_dtype
);

/// Comparisons of integers.
fn other_kind<B: Backend>(env: &mut Env<B>, op: &Op) -> Result<(), Unsupported> {
    let dtype = env.settings.bool_dtype;
    let is_int = |tensor: &TensorIr| tensor.dtype.is_int() || tensor.dtype.is_uint();
    let (out, y) = match op {
        Op::Equal(d) if is_int(&d.lhs) => {
            (&d.out, B::int_equal(env.int(&d.lhs)?, env.int(&d.rhs)?, dtype))
        }
        Op::EqualElem(d) if is_int(&d.lhs) => {
            (&d.out, B::int_equal_elem(env.int(&d.lhs)?, d.rhs.into(), dtype))
        }
        Op::NotEqualElem(d) if is_int(&d.lhs) => {
            (&d.out, B::int_not_equal_elem(env.int(&d.lhs)?, d.rhs.into(), dtype))
        }
        _ => return Err(Unsupported),
    };
    env.set_bool(out, y);
    Ok(())
}
