//! Files that are broken, or made to break things.

mod made;
mod norms;
// What a file is made of, as the crate itself has it.
#[path = "../../src/proto.rs"]
mod proto;

use burn::tensor::{Device, Tensor as Image};
use prost::Message;
use segcam_core::{
    AllPixels, CamError, EngineKind, Explainer, HiResCam, Layers, Observation, Request, TapeEngine,
};
use segcam_onnx::{OnnxError, OnnxFile};

use crate::made::{ints, load, model, node, shape, tensor, value};
use crate::proto::{Attribute, Entry, Model, Node, Tensor};

fn refusal(nodes: Vec<Node>, initializer: Vec<Tensor>) -> String {
    load(&model(nodes, initializer)).expect_err("it is broken").to_string()
}

/// What the first forward pass on an image of 8×8 says.
fn failure(nodes: Vec<Node>, initializer: Vec<Tensor>) -> String {
    let device = Device::flex();
    let file = load(&model(nodes, initializer)).expect("a model");
    let model = file.load::<4>(&device).expect("a network");
    let image = Image::ones([1, 1, 8, 8], &device);
    let said = model.run(image.clone(), &mut Layers::ignored()).expect_err("fails");
    let observed = Explainer::new(model).observe(image).expect_err("fails");
    assert!(matches!(observed, CamError::Model { .. }), "{observed}");
    said.to_string()
}

#[test]
fn what_is_no_model_is_refused() {
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", b"no model at all", &[0xff; 64], &[0x3a, 0xff]] {
        let error = OnnxFile::from_bytes(bytes.to_vec()).expect_err("no model");
        assert!(matches!(error, OnnxError::Malformed { .. }), "{error}");
    }
    let open = OnnxFile::open("no-such.onnx").expect_err("no file");
    assert_eq!(open.to_string(), "cannot read no-such.onnx");
    // The reason is kept, and said once.
    let source = std::error::Error::source(&open).expect("why");
    let source: &std::io::Error = source.downcast_ref().expect("the system's error");
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    let empty = Model { opset_import: vec![], graph: None }.encode_to_vec();
    let empty = OnnxFile::from_bytes(empty).expect_err("no model");
    let source = std::error::Error::source(&empty).expect("why");
    assert_eq!(source.to_string(), "it has no graph");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let weights = Tensor { raw_data: vec![0; 80].into(), ..tensor("w", &[20], 1) };
    let whole = model(vec![node("Relu", &["x"], &["y"])], vec![weights]).encode_to_vec();
    for length in 0..whole.len() {
        // Cut after the graph, the file has no opset.
        assert!(OnnxFile::from_bytes(whole[..length].to_vec()).is_err(), "{length}");
    }
    assert!(OnnxFile::from_bytes(whole).is_ok());
}

#[test]
fn graphs_that_do_not_hold_together_are_refused() {
    let cycle = vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"])];
    assert_eq!(
        refusal(cycle, vec![]),
        "the graph is broken: node `the Add` reads `b`, which no input, initializer or earlier \
         node is"
    );
    let twice = vec![node("Relu", &["x"], &["y"]), node("Relu", &["x"], &["y"])];
    assert_eq!(refusal(twice, vec![]), "the graph is broken: two values are named `y`");
    let nothing = refusal(vec![node("Relu", &["x"], &["z"])], vec![]);
    assert_eq!(nothing, "the graph is broken: nothing computes its output `y`");

    let mut two = model(vec![node("Add", &["x", "x2"], &["y"])], vec![]);
    two.graph.as_mut().expect("a graph").input.push(value("x2", &[1, 1, 8, 8]));
    let said = load(&two).expect_err("two inputs").to_string();
    assert_eq!(said, "a network with one input is wanted, this one has 2: x x2");
    let mut flat = model(vec![node("Relu", &["x"], &["y"])], vec![]);
    flat.graph.as_mut().expect("a graph").input = vec![value("x", &[1, 10])];
    let said = load(&flat).expect_err("a vector").to_string();
    assert!(said.starts_with("input `x` has 2 dimensions in the file"), "{said}");
    let mut old = model(vec![node("Relu", &["x"], &["y"])], vec![]);
    old.opset_import[0].version = 7;
    let said = load(&old).expect_err("old").to_string();
    assert!(said.starts_with("the file uses opset 7, known are 9 to 23"), "{said}");
}

