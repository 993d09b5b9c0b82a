//! All steps for each of many inputs, as the [`Work`] of a [`Batch`](segcam_batch::Batch): a row for each map.

mod shown;

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Error, Result, ensure};
use rayon::prelude::*;
use segcam::burn::tensor::Device;
use segcam::metrics::Protocol;
use segcam::{CamError, Explainer, Observation, guarded};
use segcam_batch::{Item, Row, What, Work, WorkError, every_file, sha256};

use crate::annotations::{AnnotationFiles, Annotations};
use crate::ask::{Asked, OnlyBackground, Question, ask};
use crate::beside::Folders;
use crate::columns::metric_column;
use crate::draw::{draw, draw_prediction, tell};
use crate::explain::{Answer, How, Maps, explain, is_gone};
use crate::files::File;
use crate::kinds::kind_of;
use crate::measure::{self, Judged, judge};
use crate::network::Model;
use crate::overview::Overview;
use crate::read::{self, Input};
use crate::report::{Failure, JudgedReport, MapReport};
use crate::scan::files_of;
use crate::scene::{Scene, Style};

/// Columns of a manifest that say more of an input: its annotation, its instance ids, the mask of what is
/// known to cause its prediction, classes and layers and methods (with commas between them), pixel sets (with
/// semicolons), and the slice of a scan.
pub const FIELDS: [&str; 8] =
    ["truth", "instances", "region", "class", "layer", "method", "pixels", "slice"];

/// How maps are measured.
#[derive(Debug, Clone)]
pub struct Measuring {
    /// What is measured.
    pub protocol: Protocol,
    /// Masks of the pixels that are known to cause the prediction.
    pub region: Option<PathBuf>,
    /// Whether they are resized.
    pub region_resize: bool,
}

/// What is written beside the table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Saved {
    /// Pictures.
    pub figures: bool,
    /// Predicted labels.
    pub prediction: bool,
}

/// What all inputs have in common.
#[derive(Debug)]
pub struct Explaining<'a, const D: usize> {
    /// The network.
    pub explainer: &'a Explainer<D>,
    /// What is known of it.
    pub model: &'a Model,
    /// Where it computes.
    pub device: &'a Device,
    /// What is asked.
    pub asked: Asked,
    /// How maps are made.
    pub how: How,
    /// How they are shown and saved.
    pub style: Style,
    /// What is written.
    pub saved: Saved,
    /// Where annotations come from.
    pub annotations: AnnotationFiles,
    /// The folders of these.
    pub folders: &'a Folders,
    /// How maps are measured, if they are.
    pub measuring: Option<Measuring>,
    /// Slice of scans, for a network that takes images.
    pub slice: Option<usize>,
    /// The folder of the table.
    pub out: PathBuf,
    /// Errors in words.
    pub words: fn(&Error) -> String,
}

/// An input's annotation, its instances and the mask of what is known to cause its prediction.
#[derive(Debug)]
pub struct Files {
    annotations: AnnotationFiles,
    region: Option<PathBuf>,
}

/// Everything found out about one input.
#[derive(Debug)]
pub struct Explained<const D: usize> {
    input: Input<D>,
    seen: Observation<D>,
    annotations: Annotations,
    /// Nothing where there is only background.
    asked: Option<Answered<D>>,
    /// Of each image of the input.
    confidence: Vec<f64>,
    seconds: f64,
}

#[derive(Debug)]
struct Answered<const D: usize> {
    question: Question<D>,
    /// One for each figure.
    maps: Vec<Maps<D>>,
    judged: Vec<Judged>,
}

/// Which files of a folder are inputs: images, arrays and scans by their names. Folders that hold DICOM files
/// are one input each. `out`, where results go, is not looked into.
pub fn inputs(out: &Path) -> impl Fn(&Path) -> What {
    let out = out.canonicalize().ok();
    move |path| match every_file(path) {
        What::Hidden => What::Hidden,
        What::Other if out.is_some() && path.canonicalize().ok() == out => What::Hidden,
        _ if kind_of(path).is_some() => What::Input,
        _ => What::Other,
    }
}

