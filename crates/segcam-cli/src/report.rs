//! What was found, in numbers: `report.json`.

use anyhow::Result;
use segcam::annotations::Confusion;
use segcam::{Certificate, Observation, device_name};
use serde::Serialize;

use crate::ask::Question;
use crate::explain::Map;
use crate::files::File;
use crate::network::{Model, is_volume};
use crate::overview::Part;
use crate::read::Input;
use crate::scene::Style;
use crate::write::REPORT;

/// `report.json`: every number needed to repeat a run. The schema is in `docs/report.md`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of segcam.
    pub segcam: &'static str,
    /// The command line.
    pub command: Vec<String>,
    /// Name of the network.
    pub model: String,
    /// Path of the weights, or `embedded`.
    pub weights: String,
    /// How an ONNX file was understood.
    pub notes: Vec<String>,
    /// Path of the input, or `generated`.
    pub input: String,
    /// `[N, C, …]` as the network saw it.
    pub input_shape: Vec<usize>,
    /// Number of classes of the network.
    pub classes: usize,
    /// `asked` or `most frequent prediction`.
    pub class_chosen: &'static str,
    /// Pixels predicted as each class, for each image of the batch.
    pub predicted_pixels: Vec<Vec<usize>>,
    /// What of the maps is drawn: `signed` or `positive`.
    pub show: &'static str,
    /// Which of their values has full colour.
    pub normalize: String,
    /// Their colours.
    pub colormap: String,
    /// What computed the gradients.
    pub engine: String,
    /// Where, as `--device` takes it.
    pub device: String,
    /// Of a volume, the voxel `[z, y, x]` through which the planes in the pictures go, for each image of
    /// the batch.
    pub planes: Option<Vec<[usize; 3]>>,
    /// With an annotation, what it says of the prediction of each class that was asked about.
    pub judged: Vec<JudgedReport>,
    /// One for each map.
    pub maps: Vec<MapReport>,
    /// What could not be explained, and why.
    pub failures: Vec<Failure>,
    /// The other files.
    pub files: Vec<String>,
}

/// What is drawn of one figure.
#[derive(Debug, Default)]
pub struct Drawn {
    /// Pictures and arrays.
    pub files: Vec<File>,
    /// Which of them are figures of several maps.
    pub figures: Vec<String>,
    /// What the report says of each map.
    pub maps: Vec<MapReport>,
    /// What the annotation says of the class's prediction.
    pub judged: Option<JudgedReport>,
    /// Maps that there are not, and why.
    pub failures: Vec<Failure>,
    /// Of a part of a pixel set, its maps for the sheets of all parts.
    pub parts: Vec<Part>,
    /// Of a volume, the voxel through which the planes in pictures go, for each image of the batch.
    pub planes: Vec<[usize; 3]>,
}

impl Report {
    /// Without maps as yet.
    pub fn new<const D: usize>(
        (input, seen, model): (&Input<D>, &Observation<D>, &Model),
        question: &Question<D>,
        style: &Style,
    ) -> Self {
        let (shape, device) = (input.tensor.dims(), device_name(&input.tensor.device()));
        let notes = [&model.notes[..], &input.notes].concat();
        let network = (seen.prediction().classes(), &*seen.engine().to_string());
        Self::of_parts((&input.name, &shape, device), model, notes, network, question, style)
    }

    /// Of an input of such name and shape, on such a device; of a network with so many classes, and what
    /// computes its gradients.
    pub(crate) fn of_parts<const D: usize>(
        (input, shape, device): (&str, &[usize], String),
        model: &Model,
        notes: Vec<String>,
        (classes, engine): (usize, &str),
        question: &Question<D>,
        style: &Style,
    ) -> Self {
        Self {
            segcam: env!("CARGO_PKG_VERSION"),
            command: vec![],
            model: model.name.clone(),
            weights: model.weights.clone(),
            notes,
            input: input.to_string(),
            input_shape: shape.to_vec(),
            classes,
            class_chosen: question.class_chosen,
            predicted_pixels: question.predicted_pixels.clone(),
            show: style.show.name(),
            normalize: style.show.normalize().to_string(),
            colormap: style.show.colormap().to_string(),
            engine: engine.to_string(),
            device,
            planes: is_volume::<D>().then(Vec::new),
            judged: vec![],
            maps: vec![],
            failures: vec![],
            files: vec![],
        }
    }

    /// Takes note of what was drawn, and hands on the files.
    pub fn add(&mut self, drawn: Drawn) -> Vec<File> {
        self.maps.extend(drawn.maps);
        let known = |judged: &JudgedReport| self.judged.iter().any(|j| j.class == judged.class);
        self.judged.extend(drawn.judged.filter(|judged| !known(judged)));
        self.failures.extend(drawn.failures);
        self.files.extend(drawn.figures);
        self.planes.iter_mut().for_each(|planes| planes.extend(&drawn.planes));
        drawn.files
    }

    /// The report as the file that it mentions itself.
    ///
    /// # Errors
    /// What serde says.
    pub fn file(&mut self) -> Result<File> {
        self.files.push(REPORT.into());
        Ok(File { name: REPORT.into(), bytes: self.json()?.into_bytes() })
    }

