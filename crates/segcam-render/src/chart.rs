use std::iter::repeat;

use image::RgbImage;
use plotters::style::text_anchor::HPos;

use crate::canvas::{Canvas, Spot, widest};
use crate::sheet::wrapped;
use crate::text::font;

const TEXT: i32 = 32;
const TITLE: i32 = 40;
const LINE: i32 = 42;
const MARGIN: i32 = 24;
const GAP: i32 = 10;
/// Length of a line in the legend.
const SAMPLE: i32 = 70;
const HEIGHT: i32 = 340;
/// The narrowest plot.
const WIDTH: i32 = 430;
/// Room for a place whose name reads upwards.
const PLACE: i32 = 38;
/// Longer names are shortened to so many characters.
const NAME: usize = 32;

/// One metric at several places, such as layers or window sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The metric, and whether higher or lower is better.
    pub title: String,
    /// Names along the x axis.
    pub places: Vec<String>,
    /// What is compared.
    pub series: Vec<Series>,
    /// Names and values of dashed lines, such as the score of a random map.
    pub lines: Vec<(String, f64)>,
    /// Whether a series is a curve with a band instead of single points with bars.
    pub joined: bool,
}

/// The values of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The method.
    pub name: String,
    /// One for each place, `None` where nothing was measured.
    pub points: Vec<Option<Point>>,
}

/// A value with its interval. What is not finite is not drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Point {
    /// The value.
    pub value: f64,
    /// The ends of the interval.
    pub interval: Option<(f64, f64)>,
    /// What the value is the mean of: drawn as dots where there is no interval.
    pub values: Vec<f64>,
}

/// Charts side by side under a title and a common legend.
///
/// # Example
/// ```
/// use segcam_render::{Chart, Point, Series, charts};
///
/// let points = [0.2, 0.3].map(|value| Some(Point { value, interval: Some((0.1, 0.4)), values: vec![] }));
/// let chart = Chart {
///     title: "road (higher is better)".into(),
///     places: vec!["mid".into(), "dec1".into()],
///     series: vec![Series { name: "seg-grad-cam".into(), points: points.to_vec() }],
///     lines: vec![("random".into(), 0.0)],
///     joined: false,
/// };
/// assert!(charts("Nuclei", &[chart]).width() > 800);
/// ```
pub fn charts(title: &str, charts: &[Chart]) -> RgbImage {
    let (canvas, size) = Sheet::new(charts).draw(title, charts);
    canvas.to_image(size)
}

/// [`charts`] as the text of an SVG picture.
pub fn charts_svg(title: &str, charts: &[Chart]) -> String {
    let (canvas, size) = Sheet::new(charts).draw(title, charts);
    canvas.to_svg(size)
}

/// What the panels share.
struct Sheet<'a> {
    canvas: Canvas,
    /// Names of series and of dashed lines in the legend; their position decides their look.
    series: Vec<&'a str>,
    lines: Vec<&'a str>,
    /// Width of a plot.
    width: i32,
    /// Room for numbers left of a plot and for names below it.
    left: i32,
    foot: i32,
}

impl<'a> Sheet<'a> {
    fn new(charts: &'a [Chart]) -> Self {
        let least = if charts.len() == 1 { 2 * WIDTH } else { WIDTH };
        let places = charts.iter().map(|chart| chart.places.len()).max().unwrap_or(0);
        let width = least.max(places as i32 * PLACE);
        let foot =
            charts.iter().map(|chart| if upward(chart, width) { names_width(chart) } else { TEXT });
        let numbers = charts.iter().filter_map(Axis::new).flat_map(|axis| axis.ticks());
        Self {
            canvas: Canvas::default(),
            series: unique(charts.iter().flat_map(|chart| &chart.series).map(|s| s.name.as_str())),
            lines: unique(charts.iter().flat_map(Chart::drawable_lines).map(|line| line.0)),
            width,
            left: widest(numbers.map(|(_, number)| number), TEXT) + GAP,
            foot: foot.max().unwrap_or(0) + GAP,
        }
    }

