mod html;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{HumanDuration, ProgressStyle};
use segcam::Explainer;
use segcam::burn::tensor::Device;
use segcam::models::Network;
use segcam_batch::{
    Batch, Finished, Item, Listing, Progress, Settings, Stop, Summary, Work, list, manifest,
};
use segcam_cli::ask::{Asked, check};
use segcam_cli::batch::{Explaining, FIELDS, Measuring, Saved, inputs};
use segcam_cli::beside::Folders;
use segcam_cli::columns::columns;
use segcam_cli::html::REPORT;
use segcam_cli::network::Model;
use segcam_cli::with_explainer;
use serde_json::json;

use super::advice::in_words;
use super::args::{BatchArgs, MergeArgs, Save};
use super::{Finished as Terminal, Talk, say};

/// Some row says why there is no map.
const SOME_FAILED: u8 = 3;
/// As shells say it of programs that Ctrl-C ends.
const INTERRUPTED: u8 = 130;
/// Failures that are printed; the table has all.
const PRINTED: usize = 10;

/// How often a line says how far a run is.
const SAY_EACH: Duration = Duration::from_secs(60);

/// `segcam batch`
pub(crate) fn run(args: BatchArgs, talk: Talk) -> Result<Terminal> {
    let (items, line) = args.items()?;
    let opened = Opened::new(args)?;
    if talk == Talk::Tables {
        opened.said(&line)?;
    }
    let start = Instant::now();
    let mut batch = opened.batch(&opened.args.out, talk)?;
    let summary = with_explainer!(&opened.network, explainer => {
        explain(&mut batch, &items, &opened.work(explainer)?, talk)?
    });
    opened.write_beside(&batch, &summary, talk)?;
    opened.finish(&batch.table(), &summary, items.len(), start, talk)
}

/// What `segcam batch` was asked, with its network loaded and its words checked: what explains inputs, one
/// after the other or at the same time, here or elsewhere.
#[derive(Debug)]
pub struct Opened {
    args: BatchArgs,
    asked: Asked,
    model: Model,
    network: Network,
    device: Device,
    settings: Settings,
    folders: Folders,
}

impl Opened {
    /// Loads the network. What is wrong with the words is said at once, and not of each input.
    ///
    /// # Errors
    /// Networks that cannot be used, and words that mean nothing to them.
    pub fn new(args: BatchArgs) -> Result<Self> {
        let device = args.network.device.open()?;
        let source = args.network.source()?;
        let (model, network) = source.open(&device)?;
        let asked = args.question.asked();
        let settings = args.settings(&model, &source, &asked)?;
        let blank = with_explainer!(&network, explainer => {
            checked(&args, &asked, &model, explainer, &device)
        });
        let folders = Folders::default();
        blank.map(|()| Self { args, asked, model, network, device, settings, folders })
    }

    /// Makes a folder for the table, or goes on in it.
    ///
    /// # Errors
    /// As [`Batch::create`].
    pub fn batch(&self, folder: &Path, talk: Talk) -> Result<Batch> {
        let args = &self.args;
        let settings = self.settings.clone();
        let batch = match args.replace {
            true => Batch::replacing(folder, columns(), settings)?,
            false => Batch::create(folder, columns(), settings)?,
        };
        let mut batch = batch.with_jobs(args.jobs.into());
        if let Some(gigabytes) = args.memory {
            batch = batch.with_memory((gigabytes * 1e9) as usize);
        }
        if batch.dropped() > 0 && talk == Talk::Tables {
            say(format!(
                "{} inputs were explained with other settings: replaced",
                batch.dropped()
            ))?;
        }
        Ok(batch)
    }

