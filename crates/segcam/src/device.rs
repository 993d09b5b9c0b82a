use burn::tensor::Device;

use crate::UnknownName;

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
/// # Ok::<(), segcam::UnknownName>(())
/// ```
pub fn device(name: &str) -> Result<Device, UnknownName> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        _ => Err(UnknownName::new("device", name, device_names())),
    }
}