#[test]
fn every_unsupported_operator_is_named_once() {
    let own = Node { domain: "my.domain".into(), ..node("Fancy", &["b"], &["y"]) };
    let nodes = vec![node("NonZero", &["x"], &["a"]), node("NonZero", &["a"], &["b"]), own];
    assert_eq!(
        refusal(nodes, vec![]),
        "2 operator(s) are not supported: NonZero (2 node(s), first `the NonZero`), \
         my.domain.Fancy (1 node(s), first `the Fancy`)"
    );
    // What does not lead to the scores may be anything.
    let beside = vec![node("Relu", &["x"], &["y"]), node("NonZero", &["x"], &["z"])];
    assert!(load(&model(beside, vec![])).is_ok());
}

#[test]
fn tensors_are_what_they_claim_to_be() {
    let relu = || vec![node("Relu", &["x"], &["y"])];
    let claims = [
        (tensor("w", &[1 << 29], 1), "needs 536870912 values of 4 byte(s), the file holds 0 byte"),
        (tensor("w", &[1 << 40, 1 << 40], 1), "is too large"),
        (tensor("w", &[-1], 1), "it has a negative side: [-1]"),
        (tensor("w", &[1], 8), "element type 8 is not supported"),
        (
            Tensor { raw_data: vec![0; 7].into(), ..tensor("w", &[2], 1) },
            "the file holds 7 byte(s)",
        ),
    ];
    for (tensor, words) in claims {
        let said = refusal(relu(), vec![tensor]);
        assert!(said.contains("tensor `w`") && said.contains(words), "{said}");
    }
}

#[test]
fn weights_outside_the_models_folder_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("model");
    std::fs::create_dir(&inside).expect("a folder");
    std::fs::write(folder.path().join("secret"), [0; 80]).expect("written");
    std::fs::write(inside.join("weights"), [0; 80]).expect("written");
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret", inside.join("link")).expect("a link");
    let open = |location: &str, length: &str| {
        let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
        let weights = Tensor {
            data_location: 1,
            external_data: vec![entry("location", location), entry("length", length)],
            ..tensor("w", &[20], 1)
        };
        let path = inside.join("net.onnx");
        let bytes = model(vec![node("Relu", &["x"], &["y"])], vec![weights]).encode_to_vec();
        assert!(OnnxFile::from_bytes(bytes.clone()).is_err(), "memory has no folder");
        std::fs::write(&path, bytes).expect("written");
        OnnxFile::open(&path).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(open("weights", "80"), Ok(()));
    for outside in ["../secret", "/etc/passwd", "link"] {
        let said = open(outside, "80").expect_err("outside");
        assert!(said.ends_with(&format!("`{outside}` is outside the model's folder")), "{said}");
    }
    let said = open("weights", "2000000000").expect_err("too long");
    assert!(said.contains("2000000000 byte(s) from 0 on exceed the 80"), "{said}");
    assert!(open("none", "80").expect_err("missing").starts_with("cannot read "));
}

#[test]
fn results_that_would_fill_the_memory_are_refused() {
    let huge = || vec![shape("s", &[1 << 20, 1 << 20, 8, 8])];
    let large = "is too large for this file and input";
    let cases = [
        (vec![node("Expand", &["x", "s"], &["y"])], huge()),
        (vec![node("Tile", &["x", "s"], &["y"])], huge()),
        (vec![node("ConstantOfShape", &["s"], &["c"]), node("Add", &["x", "c"], &["y"])], huge()),
        (
            vec![node("Pad", &["x", "s"], &["y"])],
            vec![shape("s", &[0, 0, 1 << 40, 0, 0, 0, 0, i64::MAX])],
        ),
        (
            vec![node("Resize", &["x", "", "", "s"], &["y"])],
            vec![shape("s", &[1, 1, 1 << 30, 1 << 30])],
        ),
        (
            vec![node("Resize", &["x", "", "r"], &["y"])],
            vec![Tensor { float_data: vec![1.0, 0.1, 1e9, 1.0], ..tensor("r", &[4], 1) }],
        ),
        (
            vec![Node {
                attribute: vec![ints("kernel_shape", &[1, 1]), ints("pads", &[1 << 40; 4])],
                ..node("MaxPool", &["x"], &["y"])
            }],
            vec![],
        ),
    ];
    for (nodes, initializers) in cases {
        let said = failure(nodes, initializers);
        assert!(said.contains(large), "{said}");
    }
}

