//! Trains the network for lesions that comes with this crate; see `docs/model-card-lesions.md`.
//!
//! ```sh
//! cargo run --release -p segcam-models --example train_lesions
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam_core::{Layers, SegmentationModel};
use segcam_models::{MeshNet, Network, Phantom, Pretrained};

const CROP: usize = 32;
/// Phantoms of a step, and crops of each.
const BATCH: [usize; 2] = [2, 2];
/// Seeds of phantoms that are held out: the program's demo draws these. Training begins above them.
const HELD_OUT: std::ops::Range<u64> = 0..20;
const FIRST_SEED: u64 = 1_000_000;

#[derive(Parser)]
struct Args {
    /// Where to write the weights.
    #[arg(long, default_value = "crates/segcam-models/weights/lesions-meshnet.safetensors")]
    out: PathBuf,
    /// Steps of training, each on phantoms that were never seen before.
    #[arg(long, default_value_t = 450)]
    steps: u64,
    /// Largest learning rate; it falls to zero along a cosine.
    #[arg(long, default_value_t = 4e-3)]
    learning_rate: f64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Judge the weights that there are, instead of training.
    #[arg(long)]
    judge: bool,
}

/// What the network sees of a phantom, and what is right, in the same order.
struct Sample {
    values: Vec<f32>,
    labels: Vec<u32>,
    /// Slices, rows, columns.
    sides: [usize; 3],
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.judge {
        return judge(&args.out);
    }
    let device = Device::flex();
    device.seed(args.seed);
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut model = Pretrained::lesions_config().init(&device.clone().autodiff());
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-4).init();
    let bar = ProgressBar::new(args.steps);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} {eta}")?);
    println!("{} parameters", model.num_params());
    let mut seed = FIRST_SEED;
    let mut mean_loss = 0.0;
    for step in 0..args.steps {
        let mut crops = vec![];
        for _ in 0..BATCH[0] {
            let sample = Sample::new(seed)?;
            crops.extend((0..BATCH[1]).map(|_| sample.crop(&mut rng)));
            seed += 1;
        }
        let loss = loss(&model, &crops, &device);
        mean_loss += loss.clone().into_scalar::<f32>() / 50.0;
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let progress = step as f64 / args.steps as f64;
        let rate = args.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        model = optimizer.step(rate, model, gradients);
        bar.inc(1);
        if step % 50 == 49 {
            bar.suspend(|| println!("step {}: mean loss {mean_loss:.4}", step + 1));
            mean_loss = 0.0;
        }
    }
    bar.finish_and_clear();
    let mut store = SafetensorsStore::from_file(&args.out)
        .overwrite(true)
        .with_to_adapter(BurnToPyTorchAdapter)
        .skip_enum_variants(true);
    model.valid().save_into(&mut store)?;
    println!("wrote {}", args.out.display());
    judge(&args.out)
}

impl Sample {
    fn new(seed: u64) -> Result<Self> {
        let phantom = Phantom::new(seed);
        let prepared = Pretrained::LesionsMeshNet.scan_recipe().apply(&phantom.scan)?;
        let (values, [_, sides @ ..]) = prepared.input();
        // The phantom lies as the recipe wants it: its labels are in the network's order.
        Ok(Self { values, labels: phantom.labels, sides })
    }

    /// A cube, every other one around a voxel of a lesion, with other brightness and contrast.
    fn crop(&self, rng: &mut impl Rng) -> Self {
        let of_lesions = || (0..self.labels.len()).filter(|&voxel| self.labels[voxel] == 2);
        let lesion = rng.random_range(0..2 * of_lesions().count());
        let around = of_lesions().nth(lesion);
        let around = around.unwrap_or_else(|| rng.random_range(0..self.labels.len()));
        let [slices, rows, columns] = self.sides;
        let around = [around / columns / rows, around / columns % rows, around % columns];
        let start: [usize; 3] = std::array::from_fn(|side| {
            let shifted =
                (around[side] + rng.random_range(0..CROP / 2)).saturating_sub(3 * CROP / 4);
            shifted.min([slices, rows, columns][side] - CROP)
        });
        let (contrast, shift) = (rng.random_range(0.9..1.1f32), rng.random_range(-0.2..0.2f32));
        let voxels = (0..CROP * CROP * CROP).map(|i| {
            let [z, y, x] =
                [i / CROP / CROP + start[0], i / CROP % CROP + start[1], i % CROP + start[2]];
            (z * rows + y) * columns + x
        });
        let voxels: Vec<usize> = voxels.collect();
        let values = voxels.iter().map(|&voxel| self.values[voxel] * contrast + shift).collect();
        let labels = voxels.iter().map(|&voxel| self.labels[voxel]).collect();
        Self { values, labels, sides: [CROP; 3] }
    }
}