impl<const D: usize> Work for Explaining<'_, D> {
    type Found = Files;
    type Read = (Input<D>, Files);
    type Made = Explained<D>;

    fn contents(&self, item: &Item) -> Result<(String, Files), WorkError> {
        let all = || -> Result<(String, Files)> {
            ensure!(item.path.exists(), "there is no such file");
            let mut files = files_of(&item.path)?;
            let found = self.files_beside(item)?;
            let AnnotationFiles { truth, instances, .. } = &found.annotations;
            for path in [truth, instances, &found.region].into_iter().flatten() {
                files.extend(files_of(path)?);
            }
            Ok((sha256(files)?, found))
        };
        all().map_err(|error| self.failed(item, &error))
    }

    fn read(&self, item: &Item, files: Files) -> Result<(Input<D>, Files), WorkError> {
        let read = || {
            let slice = item.fields.get("slice").map(|text| {
                text.parse().with_context(|| format!("slice {text} is no number from 0"))
            });
            let slice = slice.transpose()?.or(self.slice);
            let input = read::open(&item.path, slice, self.model, self.device)?;
            Ok((Input { name: item.name.clone(), ..input }, files))
        };
        read().map_err(|error| self.failed(item, &error))
    }

    fn make(&self, item: &Item, read: (Input<D>, Files)) -> Result<Explained<D>, WorkError> {
        self.explain(item, read).map_err(|error| self.failed(item, &error))
    }

    fn write(&self, item: &Item, made: Explained<D>) -> Result<Vec<Row>, WorkError> {
        self.rows(item, made).map_err(|error| match error.downcast_ref::<CannotWrite>() {
            Some(_) => WorkError::Run((self.words)(&error)),
            None => self.failed(item, &error),
        })
    }
}

/// A file that cannot be written: the next one could not be, either.
#[derive(Debug)]
struct CannotWrite;

impl std::error::Error for CannotWrite {}

impl fmt::Display for CannotWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("results cannot be kept")
    }
}

