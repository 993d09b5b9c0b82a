use std::f64::consts::TAU;

use image::{Rgb, RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::sheet;
use crate::text::{self, font};

const INK: RGBColor = RGBColor(25, 25, 30);
const GREY: RGBColor = RGBColor(90, 90, 95);
const GRID: RGBColor = RGBColor(220, 220, 225);
/// Okabe and Ito's colours, which colour-blind readers tell apart. Yellow, the palest, is last.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(240, 228, 66),
];
/// Markers as stars: corners, turn in parts of a circle, radius between the corners.
const MARKERS: [(u32, f64, f64); 8] = [
    (16, 0.0, 1.0),
    (4, 0.125, 0.71),
    (3, 0.0, 0.5),
    (4, 0.0, 0.71),
    (4, 0.125, 0.35),
    (3, 0.5, 0.5),
    (5, 0.0, 0.4),
    (4, 0.0, 0.4),
];
/// Lengths of dashes and of the gaps between them.
const DASHES: [(usize, i32); 4] = [(30, 20), (11, 4), (18, 10), (52, 42)];
const RADIUS: f64 = 11.0;
/// Shapes are painted larger by this factor and then reduced, for smooth edges.
const FINE: u32 = 2;

/// Shapes and text in pixels, for a PNG or an SVG picture. A `look` numbers a legend's entries.
#[derive(Default)]
pub(crate) struct Canvas {
    shapes: Vec<Shape>,
    texts: Vec<Text>,
}

enum Shape {
    Line(Vec<(i32, i32)>, ShapeStyle),
    Fill(Vec<(i32, i32)>, RGBAColor),
}

struct Text {
    /// The start, centre or end of the middle of the line.
    at: (i32, i32),
    anchor: HPos,
    upward: bool,
    text: String,
    size: i32,
}

/// A value and the ends of its interval on the canvas.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) x: i32,
    pub(crate) value: i32,
    pub(crate) low: i32,
    pub(crate) high: i32,
}

impl Canvas {
    pub(crate) fn text(&mut self, at: (i32, i32), anchor: HPos, text: &str, size: i32) {
        self.texts.push(Text { at, anchor, upward: false, text: text.into(), size });
    }

    /// Text that reads upwards and ends at a point.
    pub(crate) fn upward_text(&mut self, at: (i32, i32), text: &str, size: i32) {
        self.texts.push(Text { at, anchor: HPos::Right, upward: true, text: text.into(), size });
    }

    pub(crate) fn grid(&mut self, from: (i32, i32), to: (i32, i32)) {
        self.line(vec![from, to], GRID.stroke_width(2));
    }

    pub(crate) fn frame(&mut self, (left, top): (i32, i32), (right, bottom): (i32, i32)) {
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        self.line(corners, GREY.stroke_width(2));
    }

    /// A dashed line from left to right.
    pub(crate) fn dashes(&mut self, left: i32, right: i32, y: i32, look: usize) {
        let (step, dash) = DASHES[look % DASHES.len()];
        for x in (left..right).step_by(step) {
            self.line(vec![(x, y), (right.min(x + dash), y)], GREY.stroke_width(3));
        }
    }

    /// An interval with caps.
    pub(crate) fn bar(&mut self, spot: Spot, look: usize) {
        let Spot { x, low, high, .. } = spot;
        let cap = |y| vec![(x - 5, y), (x + 5, y)];
        for points in [vec![(x, low), (x, high)], cap(low), cap(high)] {
            self.line(points, color(look).stroke_width(3));
        }
    }

    /// A small dot, for one of the values whose mean is a marker.
    pub(crate) fn dot(&mut self, (x, y): (i32, i32), look: usize) {
        let points = (0..12).map(|i| {
            let (sin, cos) = (TAU * f64::from(i) / 12.0).sin_cos();
            (x + (5.0 * sin).round() as i32, y - (5.0 * cos).round() as i32)
        });
        self.shapes.push(Shape::Fill(points.collect(), color(look).mix(0.55)));
    }

