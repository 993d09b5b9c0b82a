//! segcam in a page: a dropped ONNX network explains a dropped image, and neither leaves the browser.
//!
//! [`Desk`] answers what the studio's server answers, in the same JSON, so that the studio's page works
//! on either. Compiled to WebAssembly it is the class `Desk` of a JavaScript module, which runs in a worker:
//! see `page/` and `cargo xtask web`.

mod desk;
mod error;
mod network;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod page;

pub use desk::Desk;
pub use error::WebError;
