//! Pictures that are larger than memory: read by tiles, explained by windows, and written by tiles.

mod figure;
mod picture;
mod unfinished;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use segcam::burn::tensor::{Device, Tensor};
use segcam::core::{LabelMap, MapStatus};
use segcam::windows::{
    Bands, MapRequest, Question as AskedScore, Rows, Score, Sweep, Tally, Windows,
};
use segcam::{AllPixels, AnyMethod, CamError, Explainer, PixelSet, device_name, guarded};
use segcam_tiles::{TiffRows, write_tiled};

use crate::annotations::Annotations;
use crate::ask::{Asked, Figure, Question, Sets, layers, sets_of};
use crate::draw::failure;
use crate::network::Model;
use crate::report::{MapReport, Report};
use crate::scene::Style;
use crate::write::Folder;
use figure::{Scene, Shown};
use picture::{BigPicture, Page, brightness};
use unfinished::{Unfinished, numbers};

/// TIFF files of more pixels are read by tiles where a network sees them through windows.
pub const LARGE: u64 = 1 << 26;

/// A network, and the windows through which it sees a picture.
#[derive(Debug)]
pub struct Network<'a> {
    /// What is known of it.
    pub model: &'a Model,
    /// Of one window.
    pub explainer: &'a Explainer,
    /// Where windows lie; told of progress, too.
    pub windows: &'a Windows,
    /// The files that decide what it computes.
    pub files: &'a [PathBuf],
    /// Where it computes.
    pub device: &'a Device,
}

/// What is wanted of a picture.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The picture.
    pub input: &'a Path,
    /// What is asked of the network.
    pub asked: &'a Asked,
    /// How maps are drawn.
    pub style: &'a Style,
    /// Whether predicted labels are written, too.
    pub prediction: bool,
}

/// Explains a picture. What is finished is kept in the folder until all is done, and the same call again goes
/// on with it; `stage` is told of each sweep over the picture, and of how many.
///
/// # Errors
/// Files that are no such picture, questions that need it as a whole, and whatever makes the network fail.
pub fn explain(
    wanted: &Wanted,
    network: &Network,
    out: &Folder,
    stage: &dyn Fn(usize, usize),
) -> Result<Report> {
    let Network { model, device, .. } = *network;
    let tiff = TiffRows::open(wanted.input)?;
    let colour = tiff.channels() > 1;
    let recipe = model.recipe_of_rows(tiff.size(), colour, || brightness(&tiff))?;
    let name = wanted.input.display().to_string();
    let picture = BigPicture { tiff: &tiff, recipe, device: device.clone() };
    let bands = network.windows.bands(network.explainer, &picture, device)?;
    let methods = wanted.asked.methods.iter();
    let methods: Vec<AnyMethod> =
        methods.map(|text| AnyMethod::parse(text)).collect::<Result<_, _>>()?;
    for method in &methods {
        let method = method.method();
        bands.expect_possible(&MapRequest { method, layer: "any", question: 0 })?;
    }
    let seen = network.explainer.observe(blank(network, &picture)?).context(name.clone())?;
    let layers = layers(&wanted.asked.layers, model, &seen)?;
    let classes = seen.prediction().classes();
    // What is asked in wrong words is said before the first sweep.
    let annotations = Annotations::default();
    sets_of::<4>(wanted.asked, &annotations, model, vec![vec![1; classes]])?;

    let work = Unfinished::open(out.path(".segcam-unfinished"), &key(wanted, network)?)?;
    let sweeps = 2 + usize::from(methods.iter().any(|method| averages(&bands, method)));
    stage(0, sweeps);
    let labels = LabelMap::new(labels(&bands, &work, tiff.size())?, tiff.size(), classes)?;
    let sets = sets_of(wanted.asked, &annotations, model, vec![labels.counts()])?;
    let Sets { figures, class_chosen, predicted_pixels } = sets;
    let question = Question { figures, layers, methods, class_chosen, predicted_pixels };

    let [height, width] = tiff.size();
    let shape = [1, if colour { 3 } else { 1 }, height, width];
    let notes = [&model.notes[..], &["the picture is read and explained by tiles".into()]].concat();
    let place = (name.as_str(), &shape[..], device_name(device));
    let engine = seen.engine().to_string();
    let mut report =
        Report::of_parts(place, model, notes, (classes, &engine), &question, wanted.style);

    let (asked, mut failures) = Plan::new(&question, &labels);
    report.failures.append(&mut failures);
    let begun = Instant::now();
    let found = if asked.maps.is_empty() {
        vec![]
    } else {
        stage(1, sweeps);
        asked.maps(&bands, &work, &|| stage(2, sweeps))?
    };
    let seconds = begun.elapsed().as_secs_f64() / found.len().max(1) as f64;

    let page = Page::of(tiff.size());
    let picture = page.picture(&tiff)?;
    let scene = Scene { input: wanted.input, model, page, picture, labels: &labels };
    let done = Done { question: &question, plan: &asked, found: &found, seconds, work: &work, out };
    for (number, figure) in question.figures.iter().enumerate() {
        done.draw((number, figure), &scene, wanted.style, &mut report)?;
    }
    if wanted.prediction {
        let path = work.path("prediction");
        let what = "segcam prediction";
        write_tiled(&path, tiff.size(), what, &mut |rows| {
            Ok(labels.labels()[rows.start * width..rows.end * width].to_vec())
        })?;
        finished(&path, "prediction.tif", out)?;
        report.files.push("prediction.tif".into());
    }
    if !report.maps.is_empty() {
        work.remove()?;
    }
    Ok(report)
}

