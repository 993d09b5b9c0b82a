//! segcam-conv by itself against PyTorch (`reference/convolutions.py`), and in the engine against
//! burn's kernels.

use segcam::Explainer;
use segcam::engine::{Convolutions, GraphEngine};
use segcam_conv::{Algorithm, Convolution};
use segcam_tests::{Fixture, SmallNetConfig, host, noise, reference, relative_error, seeded_net};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    stride: Vec<usize>,
    padding: Vec<usize>,
    dilation: Vec<usize>,
    groups: usize,
    output_padding: Option<Vec<usize>>,
}

#[test]
fn every_algorithm_gives_what_pytorch_gives() {
    let fixture = Fixture::open(&reference().join("convolutions.safetensors"));
    let cases: Vec<Case> = serde_json::from_str(&fixture.meta("cases")).expect("cases");
    assert_eq!(cases.len(), 14);
    let numbers = |name: String| -> Vec<f32> {
        let bytes = fixture.bytes(&name);
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    for (at, case) in cases.iter().enumerate() {
        let shape = fixture.shape(&format!("{at}/weight"));
        let mut convolution =
            Convolution::new(&shape, numbers(format!("{at}/weight"))).expect("weights");
        if let Some(padding) = &case.output_padding {
            convolution = convolution.transposed(padding).expect("sides");
        }
        let padding: Vec<_> = case.padding.iter().map(|padding| (*padding, *padding)).collect();
        let convolution = convolution
            .groups(case.groups)
            .and_then(|made| made.bias(&numbers(format!("{at}/bias"))))
            .and_then(|made| made.stride(&case.stride)?.padding(&padding)?.dilation(&case.dilation))
            .expect("options");
        let (input, x) = (fixture.shape(&format!("{at}/x")), numbers(format!("{at}/x")));
        let (out, wanted) = (fixture.shape(&format!("{at}/out")), numbers(format!("{at}/out")));
        assert_eq!(convolution.output_shape(&input).expect("a shape"), out, "case {at}");
        for (algorithm, bound) in
            [(Algorithm::Direct, 1e-6), (Algorithm::Winograd2, 1e-6), (Algorithm::Winograd4, 1e-5)]
        {
            let given = convolution.run_by(algorithm, &input, &x).expect("it runs");
            let error = relative_error(&given, &wanted);
            assert!(error < bound, "case {at} {case:?}, {algorithm:?}: {error:e}");
        }
    }
}

/// All layers of a network with BatchNorm, a skip, pooling and a transposed convolution.
#[test]
fn the_engine_gives_the_same_maps_whatever_computes_its_convolutions() {
    use segcam::{AllPixels, GradCam, HiResCam, Request};

    let net = seeded_net(5, |device| SmallNetConfig::new(3).init_2d(device));
    let input = noise(3, [1, 2, 48, 40]);
    let maps = |convolutions: Convolutions| {
        let engine = GraphEngine::new(net.clone()).with_convolutions(convolutions);
        let seen = Explainer::with_engine(engine).observe(input.clone()).expect("a pass");
        let mut values = vec![host(&seen.logits())];
        for class in 0..3 {
            let target = seen.target(&AllPixels, class).expect("pixels");
            let layers: Vec<String> =
                seen.layers().iter().map(|layer| layer.name.clone()).collect();
            for layer in &layers {
                let requests = [
                    Request::new(&GradCam, layer, &target),
                    Request::new(&HiResCam, layer, &target),
                ];
                for map in seen.explain_all(requests) {
                    values.push(host(map.expect("a map").raw()));
                }
            }
        }
        values
    };
    let wanted = maps(Convolutions::Backend);
    assert!(wanted.len() > 20);
    for (convolutions, bound) in [(Convolutions::Exact, 1e-5), (Convolutions::Fast, 1e-4)] {
        for (map, wanted) in maps(convolutions).iter().zip(&wanted) {
            let error = relative_error(map, wanted);
            assert!(error < bound, "{convolutions:?}: {error:e}");
        }
    }
}
