//! How many forward passes questions cost, and how many walks back.

mod captures;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, Conv3d, Conv3dConfig};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::TensorData;
use burn::tensor::activation::{relu, sigmoid};

use super::*;
use crate::{
    AllPixels, Explainer, HiResCam, Layers, Observation, Prediction, Request, Target, Wanted,
};

/// Named layers `a` and `b`; a convolution that is merged with its BatchNorm; operations.
#[derive(Module, Debug)]
struct Net {
    first: Conv2d,
    norm: BatchNorm,
    second: Conv2d,
    head: Conv2d,
}

impl SegmentationModel for Net {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let convolved = layers.detail("convolved", self.first.forward(image));
        let a = layers.name("a", relu(self.norm.forward(convolved)));
        let b = layers.name("b", relu(self.second.forward(a)));
        self.head.forward(b)
    }
}

/// Numbers from -0.3 to 0.7, the same in every run: of random weights, one in some dozen networks has
/// no way through its ReLUs.
fn numbers<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|at| (at * 7919 % 997) as f32 / 997.0 - 0.3).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The network with such weights.
fn fixed<M: Module>(net: M) -> M {
    struct Fixed;
    impl ModuleMapper for Fixed {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // A vector may be a BatchNorm's variance, which is positive.
            param.map(|tensor| match D {
                1 => numbers(tensor.dims()).abs(),
                _ => numbers(tensor.dims()),
            })
        }
    }
    net.map(&mut Fixed)
}

fn engine() -> (GraphEngine<Net>, Tensor<4>) {
    let device = Device::flex();
    let net = Net {
        first: Conv2dConfig::new([1, 3], [1, 1]).init(&device),
        norm: BatchNormConfig::new(3).init(&device),
        second: Conv2dConfig::new([3, 4], [3, 3]).init(&device),
        head: Conv2dConfig::new([4, 5], [1, 1]).init(&device),
    };
    (GraphEngine::new(fixed(net)), numbers([1, 1, 6, 7]))
}

fn targets(seen: &Observation) -> Vec<Target> {
    (0..5).map(|class| seen.target(&AllPixels, class).expect("a target")).collect()
}

fn pass(engine: &GraphEngine<Net>, input: &Tensor<4>) -> GraphPass<Net, 4> {
    engine.run(input.clone()).expect("a pass").1
}

fn gradients(pass: &GraphPass<Net, 4>, targets: &[Target], layers: &[&str]) -> usize {
    let wanted = |target: &Target| Wanted { target: target.clone(), layers: layers.to_vec() };
    let wanted: Vec<_> = targets.iter().map(wanted).collect();
    let mut visited = 0;
    let mut visit = |_, _, _| {
        visited += 1;
        Ok(())
    };
    pass.gradients(&wanted, &mut visit).expect("gradients");
    visited
}

#[test]
fn named_layers_cost_nothing_more() {
    let (engine, input) = engine();
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone());
    let targets = targets(&seen.expect("a pass"));
    let pass = pass(&engine, &input);
    assert_eq!(gradients(&pass, &targets, &["a", "b"]), 10);
    assert_eq!(pass.activations(&["b", "a"]).expect("both").len(), 2);
    assert_eq!(pass.runs.count(), 1);
}

#[test]
fn many_targets_at_layers_that_were_not_kept_cost_one_forward_pass() {
    let (engine, input) = engine();
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let targets = targets(&seen);
    // An operation without a name, and one that was merged with the next.
    for layer in ["conv2d.2", "convolved"] {
        let pass = pass(&engine, &input);
        assert_eq!(gradients(&pass, &targets, &[layer, "b"]), 10, "{layer}");
        assert_eq!(pass.runs.count(), 2, "{layer}: all at once");
        for target in &targets {
            assert_eq!(gradients(&pass, std::slice::from_ref(target), &[layer]), 1, "{layer}");
        }
        pass.activations(&[layer]).expect("it was kept");
        assert_eq!(pass.runs.count(), 2, "{layer}: one after the other");
    }
}

