//! `kidney.png` and `kidney-metrics.png`.

use std::path::Path;

use anyhow::Result;
use image::{Rgb, RgbImage};
use segcam::metrics::Metric;
use segcam::render::{Bar, Chart, Colormap, Panel, Plane, charts, figure, outline, overlay};
use segcam::{CamError, CamMethod, GradCam, HiResCam, Observation, Request, metric_charts};

use super::data::{SIDE, Slice};
use super::folds::Fold;
use super::measure::{Measured, SETS, set};
use super::tables::study;
use super::{KIDNEY, TUMOUR};

/// Each pixel is drawn as so many by so many.
const ZOOM: usize = 2;
const SHOWN: usize = ZOOM * SIDE;
const COLOURS: [(usize, Rgb<u8>); 2] = [(KIDNEY, Rgb([0, 200, 255])), (TUMOUR, Rgb([255, 220, 0]))];

/// The slice whose smallest of the three sets of the tumour is largest: hits, false alarms and misses
/// can all be seen.
pub(crate) fn example<'a>(
    folds: &'a [Fold],
    measured: &[Measured],
) -> Option<(&'a Fold<'a>, &'a Slice)> {
    let smallest = |slice: &Slice| {
        let sets = measured.iter().filter(|one| one.slice == slice.name && one.class == TUMOUR);
        sets.map(|one| one.pixels).min()
    };
    let all = folds.iter().flat_map(|fold| fold.slices.iter().map(move |slice| (fold, *slice)));
    all.max_by_key(|(_, slice)| smallest(slice))
}

pub(crate) fn maps(fold: &Fold, slice: &Slice, path: &Path) -> Result<()> {
    let seen = fold.explainer.observe(slice.sample.input())?;
    let mut rows = vec![head(&seen, slice)];
    for name in SETS {
        let set = set(name, &slice.truth);
        let target = match seen.target(&*set, TUMOUR) {
            Err(CamError::EmptyPixelSet { .. }) => continue,
            target => target?,
        };
        let weights: Vec<f32> = target.weights().to_data().iter::<f32>().collect();
        let mask = zoomed(|at| weights[at] > 0.0);
        let methods: [(&str, &dyn CamMethod); 2] =
            [("Seg-Grad", &GradCam), ("Seg-HiRes", &HiResCam)];
        let mut row = vec![];
        for layer in ["mid", "dec1"] {
            for (title, method) in methods {
                let map = seen.answer(&Request::new(method, layer, &target))?;
                let heat = Plane::from_tensor(&map.signed_map(), 0, [SHOWN, SHOWN]);
                let mut image = overlay(&picture(slice), &heat, Colormap::BlueOrange);
                if !mask.is_thin() {
                    outline(&mut image, &mask, Rgb([0, 255, 120]));
                }
                let (low, high) = map.range()[0];
                let most = high.max(-low);
                let bar = Bar { colormap: Colormap::BlueOrange, low: -most, high: most };
                let none = if high > 0.0 { "" } else { ": nothing speaks for it" };
                let caption = format!("{}: {title}, {layer}{none}", name.to_uppercase());
                row.push(Panel { image, caption, bar: Some(bar) });
            }
        }
        rows.push(row);
    }
    let title = format!(
        "Why tumour? CT slice {} of a patient the network has never seen; outlined in green: the \
         explained pixels; orange speaks for it, blue against",
        slice.name
    );
    figure(&title, &rows).save(path)?;
    Ok(())
}

/// The slice, its annotation and what is predicted.
fn head(seen: &Observation, slice: &Slice) -> Vec<Panel> {
    let panel = |image, caption: &str| Panel { image, caption: caption.into(), bar: None };
    let predicted: Vec<i64> = seen.prediction().labels().into_data().iter::<i64>().collect();
    let (mut annotation, mut prediction) = (picture(slice), picture(slice));
    for (class, colour) in COLOURS {
        let annotated = zoomed(|at| usize::from(slice.sample.labels[at]) == class);
        outline(&mut annotation, &annotated, colour);
        outline(&mut prediction, &zoomed(|at| predicted[at] == class as i64), colour);
    }
    vec![
        panel(picture(slice), "CT, 128 × 128 pixels"),
        panel(annotation, "annotated: kidney blue, tumour yellow"),
        panel(prediction, "predicted: kidney blue, tumour yellow"),
        panel(judged(&predicted, slice), "tumour: TP green, FP orange, FN blue"),
    ]
}

/// The pixels of the three sets in colour.
fn judged(predicted: &[i64], slice: &Slice) -> RgbImage {
    let mut image = picture(slice);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let at = place(x, y);
        *pixel = match (predicted[at] == 2, slice.sample.labels[at] == 2) {
            (true, true) => Rgb([0, 158, 115]),
            (true, false) => Rgb([230, 159, 0]),
            (false, true) => Rgb([86, 180, 233]),
            (false, false) => *pixel,
        };
    }
    image
}

/// Where in the slice a pixel of the picture lies.
fn place(x: u32, y: u32) -> usize {
    y as usize / ZOOM * SIDE + x as usize / ZOOM
}

fn picture(slice: &Slice) -> RgbImage {
    RgbImage::from_fn(SHOWN as u32, SHOWN as u32, |x, y| {
        Rgb([(slice.sample.image[place(x, y)] * 255.0).round() as u8; 3])
    })
}

fn zoomed(inside: impl Fn(usize) -> bool) -> Plane {
    Plane::from_fn(SHOWN, SHOWN, |y, x| f32::from(inside(y / ZOOM * SIDE + x / ZOOM)))
}

/// ROAD and deletion of the tumour, for each set.
pub(crate) fn metrics(measured: &[Measured], path: &Path) -> Result<()> {
    let mut shown = vec![];
    for metric in [Metric::Road, Metric::Deletion] {
        for set in SETS {
            let study = study(of_set(measured, set));
            shown.extend(metric_charts(&study, &[metric]).into_iter().map(|chart| Chart {
                title: format!("{}: {}", set.to_uppercase(), chart.title),
                ..chart
            }));
        }
    }
    let slices: Vec<String> = SETS
        .iter()
        .map(|set| format!("{} {}", set.to_uppercase(), of_set(measured, set).len()))
        .collect();
    let title = format!(
        "Tumour in CT of left-out patients: mean over slices ({}), 95 % interval",
        slices.join(", ")
    );
    charts(&title, &shown).save(path)?;
    Ok(())
}

fn of_set<'a>(measured: &'a [Measured], set: &str) -> Vec<&'a Measured> {
    let known = |one: &&Measured| one.class == TUMOUR && one.set == set && one.pixels > 0;
    measured.iter().filter(known).collect()
}
