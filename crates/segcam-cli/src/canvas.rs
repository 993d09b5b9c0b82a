//! Pictures of maps and pixel sets, and what lies under them.

use std::sync::OnceLock;

use image::{DynamicImage, Rgb, RgbImage, imageops};
use segcam::burn::tensor::Tensor;
use segcam::models::Placement;
use segcam::render::{Bar, Colormap, Panel, Plane, outline, overlay, tint};
use segcam::{CamError, MapStatus, Prediction};

use crate::drawing::{Drawing, here};
use crate::grey::draw;
use crate::legend::{
    ANNOTATED, EXPLAINED, FALSE_ALARM, HIT, Legend, MISSED, PREDICTED, cells, of_evidence,
};
use crate::masks::{Beside, Judged, Mask, Outlined};
use crate::network::is_volume;
use crate::own_voxels::OwnPicture;
use crate::read::Picture;
use crate::scene::{Scene, Show};
use crate::view::{View, midst};

/// How much of the picture is covered by the colours of sets that are painted.
const PAINTED: f32 = 0.8;
/// Brightness of the picture under the heat.
pub(crate) const BACKDROP: f32 = 0.8;
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

/// What lies under the maps of one image of the batch, and the outlines on top of them.
pub(crate) struct Canvas<const D: usize> {
    picture: RgbImage,
    /// What lies under maps, at the sizes that panels have.
    backdrop: RgbImage,
    backdrops: [OnceLock<RgbImage>; 3],
    predicted: Mask,
    explained: Mask,
    /// What the network sees, where that is something else.
    seen: Option<RgbImage>,
    /// The scan, where the network sees it on other voxels.
    own: Option<OwnPicture>,
    judged: Option<Beside>,
    sample: usize,
    view: View,
    /// Height and width of the network's input in pixels of the picture, which may be smaller where
    /// the input was padded.
    input_size: [usize; 2],
}

impl<const D: usize> Canvas<D> {
    /// Without a picture the input itself is drawn. Of a volume three planes are shown that meet where most of
    /// the `explained` voxels are, or of the predicted class if they are everywhere.
    pub(crate) fn new(
        Scene { input, seen, .. }: Scene<D>,
        judged: Option<&Judged<D>>,
        class: usize,
        explained: &Tensor<D>,
        sample: usize,
    ) -> Result<Self, CamError> {
        let (prediction, explained) = (seen.prediction(), here(explained)?);
        let (view, predicted) = match prediction.size()[..] {
            [depth, rows, columns] => {
                let size = [depth, rows, columns];
                let at = match midst(&explained, sample) {
                    None => midst(&here(&prediction.predicted(class))?, sample),
                    at => at,
                };
                let at = at.unwrap_or(size.map(|side| side / 2));
                let view = View::planes(size, input.sides(), at);
                // Of a large volume only what is shown is held.
                let logits = view.flat(&here(&prediction.logits())?, sample, false);
                let shape = logits.dims();
                (view, Prediction::new(logits, shape).predicted(class))
            }
            _ => {
                let view = match &input.scan {
                    Some(scan) => scan.slice_view(),
                    None => View::image(),
                };
                let predicted = view.flat(&here(&prediction.predicted(class))?, sample, false);
                (view, predicted)
            }
        };
        let explained = Mask::new(view.flat(&explained, sample, false));
        let shown = view.flat(&here(&input.tensor)?, sample, true);
        let [_, channels, height, width] = shown.dims();
        let mut picture = match &input.picture {
            Some(picture) => picture.image.clone(),
            None => draw(&shown, input.grey),
        };
        view.blacken(&mut picture);
        let backdrop = dim(&picture);
        // A picture that shows the image before it was resized shows all that was not padded.
        let sides = [picture.height() as usize, picture.width() as usize];
        let input_size = match &input.picture {
            Some(Picture { placement: Placement { resized, input, .. }, .. }) => {
                [0, 1].map(|axis| (sides[axis] * input[axis]).div_ceil(resized[axis]))
            }
            None => [height, width],
        };
        let colour = picture.pixels().any(|Rgb([r, g, b])| r != g || g != b);
        let changed = |place: Placement| place.image != place.resized || (colour && channels == 1);
        let seen = input.placement().is_some_and(changed).then(|| draw(&shown, None));
        let own = input.scan.as_ref().and_then(|scan| scan.own_voxels(view.at()));
        Ok(Self {
            picture,
            backdrop,
            backdrops: Default::default(),
            predicted: Mask::new(predicted),
            explained,
            seen,
            own,
            judged: judged.map(|judged| judged.of(sample, &view)),
            sample,
            view,
            input_size,
        })
    }

