use std::borrow::Cow;
use std::io::Cursor;

use ab_glyph::{Font, FontRef, ScaleFont};
use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage, imageops};
use svg::Document;
use svg::node::element::{Image, Rectangle};

use crate::Colormap;
use crate::pdf;
use crate::text::{self, font};

pub(crate) const INK: Rgb<u8> = Rgb([25, 25, 30]);
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const MARGIN: u32 = 16;
const TEXT: f32 = 20.0;
const TITLE: f32 = 28.0;
const LINE: u32 = 24;
const BAR_WIDTH: u32 = 14;
/// The narrowest panel.
const WORDS: u32 = 220;
/// Room for a colour bar and its numbers at the right of a panel.
const BAR_ROOM: u32 = 96;

/// A colour bar with the real scale of a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The colours.
    pub colormap: Colormap,
    /// The value of the lowest colour.
    pub low: f64,
    /// The value of the highest colour.
    pub high: f64,
}

/// One picture of a [`figure`].
#[derive(Debug, Clone)]
pub struct Panel {
    /// The picture.
    pub image: RgbImage,
    /// Text below it; may have several lines.
    pub caption: String,
    /// The scale of its heat map, if it has one.
    pub bar: Option<Bar>,
}

impl Panel {
    /// A place in a row that stays empty.
    pub fn blank() -> Self {
        Self { image: RgbImage::new(0, 0), caption: String::new(), bar: None }
    }
}

/// Panels side by side, row below row, under a title: a picture of many maps.
///
/// Panels of one column are aligned, and long captions are broken into lines.
///
/// # Example
/// ```
/// use image::{Rgb, RgbImage};
/// use segcam_render::{Figure, Panel};
///
/// let image = RgbImage::from_pixel(300, 200, Rgb([90, 90, 90]));
/// let panel = Panel { image, caption: "Seg-HiRes-Grad-CAM at mid".into(), bar: None };
/// let figure = Figure::new("Why nuclei?", vec![vec![panel.clone(), panel]]).with_width(85.0);
/// assert!(figure.to_svg().contains("85mm"));
/// figure.to_image().save(std::env::temp_dir().join("nuclei.png"))?;
/// # Ok::<(), image::ImageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Figure {
    title: String,
    rows: Vec<Vec<Panel>>,
    millimetres: Option<f64>,
}

/// The smallest letters on paper, in points.
const SMALLEST: f64 = 7.0;
const POINTS_PER_MILLIMETRE: f64 = 72.0 / 25.4;
/// How much larger than on a screen letters may be; rows that need more are broken.
const LARGEST: f32 = 4.0;

impl Figure {
    /// A figure for screens: a pixel of a panel is a pixel of the figure.
    pub fn new(title: impl Into<String>, rows: Vec<Vec<Panel>>) -> Self {
        Self { title: title.into(), rows, millimetres: None }
    }

    /// For print at this width, in millimetres: no letter is smaller than 7 points there, and rows are
    /// broken that are too long for that. Widths that are not above zero change nothing.
    pub fn with_width(self, millimetres: f64) -> Self {
        Self { millimetres: Some(millimetres).filter(|width| *width > 0.0), ..self }
    }

    /// As a picture.
    pub fn to_image(&self) -> RgbImage {
        let sheet = self.sheet();
        let mut canvas = RgbImage::from_pixel(sheet.width, sheet.height, PAPER);
        for (left, top, picture) in &sheet.pictures {
            imageops::replace(&mut canvas, &**picture, i64::from(*left), i64::from(*top));
        }
        let font = font();
        for (corner, size, line) in &sheet.texts {
            text::write(&mut canvas, *corner, *size, &font, INK, line);
        }
        canvas
    }

    /// How many pixels of [`to_image`](Self::to_image) a metre has on paper; `None` without a width.
    pub fn pixels_per_metre(&self) -> Option<u32> {
        let dots = |width: f64| (1e3 * f64::from(self.sheet().width) / width).round() as u32;
        self.millimetres.map(dots)
    }

