//! The one thread that computes. It keeps what it saw of the images that were asked about last.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use segcam::burn::tensor::{Device, Tensor};
use segcam::core::upsample;
use segcam::{CamError, Cancel, Explainer, Observation, guarded};
use serde::Serialize;

use super::Settings;
use super::gallery::Entry;
use super::look::{Looked, as_volume};
use super::parts::{self, PartReport};
use crate::annotations::{AnnotationFiles, Annotations};
use crate::ask::{Asked, Question, Targets, ask};
use crate::beside::Folders;
use crate::draw::draw;
use crate::explain::{Answer, How, Map, explain, in_words};
use crate::files::File;
use crate::network::{Model, is_volume};
use crate::read::{self, Input};
use crate::report::{CertificateReport, MapReport};
use crate::scene::{Scene, Style};
use crate::view::midst;

/// What the thread is asked for.
#[derive(Debug)]
pub(crate) enum Job {
    /// A forward pass.
    Look(Entry),
    /// Maps; of a set that stands for several the number of the one that is meant.
    Ask(Entry, Asked, Option<usize>),
    /// What is exactly true of the maps of an answer.
    Certify(String),
    /// The files of an answer.
    Draw(String, Box<Style>),
}

/// What it gives.
#[derive(Debug)]
pub(crate) enum Done {
    Looked(Arc<Looked>),
    Answered(Arc<Answered>),
    Certified(Vec<Certified>),
    Drawn(Vec<File>),
}

/// A job, and who waits for it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) job: Job,
    pub(crate) cancel: Cancel,
    pub(crate) progress: Arc<Progress>,
    pub(crate) reply: SyncSender<Result<Done>>,
}

/// How far a job is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicUsize,
    all: AtomicUsize,
}

impl Progress {
    pub(crate) fn set(&self, done: usize, all: usize) {
        self.done.store(done, Ordering::Relaxed);
        self.all.store(all, Ordering::Relaxed);
    }

    /// Finished steps, and all of them; 0 if that is not known.
    pub(crate) fn steps(&self) -> (usize, usize) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }
}

/// What was asked, and the answer in numbers.
#[derive(Debug, Serialize)]
pub(crate) struct AnswerReport {
    /// What the answer is referred to by.
    pub(crate) id: String,
    /// The image.
    pub(crate) image: String,
    /// The class.
    pub(crate) class: usize,
    /// What it is called, if that is known.
    pub(crate) class_name: Option<String>,
    /// How it was chosen.
    pub(crate) class_chosen: &'static str,
    /// Every class in the score with its factor: the explained one, then those that are subtracted.
    pub(crate) score_of: Vec<(usize, f64)>,
    /// Name of the pixel set.
    pub(crate) pixel_set: String,
    /// How many pixels it has.
    pub(crate) pixels: usize,
    /// Of a volume a voxel in the midst of the set.
    pub(crate) at: Option<[usize; 3]>,
    /// Of a set that stands for several, which one this is, from 0.
    pub(crate) part: Option<usize>,
    /// All of them; none of a set that is one.
    pub(crate) parts: Vec<PartReport>,
    /// One for each layer with each method.
    pub(crate) maps: Vec<MapAnswer>,
    /// The command that says the same.
    pub(crate) command: String,
}

/// A map in numbers, or why there is none.
#[derive(Debug, Serialize)]
pub(crate) struct MapAnswer {
    /// What makes it.
    pub(crate) method: String,
    /// Of which layer.
    pub(crate) layer: String,
    /// As in `report.json`.
    pub(crate) report: Option<MapReport>,
    /// Why there is none.
    pub(crate) error: Option<String>,
}

/// What is exactly true of a map.
#[derive(Debug, Serialize)]
pub(crate) struct Certified {
    /// As in `report.json`.
    pub(crate) certificate: Option<CertificateReport>,
    /// Part of the score that comes through the layer, from 0 to 1 where all parts speak for the class.
    pub(crate) share: Option<f64>,
    /// Why there is none.
    pub(crate) error: Option<String>,
}

/// An answer as a page shows it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) report: AnswerReport,
    pub(crate) looked: Arc<Looked>,
    /// Signed, in units of the score, at the size of the network's input.
    pub(crate) maps: Vec<Option<Tensor<5>>>,
    /// Weights of the explained pixels.
    pub(crate) pixels: Tensor<5>,
}

