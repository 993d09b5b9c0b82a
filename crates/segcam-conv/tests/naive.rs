//! Against direct convolution in double precision, written as the formula reads.

use std::ops::Range;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam_conv::{Algorithm, ConvError, Convolution, Precision};

/// One convolution, all options.
#[derive(Debug, Clone)]
struct Case {
    batch: usize,
    groups: usize,
    inputs: usize,
    outputs: usize,
    sides: Vec<usize>,
    kernel: Vec<usize>,
    stride: Vec<usize>,
    padding: Vec<(usize, usize)>,
    dilation: Vec<usize>,
    transposed: bool,
    output_padding: Vec<usize>,
    seed: u64,
}

impl Case {
    fn weight_shape(&self) -> Vec<usize> {
        let (rows, columns) =
            if self.transposed { (self.inputs, self.outputs) } else { (self.outputs, self.inputs) };
        let mut shape = vec![rows * self.groups, columns];
        shape.extend(&self.kernel);
        shape
    }

    fn input_shape(&self) -> Vec<usize> {
        let mut shape = vec![self.batch, self.inputs * self.groups];
        shape.extend(&self.sides);
        shape
    }

    fn numbers(&self) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut list = |count: usize| (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
        let weights = list(self.weight_shape().iter().product());
        let bias = list(self.outputs * self.groups);
        (weights, bias, list(self.input_shape().iter().product()))
    }

    fn convolution(&self) -> Result<Convolution, ConvError> {
        let (weights, bias, _) = self.numbers();
        let convolution = Convolution::new(&self.weight_shape(), weights)?;
        let convolution = if self.transposed {
            convolution.transposed(&self.output_padding)?
        } else {
            convolution
        };
        convolution
            .groups(self.groups)?
            .bias(&bias)?
            .stride(&self.stride)?
            .padding(&self.padding)?
            .dilation(&self.dilation)
    }

    /// The output, and the largest sum of absolute products of a cell: what errors are measured by.
    fn naive(&self, output: &[usize]) -> (Vec<f64>, f64) {
        let (weights, bias, x) = self.numbers();
        let place = |sides: &[usize], index: usize| {
            let mut rest = index;
            let mut place = vec![0; sides.len()];
            for side in (0..sides.len()).rev() {
                place[side] = rest % sides[side];
                rest /= sides[side];
            }
            place
        };
        let number = |sides: &[usize], place: &[usize]| {
            place.iter().zip(sides).fold(0, |index, (at, side)| index * side + at)
        };
        let out_sides = &output[2..];
        let cells = |sides: &[usize]| sides.iter().product::<usize>();
        let kernel_cells = cells(&self.kernel);
        // A transposed convolution spreads what a convolution of `out` reads.
        let (wide, narrow) = if self.transposed {
            (out_sides, &self.sides[..])
        } else {
            (&self.sides[..], out_sides)
        };
        // Which cell of the input belongs to which of the output, and the weight between them.
        let mut pairs = vec![];
        for at in 0..cells(narrow) {
            let at_place = place(narrow, at);
            for k in 0..kernel_cells {
                let k_place = place(&self.kernel, k);
                let read: Option<Vec<usize>> = (0..wide.len())
                    .map(|side| {
                        let cell = at_place[side] * self.stride[side]
                            + k_place[side] * self.dilation[side];
                        cell.checked_sub(self.padding[side].0).filter(|cell| *cell < wide[side])
                    })
                    .collect();
                let Some(read) = read else { continue };
                let other = number(wide, &read);
                pairs.push(if self.transposed { (k, at, other) } else { (k, other, at) });
            }
        }
        let mut sums = vec![0.0; cells(output)];
        let mut absolute = vec![0.0; cells(output)];
        for image in 0..self.batch {
            for group in 0..self.groups {
                for input in 0..self.inputs {
                    for out_channel in 0..self.outputs {
                        let channels = if self.transposed {
                            (group * self.inputs + input) * self.outputs + out_channel
                        } else {
                            (group * self.outputs + out_channel) * self.inputs + input
                        };
                        let from = (image * self.groups + group) * self.inputs + input;
                        let to = (image * self.groups + group) * self.outputs + out_channel;
                        for (k, x_at, out_at) in &pairs {
                            let product = f64::from(weights[channels * kernel_cells + k])
                                * f64::from(x[from * cells(&self.sides) + x_at]);
                            sums[to * cells(out_sides) + out_at] += product;
                            absolute[to * cells(out_sides) + out_at] += product.abs();
                        }
                    }
                }
            }
        }
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum += f64::from(bias[index / cells(out_sides) % (self.outputs * self.groups)]);
        }
        (sums, absolute.into_iter().fold(1.0, f64::max))
    }
}

