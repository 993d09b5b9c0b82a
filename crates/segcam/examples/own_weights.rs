//! Your own network with the weights of one file, on the picture of another:
//!
//! ```sh
//! cargo run --release -p segcam --features models --example own_weights -- net.safetensors in.png
//! ```

use std::error::Error;
use std::path::Path;

use segcam::burn::tensor::{Device, Tensor};
use segcam::burn::{self, module::Module, nn};
use segcam::models::{Recipe, image, load_weights};
use segcam::{Explainer, Explanation, HiResCam, Layers, SegmentationModel};

#[derive(Module, Debug)]
struct Net {
    enc: nn::conv::Conv2d,
    head: nn::conv::Conv2d,
}

impl Net {
    fn new(device: &Device) -> Self {
        let conv =
            |from, to, side| nn::conv::Conv2dConfig::new([from, to], [side, side]).init(device);
        Self { enc: conv(3, 8, 3), head: conv(8, 2, 1) }
    }
}

impl SegmentationModel for Net {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        self.head.forward(layers.name("enc", self.enc.forward(image)))
    }
}

fn explain(weights: &Path, picture: &Path) -> Result<Explanation, Box<dyn Error>> {
    let device = Device::flex();
    // What the file calls a parameter that is here at `enc.weight`.
    let net = load_weights(Net::new(&device), weights, |path| format!("backbone.{path}"))?;
    // What the network was trained on: (value / 255 - mean) / std of each channel.
    let recipe = Recipe {
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        ..Recipe::default()
    };
    let input: Tensor<4> = recipe.apply(&image::open(picture)?, &device)?.input;
    let seen = Explainer::new(net).observe(input)?;
    Ok(seen.explain(&HiResCam, "enc", 1)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().collect::<Vec<_>>().as_slice() {
        [_, weights, picture] => {
            let map = explain(Path::new(weights), Path::new(picture))?;
            println!("a map of {:?}, from {:?} on", map.raw().dims(), map.range());
            Ok(())
        }
        _ => Err("give a file of weights and a picture".into()),
    }
}

/// What PyTorch would have saved: `x` everywhere, so that the map can be said by hand.
#[cfg(test)]
fn weights_of(x: f32) -> Vec<u8> {
    let shapes: [(&str, &[usize]); 4] = [
        ("backbone.enc.weight", &[8, 3, 3, 3]),
        ("backbone.enc.bias", &[8]),
        ("backbone.head.weight", &[2, 8, 1, 1]),
        ("backbone.head.bias", &[2]),
    ];
    let (mut header, mut values) = (vec![], vec![]);
    for (name, shape) in shapes {
        let begin = values.len();
        let count = shape.iter().product::<usize>();
        values.extend((0..count).flat_map(|_| x.to_le_bytes()));
        let end = values.len();
        header.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", header.join(","));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &values].concat()
}

#[test]
fn it_runs() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir();
    let (weights, picture) =
        (folder.join("segcam-own.safetensors"), folder.join("segcam-own-weights.png"));
    std::fs::write(&weights, weights_of(0.5))?;
    image::RgbImage::from_pixel(12, 10, image::Rgb([124, 116, 104])).save(&picture)?;
    let map = explain(&weights, &picture)?;
    assert_eq!(map.raw().dims(), [1, 1, 8, 10]);
    // The picture is the mean, to rounding: a channel is its bias, 0.5, and counts 0.5.
    let (low, high) = map.range()[0];
    assert!((low - 2.0).abs() < 0.2 && (high - 2.0).abs() < 0.2, "{low} to {high}");
    Ok(())
}
