//! A brain seen whole and through windows: how far the blended explanation differs, and what other ways of
//! stitching maps together make of it.

use std::path::Path;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use indicatif::ProgressIterator;
use segcam::models::{Network, Pretrained};
use segcam::scans::Scan;
use segcam::windows::Windows;
use segcam::{
    CamError, Explainer, HiResCam, Observation, PredictedClass, Prediction, Request, Target,
    core::upsample,
};

const LAYERS: [&str; 2] = ["conv4", "conv8"];
const GREY_MATTER: usize = 2;
const SIDES: [usize; 3] = [64, 96, 128];
/// The voxels that are asked about: grey matter within so many voxels of the volume's middle.
const RADIUS: f32 = 24.0;

pub(crate) fn run(data: &Path) -> Result<()> {
    let data = data.join("brain_meshnet");
    let weights = data.join("meshnet5_gwm.safetensors");
    let Network::Volume(network) = Pretrained::MeshNet.load(Some(&weights), &Device::flex())?
    else {
        bail!("the network takes volumes")
    };
    let scan = Scan::open(data.join("t1_crop.nii.gz"))?;
    let (values, shape) = Pretrained::MeshNet.scan_recipe().apply(&scan)?.input();
    let [channels, sides @ ..] = shape;
    let shape = [1, channels, sides[0], sides[1], sides[2]];
    let volume = Tensor::<5>::from_data(TensorData::new(values, shape), &Device::flex());

    let whole = network.observe(volume.clone())?;
    let (asked, predicted) = (ball(&whole)?, whole.prediction().predicted(GREY_MATTER));
    let of_whole = maps(&whole, &asked)?;
    println!("### A brain by windows: the T1 volume of 256³, MeshNet, grey matter in a ball\n");
    println!(
        "| windows | prediction beside the whole's: Dice | layer | map beside the whole's: correlation | difference |"
    );
    println!("|---|---|---|---|---|");
    let mut of_windows = None;
    for side in SIDES {
        let windows = Windows::monai([side; 3]).with_overlap(0.5).gaussian();
        let seen = windows.explainer(&network)?.observe(volume.clone())?;
        let dice =
            dice(&values_of(&seen.prediction().predicted(GREY_MATTER)), &values_of(&predicted));
        let found = maps(&seen, &ball(&seen)?)?;
        for (layer, (map, wanted)) in LAYERS.iter().zip(found.iter().zip(&of_whole)) {
            let (alike, apart) = (correlation(&map.0, &wanted.0), difference(&map.0, &wanted.0));
            println!("| {side}³ | {dice:.4} | {layer} | {alike:.3} | {:.0} % |", 100.0 * apart);
        }
        if side == 96 {
            of_windows = Some((windows, found, ball(&seen)?));
        }
    }
    let Some((windows, exact, asked)) = of_windows else { bail!("no windows of 96³") };
    println!(
        "\n| stitched from windows of 96³ | layer | correlation with the exact map | sum, of the exact one |"
    );
    println!("|---|---|---|---|");
    let unweighted = stitched(&network, &volume, &windows, Some(&asked))?;
    let each_own = stitched(&network, &volume, &windows, None)?;
    for (at, layer) in LAYERS.iter().enumerate() {
        let (map, total) = &exact[at];
        for (how, other) in
            [("sum without weights", &unweighted), ("each scaled by itself", &each_own)]
        {
            let share = match how {
                "sum without weights" => format!("{:.2}", other[at].1 / total),
                _ => "no unit".into(),
            };
            println!("| {how} | {layer} | {:.3} | {share} |", correlation(&other[at].0, map));
        }
    }
    Ok(())
}

/// The question: what of a ball in the middle is predicted as grey matter.
fn ball(seen: &Observation<5>) -> Result<Target<5>, CamError> {
    let pixels = |view: &Prediction<5>, class: usize| {
        let [_, _, depth, height, width] = view.shape();
        let inside = (0..depth * height * width).map(|at| {
            let place = [at / (height * width), at / width % height, at % width];
            let middle = [depth, height, width].map(|side| side as f32 / 2.0);
            let far: f32 = (0..3).map(|axis| (place[axis] as f32 - middle[axis]).powi(2)).sum();
            f32::from(u8::from(far < RADIUS * RADIUS))
        });
        let inside = TensorData::new(inside.collect::<Vec<f32>>(), view.shape());
        Tensor::from_data(inside, &view.device()) * view.predicted(class)
    };
    seen.target(&pixels, GREY_MATTER)
}

