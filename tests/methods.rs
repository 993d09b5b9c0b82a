//! The CAM methods against pytorch-grad-cam, and against loops over plain numbers.

use std::sync::Arc;

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use segcam::burn;
use segcam::pixels::{Contrast, Mask, Region};
use segcam::{
    AllPixels, CamMethod, EigenCam, EigenGradCam, Explainer, Explanation, Finer, GradCam,
    GradCamPlusPlus, HiResCam, LayerCam, Observation, OnPixels, PixelSet, PredictedClass,
    Prediction, Request, Seg, SegEigenCam, SegmentationModel, XGradCam, XResCam,
};
use segcam_tests::peers::{as_it_is, compare, fixture, networks, observe};
use segcam_tests::{SmallNetConfig, host, noise, relative_error, seeded_net};

#[test]
fn grad_cam_plus_plus_is_the_peers() {
    // The peer's epsilon does not show when the score counts a thousandfold.
    compare(GradCamPlusPlus, 1000.0, as_it_is);
}

#[test]
fn xgrad_cam_is_the_peers() {
    compare(XGradCam, 1.0, as_it_is);
}

#[test]
fn layer_cam_is_the_peers() {
    compare(LayerCam, 1.0, as_it_is);
}

#[test]
fn eigen_cams_are_the_peers_but_for_the_sign() {
    compare(EigenCam, 1.0, same_direction);
    compare(EigenGradCam, 1.0, same_direction);
}

#[test]
fn seg_eigen_cam_is_the_peers_with_its_sign() {
    compare(SegEigenCam, 1.0, as_it_is);
}

/// Finer-CAM against torch-cam and pytorch-grad-cam, and one reference that counts fully is a contrast.
#[test]
fn finer_cam_is_the_peers() {
    let (mut maps, mut worst) = (0, 0f32);
    for (name, config) in networks() {
        if !["three-classes", "deep"].contains(&name) {
            continue;
        }
        let (batch, wanted) = (observe(name, &config), fixture(name, "finer"));
        // References differ from image to image: each is asked by itself.
        let images = batch.input().split(1, 0);
        let images: Vec<Observation> =
            images.into_iter().map(|image| batch.observe_again(image).expect("a pass")).collect();
        let keys = wanted.names().into_iter().filter(|key| key.starts_with("raw/"));
        for key in keys {
            let [_, class, set, asked, layer, of] = key.split('/').collect::<Vec<_>>()[..] else {
                panic!("{key}");
            };
            let mask = wanted.tensor::<4>(&format!("mask/{class}/{set}"));
            let references = wanted.tensor::<2>(&format!("references/{class}/{set}/{asked}"));
            let (count, strength) = asked.split_once(':').expect("n and γ");
            let (count, strength): (usize, f64) =
                (count.parse().expect("n"), strength.parse().expect("γ"));
            let class: usize = class.parse().expect("a class");
            let method: &dyn CamMethod = match of {
                "grad-cam" => &GradCam,
                "layer-cam" => &LayerCam,
                _ => &HiResCam,
            };

            let mut given = vec![];
            for (image, seen) in images.iter().enumerate() {
                let mask = Mask::new(mask.clone().narrow(0, image, 1));
                let finer = Finer::against(count, strength).within(mask.clone());
                let target = seen.target(&finer, class).expect("a target");
                let classes: Vec<f32> =
                    target.classes()[1..].iter().map(|other| other.0 as f32).collect();
                assert_eq!(classes, host(&references.clone().narrow(0, image, 1)), "{key}");
                let map = seen.answer(&Request::new(method, layer, &target)).expect("a map");
                if classes.len() == 1 && strength == 1.0 {
                    let contrast = Contrast::with(classes[0] as usize).within(mask);
                    let same = seen.explain(&Seg::of(method, contrast), layer, class);
                    assert_eq!(host(map.raw()), host(same.expect("a map").raw()), "{key}");
                }
                given.extend(host(map.raw()));
            }
            let error = relative_error(&given, &host(&wanted.tensor::<4>(&key)));
            assert!(error < 1e-4, "{name}/{key}: {error:e}");
            worst = worst.max(error);
            maps += 1;
        }
    }
    assert!(maps > 140, "{maps} maps");
    println!("finer-cam: {maps} raw maps {worst:.1e}");
}

