//! A new pixel set is a closure: here the pixels where the network hesitates.

use segcam::burn::tensor::{Device, Distribution, Tensor};
use segcam::models::UNetConfig;
use segcam::{Explainer, Prediction, SegGradCam};

fn main() -> Result<(), segcam::CamError> {
    let device = Device::flex();
    device.seed(1);
    let unet = UNetConfig::new(1, 2).with_widths(vec![4, 8, 16]).init(&device);
    let image = Tensor::random([1, 1, 32, 32], Distribution::Default, &device);
    // ANCHOR: program
    let unsure =
        |view: &Prediction, class| (view.probability(class) - 0.5).abs().lower_elem(0.2).float();
    let seen = Explainer::new(unet).observe(image)?;
    let map = seen.explain(&SegGradCam::new(unsure), "mid", 1)?;
    println!("{} pixels, score {}", map.target().sizes()[0], map.score()[0]);
    // ANCHOR_END: program
    Ok(())
}

#[test]
fn it_runs() -> Result<(), segcam::CamError> {
    main()
}
