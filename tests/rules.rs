//! Every reverse rule, on the device that `SEGCAM_TEST_DEVICE` names, against burn's own tape and
//! against finite differences, both on flex.

use std::sync::Arc;

use burn::backend::{Backend, Dispatch};
use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::{
    BatchNormConfig, GroupNormConfig, InstanceNormConfig, LayerNormConfig, LinearConfig,
};
use burn::tensor::module::{
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, attention, avg_pool1d,
    avg_pool2d, conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv2d, conv3d,
    interpolate, max_pool1d, max_pool2d, max_pool2d_with_indices,
};
use burn::tensor::ops::{
    AvgPoolOptions, ConvOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions,
    MaxPoolOptions, PadMode,
};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData, activation as act};
use segcam_graph::{Constants, Graph, GraphError, Keep, Network, Target};
use segcam_tests::{device, seeded_net};

type F<const D: usize> = fn(Tensor<D>) -> Tensor<D>;

/// Numbers in [-1, 1] without two that are close to each other or to a kink at 0 or ±½.
fn numbers<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let mut values: Vec<f32> = (0..count)
        .map(|i| (((i * 7919 + seed * 104_729) % count) as f32 + 0.5) / count as f32 * 2.0 - 1.0)
        .collect();
    for value in &mut values {
        for kink in [-0.5, 0.0, 0.5] {
            let gap: f32 = *value - kink;
            if gap.abs() < 0.02 {
                *value = kink + 0.02 * gap.signum();
            }
        }
    }
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Weights that are the same wherever they are made, also while a graph is captured.
fn weights<const D: usize>(shape: [usize; D], like: &Device) -> Tensor<D> {
    numbers(shape, 3, like)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(1e-6, |most, value| most.max(value.abs()))
}

fn close(given: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
    // `f32::max` passes over NaN.
    let finite = given.iter().chain(wanted).all(|value| value.is_finite());
    assert!(finite, "{what}: not finite");
    let gap = given.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let error = gap / largest(wanted);
    assert!(given.len() == wanted.len() && error < tolerance, "{what}: {error:e}");
}

#[test]
#[should_panic(expected = "not finite")]
fn what_is_not_a_number_is_close_to_nothing() {
    close(&[1.0, 2.0], &[1.0, f32::NAN], 1e-3, "NaN");
}

fn network<const D: usize>(
    shape: [usize; D],
    f: impl Fn(Tensor<D>) -> Tensor<D>,
) -> Result<Arc<Network>, GraphError> {
    let graph = Graph::capture(shape, |x, names| f(names.name("x", x)))?;
    Network::<Dispatch>::new(graph, device().as_dispatch(), &Constants::default())
}

