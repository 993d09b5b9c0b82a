//! Weights made random from the end of the network back to its start: does a map notice?

use std::path::Path;

use anyhow::Result;
use indicatif::ProgressIterator;
use segcam::core::seg_name;
use segcam::metrics::{MetricError, randomization, summary};
use segcam::models::Pretrained;
use segcam::render::{Chart, Point, Series, charts};
use segcam::{CamMethod, GradCam, HiResCam, PredictedClass, Request};

use crate::measure::{input, network, short};
use crate::medical::held_out_nuclei;

/// Weights are random behind these layers; at last everywhere.
const STAGES: [Option<&str>; 8] = [
    Some("dec1"),
    Some("dec2"),
    Some("dec3"),
    Some("mid"),
    Some("enc3"),
    Some("enc2"),
    Some("enc1"),
    None,
];
const LAYERS: [&str; 3] = ["enc1", "mid", "dec1"];

pub(crate) fn run(data: &Path, out: &Path) -> Result<()> {
    let explainer = network(Pretrained::NucleiUNet, None)?;
    let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    let asked: Vec<(&str, &dyn CamMethod)> =
        LAYERS.iter().flat_map(|layer| methods.map(|method| (*layer, method))).collect();
    // For each stage and map the correlations of all images.
    let mut found = vec![vec![vec![]; asked.len()]; STAGES.len()];
    for file in held_out_nuclei(data)?.iter().take(10).progress() {
        let image = input(Pretrained::NucleiUNet, file)?;
        let seen = explainer.observe(image)?;
        let target = seen.target(&PredictedClass, 1)?;
        let request = |&(layer, method): &(&'static str, _)| Request::new(method, layer, &target);
        let requests: Vec<Request> = asked.iter().map(request).collect();
        let maps = seen.explain_all(requests.iter().cloned()).collect::<Result<Vec<_>, _>>()?;
        for (after, of_stage) in STAGES.into_iter().zip(&mut found) {
            let random = seen.with_random_weights(after, 0)?.observe(seen.input())?;
            let values = randomization(&random, &requests, &maps);
            for (value, all) in values.into_iter().zip(of_stage) {
                match value {
                    Ok(value) => all.push(value),
                    // A map of zeros has no ranks.
                    Err(MetricError::Undefined { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    let stages = STAGES.map(|stage| stage.map_or("all".to_string(), |stage| format!("> {stage}")));
    println!("### Random weights: 10 held-out nuclei images\n");
    println!(
        "Rank correlation with the map of the trained network; weights behind a layer random:\n"
    );
    println!("| method | layer | {} |", stages.join(" | "));
    println!("|---|---|{}", "---|".repeat(STAGES.len()));
    let mut series = vec![];
    for (at, (layer, method)) in asked.into_iter().enumerate() {
        let method = seg_name(&method.name());
        let point = |values: &Vec<Vec<f64>>| {
            let found = summary(&values[at], 0).ok()?;
            Some(Point { value: found.mean, interval: found.interval, values: vec![] })
        };
        let points: Vec<Option<Point>> = found.iter().map(point).collect();
        let cell =
            |point: &Option<Point>| point.as_ref().map_or("–".into(), |point| short(point.value));
        let cells: Vec<String> = points.iter().map(cell).collect();
        println!("| {method} | {layer} | {} |", cells.join(" | "));
        series.push(Series { name: format!("{method} at {layer}"), points });
    }
    println!();
    let chart = Chart {
        title: "rank correlation with the trained network's map (near 0 is better)".into(),
        places: stages.to_vec(),
        series,
        lines: vec![],
        joined: true,
    };
    let title = "Weights made random from the end of the network back to its start";
    charts(title, &[chart]).save(out.join("evidence-cascade.png"))?;
    Ok(())
}
