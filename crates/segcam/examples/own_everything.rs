//! Everything of one's own: a network with two inputs, a method with a parameter, a pixel set with a
//! name; three classes × two layers × three methods, on two threads that share one explainer.

use segcam::burn::tensor::{Device, Distribution, Tensor, activation::relu};
use segcam::burn::{self, module::Module, nn};
use segcam::{
    CamError, CamMethod, Explainer, Explanation, GradCam, HiResCam, Layers, PixelSet, Prediction,
    Request, SegmentationModel,
};

/// A network that also takes a prompt, and has two outputs: what is not the image is part of the model.
#[derive(Module, Debug)]
struct Prompted {
    body: nn::conv::Conv2d,
    down: nn::conv::Conv2d,
    head: nn::conv::Conv2d,
    auxiliary: nn::conv::Conv2d,
    /// Where the user clicked, `[1, 1, H, W]`.
    prompt: Tensor<4>,
}

impl Prompted {
    /// As it was trained: the output, and an auxiliary one at the size of the image.
    fn both(&self, image: Tensor<4>, layers: &mut Layers) -> (Tensor<4>, Tensor<4>) {
        let prompt = self.prompt.clone().repeat_dim(0, image.dims()[0]);
        let body = relu(self.body.forward(Tensor::cat(vec![image, prompt], 1)));
        let body = layers.name("body", body);
        let auxiliary = self.auxiliary.forward(body.clone());
        let down = layers.name("down", relu(self.down.forward(body)));
        (self.head.forward(down), auxiliary)
    }
}

impl SegmentationModel for Prompted {
    /// The output that is to be explained; the other is dropped. It is half as large as the image:
    /// pixel sets are of the output's size, heat maps of the image's.
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let (output, _auxiliary) = self.both(image, layers);
        output
    }

    fn check_input(&self, shape: [usize; 4]) -> Result<(), CamError> {
        match shape[1] {
            3 => Ok(()),
            given => Err(CamError::WrongChannels { wanted: 3, given, shape: shape.to_vec() }),
        }
    }
}

/// Gradients above a share of the largest one, times activations.
struct StrongGradients {
    share: f32,
}

impl<const D: usize> CamMethod<D> for StrongGradients {
    fn combine(&self, a: Tensor<D>, g: Tensor<D>) -> Tensor<D> {
        let strong = g.clone().abs().max().into_scalar::<f32>() * self.share;
        (a * g.clone() * g.abs().greater_equal_elem(strong).float()).sum_dim(1)
    }

    fn name(&self) -> String {
        format!("strong-gradients:{}", self.share)
    }
}

/// The left half of the image.
struct LeftHalf;

impl<const D: usize> PixelSet<D> for LeftHalf {
    fn weights(&self, view: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let mut shape = view.shape();
        let (width, last) = (shape[D - 1], D - 1);
        shape[last] = width / 2;
        let left = Tensor::ones(shape, &view.device());
        shape[last] = width - width / 2;
        Ok(Tensor::cat(vec![left, Tensor::zeros(shape, &view.device())], last))
    }

    fn name(&self) -> String {
        "left-half".into()
    }
}

// ANCHOR: many
/// Three classes, two layers, three methods: one forward pass, one backward pass for each class.
fn maps(
    explainer: &Explainer,
    image: Tensor<4>,
    pixels: &dyn PixelSet,
    own: &dyn CamMethod,
) -> Result<Vec<Explanation>, CamError> {
    let seen = explainer.observe(image)?;
    let methods: [&dyn CamMethod; 3] = [&GradCam, &HiResCam, own];
    let mut requests = vec![];
    for class in 0..3 {
        let target = seen.target(pixels, class)?;
        for layer in ["body", "down"] {
            requests.extend(methods.map(|method| Request::new(method, layer, &target)));
        }
    }
    seen.explain_all(requests).collect()
}
// ANCHOR_END: many

/// The maps of two images, each made on a thread of its own; they share the explainer.
fn on_two_threads() -> Result<Vec<Vec<Explanation>>, CamError> {
    let device = Device::flex();
    let explainer = Explainer::new(Prompted::random(&device));
    let image = || Tensor::random([1, 3, 32, 48], Distribution::Default, &device);
    let images = [image(), image()];
    let explain = |image| maps(&explainer, image, &LeftHalf, &StrongGradients { share: 0.1 });
    std::thread::scope(|scope| {
        let threads = images.map(|image| scope.spawn(move || explain(image)));
        threads.into_iter().map(|thread| thread.join().expect("segcam does not panic")).collect()
    })
}

fn main() -> Result<(), CamError> {
    for map in on_two_threads()?.iter().flatten() {
        let (class, status) = (map.class(), map.status()[0]);
        println!("{} at {}, class {class}: {status}", map.method(), map.layer());
    }
    Ok(())
}

impl Prompted {
    fn random(device: &Device) -> Self {
        device.seed(1);
        let same = nn::PaddingConfig2d::Explicit(1, 1, 1, 1);
        let conv = |from, to| nn::conv::Conv2dConfig::new([from, to], [3, 3]);
        Self {
            body: conv(4, 8).with_padding(same.clone()).init(device),
            down: conv(8, 8).with_padding(same.clone()).with_stride([2, 2]).init(device),
            head: conv(8, 3).with_padding(same.clone()).init(device),
            auxiliary: conv(8, 3).with_padding(same).init(device),
            prompt: Tensor::zeros([1, 1, 32, 48], device),
        }
    }
}

#[test]
fn it_runs() -> Result<(), CamError> {
    use std::collections::BTreeSet;

    main()?;
    let found = on_two_threads()?;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [18, 18]);
    for maps in &found {
        let all: BTreeSet<_> =
            maps.iter().map(|map| (map.class(), map.layer(), map.method())).collect();
        let classes: BTreeSet<_> = all.iter().map(|(class, _, _)| class).collect();
        let layers: BTreeSet<_> = all.iter().map(|(_, layer, _)| layer).collect();
        let methods: BTreeSet<_> = all.iter().map(|(_, _, method)| method).collect();
        assert_eq!([all.len(), classes.len(), layers.len(), methods.len()], [18, 3, 2, 3]);
    }
    Ok(())
}