impl Answered {
    /// Bytes of its arrays.
    pub(crate) fn bytes(&self) -> usize {
        let size = |tensor: &Tensor<5>| tensor.dims().iter().product::<usize>() * size_of::<f32>();
        self.maps.iter().flatten().map(size).sum::<usize>() + size(&self.pixels)
    }
}

/// A network, and what it saw.
pub(crate) struct Desk<const D: usize> {
    pub(crate) explainer: Explainer<D>,
    pub(crate) model: Arc<Model>,
    pub(crate) device: Device,
    pub(crate) settings: Arc<Settings>,
    pub(crate) windows: Arc<dyn Fn(Option<Arc<Progress>>) + Send + Sync>,
    pub(crate) seen: Vec<Seen<D>>,
    pub(crate) asked: VecDeque<Past<D>>,
    pub(crate) answers: usize,
}

/// An image that the network saw.
pub(crate) struct Seen<const D: usize> {
    id: String,
    modified: Option<SystemTime>,
    input: Input<D>,
    observation: Observation<D>,
    annotations: Annotations,
    looked: Arc<Looked>,
}

/// An answer that was given.
pub(crate) struct Past<const D: usize> {
    id: String,
    entry: Entry,
    /// With the one figure that was shown.
    question: Question<D>,
    parts: Vec<PartReport>,
    targets: Targets<D>,
    maps: Vec<Result<Map<D>, CamError>>,
}

/// Images whose forward pass is kept, and answers whose maps are.
const IMAGES: usize = 6;
const VOLUMES: usize = 2;
const ANSWERS: usize = 24;

impl<const D: usize> Desk<D> {
    /// Of what the network looks at: 2 or 3.
    pub(crate) const fn sides(&self) -> usize {
        D - 2
    }

    /// Job after job, until nobody can order any more.
    pub(crate) fn work(mut self, orders: &Receiver<Order>) {
        for order in orders {
            let Order { job, cancel, progress, reply } = order;
            let done = match cancel.is_cancelled() {
                true => Err(CamError::Cancelled.into()),
                false => {
                    (self.windows)(Some(progress.clone()));
                    let done = catch_unwind(AssertUnwindSafe(|| self.job(job, &cancel, &progress)));
                    (self.windows)(None);
                    done.unwrap_or_else(|_| Err(super::Broken.into()))
                }
            };
            // Whoever asked may have gone.
            let _ = reply.send(done);
        }
    }

    fn job(&mut self, job: Job, cancel: &Cancel, progress: &Arc<Progress>) -> Result<Done> {
        match job {
            Job::Look(entry) => {
                let seen = self.see(&entry, cancel, progress)?;
                let looked = seen.looked.clone();
                self.keep(seen);
                Ok(Done::Looked(looked))
            }
            Job::Ask(entry, asked, part) => {
                let seen = self.see(&entry, cancel, progress)?;
                let answered = self.ask(&entry, (asked, part), &seen, (cancel, progress));
                self.keep(seen);
                Ok(Done::Answered(Arc::new(answered?)))
            }
            Job::Certify(id) => {
                let entry = self.past(&id)?.entry.clone();
                let seen = self.see(&entry, cancel, progress)?;
                let certified = self.certify(&id, &seen, progress);
                self.keep(seen);
                Ok(Done::Certified(certified?))
            }
            Job::Draw(id, style) => {
                let entry = self.past(&id)?.entry.clone();
                let seen = self.see(&entry, cancel, progress)?;
                let files = self.draw(&id, &seen, &style);
                self.keep(seen);
                Ok(Done::Drawn(files?))
            }
        }
    }

