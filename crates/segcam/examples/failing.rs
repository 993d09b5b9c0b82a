//! A network that can fail: its error is what `observe` gives, also in a program that is built with
//! `panic = "abort"`. Its panic is an error only where panics unwind, and so is a forward pass that
//! cannot be captured one that is answered all the same.

use segcam::burn::tensor::{Device, Tensor, activation::relu};
use segcam::burn::{self, module::Module, nn};
use segcam::{CamError, EngineKind, Explainer, Layers, Observation, SegmentationModel};

/// Takes even sides only.
#[derive(Module, Debug)]
struct Even {
    conv: nn::conv::Conv2d,
    /// Whether odd sides are a panic.
    panics: bool,
    /// Whether it divides by its largest value, which a captured forward pass does not have.
    reads: bool,
}

impl SegmentationModel for Even {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        self.try_forward(image, layers).expect("even sides")
    }

    fn try_forward(&self, image: Tensor<4>, layers: &mut Layers) -> Result<Tensor<4>, CamError> {
        let [.., height, width] = image.dims();
        if height % 2 == 0 && width % 2 == 0 {
            let x = layers.name("conv", relu(self.conv.forward(image)));
            return Ok(if self.reads { x.clone() / x.max().into_scalar::<f32>() } else { x });
        }
        assert!(!self.panics, "{height} × {width} pixels are too odd");
        let reason = format!("{height} × {width} pixels: give even sides");
        Err(CamError::model(std::io::Error::other(reason)))
    }
}

fn observe(panics: bool, reads: bool, height: usize) -> Result<Observation, CamError> {
    let device = Device::flex();
    let mut conv = nn::conv::Conv2dConfig::new([3, 2], [1, 1]).init(&device);
    conv.weight = conv.weight.map(|weight| weight.abs());
    let explainer = Explainer::new(Even { conv, panics, reads });
    explainer.observe(Tensor::ones([1, 3, height, 8], &device))
}

/// What an image of odd sides gives.
fn fails(panics: bool) -> CamError {
    observe(panics, false, 7).expect_err("odd sides")
}

/// What answers for a network that cannot be captured.
fn engine() -> Result<EngineKind, CamError> {
    Ok(observe(false, true, 8)?.engine().clone())
}

fn main() -> Result<(), CamError> {
    println!("{}", fails(false));
    match std::env::args().nth(1).as_deref() {
        Some("panic") => println!("{}", fails(true)),
        Some("read") => println!("{}", engine()?),
        _ => {}
    }
    Ok(())
}

#[test]
fn all_are_answered_where_panics_unwind() -> Result<(), CamError> {
    let error = fails(false);
    assert!(matches!(error, CamError::Model { .. }), "{error}");
    assert!(error.to_string().contains("give even sides"), "{error}");
    let error = fails(true);
    assert!(matches!(error, CamError::Forward { .. }), "{error}");
    assert!(error.to_string().contains("too odd"), "{error}");
    assert!(matches!(engine()?, EngineKind::Tape { instead: Some(_) }));
    Ok(())
}
