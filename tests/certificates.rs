//! Certificates of maps, and the question "why this class and not that one?".

use burn::tensor::{Device, Tensor, TensorData};
use segcam::engine::TapeEngine;
use segcam::models::{EspNetConfig, MeshNetConfig, UNetConfig, Upsampling};
use segcam::pixels::{Contrast, Mask, Pixel};
use segcam::{
    CamError, CamMethod, EngineKind, Explainer, GradCam, HiResCam, Perturbation,
    PerturbationWeights, PredictedClass, Request, SegGradCam, SegHiResGradCam, SegmentationModel,
    Smoothing, Uses,
};
use segcam_tests::{SmallNetConfig, host, noise, relative_error, seeded_net};

/// The sum over the layer's cells of a map, in double precision.
fn total<const D: usize>(tensor: &Tensor<D>) -> f64 {
    host(tensor).into_iter().map(f64::from).sum()
}

/// A change of the layer at one cell, in all channels, changes the score only inside the cone.
fn cone_is_tight_and_safe<M: SegmentationModel<D>, const D: usize>(
    model: M,
    input: Tensor<D>,
    pixel: &[usize],
    layer: &str,
) -> (usize, usize) {
    struct Probe;
    impl<const D: usize> CamMethod<D> for Probe {
        fn combine(&self, a: Tensor<D>, w: Tensor<D>) -> Tensor<D> {
            a.sum_dim(1) * 0.0 + w
        }

        fn uses(&self) -> Uses<'_, D> {
            Uses::Perturbation(self)
        }
    }
    impl<const D: usize> PerturbationWeights<D> for Probe {
        fn weights(&self, network: &Perturbation<D>) -> Result<Tensor<D>, CamError> {
            let a = network.activations()?;
            let mut shape = a.dims();
            let channels = shape[1];
            shape[1] = 1;
            let cells: usize = shape.iter().product();
            let before = network.scores()?[0];
            let mut moved = vec![0f32; cells];
            for size in [30.0, -30.0] {
                let scores = network.scores_with_layer(cells, |cell| {
                    let mut values = host(&a);
                    (0..channels).for_each(|k| values[k * cells + cell] += size);
                    Tensor::from_data(TensorData::new(values, a.dims()), &a.device())
                })?;
                for (moved, score) in moved.iter_mut().zip(scores) {
                    *moved += f32::from(score[0] != before);
                }
            }
            Ok(Tensor::from_data(TensorData::new(moved, shape), &a.device()))
        }
    }
    let seen = Explainer::new(model).observe(input).expect("a pass");
    let set = Pixel::new(pixel.to_vec());
    let probe = segcam::Seg::of(Probe, set.clone());
    let moved = host(seen.explain(&probe, layer, 0).expect("a map").raw());

    // Where the certificate of a map with mass in a single cell says "impossible".
    struct OneCell(usize);
    impl<const D: usize> CamMethod<D> for OneCell {
        fn combine(&self, a: Tensor<D>, _: Tensor<D>) -> Tensor<D> {
            let mut shape = a.dims();
            shape[1] = 1;
            let mut values = vec![0f32; shape.iter().product()];
            values[self.0] = 1.0;
            Tensor::from_data(TensorData::new(values, shape), &a.device())
        }
    }
    let mut possible = 0;
    for (cell, moved) in moved.iter().enumerate() {
        let map = seen.explain(&segcam::Seg::of(OneCell(cell), set.clone()), layer, 0);
        let certificate = seen.certify(&map.expect("a map")).expect("a certificate");
        let impossible = certificate.impossible.expect("the graph engine") == 1.0;
        assert!(!(impossible && *moved > 0.0), "cell {cell} of {layer} moves the score");
        possible += usize::from(!impossible);
    }
    (moved.iter().filter(|moved| **moved > 0.0).count(), possible)
}

#[test]
fn no_cell_outside_the_cone_moves_the_score() {
    let mut found = vec![];
    for layer in ["enc", "mid", "dec"] {
        let net = seeded_net(71, |device| SmallNetConfig::new(3).init_2d(device));
        found.push(cone_is_tight_and_safe(net, noise(72, [1, 2, 10, 14]), &[1, 12], layer));
        let net = seeded_net(73, |device| SmallNetConfig::new(2).init_3d(device));
        found.push(cone_is_tight_and_safe(net, noise(74, [1, 2, 6, 4, 8]), &[0, 3, 1], layer));
    }
    for upsampling in [Upsampling::Transposed, Upsampling::Nearest] {
        let config = UNetConfig::new(1, 2).with_widths(vec![3, 4, 5]).with_upsampling(upsampling);
        let net = seeded_net(75, |device| config.init(device));
        for layer in ["enc1", "mid", "dec2"] {
            let net = net.clone();
            found.push(cone_is_tight_and_safe(net, noise(76, [1, 1, 17, 22]), &[15, 3], layer));
        }
    }
    // Changes as large as these reach what can be reached, but for cells that only dead units see.
    for (moved, possible) in found {
        assert!(moved * 10 >= possible * 7, "{moved} of {possible} possible cells move the score");
    }
    let config = EspNetConfig::new().with_classes(3).with_q(1);
    let net = seeded_net(77, |device| config.init(device));
    let seen = Explainer::new(net).observe(noise(78, [1, 3, 64, 64])).expect("a pass");
    let map = seen.explain(&SegHiResGradCam::new(Pixel::new([3, 3])), &seen.layers()[0].name, 1);
    assert_eq!(seen.certify(&map.expect("a map")).expect("works").impossible, Some(0.0));
    let net = seeded_net(79, |device| MeshNetConfig::new().with_width(4).init(device));
    let input = noise(80, [1, 1, 12, 12, 12]);
    cone_is_tight_and_safe(net, input, &[2, 3, 4], "conv8");
}

