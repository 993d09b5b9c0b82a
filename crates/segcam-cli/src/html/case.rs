//! One input in a report: its picture, what the network sees in it, and maps.

use std::io::Write as _;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use segcam::burn::tensor::Tensor;
use segcam::core::upsample;
use segcam::{AllPixels, Observation, PixelSet, guarded};
use serde::Serialize;
use serde_json::{Value, json};

use super::choice::{Chosen, FIGURES, Subject};
use crate::annotations::Annotations;
use crate::ask::{Asked, Figure, Question, ask};
use crate::explain::{Answer, How, explain, in_words};
use crate::network::Model;
use crate::print::png;
use crate::read::Input;
use crate::report::MapReport;
use crate::studio::look::{LookReport, Looked, Place, Raster, as_volume};
use crate::view::midst;

/// Bytes that pictures and maps may still take.
#[derive(Debug, Clone, Copy)]
pub struct Room(usize);

impl Room {
    /// As much as there is.
    pub const ENDLESS: Self = Self(usize::MAX);
    /// What a mail takes.
    pub const MAIL: Self = Self(16 << 20);

    /// Of one of so many that share it.
    pub(crate) fn part(self, of: usize) -> Self {
        Self(self.0 / of.max(1))
    }

    /// Without what one of them took of its part.
    pub(crate) fn take(&mut self, part: Self, left: Self) {
        self.0 -= part.0 - left.0;
    }

    /// Whether there is room for so many, which are taken then.
    fn holds(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

const TOO_LARGE: &str = "left out: the file would be too large to send";

/// What is shown of one input.
#[derive(Debug)]
pub struct Case {
    id: String,
    why: Vec<String>,
    looked: Looked,
    under: Option<Value>,
    figures: Vec<Value>,
    room: Room,
}

/// The same as the page reads it.
#[derive(Debug, Serialize)]
pub(crate) struct CaseData<'a> {
    why: &'a [String],
    look: &'a LookReport,
    under: &'a Option<Value>,
    figures: &'a [Value],
}

impl Case {
    /// Of an input and what the network sees in it.
    ///
    /// # Errors
    /// Several images in one array, and pictures for which there is no room.
    pub fn new<const D: usize>(
        input: &Input<D>,
        seen: &Observation<D>,
        annotations: &Annotations,
        model: &Model,
        room: Room,
    ) -> Result<Self> {
        let looked =
            Looked::new(input, seen, annotations, model).context("--html cannot show this")?;
        let (id, why, figures) = (input.name.clone(), vec![], vec![]);
        let mut case = Self { id, why, looked, under: None, figures, room };
        if case.looked.report.planes.is_empty() {
            let under = case.under(None)?;
            anyhow::ensure!(case.room.holds(size(&under)), TOO_LARGE);
            case.under = Some(under);
        }
        Ok(case)
    }

    /// Of an input that was chosen among many: its figures are computed once more.
    ///
    /// # Errors
    /// As [`new`](Self::new), and what is wrong with the input.
    pub fn of_chosen<const D: usize>(
        chosen: &Chosen,
        (input, seen): (&Input<D>, &Observation<D>),
        (annotations, model): (&Annotations, &Model),
        (asked, how): (&Asked, &How),
        room: Room,
    ) -> Result<Self> {
        let mut question = ask(asked, annotations, model, seen)?;
        // Maps of the whole image are in each figure of their class.
        let whole = PixelSet::<D>::name(&AllPixels);
        question.figures.retain(|Figure { class, pixels, .. }| {
            chosen.is_of(*class, &pixels.name()) || chosen.is_of(*class, &whole)
        });
        question.figures.truncate(FIGURES);
        let mut case = Self::new(input, seen, annotations, model, room)?;
        (case.id, case.why) = (chosen.input.clone(), chosen.why());
        for answer in explain(&question, seen, how, || ()) {
            case.add(&question, &answer, model, input, |map| {
                chosen.is_for(&map.method, &map.layer)
            })?;
        }
        Ok(case)
    }

