//! Operations by themselves.

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::{
    BatchNormConfig, GroupNormConfig, InstanceNormConfig, LayerNormConfig, LinearConfig,
};
use burn::tensor::module::attention;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, activation as act};
use segcam_tests::seeded_net;

use crate::{check, check_at, numbers, weights};

#[test]
fn single_values() {
    check(
        [1, 2, 3, 4],
        &[
            ("exp", |x| x.exp()),
            ("log", |x| (x + 2.0).log()),
            ("log1p", |x| (x + 1.0).log1p()),
            ("sqrt", |x| (x + 2.0).sqrt()),
            ("recip", |x| (x + 2.0).recip()),
            ("sin", |x| x.sin()),
            ("cos", |x| x.cos()),
            ("tan", |x| x.tan()),
            ("sinh", |x| x.sinh()),
            ("cosh", |x| x.cosh()),
            ("tanh", |x| x.tanh()),
            ("atan", |x| x.atan()),
            ("erf", |x| x.erf()),
            ("abs", |x| x.abs()),
            ("neg", |x| x.neg()),
            ("powf", |x| (x + 2.0).powf_scalar(1.5)),
            ("powi", |x| x.powi_scalar(3)),
            ("powf of a tensor", |x| {
                let power = weights([1, 2, 1, 1], &x.device()) + 2.0;
                (x + 2.0).powf(power)
            }),
            ("clamp", |x| x.clamp(-0.5, 0.5)),
            ("clamp_min", |x| x.clamp_min(0.0)),
            ("clamp_max", |x| x.clamp_max(0.5)),
            ("floor beside a path", |x| x.clone() * 10.0 - (x * 2.0).floor()),
            ("ceil beside a path", |x| x.clone() * 10.0 - (x * 2.0).ceil()),
            ("round beside a path", |x| x.clone() * 10.0 - (x * 2.0 + 0.5).round()),
            ("trunc beside a path", |x| x.clone() * 10.0 - (x * 2.0).trunc()),
        ],
    );
}

/// Integers are constants of the score: what is multiplied with them has the path.
#[test]
fn integers() {
    /// 2 to 5, in steps where no number is near.
    fn ints(x: &Tensor<4>) -> Tensor<4, Int> {
        (x.clone() * 2.0 + 4.0).int()
    }
    fn others(x: &Tensor<4>) -> Tensor<4, Int> {
        (x.clone() * -2.0 + 3.0).int()
    }
    check(
        [1, 2, 3, 4],
        &[
            ("add", |x| x.clone() * (ints(&x) + others(&x)).float()),
            ("sub", |x| x.clone() * (ints(&x) - others(&x)).float()),
            ("mul", |x| x.clone() * (ints(&x) * others(&x)).float()),
            ("div", |x| x.clone() * (ints(&x) / others(&x)).float()),
            ("scalars", |x| x.clone() * (((ints(&x) * 7 + 3) - 1) / 2).float()),
            ("remainder", |x| x.clone() * ints(&x).remainder_scalar(3).float()),
            ("clamp", |x| x.clone() * ints(&x).clamp(3, 4).float()),
            ("greater", |x| x.clone().mask_fill(ints(&x).greater_elem(3), 0.5)),
            ("lower", |x| x.clone().mask_fill(ints(&x).lower_elem(4), 0.5)),
            ("equal", |x| x.clone().mask_fill(ints(&x).equal(others(&x)), 0.5)),
            ("equal to a scalar", |x| x.clone().mask_fill(ints(&x).equal_elem(3), 0.5)),
            ("not equal to a scalar", |x| x.clone().mask_fill(ints(&x).not_equal_elem(3), 0.5)),
        ],
    );
}

#[test]
fn arithmetic() {
    check(
        [1, 2, 3, 4],
        &[
            ("scalars", |x| ((x + 1.0) * 2.0 - 3.0) / 4.0),
            ("add", |x| x.clone() + x.clone().exp()),
            ("add, broadcast", |x| x.clone() + x.clone().mean_dim(1) + x.sum_dim(3)),
            ("sub", |x| x.clone().exp() - x.clone().mean_dim(2)),
            ("sub, broadcast left", |x| x.clone().mean_dim(2) - x.exp()),
            ("mul", |x| x.clone() * x.clone().exp() * x.mean_dim(1)),
            ("div", |x| x.clone().exp() / (x.clone() + 2.0) / (x.mean_dim(2) + 3.0)),
            ("with constants", |x| {
                let constant = weights([1, 2, 1, 4], &x.device());
                (constant.clone() - x) * constant.clone() + constant
            }),
            ("zeros and ones", |x| {
                let (zeros, ones) = (x.zeros_like(), x.ones_like());
                Tensor::cat(vec![x.clone() * 2.0 + ones, zeros - x.exp()], 1)
            }),
        ],
    );
}

