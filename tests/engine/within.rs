//! Networks that ask other networks in their forward pass.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Tensor;
use segcam::{EngineKind, Explainer, HiResCam, Layers, SegmentationModel};
use segcam_tests::seeded_net;

use crate::{noise, small_net};

#[test]
fn a_forward_pass_that_observes_does_not_wait_for_itself() {
    #[derive(Module, Debug)]
    struct Nested {
        conv: Conv2d,
        #[module(skip)]
        inner: Explainer,
    }
    impl SegmentationModel for Nested {
        fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
            let seen = self.inner.observe(image.clone().inner()).expect("a pass");
            let attention = seen.prediction().probability(0);
            let x = layers.name("conv", self.conv.forward(image));
            x * Tensor::from_inner(attention.narrow(2, 0, 1).narrow(3, 0, 1))
        }
    }
    let conv = seeded_net(14, |device| Conv2dConfig::new([2, 2], [1, 1]).init(device));
    let nested = Nested { conv, inner: Explainer::new(small_net()) };
    let seen = Explainer::new(nested).observe(noise([1, 2, 8, 8])).expect("a pass");
    assert!(matches!(seen.engine(), EngineKind::Tape { instead: Some(_) }), "{}", seen.engine());
    assert!(seen.explain(&HiResCam, "conv", 0).is_ok());
}

/// Its forward pass asks another network about an image of its own.
#[derive(Module, Debug)]
struct Prompted {
    conv: Conv2d,
    #[module(skip)]
    inner: Explainer,
    #[module(skip)]
    prompt: Tensor<4>,
    #[module(skip)]
    begun: Arc<Barrier>,
}

impl SegmentationModel for Prompted {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        self.begun.wait();
        let seen = self.inner.observe(self.prompt.clone()).expect("a pass");
        let size = seen.prediction().probability(0).mean().into_scalar::<f32>();
        layers.name("conv", self.conv.forward(image)) * size
    }
}

/// Runs out of time if a thread waits for another that waits for it.
fn ends(work: impl FnOnce() + Send + 'static) {
    let (end, ended) = mpsc::channel();
    let worker = thread::spawn(move || {
        work();
        end.send(()).expect("a receiver");
    });
    if ended.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
        // They keep the device that other tests would wait for.
        eprintln!("the threads wait for each other");
        std::process::abort();
    }
    worker.join().expect("a thread without panic");
}

fn prompted(inner: &Explainer, threads: usize) -> Explainer {
    let conv = seeded_net(14, |device| Conv2dConfig::new([2, 2], [1, 1]).init(device));
    let begun = Arc::new(Barrier::new(threads));
    Explainer::new(Prompted { conv, inner: inner.clone(), prompt: noise([1, 2, 8, 8]), begun })
}

#[test]
fn a_network_within_a_captured_forward_pass_is_captured_later() {
    ends(|| {
        let inner = Explainer::new(small_net());
        let seen = prompted(&inner, 1).observe(noise([1, 2, 8, 8])).expect("a pass");
        assert!(matches!(seen.engine(), EngineKind::Graph), "{}", seen.engine());
        assert!(seen.explain(&HiResCam, "conv", 0).is_ok());
        let alone = inner.observe(noise([1, 2, 8, 8])).expect("a pass");
        assert!(matches!(alone.engine(), EngineKind::Graph), "{}", alone.engine());
    });
}

#[test]
fn threads_that_capture_networks_within_each_other_end() {
    for _ in 0..20 {
        ends(|| {
            let inner = Explainer::new(small_net());
            let outer = prompted(&inner, 2);
            let Prompted { begun, prompt, .. } = outer.model().expect("what was given");
            thread::scope(|scope| {
                scope.spawn(|| outer.observe(noise([1, 2, 8, 8])).expect("a pass"));
                scope.spawn(|| {
                    begun.wait();
                    inner.observe(prompt.clone()).expect("a pass")
                });
            });
        });
    }
}
