use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use indicatif::HumanDuration;
use segcam::Explainer;
use segcam::burn::tensor::Device;
use segcam::metrics::Protocol;
use segcam_batch::What;
use segcam_cli::batch::inputs;
use segcam_cli::beside::Folders;
use segcam_cli::explain::{How, is_gone};
use segcam_cli::files::File;
use segcam_cli::html::case::Case;
use segcam_cli::html::evaluation::page;
use segcam_cli::measure::{self, Contents, Measured, known, measure, same_settings};
use segcam_cli::network::{Model, class_title};
use segcam_cli::read::{self, Input};
use segcam_cli::tables::{Evaluation, LeftOut, Summaries};
use segcam_cli::with_explainer;
use segcam_cli::write::Folder;

use super::advice::in_words;
use super::args::EvaluateArgs;
use super::{Finished, Talk, command, say, table};

/// `segcam evaluate`: image by image, and what was measured is kept, so that the same command goes on
/// where it stopped.
pub(crate) fn run(args: &EvaluateArgs, talk: Talk) -> Result<Finished> {
    let device = args.network.device.open()?;
    let images = images(&args.input, &args.out)?;
    let source = args.network.source()?;
    let (model, network) = source.open(&device)?;
    let out = Folder::create(&args.out)?;
    let settings = args.settings(&model)?;
    same_settings(&out, &settings)?;
    let metrics = args.metrics();
    let protocol = args.measure.protocol(metrics.clone());
    let kept = Folder::create(&out.path("images"))?;
    let contents = Contents::new(&settings, &source)?;
    let folders = Folders::default();
    let all = All { args, talk, model: &model, device: &device, protocol, kept, contents, folders };
    let (measured, failures) = with_explainer!(&network, explainer => all.run(explainer, &images)?);
    if let Some(LeftOut { image, error }) = failures.first().filter(|_| measured.is_empty()) {
        bail!("none of {} images could be used; {image}: {error}", images.len());
    }
    let methods = &args.question.asked().methods;
    if measured.iter().flat_map(|image| &image.answers).all(|answer| answer.rows.is_empty()) {
        let answers =
            measured.iter().flat_map(|image| image.answers.iter().map(move |a| (image, a)));
        let mut reasons = answers.filter_map(|(image, answer)| {
            let failed = answer.failures.first().map(|map| &map.error);
            Some(format!("{}: {}", image.image, answer.error.as_ref().or(failed)?))
        });
        bail!("nothing could be measured; {}", reasons.next().unwrap_or_default());
    }
    let mut evaluation =
        Evaluation::new(&model, settings, methods, args.measure.seed, measured, failures);
    if args.html {
        let report = with_explainer!(&network, explainer => {
            all.report(explainer, &evaluation, &images)?
        });
        out.write(&report)?;
        evaluation.files.push(report.name);
    }
    for file in evaluation.files(&model, &metrics)? {
        out.write(&file)?;
    }
    match talk {
        Talk::Quiet => {}
        Talk::Json => say(serde_json::to_string_pretty(&evaluation)?)?,
        Talk::Tables => print(&evaluation, &out)?,
    }
    Ok(Finished { failures: failed(&evaluation), ..Finished::default() })
}

/// The files to measure, each once.
fn images(path: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let read = || format!("cannot read {}", path.display());
    let is_list = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt"));
    let mut images = if path.is_dir() {
        let files = fs::read_dir(path).with_context(read)?;
        let files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>();
        let kind = inputs(out);
        let is_image = |file: &PathBuf| file.is_file() && kind(file) == What::Input;
        files.with_context(read)?.into_iter().filter(is_image).collect()
    } else if is_list {
        let folder = path.parent().unwrap_or(Path::new(""));
        let text = fs::read_to_string(path).with_context(read)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| folder.join(line)).collect()
    } else {
        ensure!(path.exists(), "there is no {}", path.display());
        vec![path.to_path_buf()]
    };
    images.sort();
    images.dedup();
    let what = if path.is_dir() {
        "the folder holds no images, arrays or scans"
    } else {
        "the list names no images"
    };
    ensure!(!images.is_empty(), "{}: {what}", path.display());
    Ok(images)
}

