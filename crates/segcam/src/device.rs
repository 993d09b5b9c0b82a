use std::error::Error;
use std::sync::Arc;

use burn::tensor::Device;
#[cfg(any(feature = "tch", feature = "wgpu"))]
use burn::tensor::DeviceType;

use crate::UnknownName;

/// Every device name, with the feature that it needs. Names with `:0` take any index.
const DEVICES: [(&str, &str); 8] = [
    ("libtorch:cuda:0", "tch"),
    ("vulkan:0", "vulkan"),
    ("wgpu", "wgpu"),
    ("wgpu:0", "wgpu"),
    ("libtorch", "tch"),
    ("flex", "flex"),
    ("ndarray", "ndarray"),
    ("remote:ws://host:port", "remote"),
];

/// What people type first, and what they mean.
const ALIASES: [(&str, &str); 5] = [
    ("cpu", "flex"),
    ("cuda", "libtorch:cuda"),
    ("gpu", "wgpu"),
    ("metal", "wgpu"),
    ("mps", "wgpu"),
];

/// Why there is no device of a name.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device is called so.
    #[error(transparent)]
    Unknown(#[from] UnknownName),

    /// The device exists, but not in this build.
    #[error(
        "device `{device}` is not in this build, which has {}: add the feature `{feature}` \
         (`cargo … --features {feature}`){}",
        device_names().join(", "),
        if *.feature == "tch" { "; it needs LibTorch, see Backends in the guide" } else { "" }
    )]
    NotCompiledIn {
        /// The name asked for.
        device: String,
        /// The cargo feature that brings it.
        feature: &'static str,
    },

    /// The machine does not have it, or it does not answer.
    #[error("device `{device}` is not available: {source}")]
    Unavailable {
        /// The name asked for.
        device: String,
        /// What is missing.
        source: Arc<dyn Error + Send + Sync>,
    },
}

/// What is missing, before it is known of which device.
type Missing = Box<dyn Error + Send + Sync>;

/// Names of the devices that the enabled features offer, those that are fastest where they exist
/// first. `:0` stands for any index.
///
/// # Example
/// ```
/// assert!(segcam::device_names().contains(&"flex"));
/// ```
pub fn device_names() -> Vec<&'static str> {
    DEVICES.iter().filter(|(_, feature)| compiled_in(feature)).map(|(name, _)| *name).collect()
}

/// The device of this name.
///
/// | name | feature | what computes |
/// |---|---|---|
/// | `flex` | `flex` (default) | pure Rust on the CPU |
/// | `libtorch`, `libtorch:cuda:0` | `tch` | LibTorch on the CPU or an NVIDIA GPU |
/// | `wgpu`, `wgpu:0` | `wgpu` | any GPU, through WebGPU shaders |
/// | `vulkan:0` | `vulkan` | a GPU, through Vulkan with tuned kernels |
/// | `remote:ws://host:port` | `remote` | the first device of a burn-remote server |
/// | `ndarray` | `ndarray` | the CPU, slowly |
///
/// `cpu` is `flex`, `cuda` and `cuda:0` are `libtorch:cuda:0`, and `gpu`, `metal` and `mps` are `wgpu`.
///
/// # Errors
/// [`DeviceError`]: an unknown name, a feature that is not enabled, a device that is not there.
///
/// # Example
/// ```
/// use segcam::{DeviceError, device};
///
/// let flex = device("flex")?;
/// assert!(matches!(device("flx"), Err(DeviceError::Unknown(name)) if name.closest.is_some()));
/// # Ok::<(), DeviceError>(())
/// ```
pub fn device(name: &str) -> Result<Device, DeviceError> {
    let (kind, place) = split(name);
    let alias = ALIASES.iter().find_map(|(alias, meant)| (*alias == kind).then_some(*meant));
    let kind = alias.unwrap_or(kind);
    let Some((_, feature)) = DEVICES.iter().find(|(known, _)| split(known).0 == kind) else {
        let known = DEVICES.iter().map(|(name, _)| *name);
        return Err(UnknownName::new("device", name, known).into());
    };
    if !compiled_in(feature) {
        return Err(DeviceError::NotCompiledIn { device: name.into(), feature });
    }
    open(kind, place)
        .map_err(|missing| DeviceError::Unavailable { device: name.into(), source: missing.into() })
}

/// The fastest device that this build and this machine offer: an NVIDIA GPU, another GPU, LibTorch
/// on the CPU, pure Rust.
///
/// # Example
/// ```
/// let device = segcam::best_device();
/// let pixels = segcam::burn::tensor::Tensor::<1>::ones([4], &device);
/// assert_eq!(pixels.sum().into_scalar::<f32>(), 4.0);
/// ```
pub fn best_device() -> Device {
    let here = DEVICES.iter().filter(|(_, feature)| compiled_in(feature) && *feature != "remote");
    // Vulkan may be a software renderer, which is slower than the CPU itself.
    let mut fast = here.filter(|(_, feature)| !["wgpu", "vulkan"].contains(feature) || has_gpu());
    fast.find_map(|(name, _)| device(name).ok()).unwrap_or_default()
}

