//! `cargo xtask publish`: whether the crates can go to crates.io, one step for each question.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::{cargo, root, run as run_command, target};

/// A step's name, what it asks, and what answers. Those that build little come first.
type Step = (&'static str, &'static str, fn(&Workspace) -> Result<()>);
const STEPS: [Step; 9] = [
    ("package", "what each crate's archive holds, and that it can be made", package),
    ("semver", "what breaks those who use the last version (cargo-semver-checks)", semver),
    ("msrv", "the oldest compiler that Cargo.toml names", msrv),
    ("features", "every feature by itself, without dev-dependencies (cargo-hack)", features),
    ("docs", "every page as docs.rs makes it", docs),
    ("outside", "a crate that has nothing but the guide's lines and an example", outside),
    ("minimal", "the oldest dependencies that Cargo.toml allows (nightly)", minimal),
    ("abort", "errors stay errors where panics abort", abort),
    ("verify", "`package`, and each archive builds by itself", verify),
];

/// Runs the named steps, or all of them but `verify`. A step that fails is no reason to skip the others.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.0 != *name)) {
        let steps = STEPS.map(|(name, about, _)| format!("  {name:9} {about}")).join("\n");
        bail!("`{unknown}` is no step of publish; the steps are\n{steps}");
    }
    let workspace = Workspace::read()?;
    let mut failed = vec![];
    for (name, about, step) in STEPS {
        let wanted =
            if names.is_empty() { name != "verify" } else { names.iter().any(|n| n == name) };
        if !wanted {
            continue;
        }
        eprintln!("xtask: {name}: {about}");
        let begun = Instant::now();
        let done = step(&workspace);
        let seconds = begun.elapsed().as_secs();
        match done {
            Ok(()) => eprintln!("xtask: {name}: good, {seconds} s"),
            Err(error) => {
                eprintln!("xtask: {name}: {error:#}, {seconds} s");
                failed.push(name);
            }
        }
    }
    ensure!(failed.is_empty(), "not ready: {}", failed.join(", "));
    Ok(())
}

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    rust_version: String,
    /// `None` where everyone may have it, no registry where nobody may.
    publish: Option<Vec<String>>,
    targets: Vec<Target>,
    /// What the manifest says to other programs, docs.rs among them.
    metadata: Value,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Package {
    /// The features that docs.rs is told to show, where they are not all.
    fn shown(&self) -> impl Iterator<Item = &str> {
        let features = self.metadata["docs"]["rs"]["features"].as_array();
        features.into_iter().flatten().filter_map(Value::as_str)
    }
}

