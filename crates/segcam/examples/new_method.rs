//! A new CAM variant is one expression: LayerCAM (Jiang et al., IEEE TIP 2021).

use segcam::burn::tensor::{Device, Distribution, Tensor};
use segcam::models::UNetConfig;
use segcam::{CamMethod, Explainer};

// ANCHOR: program
struct LayerCam;

impl<const D: usize> CamMethod<D> for LayerCam {
    fn combine(&self, a: Tensor<D>, g: Tensor<D>) -> Tensor<D> {
        (a * g.clamp_min(0.0)).sum_dim(1)
    }
}
// ANCHOR_END: program

fn main() -> Result<(), segcam::CamError> {
    let device = Device::flex();
    device.seed(1);
    let unet = UNetConfig::new(1, 2).with_widths(vec![4, 8, 16]).init(&device);
    let image = Tensor::random([1, 1, 32, 32], Distribution::Default, &device);
    let map = Explainer::new(unet).observe(image)?.explain(&LayerCam, "mid", 1)?;
    println!("{} at {}: {}", map.method(), map.layer(), map.status()[0]);
    Ok(())
}

#[test]
fn it_runs() -> Result<(), segcam::CamError> {
    main()
}
