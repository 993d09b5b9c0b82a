//! The same image asked about different pixels: how far the maps differ, and how good each is.

use std::path::Path;

use anyhow::{Context, Result};
use indicatif::ProgressIterator;
use segcam::annotations::GroundTruth;
use segcam::core::seg_name;
use segcam::metrics::{Study, spearman, summary};
use segcam::models::Pretrained;
use segcam::{CamMethod, GradCam, HiResCam, Observation, PixelSet, Request, vocabulary};

use crate::measure::{FAITHFULNESS, input, network, short, table};
use crate::medical::{held_out_nuclei, nuclei_protocol};

const SETS: [&str; 5] = ["all", "class", "truth", "largest", "one pixel"];
const LAYERS: [&str; 2] = ["mid", "dec1"];

const METHODS: [&str; 2] = ["seg-grad-cam", "seg-hires-grad-cam"];

/// Rank correlations with the map of the predicted mask, for each map of a set and each set.
type Agreements = [[Vec<f64>; SETS.len()]; LAYERS.len() * METHODS.len()];

pub(crate) fn run(data: &Path, _out: &Path) -> Result<()> {
    let explainer = network(Pretrained::NucleiUNet, None)?;
    let protocol = nuclei_protocol().with_metrics(FAITHFULNESS.into()).with_controls(false);
    let mut studies = SETS.map(|_| Study::new(0));
    let mut agreements = Agreements::default();
    for file in held_out_nuclei(data)?.iter().take(10).progress() {
        let image = input(Pretrained::NucleiUNet, file)?;
        let seen = explainer.observe(image)?;
        let masks = data.join("nuclei_dsb2018/masks").join(file.file_name().unwrap_or_default());
        let truth = GroundTruth::from_image(&masks)?.remap(|label| Some(u32::from(label > 0)));
        let sets = SETS.map(|text| set(text, &seen, &truth));
        let measured = protocol.prepare(&seen)?;
        let mut maps: Vec<Vec<Vec<f64>>> = vec![];
        for (set, study) in sets.into_iter().zip(&mut studies) {
            let set = set.with_context(|| file.display().to_string())?;
            let question = seen.target(&*set, 1)?;
            let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
            let requests: Vec<Request> = LAYERS
                .iter()
                .flat_map(|layer| methods.map(|method| Request::new(method, layer, &question)))
                .collect();
            let mut rows = measured.run(&question, &requests, None, &mut |_, _| {})?;
            // The same names for every set, the whole image among them.
            rows.iter_mut().for_each(|row| row.method = seg_name(&row.method));
            study.add(&file.display().to_string(), rows);
            let values = seen
                .explain_all(requests)
                .map(|map| Ok(map?.raw().to_data().iter::<f64>().collect::<Vec<f64>>()));
            maps.push(values.collect::<Result<_>>()?);
        }
        agree(&mut agreements, &maps)?;
    }
    println!("### Pixel sets: 10 held-out nuclei images, class 1\n");
    println!("Rank correlation of the raw map with that of the predicted mask (`class`):\n");
    print(&agreements)?;
    for (text, study) in SETS.iter().zip(&studies) {
        println!("Set `{text}`:\n\n{}", table(study, &FAITHFULNESS));
    }
    Ok(())
}

/// The set, `one pixel` being the one of the largest component where the network is surest.
fn set(
    text: &str,
    seen: &Observation,
    truth: &GroundTruth,
) -> Result<Box<dyn PixelSet + Send + Sync>> {
    let vocabulary = vocabulary(Some(truth), None);
    if text != "one pixel" {
        return Ok(vocabulary.parse(text)?);
    }
    let inside = vocabulary.parse("largest")?.weights(seen.prediction(), 1)?;
    let sure = seen.prediction().probability(1) * inside;
    let width = sure.dims()[3];
    let sure: Vec<f32> = sure.into_data().iter::<f32>().collect();
    let best = (0..sure.len()).max_by(|a, b| sure[*a].total_cmp(&sure[*b])).unwrap_or(0);
    Ok(vocabulary.parse(&format!("pixel:{},{}", best / width, best % width))?)
}

/// `maps`: for each set its maps.
fn agree(agreements: &mut Agreements, maps: &[Vec<Vec<f64>>]) -> Result<()> {
    let class = &maps[1];
    for (at, of_map) in agreements.iter_mut().enumerate() {
        for (values, of_set) in of_map.iter_mut().zip(maps) {
            values.push(spearman(&of_set[at], &class[at])?);
        }
    }
    Ok(())
}

fn print(agreements: &Agreements) -> Result<()> {
    println!("| method | layer | {} |", SETS.join(" | "));
    println!("|---|---|{}", "---|".repeat(SETS.len()));
    let places = LAYERS.iter().flat_map(|layer| METHODS.map(|method| (method, layer)));
    for ((method, layer), of_map) in places.zip(agreements) {
        print!("| {method} | {layer} |");
        for values in of_map {
            let found = summary(values, 0)?;
            let (low, high) = found.interval.unwrap_or((found.mean, found.mean));
            print!(" {} [{}, {}] |", short(found.mean), short(low), short(high));
        }
        println!();
    }
    println!();
    Ok(())
}