/// What all images have in common.
struct All<'a> {
    args: &'a EvaluateArgs,
    talk: Talk,
    model: &'a Model,
    device: &'a Device,
    protocol: Protocol,
    kept: Folder,
    contents: Contents,
    folders: Folders,
}

impl All<'_> {
    fn run<const D: usize>(
        &self,
        explainer: &Explainer<D>,
        images: &[PathBuf],
    ) -> Result<(Vec<Measured>, Vec<LeftOut>)> {
        let bar = self.talk.bar(images.len());
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let (mut measured, mut failures) = (vec![], vec![]);
        let (mut forecast, said) = (false, Cell::new(false));
        for (number, path) in bar.wrap_iter(images.iter()).enumerate() {
            let mut file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            while !taken.insert(file.clone()) {
                // The same name in several folders.
                file.push('_');
            }
            file.push_str(".json");
            let image = path.display().to_string();
            bar.set_message(image.clone());
            // What is kept of an earlier run takes no steps.
            let measuring = Cell::new(false);
            let progress = |done, of| {
                if !measuring.replace(true) && !said.replace(true) && self.talk != Talk::Quiet {
                    bar.suspend(|| eprintln!("{}", self.work(images.len())));
                }
                bar.set_message(format!("{image} {done}/{of}"));
            };
            let start = Instant::now();
            match self.one(explainer, path, &file, &progress) {
                Ok(found) => {
                    measured.push(found);
                    let left = images.len() - number - 1;
                    if measuring.get() && left > 0 && !forecast && self.talk != Talk::Quiet {
                        forecast = true;
                        bar.suspend(|| eprintln!("{}", time_left(start.elapsed(), left)));
                    }
                }
                Err(error) if is_gone(self.device) => bail!(
                    "{}; what was measured is kept, and the same command goes on",
                    in_words(&error)
                ),
                Err(error) => {
                    let words = in_words(&error);
                    let error = words.trim_start_matches(&format!("cannot use {image}: "));
                    failures.push(LeftOut { error: error.into(), image });
                }
            }
        }
        bar.finish_and_clear();
        Ok((measured, failures))
    }

    /// What there is to do, before it is known how long that takes.
    fn work(&self, images: usize) -> String {
        let of = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            many => format!("{many} {what}s"),
        };
        let methods = of(self.args.question.asked().methods.len(), "method");
        let metrics = of(self.args.metrics().len(), "metric");
        let images = match images {
            1 => return format!("1 image, {methods}, {metrics}"),
            many => of(many, "image"),
        };
        format!("{images}, {methods}, {metrics}: how long that takes is said after the first image")
    }

    /// `report.html`: the maps that it shows are computed once more.
    fn report<const D: usize>(
        &self,
        explainer: &Explainer<D>,
        evaluation: &Evaluation,
        images: &[PathBuf],
    ) -> Result<File> {
        let Self { args, model, device, talk, .. } = self;
        let wait = talk.wait("report");
        let (mut page, chosen) = page(evaluation, model);
        page.command = command();
        page.show(&chosen, evaluation.images.len(), |chosen, room| {
            let is = |path: &&PathBuf| path.display().to_string() == chosen.input;
            let path = images.iter().find(is).context("it is no image any more")?;
            let input: Input<D> = read::open(path, None, model, device)?;
            let seen = explainer.observe(input.tensor.clone())?;
            let annotations =
                args.question.sets.files()?.of_image(path, &self.folders)?.read(&input, &seen)?;
            let (asked, how) = (args.question.asked(), How::default());
            let network = (&annotations, *model);
            Case::of_chosen(chosen, (&input, &seen), network, (&asked, &how), room)
        });
        let file = page.file();
        wait.finish_and_clear();
        file
    }

    /// What was measured on one image, now or earlier.
    fn one<const D: usize>(
        &self,
        explainer: &Explainer<D>,
        path: &Path,
        file: &str,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Measured> {
        let Self { args, model, device, folders, .. } = self;
        let files = args.question.sets.files()?.of_image(path, folders)?;
        let region = args.measure.region.as_ref();
        let region = region.map(|region| folders.beside(region, path)).transpose()?;
        let contents = self.contents.of_image(path, &files, region.as_deref())?;
        if let Some(known) = known(&self.kept.path(file), path, &contents) {
            return Ok(known);
        }
        let image = path.display().to_string();
        let input: Input<D> = read::open(path, None, model, device)?;
        let seen = explainer.observe(input.tensor.clone())?;
        let region =
            region.map(|region| measure::region(&region, args.measure.region_resize, &input));
        let (asked, annotations) = (args.question.asked(), files.read(&input, &seen)?);
        let answers = measure(
            (&seen, model),
            &asked,
            &annotations,
            region.transpose()?.as_deref(),
            &self.protocol,
            progress,
        )?;
        let default = args.network.default_note(seen.prediction())?;
        let notes = annotations.notes.into_iter().chain(input.notes).chain(default).collect();
        let bytes = serde_json::to_vec(&Measured { image, contents, notes, answers })?;
        // What a later run will read.
        let measured: Measured = serde_json::from_slice(&bytes)?;
        if measured.answers.iter().any(|answer| !answer.rows.is_empty()) {
            self.kept.write(&File { name: file.into(), bytes })?;
        }
        Ok(measured)
    }
}

