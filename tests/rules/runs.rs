//! What a run says of itself: shares, targets, errors, memory.

use burn::backend::{Backend, Dispatch};
use burn::module::Module;
use burn::nn::BatchNormConfig;
use burn::tensor::module::{
    conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv2d, conv3d, interpolate,
    max_pool2d,
};
use burn::tensor::ops::{
    ConvOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions, PadMode,
};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, activation as act};
use segcam_graph::{Constants, Graph, GraphError, Keep, Network, Target};
use segcam_tests::device;

use crate::{F, close, host, largest, network, numbers, weights};

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
        ("pad", |x| x.pad((1, 2, 1, 0), PadMode::Constant(0.5))),
        ("pad with −∞", |x| {
            let padded = x.pad((1, 0, 1, 0), PadMode::Constant(f32::NEG_INFINITY));
            max_pool2d(padded, MaxPoolOptions::new([2, 2]))
        }),
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
    assert!(takes_many(|x| x.clone() + x.mean_dim(2).expand([1, 2, 4, 6])));
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

/// BatchNorm goes into the convolution before it, of every kind.
#[test]
fn a_convolution_and_its_batch_norm_are_one_operation() {
    fn assert_one<const D: usize>(shape: [usize; D], transposed: bool, conv: F<D>) {
        let norm = BatchNormConfig::new(3).init(&Device::flex()).valid();
        let network = network(shape, |x| norm.valid().to_device(&x.device()).forward(conv(x)));
        let graph = network.expect("rules").graph().to_string();
        let last = graph.lines().last().expect("an operation");
        let kernel = if transposed { "constant[2, 3" } else { "constant[3, 2" };
        let shown = last.starts_with("batch_norm") && last.contains(" = conv");
        assert!(shown && last.contains(kernel) && last.ends_with("constant[3])"), "{graph}");
    }
    assert_one([1, 2, 4], false, |x| {
        let options = ConvOptions::new([1], [1], [1], 1);
        conv1d(x.clone(), weights([3, 2, 3], &x.device()), None, options)
    });
    assert_one([1, 2, 4, 4], false, |x| {
        let options = ConvOptions::new([1; 2], [1; 2], [1; 2], 1);
        conv2d(x.clone(), weights([3, 2, 3, 3], &x.device()), None, options)
    });
    assert_one([1, 2, 4, 4, 4], false, |x| {
        let options = ConvOptions::new([1; 3], [1; 3], [1; 3], 1);
        conv3d(x.clone(), weights([3, 2, 3, 3, 3], &x.device()), None, options)
    });
    assert_one([1, 2, 4], true, |x| {
        let options = ConvTransposeOptions::new([2], [0], [0], [1], 1);
        conv_transpose1d(x.clone(), weights([2, 3, 2], &x.device()), None, options)
    });
    assert_one([1, 2, 4, 4], true, |x| {
        let options = ConvTransposeOptions::new([2; 2], [0; 2], [0; 2], [1; 2], 1);
        conv_transpose2d(x.clone(), weights([2, 3, 2, 2], &x.device()), None, options)
    });
    assert_one([1, 2, 4, 4, 4], true, |x| {
        let options = ConvTransposeOptions::new([2; 3], [0; 3], [0; 3], [1; 3], 1);
        conv_transpose3d(x.clone(), weights([2, 3, 2, 2, 2], &x.device()), None, options)
    });
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
    // The exponentials keep their outputs, the ReLU a mask.
    let mask = Tensor::<1>::ones([1], &device()).greater_elem(0.0).dtype().size();
    let kept = 8 * 32 * 32 * (4 + mask + 4);
    assert_eq!(run(Some(kept - 1)), Some(GraphError::Memory { limit: kept - 1 }));
    assert_eq!(run(Some(kept)), None);
}
