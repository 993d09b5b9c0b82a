//! What the colours of pictures mean, and what they are of, in words.

use image::Rgb;
use segcam::render::Colormap;

use crate::network::is_volume;

/// Outline of the pixels that are explained.
pub(crate) const EXPLAINED: Rgb<u8> = Rgb([255, 255, 255]);
/// Outline of the predicted class.
pub(crate) const PREDICTED: Rgb<u8> = Rgb([225, 130, 255]);
/// Outline of the annotated class.
pub(crate) const ANNOTATED: Rgb<u8> = Rgb([90, 255, 90]);
/// Predicted and annotated; annotated only; predicted only. Colour-blind readers tell them apart by their
/// brightness, too, and maps have none of them.
pub(crate) const HIT: Rgb<u8> = Rgb([0, 158, 115]);
pub(crate) const MISSED: Rgb<u8> = Rgb([255, 236, 60]);
pub(crate) const FALSE_ALARM: Rgb<u8> = Rgb([222, 50, 150]);

/// Colours with their words.
pub(crate) type Legend = Vec<(Rgb<u8>, &'static str)>;

/// What the colours of signed maps say.
pub(crate) fn of_evidence(colormap: Colormap) -> Legend {
    if !colormap.is_diverging() {
        return vec![];
    }
    let strong = colormap.colors([0.78, 0.22]);
    strong.into_iter().zip(["for the class", "against it"]).collect()
}

/// What images and volumes are made of.
pub(crate) const fn cells<const D: usize>() -> &'static str {
    if is_volume::<D>() { "voxels" } else { "pixels" }
}

/// A pixel set where people read it, with its size if that is said.
pub(crate) fn set_in_words<const D: usize>(set: &str, size: Option<usize>) -> String {
    let cells = cells::<D>();
    match (set, size) {
        ("class", None) => format!("its predicted {cells}"),
        ("class", Some(size)) => format!("its {size} predicted {cells}"),
        ("all", None) => format!("all {cells}"),
        ("all", Some(size)) => format!("all {size} {cells}"),
        (set, None) => set.into(),
        (set, Some(size)) => format!("{set} ({size} {cells})"),
    }
}
