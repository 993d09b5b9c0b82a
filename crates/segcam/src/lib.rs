#![doc = include_str!("../GUIDE.md")]

mod device;
#[cfg(all(feature = "metrics", feature = "render"))]
mod metric_charts;
mod vocabulary;

pub use device::{DeviceError, best_device, device, device_names};
pub use segcam_annotations as annotations;
pub use segcam_components as components;
pub use segcam_core::*;
pub use segcam_pixels as pixels;
pub use vocabulary::vocabulary;

#[cfg(all(feature = "metrics", feature = "render"))]
pub use metric_charts::metric_charts;

#[cfg(feature = "metrics")]
pub use segcam_metrics as metrics;
#[cfg(feature = "models")]
pub use segcam_models as models;
#[cfg(feature = "onnx")]
pub use segcam_onnx as onnx;
#[cfg(feature = "render")]
pub use segcam_render as render;