/// Checks one function at `x`, also shifted away from zero where it needs positive numbers.
fn check_at<const D: usize>(what: &str, x: Tensor<D>, f: impl Fn(Tensor<D>) -> Tensor<D>) {
    let flex = Device::flex();
    let y = f(x.clone());
    let mut shape = y.dims();
    let classes = shape[1];
    shape[1] = 1;
    let picked = |y: Tensor<D>, class: usize| y.narrow(1, class, 1);
    let weight: Tensor<D> = numbers(shape, 5, &flex);
    let class = classes - 1;

    let network = network(x.dims(), &f).unwrap_or_else(|error| panic!("{what}: {error}"));
    let node = &network.graph().nodes()[0];
    let keep = Keep { nodes: &[node], ..Keep::default() };
    let run = network.run(x.clone().to_device(&device()).into_dispatch(), keep);
    let run = run.unwrap_or_else(|error| panic!("{what}: {error}"));
    let output = Tensor::<D>::from_dispatch(run.output());
    close(&host(output), &host(y), 1e-5, &format!("{what}, forward"));
    let gradient = |targets: &[Target]| {
        let mut found = vec![];
        run.reverse(targets, &[node], |_, g| found = host(Tensor::<D>::from_dispatch(g)));
        found
    };
    let target = |class, weights: Tensor<D>| Target {
        channels: vec![(class, 1.0)],
        weights: weights.to_device(&device()).into_dispatch(),
    };
    let given = gradient(&[target(class, weight.clone())]);

    let leaf = Tensor::from_inner(x.clone()).require_grad();
    let score = picked(f(leaf.clone()), class) * Tensor::from_inner(weight.clone());
    let mut tape = score.sum().backward();
    if let Some(wanted) = leaf.grad_remove(&mut tape) {
        close(&given, &host(wanted), 2e-5, &format!("{what}, tape"));
    }

    let score = |x: Tensor<D>| -> f64 {
        let values = picked(f(x), class) * weight.clone();
        values.into_data().iter::<f64>().sum()
    };
    let values = host(x.clone());
    let step = 4e-3f32;
    let wanted: Vec<f32> = (0..values.len())
        .map(|at| {
            let moved = |by: f32| {
                let mut values = values.clone();
                values[at] += by;
                score(Tensor::from_data(TensorData::new(values, x.dims()), &flex))
            };
            ((moved(step) - moved(-step)) / f64::from(2.0 * step)) as f32
        })
        .collect();
    close(&given, &wanted, 1e-2, &format!("{what}, finite differences"));

    // Outside the cone of a pixel there is no gradient.
    let pixels: usize = shape.iter().product();
    for pixel in [0, pixels / 2, pixels - 1] {
        let mask: Vec<bool> = (0..pixels).map(|at| at == pixel).collect();
        let one: Vec<f32> = mask.iter().map(|on| f32::from(*on)).collect();
        let given =
            gradient(&[target(class, Tensor::from_data(TensorData::new(one, shape), &flex))]);
        let cone = network.graph().cone(&mask, node);
        let (cells, channels) = (cone.len() / x.dims()[0], x.dims()[1]);
        for (at, value) in given.iter().enumerate() {
            let (image, cell) = (at / (channels * cells), at % cells);
            let inside = cone[image * cells + cell];
            assert!(*value == 0.0 || inside, "{what}: pixel {pixel} reads cell {cell}");
        }
    }

    // Targets whose cones do not meet share a walk.
    let of_pixel = |pixel: usize, class| {
        let one: Vec<f32> = (0..pixels).map(|at| f32::from(at == pixel)).collect();
        target(class, Tensor::from_data(TensorData::new(one, shape), &flex))
    };
    let asked = [(0, 0), (pixels / 2, class), (pixels - 1, class), (0, class)]
        .map(|(pixel, class)| (of_pixel(pixel, class), vec![node]));
    let mut visited = 0;
    let walks = run.reverse_each(&asked, 1, |at, _, given| {
        visited += 1;
        let given = host(Tensor::<D>::from_dispatch(given));
        close(&given, &gradient(&[asked[at].0.clone()]), 1e-6, &format!("{what}, together {at}"));
        Ok::<_, GraphError>(())
    });
    assert!(visited == 4 && walks.expect("walks") <= 4, "{what}");

    // Several cotangents along the batch are the same as one after the other.
    if network.takes_many() {
        let targets = [
            target(class, weight.clone()),
            target(0, weight.clone() * 2.0),
            target(class, weight.neg()),
        ];
        let apart: Vec<f32> =
            targets.iter().flat_map(|t| gradient(std::slice::from_ref(t))).collect();
        close(&gradient(&targets), &apart, 1e-6, &format!("{what}, three at once"));
    }
}

fn check<const D: usize>(shape: [usize; D], cases: &[(&str, F<D>)]) {
    for (what, f) in cases {
        check_at(what, numbers(shape, 1, &Device::flex()), f);
        let mut batch = shape;
        batch[0] = 2;
        check_at(&format!("{what}, two images"), numbers(batch, 1, &Device::flex()), f);
    }
}

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
            ("bool algebra", |x| {
                let one = x.clone().greater_elem(-0.5);
                let two = x.clone().lower_elem(0.5);
                let both = one.clone().bool_and(two.clone()).bool_or(one.bool_not());
                x.exp().mask_fill(both.bool_and(two), 0.0)
            }),
        ],
    );
}

