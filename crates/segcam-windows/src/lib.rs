//! Networks that see an image or a scan through sliding windows, explained exactly.
//!
//! A network that was trained on patches is run over windows `p` of a larger image, and their outputs are
//! blended with weights `g_p`: `Y = Σ_p g_p·y_p / N` with `N = Σ_p g_p`. The score of a pixel set,
//! `s = Σ_v w(v)·Y_c(v)`, is linear in what the windows say. So the gradient of `s` goes through the
//! blending as it is: window `p` is asked about its own output with pixel weights `g_p·w / N`, and the map
//! of the whole is the sum of the windows' maps, each upsampled in its own place.
//!
//! [`Windows`] says where windows lie and how they are blended: as MONAI's `SlidingWindowInferer` does, or
//! as nnU-Net does. [`Windows::explainer`] gives an [`Explainer`](segcam_core::Explainer) like any other:
//! pixel sets see the blended prediction, and certificates are about the whole.
//!
//! A picture that is too large for memory is read and explained one row of windows at a time:
//! [`Windows::bands`].
//!
//! # Example
//! ```
//! # use segcam_core::burn::{self, module::Module, nn::{PaddingConfig2d, conv::{Conv2d, Conv2dConfig}}};
//! # use segcam_core::burn::tensor::{Device, Tensor, activation::relu};
//! # use segcam_core::*;
//! use segcam_windows::Windows;
//! # #[derive(Module, Debug)]
//! # struct Net { conv: Conv2d, head: Conv2d }
//! # impl SegmentationModel for Net {
//! #     fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
//! #         self.head.forward(layers.name("conv", relu(self.conv.forward(image))))
//! #     }
//! # }
//! # let device = Device::flex();
//! # let same = PaddingConfig2d::Explicit(1, 1, 1, 1);
//! # let net = Net {
//! #     conv: Conv2dConfig::new([3, 4], [3, 3]).with_padding(same).init(&device),
//! #     head: Conv2dConfig::new([4, 2], [1, 1]).init(&device),
//! # };
//!
//! let windows = Windows::monai([16, 16]).with_overlap(0.5).gaussian();
//! let seen = windows.explainer(&Explainer::new(net))?.observe(Tensor::ones([1, 3, 40, 30], &device))?;
//! let map = seen.explain(&HiResCam, "conv", 1)?;
//! assert_eq!(map.raw().dims(), [1, 1, 40, 30]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bands;
mod canvas;
mod engine;
mod maps;
mod means;
mod part;
mod pass;
mod sweep;
mod weights;
mod windows;

pub use bands::{Bands, FinishedRows, MapRequest, Question, Rows};
pub use sweep::{Score, Sweep, Tally};
pub use windows::{WindowError, Windows};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
