use burn::backend::Backend;
use burn::backend::ir::BatchNormOpIr;
use burn::backend::tensor::FloatTensor;

use super::{Along, Rule, rule, spatial};
use crate::env::{Env, Unsupported};

/// BatchNorm with fixed statistics: `scale·x + shift` for each channel.
pub(super) fn batch_norm<B: Backend>(d: &BatchNormOpIr) -> Option<Rule<'_, B>> {
    rule::<B>(spatial(&d.x, |_| Along::Same), |env| {
        let x = env.float(&d.x)?;
        let (scale, shift) = scale_and_shift(env, d)?;
        let mut shape = vec![1; d.out.shape.num_dims()];
        shape[1] = d.out.shape[1];
        let wide = B::float_reshape(scale, shape.clone().into());
        let kept = wide.clone();
        env.cell_path(&d.x, move |g, _| B::float_mul(g, kept.clone()));
        env.constant_channels(&shift);
        let shift = B::float_reshape(shift, shape.into());
        env.set_float(&d.out, B::float_add(B::float_mul(x, wide), shift))
    })
}

/// `γ/√(σ²+ε)` and `β − μ·γ/√(σ²+ε)`, one number for each channel.
fn scale_and_shift<B: Backend>(
    env: &mut Env<B>,
    d: &BatchNormOpIr,
) -> Result<(FloatTensor<B>, FloatTensor<B>), Unsupported> {
    let (gamma, beta) = (env.float(&d.gamma)?, env.float(&d.beta)?);
    let (mean, variance) = (env.float(&d.mean)?, env.float(&d.variance)?);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, d.epsilon.into()));
    let scale = B::float_div(gamma, deviation);
    let shift = B::float_sub(beta, B::float_mul(mean, scale.clone()));
    Ok((scale, shift))
}