#[test]
fn activations() {
    check(
        [1, 3, 3, 4],
        &[
            ("relu", |x| act::relu(x)),
            ("leaky_relu", |x| act::leaky_relu(x, 0.1)),
            ("prelu", |x| {
                let alpha = weights([3], &x.device());
                act::prelu(x, alpha)
            }),
            ("gelu", |x| act::gelu(x)),
            ("sigmoid", |x| act::sigmoid(x)),
            ("log_sigmoid", |x| act::log_sigmoid(x)),
            ("hard_sigmoid", |x| act::hard_sigmoid(x * 3.0, 0.2, 0.5)),
            ("silu", |x| act::silu(x)),
            ("softplus", |x| act::softplus(x, 1.0)),
            ("mish", |x| act::mish(x)),
            ("elu", |x| act::elu(x, 1.0)),
            ("softmax", |x| act::softmax(x, 1)),
            ("softmax, last", |x| act::softmax(x, 3)),
            ("log_softmax", |x| act::log_softmax(x, 1)),
            ("softmin", |x| act::softmin(x, 1)),
        ],
    );
}

#[test]
fn reductions() {
    check(
        [1, 3, 3, 4],
        &[
            ("sum_dim", |x| x.clone() + x.exp().sum_dim(2)),
            ("mean_dim", |x| x.clone() + x.exp().mean_dim(1)),
            ("max_dim", |x| x.clone() + x.max_dim(1)),
            ("min_dim", |x| x.clone() + x.min_dim(3)),
            ("max_dim with indices", |x| x.clone() + x.max_dim_with_indices(1).0),
            ("sum", |x| x.clone() + x.exp().sum().reshape([1, 1, 1, 1])),
            ("mean", |x| x.clone() + x.exp().mean().reshape([1, 1, 1, 1])),
            ("var", |x| x.clone() + x.var(1)),
        ],
    );
}

#[test]
fn shapes() {
    check(
        [1, 4, 3, 2],
        &[
            ("reshape", |x| {
                let [n, c, h, w] = x.dims();
                x.exp().reshape([n, c, h * w]).reshape([n, 2, 2 * h, w])
            }),
            ("swap_dims", |x| x.exp().swap_dims(1, 2)),
            ("permute", |x| x.exp().permute([0, 3, 1, 2])),
            ("flip", |x| x.exp().flip([1, 3])),
            ("expand", |x| x.clone() * x.slice_dim(1, 0..1).expand([-1, 4, -1, -1])),
            ("repeat_dim", |x| x.exp().repeat_dim(2, 3)),
            ("slice", |x| {
                let all = x.dims()[0];
                x.exp().slice([0..all, 1..3, 0..2])
            }),
            ("slice with steps", |x| x.exp().slice_dim(2, burn::tensor::s![0..;2])),
            ("slice_assign", |x| {
                let all = x.dims()[0];
                let part = x.clone().slice([0..all, 0..1]).exp();
                x.slice_assign([0..all, 2..3], part)
            }),
            ("slice_assign in space", |x| {
                let [all, channels, ..] = x.dims();
                let part = x.clone().slice_dim(2, 0..1).exp();
                x.slice_assign([0..all, 0..channels, 1..2], part)
            }),
            ("cat in space", |x| {
                let part = x.clone().slice_dim(2, 1..3).exp();
                Tensor::cat(vec![x.clone(), part, x.neg()], 2)
            }),
            ("narrow and cat", |x| Tensor::cat(vec![x.clone().narrow(1, 1, 2).exp(), x], 1)),
            ("pad", |x| x.exp().pad((1, 2, 0, 1), PadMode::Constant(0.5))),
            ("reflect", |x| x.exp().pad((1, 1, 2, 1), PadMode::Reflect)),
            ("edge", |x| x.exp().pad((1, 1, 2, 1), PadMode::Edge)),
            ("stack", |x| {
                let [n, c, h, w] = x.dims();
                Tensor::stack::<5>(vec![x.clone(), x.exp()], 2).reshape([n, 2 * c, h, w])
            }),
        ],
    );
    // Of a square, no side says that it was turned.
    check(
        [1, 2, 4, 4],
        &[
            ("swap_dims of a square", |x| x.exp().swap_dims(2, 3)),
            ("permute of a square", |x| x.exp().permute([0, 1, 3, 2])),
            ("flip of a square", |x| x.exp().flip([3])),
            ("reshape of a square", |x| {
                let [n, c, h, w] = x.dims();
                x.exp().reshape([n, c, h * w]).swap_dims(1, 2).reshape([n, c, h, w])
            }),
        ],
    );
}