/// Maps that are finished, and where they belong.
struct Done<'a> {
    question: &'a Question<4>,
    plan: &'a Plan<'a>,
    found: &'a [Found],
    /// The time that each took.
    seconds: f64,
    work: &'a Unfinished,
    out: &'a Folder,
}

impl Done<'_> {
    /// Writes the maps of a figure and its pictures.
    fn draw(
        &self,
        (number, figure): (usize, &Figure<4>),
        scene: &Scene,
        style: &Style,
        report: &mut Report,
    ) -> Result<()> {
        let mut shown = vec![];
        let plans = self.plan.plans.iter().enumerate();
        for (at, plan) in plans.filter(|(_, plan)| plan.figure == number) {
            let (method, layer) = self.question.map(plan.map);
            if !self.found[at].tally.is_reached() {
                let (name, error) = (method.name(), CamError::NoPath { layer: layer.name.clone() });
                report.failures.push(failure(figure, Some((&name, &layer.name)), &error));
                continue;
            }
            let name = self.plan.name(at, method, figure);
            let stem = self.question.stem(figure, plan.map);
            let file = format!("{stem}.tif");
            let what = format!("segcam {name} at {}", layer.name);
            let reduced = written(self.work, at, (&scene.page, &file, &what), self.out)?;
            let of = (figure, self.plan.set(at), scene.model);
            let map = map_report(of, (name, &layer.name), &self.found[at], scene.page.size);
            report.maps.push(MapReport { seconds: self.seconds, files: vec![file], ..map });
            shown.push(Shown { map: plan.map, reduced, report: report.maps.len() - 1, stem });
        }
        if shown.is_empty() {
            return Ok(());
        }
        let members = figure.pixels.on_labels(scene.labels, figure.class)?;
        let of = (self.question, figure);
        let drawn = scene.draw(of, &members, &shown, &mut report.maps, style)?;
        report.files.extend(drawn.figures);
        drawn.files.iter().try_for_each(|file| self.out.write(file))
    }
}