#[test]
fn matrices() {
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
fn convolutions() {
    fn conv<const K: usize>(
        x: Tensor<4>,
        channels: [usize; 2],
        options: ConvOptions<2>,
    ) -> Tensor<4> {
        let weight = weights([channels[0], channels[1], K, K], &x.device());
        let bias = weights([channels[0]], &x.device());
        conv2d(x, weight, Some(bias), options)
    }
    fn back<const K: usize>(
        x: Tensor<4>,
        channels: [usize; 2],
        options: ConvTransposeOptions<2>,
    ) -> Tensor<4> {
        let weight = weights([channels[0], channels[1], K, K], &x.device());
        conv_transpose2d(x, weight, None, options)
    }
    check(
        [1, 4, 5, 6],
        &[
            ("conv2d", |x| conv::<3>(x, [3, 4], ConvOptions::new([1, 1], [1, 1], [1, 1], 1))),
            ("no padding", |x| conv::<3>(x, [3, 4], ConvOptions::new([1, 1], [0, 0], [1, 1], 1))),
            ("much padding", |x| conv::<1>(x, [3, 4], ConvOptions::new([1, 1], [2, 1], [1, 1], 1))),
            ("pointwise", |x| conv::<1>(x, [3, 4], ConvOptions::new([1, 1], [0, 0], [1, 1], 1))),
            ("stride", |x| conv::<3>(x, [3, 4], ConvOptions::new([2, 2], [1, 1], [1, 1], 1))),
            ("stride, left over", |x| {
                conv::<2>(x, [3, 4], ConvOptions::new([2, 3], [0, 0], [1, 1], 1))
            }),
            ("dilation", |x| conv::<3>(x, [3, 4], ConvOptions::new([1, 1], [2, 1], [2, 2], 1))),
            ("groups", |x| conv::<3>(x, [6, 2], ConvOptions::new([1, 1], [1, 1], [1, 1], 2))),
            ("depthwise", |x| conv::<3>(x, [4, 1], ConvOptions::new([1, 1], [1, 1], [1, 1], 4))),
            ("groups and stride", |x| {
                conv::<3>(x, [6, 2], ConvOptions::new([2, 2], [1, 1], [1, 1], 2))
            }),
            ("uneven padding", |x| {
                let options = ConvOptions::new_with_padding([1, 1], [(0, 2), (1, 0)], [1, 1], 1);
                conv::<3>(x, [3, 4], options)
            }),
            ("uneven padding and stride", |x| {
                let options = ConvOptions::new_with_padding([2, 2], [(0, 2), (1, 0)], [1, 1], 1);
                conv::<3>(x, [3, 4], options)
            }),
            ("of joined parts", |x| {
                let parts = vec![x.clone().narrow(1, 1, 3).exp(), x.clone(), x.tanh()];
                let x = Tensor::cat(parts, 1);
                conv::<3>(x, [3, 11], ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
            }),
            ("two convolutions", |x| {
                let x = conv::<3>(x, [5, 4], ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
                let x = act::tanh(x);
                conv::<3>(x, [3, 5], ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
            }),
            ("conv_transpose2d", |x| {
                back::<2>(x, [4, 3], ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1))
            }),
            ("blocks", |x| {
                let (w, b) = (weights([4, 3, 2, 3], &x.device()), weights([3], &x.device()));
                let options = ConvTransposeOptions::new([2, 3], [0, 0], [0, 0], [1, 1], 1);
                conv_transpose2d(x, w, Some(b), options)
            }),
            ("transposed, everything", |x| {
                back::<3>(x, [4, 3], ConvTransposeOptions::new([2, 2], [1, 1], [1, 0], [1, 2], 2))
            }),
        ],
    );
    check(
        [1, 2, 7],
        &[
            ("conv1d", |x| {
                let weight = weights([3, 2, 3], &x.device());
                conv1d(x, weight, None, ConvOptions::new([1], [1], [1], 1))
            }),
            ("conv1d, stride", |x| {
                let weight = weights([3, 2, 3], &x.device());
                conv1d(x, weight, None, ConvOptions::new([2], [1], [1], 1))
            }),
            ("conv_transpose1d", |x| {
                let weight = weights([2, 3, 3], &x.device());
                let options = ConvTransposeOptions::new([2], [1], [1], [1], 1);
                conv_transpose1d(x, weight, None, options)
            }),
        ],
    );
    check(
        [1, 2, 3, 4, 3],
        &[
            ("conv3d", |x| {
                let weight = weights([3, 2, 3, 3, 3], &x.device());
                conv3d(x, weight, None, ConvOptions::new([1; 3], [1; 3], [1; 3], 1))
            }),
            ("conv3d, stride", |x| {
                let weight = weights([3, 2, 2, 2, 2], &x.device());
                conv3d(x, weight, None, ConvOptions::new([2; 3], [0, 0, 1], [1; 3], 1))
            }),
            ("conv_transpose3d", |x| {
                let weight = weights([2, 3, 2, 2, 2], &x.device());
                let options = ConvTransposeOptions::new([2; 3], [0; 3], [0; 3], [1; 3], 1);
                conv_transpose3d(x, weight, None, options)
            }),
        ],
    );
}

#[test]
fn pooling_and_interpolation() {
    fn resized(x: Tensor<4>, mode: InterpolateMode, align: bool) -> Tensor<4> {
        let options =
            InterpolateOptions::new(mode).with_align_corners(align).with_output_size([7, 9]);
        interpolate(x, options)
    }
    check(
        [1, 2, 4, 6],
        &[
            ("max_pool2d", |x| max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2]))),
            ("max_pool2d, overlapping", |x| {
                let options = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
                max_pool2d(x, options)
            }),
            ("max_pool2d, ceil", |x| {
                let options = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_ceil_mode(true);
                max_pool2d(x, options)
            }),
            ("max_pool2d with indices", |x| {
                let options = MaxPoolOptions::new([2, 2]).with_stride([2, 2]);
                max_pool2d_with_indices(x, options).0
            }),
            ("avg_pool2d", |x| {
                let options = AvgPoolOptions::new([2, 3]).with_stride([2, 2]).with_padding([0, 1]);
                avg_pool2d(x, options)
            }),
            ("avg_pool2d without the border", |x| {
                let options = AvgPoolOptions::new([3, 3]).with_stride([1, 2]).with_padding([1, 1]);
                avg_pool2d(x, options.with_count_include_pad(false))
            }),
            ("adaptive_avg_pool2d", |x| adaptive_avg_pool2d(x, [3, 4])),
            ("bilinear", |x| resized(x, InterpolateMode::Bilinear, false)),
            ("bilinear, corners", |x| resized(x, InterpolateMode::Bilinear, true)),
            ("nearest", |x| resized(x, InterpolateMode::Nearest, false)),
            ("interpolate after a head", |x| {
                let weight = weights([3, 2, 1, 1], &x.device());
                let x = conv2d(x.exp(), weight, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1));
                resized(x, InterpolateMode::Bilinear, false)
            }),
        ],
    );
    check(
        [1, 2, 6],
        &[
            ("max_pool1d", |x| max_pool1d(x, MaxPoolOptions::new([2]).with_stride([2]))),
            ("avg_pool1d", |x| {
                avg_pool1d(x, AvgPoolOptions::new([3]).with_stride([2]).with_padding([1]))
            }),
            ("adaptive_avg_pool1d", |x| adaptive_avg_pool1d(x, 4)),
        ],
    );
    check([1, 2, 3, 4, 5], &[("adaptive_avg_pool3d", |x| adaptive_avg_pool3d(x, [2, 2, 3]))]);
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
    let heads = seeded_net(1, |device| MultiHeadAttentionConfig::new(4, 2).init(device));
    check_at("multi-head attention", x(), |x| {
        let [n, c, h, w] = x.dims();
        let tokens = x.reshape([n, c, h * w]).swap_dims(1, 2);
        let heads = heads.valid().to_device(&tokens.device());
        let mixed = heads.forward(MhaInput::self_attn(tokens)).context;
        mixed.swap_dims(1, 2).reshape([n, c, h, w])
    });
}

