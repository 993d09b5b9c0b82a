#![doc = include_str!("../GUIDE.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod device;
#[cfg(all(feature = "metrics", feature = "render"))]
mod metric_charts;
mod vocabulary;

pub use device::{DeviceError, best_device, device, device_name, device_names};
pub use segcam_annotations as annotations;
pub use segcam_components as components;
/// Everything of `segcam-core`, for those who extend it.
pub use segcam_core as core;
#[cfg(feature = "serde")]
pub use segcam_core::ExplanationData;
// What most programs use.
pub use segcam_core::{
    AblationCam, AllPixels, AnyMethod, CamError, CamMethod, Cancel, Certificate, EigenCam,
    EigenGradCam, EngineKind, Explainer, Explanation, Finer, Fused, Fusion, FusionError, GradCam,
    GradCamPlusPlus, HiResCam, Layer, LayerCam, Layers, MapStatus, NamedMethod, Normalize,
    Observation, OnPixels, Perturbation, PerturbationWeights, PixelSet, PredictedClass, Prediction,
    Quantity, Request, ScoreCam, Seg, SegEigenCam, SegGradCam, SegHiResGradCam, SegmentationModel,
    Shares, Smoothing, Target, UnknownName, Uses, XGradCam, XResCam, burn, guarded, methods,
};
pub use segcam_pixels as pixels;
pub use segcam_windows as windows;
pub use vocabulary::vocabulary;

/// How gradients are computed: the engines, and what one of your own implements.
pub mod engine {
    pub use segcam_core::{
        AsGraph, Certifier, Convolutions, Engine, EngineKind, Forward, Gradients, Graph,
        GraphEngine, GraphError, LayerView, Mapped, Mapper, Pass, Shares, TapeEngine, Walks,
        Wanted,
    };
}

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
#[cfg(feature = "scans")]
pub use segcam_scans as scans;
