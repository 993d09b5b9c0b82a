//! Pictures of maps and pixel sets, and what lies under them.

use image::{DynamicImage, Rgb, RgbImage, imageops};
use segcam::burn::tensor::{Device, Tensor};
use segcam::render::{Bar, Colormap, Panel, Plane, outline, overlay, short_number};
use segcam::{
    CamError, Certificate, Explanation, Fused, MapStatus, Normalize, Prediction, guarded,
};

use crate::read::Input;

/// Outline of the pixels that are explained.
const EXPLAINED: Rgb<u8> = Rgb([255, 255, 255]);
/// Outline of the predicted class.
const PREDICTED: Rgb<u8> = Rgb([0, 200, 255]);
/// Brightness of the picture under the heat.
const BACKDROP: f32 = 0.8;
/// Small images are enlarged by a whole factor while their longer side stays within this; in figures
/// of many panels large ones are shrunk to it.
const GOOD_SIDE: u32 = 512;
/// The longer side in figures of very many panels.
const SMALL_SIDE: u32 = 220;

/// How large a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// For a picture of its own: as large as the image, or enlarged.
    Alone,
    /// For a figure of many panels.
    InFigure,
    /// For a figure of very many panels.
    Small,
}

/// The tensor on this machine's processor: what is drawn does not go away with a device.
pub(crate) fn here<const D: usize>(tensor: &Tensor<D>) -> Result<Tensor<D>, CamError> {
    guarded(|| Ok(Tensor::from_data(tensor.to_data(), &Device::flex())))
}

/// What is drawn of a map, for every image of its batch.
pub(crate) struct Drawing<const D: usize> {
    /// 1 is the top of the colour bar.
    heat: Tensor<D>,
    explained: Tensor<D>,
    /// The values of the lowest and the highest colour.
    scale: Vec<(f64, f64)>,
    status: Vec<MapStatus>,
    caption: String,
}

impl<const D: usize> Drawing<D> {
    /// Several maps of one pixel set in one.
    pub(crate) fn fused(fused: &Fused<D>, explained: &Tensor<D>) -> Result<Self, CamError> {
        let (heat, explained) = (here(fused.heat_map())?, here(explained)?);
        let status = (0..heat.dims()[0]).map(|sample| {
            let largest = heat.clone().narrow(0, sample, 1).max().into_scalar::<f32>();
            if largest > 0.0 { MapStatus::Positive } else { MapStatus::AllZero }
        });
        let (status, scale) = (status.collect(), vec![(0.0, 1.0); heat.dims()[0]]);
        let layers: Vec<&str> = fused.maps().iter().map(Explanation::layer).collect();
        let method = fused.maps().first().map_or("", |map| title(map.method()));
        let caption = format!("{method}, {} of {}", fused.fusion(), layers.join(", "));
        Ok(Self { heat, explained, scale, status, caption })
    }

    pub(crate) fn new(
        map: &Explanation<D>,
        certificate: Option<&Certificate>,
        normalize: Normalize,
    ) -> Result<Self, CamError> {
        let (heat, scale) = match normalize {
            Normalize::MinMax => {
                let unit = here(&map.heat_map(Normalize::None))?;
                let scale = (0..unit.dims()[0]).map(|sample| {
                    let image = unit.clone().narrow(0, sample, 1);
                    (image.clone().min().into_scalar(), image.max().into_scalar())
                });
                (map.heat_map(normalize), scale.collect())
            }
            _ => {
                let scale = map.range().iter().map(|(_, high)| (0.0, *high)).collect();
                (map.heat_map(Normalize::Max), scale)
            }
        };
        let mut caption = format!("{} at {}", title(map.method()), map.layer());
        if map.target().is_whole_image() {
            caption += ", whole image";
        }
        if let Some(certificate) = certificate {
            caption += &format!("\n{}", in_words(certificate));
        }
        if let Some((low, high)) =
            map.range().iter().find(|(low, high)| -low > *high && *high > 0.0)
        {
            let [low, high] = [*low, *high].map(short_number);
            caption += &format!("\nmore against than for the class: {low} to {high}");
        }
        let explained = map.target().weights().clone().not_equal_elem(0.0).float();
        let (heat, explained) = (here(&heat)?, here(&explained)?);
        Ok(Self { heat, explained, scale, status: map.status(), caption })
    }
}

/// What lies under the maps of one image of the batch, and the outlines on top of them.
pub(crate) struct Canvas<const D: usize> {
    picture: RgbImage,
    backdrop: RgbImage,
    predicted: Tensor<D>,
    explained: Tensor<D>,
    sample: usize,
    /// The slice that is shown of a volume.
    slice: Option<usize>,
    /// Height and width of the network's input in pixels of the picture, which may be smaller where
    /// the input was padded.
    input_size: [usize; 2],
}