    fn draw(mut self, title: &str, charts: &[Chart]) -> (Canvas, (u32, u32)) {
        let columns = match charts.len() {
            0 | 1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
        let panel = self.left + self.width + MARGIN;
        let right = MARGIN + columns as i32 * panel;
        let top = self.title(title, (MARGIN, MARGIN), right - 2 * MARGIN, TITLE);
        let mut top = self.legend(top + GAP, right) + MARGIN;
        for (row, shown) in charts.chunks(columns).enumerate() {
            let lefts = (MARGIN + self.left..).step_by(panel as usize);
            let titles = shown.iter().zip(lefts.clone());
            let titles =
                titles.map(|(c, left)| self.title(&c.title, (left, top), self.width, TEXT));
            top = titles.max().unwrap_or(top) + GAP;
            // A panel above one with the same places leaves their names to it.
            let next = charts.iter().skip((row + 1) * columns).map(Some).chain(repeat(None));
            let mut between = MARGIN;
            for ((chart, left), next) in shown.iter().zip(lefts).zip(next) {
                self.panel(chart, left, top);
                if next.is_none_or(|next| next.places != chart.places) {
                    self.names(chart, left, top + HEIGHT + GAP);
                    between = if next.is_some() { self.foot + MARGIN } else { between };
                }
            }
            top += HEIGHT + between;
        }
        top += self.foot;
        (self.canvas, (right as u32, top as u32))
    }

    /// Returns the y below it.
    fn title(&mut self, title: &str, (left, top): (i32, i32), room: i32, size: i32) -> i32 {
        let lines = wrapped(title, room as u32, size as f32, &font());
        let height = size * 5 / 4;
        for (i, line) in (0..).zip(&lines) {
            self.canvas.text((left, top + i * height + size / 2), HPos::Left, line, size);
        }
        top + lines.len() as i32 * height
    }

    /// Returns the y below it.
    fn legend(&mut self, top: i32, right: i32) -> i32 {
        let (mut x, mut y) = (MARGIN, top + LINE / 2);
        for (i, name) in self.series.iter().chain(&self.lines).enumerate() {
            let name = short(name);
            let line = i.checked_sub(self.series.len());
            let sample = if line.is_some() { SAMPLE } else { TEXT };
            let width = sample + GAP + widest([&name], TEXT);
            if x > MARGIN && (line == Some(0) || x + width > right - MARGIN) {
                (x, y) = (MARGIN, y + LINE);
            }
            match line {
                Some(look) => self.canvas.dashes(x, x + sample, y, look),
                None => self.canvas.marker((x + sample / 2, y), i),
            }
            self.canvas.text((x + sample + GAP, y), HPos::Left, &name, TEXT);
            x += width + 2 * MARGIN;
        }
        y + LINE / 2
    }

    fn panel(&mut self, chart: &Chart, left: i32, top: i32) {
        let (right, bottom) = (left + self.width, top + HEIGHT);
        self.canvas.frame((left, top), (right, bottom));
        let Some(axis) = Axis::new(chart) else {
            let middle = ((left + right) / 2, (top + bottom) / 2);
            return self.canvas.text(middle, HPos::Center, "no values", TEXT);
        };
        let width = self.width;
        let x = |place: f64| left + chart.x(place, width);
        let y = |value| top + (axis.depth(value) * f64::from(HEIGHT)) as i32;

        for (tick, number) in axis.ticks() {
            self.canvas.grid((left, y(tick)), (right, y(tick)));
            self.canvas.text((left - GAP, y(tick)), HPos::Right, &number, TEXT);
        }
        for place in 0..chart.places.len() {
            // A curve passes through its places; other points stand between two lines.
            let line = x(place as f64 + if chart.joined { 0.0 } else { 0.5 });
            self.canvas.grid((line, top), (line, bottom));
        }
        self.canvas.frame((left, top), (right, bottom));
        for (name, value) in chart.drawable_lines() {
            self.canvas.dashes(left, right, y(value), look(&self.lines, name));
        }
        let apart = if chart.joined { 0.0 } else { (0.8 / chart.series.len() as f64).min(0.2) };
        for (i, series) in chart.series.iter().enumerate() {
            let side = apart * (i as f64 - (chart.series.len() - 1) as f64 / 2.0);
            let look = look(&self.series, &series.name);
            let mut spots = vec![];
            for (place, point) in series.drawable(chart).enumerate() {
                let x = x(place as f64 + side);
                spots.push(point.map(|point| {
                    let dots = point.dots().iter().map(|value| (x, y(*value)));
                    dots.for_each(|dot| self.canvas.dot(dot, look));
                    let [value, low, high] = point.ends().map(y);
                    Spot { x, value, low, high }
                }));
            }
            self.series(&spots, look, chart.joined);
        }
    }

    fn names(&mut self, chart: &Chart, left: i32, top: i32) {
        for (place, name) in chart.places.iter().enumerate() {
            let (x, name) = (left + chart.x(place as f64, self.width), short(name));
            if upward(chart, self.width) {
                self.canvas.upward_text((x, top), &name, TEXT);
            } else {
                self.canvas.text((x, top + TEXT / 2), HPos::Center, &name, TEXT);
            }
        }
    }

    fn series(&mut self, spots: &[Option<Spot>], look: usize, joined: bool) {
        for run in spots.split(Option::is_none) {
            let run: Vec<Spot> = run.iter().copied().flatten().collect();
            match &run[..] {
                spots @ [_, _, ..] if joined => self.canvas.curve(spots, look),
                spots => spots.iter().for_each(|spot| self.canvas.bar(*spot, look)),
            }
            run.iter().for_each(|spot| self.canvas.marker((spot.x, spot.value), look));
        }
    }
}

/// The y axis of a chart.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
    /// The decimal exponent of the step.
    exponent: i32,
}

