//! Kidneys in one CT, with a small network for volumes.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use image::{Rgb, RgbImage};
use indicatif::ProgressIterator;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam::models::{MeshNet, MeshNetConfig};
use segcam::render::{Bar, Colormap, Panel, Plane, figure, outline, overlay};
use segcam::scans::{Recipe, Scale, Scan};
use segcam::{
    CamMethod, Explainer, GradCam, HiResCam, Layers, Observation, PredictedClass, Request,
    SegmentationModel,
};

use super::{dice, measure};

const STEPS: usize = 250;
/// Slices, rows and columns of a crop.
const CROP: [usize; 3] = [24, 32, 32];
/// The annotation's numbers of the kidneys.
const KIDNEYS: [f32; 2] = [2.0, 3.0];
const LAYERS: [&str; 2] = ["conv2", "conv4"];

/// A half of the scan, as the network sees it.
struct Half {
    values: Vec<f32>,
    truth: Vec<bool>,
    /// Slices, rows, columns.
    sides: [usize; 3],
}

pub(super) fn run(data: &Path, out: &Path) -> Result<()> {
    let [learnt, other] = halves(data)?;
    let explainer = Explainer::new(trained(&learnt));
    println!("### Kidneys in one CT, a network for volumes\n");
    println!(
        "One CT (3 mm voxels, labels by a network, not by people), MeshNet of width 8 with five layers, \
         trained for {STEPS} crops of one half of the body and explained on the other half, whose kidney it \
         has never seen. This is one scan and a tiny network: it shows that volumes are explained end to end.\n"
    );
    let seen = explainer.observe(other.input())?;
    println!(
        "Dice of the half that it has learnt: {:.3}; of the other half: {:.3}.\n",
        dice(&predicted(&explainer.observe(learnt.input())?), &learnt.truth),
        dice(&predicted(&seen), &other.truth)
    );
    measure(&explainer, other.input(), &LAYERS)?;
    picture(&other, &seen, &out.join("ct-kidney.png"))
}

fn halves(data: &Path) -> Result<[Half; 2]> {
    let folder = data.join("ct_volume");
    let recipe = Recipe {
        orientation: "RAS".parse().ok(),
        clip: Some([-160.0, 240.0]),
        scale: Scale::Fixed { mean: 40.0, std: 100.0 },
        ..Recipe::default()
    };
    let prepared = recipe.apply(&Scan::open(folder.join("example_ct_sm.nii.gz"))?)?;
    let labels = prepared.forth(&Scan::open(folder.join("example_seg.nii.gz"))?)?;
    let (values, [_, slices, rows, columns]) = prepared.input();
    let middle = columns / 2;
    // The second half is mirrored, so that both kidneys lie alike.
    Ok([false, true].map(|second| {
        let columns_of = |i: usize| if second { columns - 1 - i } else { i };
        let places =
            (0..slices * rows * middle).map(|at| at / middle * columns + columns_of(at % middle));
        let places: Vec<usize> = places.collect();
        Half {
            values: places.iter().map(|at| values[*at]).collect(),
            truth: places.iter().map(|at| KIDNEYS.contains(&labels[*at])).collect(),
            sides: [slices, rows, middle],
        }
    }))
}

impl Half {
    fn input(&self) -> Tensor<5> {
        let [slices, rows, columns] = self.sides;
        let values = TensorData::new(self.values.clone(), [1, 1, slices, rows, columns]);
        Tensor::from_data(values, &Device::flex())
    }

    /// Values and truth of a crop, most of them around the kidney.
    fn crop(&self, generator: &mut ChaCha8Rng) -> (Vec<f32>, Vec<f32>) {
        let [_, rows, columns] = self.sides;
        let kidney: Vec<usize> = (0..self.truth.len()).filter(|at| self.truth[*at]).collect();
        let around = match generator.random_range(0..3) {
            0 => generator.random_range(0..self.truth.len()),
            _ => kidney[generator.random_range(0..kidney.len())],
        };
        let around = [around / columns / rows, around / columns % rows, around % columns];
        let start: [usize; 3] = std::array::from_fn(|side| {
            let shifted = around[side] + generator.random_range(0..CROP[side]);
            shifted.saturating_sub(CROP[side] - 1).min(self.sides[side] - CROP[side])
        });
        let shade = generator.random_range(-0.1..0.1f32);
        let voxels = (0..CROP.iter().product()).map(|i: usize| {
            let at = [i / CROP[2] / CROP[1], i / CROP[2] % CROP[1], i % CROP[2]];
            ((start[0] + at[0]) * rows + start[1] + at[1]) * columns + start[2] + at[2]
        });
        let voxels: Vec<usize> = voxels.collect();
        let values = voxels.iter().map(|at| self.values[*at] + shade).collect();
        (values, voxels.iter().map(|at| f32::from(self.truth[*at])).collect())
    }
}