#[test]
fn indices_and_masks() {
    check(
        [1, 4, 3, 2],
        &[
            ("select", |x| {
                let at = Tensor::<1, Int>::from_ints([3, 0, 3], &x.device());
                x.exp().select(1, at)
            }),
            ("gather", |x| {
                let at = x.clone().greater_elem(0.0).int();
                x.exp().gather(1, at)
            }),
            ("scatter", |x| {
                let at = x.clone().greater_elem(0.0).int();
                x.clone().scatter(1, at, x.exp(), IndexingUpdateOp::Add)
            }),
            ("scatter along the batch", |x| {
                let at = x.clone().lower_elem(-2.0).int();
                x.clone().scatter(0, at, x.exp(), IndexingUpdateOp::Add)
            }),
            ("select_assign", |x| {
                let at = Tensor::<1, Int>::from_ints([3, 0, 3, 1], &x.device());
                x.clone().select_assign(1, at, x.exp(), IndexingUpdateOp::Add)
            }),
            ("select_assign along the batch", |x| {
                let first = x.clone().slice_dim(0, 0..1);
                let at = Tensor::<1, Int>::from_ints([0], &x.device());
                x.select_assign(0, at, first.exp(), IndexingUpdateOp::Add)
            }),
            ("mask_where", |x| {
                let mask = x.clone().greater_elem(0.0);
                x.clone().exp().mask_where(mask, x * 3.0)
            }),
            ("mask_fill", |x| {
                let mask = x.clone().lower(x.clone().mean_dim(1));
                x.exp().mask_fill(mask, 2.0)
            }),
            ("mask_where, broadcast", |x| {
                let mask = x.clone().greater_elem(0.0);
                x.clone().exp().mask_where(mask, x.mean_dim(2))
            }),
            ("mask as a factor", |x| {
                let mask = x.clone().greater_equal_elem(0.0).float();
                x.exp() * mask
            }),
            ("masks that are moved", |x| {
                let mask = x.clone().greater_elem(0.1);
                let moved = mask.clone().swap_dims(2, 3).swap_dims(2, 3).flip([2]);
                let shape = moved.dims();
                let [n, channels, height, width] = shape;
                let moved = moved.reshape([n, channels, height * width]).reshape(shape);
                let first = moved.clone().slice_dim(1, 0..1).expand(shape);
                let both = Tensor::cat(vec![first.slice_dim(1, 0..2), mask.slice_dim(1, 2..4)], 1);
                x.exp().mask_fill(both.bool_xor(moved), 0.0)
            }),
            ("bool algebra", |x| {
                let one = x.clone().greater_elem(-0.5);
                let two = x.clone().lower_elem(0.5);
                let both = one.clone().bool_and(two.clone()).bool_or(one.bool_not());
                x.exp().mask_fill(both.bool_and(two), 0.0)
            }),
        ],
    );
}

/// A comparison is a constant of the score.
#[test]
fn comparisons() {
    fn other(x: &Tensor<4>) -> Tensor<4> {
        x.clone().exp() - 1.0
    }
    check(
        [1, 2, 3, 4],
        &[
            ("greater", |x| x.clone().mask_fill(x.clone().greater(x.clone().neg()), 0.5)),
            ("greater or equal", |x| {
                let mask = x.clone().greater_equal(x.clone().neg());
                x.mask_fill(mask, 0.5)
            }),
            ("lower or equal", |x| {
                x.clone().mask_fill(x.clone().lower_equal(x.clone().neg()), 0.5)
            }),
            ("equal", |x| x.clone().mask_fill(x.clone().abs().equal(x.clone()), 0.5)),
            ("no number", |x| x.clone().mask_fill(x.log().is_nan(), 0.5)),
            ("infinite", |x| x.clone().mask_fill(x.clamp_min(0.0).log().is_inf(), 0.5)),
            ("not equal", |x| x.clone().mask_fill(x.clone().abs().not_equal(x.clone()), 0.5)),
            ("lower or equal to a scalar", |x| {
                let mask = other(&x).lower_equal_elem(0.0);
                x.mask_fill(mask, 0.5)
            }),
            ("equal to a scalar", |x| x.clone().mask_fill(x.sign().equal_elem(1.0), 0.5)),
            ("not equal to a scalar", |x| x.clone().mask_fill(x.sign().not_equal_elem(1.0), 0.5)),
        ],
    );
}

