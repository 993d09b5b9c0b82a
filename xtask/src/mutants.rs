//! cargo-mutants lists the faults. They are built in a second working tree, all that can be an `if` in one
//! build, the others one by one. Builds go to a folder of their own: Cargo takes artefacts of one working
//! tree for those of another.

mod switches;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::{root, run as run_command, target};
use switches::{Switched, VARIABLE, Wrong, function};

/// Crates with their shard: every so many-th fault, from the first.
const CRATES: [(&str, &str); 4] = [
    ("segcam-pixels", "0/5"),
    ("segcam-metrics", "0/4"),
    ("segcam-core", "0/6"),
    ("segcam-graph", "0/6"),
];
/// The tests that hold them, beside unit tests.
const TESTS: &[&str] = &[
    "bands",
    "certificates",
    "concrete",
    "data",
    "engine",
    "fusion_smoothing",
    "methods",
    "metrics",
    "oracles",
    "perturbation",
    "plan",
    "pointers",
    "protocol",
    "rounding",
    "rules",
    "sets",
    "shortcuts",
    "together",
    "weights",
    "windows",
];
/// A fault that makes tests wait for ever, or fill the memory (kilobytes), is caught, too.
const PATIENCE: Duration = Duration::from_secs(180);
const MEMORY: &str = "8000000";
const NOT_CAUGHT: &str = "not caught";

#[derive(Deserialize)]
struct Mutant {
    file: String,
    name: String,
    genre: Genre,
    replacement: String,
    span: Span,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    function_name: String,
}

#[derive(Deserialize, PartialEq)]
enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    #[serde(other)]
    Other,
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

/// All crates, or those named; `CRATE=1/7` takes another part of its faults, and `all` those, too, that have
/// to be built by themselves.
pub(crate) fn run(wanted: &[String]) -> Result<()> {
    let (all, wanted): (Vec<&str>, Vec<&str>) =
        wanted.iter().map(|name| &**name).partition(|name| *name == "all");
    let known: Vec<&str> = CRATES.iter().map(|(package, _)| *package).collect();
    let wanted: Vec<(&str, Option<&str>)> = wanted
        .iter()
        .map(|name| name.split_once('=').map_or((*name, None), |(name, part)| (name, Some(part))))
        .collect();
    if let Some((unknown, _)) = wanted.iter().find(|(name, _)| !known.contains(name)) {
        bail!("no faults of {unknown}: there are those of {}", known.join(", "));
    }
    let tree = target().join("mutants/tree");
    if tree.exists() {
        run_command(git(root()).args(["worktree", "remove", "--force"]).arg(&tree), &[])?;
    }
    run_command(git(root()).args(["worktree", "add", "--detach"]).arg(&tree), &[])?;
    let done = CRATES.iter().try_for_each(|(package, shard)| {
        let part = wanted.iter().find(|(name, _)| name == package).map(|(_, part)| *part);
        match part {
            None if !wanted.is_empty() => Ok(()),
            part => Faulty { tree: &tree, package, all: !all.is_empty() }
                .run(part.flatten().unwrap_or(shard)),
        }
    });
    // What went wrong can be seen there.
    done?;
    run_command(git(root()).args(["worktree", "remove", "--force"]).arg(&tree), &[])
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    git
}

impl Mutant {
    fn is_of_a_test(&self) -> bool {
        self.function.as_ref().is_some_and(|function| function.function_name.starts_with("tests::"))
    }

    /// Its bytes in the file's text.
    fn range(&self, text: &str) -> Option<Range<usize>> {
        let at = |place: &Place| {
            let line: usize = text.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
            let rest = text.get(line..)?;
            Some(line + rest.chars().take(place.column - 1).map(char::len_utf8).sum::<usize>())
        };
        Some(at(&self.span.start)?..at(&self.span.end)?)
    }
}

/// A crate in the second working tree.
struct Faulty<'a> {
    tree: &'a Path,
    package: &'a str,
    /// Those that are no ifs, too, which takes minutes for each.
    all: bool,
}

/// A test program, and where it is started.
struct Program {
    path: PathBuf,
    folder: PathBuf,
}

/// A line of Cargo's.
#[derive(Deserialize)]
struct Told {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    profile: Option<Profile>,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    spans: Vec<Spot>,
}