fn worst(given: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(given.len(), wanted.len());
    let differences = given.iter().zip(wanted).map(|(given, wanted)| {
        let difference = (f64::from(*given) - wanted).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    });
    differences.fold(0.0, f64::max)
}

fn case(sides: usize) -> impl Strategy<Value = Case> {
    let most = [70usize, 40, 9][sides - 1];
    let kernel = prop_oneof![3 => Just(3usize), 2 => 1..6usize, 1 => Just(1usize)];
    let side = (
        1..=most,
        kernel,
        prop_oneof![2 => Just(1usize), 1 => 1..4usize],
        0..4usize,
        0..4usize,
        prop_oneof![2 => Just(1usize), 1 => 1..4usize],
        0..3usize,
    );
    let channels = prop_oneof![2 => 1..5usize, 2 => 16..20usize, 1 => Just(33usize)];
    let groups = prop_oneof![3 => Just(1usize), 1 => 2..4usize];
    (
        prop::collection::vec(side, sides),
        1..3usize,
        groups,
        channels.clone(),
        channels,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(sides, batch, groups, inputs, outputs, transposed, seed)| Case {
            batch,
            groups,
            inputs,
            outputs,
            sides: sides.iter().map(|side| side.0).collect(),
            kernel: sides.iter().map(|side| side.1).collect(),
            stride: sides.iter().map(|side| side.2).collect(),
            padding: sides.iter().map(|side| (side.3, side.4)).collect(),
            dilation: sides.iter().map(|side| side.5).collect(),
            transposed,
            output_padding: sides
                .iter()
                .map(|side| if transposed { side.6.min(side.2.max(side.5) - 1) } else { 0 })
                .collect(),
            seed,
        })
}