/// Of each layer the map at the volume's size, and what its cells add up to.
fn maps(seen: &Observation<5>, target: &Target<5>) -> Result<Vec<(Vec<f32>, f64)>, CamError> {
    let requests = LAYERS.map(|layer| Request::new(&HiResCam, layer, target));
    let size = &seen.input().dims()[2..];
    let map = |map: Result<segcam::Explanation<5>, CamError>| {
        let map = map?;
        Ok((values_of(&upsample(map.raw().clone(), size)), map.total()[0]))
    };
    seen.explain_all(requests).map(map).collect()
}

/// Maps that are put together in other ways. With a target every window is asked about all of its pixels,
/// and the maps are added (as `agg2exp` adds gradients). Without, every window is asked about its own
/// prediction, its map is divided by its largest value, and they are averaged (as `nnunetv2-cam` does).
fn stitched(
    network: &Explainer<5>,
    volume: &Tensor<5>,
    windows: &Windows,
    target: Option<&Target<5>>,
) -> Result<Vec<(Vec<f32>, f64)>> {
    let size = volume.dims();
    let sides = windows.size();
    let voxels = size[2] * size[3] * size[4];
    let mut sums = LAYERS.map(|_| (vec![0.0f32; voxels], 0.0));
    let mut counts = vec![0.0f32; voxels];
    for start in windows.starts(&size[2..])?.iter().progress() {
        let place = |channels: usize| {
            let [z, y, x] = [0, 1, 2].map(|axis| start[axis]..start[axis] + sides[axis]);
            [0..1, 0..channels, z, y, x]
        };
        let seen = network.observe(volume.clone().slice(place(size[1])))?;
        let asked = match target {
            Some(target) => target.part(target.weights().clone().slice(place(1))),
            None => seen.target(&PredictedClass, GREY_MATTER).ok(),
        };
        let found = match &asked {
            Some(asked) => maps(&seen, asked)?,
            None => vec![],
        };
        let places = rows(start, sides, &size);
        for (_, at) in &places {
            counts[*at..at + sides[2]].iter_mut().for_each(|count| *count += 1.0);
        }
        for ((sum, total), (map, part)) in sums.iter_mut().zip(&found) {
            let largest = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            let scale = |value: f32| match target {
                Some(_) => value,
                None => value.max(0.0) / largest,
            };
            for (row, at) in &places {
                let terms = sum[*at..at + sides[2]].iter_mut().zip(&map[*row..row + sides[2]]);
                terms.for_each(|(sum, value)| *sum += scale(*value));
            }
            *total += part;
        }
    }
    if target.is_none() {
        for (sum, _) in &mut sums {
            sum.iter_mut().zip(&counts).for_each(|(sum, count)| *sum /= count);
        }
    }
    Ok(sums.into())
}

/// Where each row of a window begins in it, and in the volume.
fn rows(start: &[usize], sides: &[usize], size: &[usize; 5]) -> Vec<(usize, usize)> {
    let row = |at: usize| {
        let (z, y) = (at / sides[1], at % sides[1]);
        let to = ((start[0] + z) * size[3] + start[1] + y) * size[4] + start[2];
        (at * sides[2], to)
    };
    (0..sides[0] * sides[1]).map(row).collect()
}

fn values_of(tensor: &Tensor<5>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn dice(a: &[f32], b: &[f32]) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| **a > 0.0 && **b > 0.0).count();
    let either = a.iter().chain(b).filter(|value| **value > 0.0).count();
    2.0 * both as f64 / either as f64
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |v: &[f32]| v.iter().map(|value| f64::from(*value)).sum::<f64>() / v.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - mean_a, f64::from(*b) - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt()
}

/// `Σ|a − b| / Σ|b|`
fn difference(a: &[f32], b: &[f32]) -> f64 {
    let apart: f64 = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum();
    apart / b.iter().map(|b| f64::from(b.abs())).sum::<f64>()
}
