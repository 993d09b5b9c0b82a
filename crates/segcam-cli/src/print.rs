//! Figures as files: PNG that says what it shows, and SVG and PDF for print.

use std::io::Cursor;

use anyhow::{Context, Result};
use image::DynamicImage;
use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Filter, PixelDimensions, Unit};
use segcam::render::Figure;

use crate::files::File;

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

/// The keyword of [`Print::about`] for what a picture is of.
pub const SOURCE: &str = "Source";
/// The keyword of [`Print::about`] for what made a picture: `segcam` and its version.
pub const SOFTWARE: &str = "Software";
/// The keyword of [`Print::about`] for the network.
pub const MODEL: &str = "Model";

impl Print {
    /// The same for pictures of another input.
    #[must_use]
    pub fn of(&self, input: &str) -> Self {
        let mut print = self.clone();
        let source = print.about.iter_mut().find(|(word, _)| word == SOURCE);
        source.into_iter().for_each(|(_, text)| *text = input.into());
        print
    }

    /// The files of one figure: `name.png`, `name.svg` and `name.pdf` if they are wanted.
    ///
    /// # Errors
    /// A picture that is too large.
    pub fn files(&self, name: &str, figure: Figure) -> Result<Vec<File>> {
        let figure = match self.millimetres {
            Some(millimetres) => figure.with_width(millimetres),
            None => figure,
        };
        let mut files = vec![File {
            name: format!("{name}.png"),
            bytes: self.png(&figure).with_context(|| format!("cannot make {name}.png"))?,
        }];
        if self.svg {
            files.push(File { name: format!("{name}.svg"), bytes: figure.to_svg().into_bytes() });
        }
        if self.pdf {
            files.push(File { name: format!("{name}.pdf"), bytes: figure.to_pdf() });
        }
        Ok(files)
    }

    fn png(&self, figure: &Figure) -> Result<Vec<u8>> {
        let about = std::iter::once(("Title", figure.title()));
        let about =
            about.chain(self.about.iter().map(|(word, text)| (word.as_str(), text.as_str())));
        let image = DynamicImage::ImageRgb8(figure.to_image());
        encoded(image, &about.collect::<Vec<_>>(), figure.pixels_per_metre())
    }
}

/// Whether a PNG file says that segcam made it.
pub(crate) fn is_ours(png: &[u8]) -> bool {
    let Ok(reader) = Decoder::new(Cursor::new(png)).read_info() else { return false };
    reader.info().utf8_text.iter().any(|text| {
        text.keyword == SOFTWARE && text.get_text().is_ok_and(|text| text.starts_with("segcam "))
    })
}

/// A picture as a file that says nothing of itself.
///
/// # Errors
/// A picture that is too large.
pub fn png(name: &str, image: impl Into<DynamicImage>) -> Result<File> {
    Ok(File { name: name.to_string(), bytes: encoded(image.into(), &[], None)? })
}

/// With keywords and texts, and with the pixels that a metre has on paper.
fn encoded(
    image: DynamicImage,
    about: &[(&str, &str)],
    pixels_per_metre: Option<u32>,
) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut encoder = Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    for (keyword, text) in about {
        encoder.add_itxt_chunk(keyword.to_string(), text.to_string())?;
    }
    let dots = |dots| PixelDimensions { xppu: dots, yppu: dots, unit: Unit::Meter };
    encoder.set_pixel_dims(pixels_per_metre.map(dots));
    let write = |color, depth, pixels: &[u8]| -> Result<()> {
        encoder.set_color(color);
        encoder.set_depth(depth);
        Ok(encoder.write_header()?.write_image_data(pixels)?)
    };
    match image {
        DynamicImage::ImageLuma8(gray) => write(ColorType::Grayscale, BitDepth::Eight, &gray)?,
        DynamicImage::ImageLuma16(gray) => {
            let pixels: Vec<u8> = gray.iter().flat_map(|value| value.to_be_bytes()).collect();
            write(ColorType::Grayscale, BitDepth::Sixteen, &pixels)?;
        }
        other => write(ColorType::Rgb, BitDepth::Eight, &other.into_rgb8())?,
    }
    Ok(bytes)
}
