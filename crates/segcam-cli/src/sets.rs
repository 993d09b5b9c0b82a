//! Pictures of pixel sets, before anything is explained.

use anyhow::Result;
use segcam::guarded;
use segcam::render::{self, Colormap, Panel};
use serde::Serialize;

use crate::ask::{Figure, Sets};
use crate::canvas::{Canvas, Size};
use crate::drawing::here;
use crate::files::File;
use crate::legend::{ANNOTATED, PREDICTED, cells};
use crate::masks::Judged;
use crate::print::Print;
use crate::scene::{COLUMNS, Scene};

/// What the files of the picture are called.
pub const PIXELS: &str = "pixels";

/// A pixel set in numbers.
#[derive(Debug, Serialize)]
pub struct SetReport {
    /// The set.
    pub set: String,
    /// The class asked about.
    pub class: usize,
    /// How many pixels it has.
    pub pixels: usize,
}

/// Draws pixel sets on the first image of the batch, all in one picture.
///
/// # Errors
/// Sets that make no sense here; an empty one if it is the only one.
pub fn draw_sets<const D: usize>(
    scene: Scene<D>,
    sets: &Sets<D>,
    colormap: Colormap,
    print: &Print,
) -> Result<(Vec<SetReport>, Vec<File>)> {
    let Scene { seen, model, .. } = scene;
    let prediction = seen.prediction();
    let size = if sets.figures.len() > COLUMNS { Size::Small } else { Size::InFigure };
    let (mut panels, mut rows) = (vec![], vec![]);
    for Figure { class, pixels: set, .. } in &sets.figures {
        let weights = here(&guarded(|| set.weights(prediction, *class))?)?;
        let pixels = weights.clone().not_equal_elem(0.0).int().sum().into_scalar::<i64>() as usize;
        if pixels == 0 && sets.figures.len() == 1 {
            seen.target(set, *class)?;
        }
        let judged = Judged::new(scene, *class)?;
        let canvas = Canvas::new(scene, judged.as_ref(), *class, &weights, 0)?;
        let caption = format!("{}\n{pixels} {}", set.name(), cells::<D>());
        panels.push(canvas.set(&weights, colormap, &caption, size));
        rows.push(SetReport { set: set.name(), class: *class, pixels });
    }
    let first = sets.figures.first().map_or(0, |figure| figure.class);
    let class = match sets.figures.iter().all(|figure| figure.class == first) {
        true => model.class_title(first),
        false => "pixel sets".into(),
    };
    let title = format!("{}: {class}", scene.input.short_name());
    let annotated = scene.truth.map(|_| (ANNOTATED, "outline: annotated"));
    let legend = [(PREDICTED, "outline: predicted")].into_iter().chain(annotated);
    let panels: Vec<Vec<Panel>> = panels.chunks(COLUMNS).map(<[Panel]>::to_vec).collect();
    Ok((rows, print.files(PIXELS, render::Figure::new(title, panels).with_legend(legend))?))
}