/// Where a function is piecewise linear behind a layer, the shares of a cut there are the score. Every
/// case has a layer in the middle, one forward pass serves both cuts, in any order.
#[test]
fn shares_of_piecewise_linear_functions_add_up() {
    let cases: &[(&str, F<4>)] = &[
        ("relu", |x| act::relu(x + 0.1)),
        ("leaky_relu", |x| act::leaky_relu(x + 0.1, 0.2)),
        ("relu6", |x| (x * 20.0).clamp(0.0, 6.0)),
        ("clamp", |x| x.clamp(-0.5, 0.5)),
        ("clamp_min", |x| x.clamp_min(0.25)),
        ("clamp_max", |x| x.clamp_max(0.25)),
        ("hard_sigmoid", |x| act::hard_sigmoid(x * 5.0, 0.2, 0.5)),
        ("abs", |x| (x - 0.3).abs()),
        ("floor", |x| x.clone() + (x * 3.0).floor()),
        ("sign", |x| x.clone() + x.sign()),
        ("scalar from", |x| x.neg() - 1.5),
        ("minus a constant", |x| {
            let constant = weights([1, 4, 1, 2], &x.device());
            constant.clone() - x - constant
        }),
        ("pad", |x| x.pad((1, 1, 0, 2), PadMode::Constant(0.5))),
        ("edge", |x| x.pad((1, 1, 0, 2), PadMode::Edge)),
        ("mask_fill", |x| x.clone().mask_fill(x.lower_elem(0.2), 2.0)),
        ("mask_where, constant value", |x| {
            let constant = weights([1, 4, 3, 2], &x.device());
            x.clone().mask_where(x.lower_elem(0.2), constant)
        }),
        ("mask_where, constant tensor", |x| {
            let constant = weights([1, 4, 3, 2], &x.device());
            constant.mask_where(x.clone().lower_elem(0.2), x)
        }),
        ("max with a constant", |x| {
            let constant = weights([1, 4, 3, 2], &x.device());
            x.max_pair(constant)
        }),
        ("mask as a factor", |x| {
            let mask = x.clone().greater_elem(0.1).float();
            x * mask
        }),
        ("mask as a summand", |x| {
            let mask = x.clone().greater_elem(0.1).float();
            mask - x
        }),
        ("cat with a constant", |x| {
            let constant = weights([1, 2, 3, 2], &x.device());
            Tensor::cat(vec![constant, x], 1)
        }),
        ("slice_assign into a constant", |x| {
            let constant = weights([1, 4, 3, 2], &x.device());
            constant.slice_assign([0..1, 1..3], x.slice([0..1, 0..2]))
        }),
        ("slice_assign of a constant", |x| {
            let constant = weights([1, 2, 3, 2], &x.device());
            x.slice_assign([0..1, 1..3], constant)
        }),
        ("scatter", |x| {
            let at = x.clone().greater_elem(0.0).int();
            let constant = weights([1, 4, 3, 2], &x.device());
            let one = x.clone().scatter(1, at.clone(), constant.clone(), IndexingUpdateOp::Add);
            one + constant.scatter(1, at, x, IndexingUpdateOp::Add)
        }),
        ("select_assign", |x| {
            let at = Tensor::<1, Int>::from_ints([3, 0, 3, 1], &x.device());
            let constant = weights([1, 4, 3, 2], &x.device());
            let to =
                |x: Tensor<4>, value| x.select_assign(1, at.clone(), value, IndexingUpdateOp::Add);
            to(x.clone(), constant.clone()) + to(constant, x)
        }),
        ("max_pool2d", |x| max_pool2d(x + 0.5, MaxPoolOptions::new([2, 2]).with_padding([1, 1]))),
        ("max_dim", |x| x.clone() + (x + 0.2).max_dim(1)),
        ("convolution", |x| {
            let (w, b) = (weights([3, 4, 3, 3], &x.device()), weights([3], &x.device()));
            conv2d(x, w, Some(b), ConvOptions::new([1; 2], [1; 2], [1; 2], 1))
        }),
        ("linear", |x| {
            let (w, b) = (weights([2, 3], &x.device()), weights([3], &x.device()));
            burn::tensor::module::linear(x, w, Some(b))
        }),
    ];
    for (what, f) in cases {
        let graph = Graph::capture([1, 4, 3, 2], |x: Tensor<4>, names| {
            let x = names.name("first", x);
            let y = names.name("second", act::relu(x.clone() - 0.1) * 2.0);
            f(y + x)
        });
        let constants = Constants::default();
        let network = graph
            .and_then(|graph| Network::<Dispatch>::new(graph, device().as_dispatch(), &constants));
        let network = network.unwrap_or_else(|error| panic!("{what}: {error}"));
        let nodes: Vec<_> = network.graph().nodes().iter().filter(|node| node.named).collect();
        let keep = Keep { nodes: &nodes, shares: true, ..Keep::default() };
        let x = numbers([1, 4, 3, 2], 1, &device()).into_dispatch();
        let run = network.run(x, keep).unwrap_or_else(|error| panic!("{what}: {error}"));
        let output = Tensor::<4>::from_dispatch(run.output());
        let mut shape = output.dims();
        shape[1] = 1;
        let weight: Tensor<4> = numbers(shape, 5, &device());
        // A channel that stands twice, one that is subtracted.
        let channels = vec![(0, 0.5), (2, -2.0), (0, 0.5)];
        let difference = output.clone().narrow(1, 0, 1) - output.narrow(1, 2, 1) * 2.0;
        let score: f64 = (difference * weight.clone()).into_data().iter::<f64>().sum();
        let target = Target { channels, weights: weight.into_dispatch() };
        for node in [nodes[1], nodes[0], nodes[1]] {
            let shares = run.shares(&target, node).expect("shares");
            let gap = (shares.total() - score).abs() / score.abs().max(1.0);
            assert!(gap < 1e-4, "{what}, cut at {}: {shares:?} is not {score}", node.name);
            let past: Vec<&str> = shares.bypasses.iter().map(|(name, _)| &**name).collect();
            assert_eq!(past, if node.name == "second" { vec!["first"] } else { vec![] }, "{what}");
        }
    }
}

