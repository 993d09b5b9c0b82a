//! Where everything of a figure lies.

use std::borrow::Cow;

use ab_glyph::FontRef;
use image::{Rgb, RgbImage};

use crate::figure::short_number;
use crate::text::{self, font};
use crate::{Bar, Figure, Panel};

pub(crate) const INK: Rgb<u8> = Rgb([25, 25, 30]);
pub(crate) const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
pub(crate) const MARGIN: u32 = 16;
pub(crate) const TEXT: f32 = 20.0;
const TITLE: f32 = 28.0;
const LINE: u32 = 24;
pub(crate) const BAR_WIDTH: u32 = 14;
/// The narrowest panel.
pub(crate) const WORDS: u32 = 220;
/// Room for a colour bar and its numbers at the right of a panel.
const BAR_ROOM: u32 = 96;

/// Everything in its place.
pub(crate) struct Sheet<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// How much larger letters and gaps are than on a screen.
    pub(crate) scale: f32,
    /// Each with its left and its top.
    pub(crate) pictures: Vec<(u32, u32, Cow<'a, RgbImage>)>,
    /// Lines of text: left and top, size, words.
    pub(crate) texts: Vec<((u32, u32), f32, String)>,
}

impl<'a> Sheet<'a> {
    pub(crate) fn new(figure: &'a Figure, rows: &[Vec<&'a Panel>], scale: f32) -> Self {
        let mut sheet = Self { width: 0, height: 0, scale, pictures: vec![], texts: vec![] };
        let margin = sheet.scaled(MARGIN);
        let widest = |column: usize| {
            let panels = rows.iter().filter_map(|row| row.get(column));
            panels.map(|panel| sheet.panel_width(panel)).max().unwrap_or(0)
        };
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let columns: Vec<u32> = (0..count).map(widest).collect();
        let inner = columns.iter().map(|width| width + margin).sum::<u32>().saturating_sub(margin);
        let mut top = sheet.lines((margin, margin), inner, TITLE, LINE + 10, &figure.title);
        top = sheet.legend(&figure.legend, (margin, top), inner);
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

    /// Writes what colours mean, as many in a line as fit, and returns the y below them.
    fn legend(&mut self, legend: &[(Rgb<u8>, String)], (start, top): (u32, u32), room: u32) -> u32 {
        let [line, swatch, gap] = [LINE, BAR_WIDTH, 6].map(|size| self.scaled(size));
        let (mut left, mut top) = (start, top);
        let mut below = top;
        for (color, words) in legend {
            let wide = swatch + gap + text::width(words, TEXT * self.scale, &font());
            if left > start && left + wide > start + room {
                (left, top) = (start, below);
            }
            let picture = framed(RgbImage::from_pixel(swatch, swatch, *color));
            self.pictures.push((left, top + (line - swatch) / 2, Cow::Owned(picture)));
            let words_at = (left + swatch + gap, top);
            below = self.lines(words_at, room.saturating_sub(swatch + gap), TEXT, LINE, words);
            left += wide + 3 * gap;
        }
        if legend.is_empty() { top } else { below + gap }
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
        framed(RgbImage::from_fn(width, height, |_, y| colors[y as usize]))
    }
}

fn framed(mut picture: RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        if x == 0 || x + 1 == width || y == 0 || y + 1 == height {
            *pixel = INK;
        }
    }
    picture
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
    use crate::Colormap;

    #[test]
    fn columns_align_where_a_panel_has_no_bar() {
        let bar = Bar { colormap: Colormap::BlueOrange, low: -1.0, high: 1.0 };
        let panel = |bar| Panel { image: RgbImage::new(300, 200), caption: "map".into(), bar };
        let rows = [[panel(Some(bar)), panel(None)], [panel(None), panel(Some(bar))]];
        let figure = Figure::new("", rows.iter().map(|row| row.to_vec()).collect());
        let rows: Vec<Vec<&Panel>> = rows.iter().map(|row| row.iter().collect()).collect();
        let sheet = Sheet::new(&figure, &rows, 1.0);
        let panels = sheet.pictures.iter().filter(|(_, _, picture)| picture.width() == 300);
        let places: Vec<(u32, u32)> = panels.map(|(left, top, _)| (*left, *top)).collect();
        let [a, b, c, d] = places[..] else { panic!("{places:?}") };
        assert_eq!((a.0, b.0), (c.0, d.0), "columns");
        assert_eq!((a.1, c.1), (b.1, d.1), "rows");
        assert!(b.0 >= a.0 + 300 + BAR_ROOM, "room for the bar");
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
}