#[test]
fn certificates_cost_a_forward_pass_for_each_layer_in_any_order() {
    let (engine, input) = engine();
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let targets = targets(&seen);
    let layers = ["a", "conv2d.2", "b", "convolved"];
    let pairs = |by_layer: bool| -> Vec<(&Target, &str)> {
        let by_layers = layers.iter().flat_map(|layer| targets.iter().map(move |t| (t, *layer)));
        let by_targets = targets.iter().flat_map(|target| layers.map(move |layer| (target, layer)));
        if by_layer { by_layers.collect() } else { by_targets.collect() }
    };
    for by_layer in [true, false] {
        let pass = pass(&engine, &input);
        let certifier = pass.certifier().expect("the graph engine has one");
        for (target, layer) in pairs(by_layer) {
            let shares = certifier.certify(target, layer).expect("a certificate").0;
            let score = seen.score(target).expect("a score")[0];
            assert!((shares.total() - score).abs() < 1e-4 * score.abs().max(1.0), "{layer}");
        }
        assert_eq!(pass.runs.count(), 1 + layers.len());
    }
}

#[test]
fn gradients_and_certificates_do_not_forget_each_other() {
    let (engine, input) = engine();
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let targets = targets(&seen);
    let pass = pass(&engine, &input);
    for _ in 0..3 {
        assert_eq!(gradients(&pass, &targets[..1], &["conv2d.2"]), 1);
        let certifier = pass.certifier().expect("the graph engine has one");
        certifier.certify(&targets[0], "conv2d.2").expect("a certificate");
        assert_eq!(pass.runs.count(), 3);
    }
}

/// Which layers are visited, and how many channels each has; or why none is.
fn visited(
    pass: &dyn Pass,
    target: &Target,
    layers: &[&str],
) -> Result<Vec<(usize, usize)>, CamError> {
    let wanted = [Wanted { target: target.clone(), layers: layers.to_vec() }];
    let mut visited = vec![];
    let done = pass.gradients(&wanted, &mut |_, layer, found| {
        visited.push((layer, found.gradients.dims()[1]));
        Ok(())
    });
    visited.sort_unstable();
    assert!(done.is_ok() || visited.is_empty(), "{visited:?}");
    done.map(|()| visited)
}

#[test]
fn an_unknown_layer_is_an_error_and_shifts_no_other() {
    let (engine, input) = engine();
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let target = &targets(&seen)[1];
    let pass = pass(&engine, &input);
    for layers in [["nowhere", "b"], ["a", "nowhere"]] {
        let error = visited(&pass, target, &layers).expect_err("no such layer");
        let unknown = GraphError::UnknownValue { name: "nowhere".into() };
        assert_eq!(error, CamError::Graph(unknown), "{layers:?}");
    }
    for (layers, wanted) in [(["a", "b"], [(0, 3), (1, 4)]), (["b", "a"], [(0, 4), (1, 3)])] {
        assert_eq!(visited(&pass, target, &layers).expect("gradients"), wanted, "{layers:?}");
    }
}

/// Layer `lost` does not reach the logits.
#[derive(Module, Debug)]
struct Lost {
    first: Conv2d,
    head: Conv2d,
}

impl SegmentationModel for Lost {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let found = layers.name("found", self.first.forward(image));
        layers.name("lost", found.clone() * 2.0);
        self.head.forward(found)
    }
}

#[test]
fn a_layer_without_a_path_shifts_no_other() {
    let device = Device::flex();
    let conv = |channels| Conv2dConfig::new(channels, [1, 1]).init(&device);
    let engine = GraphEngine::new(fixed(Lost { first: conv([1, 3]), head: conv([3, 2]) }));
    let input = numbers([1, 1, 6, 7]);
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let target = seen.target(&AllPixels, 1).expect("a target");
    let pass = engine.run(input).expect("a pass").1;
    for (layers, at) in [(["lost", "found"], 1), (["found", "lost"], 0)] {
        let visited = visited(&pass, &target, &layers).expect("gradients");
        assert_eq!(visited, [(at, 3)], "{layers:?}");
    }
}

/// Two branches, each with a layer.
#[derive(Module, Debug)]
struct Branches {
    left: Conv2d,
    right: Conv2d,
}

impl SegmentationModel for Branches {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let left = layers.name("left", self.left.forward(image.clone()));
        let right = layers.name("right", self.right.forward(image));
        relu(left) + relu(right)
    }
}

