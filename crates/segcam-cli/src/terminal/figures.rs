//! A run that ends in figures and a report, whatever it explains.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use rayon::prelude::*;
use segcam::{CamError, Observation};
use segcam_cli::ask::Question;
use segcam_cli::draw::failure;
use segcam_cli::explain::{Answer, How, explain};
use segcam_cli::network::class_title;
use segcam_cli::report::{Drawn, Failure, MapReport, Report};
use segcam_cli::write::Folder;

use super::{Finished, Talk, command, say, table};

/// A run of which figure after figure is finished.
pub(crate) struct Run {
    pub(crate) report: Report,
    pub(crate) out: Folder,
    pub(crate) talk: Talk,
}

impl Run {
    /// Explains, draws and writes figure by figure, until the device is lost. While some are drawn and
    /// written, the maps of the next are computed, and no more than one for each thread wait.
    pub(crate) fn explain<const D: usize, T: Send>(
        &mut self,
        seen: Observation<D>,
        question: &Question<D>,
        how: &How,
        draw: impl Fn(&Observation<D>, &Answer<D>) -> Result<T> + Send + Sync,
        keep: impl FnMut(&Answer<D>, T) -> Result<Drawn> + Send,
    ) -> Result<(Observation<D>, Option<CamError>)> {
        let maps = question.figures.len() * question.layers.len() * question.methods.len();
        let bar = self.talk.bar(maps);
        let steps = bar.clone();
        let begun = Mutex::new(Instant::now());
        let seen = seen.with_progress(move |done, all| {
            let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
            if done == 0 {
                *begun = Instant::now();
            }
            let left = begun.elapsed().mul_f64((all - done) as f64 / done.max(1) as f64);
            let left = if done == 0 { String::new() } else { format!(", {} s", left.as_secs()) };
            steps.set_message(format!("(step {done} of {all}{left})"));
        });
        bar.tick();
        let stopped = thread::scope(|scope| {
            let (to_draw, answers) = mpsc::sync_channel(rayon::current_num_threads());
            let drawing = scope.spawn(|| self.draw_each(&seen, answers, draw, keep));
            for answer in explain(question, &seen, how, || bar.inc(1)) {
                if to_draw.send(answer).is_err() {
                    break;
                }
            }
            drop(to_draw);
            drawing.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        bar.finish_and_clear();
        Ok((seen, stopped?))
    }

    /// Draws answers, as many at a time as are there, and writes them in their order, until there are no
    /// more or the device is lost.
    fn draw_each<const D: usize, T: Send>(
        &mut self,
        seen: &Observation<D>,
        answers: Receiver<Answer<D>>,
        draw: impl Fn(&Observation<D>, &Answer<D>) -> Result<T> + Sync,
        mut keep: impl FnMut(&Answer<D>, T) -> Result<Drawn>,
    ) -> Result<Option<CamError>> {
        while let Ok(first) = answers.recv() {
            let some: Vec<Answer<D>> = std::iter::once(first).chain(answers.try_iter()).collect();
            let drawn = some.par_iter().map(|answer| match answer.lost() {
                None => draw(seen, answer),
                Some(lost) => bail!(lost.clone()),
            });
            let drawn: Vec<Result<T>> = drawn.collect();
            for (answer, drawn) in some.iter().zip(drawn) {
                match drawn.and_then(|drawn| keep(answer, drawn)) {
                    Ok(drawn) => {
                        let files = self.report.add(drawn);
                        files.iter().try_for_each(|file| self.out.write(file))?;
                    }
                    Err(error) => {
                        let lost = error.downcast::<CamError>()?;
                        self.report.failures.push(failure(answer.figure, None, &lost));
                        return Ok(Some(lost));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Writes the report, and says what was done.
    pub(crate) fn finish(mut self, stopped: Option<CamError>) -> Result<Finished> {
        let report = &mut self.report;
        if report.maps.is_empty() {
            let [first, others @ ..] = &report.failures[..] else { bail!("nothing was asked") };
            let more = match others.len() {
                0 => String::new(),
                more => format!(" (and {more} more failed)"),
            };
            bail!("{}{more}", first.error);
        }
        report.failures.retain(|failure| !failure.optional);
        report.command = command();
        self.out.write(&report.file()?)?;
        self.out.finish()?;
        let mut failures: Vec<String> = report.failures.iter().map(in_words).collect();
        if let Some(error) = stopped {
            let kept = self.out.path("");
            failures.pop();
            let error = segcam_cli::explain::in_words(&error);
            failures.push(format!("{error}; what was finished before is in {}", kept.display()));
            return Ok(Finished { failures, ..Finished::default() });
        }
        match self.talk {
            Talk::Quiet => {}
            Talk::Json => say(report.json()?)?,
            Talk::Tables => print(report, &self.out)?,
        }
        Ok(Finished { failures, ..Finished::default() })
    }
}

/// A failure as a line that says what failed.
fn in_words(failure: &Failure) -> String {
    let Failure { class, pixel_set, method, layer, error, .. } = failure;
    match (method, layer) {
        (Some(method), Some(layer)) => {
            format!("class {class}, pixel set {pixel_set}, {method} at {layer}: {error}")
        }
        _ => format!("class {class}: {error}"),
    }
}

fn print(report: &Report, out: &Folder) -> Result<()> {
    say(format!("{} on {} {:?}", report.model, report.input, report.input_shape))?;
    say(format!("class: {}; engine: {}", report.class_chosen, report.engine))?;
    if out.replaced() > 0 {
        let folder = out.path("");
        say(format!(
            "replaced the earlier run in {} ({} files)",
            folder.display(),
            out.replaced()
        ))?;
    }
    report.notes.iter().try_for_each(say)?;
    for judged in &report.judged {
        let class = class_title(judged.class, judged.class_name.as_deref());
        let dice = judged.dice.map_or("no such pixels".into(), |dice| format!("Dice {dice:.3}"));
        let (missed, wrong) = (judged.false_negatives, judged.false_positives);
        say(format!(
            "{class} beside the annotation: {dice}, {missed} missed, {wrong} false alarms"
        ))?;
    }
    let header = [
        "image",
        "class",
        "method",
        "layer",
        "pixel set",
        "pixels",
        "score",
        "smallest",
        "largest",
        "status",
    ];
    let certified = report.maps.iter().any(|map| map.certificate.is_some());
    let mut header = header.to_vec();
    if certified {
        header.extend(["through layer", "impossible"]);
    }
    let rows = report.maps.iter().flat_map(|map| (0..map.pixels.len()).map(|at| row(map, at)));
    say(table(&header, rows, 5..9).trim_fmt())?;
    // Of very many figures the sheets that show them side by side.
    let sheets = report.files.iter().any(|file| file.starts_with("overview"));
    let shown = if sheets { "overview" } else { "compare" };
    let shown = |file: &&String| file.starts_with(shown) || file.ends_with(".html");
    for file in report.files.iter().filter(shown) {
        say(out.path(file).display())?;
    }
    Ok(())
}

fn row(map: &MapReport, sample: usize) -> Vec<String> {
    let percent = |part: f64| format!("{:.1} %", 100.0 * part);
    // Certificates are of the whole batch.
    let certificate = map.certificate.iter().flat_map(|certificate| {
        let score: f64 = map.score.iter().sum();
        let share = (score != 0.0).then(|| percent(certificate.layer / score));
        [share, certificate.impossible.map(percent)].map(Option::unwrap_or_default)
    });
    let row = vec![
        sample.to_string(),
        map.class_name.clone().unwrap_or_else(|| map.class.to_string()),
        map.method.clone(),
        map.layer.clone(),
        map.pixel_set.clone(),
        map.pixels[sample].to_string(),
        format!("{:.4e}", map.score[sample]),
        format!("{:.3e}", map.raw_min[sample]),
        format!("{:.3e}", map.raw_max[sample]),
        map.status[sample].clone(),
    ];
    row.into_iter().chain(certificate).collect()
}