impl<const D: usize> Explaining<'_, D> {
    /// What is wrong with this input, or, if the device does not answer any more, with all.
    fn failed(&self, item: &Item, error: &Error) -> WorkError {
        let words = (self.words)(error);
        if is_gone(self.device) {
            return WorkError::Run(words);
        }
        let path = item.path.display();
        WorkError::Item(words.trim_start_matches(&format!("cannot use {path}: ")).into())
    }

    /// What belongs to an input: what the manifest names beside it, or the files of its name.
    fn files_beside(&self, item: &Item) -> Result<Files> {
        let all = self.annotations.clone();
        let truth = self.beside(item, "truth", all.truth.as_deref())?;
        let instances = self.beside(item, "instances", all.instances.as_deref())?;
        let region = self.measuring.as_ref().and_then(|measuring| measuring.region.as_deref());
        let region = self.beside(item, "region", region)?;
        Ok(Files { annotations: AnnotationFiles { truth, instances, ..all }, region })
    }

    /// The file of an input that its manifest names in a column, seen from the manifest; or the one of its
    /// name in a folder, which may have the inputs' folders in it.
    fn beside(&self, item: &Item, field: &str, all: Option<&Path>) -> Result<Option<PathBuf>> {
        if let Some(named) = item.fields.get(field) {
            // The path of the input is the manifest's folder, and then its name.
            let above = Path::new(&item.name).components().count();
            let folder = item.path.ancestors().nth(above).unwrap_or(Path::new(""));
            return Ok(Some(folder.join(named)));
        }
        let Some(all) = all else { return Ok(None) };
        let below = Path::new(&item.name).parent().map(|parent| all.join(parent));
        let folder = below.filter(|folder| folder.is_dir());
        self.folders.beside(folder.as_deref().unwrap_or(all), &item.path).map(Some)
    }

    /// What is asked of an input.
    fn asked_of(&self, item: &Item) -> Asked {
        let list = |field: &str, between: char, all: &[String]| match item.fields.get(field) {
            Some(text) => text.split(between).map(|part| part.trim().to_string()).collect(),
            None => all.to_vec(),
        };
        Asked {
            layers: list("layer", ',', &self.asked.layers),
            classes: list("class", ',', &self.asked.classes),
            methods: list("method", ',', &self.asked.methods),
            pixels: list("pixels", ';', &self.asked.pixels),
        }
    }

    fn explain(&self, item: &Item, (input, files): (Input<D>, Files)) -> Result<Explained<D>> {
        let start = Instant::now();
        let seen = self.explainer.observe(input.tensor.clone())?;
        let confidence = guarded(|| Ok::<_, CamError>(seen.prediction().confidence()))?;
        let annotations = files.annotations.read(&input, &seen)?;
        let asked = match ask(&self.asked_of(item), &annotations, self.model, &seen) {
            Ok(question) => {
                let answers = explain(&question, &seen, &self.how, || ());
                let maps: Vec<_> = answers.map(|answer| answer.maps).collect();
                let region = files.region.as_deref();
                let judged = self.judge(&question, &maps, (&input, &seen), region)?;
                Some(Answered { question, maps, judged })
            }
            Err(error) if error.is::<OnlyBackground>() => None,
            Err(error) => return Err(error),
        };
        let seconds = start.elapsed().as_secs_f64();
        Ok(Explained { input, seen, annotations, asked, confidence, seconds })
    }

    /// Measures the maps, if that is asked.
    fn judge(
        &self,
        question: &Question<D>,
        maps: &[Maps<D>],
        (input, seen): (&Input<D>, &Observation<D>),
        region: Option<&Path>,
    ) -> Result<Vec<Judged>> {
        let Some(Measuring { protocol, region_resize, .. }) = &self.measuring else {
            return Ok(vec![]);
        };
        let region = region.map(|region| measure::region(region, *region_resize, input));
        let region = region.transpose()?;
        let plain = How::default();
        let answers: Box<dyn Iterator<Item = Answer<D>>> = match &self.how.smooth {
            None => {
                let pairs = question.figures.iter().zip(maps);
                Box::new(pairs.map(|(figure, maps)| Answer { figure, maps: maps.clone() }))
            }
            // Metrics are those of methods; means over changed inputs are nothing that they make again.
            Some(_) => Box::new(explain(question, seen, &plain, || ())),
        };
        let (seen, asked) = ((seen, self.model), (question, answers));
        judge(seen, asked, region.as_deref(), protocol, &|_, _| ())
    }

    /// Draws and writes, and says it in rows.
    fn rows(&self, item: &Item, made: Explained<D>) -> Result<Vec<Row>> {
        let Explained { input, seen, annotations, asked, confidence, seconds } = made;
        let notes = input.notes.iter().chain(&annotations.notes).cloned().collect::<Vec<_>>();
        let notes = Some(notes.join("\n")).filter(|notes| !notes.is_empty());
        let about = |row: Row| {
            // Without a map there is no number of an image.
            let image = row.number("image").unwrap_or(0.0) as usize;
            let row = row.with("seconds", seconds).with("engine", seen.engine().to_string());
            let row = row.with_some("confidence", confidence.get(image).copied());
            row.with_some("notes", notes.clone())
        };
        let folder = item.folder();
        let truth = annotations.truth.as_ref();
        let scene = Scene { input: &input, seen: &seen, model: self.model, truth };
        let style = Style { print: self.style.print.of(&item.name), ..self.style.clone() };
        let (mut rows, mut others, mut overview) = (vec![], vec![], Overview::default());
        if let Some(Answered { question, maps, judged }) = asked {
            let answers = question.figures.iter().zip(maps);
            let answers: Vec<_> = answers.map(|(figure, maps)| Answer { figure, maps }).collect();
            // As many at a time as there are threads, in their order.
            let drawn = answers.chunks(rayon::current_num_threads()).flat_map(|some| {
                let drawn = some.par_iter().map(|answer| match self.saved.figures {
                    true => draw(scene, &question, answer, &style),
                    false => tell(scene, &question, answer, &style),
                });
                drawn.collect::<Vec<_>>()
            });
            for (number, drawn) in drawn.enumerate() {
                let drawn = drawn?;
                self.write_files(&folder, &drawn.files)?;
                overview.add(drawn.parts);
                others.extend(drawn.figures);
                for map in &drawn.maps {
                    let files = self.names(&folder, &map.files);
                    let found = rows_of(map, judged.get(number), drawn.judged.as_ref());
                    rows.extend(found.into_iter().map(|row| row.with_some("files", files.clone())));
                }
                rows.extend(drawn.failures.iter().filter_map(failed_row));
            }
        }
        let mut sheets = overview.files(&style.print)?;
        if self.saved.prediction {
            sheets.push(draw_prediction(&input, &seen)?);
        }
        self.write_files(&folder, &sheets)?;
        others.extend(sheets.into_iter().map(|file| file.name));
        if rows.is_empty() {
            rows.push(Row::new().with("status", EMPTY));
        }
        // What belongs to no map alone is named by the first one.
        let first = rows[0].text("files").map(String::from);
        let others = self.names(&folder, &others);
        let all: Vec<String> = others.into_iter().chain(first).collect();
        if !all.is_empty() {
            rows[0] = std::mem::take(&mut rows[0]).with("files", all.join("\n"));
        }
        Ok(rows.into_iter().map(about).collect())
    }

    /// Paths below the folder of the table, a line each.
    fn names(&self, folder: &Path, files: &[String]) -> Option<String> {
        let path = |file: &String| Path::new(MAPS).join(folder).join(file).display().to_string();
        let paths: Vec<String> = files.iter().map(path).collect();
        Some(paths.join("\n")).filter(|paths| !paths.is_empty())
    }

    /// Writes files under names that a run which goes on writes again.
    fn write_files(&self, folder: &Path, files: &[File]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let folder = self.out.join(MAPS).join(folder);
        let write = |file: &File| {
            fs::create_dir_all(&folder)?;
            let part = folder.join(format!("{}.part", file.name));
            fs::write(&part, &file.bytes)?;
            let whole = folder.join(&file.name);
            match fs::rename(&part, &whole) {
                // Another machine, taken for dead, wrote the same.
                Err(error) if error.kind() == ErrorKind::NotFound && whole.exists() => Ok(()),
                result => result,
            }
        };
        for file in files {
            write(file)
                .with_context(|| format!("cannot write {}", folder.join(&file.name).display()))
                .context(CannotWrite)?;
        }
        Ok(())
    }
}