/// Cross-entropy plus what is missing of the soft Dice score.
fn trained(half: &Half) -> MeshNet {
    let device = Device::flex();
    device.seed(0);
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let config =
        MeshNetConfig::new().with_width(8).with_classes(2).with_dilations(vec![1, 2, 4, 2, 1]);
    let mut model = config.init(&device.clone().autodiff());
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-4).init();
    let shape = [1, 1, CROP[0], CROP[1], CROP[2]];
    for step in (0..STEPS).progress() {
        let (values, truth) = half.crop(&mut generator);
        let tensor = |values: Vec<f32>| {
            Tensor::<5>::from_data(TensorData::new(values, shape), &device).autodiff()
        };
        let (input, truth) = (tensor(values), tensor(truth));
        let logits = model.forward(input, &mut Layers::ignored());
        let both = Tensor::cat(vec![truth.clone().neg() + 1.0, truth.clone()], 1);
        let entropy = (log_softmax(logits.clone(), 1) * both).sum_dim(1).mean().neg();
        let found = softmax(logits, 1).narrow(1, 1, 1);
        let overlap = (found.clone() * truth.clone()).sum() * 2.0 + 1.0;
        let loss = entropy + 1.0 - overlap / (found.sum() + truth.sum() + 1.0);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let rate = 4e-3 * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
        model = optimizer.step(rate, model, gradients);
    }
    model.valid()
}

fn predicted(seen: &Observation<5>) -> Vec<bool> {
    seen.prediction().label_values().into_iter().map(|label| label == 1).collect()
}

/// Each voxel is drawn as so many by so many pixels.
const ZOOM: usize = 5;

/// The voxel that a plane through another one shows in a row and a column.
type Place = fn([usize; 3], usize, usize) -> [usize; 3];

/// Three planes through the middle of what is predicted.
fn picture(half: &Half, seen: &Observation<5>, path: &Path) -> Result<()> {
    let found = predicted(seen);
    let [slices, rows, columns] = half.sides;
    let places = |at: usize| [at / columns / rows, at / columns % rows, at % columns];
    let kidney: Vec<[usize; 3]> = (0..found.len()).filter(|at| found[*at]).map(places).collect();
    let middle: [usize; 3] = std::array::from_fn(|side| {
        kidney.iter().map(|place| place[side]).sum::<usize>() / kidney.len().max(1)
    });
    let target = seen.target(&PredictedClass, 1)?;
    let methods: [(&str, &dyn CamMethod<5>); 2] =
        [("Seg-Grad-CAM", &GradCam), ("Seg-HiRes-Grad-CAM", &HiResCam)];
    // Head and front on top.
    let planes: [(&str, [usize; 2], Place); 3] = [
        ("axial", [rows, columns], |at, y, x| [at[0], y, x]),
        ("coronal", [slices, columns], |at, y, x| [y, at[1], x]),
        ("sagittal", [slices, rows], |at, y, x| [y, x, at[2]]),
    ];
    let mut all = vec![];
    for (title, method) in methods {
        let map = seen.answer(&Request::new(method, "conv2", &target))?;
        let heat: Vec<f32> = map.signed_map().into_data().iter::<f32>().collect();
        let (low, high) = map.range()[0];
        let most = high.max(-low);
        let mut row = vec![];
        for (name, [height, width], place) in planes {
            let at = |y: usize, x: usize| {
                let [z, y, x] = place(middle, height - 1 - y / ZOOM, x / ZOOM);
                (z * rows + y) * columns + x
            };
            let plane = |value: &dyn Fn(usize) -> f32| {
                Plane::from_fn(height * ZOOM, width * ZOOM, |y, x| value(at(y, x)))
            };
            let below = RgbImage::from_fn((width * ZOOM) as u32, (height * ZOOM) as u32, |x, y| {
                // From the clip of -160 to 240 as it was scaled.
                let part = (half.values[at(y as usize, x as usize)] + 2.0) / 4.0;
                Rgb([(part.clamp(0.0, 1.0) * 255.0) as u8; 3])
            });
            let mut image = overlay(&below, &plane(&|at| heat[at]), Colormap::BlueOrange);
            outline(&mut image, &plane(&|at| f32::from(half.truth[at])), Rgb([90, 255, 90]));
            outline(&mut image, &plane(&|at| f32::from(found[at])), Rgb([255; 3]));
            let bar = Bar { colormap: Colormap::BlueOrange, low: -most, high: most };
            let bar = (name == "sagittal").then_some(bar);
            row.push(Panel { image, caption: format!("{title} at conv2, {name}"), bar });
        }
        all.push(row);
    }
    let title = "Why kidney? Half of a CT, a tiny network that learnt from the other half; white: predicted and \
                 explained, green: annotated";
    figure(title, &all).save(path).context("cannot write the picture")?;
    Ok(())
}
