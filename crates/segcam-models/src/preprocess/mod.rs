mod clahe;
mod recipe;

use burn::tensor::{Device, Tensor, TensorData};
use image::{DynamicImage, GrayImage, Rgb32FImage, RgbImage, imageops};

pub use recipe::{Channels, Recipe};

/// How a network wants an image before it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preprocess {
    /// Brightness, stretched to `[0, 1]` over the image.
    StretchedGray,
    /// Values divided by the largest the file can hold: one channel of a grey image, RGB of a
    /// colour image.
    Plain,
    /// The retina U-Net's: grey, stretched, CLAHE (clip 2, 8×8 tiles), gamma 1.2, padded with zeros
    /// at the bottom and right to multiples of 4. A grey image is taken as already prepared.
    Retina,
    /// ESPNet's: BGR in 0–255, minus `[72.4, 82.9, 73.2]`, divided by `[45.3, 46.2, 44.9]`, bilinear
    /// to 1024×512, divided by 255 once more as in training.
    Street,
    /// The network takes volumes, not images.
    Volume,
}

/// What can keep an image from being prepared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// The image has see-through pixels, whose colour means nothing.
    #[error("the image has transparent pixels: flatten it onto a background first")]
    Transparent,
    /// An image for a network that takes volumes.
    #[error("the network takes volumes: give a .npy array [N, C, D, H, W]")]
    Volume,
    /// A mean or a deviation that does not fit the channels.
    #[error(
        "{name} needs one number, or one for each of {channels} channel(s), above 0 for std: {given:?}"
    )]
    PerChannel {
        /// `mean` or `std`.
        name: &'static str,
        /// Channels of the input.
        channels: usize,
        /// What was given.
        given: Vec<f32>,
    },
    /// A size with a side of length zero.
    #[error("an image cannot be resized to nothing")]
    NoSize,
}

/// An image as the network sees it, and as people do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prepared {
    /// `[1, C, H, W]`.
    pub input: Tensor<4>,
    /// What people see: the image, or what the network sees where that says more.
    pub picture: RgbImage,
    /// Where the image's pixels went.
    pub placement: Placement,
    /// Whether the image is grey, and its brightness is in all channels of a network for colours.
    pub replicated: bool,
}

/// Where the pixels of an image went on their way to the network: it is resized, and then padded at
/// the bottom and right. Whatever belongs to the image's pixels goes the same way. Sizes are `[H, W]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placement {
    /// Size of the image.
    pub image: [usize; 2],
    /// Its size before it was padded.
    pub resized: [usize; 2],
    /// Size of the network's input.
    pub input: [usize; 2],
}

impl Placement {
    /// Of an image whose pixels are the network's input.
    pub fn same(size: [usize; 2]) -> Self {
        Self { image: size, resized: size, input: size }
    }
}

impl Prepared {
    /// For a network that takes so many channels: the brightness of a grey image goes into all of three.
    /// What cannot be used stays as it is.
    #[must_use]
    pub fn for_channels(self, channels: usize) -> Self {
        if channels != 3 || self.input.dims()[1] != 1 {
            return self;
        }
        Self { input: self.input.repeat_dim(1, channels), replicated: true, ..self }
    }
}

impl Preprocess {
    /// Prepares `image` for the network.
    ///
    /// # Errors
    /// Transparent pixels, and a network that takes no images.
    pub fn apply(self, image: &DynamicImage, device: &Device) -> Result<Prepared, PreprocessError> {
        expect_opaque(image)?;
        let gray = || image.to_luma32f().into_raw();
        let (width, height) = (image.width() as usize, image.height() as usize);
        let tensor = |values: Vec<f32>, channels: usize| {
            Tensor::from_data(TensorData::new(values, [1, channels, height, width]), device)
        };
        let input = match self {
            Self::StretchedGray => {
                let values = stretch(gray());
                // 16-bit microscopes use a small part of their range: show what the network sees.
                let shown = gray_image(&values, image.width(), image.height());
                let picture = DynamicImage::ImageLuma8(shown).into_rgb8();
                let placement = Placement::same([height, width]);
                let input = tensor(values, 1);
                return Ok(Prepared { input, picture, placement, replicated: false });
            }
            Self::Plain if image.color().has_color() => {
                tensor(planes(&image.to_rgb32f(), [0, 1, 2]), 3)
            }
            Self::Plain => tensor(gray(), 1),
            Self::Volume => return Err(PreprocessError::Volume),
            Self::Retina => {
                let prepared = if image.color().has_color() {
                    retina(&image.to_rgb32f())
                } else {
                    image.to_luma8()
                };
                let values = prepared.pixels().map(|p| f32::from(p.0[0]) / 255.0).collect();
                let pad = |side: usize| (0, side.next_multiple_of(4) - side);
                tensor(values, 1).pad([pad(height), pad(width)], 0.0)
            }
            Self::Street => return street(image, device),
        };
        let [_, _, rows, columns] = input.dims();
        let placement = Placement { input: [rows, columns], ..Placement::same([height, width]) };
        Ok(Prepared { input, picture: image.to_rgb8(), placement, replicated: false })
    }
}

fn expect_opaque(image: &DynamicImage) -> Result<(), PreprocessError> {
    if image.color().has_alpha() && image.to_rgba16().pixels().any(|p| p.0[3] != u16::MAX) {
        return Err(PreprocessError::Transparent);
    }
    Ok(())
}

/// To `[0, 1]`; an image of one value becomes zeros.
fn stretch(mut values: Vec<f32>) -> Vec<f32> {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
    values.iter_mut().for_each(|value| *value = (*value - low) * scale);
    values
}

/// From `[0, 1]` to bytes, row by row.
fn gray_image(values: &[f32], width: u32, height: u32) -> GrayImage {
    let bytes = values.iter().map(|value| (value * 255.0) as u8).collect();
    GrayImage::from_raw(width, height, bytes).expect("one byte for each pixel")
}

/// Interleaved pixels to planes in the given channel order.
fn planes(image: &Rgb32FImage, order: [usize; 3]) -> Vec<f32> {
    order.iter().flat_map(|&channel| image.pixels().map(move |p| p.0[channel])).collect()
}

fn retina(image: &Rgb32FImage) -> GrayImage {
    let [r, g, b] = [0.299, 0.587, 0.114];
    let gray = image.pixels().map(|p| 255.0 * (r * p.0[0] + g * p.0[1] + b * p.0[2])).collect();
    let gray = gray_image(&stretch(gray), image.width(), image.height());
    let mut equalized = clahe::clahe(&gray, 8, 2.0);
    let gamma: Vec<u8> =
        (0..256).map(|i| ((f64::from(i) / 255.0).powf(1.0 / 1.2) * 255.0) as u8).collect();
    equalized.iter_mut().for_each(|value| *value = gamma[usize::from(*value)]);
    equalized
}

fn street(image: &DynamicImage, device: &Device) -> Result<Prepared, PreprocessError> {
    let (width, height) = (1024, 512);
    let recipe = Recipe {
        channels: Some(Channels::Bgr),
        scale: 1.0,
        mean: vec![72.392_31, 82.908_936, 73.158_4],
        std: vec![45.319_22, 46.152_893, 44.914_833],
        size: Some([height as usize, width as usize]),
    };
    let prepared = recipe.apply(image, device)?;
    let picture =
        imageops::resize(&prepared.picture, width, height, imageops::FilterType::Triangle);
    Ok(Prepared { input: prepared.input / 255.0, picture, ..prepared })
}
