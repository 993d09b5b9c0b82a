//! The `segcam-cluster` program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::json::ArrayWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use segcam_cli::terminal::{Finished, Talk, command_line, program, say};
use segcam_cluster::{
    Cluster, Executor, Inputs, Kept, Networks, Options, Portions, Scheduler, maps, run,
};

/// Explains many inputs as a DataFusion plan, here or on a cluster, and asks SQL of the tables.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  segcam-cluster sql audit/results.parquet 'select layer, method, avg(leak) from maps group by 1, 2'
  segcam-cluster batch --cluster df://head:50050 --input /data/scans --model /data/net.onnx --out /data/audit
  segcam-cluster scheduler --listen 10.0.0.1:50050 --host head
  segcam-cluster executor --scheduler head:50050 --listen 10.0.0.2:0 --host node1"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask SQL of tables of batches
    Sql(SqlArgs),
    /// Explain each of many inputs, as `segcam batch` does
    Batch(BatchCommand),
    /// Deal out tasks to executors
    Scheduler(SchedulerArgs),
    /// Compute tasks
    Executor(ExecutorArgs),
}

#[derive(Debug, clap::Args)]
struct SqlArgs {
    /// Tables, together called `maps`, and a query. explain(PATH, 'OPTIONS of segcam batch') is a function
    #[arg(value_names = ["TABLE", "QUERY"], num_args = 2.., required = true)]
    words: Vec<String>,

    /// Print JSON instead of a table
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print CSV instead of a table
    #[arg(long)]
    csv: bool,
}

#[derive(Debug, clap::Args)]
struct BatchCommand {
    /// Who computes: here (DataFusion in this process), standalone (Ballista in this process) or a
    /// scheduler, df://HOST:PORT
    #[arg(long, value_name = "WHERE", default_value = "here")]
    cluster: Cluster,

    /// Inputs of a task: so many at most are computed again if an executor is lost
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    per_task: u32,

    /// Inputs of a query: their results come back together, and are kept
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    per_query: u32,

    /// Print errors only
    #[arg(long, short)]
    quiet: bool,

    /// Print JSON
    #[arg(long, conflicts_with = "quiet")]
    json: bool,

    /// Options of `segcam batch`, after those above. Executors see its paths under the same names
    #[arg(
        value_name = "OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true
    )]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Whoever can connect can compute: there is no password and no encryption.")]
struct SchedulerArgs {
    /// Address and port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050")]
    listen: SocketAddr,

    /// What others call this machine
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,

    /// An executor that has not asked for so many seconds is lost, and its tasks go to others. Executors
    /// ask every 5 seconds, however long a task takes
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(10..))]
    lost_after: u32,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Whoever can connect can compute: there is no password and no encryption.")]
struct ExecutorArgs {
    /// The scheduler
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:50050", value_parser = host_and_port)]
    scheduler: (String, u16),

    /// Address and port from which results are fetched; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// What others call this machine
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,

    /// Tasks at the same time; each uses all cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    tasks: u16,

    /// How many seconds to wait for the scheduler
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u16,
}

fn host_and_port(text: &str) -> Result<(String, u16)> {
    let parts = text.trim_start_matches("df://").rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host.to_string(), port.parse().ok()?)));
    parts.context("wanted HOST:PORT")
}

fn main() -> ExitCode {
    program(|args: Args| match args.command {
        Command::Sql(args) => wait(2, sql(&args)),
        Command::Batch(args) => batch(&args),
        Command::Scheduler(args) => {
            let SchedulerArgs { listen, host, lost_after } = args;
            let lost_after = Duration::from_secs(lost_after.into());
            let scheduler = Scheduler { listen, host, lost_after };
            wait(2, done(async move { scheduler.serve().await }))
        }
        Command::Executor(args) => {
            let ExecutorArgs { scheduler, listen, host, tasks, patience } = args;
            let (tasks, patience) = (tasks.into(), Duration::from_secs(patience.into()));
            let executor = Executor { scheduler, listen, host, tasks, patience };
            wait(2, done(async move { executor.serve().await }))
        }
    })
}

async fn done(what: impl Future<Output = Result<()>>) -> Result<Finished> {
    what.await.map(|()| Finished::default())
}

/// Runs what waits, on so many threads.
fn wait<T>(threads: usize, what: impl Future<Output = Result<T>>) -> Result<T> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(threads).enable_all().build()?.block_on(what)
}

async fn sql(args: &SqlArgs) -> Result<Finished> {
    let Some((query, tables)) = args.words.split_last() else { bail!("wanted tables and a query") };
    let context = Cluster::Here.context(Arc::new(Networks::default()), 1).await?;
    let tables: Vec<PathBuf> = tables.iter().map(PathBuf::from).collect();
    maps(&context, &tables).await?;
    let found = ask(&context, query).await?;
    if args.json {
        let mut json = ArrayWriter::new(vec![]);
        json.write_batches(&found.iter().collect::<Vec<_>>())?;
        json.finish()?;
        say(String::from_utf8(json.into_inner())?)?;
    } else if args.csv {
        let mut csv = vec![];
        let mut writer = WriterBuilder::new().build(&mut csv);
        found.iter().try_for_each(|batch| writer.write(batch))?;
        drop(writer);
        say(String::from_utf8(csv)?.trim_end())?;
    } else {
        say(pretty_format_batches(&found)?)?;
    }
    Ok(Finished::default())
}

async fn ask(context: &SessionContext, query: &str) -> Result<Vec<RecordBatch>> {
    let found = context.sql(query).await?;
    let schema = found.schema().as_arrow().clone();
    let mut batches = found.collect().await?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema.into()));
    }
    Ok(batches)
}

fn batch(command: &BatchCommand) -> Result<Finished> {
    let typed = command_line("segcam-cluster");
    let (asked, args) = Options::new(&command.words, &std::env::current_dir()?, &typed)?;
    if args.memory.is_some() {
        bail!(
            "--memory is for segcam batch: here --jobs, and --tasks of executors, say how much is computed"
        );
    }
    let talk = match (command.quiet, command.json) {
        (true, _) => Talk::Quiet,
        (_, true) => Talk::Json,
        _ => Talk::Tables,
    };
    let inputs = Inputs::of(&args)?;
    let jobs = usize::from(args.jobs);
    let networks = Arc::new(Networks::default());
    let loaded = networks.get(&asked.to_string())?;
    let opened = loaded.opened();
    if talk == Talk::Tables {
        opened.said(&inputs.line)?;
    }
    let start = Instant::now();
    let kept = Kept::of(&args)?;
    let mut batch = opened.batch(kept.folder(), talk)?;
    let portions =
        Portions { per_task: command.per_task as usize, per_query: command.per_query as usize };
    let bar = talk.bar(inputs.items.len());
    let failed = AtomicUsize::new(0);
    let progress = |done: usize, errors: usize| {
        bar.inc(done as u64);
        let failed = failed.fetch_add(errors, Ordering::Relaxed) + errors;
        if failed > 0 {
            bar.set_message(format!("({failed} failed)"));
        }
    };
    let threads = if command.cluster == Cluster::Here { jobs } else { jobs + 1 };
    let summary = wait(threads, async {
        let context = command.cluster.context(networks.clone(), jobs).await?;
        run(&context, (&loaded, &asked), &mut batch, &inputs, portions, &progress).await
    });
    bar.finish_and_clear();
    let summary = summary?;
    opened.write_beside(&batch, &summary, talk)?;
    let table = if summary.stopped { batch.table() } else { kept.put()? };
    opened.finish(&table, &summary, inputs.items.len(), start, talk)
}
