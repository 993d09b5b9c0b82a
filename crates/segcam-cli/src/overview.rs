//! Overview sheets: all parts of a pixel set side by side.

use anyhow::Result;
use segcam::render::{self, Panel};

use crate::ask::{Figure, Question};
use crate::drawing::{short_layer, title};
use crate::files::File;
use crate::legend::Legend;
use crate::print::Print;
use crate::scene::{COLUMNS, Scene};

/// All parts of a set side by side: a sheet for each layer and method.
#[derive(Debug, Default)]
pub struct Overview {
    sheets: Vec<Sheet>,
}

#[derive(Debug)]
struct Sheet {
    name: String,
    title: String,
    legend: Legend,
    panels: Vec<Panel>,
}

/// A map of a part, for its sheet.
#[derive(Debug)]
pub struct Part {
    sheet: String,
    title: String,
    legend: Legend,
    panel: Panel,
}

impl Part {
    pub(crate) fn new<const D: usize>(
        scene: Scene<D>,
        question: &Question<D>,
        (figure, part_of): (&Figure<D>, &str),
        (map, number): (usize, &str),
        (panel, legend): (Panel, Legend),
    ) -> Self {
        let sheet = format!("overview.{}{part_of}{number}", question.map_file(map));
        let (class, image) = (scene.model.class_title(figure.class), scene.input.short_name());
        let (method, layer) = question.map(map);
        let method = method.name();
        let map = format!(
            "{} at {}, each part by its own scale",
            title(&method),
            short_layer(&layer.name)
        );
        let title = format!("{image}: {class}, {}; {map}", figure.asked);
        Self { sheet, title, legend, panel: Panel { caption: figure.pixels.name(), ..panel } }
    }
}

/// Panels of one sheet.
const MOST: usize = 12 * COLUMNS;

impl Overview {
    /// Adds the maps of a part.
    pub fn add(&mut self, parts: Vec<Part>) {
        for Part { sheet: name, title, legend, panel } in parts {
            let found = self.sheets.iter().position(|sheet| sheet.name == name);
            let at = found.unwrap_or_else(|| {
                self.sheets.push(Sheet { name, title, legend, panels: vec![] });
                self.sheets.len() - 1
            });
            let sheet = &mut self.sheets[at];
            match sheet.panels.len() {
                0..MOST => sheet.panels.push(panel),
                MOST => {
                    sheet.title += &format!(" (the first {MOST})");
                    sheet.panels.push(Panel::blank());
                }
                _ => {}
            }
        }
    }

    /// The sheets of several panels as pictures.
    ///
    /// # Errors
    /// A picture that is too large.
    pub fn files(&self, print: &Print) -> Result<Vec<File>> {
        let mut files = vec![];
        for Sheet { name, title, legend, panels } in &self.sheets {
            if panels.len() > 1 {
                let rows = panels.chunks(COLUMNS).map(<[Panel]>::to_vec).collect();
                let figure = render::Figure::new(title, rows).with_legend(legend.clone());
                files.extend(print.files(name, figure)?);
            }
        }
        Ok(files)
    }
}