    /// As the text of an SVG file, with real text and embedded pictures.
    pub fn to_svg(&self) -> String {
        let sheet = self.sheet();
        let side = |pixels: u32| match self.millimetres {
            Some(width) => format!("{}mm", width * f64::from(pixels) / f64::from(sheet.width)),
            None => pixels.to_string(),
        };
        let paper =
            Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "white");
        let mut document = Document::new()
            .set("viewBox", (0, 0, sheet.width, sheet.height))
            .set("width", side(sheet.width))
            .set("height", side(sheet.height))
            .add(paper);
        for (left, top, picture) in &sheet.pictures {
            let place = Image::new().set("x", *left).set("y", *top);
            let size = place.set("width", picture.width()).set("height", picture.height());
            document = document.add(size.set("href", data_url(picture)));
        }
        for ((left, top), size, line) in &sheet.texts {
            let baseline = f64::from(*top) + f64::from(font().as_scaled(*size).ascent());
            let text = svg::node::element::Text::new(line).set("x", *left).set("y", baseline);
            let font = text.set("font-family", "Ubuntu, Arial, sans-serif").set("font-weight", 300);
            let text = font.set("font-size", *size).set("fill", "#19191e");
            // Whatever font the viewer has, the line is as long as here.
            let length = text::width(line, *size, &self::font());
            let text = text.set("textLength", length).set("lengthAdjust", "spacingAndGlyphs");
            document = document.add(text);
        }
        document.to_string()
    }

    /// As a PDF file of one page as wide as the figure, with text that can be selected, its font, and
    /// pictures without loss. A pixel of a figure for screens is 1/96 inch, as in SVG.
    ///
    /// # Example
    /// ```
    /// use image::RgbImage;
    /// use segcam_render::{Figure, Panel};
    ///
    /// let panel = Panel { image: RgbImage::new(300, 200), caption: "mid".into(), bar: None };
    /// let pdf = Figure::new("Why nuclei?", vec![vec![panel]]).with_width(85.0).to_pdf();
    /// std::fs::write(std::env::temp_dir().join("nuclei.pdf"), pdf)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn to_pdf(&self) -> Vec<u8> {
        let sheet = self.sheet();
        let points = match self.millimetres {
            Some(width) => width * POINTS_PER_MILLIMETRE,
            None => f64::from(sheet.width) * 72.0 / 96.0,
        };
        pdf::of_sheet(&self.title, &sheet, points as f32)
    }

    fn sheet(&self) -> Sheet<'_> {
        let most = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let of = |columns, scale| Sheet::new(&self.title, &self.in_columns(columns), scale);
        let Some(points) = self.millimetres.map(|width| width * POINTS_PER_MILLIMETRE) else {
            return of(most, 1.0);
        };
        for columns in (1..=most).rev() {
            let mut sheet = of(columns, 1.0);
            // Larger letters need more room, and the figure is then reduced by more.
            while sheet.scale < LARGEST {
                let needed = SMALLEST * f64::from(sheet.width) / points / f64::from(TEXT);
                if needed <= f64::from(sheet.scale) {
                    return sheet;
                }
                sheet = of(columns, needed as f32 * 1.01);
            }
        }
        of(1, LARGEST)
    }

    /// The rows, each broken after so many panels: first the beginnings of all, then what follows.
    fn in_columns(&self, columns: usize) -> Vec<Vec<&Panel>> {
        let most = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let part = |start: usize| {
            let parts = self.rows.iter().map(move |row| row.iter().skip(start).take(columns));
            parts.map(Iterator::collect).filter(|part: &Vec<_>| !part.is_empty())
        };
        (0..most).step_by(columns).flat_map(part).collect()
    }
}

/// The figure of some panels as a picture for screens: see [`Figure`].
pub fn figure(title: &str, rows: &[Vec<Panel>]) -> RgbImage {
    Figure::new(title, rows.to_vec()).to_image()
}

fn data_url(picture: &RgbImage) -> String {
    let mut bytes = Cursor::new(vec![]);
    picture.write_to(&mut bytes, ImageFormat::Png).expect("writing in memory");
    format!("data:image/png;base64,{}", STANDARD.encode(bytes.into_inner()))
}

/// Everything in its place.
pub(crate) struct Sheet<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// How much larger letters and gaps are than on a screen.
    scale: f32,
    /// Each with its left and its top.
    pub(crate) pictures: Vec<(u32, u32, Cow<'a, RgbImage>)>,
    /// Lines of text: left and top, size, words.
    pub(crate) texts: Vec<((u32, u32), f32, String)>,
}

