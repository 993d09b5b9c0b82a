//! Between raw and averaged gradients: the window of Seg-XRes-CAM from one cell to the whole map, all
//! else equal.

use std::path::Path;

use anyhow::Result;
use indicatif::ProgressIterator;
use segcam::metrics::{Metric, Study};
use segcam::models::Pretrained;
use segcam::render::{Chart, Point, Series, charts};
use segcam::{CamMethod, PredictedClass, XResCam};

use crate::measure::{FAITHFULNESS, input, network, rows, short};
use crate::medical::{held_out_nuclei, nuclei_protocol};

const WINDOWS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 256];
const LAYERS: [&str; 3] = ["mid", "dec2", "dec1"];

pub(crate) fn run(data: &Path, out: &Path) -> Result<()> {
    let explainer = network(Pretrained::NucleiUNet, None)?;
    let methods = WINDOWS.map(XResCam::new);
    let methods: Vec<&dyn CamMethod> =
        methods.iter().map(|method| method as &dyn CamMethod).collect();
    let protocol = nuclei_protocol().with_metrics(FAITHFULNESS.into()).with_controls(false);
    let mut study = Study::new(0);
    for file in held_out_nuclei(data)?.iter().take(10).progress() {
        let image = input(Pretrained::NucleiUNet, file)?;
        let pixels = (&[&PredictedClass as _][..], 1);
        let found = rows(&protocol, &explainer, image, pixels, &methods, &LAYERS)?;
        study.add(&file.display().to_string(), found);
    }
    println!("### Window of averaging: 10 held-out nuclei images\n");
    for metric in FAITHFULNESS {
        print(&study, metric);
    }
    let panels: Vec<Chart> = FAITHFULNESS.iter().map(|metric| chart(&study, *metric)).collect();
    let title = "Averaging gradients over windows of N×N cells: 1 is Seg-HiRes-Grad-CAM, the whole \
                 map Seg-Grad-CAM";
    charts(title, &panels).save(out.join("evidence-window.png"))?;
    Ok(())
}

fn name(window: usize) -> String {
    format!("seg-xres-cam:{window}")
}

fn print(study: &Study, metric: Metric) {
    let windows: Vec<String> = WINDOWS.iter().map(ToString::to_string).collect();
    println!("| {metric} ({}), layer | {} |", metric.better(), windows.join(" | "));
    println!("|---|{}", "---|".repeat(WINDOWS.len()));
    for layer in LAYERS {
        let cell = |window: usize| match study.summary(&name(window), layer, metric) {
            Some(found) => short(found.mean),
            None => "–".into(),
        };
        println!("| {layer} | {} |", WINDOWS.map(cell).join(" | "));
    }
    println!();
}

fn chart(study: &Study, metric: Metric) -> Chart {
    let point = |layer: &str, window: usize| {
        let found = study.summary(&name(window), layer, metric)?;
        Some(Point { value: found.mean, interval: found.interval, values: vec![] })
    };
    let series = |layer: &&str| Series {
        name: layer.to_string(),
        points: WINDOWS.iter().map(|&window| point(layer, window)).collect(),
    };
    Chart {
        title: format!("{metric} ({})", metric.better()),
        places: WINDOWS.iter().map(ToString::to_string).collect(),
        series: LAYERS.iter().map(series).collect(),
        lines: vec![],
        joined: true,
    }
}
