#![doc = include_str!("../GUIDE.md")]

mod device;
mod vocabulary;

pub use device::{DeviceError, best_device, device, device_names};
pub use segcam_annotations as annotations;
pub use segcam_components as components;
pub use segcam_core::*;
pub use segcam_pixels as pixels;
pub use vocabulary::vocabulary;

#[cfg(feature = "models")]
pub use segcam_models as models;
#[cfg(feature = "onnx")]
pub use segcam_onnx as onnx;
#[cfg(feature = "render")]
pub use segcam_render as render;
