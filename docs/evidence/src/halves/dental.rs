//! Caries in one panoramic X-ray.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use image::{GrayImage, Rgb, RgbImage, imageops};
use rand_chacha::ChaCha8Rng;
use segcam::models::UNetConfig;
use segcam::render::{Bar, Colormap, Panel, Plane, figure, outline, overlay};
use segcam::{CamMethod, Explainer, GradCam, HiResCam, Observation, PredictedClass, Request};

use super::{dice, measure};
use crate::train::{Sample, below, cross_entropy_and_dice, train};

/// The picture is shrunk to a third along each side.
const SHRUNK: u32 = 3;
/// Side of what the network sees of it while it learns.
const CROP: usize = 64;
const STEPS: usize = 400;
const LAYERS: [&str; 3] = ["enc3", "mid", "dec1"];

/// A half of the X-ray.
struct Half {
    image: GrayImage,
    /// Whether there is caries.
    truth: Vec<bool>,
}

pub(super) fn run(data: &Path, out: &Path) -> Result<()> {
    let [left, right] = halves(data)?;
    let config = UNetConfig::new(1, 2).with_widths(vec![8, 16, 32, 64]);
    let net = train(cross_entropy_and_dice, &config, STEPS, 0, |generator| left.crop(generator));
    let explainer = Explainer::new(net);
    println!("### Dental X-ray: one panoramic image, caries\n");
    println!(
        "One image (DC1000, shrunk to a third), a U-Net of widths 8 to 64, trained on crops of its left half \
         for {STEPS} batches of 8 and explained on its right half. This is one image and a tiny network: it \
         shows that the method runs on the paper's third domain, and nothing about caries.\n"
    );
    let learnt = explainer.observe(left.input()?)?;
    let seen = explainer.observe(right.input()?)?;
    println!(
        "Dice of the left half, which it has learnt: {:.3}; of the right half: {:.3}.\n",
        dice(&left.predicted(&learnt), &left.truth),
        dice(&right.predicted(&seen), &right.truth)
    );
    measure(&explainer, right.input()?, &LAYERS)?;
    picture(&right, &seen, &out.join("dental.png"))
}

fn halves(data: &Path) -> Result<[Half; 2]> {
    let open = |folder: &str| {
        let path = data.join("opg").join(folder).join("856.png");
        image::open(&path).with_context(|| path.display().to_string())
    };
    let (image, truth) = (open("images")?.into_luma8(), open("labels")?.into_luma8());
    let (width, height) = (image.width() / SHRUNK / 16 * 8, image.height() / SHRUNK / 8 * 8);
    let shrunk = |image: &GrayImage, how| imageops::resize(image, 2 * width, height, how);
    let image = shrunk(&image, imageops::FilterType::Triangle);
    let truth = shrunk(&truth, imageops::FilterType::Nearest);
    Ok([0, width].map(|left| Half {
        image: imageops::crop_imm(&image, left, 0, width, height).to_image(),
        truth: imageops::crop_imm(&truth, left, 0, width, height)
            .to_image()
            .iter()
            .map(|label| *label > 0)
            .collect(),
    }))
}

impl Half {
    fn sides(&self) -> [usize; 2] {
        [self.image.height() as usize, self.image.width() as usize]
    }

    fn value(&self, at: usize) -> f32 {
        f32::from(self.image.as_raw()[at]) / 255.0
    }

    fn input(&self) -> Result<Tensor<4>> {
        let [height, width] = self.sides();
        let values: Vec<f32> = (0..height * width).map(|at| self.value(at)).collect();
        let values = TensorData::new(values, [1, 1, height, width]);
        Ok(Tensor::from_data(values, &Device::flex()))
    }

    fn predicted(&self, seen: &Observation) -> Vec<bool> {
        seen.prediction().label_values().into_iter().map(|label| label == 1).collect()
    }

    /// A crop, most of them around caries, every other one mirrored.
    fn crop(&self, generator: &mut ChaCha8Rng) -> Sample {
        let [height, width] = self.sides();
        let ill: Vec<usize> = (0..self.truth.len()).filter(|at| self.truth[*at]).collect();
        let around = match below(generator, 3) {
            0 => below(generator, height * width),
            _ => ill[below(generator, ill.len())],
        };
        let start = |at: usize, side: usize, shift: usize| {
            (at + shift).saturating_sub(CROP - 1).min(side - CROP)
        };
        let top = start(around / width, height, below(generator, CROP));
        let left = start(around % width, width, below(generator, CROP));
        let places = (0..CROP * CROP).map(|i| (top + i / CROP) * width + left + i % CROP);
        let places: Vec<usize> = places.collect();
        let shade = below(generator, 21) as f32 / 100.0 - 0.1;
        let sample = Sample {
            image: places.iter().map(|at| self.value(*at) + shade).collect(),
            labels: places.iter().map(|at| u8::from(self.truth[*at])).collect(),
        };
        if below(generator, 2) == 0 { sample } else { sample.mirrored() }
    }
}

/// The right half, what is annotated and predicted, and maps of both methods.
fn picture(half: &Half, seen: &Observation, path: &Path) -> Result<()> {
    let [height, width] = half.sides();
    let plane = |set: &[bool]| Plane::from_fn(height, width, |y, x| f32::from(set[y * width + x]));
    let below = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        Rgb([half.image.get_pixel(x, y).0[0]; 3])
    });
    let (truth, predicted) = (plane(&half.truth), plane(&half.predicted(seen)));
    let mut known = below.clone();
    outline(&mut known, &truth, Rgb([90, 255, 90]));
    outline(&mut known, &predicted, Rgb([225, 130, 255]));
    let caption = "right half; green: annotated, violet: predicted as caries".to_string();
    let mut rows = vec![vec![Panel { image: known, caption, bar: None }]];
    let target = seen.target(&PredictedClass, 1)?;
    let methods: [(&str, &dyn CamMethod); 2] =
        [("Seg-Grad-CAM", &GradCam), ("Seg-HiRes-Grad-CAM", &HiResCam)];
    for (title, method) in methods {
        let map = seen.answer(&Request::new(method, "mid", &target))?;
        let heat = Plane::from_tensor(&map.signed_map(), 0, [height, width]);
        let mut image = overlay(&below, &heat, Colormap::BlueOrange);
        outline(&mut image, &predicted, Rgb([255; 3]));
        let (low, high) = map.range()[0];
        let most = high.max(-low);
        let bar = Some(Bar { colormap: Colormap::BlueOrange, low: -most, high: most });
        let row = Panel { image, caption: format!("{title} at mid"), bar };
        rows.push(vec![row]);
    }
    let rows = vec![rows.into_iter().flatten().collect::<Vec<_>>()];
    let title = "Why caries? The right half of a dental X-ray, a tiny network that learnt from the left half";
    figure(title, &rows).save(path)?;
    Ok(())
}
