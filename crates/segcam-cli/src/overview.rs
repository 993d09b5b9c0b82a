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

/// Panels of one sheet.
const MOST: usize = 12 * COLUMNS;

impl Overview {
    /// Adds a map of a part.
    pub(crate) fn add<const D: usize>(
        &mut self,
        scene: Scene<D>,
        question: &Question<D>,
        (figure, part_of): (&Figure<D>, &str),
        (map, number): (usize, &str),
        (panel, legend): (Panel, &Legend),
    ) {
        let name = format!("overview.{}{part_of}{number}", question.map_file(map));
        let found = self.sheets.iter().position(|sheet| sheet.name == name);
        let at = found.unwrap_or_else(|| {
            let (class, image) = (scene.model.class_title(figure.class), scene.input.short_name());
            let (method, layer) = question.map(map);
            let method = method.name();
            let map = format!(
                "{} at {}, each part by its own scale",
                title(&method),
                short_layer(&layer.name)
            );
            let title = format!("{image}: {class}, {}; {map}", figure.asked);
            self.sheets.push(Sheet { name, title, legend: legend.clone(), panels: vec![] });
            self.sheets.len() - 1
        });
        let sheet = &mut self.sheets[at];
        match sheet.panels.len() {
            0..MOST => sheet.panels.push(Panel { caption: figure.pixels.name(), ..panel }),
            MOST => {
                sheet.title += &format!(" (the first {MOST})");
                sheet.panels.push(Panel::blank());
            }
            _ => {}
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