    /// The report as text.
    ///
    /// # Errors
    /// What serde says.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

/// A class's prediction beside the annotation. Pixels that are left out do not count.
#[derive(Debug, Serialize)]
pub struct JudgedReport {
    /// The class.
    pub class: usize,
    /// What it is called, if that is known.
    pub class_name: Option<String>,
    /// `2·tp / (2·tp + fp + fn)`; `null` if the class is neither predicted nor annotated.
    pub dice: Option<f64>,
    /// Predicted and annotated.
    pub true_positives: usize,
    /// Predicted, not annotated.
    pub false_positives: usize,
    /// Annotated, not predicted.
    pub false_negatives: usize,
}

impl JudgedReport {
    /// Of these numbers of pixels.
    pub fn new(class: usize, model: &Model, counts: &Confusion) -> Self {
        Self {
            class,
            class_name: model.classes.get(class).cloned(),
            dice: counts.dice(),
            true_positives: counts.true_positives,
            false_positives: counts.false_positives,
            false_negatives: counts.false_negatives,
        }
    }
}

/// What could not be explained: a class and a pixel set, or one of their maps.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The class asked about.
    pub class: usize,
    /// The pixel set.
    pub pixel_set: String,
    /// The map's method; `None` if there is no map at all.
    pub method: Option<String>,
    /// The map's layer.
    pub layer: Option<String>,
    /// Why.
    pub error: String,
    /// Whether it is none if something else could be explained: of a class that was not asked for by
    /// name.
    #[serde(skip)]
    pub optional: bool,
    /// Whether the pixel set has no pixels here, and nothing else is wrong.
    #[serde(skip)]
    pub empty: bool,
}

/// One map in [`Report`]; the vectors have one entry for each image of the batch.
#[derive(Debug, Serialize)]
pub struct MapReport {
    /// The explained class.
    pub class: usize,
    /// What it is called, if that is known.
    pub class_name: Option<String>,
    /// What made the map.
    pub method: String,
    /// Of which layer.
    pub layer: String,
    /// Shape of the raw map, `[N, 1, …]`.
    pub shape: Vec<usize>,
    /// Name of the explained pixels.
    pub pixel_set: String,
    /// How many there are.
    pub pixels: Vec<usize>,
    /// The explained score: the class's logits summed over the pixel set.
    pub score: Vec<f64>,
    /// `positive`, `all-negative`, `all-zero` or `rounding`.
    pub status: Vec<String>,
    /// Smallest values of the signed map.
    pub raw_min: Vec<f64>,
    /// Largest values.
    pub raw_max: Vec<f64>,
    /// How large a value can be through rounding alone.
    pub rounding: Vec<f64>,
    /// With `--certify`.
    pub certificate: Option<CertificateReport>,
    /// The time that it took.
    pub seconds: f64,
    /// Names of the files with this map.
    pub files: Vec<String>,
}

impl MapReport {
    /// Without files as yet.
    pub fn new<const D: usize>(map: &Map<D>, model: &Model) -> Self {
        let Map { found, certificate, seconds } = map;
        Self {
            class: found.class(),
            class_name: model.classes.get(found.class()).cloned(),
            method: found.method().to_string(),
            layer: found.layer().to_string(),
            shape: found.raw().dims().to_vec(),
            pixel_set: found.target().name().to_string(),
            pixels: found.target().sizes().to_vec(),
            score: found.score().to_vec(),
            status: found.status().iter().map(ToString::to_string).collect(),
            raw_min: found.range().iter().map(|range| range.0).collect(),
            raw_max: found.range().iter().map(|range| range.1).collect(),
            rounding: found.rounding().to_vec(),
            certificate: certificate.as_ref().map(CertificateReport::from),
            seconds: *seconds,
            files: vec![],
        }
    }
}

/// Exact statements about a map, summed over the batch. A field is `null` where the engine cannot
/// tell.
#[derive(Debug, Serialize)]
pub struct CertificateReport {
    /// Part of the score that comes through the layer.
    pub layer: f64,
    /// Parts that come through each value that goes past the layer.
    pub bypasses: Option<Vec<(String, f64)>>,
    /// Part that comes from biases and constants.
    pub bias: Option<f64>,
    /// How far the parts are from the score, relative to the sum of their absolute values.
    pub completeness_error: Option<f64>,
    /// What the map adds up to.
    pub map: f64,
    /// What the map leaves out of the layer's part.
    pub lost: f64,
    /// Share of the map's absolute values where influence is impossible.
    pub impossible: Option<f64>,
}

impl From<&Certificate> for CertificateReport {
    fn from(certificate: &Certificate) -> Self {
        let shares = certificate.shares.as_ref();
        Self {
            layer: certificate.exact,
            bypasses: shares.map(|shares| shares.bypasses.clone()),
            bias: shares.map(|shares| shares.bias),
            completeness_error: certificate.completeness_error(),
            map: certificate.map,
            lost: certificate.lost(),
            impossible: certificate.impossible,
        }
    }
}
