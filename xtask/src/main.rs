//! The project's chores. `cargo xtask check` is what CI runs.

mod backends;
mod gpu;
mod mutants;
mod peers;
mod publish;
mod studio;
mod web;
mod zoo;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask check
       cargo xtask backends [DEVICE…]
       cargo xtask cluster
       cargo xtask bench-peers [--quick] [--convolutions] [--cost] [--json FILE] [--plot FILE] [--only TEXT]
       cargo xtask bench-peers --batch [IMAGES]
       cargo xtask gpu [torch] [vulkan]
       cargo xtask onnx-zoo [--json FILE]
       cargo xtask publish [package] [semver] [msrv] [features] [docs] [outside] [minimal] [abort] [verify]
       cargo xtask studio [flows] [time] [load[=SECONDS]]
       cargo xtask web [build] [test] [time]
       cargo xtask mutants [CRATE[=PART/PARTS]…] [all]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((task, [])) if task == "check" => check(),
        Some((task, [])) if task == "cluster" => cluster(),
        Some((task, devices)) if task == "backends" => backends::run(devices),
        Some((task, options)) if task == "bench-peers" => peers::run(options),
        Some((task, builds)) if task == "gpu" => gpu::run(builds),
        Some((task, options)) if task == "onnx-zoo" => zoo::run(options),
        Some((task, steps)) if task == "publish" => publish::run(steps),
        Some((task, parts)) if task == "studio" => studio::run(parts),
        Some((task, parts)) if task == "web" => web::run(parts),
        Some((task, crates)) if task == "mutants" => mutants::run(crates),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Formatting, lints, documentation, tests, and the licences and sources of dependencies.
fn check() -> Result<()> {
    cargo("fmt --all --check", &[])?;
    cargo("clippy --workspace --all-targets -- -D warnings", &[])?;
    cargo("doc --workspace --no-deps", &[("RUSTDOCFLAGS", "-D warnings")])?;
    cargo("test --workspace --quiet", &[])?;
    cargo("deny check licenses bans sources", &[])
        .context("is cargo-deny there? `cargo install cargo-deny --locked`")
}

/// The same for `segcam-cluster`, a workspace of its own: nobody else waits for DataFusion.
fn cluster() -> Result<()> {
    let manifest = root().join("crates/segcam-cluster/Cargo.toml");
    let cargo = |arguments: &str, environment: &Environment| {
        let (task, options) = arguments.split_once(' ').unwrap_or((arguments, ""));
        let mut command = Command::new(env!("CARGO"));
        command.arg(task).arg("--manifest-path").arg(&manifest);
        run(command.args(options.split_whitespace()), environment)
    };
    cargo("fmt --check", &[])?;
    cargo("clippy --locked --all-targets -- -D warnings", &[])?;
    cargo("doc --locked --no-deps", &[("RUSTDOCFLAGS", "-D warnings")])?;
    cargo("test --locked --quiet", &[])?;
    cargo("deny --config deny.toml check licenses bans sources", &[])
}

type Environment<'a> = [(&'a str, &'a str)];

fn cargo(arguments: &str, environment: &Environment) -> Result<()> {
    run(Command::new(env!("CARGO")).args(arguments.split(' ')), environment)
}

fn run(command: &mut Command, environment: &Environment) -> Result<()> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    eprintln!("xtask: {line}");
    let status = command.envs(environment.iter().copied()).status();
    if !status.with_context(|| line.clone())?.success() {
        bail!("`{line}` failed");
    }
    Ok(())
}

/// The project's root.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where builds go.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A Python environment with PyTorch from PyPI, which is also where LibTorch comes from.
struct Torch {
    folder: PathBuf,
}

impl Torch {
    /// `$SEGCAM_TORCH`, or one that is made in the target folder (about 7 GB).
    fn install() -> Result<Self> {
        // An unpinned torchvision would bring another torch.
        Self::of("2.9.0", "SEGCAM_TORCH", "torch", &["torchvision==0.24.0", "numpy==2.4.6"])
    }

    /// `version` in the folder that the variable names, or in one that is made in the target folder.
    fn of(version: &str, variable: &str, name: &str, packages: &[&str]) -> Result<Self> {
        let given = std::env::var_os(variable).map(PathBuf::from);
        let torch = Self { folder: given.unwrap_or_else(|| target().join(name)) };
        let names = packages.iter().filter_map(|package| package.split("==").next());
        let names = std::iter::once("torch").chain(names).collect::<Vec<_>>().join(", ");
        let check = format!("import {names}; assert torch.__version__.startswith('{version}')");
        let check = Command::new(torch.python()).args(["-c", &check]).output();
        if !check.is_ok_and(|output| output.status.success()) {
            run(Command::new("python3").args(["-m", "venv"]).arg(&torch.folder), &[])
                .context("is Python there? Debian: apt-get install python3-venv")?;
            let pinned = format!("torch=={version}");
            torch.pip(&[&["install", &pinned], packages].concat())?;
        }
        Ok(torch)
    }

    fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    fn pip(&self, arguments: &[&str]) -> Result<()> {
        let pip = ["-m", "pip", "--quiet"];
        run(Command::new(self.python()).args(pip).args(arguments), &[])
    }

    /// What building and running with LibTorch needs.
    fn environment(&self) -> Result<Vec<(&'static str, String)>> {
        let script = "import glob, os, torch; site = os.path.dirname(os.path.dirname(torch.__file__)); \
                      print(os.pathsep.join([site + '/torch/lib'] + glob.glob(site + '/nvidia/*/lib')))";
        let output = Command::new(self.python()).args(["-c", script]).output()?;
        let libraries = String::from_utf8(output.stdout)?.trim().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        Ok(vec![
            ("LIBTORCH_USE_PYTORCH", "1".into()),
            ("PATH", format!("{}:{path}", self.folder.join("bin").display())),
            ("LD_LIBRARY_PATH", libraries),
        ])
    }
}
