//! `cargo xtask backends`: the suites on every backend that a machine without a GPU can run.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{Torch, cargo};

/// All in one build, so that burn is compiled once.
const FEATURES: &str =
    "segcam-tests/ndarray,segcam-tests/tch,segcam-tests/wgpu,segcam-tests/remote";
const DEVICES: [&str; 5] = ["flex", "libtorch", "ndarray", "wgpu", "remote"];

/// The vector instructions of convolutions that a machine with wider ones leaves out.
const NARROWER: [&str; 2] = ["avx2", "128"];
/// Suites in which convolutions are checked by themselves, and on pretrained networks.
const CONVOLUTIONS: &str = "--test naive --test convolutions --test torch --test real";

pub(crate) fn run(devices: &[String]) -> Result<()> {
    let known = |name: &String| DEVICES.contains(&name.as_str());
    if let Some(unknown) = devices.iter().find(|name| !known(name)) {
        bail!("no backend is called {unknown}: known are {}", DEVICES.join(" "));
    }
    let torch = Torch::install()?;
    install_software_vulkan()?;
    let environment = torch.environment()?;
    let chosen = DEVICES
        .iter()
        .filter(|&&name| devices.is_empty() || devices.iter().any(|wanted| wanted == name));
    let suites = format!("test --workspace --features {FEATURES} --test rules --test backends");
    for &name in chosen {
        let mut all: Vec<(&str, &str)> =
            environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
        all.push(("SEGCAM_TEST_DEVICE", name));
        cargo(&suites, &all)?;
        if name == "flex" {
            for instructions in NARROWER {
                all.push(("SEGCAM_CONV_SIMD", instructions));
                cargo(&format!("test --workspace --features {FEATURES} {CONVOLUTIONS}"), &all)?;
                all.pop();
            }
        }
        if name == "remote" {
            cargo(
                &format!("test --workspace --features {FEATURES},segcam-cli/remote --test remote"),
                &all,
            )?;
        }
    }
    Ok(())
}

/// Mesa's llvmpipe: Vulkan on the CPU, for wgpu on machines without a GPU.
fn install_software_vulkan() -> Result<()> {
    let drivers = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let any = drivers
        .iter()
        .any(|folder| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()));
    if !any {
        let packages = ["install", "-y", "-qq", "mesa-vulkan-drivers", "libvulkan1"];
        crate::run(Command::new("apt-get").args(["update", "-qq"]), &[])?;
        crate::run(Command::new("apt-get").args(packages), &[])?;
    }
    Ok(())
}