/// What is not known to keep images apart is taken to mix them.
#[test]
fn cotangents_lie_along_the_batch_only_where_that_is_safe() {
    fn takes_many(f: F<4>) -> bool {
        network([1, 2, 4, 6], f).expect("a network").takes_many()
    }
    assert!(takes_many(|x| {
        let weight = weights([3, 2, 3, 3], &x.device());
        let x = act::relu(conv2d(x, weight, None, ConvOptions::new([1; 2], [1; 2], [1; 2], 1)));
        let tokens = max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2]));
        let tokens = tokens.reshape([1, 3, 6]).swap_dims(1, 2);
        let mixed = act::softmax(tokens.clone().matmul(tokens.clone().transpose()), 2);
        mixed.matmul(tokens).swap_dims(1, 2).reshape([1, 3, 2, 3])
    }));
    assert!(!takes_many(|x| x.cumsum(0)));
    assert!(!takes_many(|x| {
        let at = x.clone().lower_elem(-2.0).int();
        x.clone().scatter(0, at, x, IndexingUpdateOp::Add)
    }));
    assert!(!takes_many(|x| {
        let at = Tensor::<1, Int>::from_ints([0], &x.device());
        x.clone().select_assign(0, at, x, IndexingUpdateOp::Add)
    }));
}