impl Workspace {
    fn read() -> Result<Self> {
        let arguments = ["metadata", "--no-deps", "--format-version=1"];
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The published ones.
    fn libraries(&self) -> impl Iterator<Item = &Package> {
        let is_lib = |package: &&Package| package.targets.iter().any(|one| one.kind == ["lib"]);
        self.packages.iter().filter(|package| package.publish.is_none()).filter(is_lib)
    }

    /// The facade: its version and compiler are those of all.
    fn facade(&self) -> Result<&Package> {
        self.packages.iter().find(|package| package.name == "segcam").context("no crate segcam")
    }
}

/// A subcommand that has to be installed.
fn tool(arguments: &str, package: &str) -> Result<()> {
    let (name, _) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let there =
        Command::new(env!("CARGO")).args([name, "--version"]).stderr(Stdio::null()).output();
    if !there.is_ok_and(|output| output.status.success()) {
        bail!("{package} is not there: `cargo install {package} --locked`");
    }
    cargo(arguments, &[])
}

/// cargo of another toolchain. This one's own variables would name it again.
fn of_toolchain(toolchain: &str) -> Result<Command> {
    let there = Command::new("rustup").args(["run", toolchain, "rustc", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        bail!(
            "Rust {toolchain} is not there: `rustup toolchain install {toolchain} --profile minimal`"
        );
    }
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).env_remove("CARGO").env_remove("RUSTC");
    Ok(command)
}

fn package(_: &Workspace) -> Result<()> {
    cargo("publish --dry-run --workspace --no-verify", &[])
}

/// cargo builds in the target folder of the workspace, but each crate with its own features, so burn is
/// built several times.
fn verify(_: &Workspace) -> Result<()> {
    cargo("publish --dry-run --workspace", &[])
}

/// Against the last tag. Before there is one, against the commit that gave CHANGELOG.md the heading of this
/// version, its date included; `SEGCAM_BASELINE` names another.
fn semver(workspace: &Workspace) -> Result<()> {
    let version = &workspace.facade()?.version;
    let changelog = fs::read_to_string(root().join("CHANGELOG.md"))?;
    let heading = changelog.lines().find(|line| line.starts_with(&format!("## [{version}]")));
    let heading = format!("-S{}", heading.context("CHANGELOG.md does not have this version")?);
    let baseline = match std::env::var("SEGCAM_BASELINE") {
        Ok(commit) => commit,
        Err(_) => git(&["describe", "--tags", "--abbrev=0"])
            .or_else(|_| git(&["log", "-1", "--format=%H", &heading, "--", "CHANGELOG.md"]))?,
    };
    ensure!(!baseline.is_empty(), "no tag, and no commit of {version}: set SEGCAM_BASELINE");
    // What is new breaks nobody.
    let (known, new): (Vec<_>, Vec<_>) = workspace.libraries().partition(|package| {
        let manifest = format!("{baseline}:crates/{}/Cargo.toml", package.name);
        git(&["cat-file", "-e", &manifest]).is_ok()
    });
    new.iter().for_each(|package| eprintln!("xtask: {} is not in {baseline}", package.name));
    // It takes every feature of a crate, and those that docs.rs is not shown would download LibTorch.
    let (some, all): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|package| package.metadata["docs"]["rs"]["features"].is_array());
    let all: String = all.iter().map(|package| format!(" -p {}", package.name)).collect();
    let some = some.iter().map(|package| {
        let features = package.shown().map(|feature| format!(" --features {feature}"));
        format!(" -p {} --only-explicit-features{}", package.name, features.collect::<String>())
    });
    let checks = some.chain([all]).map(|what| {
        let command = format!("semver-checks{what} --baseline-rev {baseline}");
        tool(&command, "cargo-semver-checks")
    });
    // All are checked, whatever the first finds.
    checks.collect::<Vec<_>>().into_iter().collect()
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output()?;
    ensure!(output.status.success(), "git {} failed", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?.trim().to_string())
}

fn msrv(workspace: &Workspace) -> Result<()> {
    let oldest = &workspace.facade()?.rust_version;
    // rustup knows 1.95 as the last of its patch releases, and not one that is installed as 1.95.0.
    let mut command = of_toolchain(oldest).or_else(|_| of_toolchain(&format!("{oldest}.0")))?;
    run_command(command.args(["check", "--workspace"]).current_dir(root()), &[])
}

/// Of the library crates. LibTorch is a download of gigabytes that `cargo xtask backends` makes.
fn features(workspace: &Workspace) -> Result<()> {
    let libraries = workspace.libraries().filter(|package| package.name != "segcam-cli");
    let libraries: String = libraries.map(|package| format!(" -p {}", package.name)).collect();
    let options = "hack check --each-feature --no-dev-deps --exclude-features tch";
    tool(&format!("{options}{libraries}"), "cargo-hack")
}

