use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, Tensor, TensorData};
use image::DynamicImage;
use segcam_core::{UnknownName, upsample};
use serde::{Deserialize, Serialize};

use super::{Placement, Prepared, PreprocessError, expect_opaque, planes};

/// The channels that a network takes, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as OpenCV reads images.
    Bgr,
    /// Brightness.
    Gray,
}

impl Channels {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Rgb, Self::Bgr, Self::Gray];
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Gray => "gray",
        })
    }
}

impl FromStr for Channels {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("order of channels", name, Self::ALL)
    }
}

/// How an image becomes a network's input: `(value · scale − mean) / std` for each channel, where
/// values go from 0 to 255.
///
/// # Example
/// ```
/// use segcam_core::burn::tensor::Device;
/// use segcam_models::{Channels, Recipe};
///
/// let recipe = Recipe { channels: Some(Channels::Gray), mean: vec![0.5], ..Recipe::default() };
/// let image = image::DynamicImage::new_luma8(4, 2);
/// let prepared = recipe.apply(&image, &Device::flex())?;
/// assert_eq!(prepared.input.dims(), [1, 1, 2, 4]);
/// assert_eq!(prepared.input.max().into_scalar::<f32>(), -0.5);
/// # Ok::<(), segcam_models::PreprocessError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// The channels; RGB unless it is set.
    pub channels: Option<Channels>,
    /// Factor of the values from 0 to 255; 1/255 unless it is set.
    pub scale: f32,
    /// Mean of each channel after scaling, or one number for all; 0 unless it is set.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel after scaling, or one number for all; 1 unless it is set.
    pub std: Vec<f32>,
    /// Size `[H, W]` that the image is resized to, bilinearly and without keeping its aspect ratio.
    pub size: Option<[usize; 2]>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { channels: None, scale: 1.0 / 255.0, mean: vec![], std: vec![], size: None }
    }
}

impl Recipe {
    /// Prepares `image`. The brightness of a grey one goes into each of three channels.
    ///
    /// # Errors
    /// Transparent pixels, and numbers that do not fit the channels.
    pub fn apply(
        &self,
        image: &DynamicImage,
        device: &Device,
    ) -> Result<Prepared, PreprocessError> {
        expect_opaque(image)?;
        let channels = self.channels.unwrap_or(Channels::Rgb);
        let (values, count) = match channels {
            Channels::Gray => (image.to_luma32f().into_raw(), 1),
            Channels::Rgb => (planes(&image.to_rgb32f(), [0, 1, 2]), 3),
            Channels::Bgr => (planes(&image.to_rgb32f(), [2, 1, 0]), 3),
        };
        let per_channel = |name, values: &[f32], default: f32| -> Result<Tensor<4>, _> {
            let values = match values {
                [] => vec![default; count],
                [one] => vec![*one; count],
                all => all.to_vec(),
            };
            let useful = |value: &f32| value.is_finite() && (name != "std" || *value > 0.0);
            if values.len() != count || !values.iter().all(useful) {
                return Err(PreprocessError::PerChannel { name, channels: count, given: values });
            }
            Ok(Tensor::from_data(TensorData::new(values, [1, count, 1, 1]), device))
        };
        let (mean, std) =
            (per_channel("mean", &self.mean, 0.0)?, per_channel("std", &self.std, 1.0)?);
        let [height, width] = [image.height() as usize, image.width() as usize];
        let data = TensorData::new(values, [1, count, height, width]);
        let input = Tensor::<4>::from_data(data, device) * (255.0 * self.scale);
        let input = (input - mean) / std;
        let size = self.size.filter(|&size| size != [height, width]);
        let input = match size {
            Some(size) if size.contains(&0) => return Err(PreprocessError::NoSize),
            Some(size) => upsample(input, &size),
            None => input,
        };
        let resized = size.unwrap_or([height, width]);
        let placement = Placement { image: [height, width], ..Placement::same(resized) };
        let replicated = count == 3 && !image.color().has_color();
        Ok(Prepared { input, picture: image.to_rgb8(), placement, replicated })
    }
}
