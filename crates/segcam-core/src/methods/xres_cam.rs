use burn::tensor::Tensor;

use crate::CamMethod;

/// XRes-CAM: between [`HiResCam`](crate::HiResCam) and [`GradCam`](crate::GradCam), by the size of a
/// window over which gradients are averaged.
///
/// `L(u) = Σ_k ḡ_k(u) · A_k(u)` with `ḡ_k(u)` the mean of `∂s/∂A_k` over the window of `u`, and `s`
/// the class score summed over the whole image. Windows lie side by side from the first cell on; the
/// last one of a side ends with the map and averages the cells that it has. Window 1 is HiResCAM; a
/// window as large as the map is Grad-CAM.
///
/// The Seg form, Seg-XRes-CAM, is `Seg::of(XResCam::new(4), pixels)`. Its authors' code reduces
/// windows by their largest value unless told to average; it counts zeros beyond the border, and
/// stretches what it has to the size of the map by the nearest value. Where windows divide the map,
/// the averages are the same.
///
/// Hasany, Petitjean and Mériaudeau, "Seg-XRes-CAM: Explaining Spatially Local Regions in Image
/// Segmentation", CVPR Workshops 2023,
/// [open access](https://openaccess.thecvf.com/content/CVPR2023W/XAI4CV/html/Hasany_Seg-XRes-CAM_Explaining_Spatially_Local_Regions_in_Image_Segmentation_CVPRW_2023_paper.html).
///
/// # Example
/// ```
/// use segcam_core::{CamMethod, XResCam, burn::tensor::{Device, Tensor}};
///
/// let device = Device::flex();
/// let a = Tensor::<4>::from_floats([[[[1.0, 2.0, 3.0]]]], &device);
/// let g = Tensor::<4>::from_floats([[[[0.0, 4.0, 5.0]]]], &device);
/// let map = XResCam::new(2).combine(a, g).into_data().try_to_vec::<f32>()?;
/// assert_eq!(map, [2.0, 4.0, 15.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XResCam {
    window: usize,
}

impl XResCam {
    /// Averages over windows of `window` cells along each side; 0 is read as 1.
    pub fn new(window: usize) -> Self {
        Self { window: window.max(1) }
    }

    /// Side of a window in cells of the layer.
    pub fn window(&self) -> usize {
        self.window
    }
}

impl<const D: usize> CamMethod<D> for XResCam {
    fn combine(&self, activations: Tensor<D>, gradients: Tensor<D>) -> Tensor<D> {
        let gradients = (2..D).fold(gradients, |g, dim| averaged(g, dim, self.window));
        (gradients * activations).sum_dim(1)
    }

    fn is_local(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        format!("xres-cam:{}", self.window)
    }
}

/// Every value becomes the mean of its window along one dimension.
fn averaged<const D: usize>(tensor: Tensor<D>, dim: usize, window: usize) -> Tensor<D> {
    let dims = tensor.dims();
    let (side, window) = (dims[dim], window.min(dims[dim]));
    let (outer, inner) = (dims[..dim].iter().product(), dims[dim + 1..].iter().product());
    let (windows, rest) = (side / window, side % window);
    let lines: Tensor<3> = tensor.reshape([outer, side, inner]);
    let whole: Tensor<4> =
        lines.clone().narrow(1, 0, side - rest).reshape([outer, windows, window, inner]);
    let whole = whole.mean_dim(2).repeat_dim(2, window).reshape([outer, side - rest, inner]);
    if rest == 0 {
        return whole.reshape(dims);
    }
    let rest = lines.narrow(1, side - rest, rest).mean_dim(1).repeat_dim(1, rest);
    Tensor::cat(vec![whole, rest], 1).reshape(dims)
}