    /// What the network sees in an image: known already, or a forward pass. It can be cancelled, and
    /// tells how far it is.
    fn see(&mut self, entry: &Entry, cancel: &Cancel, progress: &Arc<Progress>) -> Result<Seen<D>> {
        let steps = progress.clone();
        let heard = move |done, all| steps.set(done, all);
        // A file that was written anew is another image.
        self.seen.retain(|seen| seen.id != entry.id || seen.modified == entry.modified);
        let known = self.seen.iter().position(|seen| seen.id == entry.id);
        if let Some(at) = known {
            let seen = self.seen.remove(at);
            let observation = seen.observation.with_cancel(cancel).with_progress(heard);
            return Ok(Seen { observation, ..seen });
        }
        let Settings { slice, truth, .. } = &*self.settings;
        let slice = slice.filter(|_| crate::scan::is_scan(&entry.path));
        let mut input: Input<D> = read::open(&entry.path, slice, &self.model, &self.device)
            .map_err(|error| super::without_path(error, &entry.path, &entry.name))?;
        input.name = entry.name.clone();
        let observer = self.explainer.clone().with_cancel(cancel);
        let observation = observer.observe(input.tensor.clone())?.with_progress(heard);
        let annotations = annotations(truth, entry, &input, &observation)?;
        let looked = Looked::new(&input, &observation, &annotations, &self.model)?;
        let (id, modified, looked) = (entry.id.clone(), entry.modified, Arc::new(looked));
        Ok(Seen { id, modified, input, observation, annotations, looked })
    }

    fn keep(&mut self, seen: Seen<D>) {
        self.seen.push(seen);
        let most = if is_volume::<D>() { VOLUMES } else { IMAGES };
        if self.seen.len() > most {
            self.seen.remove(0);
        }
    }

    fn past(&self, id: &str) -> Result<&Past<D>> {
        let found = self.asked.iter().find(|past| past.id == id);
        found.context(super::Forgotten)
    }

    fn ask(
        &mut self,
        entry: &Entry,
        (mut asked, part): (Asked, Option<usize>),
        seen: &Seen<D>,
        (cancel, progress): (&Cancel, &Progress),
    ) -> Result<Answered> {
        let Seen { observation, annotations, looked, .. } = seen;
        let mut question = ask(&asked, annotations, &self.model, observation)?;
        let parts = match question.figures.first().is_some_and(|one| one.part_of.is_some()) {
            true => self.parts(entry, &question, observation, (cancel, progress))?,
            false => vec![],
        };
        let part = parts::chosen(part, &parts, &asked)?;
        question.figures = question.figures.into_iter().skip(part.unwrap_or(0)).take(1).collect();
        let figure = question.figures.first().context("nothing was asked")?.clone();
        if part.is_some() && parts::says(&figure, annotations, &self.model, observation) {
            asked.pixels = vec![figure.pixels.name()];
        }
        let maps = question.layers.len() * question.methods.len();
        if maps > super::MAPS {
            bail!("{maps} maps are too many at a time: at most {}", super::MAPS);
        }
        progress.set(0, maps);
        let made = AtomicUsize::new(0);
        let how = How::default();
        let answer = explain(&question, observation, &how, || {
            progress.set(made.fetch_add(1, Ordering::Relaxed) + 1, maps);
        });
        let answer = answer.last().context("nothing was asked")?;
        let (targets, maps) = answer.maps?;
        if let Some(Err(CamError::Cancelled)) = maps.iter().find(|map| map.is_err()) {
            return Err(CamError::Cancelled.into());
        }
        self.answers += 1;
        let id = format!("q{}", self.answers);
        let target = &targets.pixels;
        let class = figure.class;
        let pixels = as_volume(target.weights())?;
        let mut report = AnswerReport {
            id: id.clone(),
            image: entry.id.clone(),
            class,
            class_name: self.model.classes.get(class).cloned(),
            class_chosen: question.class_chosen,
            score_of: target.classes().to_vec(),
            pixel_set: target.name().to_string(),
            pixels: target.sizes().iter().sum(),
            at: is_volume::<D>().then(|| midst(&pixels, 0)).flatten(),
            part,
            parts: parts.clone(),
            maps: vec![],
            command: self.settings.command(entry, &asked, class, &self.model, &question),
        };
        let size = &seen.input.tensor.dims()[2..];
        let mut fields = vec![];
        for (map, request) in maps.iter().zip(question.requests(&targets)) {
            let method = question.methods[fields.len() % question.methods.len()].name();
            let layer = request.layer().to_string();
            let (numbers, field, error) = match map {
                Ok(map) => {
                    let whole = guarded(|| as_volume(&upsample(map.found.signal(), size)))?;
                    (Some(MapReport::new(map, &self.model)), Some(whole), None)
                }
                Err(error) => (None, None, Some(in_words(error))),
            };
            report.maps.push(MapAnswer { method, layer, report: numbers, error });
            fields.push(field);
        }
        let entry = entry.clone();
        self.asked.push_back(Past { id, entry, question, parts, targets, maps });
        if self.asked.len() > ANSWERS {
            self.asked.pop_front();
        }
        Ok(Answered { report, looked: looked.clone(), maps: fields, pixels })
    }