#[test]
fn what_does_not_fit_is_a_failure_of_its_node() {
    let weights = Tensor { float_data: vec![1.0; 27], ..tensor("w", &[1, 3, 3, 3], 1) };
    assert_eq!(
        failure(vec![node("Conv", &["x", "w"], &["y"])], vec![weights]),
        "node `the Conv` (Conv): weights [1, 3, 3, 3] with 1 group(s) and bias None do not fit an \
         input of shape [1, 1, 8, 8]"
    );
    let reshape = vec![node("Reshape", &["x", "s"], &["y"])];
    assert_eq!(
        failure(reshape, vec![shape("s", &[1, 1, 7, -1])]),
        "node `the Reshape` (Reshape): shape [1, 1, 8, 8] cannot become [1, 1, 7, 9]"
    );
    let half = Tensor { float_data: vec![1.0, 1.0, 2.5, -1.0], ..tensor("s", &[4], 1) };
    assert_eq!(
        failure(vec![node("Reshape", &["x", "s"], &["y"])], vec![half]),
        "node `the Reshape` (Reshape): whole numbers are wanted where 2.5 is given"
    );
    let strided = Node {
        attribute: vec![ints("kernel_shape", &[2, 2]), ints("strides", &[0, 1])],
        ..node("MaxPool", &["x"], &["y"])
    };
    let said = failure(vec![strided], vec![]);
    assert!(said.ends_with("strides must be 2 positive numbers, they are [0, 1]"), "{said}");
}

#[test]
fn the_scores_lie_before_softmax_or_where_the_user_says() {
    let nodes = || {
        vec![
            node("Relu", &["x"], &["scores"]),
            node("Softmax", &["scores"], &["p"]),
            node("ArgMax", &["p"], &["labels"]),
            node("Cast", &["labels"], &["y"]),
        ]
    };
    let file = load(&model(nodes(), vec![])).expect("a model");
    assert_eq!((file.scores(), file.skipped().join(" ")), ("scores", "Cast ArgMax Softmax".into()));
    let chosen = file.with_output("p").expect("a tensor");
    assert_eq!((chosen.scores(), chosen.skipped().len()), ("p", 0));
    let said = chosen.with_output("scoers").expect_err("no such tensor").to_string();
    assert_eq!(said, "no tensor is named `scoers`; known: y");
}

/// The graph engine makes one of the two, unless the convolution itself is asked about.
#[test]
fn a_convolution_before_batch_normalization_is_a_layer_too() {
    let floats = |name: &str, dims: &[i64]| {
        let count: i64 = dims.iter().product();
        let float_data = (0..count).map(|at| ((at * 7 % 11) as f32 - 4.0) / 5.0).collect();
        Tensor { float_data, ..tensor(name, dims, 1) }
    };
    let positive = Tensor { float_data: vec![0.5, 1.5], ..tensor("v", &[2], 1) };
    let nodes = vec![
        node("Conv", &["x", "w"], &["conv"]),
        node("BatchNormalization", &["conv", "g", "b", "m", "v"], &["norm"]),
        node("Relu", &["norm"], &["relu"]),
        node("Conv", &["relu", "w2"], &["y"]),
    ];
    let weights = vec![
        floats("w", &[2, 1, 3, 3]),
        floats("g", &[2]),
        floats("b", &[2]),
        floats("m", &[2]),
        positive,
        floats("w2", &[3, 2, 1, 1]),
    ];
    let device = Device::flex();
    let network = load(&model(nodes, weights)).expect("a model").load::<4>(&device);
    let network = network.expect("a network");
    let image = Image::<1, _>::arange(0..64, &device).float().sin().reshape([1, 1, 8, 8]);
    let explainer = Explainer::new(network.clone());
    let (_, program) = explainer.program(image.dims(), &device).expect("works").expect("a graph");
    assert!(!program.to_string().contains("batch_norm"), "{program}");

    let graph = explainer.observe(image.clone()).expect("a pass");
    let tape = Explainer::with_engine(TapeEngine::new(network)).observe(image).expect("a pass");
    let known = graph.operations().iter().any(|layer| layer.name == "conv");
    assert!(known && graph.engine() == &EngineKind::Graph, "{:?}", graph.operations());
    for layer in ["conv", "norm", "relu"] {
        let map = |seen: &Observation| -> Vec<f32> {
            let map = seen.explain(&HiResCam, layer, 1).expect("a map");
            map.raw().to_data().iter().collect()
        };
        let (given, wanted) = (map(&graph), map(&tape));
        let mut gaps = given.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
        assert!(wanted.iter().any(|value| value.abs() > 0.1), "{layer}: {wanted:?}");
        // NaN is no small gap.
        assert!(gaps.all(|gap| gap < 1e-5), "{layer}: {given:?} {wanted:?}");
    }
    let target = graph.target(&AllPixels, 0).expect("a class");
    let both = ["conv", "relu"].map(|layer| Request::new(&HiResCam, layer, &target));
    assert_eq!(graph.explain_all(both).filter_map(Result::ok).count(), 2);
    let map = graph.explain(&HiResCam, "conv", 1).expect("a map");
    let certificate = graph.certify(&map).expect("a certificate");
    assert!(certificate.completeness_error().expect("known") < 1e-5, "{certificate:?}");
}