/// Zeros of the size of a window, as the network would be given them.
fn blank(network: &Network, picture: &BigPicture) -> Result<Tensor<4>> {
    let [_, channels, ..] = guarded(|| picture.read(0..1))?.dims();
    let size = network.windows.size();
    let (rows, columns) = (size.first().copied(), size.get(1).copied());
    let shape = [1, channels, rows.unwrap_or(1), columns.unwrap_or(1)];
    Ok(Tensor::zeros(shape, network.device))
}

/// What decides the numbers of a run: that of an earlier one is gone on with if it is the same.
fn key(wanted: &Wanted, network: &Network) -> Result<String> {
    let mut files = vec![digest(wanted.input)?];
    for file in network.files {
        files.push(digest(file)?);
    }
    let Model { name, weights, .. } = network.model;
    let settings = format!(
        "{} {name} {weights} {} {:?} {} {:?}",
        env!("CARGO_PKG_VERSION"),
        network.windows,
        wanted.asked,
        device_name(network.device),
        network.model.preparation(),
    );
    Ok(format!("{files:?} {settings}"))
}

fn digest(path: &Path) -> Result<String> {
    segcam_batch::sha256([path]).with_context(|| format!("cannot read {}", path.display()))
}

fn averages(bands: &Bands, method: &AnyMethod) -> bool {
    bands.averages(&MapRequest { method: method.method(), layer: "", question: 0 })
}

/// Predicted labels, of which those of earlier runs are kept.
fn labels(bands: &Bands, work: &Unfinished, size: [usize; 2]) -> Result<Vec<u8>> {
    let mut sweep = work.sweep("labels.sweep");
    loop {
        let first = bands.first(sweep.done());
        let Some(rows) = bands.labels(&mut sweep)? else { break };
        work.write("labels", (first * size[1]) as u64, &rows)?;
        work.keep("labels.sweep", &sweep)?;
    }
    let labels = work.all("labels")?;
    ensure!(labels.len() == size[0] * size[1], "{} is damaged: remove it", work.path("").display());
    Ok(labels)
}

/// The maps that are asked for.
struct Plan<'a> {
    scores: Vec<AskedScore<'a>>,
    maps: Vec<MapRequest<'a>>,
    /// Of each map.
    plans: Vec<Planned>,
}

struct Planned {
    /// Number of its figure.
    figure: usize,
    /// Its number in the figure.
    map: usize,
}

/// What was found of a map.
struct Found {
    score: Score,
    tally: Tally,
}

impl<'a> Plan<'a> {
    fn new(question: &'a Question<4>, labels: &'a LabelMap) -> (Self, Vec<crate::report::Failure>) {
        let (mut scores, mut maps, mut plans, mut failures) = (vec![], vec![], vec![], vec![]);
        let whole = &AllPixels as &dyn PixelSet;
        let add = |scores: &mut Vec<AskedScore<'a>>, set: &'a dyn PixelSet, class| {
            let members = set.on_labels(labels, class)?;
            if !(0..labels.labels().len()).any(&members) {
                let reason = "choose a class that is predicted, or another pixel set".into();
                let (set, samples) = (set.name(), vec![0]);
                return Err(CamError::EmptyPixelSet { set, class, reason, samples });
            }
            scores.push(AskedScore { class, set: set.name(), members });
            Ok(scores.len() - 1)
        };
        for (number, figure) in question.figures.iter().enumerate() {
            let of_pixels = match add(&mut scores, &*figure.pixels, figure.class) {
                Ok(score) => score,
                Err(error) => {
                    failures.push(failure(figure, None, &error));
                    continue;
                }
            };
            let mut of_whole = None;
            for map in 0..question.layers.len() * question.methods.len() {
                let (method, layer) = question.map(map);
                let score = match method.on_pixels() {
                    true => of_pixels,
                    false => *of_whole.get_or_insert_with(|| {
                        add(&mut scores, whole, figure.class).unwrap_or(of_pixels)
                    }),
                };
                maps.push(MapRequest {
                    method: method.method(),
                    layer: &layer.name,
                    question: score,
                });
                plans.push(Planned { figure: number, map });
            }
        }
        (Self { scores, maps, plans }, failures)
    }

