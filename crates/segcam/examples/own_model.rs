//! Your own network, explained.

use segcam::burn::tensor::{Device, Distribution, Tensor};
use segcam::burn::{self, module::Module, nn};
use segcam::{Explainer, Layers, Normalize, PredictedClass, SegHiResGradCam, SegmentationModel};

// ANCHOR: program
#[derive(Module, Debug)]
struct UNet {
    enc: nn::conv::Conv2d,
    mid: nn::conv::Conv2d,
    up: nn::conv::ConvTranspose2d,
    head: nn::conv::Conv2d,
    pool: nn::pool::MaxPool2d,
}

impl SegmentationModel for UNet {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let enc = layers.name("enc", self.enc.forward(image));
        let mid = layers.name("mid", self.mid.forward(self.pool.forward(enc.clone())));
        self.head.forward(Tensor::cat(vec![self.up.forward(mid), enc], 1))
    }
}

fn explain(unet: UNet, image: Tensor<4>) -> Result<Tensor<4>, segcam::CamError> {
    let seen = Explainer::new(unet).observe(image)?;
    let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
    Ok(map.heat_map(Normalize::Max))
}
// ANCHOR_END: program

fn main() -> Result<(), segcam::CamError> {
    let device = Device::flex();
    device.seed(1);
    let image = Tensor::random([1, 3, 64, 64], Distribution::Default, &device);
    println!("heat map of shape {:?}", explain(UNet::random(&device), image)?.dims());
    Ok(())
}

// Random weights, so that this example runs; yours would load a file.
impl UNet {
    fn random(device: &Device) -> Self {
        let conv = |from, to, kernel| nn::conv::Conv2dConfig::new([from, to], [kernel, kernel]);
        let same = || nn::PaddingConfig2d::Explicit(1, 1, 1, 1);
        let up = nn::conv::ConvTranspose2dConfig::new([16, 8], [2, 2]).with_stride([2, 2]);
        Self {
            enc: conv(3, 8, 3).with_padding(same()).init(device),
            mid: conv(8, 16, 3).with_padding(same()).init(device),
            up: up.init(device),
            head: conv(16, 2, 1).init(device),
            pool: nn::pool::MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        }
    }
}

#[test]
fn it_runs() -> Result<(), segcam::CamError> {
    main()
}