    /// Of an image whose pixels are those of the picture.
    pub(crate) fn of_page(picture: RgbImage, predicted: Tensor<4>, explained: Tensor<4>) -> Self {
        let input_size = [picture.height() as usize, picture.width() as usize];
        Self {
            backdrop: dim(&picture),
            picture,
            backdrops: Default::default(),
            predicted: Mask::new(predicted),
            explained: Mask::new(explained),
            seen: None,
            own: None,
            judged: None,
            sample: 0,
            view: View::image(),
            input_size,
        }
    }

    /// The voxel through which the planes of a volume go.
    pub(crate) fn at(&self) -> Option<[usize; 3]> {
        self.view.at()
    }

    /// The picture as it is.
    pub(crate) fn plain(&self) -> Panel {
        let image = self.resized(&self.picture, Size::InFigure);
        let what = if self.own.is_some() { "what the network sees" } else { "input" };
        Panel {
            image: self.marked(image, Size::InFigure),
            caption: format!("{what}{}", self.view.name()),
            bar: None,
        }
    }

    /// The other one of what the network sees and what there is, where they differ.
    pub(crate) fn other(&self) -> Option<Panel> {
        self.own_voxels().or_else(|| self.seen())
    }

    /// The scan on its own voxels.
    fn own_voxels(&self) -> Option<Panel> {
        let OwnPicture { picture, view, caption } = self.own.as_ref()?;
        let [width, height] = [self.picture.width(), self.picture.height()]
            .map(|side| self.scaled(side as usize, Size::InFigure) as u32);
        let mut image = imageops::resize(picture, width, height, imageops::FilterType::Triangle);
        view.mark(&mut image, f64::from(width) / f64::from(picture.width()));
        Some(Panel { image, caption: caption.clone(), bar: None })
    }

    /// What the network sees, where the picture says something else.
    fn seen(&self) -> Option<Panel> {
        let seen = self.seen.as_ref()?;
        let [height, width] = self.input_size.map(|side| self.scaled(side, Size::InFigure) as u32);
        let image = imageops::resize(seen, width, height, imageops::FilterType::Nearest);
        let (rows, columns) = (seen.height(), seen.width());
        let caption = format!("what the network sees, {rows} × {columns}{}", self.view.name());
        Some(Panel { image, caption, bar: None })
    }

    /// The picture with the outline of the predicted class. What is right and wrong of it, and what an
    /// outline would cover, is painted on the picture in grey.
    pub(crate) fn prediction(&self) -> Panel {
        let size = Size::InFigure;
        let planes = self.view.name();
        let Some(judged) = &self.judged else {
            let caption = format!("prediction{planes}");
            let predicted = self.mask(&self.predicted, size);
            if predicted.thin {
                return self.painted([(predicted, PREDICTED)], caption);
            }
            let mut image = self.resized(&self.picture, size);
            outline(&mut image, &predicted.mask, PREDICTED);
            return Panel { image: self.marked(image, size), caption, bar: None };
        };
        let Beside { hits, misses, false_alarms, dice, .. } = judged;
        let sets = [(hits, HIT), (misses, MISSED), (false_alarms, FALSE_ALARM)];
        let dice = dice.map(|dice| format!(", Dice {dice:.3}")).unwrap_or_default();
        let caption = format!("prediction beside annotation{dice}{planes}");
        self.painted(sets.map(|(mask, color)| (self.mask(mask, size), color)), caption)
    }

    /// The explained pixels where maps have no outline of them, unless they are all that is predicted.
    pub(crate) fn thin(&self) -> Option<Panel> {
        let [explained, predicted] =
            [&self.explained, &self.predicted].map(|set| self.mask(set, Size::InFigure));
        let caption = format!("explained {}{}", cells::<D>(), self.view.name());
        let shown = explained.thin && explained.mask != predicted.mask;
        shown.then(|| self.painted([(explained, EXPLAINED)], caption))
    }

