//! `cargo xtask onnx-zoo`: networks of PyTorch's libraries as ONNX files, see `tests/onnx/networks.py`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{Torch, cargo, root, target};

pub(crate) fn run(options: &[String]) -> Result<()> {
    let json = match options {
        [] => None,
        [flag, file] if flag == "--json" => Some(file),
        _ => bail!("usage: cargo xtask onnx-zoo [--json FILE]"),
    };
    let torch = Torch::install()?;
    let onnx = root().join("tests/onnx");
    torch.pip(&["install", "-r", &onnx.join("requirements.txt").to_string_lossy()])?;
    let folder = target().join("onnx-zoo");
    let mut write = Command::new(torch.python());
    write.arg(onnx.join("networks.py")).arg("--out").arg(&folder);
    crate::run(&mut write, &[])?;
    cargo("build --release -p segcam-tests --bin onnx-zoo", &[])?;
    let mut compare = Command::new(target().join("release/onnx-zoo"));
    crate::run(compare.arg(folder).args(json), &[])
}
