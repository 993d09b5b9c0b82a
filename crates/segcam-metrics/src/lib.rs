//! Numbers for heat maps: can this one be trusted?
//!
//! | question | metric |
//! |---|---|
//! | does it show cells that cannot matter? | [`leak()`] |
//! | does it add up to the score? | [`completeness_error`] |
//! | does it tell what the score loses without a cell? | [`ablation`], [`Fidelity`] |
//! | does the network need the pixels it shows? | [`road()`], [`context()`] |
//! | does it find the region that is known to matter? | [`pointing_game`], [`relevance_mass`], [`relevance_rank`] |
//! | can it tell two objects apart? | [`instance_index`] |
//! | does it reveal that the network learnt a bias? | [`bias_share`] |
//! | does it depend on what the network learnt? | [`randomization`] |
//! | does it stay the same under noise? | [`stability`], [`sensitivity`] |
//! | do layers agree? | [`agreement`] |
//!
//! [`Protocol`] asks all of them that need no further knowledge, of many maps of one image;
//! [`Study`] collects them over many images, with intervals and tests ([`summary`], [`comparison`]).
//! [`Control`]s are heat maps that every table should have beside the real ones.
//!
//! Metrics of arrays take slices of any float, one value for each cell. Those that ask the network
//! again take a [`Perturbation`](segcam_core::Perturbation), or observations of changed inputs.

mod agreement;
mod bias_share;
mod completeness;
mod context;
mod controls;
mod correlation;
mod error;
mod fidelity;
mod impute;
mod instance_index;
mod leak;
mod memo;
mod metric;
mod order;
mod pointing_game;
mod prepared;
mod protocol;
mod randomization;
mod relevance_mass;
mod relevance_rank;
mod removal;
mod road;
mod stability;
mod statistics;
mod study;
mod values;

pub use agreement::agreement;
pub use bias_share::bias_share;
pub use completeness::completeness_error;
pub use context::{Context, context};
pub use controls::Control;
pub use correlation::{r_squared, spearman};
pub use error::MetricError;
pub use fidelity::{Ablation, Fidelity, ablation};
pub use impute::impute;
pub use instance_index::instance_index;
pub use leak::leak;
pub use metric::{Better, Metric};
pub use order::descending;
pub use pointing_game::pointing_game;
pub use prepared::Prepared;
pub use protocol::{Protocol, Row};
pub use randomization::randomization;
pub use relevance_mass::relevance_mass;
pub use relevance_rank::relevance_rank;
pub use removal::Removal;
pub use road::{Road, road};
pub use stability::{Noise, Stability, sensitivity, stability};
pub use statistics::{Comparison, Summary, comparison, summary};
pub use study::Study;
