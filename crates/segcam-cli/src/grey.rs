//! Tensors as pictures.

use image::{Rgb, RgbImage};
use segcam::burn::tensor::Tensor;
use segcam::render::Plane;
use segcam::{CamError, guarded};

use crate::network::is_volume;

/// A picture of a tensor `[1, C, H, W]`: its channels as red, green and blue if it has three, otherwise
/// its first one in grey. Black and white are the `window`'s ends, or its smallest and largest value.
pub(crate) fn draw(tensor: &Tensor<4>, window: Option<(f32, f32)>) -> RgbImage {
    let [_, channels, height, width] = tensor.dims();
    let plane = |channel: usize| {
        Plane::from_tensor(&tensor.clone().narrow(1, channel, 1), 0, [height, width])
    };
    let planes = if channels == 3 { [0, 1, 2].map(plane) } else { [0; 3].map(plane) };
    let values = || planes.iter().flat_map(|plane| plane.values().iter().copied());
    let (low, high) = window.unwrap_or_else(|| {
        (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max))
    });
    let range = (high - low).max(f32::MIN_POSITIVE);
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let byte = |p: &Plane| ((p.at(y as usize, x as usize) - low) / range * 255.0) as u8;
        Rgb([byte(&planes[0]), byte(&planes[1]), byte(&planes[2])])
    })
}

/// The range of a volume without its darkest and brightest voxels: of many volumes single voxels are
/// much brighter than all others.
pub(crate) fn grey_of<const D: usize>(tensor: &Tensor<D>) -> Result<Option<(f32, f32)>, CamError> {
    if !is_volume::<D>() {
        return Ok(None);
    }
    const MANY: usize = 1 << 20;
    let values = guarded(|| Ok::<_, CamError>(tensor.to_data()))?;
    let every = values.num_elements().div_ceil(MANY);
    let mut values: Vec<f32> = values.iter::<f32>().step_by(every).collect();
    values.sort_unstable_by(f32::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part) as usize];
    Ok(Some((at(0.005), at(0.995))).filter(|(low, high)| low < high))
}