    /// A line through values and the band of their intervals.
    pub(crate) fn curve(&mut self, spots: &[Spot], look: usize) {
        let lows = spots.iter().map(|spot| (spot.x, spot.low));
        let highs = spots.iter().rev().map(|spot| (spot.x, spot.high));
        self.shapes.push(Shape::Fill(lows.chain(highs).collect(), color(look).mix(0.15)));
        let values = spots.iter().map(|spot| (spot.x, spot.value)).collect();
        self.line(values, color(look).stroke_width(3));
    }

    pub(crate) fn marker(&mut self, (x, y): (i32, i32), look: usize) {
        let (corners, turn, notch) = MARKERS[look % MARKERS.len()];
        let points = (0..2 * corners).map(|i| {
            let radius = RADIUS * if i % 2 == 0 { 1.0 } else { notch };
            let (sin, cos) = (TAU * (turn + f64::from(i) / f64::from(2 * corners))).sin_cos();
            (x + (radius * sin).round() as i32, y - (radius * cos).round() as i32)
        });
        self.shapes.push(Shape::Fill(points.collect(), color(look).to_rgba()));
    }

    fn line(&mut self, points: Vec<(i32, i32)>, style: ShapeStyle) {
        self.shapes.push(Shape::Line(points, style));
    }

    pub(crate) fn to_image(&self, (width, height): (u32, u32)) -> RgbImage {
        let mut fine = RgbImage::new(width * FINE, height * FINE);
        let area = BitMapBackend::with_buffer(&mut fine, (width * FINE, height * FINE));
        self.paint(&area.into_drawing_area(), FINE).expect("drawing in memory does not fail");
        let mut image = imageops::thumbnail(&fine, width, height);
        self.texts.iter().for_each(|text| text.write(&mut image));
        image
    }

    pub(crate) fn to_svg(&self, size: (u32, u32)) -> String {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        self.paint(&area, 1).expect("drawing in memory does not fail");
        for text in &self.texts {
            area.draw_text(&text.text, &text.style(), text.at).expect("writing in memory");
        }
        drop(area);
        svg
    }

    fn paint<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        scale: u32,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let scaled = |points: &[(i32, i32)]| -> Vec<_> {
            points.iter().map(|(x, y)| (x * scale as i32, y * scale as i32)).collect()
        };
        area.fill(&WHITE)?;
        for shape in &self.shapes {
            match shape {
                Shape::Line(points, style) => {
                    let style = style.stroke_width(style.stroke_width * scale);
                    area.draw(&PathElement::new(scaled(points), style))?;
                }
                Shape::Fill(points, color) => area.draw(&Polygon::new(scaled(points), *color))?,
            }
        }
        Ok(())
    }
}

impl Text {
    fn write(&self, image: &mut RgbImage) {
        let (font, size) = (font(), self.size as f32);
        let width = widest([&self.text], self.size);
        let (x, y) = (self.at.0, self.at.1);
        if self.upward {
            let paper = Rgb([255, 255, 255]);
            let mut line = RgbImage::from_pixel(width as u32 + 2, self.size as u32 + 4, paper);
            text::write(&mut line, (0, 0), size, &font, sheet::INK, &self.text);
            let line = imageops::rotate270(&line);
            imageops::replace(image, &line, (x - self.size / 2).into(), y.into());
            return;
        }
        let left = match self.anchor {
            HPos::Left => x,
            HPos::Center => x - width / 2,
            HPos::Right => x - width,
        };
        let corner = (left as u32, (y - self.size / 2) as u32);
        text::write(image, corner, size, &font, sheet::INK, &self.text);
    }

    /// For SVG, whose viewer has a font of its own.
    fn style(&self) -> TextStyle<'static> {
        let font = ("Ubuntu, Arial, sans-serif", self.size).into_font();
        let turn = if self.upward { FontTransform::Rotate270 } else { FontTransform::None };
        font.transform(turn).color(&INK).pos(Pos::new(self.anchor, VPos::Center))
    }
}

/// The width of the widest of some texts.
pub(crate) fn widest<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, size: i32) -> i32 {
    let font = font();
    let widths = texts.into_iter().map(|text| text::width(text.as_ref(), size as f32, &font));
    widths.max().unwrap_or(0) as i32
}

fn color(look: usize) -> RGBColor {
    COLORS[look % COLORS.len()]
}