    /// A hash of the files that the rows of an input depend on, if they can be read.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn contents(&self, item: &Item) -> Result<Option<String>> {
        with_explainer!(&self.network, explainer => {
            Ok(self.work(explainer)?.contents(item).ok().map(|(contents, _)| contents))
        })
    }

    /// Explains one input and writes what is asked for. What is wrong with it becomes its row.
    ///
    /// # Errors
    /// What is wrong with all inputs, in words.
    pub fn explain(&self, item: &Item) -> Result<Finished, String> {
        with_explainer!(&self.network, explainer => {
            let work = self.work(explainer).map_err(|error| in_words(&error))?;
            Finished::of(item, &work)
        })
    }

    /// Writes what is asked for beside a table that is whole: the same as CSV (also if an earlier run was
    /// asked for that), and the report.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_beside(&self, batch: &Batch, summary: &Summary, talk: Talk) -> Result<()> {
        if summary.stopped {
            return Ok(());
        }
        if self.args.csv || batch.csv().exists() {
            batch.write_csv()?;
        }
        if self.args.html { self.write_report(batch, talk) } else { Ok(()) }
    }

    /// Says how a run ended, and where its table is.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(
        &self,
        table: &Path,
        summary: &Summary,
        inputs: usize,
        start: Instant,
        talk: Talk,
    ) -> Result<Terminal> {
        let Summary { known, computed, failed, stopped, .. } = summary;
        let seconds = start.elapsed().as_secs_f64();
        let mut failures: Vec<String> =
            failed.iter().take(PRINTED).map(|(input, error)| format!("{input}: {error}")).collect();
        if failed.len() > PRINTED {
            let more = failed.len() - PRINTED;
            failures.push(format!("and {more} more: column `error` of the table"));
        }
        if *stopped {
            let done = known + computed;
            failures
                .push(format!("stopped after {done} of {inputs} inputs; the same command goes on"));
            return Ok(Terminal { failures, code: Some(INTERRUPTED) });
        }
        match talk {
            Talk::Quiet => {}
            Talk::Json => say(serde_json::to_string_pretty(&json!({
                "table": table, "inputs": inputs, "computed": computed, "known": known,
                "failed": failed.iter().map(|(input, error)| json!({ "input": input, "error": error }))
                    .collect::<Vec<_>>(),
                "seconds": seconds,
            }))?)?,
            Talk::Tables => {
                let rate = *computed as f64 / seconds;
                let mut line = format!("{computed} inputs in {seconds:.1} s ({rate:.2} a second)");
                if *known > 0 {
                    line += &format!(", {known} known from before");
                }
                if !failed.is_empty() {
                    line += &format!(", {} with errors", failed.len());
                }
                say(line)?;
                say(table.display())?;
                if self.args.html {
                    say(self.args.out.join(REPORT).display())?;
                }
            }
        }
        let code = (!failed.is_empty()).then_some(SOME_FAILED);
        Ok(Terminal { failures, code })
    }

    /// Prints the line of [`BatchArgs::items`], and what is taken without a word.
    ///
    /// # Errors
    /// What the system says.
    pub fn said(&self, line: &str) -> Result<()> {
        say(line)?;
        let Some(taken) = self.args.network.taken() else { return Ok(()) };
        say(format!("{taken}; how sure it is of each input: column `confidence`"))
    }

    fn work<'a, const D: usize>(
        &'a self,
        explainer: &'a Explainer<D>,
    ) -> Result<Explaining<'a, D>> {
        let args = &self.args;
        let metrics = args.measure.asked();
        let measuring = (!metrics.is_empty()).then(|| Measuring {
            // The table has no rows for these.
            protocol: args.measure.protocol(metrics).with_controls(false),
            region: args.measure.region.clone(),
            region_resize: args.measure.region_resize,
        });
        Ok(Explaining {
            explainer,
            model: &self.model,
            device: &self.device,
            asked: self.asked.clone(),
            how: args.maps.how(),
            style: args.draw.style("", &self.model)?,
            saved: Saved { figures: args.figures, prediction: args.draw.saves(Save::Prediction) },
            annotations: args.question.sets.files()?,
            folders: &self.folders,
            measuring,
            slice: args.slice,
            out: args.out.clone(),
            words: in_words,
        })
    }
}

