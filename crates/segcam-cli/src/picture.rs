use anyhow::Result;
use image::{DynamicImage, Rgb, RgbImage, imageops};
use segcam::burn::tensor::Tensor;
use segcam::pixels::PixelSpec;
use segcam::render::{Bar, Colormap, Panel, Plane, enlarge, outline, overlay};
use segcam::{CamError, Explanation, MapStatus, Normalize, PixelSet, Prediction};

/// Outline of the pixels that are explained.
const EXPLAINED: Rgb<u8> = Rgb([255, 255, 255]);
/// Outline of the predicted class.
const PREDICTED: Rgb<u8> = Rgb([0, 200, 255]);
/// What the outlines mean, for titles.
pub(crate) const LEGEND: &str = "white: explained pixels, blue: predicted class";
/// Brightness of the picture under the heat.
const BACKDROP: f32 = 0.8;
/// Small images are enlarged until their longer side has about so many pixels.
const GOOD_SIDE: u32 = 512;
/// Panels of a figure are not wider or higher than this.
const PANEL_SIDE: u32 = 512;

/// What lies under the maps of one image of the batch, and the outlines on top of them.
pub(crate) struct Canvas {
    picture: RgbImage,
    /// The picture in dim grey, so that the colours of the heat stand out.
    backdrop: RgbImage,
    predicted: Plane,
    sample: usize,
    /// The slice that is shown of a volume.
    slice: Option<usize>,
    /// How many times larger the pictures are than the image.
    factor: usize,
}

impl Canvas {
    /// `picture` is what lies under the input; without one the input itself is drawn.
    pub(crate) fn new<const D: usize>(
        input: &Tensor<D>,
        picture: Option<&RgbImage>,
        prediction: &Prediction<D>,
        class: usize,
        sample: usize,
    ) -> Self {
        let predicted = prediction.predicted(class);
        let slice = (D == 5).then(|| fullest_slice(&predicted, sample));
        let [_, _, height, width] = flat(input, sample, slice).dims();
        let picture = picture
            .cloned()
            .unwrap_or_else(|| gray(&flat(input, sample, slice)));
        let factor = (GOOD_SIDE / picture.width().max(picture.height())).max(1) as usize;
        let mut canvas = Self {
            predicted: Plane::from_fn(0, 0, |_, _| 0.0),
            backdrop: dim(&enlarge(&picture, factor)),
            picture: enlarge(&picture, factor),
            factor,
            sample,
            slice,
        };
        canvas.predicted = canvas.mask(&predicted, [height, width]);
        canvas
    }

    /// The picture as it is.
    pub(crate) fn plain(&self) -> Panel {
        Panel {
            image: self.picture.clone(),
            caption: "input".into(),
            bar: None,
        }
    }

    /// The picture with the outline of the predicted class.
    pub(crate) fn prediction(&self) -> Panel {
        let mut image = self.picture.clone();
        outline(&mut image, &self.predicted, PREDICTED);
        Panel {
            image,
            caption: "prediction".into(),
            bar: None,
        }
    }

    /// One map on the picture.
    pub(crate) fn map<const D: usize>(
        &self,
        map: &Explanation<D>,
        normalize: Normalize,
        colormap: Colormap,
        explained: &Tensor<D>,
    ) -> Panel {
        let heat = map.heat_map(normalize);
        let shown = flat(&heat, self.sample, self.slice);
        let [_, _, height, width] = shown.dims();
        let size = [height * self.factor, width * self.factor];
        let plane = Plane::from_tensor(&shown, 0, size);
        let plane = plane.crop(
            self.picture.height() as usize,
            self.picture.width() as usize,
        );
        // The scale that colours and bar share: heat 1 unless the map keeps its unit.
        let top = match normalize {
            Normalize::None => heat.narrow(0, self.sample, 1).max().into_scalar(),
            _ => 1.0,
        };
        let scaled = Plane::from_fn(plane.height(), plane.width(), |y, x| match top {
            0.0 => 0.0,
            top => plane.at(y, x) / top,
        });
        let mut image = overlay(&self.backdrop, &scaled, colormap);
        let explained = self.mask(explained, [height, width]);
        for (mask, color) in [(&self.predicted, PREDICTED), (&explained, EXPLAINED)] {
            if !mask.is_thin() {
                outline(&mut image, mask, color);
            }
        }

        let status = map.status()[self.sample];
        let (low, high) = map.range()[self.sample];
        let bar = match (status, normalize) {
            (MapStatus::Positive, Normalize::MinMax) => (low.max(0.0), high),
            (MapStatus::Positive, Normalize::None) => (0.0, f64::from(top)),
            _ => (0.0, high.max(0.0)),
        };
        let nothing = match status {
            MapStatus::Positive => String::new(),
            empty => format!("\n{empty}: nothing speaks for the class here"),
        };
        let slice = self
            .slice
            .map(|z| format!(", slice {z}"))
            .unwrap_or_default();
        Panel {
            image,
            caption: format!("{} at {}{slice}{nothing}", title(map.method()), map.layer()),
            bar: Some(Bar {
                colormap,
                low: bar.0,
                high: bar.1,
            }),
        }
    }