/// What a network of these nodes makes of an image of one channel.
fn computed(
    nodes: Vec<Node>,
    initializer: Vec<Tensor>,
    image: &[f32],
    sides: [usize; 2],
) -> Vec<f32> {
    let device = Device::flex();
    let network = load(&model(nodes, initializer)).expect("a model").load::<4>(&device);
    let image = Image::<1>::from_floats(image, &device).reshape([1, 1, sides[0], sides[1]]);
    let scores = network.expect("a network").run(image, &mut Layers::ignored());
    scores.expect("scores").into_data().iter().collect()
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.into(), i, ..Attribute::default() }
}

const INF: f32 = f32::INFINITY;

#[test]
fn what_a_triangle_leaves_out_may_be_infinite() {
    let image = [INF, 1.0, -INF, 2.0, -INF, 3.0, 4.0, INF, 5.0];
    for (upper, wanted) in [
        (1, [INF, 1.0, -INF, 0.0, -INF, 3.0, 0.0, 0.0, 5.0]),
        (0, [INF, 0.0, 0.0, 2.0, -INF, 0.0, 4.0, INF, 5.0]),
    ] {
        let node = |inputs: &[&str], output: &str| Node {
            attribute: vec![int("upper", upper)],
            ..node("Trilu", inputs, &[output])
        };
        assert_eq!(computed(vec![node(&["x"], "y")], vec![], &image, [3, 3]), wanted);
        // The same of numbers that the file knows.
        let mask = Tensor { float_data: image.to_vec(), ..tensor("m", &[3, 3], 1) };
        let nodes = vec![node(&["m"], "t"), self::node("Add", &["x", "t"], &["y"])];
        assert_eq!(computed(nodes, vec![mask], &[0.0; 9], [3, 3]), wanted);
    }
}

#[test]
fn sums_up_to_an_infinite_cell_are_finite() {
    let image = [1.0, 2.0, 4.0, -INF, 8.0];
    for (exclusive, reverse, wanted) in [
        (0, 0, [1.0, 3.0, 7.0, -INF, -INF]),
        (1, 0, [0.0, 1.0, 3.0, 7.0, -INF]),
        (0, 1, [-INF, -INF, -INF, -INF, 8.0]),
        (1, 1, [-INF, -INF, -INF, 8.0, 0.0]),
    ] {
        let node = |inputs: &[&str], output: &str| Node {
            attribute: vec![int("exclusive", exclusive), int("reverse", reverse)],
            ..node("CumSum", inputs, &[output])
        };
        let axis = || Tensor { int64_data: vec![-1], ..tensor("axis", &[], 7) };
        let given = computed(vec![node(&["x", "axis"], "y")], vec![axis()], &image, [1, 5]);
        assert_eq!(given, wanted, "{exclusive} {reverse}");
        let row = Tensor { float_data: image.to_vec(), ..tensor("row", &[1, 5], 1) };
        let nodes = vec![node(&["row", "axis"], "t"), self::node("Add", &["x", "t"], &["y"])];
        let known = computed(nodes, vec![axis(), row], &[0.0; 5], [1, 5]);
        assert_eq!(known, wanted, "{exclusive} {reverse}");
    }
    // One cell has none before it.
    let alone =
        Node { attribute: vec![int("exclusive", 1)], ..node("CumSum", &["x", "a"], &["y"]) };
    let axis = Tensor { int64_data: vec![1], ..tensor("a", &[], 7) };
    assert_eq!(computed(vec![alone], vec![axis], &[3.0, 4.0], [1, 2]), [0.0, 0.0]);
}

#[test]
fn sums_of_exponentials_may_be_infinite_or_nothing() {
    let node =
        Node { attribute: vec![ints("axes", &[3])], ..node("ReduceLogSumExp", &["x"], &["y"]) };
    let given = computed(vec![node], vec![], &[-INF, -INF, 1.0, -INF, INF, 2.0], [3, 2]);
    assert_eq!(given, [-INF, 1.0, INF]);
}