#[derive(Deserialize)]
struct Spot {
    file_name: PathBuf,
    byte_start: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

/// Where the macro was called to which a spot belongs.
#[derive(Deserialize)]
struct Expansion {
    span: Spot,
}

impl Spot {
    /// Itself, or where its macro was called.
    fn called(&self) -> &Self {
        self.expansion.as_ref().map_or(self, |expansion| expansion.span.called())
    }
}

impl Faulty<'_> {
    fn run(&self, shard: &str) -> Result<()> {
        let start = Instant::now();
        let list = Command::new(env!("CARGO"))
            .args(["mutants", "--list", "--json", "--package", self.package])
            .args(["--shard", shard, "--sharding", "round-robin"])
            .current_dir(self.tree)
            .output()?;
        ensure!(
            list.status.success(),
            "is cargo-mutants there? `cargo install cargo-mutants --locked`"
        );
        let mut mutants: Vec<Mutant> = serde_json::from_slice(&list.stdout)?;
        mutants.retain(|mutant| !mutant.is_of_a_test());
        let counts: Mutex<BTreeMap<&str, usize>> = Mutex::default();
        let tell = |mutant: &Mutant, found: &'static str| {
            println!("{found}: {}", mutant.name);
            *counts.lock().expect("no panic").entry(found).or_default() += 1;
        };

        let [switched, no_rust] = self.switched(&mutants)?;
        let programs = self.programs()?.context("faults as ifs cannot be linked")?;
        let programs = by_time(programs)?;
        ensure!(self.by_examples(None)? == NOT_CAUGHT, "examples fail without a fault");
        let others: Vec<usize> = (0..mutants.len())
            .filter(|fault| !switched.contains(fault) && !no_rust.contains(fault))
            .collect();
        let [in_one, alone, none] = [switched.len(), others.len(), no_rust.len()];
        println!("{}: {in_one} faults in one build, {alone} alone, {none} no Rust", self.package);
        let next = AtomicUsize::new(0);
        let numbers: Vec<usize> = switched.iter().copied().collect();
        scope(|threads| {
            let work = || -> Result<()> {
                while let Some(fault) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = match tested(&programs, Some(*fault))? {
                        NOT_CAUGHT => self.by_examples(Some(*fault))?,
                        found => found,
                    };
                    tell(&mutants[*fault], found);
                }
                Ok(())
            };
            let workers = available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> = (0..workers).map(|_| threads.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no panic"))
        })?;
        for fault in others {
            let found = if self.all { self.alone(&mutants[fault])? } else { "not tried" };
            tell(&mutants[fault], found);
        }
        self.clean()?;
        let minutes = start.elapsed().as_secs().div_ceil(60);
        let counts = counts.into_inner().expect("no panic");
        println!("{} in {minutes} minutes: {counts:?}", self.package);
        Ok(())
    }

    /// What becomes of a fault that is built by itself.
    fn alone(&self, mutant: &Mutant) -> Result<&'static str> {
        self.clean()?;
        let file = self.tree.join(&mutant.file);
        let mut text = fs::read_to_string(&file)?;
        let range = mutant.range(&text).with_context(|| mutant.name.clone())?;
        text.replace_range(range, &mutant.replacement);
        fs::write(&file, text)?;
        let built = if self.errors()?.is_empty() { self.programs()? } else { None };
        Ok(match built {
            None => "not built",
            Some(programs) => match tested(&programs, None)? {
                NOT_CAUGHT => self.by_examples(None)?,
                found => found,
            },
        })
    }

    /// The tree as it was committed.
    fn clean(&self) -> Result<()> {
        for back in [&["checkout", "--quiet", "."][..], &["clean", "--quiet", "--force", "-d"]] {
            ensure!(git(self.tree).args(back).status()?.success(), "git cannot undo a fault");
        }
        Ok(())
    }

    /// Writes all faults that can be built as ifs, and says which those are, and which are no Rust.
    fn switched(&self, mutants: &[Mutant]) -> Result<[BTreeSet<usize>; 2]> {
        let mut left: BTreeSet<usize> = (0..mutants.len()).collect();
        let mut no_rust = BTreeSet::new();
        loop {
            self.clean()?;
            let lib = self.tree.join("crates").join(self.package).join("src/lib.rs");
            let mut files: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
            for fault in &left {
                let mutant = &mutants[*fault];
                files.entry(&mutant.file).or_default().push((*fault, mutant));
            }
            let mut written = BTreeMap::new();
            for (name, faults) in files {
                let path = self.tree.join(name);
                let file =
                    Switched::of(&fs::read_to_string(&path)?, &faults).context(name.to_string())?;
                fs::write(&path, &file.text)?;
                written.insert(Path::new(name), file);
            }
            let with_function = fs::read_to_string(&lib)? + &function();
            fs::write(&lib, with_function)?;
            let errors = self.errors()?;
            if errors.is_empty() {
                // Without a place for it, a fault was not written.
                left.retain(|fault| written.values().any(|file| file.has(*fault)));
                return Ok([left, no_rust]);
            }
            let wrong = |spot: &Spot| {
                let spot = spot.called();
                written.get(&*spot.file_name)?.wrong_at(spot.byte_start)
            };
            let mut wrong: Vec<Wrong> = errors.iter().filter_map(wrong).collect();
            if wrong.is_empty() {
                // A match that lacks an arm is wrong as a whole.
                let arms = left.iter().filter(|fault| mutants[**fault].genre == Genre::MatchArm);
                wrong.extend(arms.map(|fault| Wrong::If(*fault)));
            }
            ensure!(
                !wrong.is_empty(),
                "errors that belong to no fault: see `cargo check` in {}",
                self.tree.display()
            );
            for wrong in wrong {
                let (Wrong::Fault(fault) | Wrong::If(fault)) = wrong;
                left.remove(&fault);
                if wrong == Wrong::Fault(fault) {
                    no_rust.insert(fault);
                }
            }
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(self.tree).args(arguments);
        cargo
            .env("CARGO_TARGET_DIR", target().join("mutants/target"))
            .env("RUST_BACKTRACE", "0")
            .stderr(Stdio::null());
        cargo
    }

    /// What Cargo says in JSON.
    fn told(&self, arguments: &[&str]) -> Result<(bool, Vec<Told>)> {
        let output = self.cargo(arguments).arg("--message-format=json").output()?;
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines: Result<_, _> = lines.map(serde_json::from_slice).collect();
        Ok((output.status.success(), lines?))
    }

    /// Where the compiler finds the crate wrong.
    fn errors(&self) -> Result<Vec<Spot>> {
        let (_, told) = self.told(&["check", "--workspace", "--lib"])?;
        let errors = told.into_iter().filter_map(|line| line.message);
        let spots = errors.filter(|message| message.level == "error").flat_map(|error| error.spans);
        Ok(spots.filter(|spot| spot.is_primary).collect())
    }

    /// The tests that hold the crate, its unit tests among them; none if they cannot be built.
    fn programs(&self) -> Result<Option<Vec<Program>>> {
        let named = TESTS.iter().flat_map(|test| ["--test", test]);
        let arguments = ["test", "--workspace", "--no-run", "--lib"].into_iter().chain(named);
        let (built, told) = self.told(&arguments.collect::<Vec<_>>())?;
        let program = |line: Told| {
            // Programs that tests start are built, too.
            let true = line.profile?.test else { return None };
            let folder = line.manifest_path?.parent()?.to_path_buf();
            Some(Program { path: line.executable?, folder })
        };
        Ok(built.then(|| told.into_iter().filter_map(program).collect()))
    }

    /// Whether the documentation's examples notice a fault. They may have to be built.
    fn by_examples(&self, fault: Option<usize>) -> Result<&'static str> {
        waited(self.cargo(&["test", "--workspace", "--quiet", "--doc"]), fault, 10 * PATIENCE)
    }
}

