//! Figures as files: PNG that says what it shows, and SVG and PDF for print.

use anyhow::{Context, Result};
use png::{BitDepth, ColorType, Compression, Encoder, Filter, PixelDimensions, Unit};
use segcam::render::{Figure, Panel};

use crate::draw::File;

/// How figures become files.
#[derive(Debug, Clone, Default)]
pub struct Print {
    /// Width on paper in millimetres; without it figures are for screens.
    pub millimetres: Option<f64>,
    /// Whether there is an SVG file beside each PNG.
    pub svg: bool,
    /// Whether there is a PDF file, too.
    pub pdf: bool,
    /// What every PNG says of itself, beside its title: keywords and texts, such as `Software`.
    pub about: Vec<(String, String)>,
}

impl Print {
    /// The files of one figure: `name.png`, `name.svg` and `name.pdf` if they are wanted.
    ///
    /// # Errors
    /// A picture that is too large.
    pub fn files(&self, name: &str, title: &str, rows: Vec<Vec<Panel>>) -> Result<Vec<File>> {
        let figure = Figure::new(title, rows);
        let figure = match self.millimetres {
            Some(millimetres) => figure.with_width(millimetres),
            None => figure,
        };
        let mut files = vec![File {
            name: format!("{name}.png"),
            bytes: self.png(title, &figure).with_context(|| format!("cannot make {name}.png"))?,
        }];
        if self.svg {
            files.push(File { name: format!("{name}.svg"), bytes: figure.to_svg().into_bytes() });
        }
        if self.pdf {
            files.push(File { name: format!("{name}.pdf"), bytes: figure.to_pdf() });
        }
        Ok(files)
    }

    fn png(&self, title: &str, figure: &Figure) -> Result<Vec<u8>> {
        let image = figure.to_image();
        let mut bytes = vec![];
        let mut encoder = Encoder::new(&mut bytes, image.width(), image.height());
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Fast);
        encoder.set_filter(Filter::Adaptive);
        encoder.add_itxt_chunk("Title".into(), title.into())?;
        for (keyword, text) in &self.about {
            encoder.add_itxt_chunk(keyword.clone(), text.clone())?;
        }
        let dots = |dots| PixelDimensions { xppu: dots, yppu: dots, unit: Unit::Meter };
        encoder.set_pixel_dims(figure.pixels_per_metre().map(dots));
        encoder.write_header()?.write_image_data(image.as_raw())?;
        Ok(bytes)
    }
}
