//! Core of `segcam`: which parts of an image made a segmentation network label these pixels so?
//!
//! The pieces, in the order in which they meet:
//!
//! | piece | what it does |
//! |---|---|
//! | [`SegmentationModel`] | a burn module whose forward pass hands layers to [`Layers::name`] |
//! | [`Explainer`] | holds the model in inference mode, [`observe`](Explainer::observe)s an input |
//! | [`Observation`] | logits, [`Prediction`], layers; [`explain`](Observation::explain)s a class |
//! | [`PixelSet`] | the set M of output pixels whose class score is explained |
//! | [`Target`] | the question: that score, made once and referred to |
//! | [`CamMethod`] | turns activations and gradients of one layer into a map |
//! | [`Explanation`] | the signed map with everything needed to read it, and its heat map |
//! | [`Engine`] | computes the gradients: [`GraphEngine`], or [`TapeEngine`] with burn's autodiff |
//!
//! Everything is generic over the tensor rank `D`: 4 for images `[N, C, H, W]` (the default), 5 for
//! volumes `[N, C, D, H, W]`. No backend is named here; the `segcam` crate picks one.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cancel;
mod certificate;
mod checks;
#[cfg(feature = "serde")]
mod data;
mod engine;
mod error;
mod explainer;
mod explanation;
mod fusion;
mod graph;
mod label_map;
mod layers;
mod method;
mod methods;
mod model;
mod observation;
mod perturbation;
mod pixels;
mod plan;
mod prediction;
mod smooth;
mod tape;
mod target;
mod upsample;
mod walks;

pub use cancel::Cancel;
pub use certificate::Certificate;
#[cfg(feature = "serde")]
pub use data::ExplanationData;
pub use engine::{
    AsGraph, Certifier, Engine, EngineKind, Forward, Gradients, Mapped, Mapper, Pass, Wanted,
    combine,
};
pub use error::{CamError, ModelError, Quantity, UnknownName, guarded};
pub use explainer::Explainer;
pub use explanation::{Explanation, MapStatus, Normalize};
pub use fusion::{Fused, Fusion, FusionError};
pub use graph::GraphEngine;
pub use label_map::{LabelMap, Members};
pub use layers::{Layer, LayerView, Layers};
pub use method::{CamMethod, PerturbationWeights, Uses};
pub use methods::{
    AblationCam, AnyMethod, EigenCam, EigenGradCam, Finer, GradCam, GradCamPlusPlus, HiResCam,
    LayerCam, NamedMethod, OnPixels, ScoreCam, Seg, SegEigenCam, SegGradCam, SegHiResGradCam,
    XGradCam, XResCam, methods, seg_name,
};
pub use model::SegmentationModel;
pub use observation::Observation;
pub use perturbation::Perturbation;
pub use pixels::{AllPixels, PixelSet, PredictedClass};
pub use plan::Request;
pub use prediction::Prediction;
pub use segcam_graph::{Convolutions, Graph, GraphError, Shares};
pub use smooth::{InputNoise, Smoothing};
pub use tape::TapeEngine;
pub use target::Target;
pub use upsample::{half_pixel_taps, upsample};
pub use walks::Walks;

/// The parts of burn that appear in this crate's signatures.
pub use burn;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