/// The programs, which pass, in the order of the time that they take.
fn by_time(programs: Vec<Program>) -> Result<Vec<Program>> {
    let timed = programs.into_iter().map(|program| {
        let start = Instant::now();
        ensure!(
            program.run(None)? == NOT_CAUGHT,
            "{} fails without a fault",
            program.path.display()
        );
        Ok((start.elapsed(), program))
    });
    let mut timed = timed.collect::<Result<Vec<_>>>()?;
    timed.sort_by_key(|(time, _)| *time);
    Ok(timed.into_iter().map(|(_, program)| program).collect())
}

fn tested(programs: &[Program], fault: Option<usize>) -> Result<&'static str> {
    for program in programs {
        match program.run(fault)? {
            NOT_CAUGHT => {}
            found => return Ok(found),
        }
    }
    Ok(NOT_CAUGHT)
}

impl Program {
    fn run(&self, fault: Option<usize>) -> Result<&'static str> {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v $0; exec \"$@\"", MEMORY]).arg(&self.path).arg("--quiet");
        limited.current_dir(&self.folder);
        waited(limited, fault, PATIENCE)
    }
}

fn waited(mut tests: Command, fault: Option<usize>, patience: Duration) -> Result<&'static str> {
    if let Some(fault) = fault {
        tests.env(VARIABLE, fault.to_string());
    }
    let mut tests = tests.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(status) = tests.try_wait()? {
            return Ok(if status.success() { NOT_CAUGHT } else { "caught" });
        }
        sleep(Duration::from_millis(20));
    }
    tests.kill()?;
    tests.wait()?;
    Ok("caught, too slow")
}
