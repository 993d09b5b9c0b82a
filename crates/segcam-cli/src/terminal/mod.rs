//! What is typed and what is printed: the program itself, and what other programs take of it.

mod advice;
mod args;
mod batch;
mod demo;
mod evaluate;
mod explain;
mod figures;
mod info;
mod listing;
mod pixels;
mod program;
mod serve;
mod slide;
mod studio;
mod summary;

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde::Serialize;

pub use args::{Args, BatchArgs, command_line};
pub use batch::Opened;
pub use program::{program, usage_in_one_line};

use args::Command;

/// How a command ended that did what it could.
#[derive(Debug, Default)]
pub struct Finished {
    /// What it could not do.
    pub failures: Vec<String>,
    /// The exit code, if not 2 with failures and 0 without.
    pub code: Option<u8>,
}

/// The `segcam` program, from what was typed.
///
/// # Errors
/// Whatever makes a command useless.
pub fn run(args: Args) -> Result<Finished> {
    let talk = args.talk();
    let done = |result: Result<()>| result.map(|()| Finished::default());
    match args.command {
        Command::Demo(demo) => demo::run(&demo, talk),
        Command::Studio(studio) => done(studio::run(&studio, talk)),
        Command::Explain(explain) => explain::run(&explain, talk),
        Command::Batch(args) => batch::run(*args, talk),
        Command::Merge(args) => done(batch::merge(&args)),
        Command::Table(args) => done(summary::run(&args, talk)),
        Command::Evaluate(evaluate) => evaluate::run(&evaluate, talk),
        Command::Layers(layers) => done(listing::layers(&layers, talk)),
        Command::Graph(graph) => done(listing::graph(&graph, talk)),
        Command::Info(info) => info::run(&info, talk),
        Command::Models => done(listing::models(talk)),
        Command::Methods => done(listing::methods(talk)),
        Command::Pixels(pixels) => done(pixels::run(&pixels, talk)),
        Command::Devices => done(listing::devices(talk)),
        Command::Serve(serve) => done(serve::run(&serve)),
    }
}

/// How much to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// Errors only.
    Quiet,
    /// JSON.
    Json,
    /// Tables and words.
    Tables,
}

impl Talk {
    /// A bar that counts steps.
    pub fn bar(self, steps: usize) -> ProgressBar {
        let length = steps as u64;
        let bar =
            if self == Self::Quiet { ProgressBar::hidden() } else { ProgressBar::new(length) };
        counted(&bar);
        bar
    }

    /// Shows that something goes on whose steps are not known as yet; it goes away with an error, too.
    pub(crate) fn wait(self, what: &'static str) -> ProgressBar {
        let bar =
            if self == Self::Quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let bar = bar.with_finish(ProgressFinish::AndClear);
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Prints rows as a table or as JSON.
    pub(crate) fn rows<R: Serialize>(
        self,
        header: &[&str],
        rows: &[R],
        cells: impl Fn(&R) -> Vec<String>,
    ) -> Result<()> {
        match self {
            Self::Quiet => Ok(()),
            Self::Json => say(serde_json::to_string_pretty(rows)?),
            Self::Tables => say(table(header, rows.iter().map(cells), 0..0).trim_fmt()),
        }
    }
}

fn counted(bar: &ProgressBar) {
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left {msg}") {
        bar.set_style(style);
    }
}

/// What tells a bar of windows how far they are.
pub(crate) fn of_windows(bar: &ProgressBar) -> impl Fn(usize, usize) + Send + Sync + 'static {
    let bar = bar.clone();
    move |done, all| {
        if bar.length() != Some(all as u64) {
            bar.set_length(all as u64);
            bar.set_message("windows");
            counted(&bar);
        }
        bar.set_position(done as u64);
    }
}

/// A table whose columns of numbers end at their right.
pub fn table<S: AsRef<str>>(
    header: &[S],
    rows: impl IntoIterator<Item = Vec<String>>,
    numbers: std::ops::Range<usize>,
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(AsRef::as_ref));
    table.add_rows(rows);
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The command line.
fn command() -> Vec<String> {
    std::env::args_os().map(|part| part.to_string_lossy().into_owned()).collect()
}

/// Prints a line. A reader that went away, as `head` does, wants no more of them.
///
/// # Errors
/// What the system says.
pub fn say(text: impl Display) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot print"),
    }
}