#[test]
fn what_does_not_fit_together_is_computed_one_layer_after_the_other() {
    let device = Device::flex();
    let conv = || Conv2dConfig::new([1, 2], [1, 1]).init(&device);
    let engine = GraphEngine::new(fixed(Branches { left: conv(), right: conv() }));
    let input = numbers([1, 1, 6, 7]);
    let seen = Explainer::with_engine(engine.clone()).observe(input.clone()).expect("a pass");
    let target = seen.target(&AllPixels, 1).expect("a target");
    let mut passes = vec![];
    for memory in (0..2048).step_by(16) {
        let engine = engine.clone().with_memory(memory);
        let (_, pass) = engine.run(input.clone()).expect("a pass");
        let wanted = [Wanted { target: target.clone(), layers: vec!["left", "right"] }];
        let mut visited = vec![];
        let done = pass.gradients(&wanted, &mut |target, layer, _| {
            visited.push((target, layer));
            Ok(())
        });
        match done {
            Ok(()) => {
                visited.sort_unstable();
                assert_eq!(visited, [(0, 0), (0, 1)], "{memory}");
                passes.push(pass.runs.count());
            }
            Err(CamError::Graph(GraphError::Memory { limit })) => assert_eq!(limit, memory),
            Err(error) => panic!("{error}"),
        }
    }
    passes.dedup();
    // With room for one branch each layer has a pass of its own; with room for both the first does.
    assert_eq!((passes[0] > 2, passes.last()), (true, Some(&1)), "{passes:?}");
}

/// Convolutions, and behind `before` a gate that is a mean over the image.
#[derive(Module, Debug)]
struct Gated {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
}

impl SegmentationModel for Gated {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let before = layers.name("before", relu(self.first.forward(image)));
        let gate = sigmoid(before.clone().mean_dims(&[2, 3]));
        let behind = layers.name("behind", relu(self.second.forward(before * gate)));
        self.third.forward(behind)
    }
}

/// One convolution in three dimensions behind `layer`.
#[derive(Module, Debug)]
struct Volume {
    first: Conv3d,
    second: Conv3d,
}

impl SegmentationModel<5> for Volume {
    fn forward(&self, volume: Tensor<5>, layers: &mut Layers) -> Tensor<5> {
        self.second.forward(layers.name("layer", relu(self.first.forward(volume))))
    }
}

/// Sets of 3 pixels in each direction, each at a corner, of classes in turn.
fn sets<const D: usize>(
    seen: &Observation<D>,
    corners: impl Iterator<Item = Vec<usize>>,
) -> Vec<Target<D>> {
    let set = |(at, corner): (usize, Vec<usize>)| {
        let pixels = move |view: &Prediction<D>, _: usize| {
            let mut ranges = view.shape().map(|length| 0..length);
            for (range, from) in ranges[2..].iter_mut().zip(&corner) {
                *range = *from..from + 3;
            }
            Tensor::<D>::zeros(view.shape(), &view.device()).slice_fill(ranges, 1.0)
        };
        seen.target(&pixels, at % 2).expect("a target")
    };
    corners.enumerate().map(set).collect()
}

/// How many walks the targets take, whose gradients must be those of walks by themselves. `engine`
/// takes whole gradients back, not their regions alone.
fn walks<M: SegmentationModel<D>, const D: usize>(
    engine: &GraphEngine<M, D>,
    seen: &Observation<D>,
    targets: &[Target<D>],
    layers: &[&str],
) -> usize {
    let pass = engine.run(seen.input()).expect("a pass").1;
    let gradients = |targets: &[Target<D>]| {
        let wanted =
            |target: &Target<D>| Wanted { target: target.clone(), layers: layers.to_vec() };
        let wanted: Vec<_> = targets.iter().map(wanted).collect();
        let mut found = vec![vec![]; targets.len() * layers.len()];
        let walks = pass.walk(&wanted, &mut |target, layer, gradients| {
            found[target * layers.len() + layer] =
                gradients.gradients.into_data().iter::<f32>().collect();
            Ok(())
        });
        (found, walks.expect("gradients"))
    };
    let (together, walks) = gradients(targets);
    let alone = targets.iter().flat_map(|target| gradients(std::slice::from_ref(target)).0);
    for (at, (together, alone)) in together.iter().zip(alone).enumerate() {
        let largest = alone.iter().fold(0f32, |most, value| most.max(value.abs()));
        let mut gaps = together.iter().zip(&alone).map(|(one, other)| (one - other).abs());
        assert!(largest > 0.0 && together.len() == alone.len(), "{at}");
        // NaN is no small gap.
        assert!(gaps.all(|gap| gap <= 1e-6 * largest), "{at}");
    }
    walks
}