impl<'a> Sheet<'a> {
    fn new(title: &str, rows: &[Vec<&'a Panel>], scale: f32) -> Self {
        let mut sheet = Self { width: 0, height: 0, scale, pictures: vec![], texts: vec![] };
        let margin = sheet.scaled(MARGIN);
        let widest = |column: usize| {
            let panels = rows.iter().filter_map(|row| row.get(column));
            panels.map(|panel| sheet.panel_width(panel)).max().unwrap_or(0)
        };
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let columns: Vec<u32> = (0..count).map(widest).collect();
        let inner = columns.iter().map(|width| width + margin).sum::<u32>().saturating_sub(margin);
        let mut top = sheet.lines((margin, margin), inner, TITLE, LINE + 10, title);
        for row in rows {
            let mut left = margin;
            let mut bottom = top;
            for (panel, room) in row.iter().zip(&columns) {
                bottom = bottom.max(sheet.panel(panel, (left, top), *room));
                left += room + margin;
            }
            top = bottom + margin;
        }
        Self { width: inner + 2 * margin, height: top, ..sheet }
    }

    fn scaled(&self, size: u32) -> u32 {
        (size as f32 * self.scale).round() as u32
    }

    /// Picture and colour bar, but wide enough for words.
    fn panel_width(&self, panel: &Panel) -> u32 {
        let bar = if panel.bar.is_some() { self.scaled(BAR_ROOM) } else { 0 };
        (panel.image.width() + bar).max(self.scaled(WORDS))
    }

    /// Puts a panel in its place, and returns the y below it.
    fn panel(&mut self, panel: &'a Panel, (left, top): (u32, u32), room: u32) -> u32 {
        let image = &panel.image;
        // A place that stays empty is no picture.
        if !image.is_empty() {
            self.pictures.push((left, top, Cow::Borrowed(image)));
        }
        let mut height = image.height();
        if let Some(bar) = &panel.bar {
            self.bar(bar, (left + image.width() + self.scaled(8), top), height);
            // A colour bar needs a line of text even where the picture is flatter.
            height = height.max(self.scaled(LINE));
        }
        let mut below = top + height + self.scaled(6);
        for line in panel.caption.lines() {
            below = self.lines((left, below), room, TEXT, LINE, line);
        }
        below
    }

    fn bar(&mut self, bar: &Bar, (left, top): (u32, u32), height: u32) {
        self.pictures.push((left, top, Cow::Owned(bar.picture(self.scaled(BAR_WIDTH), height))));
        let (text, line) = (left + self.scaled(BAR_WIDTH + 5), self.scaled(LINE));
        let mut number = |y: u32, value: f64| {
            self.texts.push(((text, y), TEXT * self.scale, short_number(value)));
        };
        number(top, bar.high);
        if height > 4 * line {
            number(top + height / 2 - line / 2, (bar.low + bar.high) / 2.0);
        }
        if height > 2 * line {
            number(top + height - line, bar.low);
        }
    }

    /// Writes a text in as many lines as it needs, and returns the y below them.
    fn lines(
        &mut self,
        (left, top): (u32, u32),
        room: u32,
        size: f32,
        height: u32,
        text: &str,
    ) -> u32 {
        let (size, height) = (size * self.scale, self.scaled(height));
        let mut below = top;
        for line in wrapped(text, room, size, &font()) {
            self.texts.push(((left, below), size, line));
            below += height;
        }
        below
    }
}

impl Bar {
    fn picture(&self, width: u32, height: u32) -> RgbImage {
        let share = |y: u32| 1.0 - y as f32 / height.saturating_sub(1).max(1) as f32;
        let colors = self.colormap.colors((0..height).map(share));
        RgbImage::from_fn(width, height, |x, y| {
            let frame = x == 0 || x + 1 == width || y == 0 || y + 1 == height;
            if frame { INK } else { colors[y as usize] }
        })
    }
}

/// A number as captions and colour bars write it: three digits, with an exponent only where that is
/// shorter.
///
/// # Example
/// ```
/// assert_eq!([-1.7204, 0.00952, 3e-7].map(segcam_render::short_number), ["-1.72", "0.00952", "3.0e-7"]);
/// ```
pub fn short_number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        size => {
            let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.decimals$}")
        }
    }
}

