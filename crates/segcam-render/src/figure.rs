use ab_glyph::FontRef;
use image::{Rgb, RgbImage, imageops};

use crate::Colormap;
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

/// Panels side by side, row below row, under a title. Panels of one column are aligned; long captions
/// are broken into lines.
pub fn figure(title: &str, rows: &[Vec<Panel>]) -> RgbImage {
    let font = font();
    let columns: Vec<u32> = (0..rows.iter().map(Vec::len).max().unwrap_or(0))
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(panel_width).max().unwrap_or(0)
        })
        .collect();
    let mut drawn: Vec<Vec<Drawn>> = vec![];
    for row in rows {
        let panels = row.iter().zip(&columns);
        drawn.push(panels.map(|(panel, room)| Drawn::new(panel, *room, &font)).collect());
    }
    let rows = drawn;
    let inner = columns.iter().map(|width| width + MARGIN).sum::<u32>().saturating_sub(MARGIN);
    let title = wrapped(title, inner, TITLE, &font);
    let title_height = title.len() as u32 * (LINE + 10);
    let height = MARGIN + title_height + rows.iter().map(|row| row_height(row)).sum::<u32>();
    let width = inner + 2 * MARGIN;

    let mut canvas = RgbImage::from_pixel(width, height, PAPER);
    for (i, line) in title.iter().enumerate() {
        write(&mut canvas, MARGIN, MARGIN + i as u32 * (LINE + 10), TITLE, &font, line);
    }
    let mut top = MARGIN + title_height;
    for row in &rows {
        let mut left = MARGIN;
        for (panel, width) in row.iter().zip(&columns) {
            panel.draw(&mut canvas, left, top, &font);
            left += width + MARGIN;
        }
        top += row_height(row);
    }
    canvas
}

fn row_height(row: &[Drawn]) -> u32 {
    row.iter().map(Drawn::height).max().unwrap_or(0) + MARGIN
}

/// Picture and colour bar, but wide enough for words.
fn panel_width(panel: &Panel) -> u32 {
    let bar = if panel.bar.is_some() { BAR_ROOM } else { 0 };
    (panel.image.width() + bar).max(WORDS)
}

/// A panel with its caption broken into lines.
struct Drawn<'a> {
    panel: &'a Panel,
    caption: Vec<String>,
}

impl<'a> Drawn<'a> {
    fn new(panel: &'a Panel, room: u32, font: &FontRef) -> Self {
        let lines = panel.caption.lines().flat_map(|line| wrapped(line, room, TEXT, font));
        Self { panel, caption: lines.collect() }
    }

    /// A colour bar needs a line of text even where the picture is flatter.
    fn picture_height(&self) -> u32 {
        self.panel.image.height().max(if self.panel.bar.is_some() { LINE } else { 0 })
    }

    fn height(&self) -> u32 {
        self.picture_height() + 6 + self.caption.len() as u32 * LINE
    }

    fn draw(&self, canvas: &mut RgbImage, left: u32, top: u32, font: &FontRef) {
        let image = &self.panel.image;
        imageops::replace(canvas, image, left.into(), top.into());
        if let Some(bar) = &self.panel.bar {
            bar.draw(canvas, left + image.width() + 8, top, image.height(), font);
        }
        for (i, line) in self.caption.iter().enumerate() {
            write(
                canvas,
                left,
                top + self.picture_height() + 6 + i as u32 * LINE,
                TEXT,
                font,
                line,
            );
        }
    }
}

impl Bar {
    fn draw(&self, canvas: &mut RgbImage, left: u32, top: u32, height: u32, font: &FontRef) {
        let share = |y: u32| 1.0 - y as f32 / height.saturating_sub(1).max(1) as f32;
        for (y, color) in (0..height).zip(self.colormap.colors((0..height).map(share))) {
            for x in 0..BAR_WIDTH {
                let frame = x == 0 || x + 1 == BAR_WIDTH || y == 0 || y + 1 == height;
                canvas.put_pixel(left + x, top + y, if frame { INK } else { color });
            }
        }
        let text = left + BAR_WIDTH + 5;
        write(canvas, text, top, TEXT, font, &short_number(self.high));
        if height > 4 * LINE {
            let middle = (self.low + self.high) / 2.0;
            write(canvas, text, top + height / 2 - LINE / 2, TEXT, font, &short_number(middle));
        }
        if height > 2 * LINE {
            write(canvas, text, top + height - LINE, TEXT, font, &short_number(self.low));
        }
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

fn write(canvas: &mut RgbImage, left: u32, top: u32, size: f32, font: &FontRef, line: &str) {
    text::write(canvas, (left, top), size, font, INK, line);
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
}