#[test]
fn shares_that_were_not_kept_are_an_error() {
    let network = network([1, 1, 1, 2], act::relu).expect("a network");
    let node = &network.graph().nodes()[0];
    let ones = || Tensor::<4>::ones([1, 1, 1, 2], &device()).into_dispatch();
    let run = network.run(ones(), Keep { nodes: &[node], ..Keep::default() }).expect("a run");
    let error = run.shares(&Target { channels: vec![(0, 1.0)], weights: ones() }, node).err();
    assert_eq!(error, Some(GraphError::NotKept { name: "x".into() }));
}

/// Every list of channels goes the way of the full cotangent, through each shortcut at the end.
#[test]
fn scores_of_several_channels() {
    fn head(x: Tensor<4>) -> Tensor<4> {
        let weight = weights([3, 2, 1, 1], &x.device());
        conv2d(x.exp(), weight, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1))
    }
    let cases: &[(&str, F<4>)] = &[
        ("no shortcut", |x| head(x).exp()),
        ("pointwise", head),
        ("interpolated", |x| {
            let options = InterpolateOptions::new(InterpolateMode::Bilinear);
            interpolate(head(x), options.with_output_size([7, 9]))
        }),
        ("windows", |x| {
            let weight = weights([3, 2, 3, 3], &x.device());
            conv2d(x.exp(), weight, None, ConvOptions::new([1; 2], [1; 2], [1; 2], 1))
        }),
        ("transposed", |x| {
            let weight = weights([2, 3, 2, 2], &x.device());
            let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
            conv_transpose2d(x.exp(), weight, None, options)
        }),
    ];
    for (what, f) in cases {
        let network = network([1, 2, 4, 5], f).unwrap_or_else(|error| panic!("{what}: {error}"));
        let node = &network.graph().nodes()[0];
        let x: Tensor<4> = numbers([1, 2, 4, 5], 1, &device());
        let keep = Keep { nodes: &[node], ..Keep::default() };
        let run = network.run(x.into_dispatch(), keep).expect("a run");
        let mut shape = Tensor::<4>::from_dispatch(run.output()).dims();
        shape[1] = 1;
        let gradient = |lists: &[&[(usize, f64)]]| {
            let target = |channels: &&[(usize, f64)]| Target {
                channels: channels.to_vec(),
                weights: numbers(shape, 5, &device()).into_dispatch(),
            };
            let targets: Vec<Target> = lists.iter().map(target).collect();
            let mut found = vec![];
            run.reverse(&targets, &[node], |_, g| found = host(Tensor::<4>::from_dispatch(g)));
            found
        };
        let one = [0, 1, 2].map(|class| gradient(&[&[(class, 1.0)]]));
        let mixed = |by: [f32; 3]| -> Vec<f32> {
            (0..one[0].len()).map(|at| (0..3).map(|c| by[c] * one[c][at]).sum()).collect()
        };
        type Channels<'a> = &'a [(usize, f64)];
        let lists: [(Channels, [f32; 3]); 5] = [
            (&[(1, 1.0), (2, -1.0)], [0.0, 1.0, -1.0]),
            (&[(0, 1.0), (1, -0.5), (2, -0.25)], [1.0, -0.5, -0.25]),
            (&[(2, 1.0), (2, 2.0)], [0.0, 0.0, 3.0]),
            (&[(0, 1.0), (0, -1.0), (1, 1.0)], [0.0, 1.0, 0.0]),
            (&[], [0.0; 3]),
        ];
        for (list, by) in &lists {
            let (given, wanted) = (gradient(&[list]), mixed(*by));
            let mut gaps = given.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
            let largest = one.iter().map(|one| largest(one)).fold(0.0, f32::max);
            assert!(given.len() == wanted.len(), "{what}: {list:?}");
            let close = gaps.all(|gap| gap < 1e-6 * largest);
            assert!(close, "{what}: {list:?}: {given:?} {wanted:?}");
        }
        let together = gradient(&lists.map(|(list, _)| list));
        let apart: Vec<f32> = lists.iter().flat_map(|(list, _)| gradient(&[list])).collect();
        close(&together, &apart, 1e-6, &format!("{what}, together"));
    }
}

