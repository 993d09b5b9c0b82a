//! Figures of a picture that is larger than memory, at the size of a page.

use std::path::Path;

use anyhow::{Result, bail};
use image::RgbImage;
use segcam::burn::tensor::{Device, Tensor};
use segcam::core::{LabelMap, Members};
use segcam::render::{self, Panel};
use segcam::{MapStatus, Normalize};

use super::picture::Page;
use crate::ask::{Figure, Question};
use crate::canvas::{Canvas, Size};
use crate::draw::in_rows;
use crate::drawing::{Drawing, short_layer, title};
use crate::legend::set_in_words;
use crate::network::Model;
use crate::report::{Drawn, MapReport};
use crate::scene::{Show, Style};

/// What lies under maps.
pub(super) struct Scene<'a> {
    pub(super) input: &'a Path,
    pub(super) model: &'a Model,
    pub(super) page: Page,
    pub(super) picture: RgbImage,
    pub(super) labels: &'a LabelMap,
}

/// A map to be drawn.
pub(super) struct Shown {
    /// Its number in the figure.
    pub(super) map: usize,
    /// Its values on the page.
    pub(super) reduced: Vec<f32>,
    /// Its number in the report.
    pub(super) report: usize,
    /// Name of its files.
    pub(super) stem: String,
}

impl Scene<'_> {
    /// Draws the maps of a figure, each by itself and all together.
    pub(super) fn draw(
        &self,
        (question, figure): (&Question<4>, &Figure<4>),
        members: &Members,
        shown: &[Shown],
        reports: &mut [MapReport],
        style: &Style,
    ) -> Result<Drawn> {
        let device = Device::flex();
        let explained = self.page.mask(members, &device);
        let predicted = self.page.mask(|pixel| self.labels.is(pixel, figure.class), &device);
        let canvas = Canvas::of_page(self.picture.clone(), predicted, explained);
        let (class, set) = (self.model.class_title(figure.class), figure.pixels.name());
        let input = self.input.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut drawn = Drawn::default();
        let mut panels: Vec<Panel> = (0..question.layers.len() * question.methods.len())
            .map(|map| {
                let (method, layer) = question.map(map);
                let caption = format!("{}\n{}\nno map", title(&method.name()), layer.name);
                canvas.missing(&caption, Size::InFigure)
            })
            .collect();
        for Shown { map, reduced, report, stem } in shown {
            let report = &mut reports[*report];
            let heat = self.page.tensor(reduced.clone(), &device);
            let drawing = drawing(report, heat, style.show)?;
            panels[*map] = canvas.map(&drawing, Size::InFigure);
            let alone = vec![vec![canvas.map(&drawing, Size::Alone)]];
            let set = set_in_words::<4>(&set, Some(report.pixels[0]));
            let alone = render::Figure::new(format!("{input}: {class}, {set}"), alone);
            let alone = alone.with_legend(canvas.legend(style.show));
            let files = style.print.files(stem, alone)?;
            // Pictures come before arrays.
            report.files.splice(0..0, files.iter().map(|file| file.name.clone()));
            drawn.files.extend(files);
        }
        let strongest = match self.page.factor {
            1 => String::new(),
            side => format!("; each pixel is the strongest of {side} × {side}"),
        };
        let title = format!("{input}: {class}, {}{strongest}", set_in_words::<4>(&set, None));
        let rows = in_rows(&canvas, panels, question.methods.len());
        let all = render::Figure::new(title, rows).with_legend(canvas.legend_of_all(style.show));
        let files = style.print.files(&figure.file("compare"), all.compared())?;
        drawn.figures.extend(files.iter().map(|file| file.name.clone()));
        drawn.files.extend(files);
        Ok(drawn)
    }
}

/// A map as it is shown, from its values on the page.
fn drawing(report: &MapReport, reduced: Tensor<4>, show: Show) -> Result<Drawing<4>> {
    let (low, high) = (report.raw_min[0], report.raw_max[0]);
    let status = MapStatus::of((low, high), report.rounding[0]);
    let strongest = high.max(-low);
    let (heat, scale) = match show {
        Show::Signed => (reduced, (-strongest, strongest)),
        Show::Positive { normalize: Normalize::MinMax, .. } => {
            bail!("--normalize min-max needs the whole map in memory: take max-abs or max")
        }
        Show::Positive { normalize: Normalize::MaxAbs, .. } => {
            (reduced.clamp_min(0.0), (0.0, strongest))
        }
        Show::Positive { .. } => (reduced.clamp_min(0.0), (0.0, high)),
    };
    let nothing = status == MapStatus::Rounding || scale.1 <= 0.0;
    let heat = if nothing { heat.zeros_like() } else { heat / scale.1 };
    let caption = format!("{} at {}", title(&report.method), short_layer(&report.layer));
    Ok(Drawing::of_page(heat, (show.colormap(), scale), status, caption))
}
