//! What is measured of the maps of one slice.

use anyhow::Result;
use segcam::annotations::{FalseNegatives, FalsePositives, GroundTruth, TruePositives};
use segcam::metrics::{Metric, Prepared, Protocol, Row};
use segcam::{CamMethod, GradCam, HiResCam, MapStatus, PixelSet, Request};

use super::data::Slice;
use super::folds::Fold;
use super::{KIDNEY, TUMOUR};

pub(crate) const LAYERS: [&str; 4] = ["enc3", "mid", "dec2", "dec1"];
pub(crate) const SETS: [&str; 3] = ["tp", "fp", "fn"];
pub(crate) const METRICS: [Metric; 9] = [
    Metric::Leak,
    Metric::CompletenessError,
    Metric::FidelityR2,
    Metric::FidelityRank,
    Metric::Road,
    Metric::Deletion,
    Metric::Insertion,
    Metric::Stability,
    Metric::Randomization,
];

/// The tumour counts as not seen in a slice with fewer predicted pixels.
pub(crate) const SEEN_FROM: usize = 10;

/// Cells of each layer that are set to zero for the fidelity.
pub(crate) const CELLS: usize = 32;

/// The numbers of one slice, class and pixel set.
pub(crate) struct Measured {
    pub(crate) patient: String,
    pub(crate) slice: String,
    pub(crate) class: usize,
    pub(crate) set: &'static str,
    /// Number of pixels in the set; without any, nothing else is known.
    pub(crate) pixels: usize,
    /// Mean probability of the class over the set.
    pub(crate) probability: f64,
    pub(crate) rows: Vec<Row>,
    /// Method and layer of heat maps that are zero everywhere.
    pub(crate) blank: Vec<(String, String)>,
}

pub(crate) fn set(name: &str, truth: &GroundTruth) -> Box<dyn PixelSet> {
    match name {
        "tp" => Box::new(TruePositives::new(truth)),
        "fp" => Box::new(FalsePositives::new(truth)),
        _ => Box::new(FalseNegatives::new(truth)),
    }
}

/// Every slice of a fold: the tumour, and the kidney where hardly any tumour is predicted.
pub(crate) fn measure(fold: &Fold) -> Result<Vec<Measured>> {
    let protocol = Protocol::new().with_metrics(METRICS.into()).with_cells(CELLS);
    let mut all = vec![];
    for slice in &fold.slices {
        let seen = fold.explainer.observe(slice.sample.input())?;
        let tumour: f64 = seen.prediction().predicted(TUMOUR).sum().into_scalar();
        let classes = if tumour < SEEN_FROM as f64 { vec![TUMOUR, KIDNEY] } else { vec![TUMOUR] };
        let image = protocol.prepare(&seen)?;
        for class in classes {
            for name in SETS {
                all.push(of_set(&image, slice, class, name)?);
            }
        }
    }
    Ok(all)
}

fn of_set(image: &Prepared, slice: &Slice, class: usize, name: &'static str) -> Result<Measured> {
    let (seen, set) = (image.seen(), set(name, &slice.truth));
    let pixels: f64 = set.weights(seen.prediction(), class)?.sum().into_scalar();
    let mut measured = Measured {
        patient: slice.patient.clone(),
        slice: slice.name.clone(),
        class,
        set: name,
        pixels: pixels as usize,
        probability: 0.0,
        rows: vec![],
        blank: vec![],
    };
    if measured.pixels == 0 {
        return Ok(measured);
    }
    let question = seen.target(&*set, class)?;
    let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    let requests: Vec<Request> = methods
        .iter()
        .flat_map(|&method| LAYERS.map(|layer| Request::new(method, layer, &question)))
        .collect();
    for map in seen.explain_all(requests.iter().cloned()) {
        let map = map?;
        if map.status() != [MapStatus::Positive] {
            measured.blank.push((map.method().to_string(), map.layer().to_string()));
        }
    }
    let network = seen.perturb(&question, LAYERS[0])?;
    measured.probability = network.probability_with_input(1, |_| seen.input())?[0][0];
    measured.rows = image.run(&question, &requests, None, &mut |_, _| {})?;
    Ok(measured)
}