/// √ has an infinite slope at 0, where the ReLU before it lets nothing pass. On LibTorch a mask is
/// a factor, and such a map is refused as not finite.
#[test]
fn infinite_cotangents_end_at_a_relu() {
    let network = network([1, 1, 1, 2], |x| act::relu(x).sqrt()).expect("a network");
    let node = &network.graph().nodes()[0];
    let x = Tensor::<4>::from_floats([[[[-1.0, 4.0]]]], &device()).into_dispatch();
    let run = network.run(x, Keep { nodes: &[node], ..Keep::default() }).expect("a run");
    let weights = Tensor::<4>::ones([1, 1, 1, 2], &device()).into_dispatch();
    let mut found = vec![];
    run.reverse(&[Target { channels: vec![(0, 1.0)], weights }], &[node], |_, g| {
        found = host(Tensor::<4>::from_dispatch(g));
    });
    assert_eq!(found[1], 0.25);
    let torch = Dispatch::name(device().as_dispatch()).contains("torch");
    assert!(if torch { found[0].is_nan() } else { found[0] == 0.0 }, "{found:?}");
}

#[test]
fn an_operation_without_a_rule_is_named() {
    let graph = network([1, 2, 3, 4], |x| x.cumsum(1)).expect("a network");
    let node = &graph.graph().nodes()[0];
    let x = Tensor::<4>::ones([1, 2, 3, 4], &device()).into_dispatch();
    let error = graph.run(x, Keep { nodes: &[node], ..Keep::default() }).err();
    assert_eq!(error, Some(GraphError::Unsupported { operation: "cum_sum".into() }));
}