#[test]
fn targets_whose_cones_do_not_meet_share_a_walk() {
    let device = Device::flex();
    let conv = |channels, side| {
        let same = burn::nn::PaddingConfig2d::Same;
        Conv2dConfig::new(channels, [side; 2]).with_padding(same).init(&device)
    };
    let net = Gated { first: conv([1, 3], 1), second: conv([3, 4], 3), third: conv([4, 2], 5) };
    let fast = GraphEngine::new(fixed(net));
    let engine = fast.clone().with_convolutions(Convolutions::Backend);
    let input = numbers([1, 1, 70, 70]);
    let seen = Explainer::with_engine(engine.clone()).observe(input).expect("a pass");
    let grid = (0..100).map(|at| vec![at / 10 * 7 + 2, at % 10 * 7 + 2]);
    let targets = sets(&seen, grid);
    // At `behind` a set of 3 pixels reaches 7 cells, and the sets are 7 pixels apart.
    assert_eq!(walks(&engine, &seen, &targets, &["behind"]), 1);
    assert_eq!(walks(&engine.clone().with_chunk(3), &seen, &targets, &["behind"]), 1);
    // Each cell before the gate reaches every pixel.
    assert_eq!(walks(&engine, &seen, &targets[..9], &["before"]), 9);
    assert_eq!(walks(&engine, &seen, &targets[..9], &["behind", "before"]), 9);
    // A pixel closer, and every second one can share.
    let line = |step: usize| (0..8).map(move |at| vec![5, at * step]);
    assert_eq!(walks(&engine, &seen, &sets(&seen, line(7)), &["behind"]), 1);
    let backwards = line(7).collect::<Vec<_>>().into_iter().rev();
    assert_eq!(walks(&engine, &seen, &sets(&seen, backwards), &["behind"]), 1);
    assert_eq!(walks(&engine, &seen, &sets(&seen, line(6)), &["behind"]), 2);
    assert_eq!(walks(&engine, &seen, &sets(&seen, line(3)), &["behind"]), 3);
    assert_eq!(walks(&engine.clone().with_chunk(3), &seen, &sets(&seen, line(2)), &["behind"]), 4);
    // In host memory a walk costs its cones, which are smaller than the image, and sets a pixel apart
    // walk by themselves for less than together. Those of the whole grid do not.
    assert_eq!(walks(&fast, &seen, &sets(&seen, line(6)), &["behind"]), 8);
    assert_eq!(walks(&fast, &seen, &targets, &["behind"]), 1);
    assert_same_gradients(&engine, &fast, &seen, &targets[..20], &["behind"]);
}

/// Of a region or of the whole: the gradients are the same.
fn assert_same_gradients<M: SegmentationModel<D>, const D: usize>(
    one: &GraphEngine<M, D>,
    other: &GraphEngine<M, D>,
    seen: &Observation<D>,
    targets: &[Target<D>],
    layers: &[&str],
) {
    for target in targets {
        let wanted = Wanted { target: target.clone(), layers: layers.to_vec() };
        let found = [one, other].map(|engine| {
            let mut found = vec![vec![]; layers.len()];
            let pass = engine.run(seen.input()).expect("a pass").1;
            let walks = pass.walk(std::slice::from_ref(&wanted), &mut |_, layer, gradients| {
                found[layer] = gradients.gradients.into_data().iter::<f32>().collect();
                Ok(())
            });
            assert_eq!(walks.expect("gradients"), 1);
            found
        });
        for (one, other) in found[0].iter().zip(&found[1]) {
            let largest = one.iter().fold(0f32, |most, value| most.max(value.abs()));
            let mut gaps = one.iter().zip(other).map(|(one, other)| (one - other).abs());
            assert!(largest > 0.0 && gaps.all(|gap| gap <= 1e-5 * largest));
        }
    }
}

#[test]
fn volumes_share_walks_too() {
    let device = Device::flex();
    let conv = |channels| Conv3dConfig::new(channels, [3; 3]).init(&device);
    let fast = GraphEngine::new(fixed(Volume { first: conv([1, 3]), second: conv([3, 2]) }));
    let engine = fast.clone().with_convolutions(Convolutions::Backend);
    let input = numbers([2, 1, 14, 14, 14]);
    let seen = Explainer::with_engine(engine.clone()).observe(input).expect("a pass");
    // Seven of the eight corners are apart by 5 in some direction, which is what a set reaches.
    let corners =
        |step: usize| (0..8).map(move |at| [4, 2, 1].map(|bit| at / bit % 2 * step).into());
    assert_eq!(walks(&engine, &seen, &sets(&seen, corners(5)), &["layer"]), 1);
    assert_eq!(walks(&engine, &seen, &sets(&seen, corners(4)), &["layer"]), 8);
    assert_same_gradients(&engine, &fast, &seen, &sets(&seen, corners(4)), &["layer"]);
}