/// Breaks a line between words so that each part fits into `room` pixels; a word that is longer
/// breaks where it has to.
pub(crate) fn wrapped(line: &str, room: u32, size: f32, font: &FontRef) -> Vec<String> {
    let fits = |text: &str| text::width(text, size, font) <= room;
    let mut lines = vec![];
    let mut last = String::new();
    for word in line.split_whitespace() {
        if !last.is_empty() {
            let longer = format!("{last} {word}");
            if fits(&longer) {
                last = longer;
                continue;
            }
            lines.push(std::mem::take(&mut last));
        }
        for letter in word.chars() {
            let longer = format!("{last}{letter}");
            if last.is_empty() || fits(&longer) {
                last = longer;
            } else {
                lines.push(std::mem::replace(&mut last, letter.to_string()));
            }
        }
    }
    lines.push(last);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let texts: Vec<String> =
            [0.0, 1.0, 12.345, 0.012_345, 99_999.0, 1e6, -3e-7].map(short_number).into();
        assert_eq!(texts, ["0", "1.00", "12.3", "0.0123", "99999", "1.0e6", "-3.0e-7"]);
    }

    #[test]
    fn lines_break_between_words_and_in_words_that_are_too_long() {
        let font = font();
        let wrapped = |line| wrapped(line, 90, TEXT, &font);
        assert_eq!(wrapped("one two three"), ["one two", "three"]);
        let long = wrapped("a 20,128;230,40;200,220 b");
        assert_eq!(long.concat().replace(' ', ""), "a20,128;230,40;200,220b");
        let width = |line: &String| text::width(line, TEXT, &font);
        assert!(long.len() > 2 && long.iter().all(|line| width(line) <= 90), "{long:?}");
        assert_eq!(wrapped(""), [""]);
    }

    #[test]
    fn a_figure_holds_its_panels_in_place() {
        let red = RgbImage::from_pixel(40, 30, Rgb([255, 0, 0]));
        let panel = Panel { image: red, caption: "one two three four".into(), bar: None };
        let image = figure("Title", &[vec![panel.clone(), panel]]);
        assert_eq!(image.width(), 2 * WORDS + 3 * MARGIN);
        let reds = image.pixels().filter(|pixel| pixel.0 == [255, 0, 0]).count();
        assert_eq!(reds, 2 * 40 * 30);
    }

    #[test]
    fn a_place_that_stays_empty_is_in_no_file() {
        let caption = "input".to_string();
        let panel = Panel { image: RgbImage::new(40, 30), caption, bar: None };
        let figure =
            Figure::new("", vec![vec![panel.clone(), panel.clone()], vec![Panel::blank(), panel]]);
        assert_eq!(figure.to_svg().matches("<image").count(), 3);
        assert!(figure.to_pdf().len() > 1000);
        assert_eq!(figure.to_image().width(), 2 * WORDS + 3 * MARGIN);
    }

    /// At 85 mm a point of the smallest letters is not smaller than on any other paper.
    #[test]
    fn letters_can_be_read_at_the_width_of_print() {
        let bar = Bar { colormap: Colormap::BlueOrange, low: -1.0, high: 1.0 };
        let panel = |bar| Panel {
            image: RgbImage::new(512, 300),
            caption: "Seg-HiRes-Grad-CAM at the last decoder block & <more>".into(),
            bar,
        };
        for columns in 1..6 {
            let rows = vec![vec![panel(None); 1], vec![panel(Some(bar)); columns]];
            for millimetres in [85.0, 170.0] {
                let figure = Figure::new("Why?", rows.clone()).with_width(millimetres);
                let sheet = figure.sheet();
                let points = millimetres * POINTS_PER_MILLIMETRE / f64::from(sheet.width);
                let smallest = sheet.texts.iter().map(|text| text.1).fold(f32::INFINITY, f32::min);
                assert!(points * f64::from(smallest) > 6.99, "{columns} in {millimetres}");
                let wide = |(corner, size, line): &((u32, u32), f32, String)| {
                    corner.0 + text::width(line, *size, &font()) <= sheet.width
                };
                assert!(sheet.texts.iter().all(wide), "{columns} in {millimetres}");
            }
        }
        let figure =
            Figure::new("Why?", vec![vec![panel(Some(bar)), panel(None)]]).with_width(85.0);
        let svg = figure.to_svg();
        assert!(
            svg.contains("85mm") && svg.contains("&amp;") && svg.contains("&lt;more&gt;"),
            "{svg}"
        );
        assert_eq!(svg.matches("data:image/png;base64,").count(), 3);
        let dots = figure.pixels_per_metre().expect("a width");
        assert_eq!(dots, (f64::from(figure.to_image().width()) / 0.085).round() as u32);
    }
}
