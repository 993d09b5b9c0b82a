use burn::tensor::Device;

use crate::closest;

/// Names of the devices that the enabled features offer, the best first.
///
/// # Example
/// ```
/// assert!(segcam::device_names().contains(&"flex"));
/// ```
pub fn device_names() -> &'static [&'static str] {
    &[
        #[cfg(feature = "flex")]
        "flex",
    ]
}

/// The device of this name.
///
/// # Errors
/// If no enabled feature offers it.
///
/// # Example
/// ```
/// let device = segcam::device("flex")?;
/// assert!(segcam::device("flx").is_err_and(|error| error.closest == Some("flex".into())));
/// # Ok::<(), segcam::UnknownDevice>(())
/// ```
pub fn device(name: &str) -> Result<Device, UnknownDevice> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        _ => Err(UnknownDevice {
            wanted: name.to_string(),
            closest: closest(name, device_names().iter().copied()),
        }),
    }
}

/// There is no device of this name in this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no device is named `{wanted}`{}; this build has: {}",
    closest.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default(),
    device_names().join(" ")
)]
pub struct UnknownDevice {
    /// The name asked for.
    pub wanted: String,
    /// The known name most like it, if one is close.
    pub closest: Option<String>,
}
