//! How much of the code is held by tests: faults are put in one at a time, and a test must fail.
//! cargo-mutants lists the faults; they are built here in a second working tree with the features and the
//! target folder of every other build, so that nothing below the crate is compiled again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::{root, run as run_command, target};

/// Crates with their shard (every so many-th fault, from the first) and the tests that hold them.
const CRATES: [(&str, &str, &[&str]); 4] = [
    ("segcam-pixels", "0/5", &["text", "sets", "parts"]),
    ("segcam-metrics", "0/4", &["protocol", "metrics", "rounding"]),
    ("segcam-core", "0/11", IN_THE_GRAPH),
    ("segcam-graph", "0/11", IN_THE_GRAPH),
];
const IN_THE_GRAPH: &[&str] = &[
    "plan",
    "together",
    "engine",
    "rules",
    "weights",
    "concrete",
    "certificates",
    "methods",
    "perturbation",
    "fusion_smoothing",
    "oracles",
    "rounding",
    "data",
];
/// A fault that makes tests wait for ever is caught, too.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Deserialize)]
struct Mutant {
    file: String,
    name: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
    end: Place,
}

/// Both from 1; columns count characters.
#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

/// All crates, or those named.
pub(crate) fn run(wanted: &[String]) -> Result<()> {
    let known: Vec<&str> = CRATES.iter().map(|(package, ..)| *package).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no faults of {unknown}: there are those of {}", known.join(", "));
    }
    let tree = target().join("mutants");
    if tree.exists() {
        run_command(git(root()).args(["worktree", "remove", "--force"]).arg(&tree), &[])?;
    }
    run_command(git(root()).args(["worktree", "add", "--detach"]).arg(&tree), &[])?;
    let done = CRATES
        .iter()
        .filter(|(package, ..)| wanted.is_empty() || wanted.iter().any(|name| name == package))
        .try_for_each(|(package, shard, tests)| of_crate(&tree, package, shard, tests));
    run_command(git(root()).args(["worktree", "remove", "--force"]).arg(&tree), &[])?;
    done
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    git
}

fn of_crate(tree: &Path, package: &str, shard: &str, tests: &[&str]) -> Result<()> {
    let list = Command::new(env!("CARGO"))
        .args(["mutants", "--list", "--json", "--package", package, "--shard", shard])
        .current_dir(tree)
        .output()?;
    ensure!(
        list.status.success(),
        "is cargo-mutants there? `cargo install cargo-mutants --locked`"
    );
    let mutants: Vec<Mutant> = serde_json::from_slice(&list.stdout)?;
    ensure!(test(tree, tests)? == "not caught", "the tests of {package} fail as they are");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let start = Instant::now();
    for mutant in &mutants {
        let file = tree.join(&mutant.file);
        let text = fs::read_to_string(&file)?;
        fs::write(&file, mutant.applied(&text).context(mutant.name.clone())?)?;
        let found = test(tree, tests);
        for back in [&["checkout", "--quiet", "."][..], &["clean", "--quiet", "--force", "-d"]] {
            ensure!(git(tree).args(back).status()?.success(), "git cannot undo {}", mutant.name);
        }
        let found = found?;
        *counts.entry(found).or_default() += 1;
        println!("{found}: {}", mutant.name);
    }
    let minutes = start.elapsed().as_secs() / 60;
    println!("{package}: {} faults in {minutes} minutes: {counts:?}", mutants.len());
    Ok(())
}

impl Mutant {
    fn applied(&self, text: &str) -> Option<String> {
        let at = |place: &Place| {
            let line: usize = text.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
            let rest = text.get(line..)?;
            Some(line + rest.chars().take(place.column - 1).map(char::len_utf8).sum::<usize>())
        };
        let (start, end) = (at(&self.span.start)?, at(&self.span.end)?);
        Some(text[..start].to_string() + &self.replacement + &text[end..])
    }
}

/// Whether the code is built and the tests pass: first those that hold the crate, and if they do not
/// notice anything, unit tests and examples in the documentation, too.
fn test(tree: &Path, tests: &[&str]) -> Result<&'static str> {
    let named: Vec<&str> = tests.iter().flat_map(|test| ["--test", test]).collect();
    let cargo = |options: &[&str], last: &[&str]| -> Result<Option<bool>> {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(tree).args(["test", "--workspace", "--quiet"]).args(last);
        command.args(options);
        command.env("CARGO_TARGET_DIR", target()).env("RUST_BACKTRACE", "0");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE || last == ["--no-run"] {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status.success()));
            }
            sleep(Duration::from_millis(50));
        }
        child.kill()?;
        child.wait()?;
        Ok(None)
    };
    if cargo(&named, &["--no-run"])? != Some(true) {
        return Ok("not built");
    }
    for options in [&named[..], &["--lib"], &["--doc"]] {
        match cargo(options, &[])? {
            Some(true) => {}
            Some(false) => return Ok("caught"),
            None => return Ok("caught, too slow"),
        }
    }
    Ok("not caught")
}
