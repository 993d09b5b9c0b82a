use burn::backend::ir::{LinearOpIr, MatmulOpIr};
use burn::backend::{Backend, TensorMetadata};

use super::unbroadcast;
use crate::env::{Env, Unsupported};

/// `x·W + b` with weights `[in, out]`.
pub(super) fn linear<B: Backend>(env: &mut Env<B>, d: &LinearOpIr) -> Result<(), Unsupported> {
    let (x, weight) = (env.float(&d.x)?, env.float(&d.weight)?);
    let bias = d.bias.as_ref().map(|bias| env.float(bias)).transpose()?;
    if let Some(bias) = &bias {
        env.constant(|| {
            let mut shape = vec![1; d.out.shape.num_dims()];
            shape[d.out.shape.num_dims() - 1] = bias.shape()[0];
            B::float_reshape(bias.clone(), shape.into())
        });
    }
    let kept = weight.clone();
    env.path(&d.x, move |g, _| B::linear_x_backward(kept.clone(), g));
    env.set_float(&d.out, B::linear(x, weight, bias));
    Ok(())
}

pub(super) fn matmul<B: Backend>(env: &mut Env<B>, d: &MatmulOpIr) -> Result<(), Unsupported> {
    let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
    if env.follows(&d.lhs) {
        let kept = env.keep(y.clone());
        let (shape, out) = (d.lhs.shape.clone(), batch_of(&d.out.shape));
        env.path(&d.lhs, move |g, _| {
            unbroadcast::<B>(B::float_matmul(g, B::float_transpose(kept.clone())), &shape, &out)
        });
    }
    if env.follows(&d.rhs) {
        let kept = env.keep(x.clone());
        let (shape, out) = (d.rhs.shape.clone(), batch_of(&d.out.shape));
        env.path(&d.rhs, move |g, _| {
            unbroadcast::<B>(B::float_matmul(B::float_transpose(kept.clone()), g), &shape, &out)
        });
    }
    env.set_float(&d.out, B::float_matmul(x, y));
    Ok(())
}

/// The shape of a product with its two matrix dimensions set to one: they are never broadcast.
fn batch_of(out: &burn::backend::Shape) -> burn::backend::Shape {
    let mut shape = out.clone();
    let rank = shape.num_dims();
    shape[rank - 2] = 1;
    shape[rank - 1] = 1;
    shape
}
