//! Runs a burn network once and walks it backwards for as many targets as one likes.
//!
//! burn's own tape is used up by one backward pass. Here the forward pass is captured as a
//! [`Graph`], simplified into a [`Network`], computed once as a [`Run`], and differentiated by hand
//! from there: the cost of K gradients is one forward and K backward passes. Nothing in this crate
//! knows of heat maps; `segcam-core` builds its fast engine on it.
//!
//! # Example
//! ```
//! use burn::backend::Dispatch;
//! use burn::tensor::{Device, Tensor, activation::relu};
//! use segcam_graph::{Constants, Graph, Keep, Network, Target};
//!
//! let graph = Graph::capture([1, 1, 1, 2], |x, names| {
//!     names.name("layer", relu(x)) * 3.0
//! })?;
//! let device = Device::flex();
//! let network = Network::<Dispatch>::new(graph, device.as_dispatch(), &Constants::default())?;
//!
//! let layer = &network.graph().nodes()[0];
//! let input = Tensor::<4>::from_floats([[[[1.0, -1.0]]]], &device);
//! let run = network.run(input.into_dispatch(), Keep { nodes: &[layer], ..Keep::default() })?;
//! let weights = Tensor::<4>::ones([1, 1, 1, 2], &device).into_dispatch();
//! let mut found = vec![];
//! run.reverse(&[Target { channels: vec![(0, 1.0)], weights }], &[layer], |_, gradient| {
//!     found = Tensor::<4>::from_dispatch(gradient).into_data().iter::<f32>().collect();
//! });
//! assert_eq!(found, [3.0, 3.0]);
//! # Ok::<(), segcam_graph::GraphError>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod capture;
mod cone;
mod constants;
mod cotangent;
mod env;
mod error;
mod graph;
mod host;
mod names;
mod network;
mod ops;
mod randomize;
mod reverse;
mod run;
mod simplify;
mod tail;
mod together;

pub use capture::{Names, expect_not_capturing};
pub use constants::Constants;
pub use error::{GraphError, guarded};
pub use graph::{Graph, Node};
pub use host::Convolutions;
pub use network::Network;
pub use reverse::{Shares, Target};
pub use run::{Keep, Run};
pub use tail::Tail;
pub use together::Wanted;
