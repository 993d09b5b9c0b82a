//! Segmentation networks for `segcam`, their weights, and what they want done to an image first.
//!
//! - [`UNetConfig`]: the U-Net family, from a retina network to the paper's vanilla U-Net
//! - [`EspNetConfig`]: ESPNet for street scenes
//! - [`MeshNetConfig`]: MeshNet for brain volumes
//! - [`Recipe`], [`Card`]: how an image becomes the input of a network from elsewhere
//! - [`Pretrained`]: those networks by name, with weights from `.safetensors`, `.pth` or `.pt`
//! - [`Phantom`]: a generated scan with lesions
#![cfg_attr(docsrs, feature(doc_cfg))]

mod card;
mod espnet;
#[cfg(feature = "pretrained")]
mod facts;
mod meshnet;
#[cfg(feature = "pretrained")]
mod phantom;
mod preprocess;
#[cfg(feature = "pretrained")]
mod pretrained;
mod unet;
#[cfg(feature = "pretrained")]
mod weights;

pub use card::{Blend, Card, CardError, WindowRecipe};
pub use espnet::{EspNet, EspNetConfig};
/// The crate whose pictures are prepared here.
pub use image;
pub use meshnet::{MeshNet, MeshNetConfig};
#[cfg(feature = "pretrained")]
pub use phantom::Phantom;
pub use preprocess::{Channels, Placement, Prepared, Preprocess, PreprocessError, Recipe};
#[cfg(feature = "pretrained")]
pub use pretrained::{Network, Pretrained};
pub use unet::{UNet, UNetConfig, Upsampling};
#[cfg(feature = "pretrained")]
pub use weights::{Misfit, WeightsError, load_weights};