    fn painted<'a>(
        &self,
        sets: impl IntoIterator<Item = (&'a Outlined, Rgb<u8>)>,
        caption: String,
    ) -> Panel {
        let mut image = self.backdrop(Size::InFigure).clone();
        sets.into_iter().for_each(|(set, color)| tint(&mut image, &set.mask, color, PAINTED));
        Panel { image: self.marked(image, Size::InFigure), caption, bar: None }
    }

    /// Which planes of a volume a map shows; in figures of many the picture of the input says it.
    fn place(&self, size: Size) -> String {
        let name = self.view.name();
        if size == Size::Alone { name.replacen(", ", "\n", 1) } else { String::new() }
    }

    /// What a volume's planes are labelled with.
    fn marked(&self, mut image: RgbImage, size: Size) -> RgbImage {
        self.view.mark(&mut image, self.scale(size));
        image
    }

    /// The outlines of the annotated and the predicted class, and of the explained pixels. Sets that an
    /// outline would cover are in panels of their own.
    fn outlines(&self, image: &mut RgbImage, explained: &Mask, size: Size) {
        let annotated = self.judged.iter().map(|judged| (&judged.annotated, ANNOTATED));
        let explained = self.mask(explained, size);
        // An outline along lines that are explained would be all that is seen of them.
        let hides = |mask: &Plane| explained.thin && mask.borders_on(&explained.mask);
        for (mask, color) in annotated.chain([(&self.predicted, PREDICTED)]) {
            let Outlined { mask, thin } = self.mask(mask, size);
            if !thin && !hides(mask) {
                outline(image, mask, color);
            }
        }
        if !explained.thin {
            outline(image, &explained.mask, EXPLAINED);
        }
    }

    /// One map on the dimmed picture, with the outlines of its pixel set and of the predicted class.
    pub(crate) fn map(&self, drawing: &Drawing<D>, size: Size) -> Panel {
        let colormap = drawing.colormap;
        let heat = self.heat(&drawing.heat, size);
        let mut image = overlay(self.backdrop(size), &heat, colormap);
        let other = drawing.explained.as_ref();
        let other = other.map(|set| Mask::new(self.view.flat(set, self.sample, false)));
        self.outlines(&mut image, other.as_ref().unwrap_or(&self.explained), size);
        let status = drawing.status[self.sample];
        let (low, high) = drawing.scale[self.sample];
        let empty = match status {
            MapStatus::Positive => "",
            MapStatus::AllZero => "\nall zero: this layer has no influence on the score",
            MapStatus::Rounding => "\nrounding only: the terms cancel, and the map says nothing",
            _ => "\nnothing speaks for the class here",
        };
        let drawn = match status {
            MapStatus::Positive => true,
            MapStatus::AllNegative => colormap.is_diverging(),
            _ => false,
        };
        Panel {
            image: self.marked(image, size),
            caption: format!("{}{empty}{}", drawing.caption, self.place(size)),
            bar: drawn.then_some(Bar { colormap, low, high }),
        }
    }

    /// The place of a map that there is not.
    pub(crate) fn missing(&self, caption: &str, size: Size) -> Panel {
        Panel { image: self.backdrop(size).clone(), caption: caption.into(), bar: None }
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
        let mut image = overlay(self.backdrop(size), &weights, colormap);
        self.outlines(&mut image, &self.explained, size);
        let caption = format!("{caption}{}", self.place(size));
        Panel { image: self.marked(image, size), caption, bar: None }
    }

    /// What the colours of maps mean, as far as they are drawn.
    pub(crate) fn legend(&self, show: Show) -> Legend {
        let explained = if is_volume::<D>() {
            "outline: explained voxels"
        } else {
            "outline: explained pixels"
        };
        let annotated = self.judged.as_ref().map(|judged| &judged.annotated);
        let sets = [
            (Some(&self.explained), EXPLAINED, explained),
            (Some(&self.predicted), PREDICTED, "outline: predicted"),
            (annotated, ANNOTATED, "outline: annotated"),
        ];
        let outlined = |mask: &Mask| !self.mask(mask, Size::InFigure).thin;
        let outlined = sets.into_iter().filter(|(mask, ..)| mask.is_some_and(outlined));
        let mut legend: Legend = outlined.map(|(_, color, words)| (color, words)).collect();
        legend.extend(of_evidence(show.colormap()));
        legend
    }

