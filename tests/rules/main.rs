//! Every reverse rule, on the device that `SEGCAM_TEST_DEVICE` names, against burn's own tape and
//! against finite differences, both on flex.

mod operations;
mod runs;
mod several_readers;
mod windows;

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};
use segcam_graph::{Constants, Graph, GraphError, Keep, Network, Target};
use segcam_tests::device;

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

    let on_tape = |weight: Tensor<D>| {
        let leaf = Tensor::from_inner(x.clone()).require_grad();
        let score = picked(f(leaf.clone()), class) * Tensor::from_inner(weight);
        let mut tape = score.sum().backward();
        leaf.grad_remove(&mut tape).map(host)
    };
    if let Some(wanted) = on_tape(weight.clone()) {
        close(&given, &wanted, 2e-5, &format!("{what}, tape"));
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
        let one = Tensor::from_data(TensorData::new(one, shape), &flex);
        let alone = gradient(&[target(class, one.clone())]);
        // A pixel alone is taken back as a region.
        if let Some(wanted) = on_tape(one) {
            let tolerance = 2e-5 * (largest(&given) / largest(&wanted)).max(1.0);
            close(&alone, &wanted, tolerance, &format!("{what}, pixel {pixel}"));
        }
        let cone = network.graph().cone(&mask, node);
        let (cells, channels) = (cone.len() / x.dims()[0], x.dims()[1]);
        for (at, value) in alone.iter().enumerate() {
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
