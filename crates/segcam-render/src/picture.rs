use burn::tensor::Tensor;
use image::{Rgb, RgbImage};

/// A picture of an image tensor: `range` goes from black to white, and what lies outside of it is
/// clipped.
///
/// # Shapes
/// - `tensor`: `[N, 1, H, W]` (grey) or `[N, 3, H, W]` (red, green, blue)
///
/// `None` for other channels, an image that the batch does not have, or an empty range.
///
/// # Example
/// ```
/// use segcam_render::{image::Rgb, picture};
/// use burn::tensor::{Device, Tensor};
///
/// let input = Tensor::<4>::from_floats([[[[-1.0, 0.0, 1.0]]]], &Device::flex());
/// let picture = picture(&input, 0, (-1.0, 1.0)).expect("one grey image");
/// assert_eq!(picture.get_pixel(1, 0), &Rgb([128, 128, 128]));
/// ```
pub fn picture(tensor: &Tensor<4>, sample: usize, (low, high): (f32, f32)) -> Option<RgbImage> {
    let [images, channels, height, width] = tensor.dims();
    let fits = sample < images && matches!(channels, 1 | 3) && low < high;
    let (across, down) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    if !fits {
        return None;
    }
    let values = tensor.clone().narrow(0, sample, 1).into_data();
    let values: Vec<f32> = values.iter::<f32>().collect();
    let level = |value: f32| ((value - low) / (high - low) * 255.0).round().clamp(0.0, 255.0) as u8;
    Some(RgbImage::from_fn(across, down, |x, y| {
        let at = |channel: usize| (channel * height + y as usize) * width + x as usize;
        Rgb([0, 1, 2].map(|color| level(values[at(color.min(channels - 1))])))
    }))
}