    /// The same of a figure that shows the prediction, too.
    pub(crate) fn legend_of_all(&self, show: Show) -> Legend {
        let mut legend = self.legend(show);
        if self.judged.is_some() {
            legend.extend([(HIT, "right"), (MISSED, "missed"), (FALSE_ALARM, "false alarm")]);
        } else if self.mask(&self.predicted, Size::InFigure).thin {
            legend.push((PREDICTED, "predicted"));
        }
        legend
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

    fn backdrop(&self, size: Size) -> &RgbImage {
        self.backdrops[size as usize].get_or_init(|| self.resized(&self.backdrop, size))
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
        let heat = self.view.flat(heat, self.sample, true);
        let to = self.input_size.map(|side| self.scaled(side, size));
        let large = [0, 1].map(|axis| to[axis].max(self.input_size[axis]));
        Plane::from_tensor(&heat, 0, large).cover(to)
    }

    /// A set at the size of a panel, and whether it is thin there.
    fn mask<'a>(&self, mask: &'a Mask, size: Size) -> &'a Outlined {
        mask.sizes[size as usize].get_or_init(|| {
            let [_, _, height, width] = mask.flat.dims();
            let to = self.input_size.map(|side| self.scaled(side, size));
            let [rows, columns] = [self.picture.height(), self.picture.width()]
                .map(|side| self.scaled(side as usize, size));
            let mask = Plane::from_tensor(&mask.flat, 0, [height, width]);
            let mask = mask.cover(to).crop(rows, columns);
            let thin = mask.is_thin();
            Outlined { mask, thin }
        })
    }
}

fn dim(picture: &RgbImage) -> RgbImage {
    let mut gray = DynamicImage::ImageLuma8(imageops::grayscale(picture)).into_rgb8();
    gray.iter_mut().for_each(|value| *value = (f32::from(*value) * BACKDROP) as u8);
    gray
}

#[cfg(test)]
mod tests {
    use segcam::burn::tensor::{Device, TensorData};

    use super::*;

    const SIDE: usize = 512;

    fn mask(member: impl Fn(usize, usize) -> bool) -> Tensor<4> {
        let values = (0..SIDE * SIDE).map(|at| f32::from(u8::from(member(at / SIDE, at % SIDE))));
        let data = TensorData::new(values.collect::<Vec<_>>(), [1, 1, SIDE, SIDE]);
        Tensor::from_data(data, &Device::flex())
    }

    fn canvas(predicted: &Tensor<4>, explained: &Tensor<4>) -> Canvas<4> {
        let picture = RgbImage::from_pixel(SIDE as u32, SIDE as u32, Rgb([120; 3]));
        Canvas::of_page(picture, predicted.clone(), explained.clone())
    }

    /// How much of the picture is neither what was there nor what lies under paint.
    fn changed(panel: &Panel) -> usize {
        let grey = |Rgb([r, g, b]): &&Rgb<u8>| r != g || g != b;
        panel.image.pixels().filter(grey).count()
    }

    /// An outline would hide a net of vessels: it is painted.
    #[test]
    fn thin_sets_are_shown() {
        let lines = |every: usize| mask(move |_, x| x % every == 0);
        let square = mask(|y, x| (100..300).contains(&y) && (100..300).contains(&x));
        let thin = canvas(&lines(4), &lines(8));
        assert_eq!(changed(&thin.prediction()), SIDE * SIDE / 4);
        let explained = thin.thin().expect("a panel of their own");
        assert_eq!(explained.caption, "explained pixels");
        let white = |pixel: &&Rgb<u8>| pixel.0[0] > 200;
        assert_eq!(explained.image.pixels().filter(white).count(), SIDE * SIDE / 8);
        let words = |canvas: &Canvas<4>| {
            let legend = canvas.legend_of_all(Show::Signed);
            legend.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join(", ")
        };
        assert!(!words(&thin).contains("outline") && words(&thin).contains("predicted"));

        // All that is predicted needs no panel of its own, and what is wide has outlines.
        assert!(canvas(&lines(4), &lines(4)).thin().is_none());
        let wide = canvas(&square, &square);
        assert!(wide.thin().is_none() && words(&wide).contains("outline: predicted"));
        assert!(changed(&wide.prediction()) < 5 * 200);
    }
}
