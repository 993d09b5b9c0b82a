//! `cargo xtask check` is what CI runs.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask check";

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let done = match task.as_deref() {
        Some("check") => check(),
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

fn cargo(arguments: &str, environment: &[(&str, &str)]) -> Result<()> {
    eprintln!("xtask: cargo {arguments}");
    let status = Command::new(env!("CARGO"))
        .args(arguments.split(' '))
        .envs(environment.iter().copied())
        .status()?;
    if !status.success() {
        bail!("`cargo {arguments}` failed");
    }
    Ok(())
}