impl Axis {
    /// Some room around all values; `None` without points.
    fn new(chart: &Chart) -> Option<Self> {
        let points = chart.series.iter().flat_map(|series| series.drawable(chart)).flatten();
        let mut values: Vec<f64> =
            points.flat_map(|point| [&point.ends()[..], point.dots()].concat()).collect();
        if !values.is_empty() {
            values.extend(chart.drawable_lines().map(|line| line.1));
        }
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;

        let size = low.abs().max(high.abs());
        let room = match high - low {
            _ if size < 1e-9 => 1.0,
            range if range < 1e-6 * size => 0.1 * size,
            range => 0.07 * range,
        };
        let (low, high) = (low - room, high + room);
        let least = (high - low) / 6.0;
        let exponent = least.log10().floor() as i32;
        let steps = [(1.0, 0), (2.0, 0), (5.0, 0), (1.0, 1)];
        let steps = steps.map(|(factor, more)| (factor, exponent + more));
        let (factor, exponent) = steps.into_iter().find(|(f, e)| f * 10f64.powi(*e) >= least)?;
        Some(Self { low, high, step: factor * 10f64.powi(exponent), exponent })
    }

    /// How far a value is from the upper end, as part of the axis.
    fn depth(&self, value: f64) -> f64 {
        (self.high - value) / (self.high - self.low)
    }

    /// Round values with their text.
    fn ticks(&self) -> Vec<(f64, String)> {
        let (first, last) = ((self.low / self.step).ceil(), (self.high / self.step).floor());
        let values = (first as i64..=last as i64).map(|tick| tick as f64 * self.step);
        values.map(|value| (value, self.number(value))).collect()
    }

    /// As many digits as the step needs.
    fn number(&self, value: f64) -> String {
        let decimals = (-self.exponent).max(0) as usize;
        if value == 0.0 {
            "0".into()
        } else if (1e-3..1e5).contains(&self.low.abs().max(self.high.abs())) {
            format!("{value:.decimals$}")
        } else {
            let digits = (value.abs().log10().floor() as i32 - self.exponent).max(0) as usize;
            format!("{value:.digits$e}")
        }
    }
}

impl Chart {
    /// The middle of a place; in between, parts of places.
    fn x(&self, place: f64, width: i32) -> i32 {
        ((place + 0.5) / self.places.len() as f64 * f64::from(width)) as i32
    }

    fn drawable_lines(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.lines.iter().map(|(name, value)| (name.as_str(), *value));
        lines.filter(|line| drawable(line.1))
    }
}

impl Series {
    /// Its points at the places of a chart, without what is not finite.
    fn drawable(&self, chart: &Chart) -> impl Iterator<Item = Option<Point>> {
        self.points.iter().take(chart.places.len()).map(|point| {
            let mut point = point.clone().filter(|point| drawable(point.value))?;
            point.interval = point.interval.filter(|(low, high)| drawable(*low) && drawable(*high));
            point.values.retain(|value| drawable(*value));
            Some(point)
        })
    }
}

impl Point {
    /// The single values, where there is no interval.
    fn dots(&self) -> &[f64] {
        if self.interval.is_none() { &self.values } else { &[] }
    }

    /// Its value and the ends of its interval.
    fn ends(&self) -> [f64; 3] {
        let (low, high) = self.interval.unwrap_or((self.value, self.value));
        [self.value, low, high]
    }
}

/// Finite, and so far from overflow that differences are, too.
fn drawable(value: f64) -> bool {
    value.abs() < 1e100
}

