//! What one observation and one map cost on the tape engine.
//!
//! ```sh
//! cargo bench -p segcam-benches
//! ```

use divan::Bencher;
use segcam::burn::tensor::{Device, Distribution, Tensor};
use segcam::models::UNetConfig;
use segcam::{AllPixels, Explainer, Observation, SegHiResGradCam};

/// First width of a five-level U-Net, and side of the image.
const SIZES: [(usize, usize); 2] = [(8, 128), (32, 256)];

fn main() {
    divan::main();
}

fn unet(width: usize, side: usize) -> (Explainer, Tensor<4>) {
    let device = Device::flex();
    device.seed(1);
    let widths = (0..5).map(|level| width << level).collect();
    let unet = UNetConfig::new(3, 19).with_widths(widths).init(&device);
    let image = Tensor::random([1, 3, side, side], Distribution::Normal(0.0, 1.0), &device);
    (Explainer::new(unet), image)
}

fn seen(width: usize, side: usize) -> Observation {
    let (explainer, image) = unet(width, side);
    explainer.observe(image).expect("a pass")
}

#[divan::bench(args = SIZES)]
fn observe(bencher: Bencher, (width, side): (usize, usize)) {
    let (explainer, image) = unet(width, side);
    bencher.bench_local(|| explainer.observe(image.clone()).expect("a pass").logits());
}

#[divan::bench(args = SIZES)]
fn map_at_mid(bencher: Bencher, (width, side): (usize, usize)) {
    let seen = seen(width, side);
    let method = SegHiResGradCam::new(AllPixels);
    bencher.bench_local(|| seen.explain(&method, "mid", 3).expect("a map"));
}

#[divan::bench(args = SIZES)]
fn map_at_dec1(bencher: Bencher, (width, side): (usize, usize)) {
    let seen = seen(width, side);
    let method = SegHiResGradCam::new(AllPixels);
    bencher.bench_local(|| seen.explain(&method, "dec1", 3).expect("a map"));
}