impl BatchArgs {
    /// The inputs, or those of the shard, and a line that says how many there are and what is none.
    ///
    /// # Errors
    /// What cannot be read, and sources without inputs.
    pub fn items(&self) -> Result<(Vec<Item>, String)> {
        let is_table =
            self.input.extension().is_some_and(|ending| ending == "csv" || ending == "parquet");
        let listing = match is_table {
            true => manifest(&self.input, &FIELDS)?,
            false => list(&self.input, &inputs(&self.out))?,
        };
        Ok(self.items_of(listing))
    }

    /// The same where the inputs are listed already.
    pub fn items_of(&self, listing: Listing) -> (Vec<Item>, String) {
        let mut items = listing.items.clone();
        if let Some(shard) = self.shard {
            items.retain(|item| shard.holds(item));
        }
        let line = said(self, &listing, items.len());
        (items, line)
    }
}

/// What of the source is no input, and what is.
fn said(args: &BatchArgs, listing: &Listing, mine: usize) -> String {
    let Listing { items, others, repeated, unused_columns, .. } = listing;
    let mut line = format!("{} inputs", items.len());
    if let Some(shard) = args.shard {
        line += &format!(", {mine} of them in shard {shard}");
    }
    if *others > 0 {
        line += &format!("; {others} other files are left out");
    }
    if *repeated > 0 {
        line += &format!("; {repeated} are named twice");
    }
    if !unused_columns.is_empty() {
        line += &format!("; unused columns: {}", unused_columns.join(", "));
    }
    line
}

/// Whether the words mean something to the network.
fn checked<const D: usize>(
    args: &BatchArgs,
    asked: &Asked,
    model: &Model,
    explainer: &Explainer<D>,
    device: &Device,
) -> Result<()> {
    let files = args.question.sets.files()?;
    let region = args.measure.region.as_ref();
    let named = [
        ("--truth", files.truth.as_ref()),
        ("--instances", files.instances.as_ref()),
        ("--region", region),
    ];
    for (option, path) in named {
        if let Some(path) = path.filter(|path| !path.exists()) {
            bail!("{option} {}: no such file or folder", path.display());
        }
    }
    let table = args.input.extension().is_some_and(|ending| ending != "txt");
    let annotations = [
        (table || files.truth.is_some()).then_some("annotation"),
        (table || files.instances.is_some()).then_some("instances"),
    ];
    let given: Vec<&str> = annotations.into_iter().flatten().collect();
    check(asked, model, &model.observe_blank(explainer, device)?, &given)
}

fn explain<const D: usize>(
    batch: &mut Batch,
    items: &[Item],
    work: &Explaining<D>,
    talk: Talk,
) -> Result<Summary> {
    let stop = Stop::new();
    let asked = stop.clone();
    // Once: finish what was begun. Twice: at once.
    ctrlc::set_handler(move || {
        if asked.is_asked() {
            std::process::exit(INTERRUPTED.into());
        }
        asked.ask();
    })
    .context("cannot wait for Ctrl-C")?;
    let bar = talk.bar(items.len());
    let style = "{wide_bar} {pos}/{len}, {per_sec}, {eta} left {msg}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let failed = AtomicUsize::new(0);
    let said = Mutex::new(Instant::now());
    let progress = |progress: Progress| {
        if let Progress::Failed(..) = progress {
            let failed = failed.fetch_add(1, Ordering::Relaxed) + 1;
            bar.set_message(format!("({failed} failed)"));
            return;
        }
        bar.inc(1);
        // Where no bar can be drawn, as in the log of a cluster's job.
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if talk != Talk::Quiet && bar.is_hidden() && said.elapsed() > SAY_EACH {
            *said = Instant::now();
            let (done, left) = (bar.position(), HumanDuration(bar.eta()));
            let failed = failed.load(Ordering::Relaxed);
            eprintln!("{done} of {} inputs, {failed} failed, about {left} left", items.len());
        }
    };
    let summary = batch.run(items, work, &progress, &stop);
    bar.finish_and_clear();
    Ok(summary?)
}

/// `segcam merge`
pub(crate) fn merge(args: &MergeArgs) -> Result<()> {
    let rows = segcam_batch::merge(&args.tables, &args.out)?;
    say(format!("{} ({rows} rows of {} tables)", args.out.display(), args.tables.len()))
}
