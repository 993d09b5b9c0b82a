//! Trains the network for cell nuclei that comes with this crate; see `docs/model-card-nuclei.md`.
//!
//! ```sh
//! cargo run --release -p segcam-models --example train_nuclei -- --data nuclei_dsb2018
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use segcam_core::{Layers, SegmentationModel};
use segcam_models::{Preprocess, Pretrained, UNet};

const CROP: usize = 128;
const BATCH: usize = 8;

#[derive(Parser)]
struct Args {
    /// Folder with `images/*.png` and `masks/*.png` of the same names.
    #[arg(long)]
    data: PathBuf,
    /// Where to write the weights.
    #[arg(long, default_value = "crates/segcam-models/weights/nuclei-unet.safetensors")]
    out: PathBuf,
    /// Passes over the training images; each takes four crops of every image.
    #[arg(long, default_value_t = 60)]
    epochs: usize,
    /// Largest learning rate; it falls to zero along a cosine.
    #[arg(long, default_value_t = 3e-3)]
    learning_rate: f64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// One image and its mask, row by row.
struct Sample {
    image: Vec<f32>,
    mask: Vec<f32>,
    height: usize,
    width: usize,
}

/// A `CROP`×`CROP` piece of a sample.
struct Crop {
    image: Vec<f32>,
    mask: Vec<f32>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let device = Device::flex();
    device.seed(args.seed);
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);

    let samples = load(&args.data)?;
    ensure!(samples.len() >= 5, "{} images are too few", samples.len());
    // By file name: the last fifth is held out.
    let (train, held_out) = samples.split_at(samples.len() - samples.len() / 5);

    let mut model = Pretrained::nuclei_config().init(&device.clone().autodiff());
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-4).init();
    let mut order: Vec<usize> = (0..4 * train.len()).map(|i| i % train.len()).collect();
    let steps = args.epochs * order.len().div_ceil(BATCH);
    let bar = ProgressBar::new(steps as u64);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} {eta}")?);
    println!("{} parameters, {} steps", model.num_params(), steps);
    let mut step = 0;
    for epoch in 0..args.epochs {
        order.shuffle(&mut rng);
        let mut mean_loss = 0.0;
        for chosen in order.chunks(BATCH) {
            let crops: Vec<_> = chosen.iter().map(|&i| crop(&train[i], &mut rng)).collect();
            let loss = loss(&model, &crops, &device);
            mean_loss += loss.clone().into_scalar::<f32>() / (order.len() / BATCH) as f32;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let progress = step as f64 / steps as f64;
            let rate = args.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
            model = optimizer.step(rate, model, gradients);
            step += 1;
            bar.inc(1);
        }
        bar.set_message(format!("loss {mean_loss:.4}"));
        if epoch % 10 == 9 {
            bar.println(format!(
                "epoch {}: held-out Dice {:.4}",
                epoch + 1,
                dice(&model, held_out)
            ));
        }
    }
    bar.finish_and_clear();

    let model = model.valid();
    println!("train Dice {:.4}", dice(&model, train));
    println!("held-out Dice {:.4} over {} images", dice(&model, held_out), held_out.len());
    let mut store = SafetensorsStore::from_file(&args.out)
        .overwrite(true)
        .with_to_adapter(BurnToPyTorchAdapter)
        .skip_enum_variants(true);
    model.save_into(&mut store)?;
    println!("wrote {}", args.out.display());
    Ok(())
}

fn load(folder: &Path) -> Result<Vec<Sample>> {
    let images = folder.join("images");
    let mut names: Vec<_> = std::fs::read_dir(&images)
        .with_context(|| format!("cannot read {}", images.display()))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let image = image::open(images.join(&name))?;
            let mask = image::open(folder.join("masks").join(&name))?;
            let sides = |of: &image::DynamicImage| (of.height() as usize, of.width() as usize);
            let (height, width) = sides(&image);
            ensure!(height.min(width) >= CROP, "{name:?} is smaller than {CROP}×{CROP}");
            ensure!(sides(&mask) == (height, width), "{name:?} and its mask differ in size");
            let mask = mask.to_luma8();
            let device = Device::flex();
            let input = Preprocess::StretchedGray.apply(&image, &device)?.input;
            Ok(Sample {
                image: input.into_data().try_to_vec::<f32>()?,
                mask: mask.pixels().map(|p| f32::from(u8::from(p.0[0] > 0))).collect(),
                height,
                width,
            })
        })
        .collect()
}

/// A random crop, flipped and turned, with its brightness curve bent and some noise added.
fn crop(sample: &Sample, rng: &mut impl Rng) -> Crop {
    let top = rng.random_range(0..=sample.height - CROP);
    let left = rng.random_range(0..=sample.width - CROP);
    let (flip_y, flip_x, turn): (bool, bool, bool) = rng.random();
    let gamma = rng.random_range(0.6..1.7f32);
    let noise = rng.random_range(0.0..0.05f32);
    let places = (0..CROP * CROP).map(|i| {
        let (mut y, mut x) = (i / CROP, i % CROP);
        if turn {
            (y, x) = (x, y);
        }
        let y = if flip_y { CROP - 1 - y } else { y };
        let x = if flip_x { CROP - 1 - x } else { x };
        (top + y) * sample.width + left + x
    });
    let places: Vec<usize> = places.collect();
    let image = places
        .iter()
        .map(|&at| sample.image[at].powf(gamma) + noise * (rng.random::<f32>() - 0.5))
        .collect();
    Crop { image, mask: places.iter().map(|&at| sample.mask[at]).collect() }
}

/// Cross-entropy plus one minus the soft Dice of the nuclei.
fn loss(model: &UNet, crops: &[Crop], device: &Device) -> Tensor<1> {
    let tensor = |pick: fn(&Crop) -> &Vec<f32>| -> Tensor<4> {
        let values: Vec<f32> = crops.iter().flat_map(pick).copied().collect();
        let data = TensorData::new(values, [crops.len(), 1, CROP, CROP]);
        Tensor::from_data(data, device).autodiff()
    };
    let (images, masks) = (tensor(|crop| &crop.image), tensor(|crop| &crop.mask));
    let p = softmax(model.forward(images, &mut Layers::ignored()), 1).narrow(1, 1, 1);
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    let outside = masks.clone().neg() + 1.0;
    let entropy = masks.clone() * p.clone().log() + outside * (p.clone().neg() + 1.0).log();
    let overlap = (p.clone() * masks.clone()).sum() * 2.0 + 1.0;
    let dice = overlap / (p.sum() + masks.sum() + 1.0);
    entropy.mean().neg() + dice.neg() + 1.0
}

/// Mean Dice of the predicted nuclei over the images.
fn dice(model: &UNet, samples: &[Sample]) -> f64 {
    let model = model.valid();
    let device = Device::flex();
    let tensor = |values: &[f32], s: &Sample| -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, s.height, s.width]), &device)
    };
    let total: f64 = samples
        .iter()
        .map(|sample| {
            let logits = model.forward(tensor(&sample.image, sample), &mut Layers::ignored());
            let predicted = logits.argmax(1).float();
            let mask = tensor(&sample.mask, sample);
            let both: f64 = (predicted.clone() * mask.clone()).sum().into_scalar();
            let sizes: f64 = (predicted + mask).sum().into_scalar();
            if sizes == 0.0 { 1.0 } else { 2.0 * both / sizes }
        })
        .sum();
    total / samples.len() as f64
}