/// How long further images will take if each takes as long as the first.
fn time_left(first: Duration, images: usize) -> String {
    let all = (first * images as u32).max(Duration::from_secs(1));
    let more = if images == 1 { "1 more image" } else { &format!("{images} more images") };
    format!("about {} for {more} (the first one is measured)", HumanDuration(all))
}

/// What could not be measured, a line each.
fn failed(evaluation: &Evaluation) -> Vec<String> {
    let left_out = |left: &LeftOut| format!("left out: {}: {}", left.image, left.error);
    let mut lines: Vec<String> = evaluation.failures.iter().map(left_out).collect();
    for image in &evaluation.images {
        for answer in &image.answers {
            let class = class_title(answer.class, answer.class_name.as_deref());
            lines.extend(answer.failures.iter().map(|map| {
                let (set, method) = (&answer.pixel_set, &map.method);
                let map = format!("{method} at {}: {}", map.layer, map.error);
                format!("{}, {class}, pixel set {set}, {map}", image.image)
            }));
        }
    }
    lines
}

fn print(evaluation: &Evaluation, out: &Folder) -> Result<()> {
    evaluation.notes.iter().try_for_each(say)?;
    for question in &evaluation.questions {
        say(format!("{}, pixel set {}: means", question.title(), question.pixel_set))?;
        means(question)?;
    }
    for image in &evaluation.images {
        for answer in &image.answers {
            if let Some(error) = &answer.error {
                let class = class_title(answer.class, answer.class_name.as_deref());
                say(format!("{}, {class}: {error}", image.image))?;
            }
        }
    }
    let mut comparisons = evaluation.questions.iter().flat_map(|question| &question.comparisons);
    if let Some(reason) = comparisons.find_map(|row| row.reason.as_deref()) {
        say(format!("methods are not all compared: {reason}"))?;
    }
    for file in &evaluation.files {
        say(out.path(file).display())?;
    }
    Ok(())
}

/// A row for each map and a column for each metric.
fn means(Summaries { study, .. }: &Summaries) -> Result<()> {
    let metrics = study.metrics();
    let header = ["method", "layer", "images"].into_iter();
    let header: Vec<&str> = header.chain(metrics.iter().map(|metric| metric.name())).collect();
    let rows = study.maps().into_iter().map(|(method, layer)| {
        let found: Vec<_> =
            metrics.iter().map(|metric| study.summary(method, layer, *metric)).collect();
        let images = found.iter().flatten().map(|found| found.images).max().unwrap_or(0);
        let cells = [method.to_string(), layer.to_string(), images.to_string()];
        let values = found.iter().map(|found| found.as_ref().map_or("".into(), |s| number(s.mean)));
        cells.into_iter().chain(values).collect()
    });
    say(table(&header, rows, 2..3 + metrics.len()).trim_fmt())
}

/// Three digits, also of small numbers.
fn number(value: f64) -> String {
    if value == 0.0 || value.abs() >= 5e-4 { format!("{value:.3}") } else { format!("{value:.0e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_other_images_is_that_of_the_first() {
        let of = |milliseconds, images| time_left(Duration::from_millis(milliseconds), images);
        assert_eq!(of(120_000, 2), "about 4 minutes for 2 more images (the first one is measured)");
        assert_eq!(of(300, 1), "about 1 second for 1 more image (the first one is measured)");
    }
}