/// Where sides are of one length only the rule can say which cells are read.
#[test]
fn squares() {
    check(
        [1, 2, 3, 3],
        &[
            ("permute", |x| x.exp().permute([0, 1, 3, 2])),
            ("swap_dims", |x| x.exp().swap_dims(2, 3)),
            ("flip", |x| x.exp().flip([2])),
            ("repeat_dim", |x| x.exp().repeat_dim(3, 1)),
            ("slice_assign", |x| {
                let [all, channels, ..] = x.dims();
                let part = x.clone().slice_dim(2, 0..1).exp();
                x.slice_assign([0..all, 0..channels, 2..3], part)
            }),
            ("slice_assign of all", |x| {
                let [all, channels, height, width] = x.dims();
                let whole = [0..all, 0..channels, 0..height, 0..width];
                x.clone().slice_assign(whole, x.exp())
            }),
        ],
    );
}

#[test]
fn matrices() {
    check(
        [1, 2, 3, 3],
        &[
            ("square matmul", |x| x.clone().matmul(x.exp())),
            ("square linear", |x| {
                let (w, b) = (weights([3, 3], &x.device()), weights([3], &x.device()));
                burn::tensor::module::linear(x.exp(), w, Some(b))
            }),
        ],
    );
    check(
        [1, 2, 3, 4],
        &[
            ("matmul", |x| x.clone().matmul(x.transpose().exp())),
            ("matmul with a constant", |x| {
                let weight = weights([1, 1, 4, 5], &x.device());
                x.exp().matmul(weight)
            }),
            ("constant first", |x| {
                let weight = weights([1, 2, 5, 3], &x.device());
                weight.matmul(x.exp())
            }),
            ("linear", |x| {
                let (w, b) = (weights([4, 5], &x.device()), weights([5], &x.device()));
                burn::tensor::module::linear(x.exp(), w, Some(b))
            }),
            ("attention", |x| {
                let q = x.clone() * 2.0;
                attention(q, x.clone().exp(), x, None, None, Default::default())
            }),
            ("tokens", |x| {
                let [n, c, h, w] = x.dims();
                let tokens = x.reshape([n, c, h * w]).swap_dims(1, 2);
                let weight = weights([2, 6], &tokens.device());
                let mixed = burn::tensor::module::linear(tokens, weight, None);
                mixed.exp().swap_dims(1, 2).reshape([n, 6, h, w])
            }),
        ],
    );
}

#[test]
fn normalisation_and_attention_as_modules() {
    let flex = Device::flex();
    let x = || numbers([1, 4, 3, 2], 1, &flex);
    let batch = BatchNormConfig::new(4).init(&flex).valid();
    check_at("batch norm", x(), |x| batch.valid().to_device(&x.device()).forward(x.exp()));
    let group = GroupNormConfig::new(2, 4).init(&flex).valid();
    check_at("group norm", x(), |x| group.valid().to_device(&x.device()).forward(x));
    let instance = InstanceNormConfig::new(4).init(&flex).valid();
    check_at("instance norm", x(), |x| instance.valid().to_device(&x.device()).forward(x));
    let layer = LayerNormConfig::new(6).init(&flex).valid();
    check_at("layer norm", numbers([1, 2, 3, 6], 1, &flex), |x| {
        layer.valid().to_device(&x.device()).forward(x)
    });
    let linear = seeded_net(2, |device| LinearConfig::new(2, 3).init(device));
    check_at("linear", x(), |x| linear.valid().to_device(&x.device()).forward(x));
    let square = seeded_net(4, |device| LinearConfig::new(2, 2).init(device));
    check_at("square linear", x(), |x| square.valid().to_device(&x.device()).forward(x));
    let heads = seeded_net(1, |device| MultiHeadAttentionConfig::new(4, 2).init(device));
    check_at("multi-head attention", x(), |x| {
        let [n, c, h, w] = x.dims();
        let tokens = x.reshape([n, c, h * w]).swap_dims(1, 2);
        let heads = heads.valid().to_device(&tokens.device());
        let mixed = heads.forward(MhaInput::self_attn(tokens)).context;
        mixed.swap_dims(1, 2).reshape([n, c, h, w])
    });
}
