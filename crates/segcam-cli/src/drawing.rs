//! What is drawn of a map, and what is said below it.

use segcam::burn::tensor::{Device, Tensor};
use segcam::render::{Colormap, short_number};
use segcam::{
    CamError, Certificate, Explanation, Fused, MapStatus, NamedMethod, Normalize, guarded, methods,
};

use crate::ask::without_middle;
use crate::scene::Show;

/// The tensor on this machine's processor: what is drawn does not go away with a device.
pub(crate) fn here<const D: usize>(tensor: &Tensor<D>) -> Result<Tensor<D>, CamError> {
    if tensor.device() == Device::flex() {
        return Ok(tensor.clone());
    }
    guarded(|| Ok(Tensor::from_data(tensor.to_data(), &Device::flex())))
}

/// What is drawn of a map, for every image of its batch.
pub(crate) struct Drawing<const D: usize> {
    /// 1 is the top of the colour bar.
    pub(crate) heat: Tensor<D>,
    pub(crate) colormap: Colormap,
    /// Where they are not those of the figure: of methods that explain the whole image.
    pub(crate) explained: Option<Tensor<D>>,
    /// The values of the lowest and the highest colour.
    pub(crate) scale: Vec<(f64, f64)>,
    pub(crate) status: Vec<MapStatus>,
    pub(crate) caption: String,
}

impl<const D: usize> Drawing<D> {
    /// Several maps of one pixel set in one.
    pub(crate) fn fused(fused: &Fused<D>) -> Result<Self, CamError> {
        let heat = here(fused.heat_map())?;
        let explained = fused.maps().first().map(whole_image).transpose()?.flatten();
        let status = (0..heat.dims()[0]).map(|sample| {
            let largest = heat.clone().narrow(0, sample, 1).max().into_scalar::<f32>();
            if largest > 0.0 { MapStatus::Positive } else { MapStatus::AllZero }
        });
        let (status, scale) = (status.collect(), vec![(0.0, 1.0); heat.dims()[0]]);
        let layers = fused.maps().iter().map(Explanation::layer).map(short_layer);
        let layers: Vec<_> = layers.collect();
        let method = fused.maps().first().map_or("", |map| title(map.method()));
        let caption = format!("{method}, {} of {}", fused.fusion(), layers.join(", "));
        let colormap = Colormap::default();
        Ok(Self { heat, colormap, explained, scale, status, caption })
    }

    /// Of one image, from what is drawn.
    pub(crate) fn of_page(
        heat: Tensor<D>,
        (colormap, scale): (Colormap, (f64, f64)),
        status: MapStatus,
        caption: String,
    ) -> Self {
        let (scale, status) = (vec![scale], vec![status]);
        Self { heat, colormap, explained: None, scale, status, caption }
    }

    pub(crate) fn new(
        map: &Explanation<D>,
        certificate: Option<&Certificate>,
        show: Show,
    ) -> Result<Self, CamError> {
        let ranges = || map.range().iter();
        let (heat, scale) = match show {
            Show::Signed => {
                let strongest = ranges().map(|(low, high)| high.max(-low));
                (map.signed_map(), strongest.map(|strongest| (-strongest, strongest)).collect())
            }
            Show::Positive { normalize: Normalize::MinMax, .. } => {
                let unit = here(&map.heat_map(Normalize::None))?;
                let scale = (0..unit.dims()[0]).map(|sample| {
                    let image = unit.clone().narrow(0, sample, 1);
                    (image.clone().min().into_scalar(), image.max().into_scalar())
                });
                (map.heat_map(Normalize::MinMax), scale.collect())
            }
            Show::Positive { normalize: Normalize::MaxAbs, .. } => {
                let scale = ranges().map(|(low, high)| (0.0, high.max(-low))).collect();
                (map.heat_map(Normalize::MaxAbs), scale)
            }
            Show::Positive { .. } => {
                let scale = ranges().map(|(_, high)| (0.0, *high)).collect();
                (map.heat_map(Normalize::Max), scale)
            }
        };
        let mut caption = format!("{} at {}", title(map.method()), short_layer(map.layer()));
        if map.target().is_whole_image() {
            caption += ", whole image";
        }
        if let Some(certificate) = certificate {
            caption += &format!("\n{}", in_words(certificate));
        }
        if show != Show::Signed
            && let Some((low, high)) = ranges().find(|(low, high)| -low > *high && *high > 0.0)
        {
            let [low, high] = [*low, *high].map(short_number);
            caption += &format!("\nmore against than for the class: {low} to {high}");
        }
        let (heat, explained) = (here(&heat)?, whole_image(map)?);
        let (colormap, status) = (show.colormap(), map.status());
        Ok(Self { heat, colormap, explained, scale, status, caption })
    }
}

/// The pixels that a map of the whole image explains.
fn whole_image<const D: usize>(map: &Explanation<D>) -> Result<Option<Tensor<D>>, CamError> {
    map.target().is_whole_image().then(|| here(map.target().weights())).transpose()
}

/// A method as figures write it: one that has no text form by its own name.
pub(crate) fn title(method: &str) -> &str {
    let table = methods::<4>();
    let mut titled = table.iter().flat_map(NamedMethod::titled);
    titled.find(|(form, _)| *form == method).map_or(method, |(_, title)| title)
}

/// A layer as captions name it: the report has the whole name. It is the end that tells layers apart.
pub(crate) fn short_layer(name: &str) -> String {
    const ENDS: [usize; 2] = [8, 24];
    without_middle(name, ENDS, '…')
}

/// How much of the score comes through the layer, and how much of the map lies where nothing can
/// have an influence.
fn in_words(certificate: &Certificate) -> String {
    let percent = |part: f64| format!("{:.0} %", (100.0 * part).round() + 0.0);
    let mut words = vec![];
    if certificate.score != 0.0 {
        let share = percent(certificate.exact / certificate.score);
        // A part of a score below zero speaks against the class.
        let negative = (certificate.score < 0.0).then(|| short_number(certificate.score));
        let score = negative.map(|score| format!(" of {score}")).unwrap_or_default();
        words.push(format!("{share} of the score{score} comes through this layer"));
    }
    if let Some(impossible) = certificate.impossible {
        words.push(format!("{} of the map where influence is impossible", percent(impossible)));
    }
    words.join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_names_of_layers_lose_their_middle() {
        let short = super::short_layer("/encoder/layer4/layer4.2/conv3/Conv");
        assert_eq!(short, "/encoder…yer4/layer4.2/conv3/Conv");
        assert_eq!(super::short_layer("decoder.blocks.3"), "decoder.blocks.3");
    }
}