#[test]
fn powers_of_zero_and_of_less_are_those_of_onnxruntime() {
    for (base, wanted) in [(0.0, [1.0, 0.0, 0.0]), (-2.0, [1.0, -2.0, 4.0]), (2.0, [1.0, 2.0, 4.0])]
    {
        let base = Tensor { float_data: vec![base], ..tensor("b", &[], 1) };
        let nodes = vec![node("Pow", &["b", "x"], &["y"])];
        assert_eq!(computed(nodes, vec![base], &[0.0, 1.0, 2.0], [1, 3]), wanted);
    }
}

/// Where all values are zero the norm is, too: its quotient is 0 and not NaN, its slope finite.
#[test]
fn a_norm_of_zero_divides_nothing() {
    let lp = |p| {
        vec![Node {
            attribute: vec![int("axis", 1), int("p", p)],
            ..node("LpNormalization", &["relu"], &["unit"])
        }]
    };
    // As PyTorch's normalize is exported.
    let reduced =
        Node { attribute: vec![ints("axes", &[1])], ..node("ReduceL2", &["relu"], &["length"]) };
    let small = Attribute { name: "min".into(), f: 1e-12, ..Attribute::default() };
    let clipped = Node { attribute: vec![small], ..node("Clip", &["length"], &["clipped"]) };
    let normalize = vec![reduced, clipped, node("Div", &["relu", "clipped"], &["unit"])];
    let device = Device::flex();
    for norm in [lp(1), lp(2), normalize] {
        let mut nodes =
            vec![node("Conv", &["x", "w"], &["conv"]), node("Relu", &["conv"], &["relu"])];
        nodes.extend(norm);
        nodes.push(node("Conv", &["unit", "w2"], &["y"]));
        let weights = vec![
            Tensor { float_data: vec![1.0, 2.0], ..tensor("w", &[2, 1, 1, 1], 1) },
            Tensor { float_data: vec![1.0, -3.0], ..tensor("w2", &[1, 2, 1, 1], 1) },
        ];
        let network = load(&model(nodes, weights)).expect("a model").load::<4>(&device);
        let network = network.expect("a network");
        let image = Image::<1>::from_floats([-1.0, 2.0, -3.0, 0.5], &device).reshape([1, 1, 2, 2]);
        let engines =
            [Explainer::new(network.clone()), Explainer::with_engine(TapeEngine::new(network))];
        for (explainer, engine) in engines.into_iter().zip(["graph", "tape"]) {
            let seen = explainer.observe(image.clone()).expect("finite scores");
            assert_eq!(seen.engine().to_string(), engine);
            let scores: Vec<f32> = seen.logits().into_data().iter().collect();
            assert_eq!([scores[0], scores[2]], [0.0, 0.0]);
            assert!(scores[1] < -0.5 && scores[1] == scores[3], "{scores:?}");
            // Gradients that are not finite are an error.
            seen.explain(&HiResCam, "relu", 0).expect("a finite map");
        }
    }
}

/// Every tensor of a file is shown once, under its own name, whether it is a layer or a detail.
#[test]
fn no_two_layers_have_one_name() {
    let split =
        Node { attribute: vec![int("axis", 2)], ..node("Split", &["relu"], &["top", "end"]) };
    let nodes = vec![
        node("Relu", &["x"], &["relu"]),
        // One tensor under two names, and outputs without a name.
        node("Identity", &["relu"], &["same"]),
        Node {
            output: vec!["kept".into(), String::new()],
            ..node("Dropout", &["same"], &["kept"])
        },
        split,
        node("Concat", &["top", "end"], &["both"]),
        node("Add", &["both", "kept"], &["sum"]),
        node("Add", &["sum", "sum"], &["y"]),
    ];
    let mut nodes = nodes;
    nodes[4].attribute = vec![int("axis", 2)];
    let device = Device::flex();
    let network = load(&model(nodes, vec![])).expect("a model").load::<4>(&device);
    let network = network.expect("a network");
    let mut names = vec![];
    let mut visitor = |view: segcam_core::LayerView| names.push(view.layer.name);
    let image = Image::ones([1, 1, 8, 8], &device);
    network.run(image, &mut Layers::visited(&mut visitor)).expect("scores");
    assert_eq!(names, ["relu", "same", "kept", "top", "end", "both", "sum", "y"]);
    // A file in which two values have one name is no network.
    for twice in [
        vec![
            node("Relu", &["x"], &["a"]),
            node("Relu", &["a"], &["a"]),
            node("Relu", &["a"], &["y"]),
        ],
        vec![node("Split", &["x"], &["a", "a"]), node("Relu", &["a"], &["y"])],
        vec![node("Relu", &["x"], &["x"]), node("Relu", &["x"], &["y"])],
    ] {
        assert!(refusal(twice, vec![]).contains("two values are named"));
    }
}
