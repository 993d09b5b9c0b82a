//! Several figures in one.

use anyhow::Result;
use segcam::render::{self, Panel};

use crate::ask::Question;
use crate::draw::Panels;
use crate::files::File;
use crate::legend::Legend;
use crate::print::Print;
use crate::scene::Style;

/// Several figures in one, with a row for each layer and a column for each method.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<Vec<Panel>>,
    legend: Legend,
}

impl Rows {
    /// Adds a row for each layer of a figure; `what` goes before the captions.
    pub fn add<const D: usize>(
        &mut self,
        panels: Vec<Panels<D>>,
        question: &Question<D>,
        style: &Style,
        what: &str,
    ) {
        for Panels { canvas, mut maps } in panels {
            maps.iter_mut().for_each(|map| map.caption = format!("{what}: {}", map.caption));
            for of_layer in maps.chunks(question.methods.len()) {
                let even = self.rows.len().is_multiple_of(2);
                let first = if even { canvas.plain() } else { canvas.prediction() };
                self.rows.push(std::iter::once(first).chain(of_layer.iter().cloned()).collect());
            }
            self.legend = canvas.legend_of_all(style.show);
        }
    }

    /// All rows as a picture.
    ///
    /// # Errors
    /// A picture that is too large.
    pub fn files(&self, name: &str, title: &str, print: &Print) -> Result<Vec<File>> {
        let figure = render::Figure::new(title, self.rows.clone()).with_legend(self.legend.clone());
        print.files(name, figure.compared())
    }
}
