//! A network that can fail: its error is what `observe` gives, also in a program that is built with
//! `panic = "abort"`. Its panic is an error only where panics unwind.

use segcam::burn::tensor::{Device, Tensor, activation::relu};
use segcam::burn::{self, module::Module, nn};
use segcam::{CamError, Explainer, Layers, SegmentationModel};

/// Takes even sides only.
#[derive(Module, Debug)]
struct Even {
    conv: nn::conv::Conv2d,
    panics: bool,
}

impl SegmentationModel for Even {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        self.try_forward(image, layers).expect("even sides")
    }

    fn try_forward(&self, image: Tensor<4>, layers: &mut Layers) -> Result<Tensor<4>, CamError> {
        let [.., height, width] = image.dims();
        if height % 2 == 0 && width % 2 == 0 {
            return Ok(layers.name("conv", relu(self.conv.forward(image))));
        }
        assert!(!self.panics, "{height} × {width} pixels are too odd");
        let reason = format!("{height} × {width} pixels: give even sides");
        Err(CamError::model(std::io::Error::other(reason)))
    }
}

/// What an image of odd sides gives.
fn fails(panics: bool) -> CamError {
    let device = Device::flex();
    let conv = nn::conv::Conv2dConfig::new([3, 2], [1, 1]).init(&device);
    let explainer = Explainer::new(Even { conv, panics });
    explainer.observe(Tensor::ones([1, 3, 7, 8], &device)).expect_err("odd sides")
}

fn main() {
    println!("{}", fails(false));
    if std::env::args().any(|word| word == "panic") {
        println!("{}", fails(true));
    }
}

#[test]
fn both_are_errors_where_panics_unwind() {
    let error = fails(false);
    assert!(matches!(error, CamError::Model { .. }), "{error}");
    assert!(error.to_string().contains("give even sides"), "{error}");
    let error = fails(true);
    assert!(matches!(error, CamError::Forward { .. }), "{error}");
    assert!(error.to_string().contains("too odd"), "{error}");
}
