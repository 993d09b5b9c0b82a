mod ablation_cam;
mod eigen_cam;
mod eigen_grad_cam;
mod finer;
mod grad_cam;
mod grad_cam_plus_plus;
mod hires_cam;
mod layer_cam;
mod named;
mod principal;
mod score_cam;
mod seg;
mod seg_eigen_cam;
mod seg_grad_cam;
mod seg_hires_grad_cam;
mod xgrad_cam;
mod xres_cam;

pub use ablation_cam::AblationCam;
pub use eigen_cam::EigenCam;
pub use eigen_grad_cam::EigenGradCam;
pub use finer::Finer;
pub use grad_cam::GradCam;
pub use grad_cam_plus_plus::GradCamPlusPlus;
pub use hires_cam::HiResCam;
pub use layer_cam::LayerCam;
pub use named::{AnyMethod, NamedMethod, methods};
pub use score_cam::ScoreCam;
pub use seg::{OnPixels, Seg, seg_name};
pub use seg_eigen_cam::SegEigenCam;
pub use seg_grad_cam::SegGradCam;
pub use seg_hires_grad_cam::SegHiResGradCam;
pub use xgrad_cam::XGradCam;
pub use xres_cam::XResCam;

use burn::tensor::Tensor;

/// Every dimension of space: all but the batch and the channels.
fn space<const D: usize>() -> Vec<usize> {
    (2..D).collect()
}

/// `a / b`, and 0 where `b` is 0: what has no share in anything gets none.
fn ratio<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let nothing = b.clone().equal_elem(0.0);
    (a / b.mask_fill(nothing.clone(), 1.0)).mask_fill(nothing, 0.0)
}
