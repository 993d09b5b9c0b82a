//! `cargo xtask gpu`: packs `target/gpu`, which runs the backend suites and times segcam beside PyTorch
//! on a machine with an NVIDIA card and without Rust or a network, see `benches/gpu/run.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{Torch, root, target};

/// LibTorch's headers must be those of the PyTorch that is there.
const TORCH: &str = "2.11.0";
const CAPTUM: &str = "captum==0.9.0";
const PROGRAMS: [&str; 3] = ["rules", "backends", "peer-worker"];
/// What is built apart, and its features: `vulkan` turns tuning on for `wgpu`, too.
const BUILDS: [(&str, &[&str]); 2] = [("torch", &["tch", "wgpu"]), ("vulkan", &["vulkan"])];
/// Beside the programs, by path from the project's root.
const SCRIPTS: [&str; 4] = [
    "benches/peers/gpu.py",
    "benches/peers/peers.py",
    "benches/peers/nets.py",
    "tests/reference/unet.py",
];
/// Where Debian, Fedora and Arch have the Vulkan loader.
const LOADERS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/libvulkan.so.1",
    "/usr/lib64/libvulkan.so.1",
    "/usr/lib/libvulkan.so.1",
];

pub(crate) fn run(wanted: &[String]) -> Result<()> {
    let known = |name: &String| BUILDS.iter().any(|(build, _)| build == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        bail!("no build is called {unknown}: known are torch and vulkan");
    }
    let torch = Torch::of(TORCH, "SEGCAM_GPU_TORCH", "torch-gpu", &[])?;
    let mut environment = torch.environment()?;
    environment.push(("LIBTORCH_BYPASS_VERSION_CHECK", "1".into()));

    let programs = target().join("gpu-programs");
    let package = target().join("gpu");
    for folder in [&programs, &package] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    for (name, features) in BUILDS {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            let folder = programs.join(name);
            fs::create_dir(&folder)?;
            build(features, &environment, &folder)?;
        }
    }
    let archive = package.join("programs.tar.xz");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(&programs).arg("-cJf").arg(&archive).arg(".");
    crate::run(&mut pack, &[("XZ_OPT", "-T0")])?;

    for script in SCRIPTS {
        copy(&root().join(script), &package.join(script))?;
    }
    for script in ["run.py", "run.sh"] {
        copy(&root().join("benches/gpu").join(script), &package.join(script))?;
    }
    torch.pip(&[
        "download",
        "--no-deps",
        CAPTUM,
        "-d",
        &package.join("wheels").to_string_lossy(),
    ])?;
    match LOADERS.iter().find(|path| Path::new(path).exists()) {
        Some(loader) => copy(Path::new(loader), &package.join("lib/libvulkan.so.1"))?,
        None => eprintln!("xtask: no Vulkan loader here to pack: it must be there"),
    }
    println!("copy {} there, then: sh gpu/run.sh OUT_FOLDER", package.display());
    Ok(())
}

/// Builds the programs with `features` and puts them into `folder`, without their symbols.
fn build(features: &[&str], environment: &[(&str, String)], folder: &Path) -> Result<()> {
    let of = |package: &str| features.iter().map(|name| format!("{package}/{name}")).collect();
    let features: [Vec<String>; 2] = ["segcam-tests", "segcam-benches"].map(of);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "-p", "segcam-tests", "-p", "segcam-benches"]);
    cargo.args(["--test", "rules", "--test", "backends", "--bin", "peer-worker"]);
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.arg("--features").arg(features.concat().join(","));
    cargo.envs(environment.iter().map(|(key, value)| (key, value))).stderr(Stdio::inherit());
    eprintln!("xtask: {cargo:?}");
    let output = cargo.output()?;
    if !output.status.success() {
        bail!("the build failed");
    }
    let messages = String::from_utf8(output.stdout)?;
    for name in PROGRAMS {
        let program = folder.join(name);
        copy(&executable(&messages, name).with_context(|| format!("no {name}"))?, &program)?;
        crate::run(Command::new("strip").arg(&program), &[])?;
    }
    Ok(())
}

/// Where cargo says that it put the program.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let of_name = message["target"]["name"].as_str() == Some(name);
        message["executable"].as_str().filter(|_| of_name).map(PathBuf::from)
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file in a folder")?)?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}