    /// Adds the maps of a figure; those that are wanted most come first if there is no room for all.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn add<const D: usize>(
        &mut self,
        question: &Question<D>,
        answer: &Answer<'_, D>,
        model: &Model,
        input: &Input<D>,
        wanted: impl Fn(&MapReport) -> bool,
    ) -> Result<()> {
        // What could not be explained is in the program's report.
        let Ok((targets, maps)) = &answer.maps else { return Ok(()) };
        let Figure { class, asked, .. } = answer.figure;
        let target = &targets.pixels;
        let size = &input.tensor.dims()[2..];
        let (mut fields, mut reports) = (vec![], vec![]);
        for (map, request) in maps.iter().zip(question.requests(targets)) {
            let (report, field, error) = match map {
                Ok(map) => {
                    let field = guarded(|| as_volume(&upsample(map.found.signal(), size)))?;
                    (Some(MapReport::new(map, model)), Some(field), None)
                }
                Err(error) => (None, None, Some(in_words(error))),
            };
            let share = map.as_ref().ok().and_then(|map| {
                let found = map.certificate.as_ref()?;
                (found.score != 0.0).then(|| found.exact / found.score)
            });
            let (method, layer) = (question.map(reports.len()).0.name(), request.layer());
            let first = report.as_ref().is_some_and(&wanted);
            reports.push((first, MapData { method, layer, report, error, share }.value()?));
            fields.push(field);
        }
        let explained = as_volume(target.weights())?;
        let at = self.looked.report.start.map(|start| midst(&explained, 0).unwrap_or(start));
        let places = self.places(at);
        // A volume is shown where this figure's voxels are.
        let base = places.iter().map(|place| {
            let under = place.map(|_| self.under(*place)).transpose()?;
            let looked = &self.looked;
            let mask = looked.raster(&explained, *place, false, looked.report.labels);
            Ok((under, mask.map(|mask| labels(&mask)).transpose()?))
        });
        let base = base.collect::<Result<Vec<_>>>()?;
        let bytes = base.iter().flat_map(|(under, mask)| [under, mask]).flatten().map(self::size);
        if !self.room.holds(bytes.sum()) {
            self.why.push(format!("{}: {TOO_LARGE}", target.name()));
            return Ok(());
        }
        let mut packed = vec![vec![Value::Null; fields.len()]; places.len()];
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|&map| !reports[map].0);
        for map in order {
            let Some(field) = &fields[map] else { continue };
            let planes = places.iter().map(|place| self.packed(field, *place));
            let planes: Vec<Value> = planes.collect::<Result<_>>()?;
            match self.room.holds(planes.iter().map(self::size).sum()) {
                true => planes.into_iter().zip(&mut packed).for_each(|(one, all)| all[map] = one),
                false => reports[map].1["error"] = TOO_LARGE.into(),
            }
        }
        let sheets = base.into_iter().zip(packed);
        let sheets = sheets
            .map(|((under, mask), maps)| json!({ "under": under, "pixels": mask, "maps": maps }));
        let sheets: Vec<Value> = sheets.collect();
        self.figures.push(json!({
            "class": class,
            "class_name": model.classes.get(*class),
            "score_of": target.classes(),
            "asked": asked,
            "pixel_set": target.name(),
            "pixels": target.sizes().iter().sum::<usize>(),
            "at": at,
            "maps": reports.into_iter().map(|(_, report)| report).collect::<Vec<_>>(),
            "sheets": sheets,
        }));
        Ok(())
    }

    pub(crate) fn data(&self) -> CaseData<'_> {
        let Self { why, looked, under, figures, .. } = self;
        CaseData { why, look: &looked.report, under, figures }
    }

    /// What is left of its room.
    pub(crate) fn room(&self) -> Room {
        self.room
    }

    /// Which of its figures shows this.
    pub(crate) fn figure(&self, subject: &Subject) -> Option<usize> {
        let of_set = |value: &Value| value["pixel_set"] == subject.set.as_str();
        let is = |figure: &Value| {
            let mut maps = figure["maps"].as_array().into_iter().flatten();
            figure["class"] == subject.class
                && (of_set(figure) || maps.any(|map| of_set(&map["report"])))
        };
        (self.id == subject.input).then(|| self.figures.iter().position(is)).flatten()
    }

    fn places(&self, at: Option<[usize; 3]>) -> Vec<Place> {
        let Some(at) = at else { return vec![None] };
        let planes = self.looked.report.planes.iter().enumerate();
        planes.map(|(number, plane)| Some((number, at[plane.across]))).collect()
    }

    fn packed(&self, field: &Tensor<5>, place: Place) -> Result<Value> {
        let raster = self.looked.raster(field, place, true, self.looked.report.maps);
        Ok(raster.map(signed).transpose()?.into())
    }

    /// The picture, the labels and the annotation.
    fn under(&self, place: Place) -> Result<Value> {
        let picture = self.looked.picture(place, None).context("there is no picture")?;
        let picture = STANDARD.encode(png("picture", picture)?.bytes);
        let seen = self.looked.labels(place).map(|raster| labels(&raster)).transpose()?;
        let truth = self.looked.truth(place).map(|raster| labels(&raster)).transpose()?;
        Ok(json!({ "picture": picture, "labels": seen, "truth": truth }))
    }
}

/// A map in numbers, or why there is none.
#[derive(Debug, Serialize)]
struct MapData<'a> {
    method: String,
    layer: &'a str,
    report: Option<MapReport>,
    error: Option<String>,
    share: Option<f64>,
}

impl MapData<'_> {
    /// Without the time that it took, so that a report of the same is the same.
    fn value(&self) -> Result<Value> {
        let mut value = serde_json::to_value(self)?;
        if let Some(report) = value["report"].as_object_mut() {
            report.remove("seconds");
            report.remove("files");
        }
        Ok(value)
    }
}

/// Bytes of a value in the file.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(fields) => fields.values().map(size).sum(),
        Value::Array(values) => values.iter().map(size).sum(),
        _ => 8,
    }
}

/// Labels and members as whole numbers of 16 bits, compressed.
fn labels(raster: &Raster) -> Result<Value> {
    let bytes = raster.values.iter().flat_map(|label| (*label as u16).to_le_bytes());
    packed(raster, bytes.collect(), 1.0)
}

/// A signed map in steps of a 32767th of its largest absolute value, compressed.
fn signed(raster: Raster) -> Result<Value> {
    let most = raster.values.iter().fold(0f32, |most, value| most.max(value.abs()));
    let step = if most > 0.0 { most / f32::from(i16::MAX) } else { 1.0 };
    let bytes =
        raster.values.iter().flat_map(|value| ((value / step).round() as i16).to_le_bytes());
    packed(&raster, bytes.collect(), step)
}

fn packed(raster: &Raster, bytes: Vec<u8>, step: f32) -> Result<Value> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::best());
    encoder.write_all(&bytes)?;
    let [rows, columns] = raster.size;
    let values = STANDARD.encode(encoder.finish()?);
    Ok(json!({ "rows": rows, "columns": columns, "step": step, "values": values }))
}
