//! Any ONNX segmentation network as a model that segcam explains.
//!
//! The file is read when the program runs; each of its nodes is computed with burn's operations, on
//! whatever backend the program uses, and the result of each node is a layer under its tensor's
//! name. Opsets 9 to 23.
//!
//! # Example
//! ```no_run
//! use segcam_core::{Explainer, PredictedClass, SegHiResGradCam, burn::tensor::{Device, Tensor}};
//! use segcam_onnx::{OnnxFile, auto_layers};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let model = OnnxFile::open("net.onnx")?.load::<4>(&device)?;
//! let seen = Explainer::new(model).observe(Tensor::zeros([1, 3, 256, 256], &device))?;
//! for layer in auto_layers(seen.layers()) {
//!     let map = seen.explain(&SegHiResGradCam::new(PredictedClass), &layer, 1)?;
//!     println!("{layer}: {:?}", map.raw().dims());
//! }
//! # Ok(())
//! # }
//! ```

mod array;
mod error;
mod file;
mod layers;
mod model;
mod norms;
mod ops;
mod program;
mod proto;
mod tensor_file;
mod value;

pub use error::{OnnxError, UnsupportedOperator};
pub use file::OnnxFile;
pub use layers::{auto_layers, find_layer};
pub use model::OnnxModel;

/// Versions of ONNX's operator set that are understood. 22 and 23 only added element types to the
/// operators that are known here.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=23;

/// Names of the operators that are understood, in alphabetical order.
///
/// # Example
/// ```
/// assert!(segcam_onnx::operators().contains(&"Conv"));
/// ```
pub fn operators() -> Vec<&'static str> {
    let mut all: Vec<&str> = ops::all().chain(["Constant"]).collect();
    all.sort_unstable();
    all
}