/// What [`device`] calls this device; `remote` without the address, and `another device` for one that
/// has no name here.
///
/// # Example
/// ```
/// assert_eq!(segcam::device_name(&segcam::device("flex")?), "flex");
/// # Ok::<(), segcam::DeviceError>(())
/// ```
pub fn device_name(device: &Device) -> String {
    // Without a backend there is nothing to compare it with.
    let _ = device;
    #[cfg(feature = "remote")]
    if let burn::backend::DispatchDevice::Remote(_) = device.as_dispatch() {
        return "remote".into();
    }
    // Those that are opened at once come first.
    #[cfg(feature = "flex")]
    if *device == Device::flex() {
        return "flex".into();
    }
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "burn 0.22.1 is the last release that has it")]
    if *device == Device::ndarray() {
        return "ndarray".into();
    }
    #[cfg(feature = "tch")]
    #[allow(deprecated, reason = "burn 0.22.1 is the last release that has it")]
    {
        if *device == Device::libtorch() {
            return "libtorch".into();
        }
        let index = (0..64).find(|index| *device == Device::libtorch_cuda(*index));
        if let Some(index) = index {
            return format!("libtorch:cuda:{index}");
        }
    }
    #[cfg(feature = "wgpu")]
    {
        let place = |kind| Device::enumerate(kind).into_vec().iter().position(|one| one == device);
        #[cfg(feature = "vulkan")]
        if let Some(index) = place(DeviceType::Vulkan) {
            return format!("vulkan:{index}");
        }
        if *device == Device::wgpu(burn::tensor::DeviceKind::DefaultDevice) {
            return "wgpu".into();
        }
        if let Some(index) = place(DeviceType::Wgpu) {
            return format!("wgpu:{index}");
        }
    }
    "another device".into()
}

/// A name as what it means and where: `libtorch:cuda:1` is `libtorch:cuda` at `1`.
fn split(name: &str) -> (&str, &str) {
    let address = name.strip_prefix("remote:").map(|address| ("remote", address));
    let indexed = || name.rsplit_once(':').filter(|(_, index)| index.parse::<usize>().is_ok());
    address.or_else(indexed).unwrap_or((name, ""))
}

fn compiled_in(feature: &str) -> bool {
    match feature {
        "flex" => cfg!(feature = "flex"),
        "ndarray" => cfg!(feature = "ndarray"),
        "tch" => cfg!(feature = "tch"),
        "wgpu" => cfg!(feature = "wgpu"),
        "vulkan" => cfg!(feature = "vulkan"),
        "remote" => cfg!(feature = "remote"),
        _ => false,
    }
}

/// A device whose feature is enabled. The error says what is missing.
fn open(kind: &str, place: &str) -> Result<Device, Missing> {
    match kind {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated, reason = "burn 0.22.1 is the last release that has it")]
        "ndarray" => Ok(Device::ndarray()),
        #[cfg(feature = "tch")]
        #[allow(deprecated, reason = "burn 0.22.1 is the last release that has it")]
        "libtorch" => Ok(Device::libtorch()),
        #[cfg(feature = "tch")]
        #[allow(deprecated, reason = "burn 0.22.1 is the last release that has it")]
        "libtorch:cuda" => {
            let wanted = Device::libtorch_cuda(place.parse::<usize>().unwrap_or(0));
            let found = Device::enumerate(DeviceType::LibTorch).into_vec();
            let there = found.contains(&wanted).then_some(wanted);
            there.ok_or_else(|| "LibTorch finds no such NVIDIA GPU".into())
        }
        #[cfg(feature = "wgpu")]
        "wgpu" if place.is_empty() => nth(DeviceType::Wgpu, "0")
            .map(|_| Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        "wgpu" => nth(DeviceType::Wgpu, place),
        #[cfg(feature = "vulkan")]
        "vulkan" => nth(DeviceType::Vulkan, place),
        #[cfg(feature = "remote")]
        "remote" => {
            let host = burn::remote::RemoteHost::websocket(place);
            Ok(Device::remote_options(&host).init()?)
        }
        _ => Err(format!("`{kind}:{place}` names no device").into()),
    }
}

#[cfg(feature = "wgpu")]
fn nth(kind: DeviceType, index: &str) -> Result<Device, Missing> {
    let mut found = Device::enumerate(kind).into_vec();
    let index = index.parse::<usize>().unwrap_or(0);
    if index < found.len() {
        return Ok(found.swap_remove(index));
    }
    Err(format!("this machine has {} of its kind", found.len()).into())
}

/// Whether WebGPU shaders would run on a GPU and not on the CPU.
fn has_gpu() -> bool {
    #[cfg(feature = "wgpu")]
    {
        use burn::tensor::DeviceKind::{DiscreteGpu, IntegratedGpu, VirtualGpu};
        let found = Device::enumerate(DeviceType::Wgpu).into_vec();
        let first_of = [DiscreteGpu(0), IntegratedGpu(0), VirtualGpu(0)];
        first_of.into_iter().any(|kind| found.contains(&Device::wgpu(kind)))
    }
    #[cfg(not(feature = "wgpu"))]
    false
}