/// The folder of pictures and arrays, beside the table.
const MAPS: &str = "maps";

/// The status of what was asked about and is not there.
const EMPTY: &str = "empty";

/// The rows of a map: one for each image of the batch.
fn rows_of(map: &MapReport, judged: Option<&Judged>, truth: Option<&JudgedReport>) -> Vec<Row> {
    let measured = judged.and_then(|judged| {
        judged.rows.iter().find(|row| row.method == map.method && row.layer == map.layer)
    });
    let of_image = |image: usize| {
        let mut row = Row::new()
            .with("image", image)
            .with("class", map.class)
            .with_some("class_name", map.class_name.clone())
            .with("method", map.method.clone())
            .with("layer", map.layer.clone())
            .with("pixel_set", map.pixel_set.clone())
            .with("pixels", map.pixels[image])
            .with("score", map.score[image])
            .with("raw_min", map.raw_min[image])
            .with("raw_max", map.raw_max[image])
            .with("rounding", map.rounding[image])
            .with("status", map.status[image].clone());
        let sides = ["width", "height", "depth"].into_iter().zip(map.shape[2..].iter().rev());
        row = sides.fold(row, |row, (side, length)| row.with(side, *length));
        if let Some(found) = &map.certificate {
            let past = found.bypasses.as_ref();
            let past = past.map(|past| past.iter().map(|(_, part)| part).sum::<f64>());
            let score: f64 = map.score.iter().sum();
            let share = |part: f64| (score != 0.0).then(|| part / score);
            row = row
                .with_some("layer_share", share(found.layer))
                .with_some("bypass_share", past.and_then(share))
                .with_some("bias_share", found.bias.and_then(share))
                .with_some("certificate_error", found.completeness_error)
                .with("map_sum", found.map)
                .with("lost", found.lost)
                .with_some("impossible", found.impossible);
        }
        if let Some(truth) = truth {
            row = row
                .with_some("dice", truth.dice)
                .with("true_positives", truth.true_positives)
                .with("false_positives", truth.false_positives)
                .with("false_negatives", truth.false_negatives);
        }
        if let Some(measured) = measured {
            let values = measured.values.iter();
            row = values.fold(row, |row, (metric, value)| row.with(metric_column(*metric), *value));
            let missing = measured.missing.iter().map(|(metric, why)| format!("{metric}: {why}"));
            let missing = missing.collect::<Vec<_>>().join("\n");
            row = row.with_some("missing", Some(missing).filter(|missing| !missing.is_empty()));
        }
        row
    };
    (0..map.pixels.len()).map(of_image).collect()
}

/// The row of a map that there is not; none of a class that was not asked for by name.
fn failed_row(failure: &Failure) -> Option<Row> {
    if failure.optional {
        return None;
    }
    let row = Row::new()
        .with("class", failure.class)
        .with("pixel_set", failure.pixel_set.clone())
        .with_some("method", failure.method.clone())
        .with_some("layer", failure.layer.clone());
    Some(match failure.empty {
        true => row.with("status", EMPTY).with("pixels", 0usize),
        false => row.with("error", failure.error.clone()),
    })
}