/// Each crate by itself, with the features that its manifest names to docs.rs. LibTorch is among none of them.
fn docs(workspace: &Workspace) -> Result<()> {
    // docs.rs has a nightly compiler. A list of crates lets those, and no dependency, do as if this one were; what
    // depends on the variable would be built again, and once more without it: hence a target folder of its own.
    let nightly = workspace.libraries().map(|package| package.name.replace('-', "_"));
    let nightly = nightly.collect::<Vec<_>>().join(",");
    let environment =
        [("RUSTC_BOOTSTRAP", nightly.as_str()), ("RUSTDOCFLAGS", "--cfg docsrs -D warnings")];
    let folder = target().join("publish/docs-target");
    for package in workspace.libraries() {
        let docs = &package.metadata["docs"]["rs"];
        // Those without features have the same pages here as in `cargo xtask check`.
        if docs.is_null() {
            continue;
        }
        let mut command = Command::new(env!("CARGO"));
        command.args(["doc", "--no-deps", "--lib", "--package", &package.name]);
        if docs["all-features"] == true {
            command.arg("--all-features");
        }
        for feature in package.shown() {
            command.args(["--features", feature]);
        }
        command.arg("--target-dir").arg(&folder);
        run_command(command.current_dir(root()), &environment)?;
    }
    Ok(())
}

/// A crate of somebody who has the guide: its lines in Cargo.toml, and a program that needs no more. No other
/// crate of the workspace adds features to it.
fn outside(_: &Workspace) -> Result<()> {
    let facade = root().join("crates/segcam");
    let guide = fs::read_to_string(facade.join("GUIDE.md"))?;
    let lines = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines = lines.context("GUIDE.md has no lines for Cargo.toml")?;
    let there = "git = \"https://github.com/segcam/segcam\"";
    ensure!(lines.contains(there), "GUIDE.md's lines for Cargo.toml have no `{there}`");
    let lines = lines.replace(there, &format!("path = {facade:?}"));
    let package = "[package]\nname = \"segcam-outside\"\nedition = \"2024\"";

    let folder = target().join("publish/outside");
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), format!("{package}\n\n{lines}\n[workspace]\n"))?;
    // The versions that are tested here.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::copy(facade.join("examples/own_everything.rs"), folder.join("src/main.rs"))?;
    let mut program = Command::new(env!("CARGO"));
    program.args(["run", "--target-dir"]).arg(target()).current_dir(&folder);
    // Nobody looks for a fault in it.
    run_command(&mut program, &[("CARGO_PROFILE_DEV_DEBUG", "false")])
}

/// In a copy of what git has staged, with a lock file of its own.
fn minimal(_: &Workspace) -> Result<()> {
    let copy = target().join("publish/minimal");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    git(&["checkout-index", "--all", &format!("--prefix={}/", copy.display())])?;
    let update = ["update", "-Z", "direct-minimal-versions"];
    run_command(of_toolchain("nightly")?.args(update).current_dir(&copy), &[])?;
    let folder = target().join("publish/minimal-target");
    let mut check = Command::new(env!("CARGO"));
    check.args(["check", "--workspace", "--lib", "--bins", "--target-dir"]).arg(folder);
    run_command(check.current_dir(&copy), &[])
}

/// `examples/failing.rs` has an error, a panic, and a network that cannot be captured. Built so that panics abort,
/// the first is printed and each of the others ends the program.
fn abort(_: &Workspace) -> Result<()> {
    let folder = target().join("publish/abort-target");
    let options = ["build", "-p", "segcam", "--example", "failing", "--config"];
    let mut build = Command::new(env!("CARGO"));
    build.args(options).arg("profile.dev.panic=\"abort\"");
    // Nothing is computed that would take long.
    build.args(["--config", "profile.dev.package.\"*\".opt-level=0", "--target-dir"]).arg(&folder);
    run_command(build.current_dir(root()), &[])?;
    let program = folder.join("debug/examples/failing");
    let printed = |word: Option<&str>| -> Result<(bool, String)> {
        let output = Command::new(&program).args(word).output()?;
        Ok((output.status.success(), String::from_utf8(output.stdout)?))
    };
    let (ends_well, text) = printed(None)?;
    ensure!(ends_well && text.contains("give even sides"), "an error ended the program: {text}");
    let (ends_well, text) = printed(Some("panic"))?;
    ensure!(!ends_well && !text.contains("too odd"), "a panic did not abort: {text}");
    let (ends_well, text) = printed(Some("read"))?;
    ensure!(!ends_well && !text.contains("tape"), "what is not captured was answered: {text}");
    Ok(())
}