impl<const D: usize> Canvas<D> {
    /// Without a picture the input itself is drawn. Of a volume the
    /// slice with most of the `explained` pixels is shown, or most of the predicted class if they are
    /// everywhere.
    pub(crate) fn new(
        input: &Input<D>,
        prediction: &Prediction<D>,
        class: usize,
        explained: &Tensor<D>,
        sample: usize,
    ) -> Result<Self, CamError> {
        let (predicted, explained) = (here(&prediction.predicted(class))?, here(explained)?);
        let slice = (D == 5).then(|| {
            fullest_slice(&explained, sample)
                .or_else(|| fullest_slice(&predicted, sample))
                .unwrap_or(predicted.dims()[2] / 2)
        });
        let shown = flat(&input.tensor, sample, slice);
        let [_, _, height, width] = shown.dims();
        let resized = input.picture.as_ref().is_some_and(|picture| picture.resized);
        let picture = match &input.picture {
            Some(picture) => picture.image.clone(),
            None => draw(&here(&shown)?),
        };
        let backdrop = dim(&picture);
        let input_size = match resized {
            true => [picture.height() as usize, picture.width() as usize],
            false => [height, width],
        };
        Ok(Self { picture, backdrop, predicted, explained, sample, slice, input_size })
    }

    /// The slice that is shown of a volume.
    pub(crate) fn slice(&self) -> Option<usize> {
        self.slice
    }

    /// The picture as it is.
    pub(crate) fn plain(&self) -> Panel {
        Panel {
            image: self.resized(&self.picture, Size::InFigure),
            caption: format!("input{}", self.slice_name()),
            bar: None,
        }
    }

    /// The picture with the outline of the predicted class.
    pub(crate) fn prediction(&self) -> Panel {
        let mut image = self.resized(&self.picture, Size::InFigure);
        outline(&mut image, &self.mask(&self.predicted, Size::InFigure), PREDICTED);
        Panel { image, caption: format!("prediction{}", self.slice_name()), bar: None }
    }

    /// One map on the dimmed picture, with the outlines of its pixel set and of the predicted class.
    pub(crate) fn map(&self, drawing: &Drawing<D>, colormap: Colormap, size: Size) -> Panel {
        let heat = self.heat(&drawing.heat, size);
        let mut image = overlay(&self.resized(&self.backdrop, size), &heat, colormap);
        for (mask, color) in [(&self.predicted, PREDICTED), (&drawing.explained, EXPLAINED)] {
            let mask = self.mask(mask, size);
            if !mask.is_thin() {
                outline(&mut image, &mask, color);
            }
        }
        let status = drawing.status[self.sample];
        let (low, high) = drawing.scale[self.sample];
        let empty = match status {
            MapStatus::Positive => String::new(),
            status => format!("\n{status}: nothing speaks for the class here"),
        };
        Panel {
            image,
            caption: format!("{}{}{empty}", drawing.caption, self.slice_name()),
            bar: (status == MapStatus::Positive).then_some(Bar { colormap, low, high }),
        }
    }

    /// The place of a map that there is not.
    pub(crate) fn missing(&self, caption: &str, size: Size) -> Panel {
        Panel { image: self.resized(&self.backdrop, size), caption: caption.into(), bar: None }
    }

    /// A pixel set on the dimmed picture, with the outline of the predicted class.
    pub(crate) fn set(
        &self,
        weights: &Tensor<D>,
        colormap: Colormap,
        caption: &str,
        size: Size,
    ) -> Panel {
        let weights = self.heat(weights, size);
        let mut image = overlay(&self.resized(&self.backdrop, size), &weights, colormap);
        outline(&mut image, &self.mask(&self.predicted, size), PREDICTED);
        let members = self.mask(&self.explained, size);
        if !members.is_thin() {
            outline(&mut image, &members, EXPLAINED);
        }
        Panel { image, caption: format!("{caption}{}", self.slice_name()), bar: None }
    }

    /// What the outlines mean, as far as they are drawn.
    pub(crate) fn legend(&self) -> String {
        let hidden = self.mask(&self.explained, Size::InFigure).is_thin();
        let white = if hidden { "" } else { "white outline: explained pixels, " };
        format!("{white}blue outline: predicted class")
    }

    fn slice_name(&self) -> String {
        self.slice.map(|slice| format!(", slice {slice}")).unwrap_or_default()
    }

