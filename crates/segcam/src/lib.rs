#![doc = include_str!("../GUIDE.md")]

mod device;

pub use device::{DeviceError, best_device, device, device_names};
pub use segcam_core::*;
pub use segcam_pixels as pixels;

#[cfg(feature = "models")]
pub use segcam_models as models;
#[cfg(feature = "render")]
pub use segcam_render as render;
