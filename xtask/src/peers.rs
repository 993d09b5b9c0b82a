//! `cargo xtask bench-peers`: segcam beside PyTorch tools, see `benches/peers/peers.py`.

use std::process::Command;

use anyhow::Result;

use crate::{Torch, cargo, root, target};

pub(crate) fn run(options: &[String]) -> Result<()> {
    let torch = Torch::install()?;
    let peers = root().join("benches/peers");
    torch.pip(&["install", "-r", &peers.join("requirements.txt").to_string_lossy()])?;
    if let Some((_, options)) = options.split_first().filter(|(first, _)| *first == "--batch") {
        return batch(&torch, options);
    }
    let environment = torch.environment()?;
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    cargo("build --release -p segcam-benches --features tch --bin peer-worker", &environment)?;
    let mut command = Command::new(torch.python());
    command.arg(peers.join("peers.py"));
    command.arg("--worker").arg(target().join("release/peer-worker"));
    command.arg("--folder").arg(target().join("peers"));
    crate::run(command.args(options), &environment)
}

/// `segcam batch` beside a loop in Python, both as whole processes.
fn batch(torch: &Torch, images: &[String]) -> Result<()> {
    cargo("build --release --bin segcam", &[])?;
    let mut command = Command::new(torch.python());
    command.arg(root().join("benches/peers/batch.py")).arg(target().join("release/segcam"));
    crate::run(command.arg(target().join("peers")).args(images), &[])
}
