//! What a scan of 512 × 512 × 600 voxels takes: a small network with random weights, two classes, windows
//! of 128³, Seg-HiRes-Grad-CAM of one class. Prints times, and on Linux the most memory it ever had.
//!
//! ```sh
//! cargo run --release -p segcam-windows --example large_scan [-- DEPTH HEIGHT WIDTH]
//! ```

use std::error::Error;
use std::time::Instant;

use burn::module::Module;
use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, Conv3dConfig, ConvTranspose3d, ConvTranspose3dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use segcam_core::{Explainer, Layers, PredictedClass, SegHiResGradCam, SegmentationModel};
use segcam_windows::Windows;

#[derive(Module, Debug)]
struct Net {
    enc: Conv3d,
    mid: Conv3d,
    up: ConvTranspose3d,
    head: Conv3d,
}

impl SegmentationModel<5> for Net {
    fn forward(&self, volume: Tensor<5>, layers: &mut Layers) -> Tensor<5> {
        let enc = layers.name("enc", relu(self.enc.forward(volume)));
        let mid = layers.name("mid", relu(self.mid.forward(enc.clone())));
        self.head.forward(layers.name("dec", relu(self.up.forward(mid) + enc)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let sides: Vec<usize> =
        std::env::args().skip(1).map(|side| side.parse()).collect::<Result<_, _>>()?;
    let [depth, height, width] = sides.try_into().unwrap_or([600, 512, 512]);
    let device = Device::flex();
    device.seed(0);
    let same = PaddingConfig3d::Explicit(1, 1, 1);
    let net = Net {
        enc: Conv3dConfig::new([1, 8], [3; 3]).with_padding(same.clone()).init(&device),
        mid: Conv3dConfig::new([8, 16], [3; 3])
            .with_stride([2; 3])
            .with_padding(same)
            .init(&device),
        up: ConvTranspose3dConfig::new([16, 8], [2; 3]).with_stride([2; 3]).init(&device),
        head: Conv3dConfig::new([8, 2], [1; 3]).init(&device),
    };
    // Balls, so that both classes have voxels.
    let value = |at: usize| {
        let (z, y, x) = (at / (height * width), at / width % height, at % width);
        ((z as f32 / 17.0).sin() + (y as f32 / 23.0).sin() + (x as f32 / 19.0).sin()) / 3.0
    };
    let values: Vec<f32> = (0..depth * height * width).map(value).collect();
    let scan =
        Tensor::<5>::from_data(TensorData::new(values, [1, 1, depth, height, width]), &device);

    let windows = Windows::monai([128, 128, 128]).gaussian();
    let windows = windows.with_progress(|done, all| eprint!("\r{done} of {all} windows"));
    let start = Instant::now();
    let seen = windows.explainer(&Explainer::new(net))?.observe(scan)?;
    eprintln!();
    println!("prediction: {:.1} s", start.elapsed().as_secs_f64());
    report("most memory so far");
    let start = Instant::now();
    let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;
    println!(
        "map of {:?}: {:.1} s, {:?}",
        map.raw().dims(),
        start.elapsed().as_secs_f64(),
        map.range()
    );
    report("most memory");
    Ok(())
}

fn report(what: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{what}: {}", peak.map_or("unknown", str::trim));
}