    /// What a map's method is called: `seg-…` if it was asked about a part of the picture.
    fn name(&self, at: usize, method: &AnyMethod, figure: &Figure<4>) -> String {
        let whole = figure.pixels.is_whole_image() || !method.on_pixels();
        if whole { self.maps[at].method.name() } else { method.name() }
    }

    /// Name of the pixels of which a map was asked.
    fn set(&self, at: usize) -> &str {
        &self.scores[self.maps[at].question].set
    }

    /// Makes every map, row by row; those of earlier runs are kept. `averaging` is called before the sweep
    /// that methods need which average.
    fn maps(&self, bands: &Bands, work: &Unfinished, averaging: &dyn Fn()) -> Result<Vec<Found>> {
        let width = bands.size()[1];
        let keep = |first: usize, rows: Vec<(usize, Vec<f32>)>| {
            rows.into_iter().try_for_each(|(at, rows)| {
                let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
                work.write(&rows_of(at), (first * width * size_of::<f32>()) as u64, &bytes)
            })
        };
        let mut sweep = work.sweep("maps.sweep");
        loop {
            let first = bands.first(sweep.done());
            let Some(rows) = bands.maps(&self.scores, &self.maps, &mut sweep)? else { break };
            keep(first, rows)?;
            work.keep("maps.sweep", &sweep)?;
        }
        let mut averaged = Sweep::default();
        if self.maps.iter().any(|asked| bands.averages(asked)) {
            averaging();
            averaged = work.sweep("averages.sweep");
            loop {
                let first = bands.first(averaged.done());
                let rows = bands.averaged(&self.maps, &sweep, &mut averaged)?;
                let Some(rows) = rows else { break };
                keep(first, rows)?;
                work.keep("averages.sweep", &averaged)?;
            }
        }
        let found = self.maps.iter().enumerate().map(|(at, asked)| {
            let of = if bands.averages(asked) { &averaged } else { &sweep };
            Found { score: sweep.scores()[asked.question], tally: of.tallies()[at].clone() }
        });
        Ok(found.collect())
    }
}

fn rows_of(map: usize) -> String {
    format!("map-{map}")
}

/// Writes a map from its finished rows, and gives it as it is drawn.
fn written(
    work: &Unfinished,
    map: usize,
    (page, file, what): (&Page, &str, &str),
    out: &Folder,
) -> Result<Vec<f32>> {
    let (from, to) = (work.path(&rows_of(map)), work.path("map"));
    let (width, mut reduced) = (page.size[1], vec![]);
    write_tiled(&to, page.size, what, &mut |rows| {
        let values = numbers(&from, rows.start * width..rows.end * width)?;
        page.strongest(&mut reduced, rows.start, &values);
        Ok(values)
    })?;
    finished(&to, file, out)?;
    Ok(reduced)
}

/// Moves a file to where it belongs once it is whole.
fn finished(path: &Path, name: &str, out: &Folder) -> Result<()> {
    fs::rename(path, out.path(name)).with_context(|| format!("cannot write {name}"))
}

fn map_report(
    (figure, set, model): (&Figure<4>, &str, &Model),
    (method, layer): (String, &str),
    Found { score, tally }: &Found,
    [height, width]: [usize; 2],
) -> MapReport {
    let ((low, high), rounding) = (tally.range(), tally.rounding());
    MapReport {
        class: figure.class,
        class_name: model.classes.get(figure.class).cloned(),
        method,
        layer: layer.to_string(),
        shape: vec![1, 1, height, width],
        pixel_set: set.to_string(),
        pixels: vec![score.pixels],
        score: vec![score.score],
        status: vec![MapStatus::of((low, high), rounding).to_string()],
        raw_min: vec![low],
        raw_max: vec![high],
        rounding: vec![rounding],
        certificate: None,
        seconds: 0.0,
        files: vec![],
    }
}