    /// What a set stands for: known from an answer about another of its parts, or found out.
    fn parts(
        &self,
        entry: &Entry,
        question: &Question<D>,
        seen: &Observation<D>,
        (cancel, progress): (&Cancel, &Progress),
    ) -> Result<Vec<PartReport>> {
        let figures = &question.figures;
        let same = |past: &&Past<D>| {
            let of_image = past.entry.id == entry.id && past.entry.modified == entry.modified;
            of_image && past.parts.len() == figures.len() && {
                let mut shown = past.question.figures.iter().zip(figures);
                shown.all(|(it, one)| it.class == one.class && it.asked == one.asked)
            }
        };
        if let Some(past) = self.asked.iter().find(same) {
            return Ok(past.parts.clone());
        }
        parts::reports(figures, seen, |done| {
            progress.set(done, figures.len());
            cancel.is_cancelled()
        })
    }

    /// The certificates stay with their maps: figures say them, too.
    fn certify(&mut self, id: &str, seen: &Seen<D>, progress: &Progress) -> Result<Vec<Certified>> {
        let past = self.asked.iter_mut().find(|past| past.id == id);
        let maps = &mut past.context(super::Forgotten)?.maps;
        let (mut certified, all) = (vec![], maps.len());
        let none = |error: &CamError| Certified {
            certificate: None,
            share: None,
            error: Some(in_words(error)),
        };
        for map in maps {
            progress.set(certified.len(), all);
            let found = match map {
                Ok(map) => seen.observation.certify(&map.found),
                Err(error) => Err(error.clone()),
            };
            certified.push(match (found, map) {
                (Ok(found), Ok(map)) => {
                    map.certificate = Some(found.clone());
                    Certified {
                        share: (found.score != 0.0).then(|| found.exact / found.score),
                        certificate: Some(CertificateReport::from(&found)),
                        error: None,
                    }
                }
                (Err(error @ CamError::Cancelled), _) => return Err(error.into()),
                // The image was looked at again: its maps are of a pass that is gone.
                (Err(CamError::OtherObservation { .. }), _) => bail!(super::Forgotten),
                (Err(error), _) => none(&error),
                (Ok(_), Err(error)) => none(error),
            });
        }
        Ok(certified)
    }

    fn draw(&self, id: &str, seen: &Seen<D>, style: &Style) -> Result<Vec<File>> {
        let Past { question, targets, maps, .. } = self.past(id)?;
        let figure = question.figures.first().context("nothing was asked")?;
        let answer = Answer { figure, maps: Ok((targets.clone(), maps.clone())) };
        let scene = Scene {
            input: &seen.input,
            seen: &seen.observation,
            model: &self.model,
            truth: seen.annotations.truth.as_ref(),
        };
        Ok(draw(scene, question, &answer, style)?.files)
    }
}

/// What the given files say of an image; folders may lack those of some, and of uploads they know nothing.
fn annotations<const D: usize>(
    files: &AnnotationFiles,
    entry: &Entry,
    input: &Input<D>,
    seen: &Observation<D>,
) -> Result<Annotations> {
    let known = |path: &Option<std::path::PathBuf>| {
        let path = path.as_ref().filter(|_| !entry.uploaded)?;
        Folders::default().beside(path, Path::new(&entry.name)).ok()
    };
    let (truth, instances) = (known(&files.truth), known(&files.instances));
    let missing = files.truth.is_some() && truth.is_none();
    let mut found = AnnotationFiles { truth, instances, ..files.clone() }.read(input, seen)?;
    found.notes.extend(missing.then(|| "no annotation was given for this image".to_string()));
    Ok(found)
}