#[test]
fn what_hires_keeps_and_averaging_loses() {
    let net = seeded_net(81, |device| SmallNetConfig::new(3).init_2d(device));
    let seen = Explainer::new(net).observe(noise(82, [1, 2, 16, 16])).expect("a pass");
    for layer in ["enc", "mid", "dec"] {
        let pixel = Pixel::new([3, 3]);
        let hires = seen.explain(&SegHiResGradCam::new(pixel.clone()), layer, 1).expect("a map");
        let grad = seen.explain(&SegGradCam::new(pixel), layer, 1).expect("a map");
        let (of_hires, of_grad) =
            (seen.certify(&hires).expect("works"), seen.certify(&grad).expect("works"));
        let scale = of_hires.exact.abs().max(1e-3);
        assert!(of_hires.lost().abs() < 1e-4 * scale, "{of_hires:?}");
        assert_eq!(of_hires.impossible, Some(0.0));
        assert_eq!(of_hires.exact, of_grad.exact);
        let lost = total(hires.raw()) - total(grad.raw());
        assert!((of_grad.lost() - lost).abs() < 1e-4 * scale, "{of_grad:?}");
        assert!(of_grad.impossible > Some(0.1), "{of_grad:?}");
    }
}

#[test]
fn the_tape_engine_certifies_what_it_can() {
    let net = seeded_net(83, |device| SmallNetConfig::new(3).init_2d(device));
    let input = noise(84, [1, 2, 8, 8]);
    let with_tape = Explainer::with_engine(TapeEngine::new(net.clone()));
    let seen = [Explainer::new(net), with_tape].map(|e| e.observe(input.clone()).expect("a pass"));
    let [graph, tape] = seen.map(|seen| {
        let map = seen.explain(&GradCam, "mid", 2).expect("a map");
        seen.certify(&map).expect("a certificate")
    });
    assert!((graph.exact - tape.exact).abs() < 1e-4 * graph.exact.abs().max(1.0));
    assert!(graph.shares.is_some() && graph.impossible.is_some());
    assert_eq!((tape.shares, tape.impossible), (None, None));
}

#[test]
fn a_contrast_is_the_difference_of_two_classes() {
    fn check(explainer: &Explainer, input: &Tensor<4>) {
        let seen = explainer.observe(input.clone()).expect("a pass");
        let n = seen.prediction().shape()[0];
        let mask = Mask::new(noise::<4>(85, seen.prediction().shape()).greater_elem(0.0).float());
        for layer in seen.layers() {
            let raw = |class: usize, against: Option<usize>| {
                let plain = SegHiResGradCam::new(mask.clone());
                let contrast = against
                    .map(|other| SegHiResGradCam::new(Contrast::with(other).within(mask.clone())));
                let map = match &contrast {
                    Some(contrast) => seen.explain(contrast, &layer.name, class),
                    None => seen.explain(&plain, &layer.name, class),
                };
                map.expect("a map")
            };
            let (one, two, both) = (raw(1, None), raw(2, None), raw(1, Some(2)));
            let wanted = host(&(one.raw().clone() - two.raw().clone()));
            assert!(relative_error(&host(both.raw()), &wanted) < 1e-4, "{}", layer.name);
            for image in 0..n {
                let wanted = one.score()[image] - two.score()[image];
                assert!((both.score()[image] - wanted).abs() < 1e-3 * wanted.abs().max(1.0));
            }
            if seen.engine() == &EngineKind::Graph {
                let gap = seen.certify(&both).expect("works").completeness_error();
                assert!(gap < Some(1e-4), "{}: {gap:?}", layer.name);
            }
        }
        let contrast = SegHiResGradCam::new(Contrast::with(2).within(mask.clone()));
        let smooth = |by: Smoothing| {
            let target = Contrast::with(2).within(mask.clone());
            let target = seen.target(&target, 1).expect("a target");
            let map = by.explain(&seen, &Request::new(&HiResCam, "mid", &target));
            host(map.expect("a map").raw())
        };
        let plain = host(seen.explain(&contrast, "mid", 1).expect("a map").raw());
        assert!(relative_error(&smooth(Smoothing::scales([1.0])), &plain) < 1e-6);

        let compare = |other| {
            seen.explain(&SegGradCam::new(Contrast::with(other)), "mid", 1).expect_err("an error")
        };
        assert!(matches!(compare(3), CamError::ClassOutOfRange { class: 3, classes: 3 }));
        assert!(compare(1).to_string().contains("cannot be compared with itself"));
    }
    let net = seeded_net(86, |device| SmallNetConfig::new(3).init_2d(device));
    let input = noise(87, [2, 2, 8, 8]);
    check(&Explainer::new(net.clone()), &input);
    check(&Explainer::with_engine(TapeEngine::new(net)), &input);
}

#[test]
fn an_empty_set_says_why() {
    let net = seeded_net(88, |device| SmallNetConfig::new(3).init_2d(device));
    let seen = Explainer::new(net).observe(Tensor::zeros([1, 2, 8, 8], &Device::flex()));
    let seen = seen.expect("a pass");
    let predicted = seen.prediction().labels().into_data().iter::<i64>().next().expect("a label");
    let missing = (predicted as usize + 1) % 3;
    let error = seen.explain(&SegGradCam::new(PredictedClass), "mid", missing).expect_err("empty");
    let wanted = format!(
        "pixel set `class` of class {missing} is empty: no pixel is predicted as class {missing}"
    );
    assert_eq!(error.to_string(), wanted);
    assert!(seen.explain(&HiResCam, "mid", missing).is_ok());
}
