use std::ptr::eq;

use burn::backend::ir::{MatmulOpIr, TensorIr};
use burn::backend::{Backend, Shape};

use super::{Along, Rule, rule, unbroadcast};

/// Each product reads a row of the left matrix and a column of the right one.
pub(super) fn matmul<B: Backend>(d: &MatmulOpIr) -> Option<Rule<'_, B>> {
    let rank = d.out.shape.num_dims();
    let row_or_column = move |input: &TensorIr, dim| {
        let summed =
            (eq(input, &d.lhs) && dim + 1 == rank) || (eq(input, &d.rhs) && dim + 2 == rank);
        if summed { Along::All } else { Along::Same }
    };
    rule::<B>(row_or_column, |env| {
        let (x, y) = (env.float(&d.lhs)?, env.float(&d.rhs)?);
        if env.follows(&d.lhs) {
            let kept = env.keep(y.clone());
            let (shape, out) = (d.lhs.shape.clone(), batch_of(&d.out.shape));
            env.path(&d.lhs, move |g, _| {
                let product = B::float_matmul(g, B::float_transpose(kept.clone()));
                unbroadcast::<B>(product, &shape, &out)
            });
        }
        if env.follows(&d.rhs) {
            let kept = env.keep(x.clone());
            let (shape, out) = (d.rhs.shape.clone(), batch_of(&d.out.shape));
            env.path(&d.rhs, move |g, _| {
                let product = B::float_matmul(B::float_transpose(kept.clone()), g);
                unbroadcast::<B>(product, &shape, &out)
            });
        }
        env.set_float(&d.out, B::float_matmul(x, y))
    })
}

/// The shape of a product with its two matrix dimensions set to one: they are never broadcast.
fn batch_of(out: &Shape) -> Shape {
    let mut shape = out.clone();
    let rank = shape.num_dims();
    shape[rank - 2] = 1;
    shape[rank - 1] = 1;
    shape
}