fn agree(case: &Case) -> Result<(), TestCaseError> {
    let convolution = case.convolution().expect("options");
    let shape = case.input_shape();
    let output = match convolution.output_shape(&shape) {
        Ok(output) => output,
        Err(ConvError::NoOutput { .. }) => return Ok(()),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    let (_, _, x) = case.numbers();
    let (wanted, scale) = case.naive(&output);
    for (algorithm, bound) in
        [(Algorithm::Direct, 1e-6), (Algorithm::Winograd2, 2e-6), (Algorithm::Winograd4, 2e-5)]
    {
        let given = convolution.run_by(algorithm, &shape, &x).expect("it has an output");
        let error = worst(&given, &wanted) / scale;
        prop_assert!(error <= bound, "{algorithm:?}: {error:.2e} of {scale}");
    }
    // Whatever was in the output before, and whatever rule chooses, is not seen.
    let mut out = vec![f32::NAN; wanted.len()];
    convolution.run_into(&shape, &x, &mut out).expect("it has an output");
    prop_assert!(worst(&out, &wanted) <= 2e-5 * scale);
    let rectified = convolution.run_rectified(&shape, &x).expect("it has an output");
    out.iter_mut().for_each(|value| *value = value.max(0.0));
    prop_assert_eq!(rectified, &out[..]);
    joined_agrees(case, &convolution)?;
    within_agrees(case, &convolution, &output)
}

/// An input that comes as three tensors is what it is as one.
fn joined_agrees(case: &Case, convolution: &Convolution) -> Result<(), TestCaseError> {
    let (shape, x) = (case.input_shape(), case.numbers().2);
    let cells: usize = shape[2..].iter().product();
    let mut cuts = [case.seed as usize, (case.seed >> 32) as usize].map(|cut| cut % (shape[1] + 1));
    cuts.sort_unstable();
    let parts = [0..cuts[0], cuts[0]..cuts[1], cuts[1]..shape[1]].map(|channels| {
        let mut part = shape.clone();
        part[1] = channels.len();
        let images = x.chunks(shape[1] * cells);
        let numbers = images.flat_map(|image| &image[channels.start * cells..channels.end * cells]);
        (part, numbers.copied().collect::<Vec<f32>>())
    });
    let parts: Vec<_> = parts.iter().map(|(shape, x)| (&shape[..], &x[..])).collect();
    let given = convolution.run_joined(&parts, true).expect("parts that fit");
    prop_assert_eq!(given, convolution.run_rectified(&shape, &x).expect("an output"));
    Ok(())
}

/// What a region of the input reaches is what the whole output is where all else is zero.
fn within_agrees(
    case: &Case,
    convolution: &Convolution,
    output: &[usize],
) -> Result<(), TestCaseError> {
    let shape = case.input_shape();
    let (_, bias, mut whole) = case.numbers();
    let third = |(at, side): (usize, &usize)| {
        let start = (case.seed as usize >> (8 * at)) % side;
        start..(start + side.div_ceil(3)).min(*side)
    };
    let region: Vec<Range<usize>> = case.sides.iter().enumerate().map(third).collect();
    let mut x = vec![];
    for (at, value) in whole.iter_mut().enumerate() {
        if inside(at, &shape, &region) { x.push(*value) } else { *value = 0.0 }
    }
    let (cells, values) = convolution.run_within(&shape, &region, &x).expect("a region");
    let mut values = values.into_iter();
    let wanted = convolution.run(&shape, &whole).expect("it has an output");
    let largest = wanted.iter().fold(1.0, |largest: f32, value| largest.max(value.abs()));
    let channel: usize = output[2..].iter().product();
    for (at, wanted) in wanted.iter().enumerate() {
        let bias = bias[at / channel % output[1]];
        let given = if inside(at, output, &cells) { values.next() } else { Some(0.0) };
        let given = given.expect("a value for each cell") + bias;
        prop_assert!((given - wanted).abs() <= 4e-5 * largest, "{at}: {given} for {wanted}");
    }
    prop_assert_eq!(values.next(), None);
    Ok(())
}

/// Whether a number of a tensor lies in a region of its sides.
fn inside(at: usize, shape: &[usize], region: &[Range<usize>]) -> bool {
    let mut rest = at;
    let sides = shape[2..].iter().zip(region).rev();
    sides.fold(true, |inside, (side, range)| {
        let place = rest % side;
        rest /= side;
        inside && range.contains(&place)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn one_side(case in case(1)) { agree(&case)?; }

    #[test]
    fn two_sides(case in case(2)) { agree(&case)?; }

    #[test]
    fn three_sides(case in case(3)) { agree(&case)?; }
}

fn plain(inputs: usize, outputs: usize, side: usize) -> Case {
    Case {
        batch: 1,
        groups: 1,
        inputs,
        outputs,
        sides: vec![side; 2],
        kernel: vec![3; 2],
        stride: vec![1; 2],
        padding: vec![(1, 1); 2],
        dilation: vec![1; 2],
        transposed: false,
        output_padding: vec![0; 2],
        seed: 7,
    }
}

/// Bounds that documentation and users rely on, relative to the largest output, for weights and
/// inputs as networks have them.
#[test]
fn errors_of_the_algorithms_stay_within_their_bounds() {
    for (inputs, direct, two, four) in [(32, 1e-6, 1e-6, 8e-6), (256, 2e-6, 2e-6, 2e-5)] {
        let case = plain(inputs, 8, 24);
        let (convolution, shape) = (case.convolution().expect("options"), case.input_shape());
        let wanted = case.naive(&convolution.output_shape(&shape).expect("shape")).0;
        let largest = wanted.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        for (algorithm, bound) in
            [(Algorithm::Direct, direct), (Algorithm::Winograd2, two), (Algorithm::Winograd4, four)]
        {
            let given = convolution.run_by(algorithm, &shape, &case.numbers().2).expect("runs");
            let error = worst(&given, &wanted) / largest;
            println!(
                "{inputs} channels, {algorithm:?}: {error:.1e} ({})",
                segcam_conv::instructions()
            );
            assert!(error <= bound, "{inputs} channels, {algorithm:?}: {error:.1e}");
        }
    }
}

/// Blocks of channels, rows and columns that do not fit at once.
#[test]
fn large_shapes_are_cut_and_joined() {
    for case in [
        Case { dilation: vec![30, 30], padding: vec![(30, 30); 2], ..plain(300, 9, 70) },
        Case { dilation: vec![6, 4], padding: vec![(6, 6), (4, 4)], ..plain(40, 17, 65) },
        Case { dilation: vec![1, 3], padding: vec![(1, 1), (3, 3)], ..plain(17, 40, 70) },
        Case { dilation: vec![5, 1], padding: vec![(5, 5), (1, 1)], ..plain(17, 40, 70) },
        Case { stride: vec![2, 2], ..plain(150, 17, 61) },
        Case { kernel: vec![1, 1], padding: vec![(0, 0); 2], ..plain(700, 3, 67) },
        Case { batch: 3, groups: 40, ..plain(1, 1, 67) },
        plain(20, 150, 21),
        Case { transposed: true, ..plain(17, 75, 13) },
    ] {
        agree(&case).expect("agrees");
    }
}

/// What is not finite reaches the cells that depend on it, and in direct convolution no others.
#[test]
fn what_is_not_finite_is_not_hidden() {
    let case = plain(16, 16, 16);
    let (convolution, shape) = (case.convolution().expect("options"), case.input_shape());
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = case.numbers().2;
        x[5 * 16 + 6] = value;
        for algorithm in [Algorithm::Direct, Algorithm::Winograd2, Algorithm::Winograd4] {
            let out = convolution.run_by(algorithm, &shape, &x).expect("runs");
            for (index, out) in out.iter().enumerate() {
                let (y, x) = (index / 16 % 16, index % 16);
                let reached = y.abs_diff(5) <= 1 && x.abs_diff(6) <= 1;
                let tile = y / 4 <= 1 && (1..=2).contains(&(x / 4));
                let may = if algorithm == Algorithm::Direct { reached } else { tile };
                assert!(!reached || !out.is_finite(), "{algorithm:?} hides {value} at {y}, {x}");
                assert!(may || out.is_finite(), "{algorithm:?} carries {value} to {y}, {x}");
            }
        }
        let rectified = convolution.run_rectified(&shape, &x).expect("runs");
        for (out, rectified) in convolution.run(&shape, &x).expect("runs").iter().zip(rectified) {
            assert_eq!(out.is_nan(), rectified.is_nan(), "a ReLU of {out} gives {rectified}");
        }
    }
}

/// A gradient ends where nothing depends on its pixels, not at the edge of a tile.
#[test]
fn zeros_stay_zeros() {
    for (padding, dilation) in [((1, 1), 1), ((0, 2), 1), ((2, 5), 1), ((3, 2), 3)] {
        let (padding, dilation) = (vec![padding; 2], vec![dilation; 2]);
        let case = Case { padding, dilation, ..plain(18, 20, 30) };
        let weights = case.numbers().0;
        let convolution = Convolution::new(&case.weight_shape(), weights).expect("weights");
        let convolution = convolution.padding(&case.padding).expect("sides");
        let convolution = convolution.dilation(&case.dilation).expect("sides");
        let shape = case.input_shape();
        let mut x = vec![0.0; 18 * 900];
        for (channel, cell) in [(0, 0), (3, 29), (7, 14 * 30 + 11), (17, 899)] {
            x[channel * 900 + cell] = 1.0;
        }
        let direct = convolution.run_by(Algorithm::Direct, &shape, &x).expect("runs");
        let reached = |out: &[f32]| out.iter().map(|value| *value != 0.0).collect::<Vec<_>>();
        assert!(reached(&direct).contains(&true));
        for algorithm in [Algorithm::Winograd2, Algorithm::Winograd4] {
            let given = convolution.run_by(algorithm, &shape, &x).expect("runs");
            assert!(reached(&given) == reached(&direct), "{algorithm:?}, {case:?}");
            let (bias, plane) = (case.numbers().1, direct.len() / 20);
            let biased = case.convolution().expect("options");
            let biased = biased.run_by(algorithm, &shape, &x).expect("runs");
            for (cell, (biased, direct)) in biased.iter().zip(&direct).enumerate() {
                assert!(*direct != 0.0 || *biased == bias[cell / plane], "{algorithm:?} at {cell}");
            }
        }
    }
}

#[test]
fn winograd_is_refused_where_it_would_be_wrong_or_too_large() {
    let case = plain(64, 64, 64);
    let algorithm =
        |convolution: Convolution| convolution.plan(&case.input_shape()).expect("a plan").algorithm;
    let convolution = || case.convolution().expect("options");
    assert_eq!(algorithm(convolution()), Algorithm::Winograd4);
    assert_eq!(algorithm(convolution().precision(Precision::Accurate)), Algorithm::Winograd2);
    assert_eq!(algorithm(convolution().precision(Precision::Exact)), Algorithm::Direct);
    assert_eq!(algorithm(convolution().weight_limit(64 * 64 * 16 * 4)), Algorithm::Winograd2);
    assert_eq!(algorithm(convolution().weight_limit(64 * 64 * 9 * 4)), Algorithm::Direct);
    // Few channels are sooner multiplied than transformed.
    let few = plain(16, 16, 64);
    let plan = few.convolution().expect("options").plan(&few.input_shape()).expect("a plan");
    assert_eq!(plan.algorithm, Algorithm::Direct);
    // Cells of one remainder are an image by themselves, which can be too small for tiles.
    let dilated = |by: usize| {
        let case =
            Case { dilation: vec![by; 2], padding: vec![(by, by); 2], ..plain(256, 256, 65) };
        let convolution = case.convolution().expect("options");
        convolution.plan(&case.input_shape()).expect("a plan").algorithm
    };
    assert_eq!([2, 6].map(dilated), [Algorithm::Winograd4; 2]);
    assert_eq!([40, 80].map(dilated), [Algorithm::Direct; 2]);
    let wide = plain(512, 512, 64);
    let plan = wide.convolution().expect("options").plan(&wide.input_shape()).expect("a plan");
    assert_eq!(plan.algorithm, Algorithm::Winograd2, "weights of 38 MB");
    let plan = convolution().plan(&case.input_shape()).expect("a plan");
    assert_eq!(plan.flops, 2.0 * 64.0 * 64.0 * 9.0 * 4096.0);
    assert_eq!(plan.weight_bytes, 64 * 64 * 36 * 4);
    assert!(plan.scratch_bytes > 0);
}

/// What a run has prepared is not what later options need.
#[test]
fn options_may_change_after_a_run() {
    let case = Case { groups: 2, stride: vec![2, 2], ..plain(4, 4, 12) };
    let (weights, bias, x) = case.numbers();
    let first = Convolution::new(&case.weight_shape(), weights).expect("weights");
    first.run(&[1, 4, 5, 5], &x[..100]).expect("runs");
    let then =
        first.groups(2).and_then(|made| made.bias(&bias)?.stride(&[2, 2])?.padding(&[(1, 1); 2]));
    let then = then.expect("options");
    let wanted = case.naive(&then.output_shape(&case.input_shape()).expect("shape")).0;
    assert!(worst(&then.run(&case.input_shape(), &x).expect("runs"), &wanted) < 1e-5);
    let back = then.transposed(&[1, 1]).expect("sides").bias(&bias).expect("channels");
    let case = Case { transposed: true, output_padding: vec![1, 1], ..case };
    let wanted = case.naive(&back.output_shape(&case.input_shape()).expect("shape")).0;
    assert!(worst(&back.run(&case.input_shape(), &x).expect("runs"), &wanted) < 1e-5);
}

/// Weights are prepared by all threads, and a thread that waits may begin the next run.
#[test]
fn many_runs_may_be_the_first_one() {
    use rayon::prelude::*;

    let case = plain(32, 128, 12);
    let (shape, x) = (case.input_shape(), case.numbers().2);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(6).build().expect("threads");
    for runs in (2..12).cycle().take(60) {
        let convolution = case.convolution().expect("options");
        let run = |_| convolution.run(&shape, &x).expect("runs");
        let all: Vec<Vec<f32>> = pool.install(|| (0..runs).into_par_iter().map(run).collect());
        assert!(all.iter().all(|out| *out == all[0]));
    }
}

#[test]
fn wrong_arguments_are_typed_errors() {
    let new = |shape: &[usize], count: usize| Convolution::new(shape, vec![0.0; count]);
    let shape = |shape: &[usize]| ConvError::WeightShape { shape: shape.to_vec() };
    for wrong in [&[4usize, 4][..], &[1, 1, 1, 1, 1, 1], &[4, 0, 3, 3]] {
        assert_eq!(new(wrong, 0).expect_err("refused"), shape(wrong));
    }
    let huge = [usize::MAX / 2, 3, 3];
    assert_eq!(new(&huge, 0).expect_err("refused"), ConvError::TooLarge { shape: huge.to_vec() });
    assert_eq!(
        new(&[2, 2, 3], 11).expect_err("refused"),
        ConvError::Length { what: "weights", given: 11, wanted: 12 }
    );
    let good = || new(&[4, 2, 3, 3], 72).expect("weights");
    assert_eq!(
        good().stride(&[1]).expect_err("refused"),
        ConvError::Sides { option: "a stride", given: 1, wanted: 2 }
    );
    assert_eq!(
        good().stride(&[1, 0]).expect_err("refused"),
        ConvError::Zero { option: "a stride" }
    );
    assert_eq!(
        good().dilation(&[0, 1]).expect_err("refused"),
        ConvError::Zero { option: "a dilation" }
    );
    assert_eq!(
        good().groups(0).expect_err("refused"),
        ConvError::Zero { option: "a number of groups" }
    );
    assert_eq!(
        good().groups(3).expect_err("refused"),
        ConvError::Groups { what: "output", channels: 4, groups: 3 }
    );
    assert!(matches!(good().bias(&[0.0; 3]), Err(ConvError::Length { what: "bias", .. })));
    assert!(matches!(
        good().output_shape(&[1, 3, 8, 8]),
        Err(ConvError::InputShape { channels: 2, sides: 2, .. })
    ));
    assert!(matches!(good().output_shape(&[1, 2, 8]), Err(ConvError::InputShape { .. })));
    for wrong in [vec![0..8; 1], vec![0..8, 3..3], vec![0..8, 3..9]] {
        let refused = good().run_within(&[1, 2, 8, 8], &wrong, &[]).expect_err("refused");
        assert_eq!(refused, ConvError::Region { given: wrong, sides: vec![8, 8] });
    }
    let channel: (&[usize], &[f32]) = (&[1, 1, 8, 8], &[0.0; 64]);
    for wrong in [&[1, 1, 8, 9][..], &[2, 1, 8, 8], &[1, 1, 64], &[], &[1]] {
        let parts = [channel, (wrong, &[])];
        let shapes = parts.iter().map(|(shape, _)| shape.to_vec()).collect();
        let refused = good().run_joined(&parts, false).expect_err("refused");
        assert_eq!(refused, ConvError::Parts { shapes });
    }
    assert_eq!(
        good().run_joined(&[], false).expect_err("refused"),
        ConvError::Parts { shapes: vec![] }
    );
    assert!(matches!(
        good().run_joined(&[channel], false),
        Err(ConvError::InputShape { channels: 2, sides: 2, .. })
    ));
    assert!(matches!(
        good().run_joined(&[channel, (&[1, 1, 8, 8], &[0.0; 63])], false),
        Err(ConvError::Length { what: "a part of an input", given: 63, wanted: 64 })
    ));
    assert_eq!(
        good().dilation(&[1, 5]).expect("sides").output_shape(&[1, 2, 8, 8]).expect_err("refused"),
        ConvError::NoOutput { side: 1, input: 8, padding: 0, kernel: 11 }
    );
    assert!(matches!(
        good().padding(&[(usize::MAX, 1), (0, 0)]).expect("sides").output_shape(&[1, 2, 8, 8]),
        Err(ConvError::TooLarge { .. })
    ));
    assert!(matches!(
        good()
            .padding(&[(usize::MAX / 8, 1), (usize::MAX / 8, 0)])
            .expect("sides")
            .output_shape(&[1, 2, 8, 8]),
        Err(ConvError::TooLarge { .. })
    ));
    assert!(matches!(
        good().transposed(&[1, 0]).expect("sides").output_shape(&[1, 4, 8, 8]),
        Err(ConvError::OutputPadding { side: 0, given: 1 })
    ));
    assert!(matches!(
        good().run(&[1, 2, 8, 8], &[0.0; 5]),
        Err(ConvError::Length { what: "an input", .. })
    ));
    assert!(matches!(
        good().run_into(&[1, 2, 8, 8], &[0.0; 128], &mut [0.0; 5]),
        Err(ConvError::Length { what: "an output", .. })
    ));
}
