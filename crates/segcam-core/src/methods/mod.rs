mod grad_cam;
mod hires_cam;
mod seg_grad_cam;
mod seg_hires_grad_cam;

pub use grad_cam::GradCam;
pub use hires_cam::HiResCam;
pub use seg_grad_cam::SegGradCam;
pub use seg_hires_grad_cam::SegHiResGradCam;
