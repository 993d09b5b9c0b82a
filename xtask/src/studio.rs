//! `cargo xtask studio`: the studio in a real browser, see `tests/studio/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cargo, root, target};

/// Types of the page, then what people do; or how long it takes, and what many do at a time.
pub(crate) fn run(parts: &[String]) -> Result<()> {
    let all: Vec<&str> = parts.iter().map(String::as_str).collect();
    let parts = if all.is_empty() { vec!["types", "flows"] } else { all };
    let folder = node()?;
    for part in parts {
        let (name, number) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "types" => {
                let page = root().join("crates/segcam-cli/src/studio/page");
                let tsc = folder.join("node_modules/.bin/tsc");
                crate::run(Command::new(tsc).arg("-p").arg(page), &[])?;
            }
            "flows" | "time" | "load" => {
                // What people do is the same in either build, and the tests have this one.
                let (build, program) = match name {
                    "flows" => ("build --bin segcam", "debug/segcam"),
                    _ => ("build --release --bin segcam", "release/segcam"),
                };
                cargo(build, &[])?;
                let number = (!number.is_empty()).then_some(number);
                script(&format!("{name}.mjs"), number, program, &folder, &[])?;
            }
            other => bail!("`{other}` is none of types, flows, time, load"),
        }
    }
    Ok(())
}

/// A folder with what the tests take from npm.
pub(crate) fn node() -> Result<PathBuf> {
    let folder = target().join("studio");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(root().join("tests/studio/package.json"), folder.join("package.json"))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder);
    crate::run(&mut npm, &[]).context("is Node there? Debian: apt-get install nodejs npm")?;
    Ok(folder)
}

/// Runs one of the scripts in `tests/studio` with a browser and a program of the target folder.
pub(crate) fn script(
    name: &str,
    argument: Option<&str>,
    program: &str,
    folder: &Path,
    environment: &[(&str, &Path)],
) -> Result<()> {
    let browser = chromium()?;
    let mut node = Command::new("node");
    node.arg(root().join("tests/studio").join(name)).args(argument).current_dir(root());
    node.env("SEGCAM", target().join(program));
    node.env("SEGCAM_STUDIO_NODE", folder);
    node.env("SEGCAM_SCREENSHOTS", folder.join("screenshots"));
    node.env("SEGCAM_CHROMIUM", browser);
    crate::run(node.envs(environment.iter().copied()), &[])
}

/// `$SEGCAM_CHROMIUM`, or Debian's, which is installed where it is missing.
fn chromium() -> Result<String> {
    if let Ok(given) = std::env::var("SEGCAM_CHROMIUM") {
        return Ok(given);
    }
    const USUAL: &str = "/usr/bin/chromium";
    if !Path::new(USUAL).exists() {
        let install = "apt-get update -qq && apt-get install -y -qq chromium";
        crate::run(Command::new("sh").args(["-c", install]), &[])
            .context("SEGCAM_CHROMIUM names another browser than Debian's chromium")?;
    }
    Ok(USUAL.into())
}