    /// A mask at the size of the pictures, from one at the size of the logits.
    fn mask<const D: usize>(&self, mask: &Tensor<D>, [height, width]: [usize; 2]) -> Plane {
        let mask = flat(mask, self.sample, self.slice);
        let [_, _, rows, columns] = mask.dims();
        let mask = Plane::from_tensor(&mask, 0, [rows, columns]);
        let size = |side: usize| side * self.factor;
        Plane::from_fn(size(height), size(width), |y, x| {
            mask.at(y * rows / size(height), x * columns / size(width))
        })
    }
}

/// Shrinks a panel's picture where a figure would become too large.
pub(crate) fn for_figure(mut panel: Panel) -> Panel {
    let (width, height) = panel.image.dimensions();
    let longest = width.max(height);
    if longest > PANEL_SIDE {
        let side = |side: u32| (side * PANEL_SIDE / longest).max(1);
        let filter = imageops::FilterType::CatmullRom;
        panel.image = imageops::resize(&panel.image, side(width), side(height), filter);
    }
    panel
}

/// The weights of a pixel set on a prediction.
pub(crate) fn members<const D: usize>(
    set: &PixelSpec,
    prediction: &Prediction<D>,
    class: usize,
) -> Result<Tensor<D>, CamError> {
    set.weights(prediction, class)
}

fn title(method: &str) -> &str {
    match method {
        "grad-cam" => "Grad-CAM",
        "hires-cam" => "HiResCAM",
        "seg-grad-cam" => "Seg-Grad-CAM",
        "seg-hires-grad-cam" => "Seg-HiRes-Grad-CAM",
        other => other,
    }
}

/// One image of the batch, and one slice of a volume, as `[1, C, H, W]`.
fn flat<const D: usize>(tensor: &Tensor<D>, sample: usize, slice: Option<usize>) -> Tensor<4> {
    let dims = tensor.dims();
    let mut tensor = tensor.clone().narrow(0, sample, 1);
    if let Some(slice) = slice {
        tensor = tensor.narrow(2, slice, 1);
    }
    tensor.reshape([1, dims[1], dims[D - 2], dims[D - 1]])
}

fn dim(picture: &RgbImage) -> RgbImage {
    let mut gray = DynamicImage::ImageLuma8(imageops::grayscale(picture)).into_rgb8();
    gray.iter_mut()
        .for_each(|value| *value = (f32::from(*value) * BACKDROP) as u8);
    gray
}

/// The slice with the most members; the middle one if there are none.
fn fullest_slice<const D: usize>(mask: &Tensor<D>, sample: usize) -> usize {
    let depth = mask.dims()[2];
    let one = mask
        .clone()
        .narrow(0, sample, 1)
        .reshape([depth as i32, -1]);
    let counts: Vec<f32> = one.sum_dim(1).into_data().iter::<f32>().collect();
    let most = counts.iter().copied().fold(0.0, f32::max);
    if most == 0.0 {
        depth / 2
    } else {
        counts.iter().position(|&n| n == most).unwrap_or(0)
    }
}

/// A picture of a tensor `[1, C, H, W]`, stretched to the range of its values: colours if it has
/// three channels, otherwise its first one.
fn gray(tensor: &Tensor<4>) -> RgbImage {
    let [_, channels, height, width] = tensor.dims();
    let plane = |channel: usize| {
        Plane::from_tensor(&tensor.clone().narrow(1, channel, 1), 0, [height, width])
    };
    let planes = if channels == 3 {
        [plane(0), plane(1), plane(2)]
    } else {
        [0; 3].map(plane)
    };
    let values = || {
        planes
            .iter()
            .flat_map(|plane| plane.values().iter().copied())
    };
    let low = values().fold(f32::INFINITY, f32::min);
    let range = (values().fold(f32::NEG_INFINITY, f32::max) - low).max(f32::MIN_POSITIVE);
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let byte = |p: &Plane| ((p.at(y as usize, x as usize) - low) / range * 255.0) as u8;
        Rgb([byte(&planes[0]), byte(&planes[1]), byte(&planes[2])])
    })
}