    /// How many times larger than the image a panel is.
    fn scale(&self, size: Size) -> f64 {
        let longest = self.picture.width().max(self.picture.height());
        match size {
            Size::Small => f64::from(SMALL_SIDE) / f64::from(longest),
            Size::InFigure if longest > GOOD_SIDE => f64::from(GOOD_SIDE) / f64::from(longest),
            _ => f64::from((GOOD_SIDE / longest).max(1)),
        }
    }

    fn scaled(&self, side: usize, size: Size) -> usize {
        ((side as f64 * self.scale(size)).round() as usize).max(1)
    }

    fn resized(&self, picture: &RgbImage, size: Size) -> RgbImage {
        let side = |side: u32| self.scaled(side as usize, size) as u32;
        let (width, height) = (side(picture.width()), side(picture.height()));
        if (width, height) == picture.dimensions() {
            return picture.clone();
        }
        imageops::resize(picture, width, height, imageops::FilterType::Triangle)
    }

    /// The heat at the size of a panel: interpolated where it is enlarged, the hottest of the covered
    /// pixels where it is shrunk.
    fn heat(&self, heat: &Tensor<D>, size: Size) -> Plane {
        let heat = flat(heat, self.sample, self.slice);
        let to = self.input_size.map(|side| self.scaled(side, size));
        let large = [0, 1].map(|axis| to[axis].max(self.input_size[axis]));
        Plane::from_tensor(&heat, 0, large).cover(to)
    }

    fn mask(&self, mask: &Tensor<D>, size: Size) -> Plane {
        let mask = flat(mask, self.sample, self.slice);
        let [_, _, height, width] = mask.dims();
        let to = self.input_size.map(|side| self.scaled(side, size));
        let [rows, columns] = [self.picture.height(), self.picture.width()]
            .map(|side| self.scaled(side as usize, size));
        Plane::from_tensor(&mask, 0, [height, width]).cover(to).crop(rows, columns)
    }
}

pub(crate) fn title(method: &str) -> &str {
    match method {
        "grad-cam" => "Grad-CAM",
        "hires-cam" => "HiResCAM",
        "seg-grad-cam" => "Seg-Grad-CAM",
        "seg-hires-grad-cam" => "Seg-HiRes-Grad-CAM",
        other => other,
    }
}

/// How much of the score comes through the layer, and how much of the map lies where nothing can
/// have an influence.
fn in_words(certificate: &Certificate) -> String {
    let percent = |part: f64| format!("{:.0} %", (100.0 * part).round() + 0.0);
    let mut words = vec![];
    if certificate.score != 0.0 {
        let share = percent(certificate.exact / certificate.score);
        words.push(format!("{share} of the score comes through this layer"));
    }
    if let Some(impossible) = certificate.impossible {
        words.push(format!("{} of the map where influence is impossible", percent(impossible)));
    }
    words.join("\n")
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

/// The slice with the most members; `None` if all have equally many.
fn fullest_slice<const D: usize>(mask: &Tensor<D>, sample: usize) -> Option<usize> {
    let depth = mask.dims()[2] as i32;
    let one = mask.clone().narrow(0, sample, 1).reshape([depth, -1]);
    let counts: Vec<f32> = one.sum_dim(1).into_data().iter::<f32>().collect();
    let most = counts.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let fullest = counts.iter().position(|&count| count == most);
    fullest.filter(|_| counts.iter().any(|&count| count < most))
}

fn dim(picture: &RgbImage) -> RgbImage {
    let mut gray = DynamicImage::ImageLuma8(imageops::grayscale(picture)).into_rgb8();
    gray.iter_mut().for_each(|value| *value = (f32::from(*value) * BACKDROP) as u8);
    gray
}

/// A picture of a tensor `[1, C, H, W]`, stretched to the range of its values: its channels as red,
/// green and blue if it has three, otherwise its first one in grey.
fn draw(tensor: &Tensor<4>) -> RgbImage {
    let [_, channels, height, width] = tensor.dims();
    let plane = |channel: usize| {
        Plane::from_tensor(&tensor.clone().narrow(1, channel, 1), 0, [height, width])
    };
    let planes = if channels == 3 { [0, 1, 2].map(plane) } else { [0; 3].map(plane) };
    let values = || planes.iter().flat_map(|plane| plane.values().iter().copied());
    let low = values().fold(f32::INFINITY, f32::min);
    let range = (values().fold(f32::NEG_INFINITY, f32::max) - low).max(f32::MIN_POSITIVE);
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let byte = |p: &Plane| ((p.at(y as usize, x as usize) - low) / range * 255.0) as u8;
        Rgb([byte(&planes[0]), byte(&planes[1]), byte(&planes[2])])
    })
}