/// Whether the names of places are too wide to stand side by side.
fn upward(chart: &Chart, width: i32) -> bool {
    (names_width(chart) + GAP) * chart.places.len() as i32 > width
}

fn names_width(chart: &Chart) -> i32 {
    widest(chart.places.iter().map(|name| short(name)), TEXT)
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

fn look(names: &[&str], name: &str) -> usize {
    names.iter().position(|known| *known == name).unwrap_or(0)
}

/// Leaves out the middle of a long name.
fn short(name: &str) -> String {
    let name: Vec<char> = name.chars().collect();
    if name.len() <= NAME {
        return name.into_iter().collect();
    }
    let half = NAME / 2;
    let (start, end) = (&name[..half], &name[name.len() - half + 1..]);
    start.iter().chain(&['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let point = |value: &f64| {
            Some(Point { value: *value, interval: Some((value - 0.1, *value)), values: vec![] })
        };
        Chart {
            title: "Metric".into(),
            places: values.iter().map(f64::to_string).collect(),
            series: vec![Series { name: "A".into(), points: values.iter().map(point).collect() }],
            lines: vec![("random".into(), 0.5)],
            joined: false,
        }
    }

    #[test]
    fn the_axis_has_round_numbers_around_the_values() {
        let axis = Axis::new(&chart(&[0.2, 0.9])).expect("has values");
        assert!(axis.low < 0.1 && axis.high > 0.9);
        let numbers: Vec<String> = axis.ticks().into_iter().map(|tick| tick.1).collect();
        assert_eq!(numbers, ["0.2", "0.4", "0.6", "0.8"]);
    }

    #[test]
    fn the_axis_is_never_degenerate() {
        for value in [0.0, 1.0, -3e7, 1e-300, 9e99] {
            let mut chart = chart(&[]);
            (chart.places, chart.lines) = (vec!["x".into()], Vec::new());
            chart.series[0].points = vec![Some(Point { value, ..Point::default() })];
            let axis = Axis::new(&chart).expect("has a value");
            assert!((2..10).contains(&axis.ticks().len()), "{value}");
            assert!(axis.depth(value) > 0.1 && axis.depth(value) < 0.9, "{value}");
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let good = chart(&[0.3, 0.4]);
        let mut bad = good.clone();
        bad.places.push("2".into());
        bad.lines.push(("edges".into(), f64::NAN));
        let points = &mut bad.series[0].points;
        points.push(Some(Point { value: f64::INFINITY, ..Point::default() }));
        let (good, axis) = (Axis::new(&good).expect("values"), Axis::new(&bad).expect("values"));
        assert_eq!((axis.low, axis.high), (good.low, good.high));
        assert!(charts("", &[bad.clone(), Chart { joined: true, ..bad }]).width() > 0);
    }

    #[test]
    fn only_the_last_of_a_column_names_common_places() {
        let chart = chart(&[0.25, 0.75]);
        assert_eq!(charts_svg("", &[chart.clone(), chart.clone()]).matches("0.75\n<").count(), 2);
        assert_eq!(charts_svg("", &vec![chart; 7]).matches("0.75\n<").count(), 3);
    }

    /// Of fewer images than an interval needs, the single values are drawn.
    #[test]
    fn few_values_are_dots() {
        let drawn = |count: usize, interval: Option<(f64, f64)>| {
            let values = (0..count).map(|image| 0.2 + 0.1 * image as f64).collect();
            let mut chart = chart(&[0.3]);
            chart.lines.clear();
            chart.series[0].points = vec![Some(Point { value: 0.3, interval, values })];
            charts_svg("", &[chart]).matches("<polygon").count()
        };
        let none = drawn(0, None);
        for count in 2..5 {
            assert_eq!(drawn(count, None), none + count);
        }
        assert_eq!(drawn(3, Some((0.2, 0.4))), none, "the interval says it");
    }

    #[test]
    fn a_chart_without_values_says_so() {
        let empty = [chart(&[]), chart(&[f64::NAN])];
        assert_eq!(charts_svg("Title", &empty).matches("no values").count(), 2);
        assert!(!charts_svg("Title", &[]).contains("no values"));
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(short("decoder.up4"), "decoder.up4");
        let name = short("backbone.stages.3.blocks.11.attention.output");
        assert_eq!(name, "backbone.stages.…ttention.output");
        assert_eq!(name.chars().count(), NAME);
    }
}