/// Its weights have no path, and the path of its input is not theirs.
#[test]
fn a_convolution_with_itself_is_refused() {
    let options = || ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
    let graph = network([2, 2, 2, 2], |x| conv2d(x.clone(), x, None, options()));
    let graph = graph.expect("a network");
    let node = &graph.graph().nodes()[0];
    let x = Tensor::<4>::ones([2, 2, 2, 2], &device()).into_dispatch();
    let error = graph.run(x, Keep { nodes: &[node], ..Keep::default() }).err();
    assert_eq!(error, Some(GraphError::Unsupported { operation: "conv2d".into() }));
}

#[test]
fn a_forward_pass_that_reads_values_cannot_be_captured() {
    let error = network([1, 1, 2, 2], |x| {
        let sum: f32 = x.clone().sum().into_scalar();
        x * sum
    });
    assert!(matches!(error.err(), Some(GraphError::Capture { .. })));
}

#[test]
fn memory_is_bounded() {
    let graph = network([1, 8, 32, 32], |x| act::relu(x.exp()).exp()).expect("a network");
    let node = &graph.graph().nodes()[0];
    let run = |limit| {
        let x = Tensor::<4>::ones([1, 8, 32, 32], &device()).into_dispatch();
        graph.run(x, Keep { nodes: &[node], limit, shares: false }).err()
    };
    assert_eq!(run(Some(1000)), Some(GraphError::Memory { limit: 1000 }));
    assert_eq!(run(Some(1 << 20)), None);
}