#[test]
fn finer_cam_says_what_it_cannot_compare() {
    let logits = |values: &[f32], images| {
        let classes = values.len() / images;
        let logits = Tensor::<1>::from_floats(values, &Device::flex());
        let logits: Tensor<4> = logits.reshape([images, classes, 1, 1]);
        Prediction::new(logits, [images, 1, 1, 1])
    };
    let against = |finer: Finer, view: &Prediction| {
        PixelSet::against(&finer.within(AllPixels), view, 0).map_err(|error| error.to_string())
    };
    let three = logits(&[1.0, 3.0, 0.0, -9.0], 1);
    let classes = against(Finer::default(), &three).expect("three classes");
    assert_eq!(classes.iter().map(|other| other.0).collect::<Vec<_>>(), [2, 1, 3]);
    assert!(classes.iter().all(|other| (other.1 - 0.2).abs() < 1e-12));
    assert_eq!(against(Finer::against(9, 0.9), &three).expect("all there are").len(), 3);
    for (finer, view, wanted) in [
        (Finer::default(), logits(&[1.0], 1), "a network of one class"),
        (Finer::against(0, 1.0), logits(&[1.0, 2.0], 1), "at least one class"),
        (Finer::against(1, f64::NAN), logits(&[1.0, 2.0], 1), "finite strength"),
        (Finer::against(1, 1.0), logits(&[1.0, 2.0, 9.0, 1.0, 9.0, 2.0], 2), "one image at a time"),
    ] {
        let error = against(finer, &view).expect_err(wanted);
        assert!(error.contains(wanted), "{error}");
    }
    let twice = Finer::default().within(Contrast::with(1));
    let error = PixelSet::against(&twice, &three, 0).expect_err("two comparisons").to_string();
    assert!(error.contains("compares classes already"), "{error}");
}

fn same_direction(map: &Explanation, wanted: &[f32], image: usize) -> f32 {
    let given = host(map.raw());
    let given = &given[image * wanted.len()..][..wanted.len()];
    let product: f32 = given.iter().zip(wanted).map(|(a, b)| a * b).sum();
    if product < 0.0 { -1.0 } else { 1.0 }
}

/// One image's values, `[channel][cell]`, and the sides of its space.
struct Image {
    a: Vec<Vec<f64>>,
    g: Vec<Vec<f64>>,
    sides: Vec<usize>,
}

impl Image {
    fn cells(&self) -> usize {
        self.sides.iter().product()
    }

    /// `Σ_k weight(k, u) · A_k(u)`.
    fn weighted(&self, weight: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let at = |u: usize| (0..self.a.len()).map(|k| weight(k, u) * self.a[k][u]).sum();
        (0..self.cells()).map(at).collect()
    }

    fn coordinates(&self, mut cell: usize) -> Vec<usize> {
        let mut at = vec![];
        for side in self.sides.iter().rev() {
            at.insert(0, cell % side);
            cell /= side;
        }
        at
    }
}

fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

fn grad_plus_plus(image: &Image) -> Vec<f64> {
    let weight = |k: usize| -> f64 {
        let total: f64 = image.a[k].iter().sum();
        let alpha = |g: f64| ratio(g * g, 2.0 * g * g + g * g * g * total);
        image.g[k].iter().map(|&g| alpha(g) * g.max(0.0)).sum()
    };
    image.weighted(|k, _| weight(k))
}

fn xgrad(image: &Image) -> Vec<f64> {
    let weight = |k: usize| -> f64 {
        let share: f64 = image.a[k].iter().zip(&image.g[k]).map(|(a, g)| a * g).sum();
        ratio(share, image.a[k].iter().sum())
    };
    image.weighted(|k, _| weight(k))
}

