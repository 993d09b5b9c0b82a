#![doc = include_str!("../README.md")]
#![allow(
    clippy::needless_range_loop,
    reason = "loops over registers say which one they mean, and unroll"
)]

mod convolution;
mod direct;
mod error;
mod geometry;
mod plan;
mod prepared;
mod simd;
mod source;
mod tasks;
mod weights;
mod winograd;

pub use convolution::Convolution;
pub use error::ConvError;
pub use plan::{Algorithm, Plan, Precision};

/// The vector instructions that convolutions run on: `AVX-512`, `AVX2`, `128-bit` or `scalar`,
/// whatever this machine has. The environment variable `SEGCAM_CONV_SIMD` caps them (`avx2`, `128`).
#[must_use]
pub fn instructions() -> &'static str {
    simd::level()
}