/// Cross-entropy, in which a voxel of a lesion counts as three others, plus one minus the mean soft Dice
/// of organ and lesions.
fn loss(model: &MeshNet, crops: &[Sample], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = crops.iter().flat_map(|crop| &crop.values).copied().collect();
    let values = TensorData::new(values, [crops.len(), 1, CROP, CROP, CROP]);
    let labels: Vec<i64> =
        crops.iter().flat_map(|crop| &crop.labels).map(|l| i64::from(*l)).collect();
    let labels = TensorData::new(labels, [crops.len(), 1, CROP, CROP, CROP]);
    let labels: Tensor<5, Int> = Tensor::from_data(labels, device);
    let is = |class: i64| labels.clone().equal_elem(class).float();
    let truth = Tensor::cat(vec![is(0), is(1), is(2)], 1).autodiff();
    let input: Tensor<5> = Tensor::from_data(values, device).autodiff();
    let logits = model.forward(input, &mut Layers::ignored());
    let counts = Tensor::cat(vec![is(0), is(1), is(2) * 3.0], 1).autodiff();
    let entropy = (log_softmax(logits.clone(), 1) * counts).sum_dim(1).mean().neg();
    let p = softmax(logits, 1);
    let dice = |class: usize| {
        let [p, truth] = [&p, &truth].map(|all| all.clone().narrow(1, class, 1));
        let overlap = (p.clone() * truth.clone()).sum() * 2.0 + 1.0;
        overlap / (p.sum() + truth.sum() + 1.0)
    };
    entropy + 1.0 - (dice(1) + dice(2)) * 0.5
}

/// Prints the Dice of organ and lesions in each phantom that is held out, and their means.
fn judge(weights: &Path) -> Result<()> {
    let device = Device::flex();
    let Network::Volume(explainer) = Pretrained::LesionsMeshNet.load(Some(weights), &device)?
    else {
        unreachable!("it takes volumes")
    };
    let mut all = [vec![], vec![]];
    for seed in HELD_OUT {
        let Sample { values, labels, sides: [slices, rows, columns] } = Sample::new(seed)?;
        let values = TensorData::new(values, [1, 1, slices, rows, columns]);
        let seen = explainer.observe(Tensor::from_data(values, &device))?;
        let predicted = seen.prediction().labels().into_data();
        let predicted: Vec<u32> = predicted.iter::<i64>().map(|label| label as u32).collect();
        let dice = [1, 2].map(|class| {
            let count = |labels: &[u32]| labels.iter().filter(|label| **label == class).count();
            let both =
                predicted.iter().zip(&labels).filter(|(p, l)| **p == class && p == l).count();
            2.0 * both as f64 / (count(&predicted) + count(&labels)) as f64
        });
        let [z, y, x] = Phantom::new(seed).largest_lesion();
        let found = predicted[(z * rows + y) * columns + x] == 2;
        println!(
            "seed {seed}: organ {:.3}, lesions {:.3}, largest found: {found}",
            dice[0], dice[1]
        );
        all.iter_mut().zip(dice).for_each(|(all, dice)| all.push(dice));
    }
    for (class, dice) in ["organ", "lesions"].iter().zip(all) {
        let least = dice.iter().copied().reduce(f64::min).context("no phantom is held out")?;
        let mean = dice.iter().sum::<f64>() / dice.len() as f64;
        println!("{class}: mean Dice {mean:.4}, least {least:.4}, of {} phantoms", dice.len());
    }
    Ok(())
}
