use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{HumanDuration, ProgressStyle};
use segcam::Explainer;
use segcam::burn::tensor::Device;
use segcam_batch::{Batch, Item, Listing, Progress, Stop, Summary, list, manifest};
use segcam_cli::ask::{Asked, check};
use segcam_cli::batch::{Explaining, FIELDS, Measuring, Saved, columns, inputs};
use segcam_cli::network::Model;
use segcam_cli::with_explainer;
use serde_json::json;

use super::advice::in_words;
use super::args::{BatchArgs, MergeArgs, Save};
use super::{Finished, Talk, say};

/// Some row says why there is no map.
const SOME_FAILED: u8 = 3;
/// As shells say it of programs that Ctrl-C ends.
const INTERRUPTED: u8 = 130;
/// Failures that are printed; the table has all.
const PRINTED: usize = 10;

/// How often a line says how far a run is.
const SAY_EACH: Duration = Duration::from_secs(60);

/// `segcam batch`
pub(crate) fn run(args: &BatchArgs, talk: Talk) -> Result<Finished> {
    let listing = listing(args)?;
    let device = args.network.device.open()?;
    let source = args.network.source()?;
    let (model, network) = source.open(&device)?;
    let asked = args.question.asked();
    let settings = args.settings(&model, &source, &asked)?;
    let mut items = listing.items.clone();
    if let Some(shard) = args.shard {
        items.retain(|item| shard.holds(item));
    }
    if talk == Talk::Tables {
        said(args, &listing, items.len())?;
    }
    let start = Instant::now();
    let (summary, batch) = with_explainer!(network, explainer => {
        checked(args, &asked, &model, &explainer, &device)?;
        let mut batch = Batch::create(&args.out, columns(), settings)?.with_jobs(args.jobs.into());
        if let Some(gigabytes) = args.memory {
            batch = batch.with_memory((gigabytes * 1e9) as usize);
        }
        if batch.dropped() > 0 && talk == Talk::Tables {
            say(format!("{} inputs had been explained with other settings", batch.dropped()))?;
        }
        let work = explaining(args, asked, &model, &explainer, &device)?;
        (explain(&mut batch, &items, &work, talk)?, batch)
    });
    let table = batch.table();
    if args.csv && !summary.stopped {
        batch.write_csv()?;
    }
    finish(&summary, &table, items.len(), start, talk)
}

fn listing(args: &BatchArgs) -> Result<Listing> {
    let is_table =
        args.input.extension().is_some_and(|ending| ending == "csv" || ending == "parquet");
    Ok(match is_table {
        true => manifest(&args.input, &FIELDS)?,
        false => list(&args.input, &inputs(&args.out))?,
    })
}

/// What of the source is no input, and what is.
fn said(args: &BatchArgs, listing: &Listing, mine: usize) -> Result<()> {
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
    say(line)?;
    match args.network.is_default() {
        true => {
            say("no --model: taken is nuclei-unet, which knows fluorescence images of cell nuclei")
        }
        false => Ok(()),
    }
}

/// What is wrong with the words is said at once, and not of each input.
fn checked<const D: usize>(
    args: &BatchArgs,
    asked: &Asked,
    model: &Model,
    explainer: &Explainer<D>,
    device: &Device,
) -> Result<()> {
    let files = args.question.sets.files()?;
    let table = args.input.extension().is_some_and(|ending| ending != "txt");
    let annotations = [
        (table || files.truth.is_some()).then_some("annotation"),
        (table || files.instances.is_some()).then_some("instances"),
    ];
    let given: Vec<&str> = annotations.into_iter().flatten().collect();
    check(asked, model, &model.observe_blank(explainer, device)?, &given)
}

fn explaining<'a, const D: usize>(
    args: &BatchArgs,
    asked: Asked,
    model: &'a Model,
    explainer: &'a Explainer<D>,
    device: &'a Device,
) -> Result<Explaining<'a, D>> {
    let metrics = args.measure.asked();
    let measuring = (!metrics.is_empty()).then(|| Measuring {
        protocol: args.measure.protocol(metrics),
        region: args.measure.region.clone(),
        region_resize: args.measure.region_resize,
    });
    Ok(Explaining {
        explainer,
        model,
        device,
        asked,
        how: args.maps.how(),
        style: args.draw.style("")?,
        saved: Saved { figures: args.figures, prediction: args.draw.saves(Save::Prediction) },
        annotations: args.question.sets.files()?,
        measuring,
        slice: args.slice,
        out: args.out.clone(),
        words: in_words,
    })
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

fn finish(
    summary: &Summary,
    table: &Path,
    inputs: usize,
    start: Instant,
    talk: Talk,
) -> Result<Finished> {
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
        failures.push(format!("stopped after {done} of {inputs} inputs; the same command goes on"));
        return Ok(Finished { failures, code: Some(INTERRUPTED) });
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
        }
    }
    let code = (!failed.is_empty()).then_some(SOME_FAILED);
    Ok(Finished { failures, code })
}

/// `segcam merge`
pub(crate) fn merge(args: &MergeArgs) -> Result<()> {
    let rows = segcam_batch::merge(&args.tables, &args.out)?;
    say(format!("{} ({rows} rows of {} tables)", args.out.display(), args.tables.len()))
}