fn layer(image: &Image) -> Vec<f64> {
    image.weighted(|k, u| image.g[k][u].max(0.0))
}

/// The mean over the cells whose coordinates fall into the same windows.
fn xres(image: &Image, window: usize) -> Vec<f64> {
    let windows = |u: usize| -> Vec<usize> {
        image.coordinates(u).into_iter().map(|at| at / window).collect()
    };
    image.weighted(|k, u| {
        let same = (0..image.cells()).filter(|&v| windows(v) == windows(u));
        let values: Vec<f64> = same.map(|v| image.g[k][v]).collect();
        values.iter().sum::<f64>() / values.len() as f64
    })
}

/// By power iteration, and how much smaller the second variance is than the first.
fn eigen(values: &[Vec<f64>], towards: &[f64]) -> (Vec<f64>, f64) {
    let mean = |row: &Vec<f64>| row.iter().sum::<f64>() / row.len() as f64;
    let x: Vec<Vec<f64>> =
        values.iter().map(|row| row.iter().map(|v| v - mean(row)).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mut gram: Vec<Vec<f64>> = x.iter().map(|a| x.iter().map(|b| dot(a, b)).collect()).collect();
    let mut largest = || {
        let mut v: Vec<f64> = (0..gram.len()).map(|i| 1.0 + (i as f64).sin()).collect();
        let mut variance = 0.0;
        for _ in 0..3000 {
            let next: Vec<f64> = gram.iter().map(|row| dot(row, &v)).collect();
            variance = dot(&next, &next).sqrt();
            v = next.iter().map(|value| ratio(*value, variance)).collect();
        }
        for i in 0..gram.len() {
            for j in 0..gram.len() {
                gram[i][j] -= variance * v[i] * v[j];
            }
        }
        (v, variance)
    };
    let (v, first) = largest();
    let (_, second) = largest();
    let sign = if dot(&v, towards) < 0.0 { -1.0 } else { 1.0 };
    let cells = x[0].len();
    let map = (0..cells).map(|u| sign * (0..x.len()).map(|k| v[k] * x[k][u]).sum::<f64>());
    (map.collect(), ratio(first - second, first))
}

/// Activations times what `weight` makes of their gradients.
fn product(image: &Image, weight: fn(f64) -> f64) -> Vec<Vec<f64>> {
    let cell = |(a, g): (&f64, &f64)| a * weight(*g);
    let row = |(a, g): (&Vec<f64>, &Vec<f64>)| a.iter().zip(g).map(cell).collect();
    image.a.iter().zip(&image.g).map(row).collect()
}

fn seg_eigen(image: &Image) -> Vec<f64> {
    let map = eigen(&product(image, f64::abs), &[]).0;
    let sign = ends(&map).0.signum();
    map.into_iter().map(|value| sign * value).collect()
}

/// The value farthest from 0, and by which share it is farther than the other end.
fn ends(map: &[f64]) -> (f64, f64) {
    let up = map.iter().copied().fold(0.0, f64::max);
    let down = map.iter().copied().fold(0.0, f64::min);
    (if up < -down { down } else { up }, ratio((up + down).abs(), up.max(-down)))
}

fn images<const D: usize>(a: &Tensor<D>, g: &Tensor<D>) -> Vec<Image> {
    let dims = a.dims();
    let cells: usize = dims[2..].iter().product();
    let split = |tensor: &Tensor<D>| -> Vec<Vec<Vec<f64>>> {
        let values: Vec<f64> = host(tensor).into_iter().map(f64::from).collect();
        let channels: Vec<Vec<f64>> = values.chunks(cells).map(<[f64]>::to_vec).collect();
        channels.chunks(dims[1]).map(<[Vec<f64>]>::to_vec).collect()
    };
    let image = |(a, g)| Image { a, g, sides: dims[2..].to_vec() };
    split(a).into_iter().zip(split(g)).map(image).collect()
}

fn agrees<const D: usize>(
    method: impl CamMethod<D>,
    a: &Tensor<D>,
    g: &Tensor<D>,
    naive: impl Fn(&Image) -> Vec<f64>,
) {
    let given = method.combine(a.clone(), g.clone());
    let mut wanted_dims = a.dims();
    wanted_dims[1] = 1;
    assert_eq!(given.dims(), wanted_dims);
    let wanted: Vec<f64> = images(a, g).iter().flat_map(&naive).collect();
    // Where values cancel out, rounding is relative to what was added up.
    let added = images(&a.clone().abs(), &g.clone().abs());
    let sizes = added.iter().flat_map(&naive).chain(wanted.iter().copied()).map(f64::abs);
    let scale = sizes.fold(f64::MIN_POSITIVE, f64::max);
    for (given, wanted) in host(&given).into_iter().map(f64::from).zip(wanted) {
        let error = (given - wanted).abs() / scale;
        assert!(error < 1e-4, "{}: {error:e}", method.name());
    }
}

fn all_agree<const D: usize>(seed: u64, dims: [usize; D]) {
    let signed = noise(seed, dims);
    let g = noise(!seed, dims);
    // As after ReLU, with a dead channel now and then.
    let alive = (2..D).fold(noise::<D>(seed ^ 1, dims), |alive, dim| alive.narrow(dim, 0, 1));
    let alive = alive.greater_elem(-1.0);
    let a = relu(signed.clone()) * alive.float();
    agrees(GradCamPlusPlus, &a, &g, grad_plus_plus);
    agrees(XGradCam, &a, &g, xgrad);
    for a in [&a, &signed] {
        agrees(LayerCam, a, &g, layer);
        let whole = dims[2..].iter().copied().max().expect("sides");
        for window in [1, 2, 3, whole, whole + 1] {
            agrees(XResCam::new(window), a, &g, |image| xres(image, window));
        }
        agrees(XResCam::new(1), a, &g, |image| image.weighted(|k, u| image.g[k][u]));
        agrees(XResCam::new(whole), a, &g, |image| {
            image.weighted(|k, _| image.g[k].iter().sum::<f64>() / image.cells() as f64)
        });

        // Two variances that are nearly the same leave the direction to rounding.
        let clear = |values: &dyn Fn(&Image) -> Vec<Vec<f64>>| {
            images(a, &g).iter().all(|image| eigen(&values(image), &[]).1 > 0.02)
        };
        let activations = |image: &Image| image.a.clone();
        let mean = |row: &Vec<f64>| row.iter().sum::<f64>();
        if clear(&activations) {
            agrees(EigenCam, a, &g, |image| {
                eigen(&image.a, &image.a.iter().map(mean).collect::<Vec<_>>()).0
            });
        }
        let signed = |image: &Image| product(image, |g| g);
        if clear(&signed) {
            agrees(EigenGradCam, a, &g, |image| eigen(&signed(image), &vec![1.0; dims[1]]).0);
        }
        let absolute = |image: &Image| product(image, f64::abs);
        let sided = |image: &Image| ends(&seg_eigen(image)).1 > 1e-3;
        if clear(&absolute) && images(a, &g).iter().all(sided) {
            agrees(SegEigenCam, a, &g, seg_eigen);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn methods_are_their_formulas(
        seed: u64, n in 1..3usize, c in 1..7usize, h in 1..8usize, w in 1..8usize
    ) {
        all_agree(seed, [n, c, h, w]);
    }

    #[test]
    fn methods_are_their_formulas_in_volumes(
        seed: u64, n in 1..3usize, c in 1..5usize, d in 1..5usize, h in 1..5usize, w in 1..5usize
    ) {
        all_agree(seed, [n, c, d, h, w]);
    }
}

/// The weight of its only channel nearly cancels out.
#[test]
fn weights_that_cancel_out() {
    all_agree(17_775_805_851_268_411_794, [1, 1, 2, 2]);
}

#[test]
fn eigen_cams_know_their_direction() {
    // Two channels that rise together, one of them below zero.
    let device = Device::flex();
    let a = [[[[1.0, 2.0, 6.0]], [[-30.0, -29.0, -25.0]]]];
    let a = Tensor::<4>::from_floats(a, &device);
    let along = host(&EigenCam.combine(a.clone(), a.clone()));
    assert!(along[0] > 0.0 && along[2] < 0.0, "{along:?} points with the mean activation");
    let evidence = host(&EigenGradCam.combine(a.clone(), a.ones_like()));
    assert!(evidence[0] < 0.0 && evidence[2] > 0.0, "{evidence:?} rises with a·g");
}

#[test]
fn the_farthest_cell_of_seg_eigen_cam_is_positive() {
    let map = |a: [[f32; 3]; 2], sign: f32| {
        let a = Tensor::<4>::from_floats([a.map(|row| [row])], &Device::flex());
        host(&SegEigenCam.combine(a.clone(), a.ones_like() * sign))
    };
    for sign in [1.0, -1.0] {
        assert_eq!(map([[1.0, 2.0, 6.0], [0.0; 3]], sign), [-2.0, -1.0, 3.0]);
        assert_eq!(map([[6.0, 5.0, 1.0], [0.0; 3]], sign), [-2.0, -1.0, 3.0]);
        // Equally far to both sides.
        assert_eq!(map([[1.0, 2.0, 3.0], [0.0; 3]], sign), [-1.0, 0.0, 1.0]);
        let last = map([[0.7, 0.4, 0.1], [0.0; 3]], sign);
        assert!(last[0] > 0.0 && last[2] < 0.0, "{last:?} rises with the product");
    }
}

#[test]
fn what_does_not_vary_has_no_component() {
    let device = Device::flex();
    for value in [0.0, 0.1, 1e-30, -7e20] {
        let flat = Tensor::<4>::full([2, 3, 37, 41], value, &device);
        let last_digit = flat.clone().slice_fill([0..2, 1..2, 5..6, 7..8], value * (1.0 + 2e-7));
        for flat in [flat, last_digit] {
            let map = host(&EigenCam.combine(flat.clone(), flat));
            assert!(map.iter().all(|&value| value == 0.0), "{value}");
        }
    }
    // One image of the batch varies, by numbers whose squares are none.
    let flat = Tensor::<4>::zeros([1, 3, 4, 5], &device);
    for scale in [1e-25, 1e25] {
        let varied = noise(3, [1, 3, 4, 5]);
        let both = Tensor::cat(vec![varied.clone() * scale, flat.clone()], 0);
        let map = host(&EigenCam.combine(both.clone(), both));
        let alone = host(&(EigenCam.combine(varied.clone(), varied) * scale));
        assert!(relative_error(&map[..20], &alone) < 1e-4);
        assert!(map[20..].iter().all(|&value| value == 0.0));
    }
}

#[test]
fn weights_without_a_share_are_zero_and_not_nan() {
    let device = Device::flex();
    let zeros = Tensor::<4>::zeros([1, 2, 3, 3], &device);
    let ones = zeros.ones_like();
    let methods: [&dyn CamMethod; 7] = [
        &GradCamPlusPlus,
        &XGradCam,
        &LayerCam,
        &EigenCam,
        &EigenGradCam,
        &SegEigenCam,
        &XResCam::new(2),
    ];
    for method in methods {
        for (a, g) in [(&zeros, &zeros), (&zeros, &ones), (&ones, &zeros)] {
            let map = host(&method.combine(a.clone(), g.clone()));
            assert!(map.iter().all(|&value| value == 0.0), "{}: {map:?}", method.name());
        }
    }
    // Activations that cancel, and Grad-CAM++'s denominator at 0.
    let cancel = Tensor::<4>::from_floats([[[[1.0, -1.0]]]], &device);
    let g = Tensor::<4>::from_floats([[[[1.0, 2.0]]]], &device);
    assert_eq!(host(&XGradCam.combine(cancel, g)), [0.0, 0.0]);
    let a = Tensor::<4>::from_floats([[[[-1.0, -1.0]]]], &device);
    let g = Tensor::<4>::from_floats([[[[1.0, 0.0]]]], &device);
    assert_eq!(host(&GradCamPlusPlus.combine(a, g)), [0.0, 0.0]);
}

/// Maps of disjoint sets add up to the map of their union, for methods linear in the gradient.
fn linear_in_the_set<M: SegmentationModel<D>, const D: usize>(model: M, input: Tensor<D>) {
    let seen = Explainer::new(model).observe(input).expect("a pass");
    let set = |seed| noise(seed, seen.prediction().shape()).greater_elem(0.3).float();
    let first: Tensor<D> = set(1);
    let second = set(2) * (first.clone().neg() + 1.0);
    let both = first.clone() + second.clone();
    let methods: [&dyn CamMethod<D>; 4] = [&GradCam, &HiResCam, &XGradCam, &XResCam::new(2)];
    for method in methods {
        for layer in ["enc", "mid", "dec"] {
            let raw = |mask: &Tensor<D>| raw(&seen, method, mask, layer);
            let (sum, whole) = (host(&(raw(&first) + raw(&second))), host(&raw(&both)));
            assert!(relative_error(&sum, &whole) < 1e-4, "{} at {layer}", method.name());
        }
    }
}

fn raw<const D: usize>(
    seen: &Observation<D>,
    method: &dyn CamMethod<D>,
    mask: &Tensor<D>,
    layer: &str,
) -> Tensor<D> {
    let method = Seg::of(method, Mask::new(mask.clone()));
    seen.explain(&method, layer, 2).expect("a map").raw().clone()
}

#[test]
fn methods_linear_in_the_gradient_are_linear_in_the_set() {
    let config = SmallNetConfig::new(3);
    linear_in_the_set(seeded_net(7, |device| config.init_2d(device)), noise(8, [2, 2, 10, 12]));
    linear_in_the_set(seeded_net(9, |device| config.init_3d(device)), noise(10, [1, 2, 6, 4, 8]));
}

#[test]
fn xgrad_and_hires_maps_have_one_sum() {
    let (a, g) = (relu(noise(1, [2, 5, 6, 7])) + 0.01, noise(2, [2, 5, 6, 7]));
    let sum = |method: &dyn CamMethod| method.combine(a.clone(), g.clone()).sum_dim(2).sum_dim(3);
    assert!(relative_error(&host(&sum(&XGradCam)), &host(&sum(&HiResCam))) < 1e-5);
}

#[test]
fn names_say_what_was_done() {
    fn name(method: impl CamMethod) -> String {
        method.name()
    }
    assert_eq!(name(GradCamPlusPlus), "grad-cam++");
    assert_eq!(name(XResCam::new(8)), "xres-cam:8");
    assert_eq!(name(XResCam::new(0)), "xres-cam:1");
    assert_eq!(name(Arc::new(Box::new(&HiResCam))), "hires-cam");
    assert_eq!(segcam::SegGradCam::new(PredictedClass), Seg::of(GradCam, PredictedClass));

    let net = seeded_net(17, |device| SmallNetConfig::new(3).init_2d(device));
    let seen = Explainer::new(net).observe(noise(18, [1, 2, 8, 8])).expect("a pass");
    let name =
        |method: &dyn OnPixels| seen.explain(method, "mid", 0).expect("a map").method().to_string();
    let half = || Region::new([0, 0], [4, 8]);
    assert_eq!(name(&Seg::of(XResCam::new(8), half())), "seg-xres-cam:8");
    assert_eq!(name(&Seg::of(GradCam, half())), "seg-grad-cam");
    assert_eq!(name(&Seg::of(HiResCam, half())), "seg-hires-grad-cam");
    assert_eq!(name(&Seg::of(&HiResCam as &dyn CamMethod, half())), "seg-hires-grad-cam");
    // The whole image needs no name, and a method that looks at no score has nothing to restrict.
    assert_eq!(name(&Seg::of(HiResCam, AllPixels)), "hires-cam");
    assert_eq!(name(&Seg::of(EigenCam, half())), "eigen-cam");
    assert_eq!(name(&Seg::of(SegEigenCam, half())), "seg-eigen-cam");
}
