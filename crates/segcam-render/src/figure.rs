use std::io::Cursor;

use ab_glyph::{Font, ScaleFont};
use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage, imageops};
use svg::Document;
use svg::node::element::{Image, Rectangle};

use crate::Colormap;
use crate::pdf;
use crate::sheet::{INK, MARGIN, PAPER, Sheet, TEXT, WORDS};
use crate::text::{self, font};

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
    pub(crate) title: String,
    pub(crate) legend: Vec<(Rgb<u8>, String)>,
    rows: Vec<Vec<Panel>>,
    compared: bool,
    millimetres: Option<f64>,
}

/// The smallest letters on paper, in points.
const SMALLEST: f64 = 7.0;
const POINTS_PER_MILLIMETRE: f64 = 72.0 / 25.4;
/// How much larger than on a screen letters may be; rows that need more are broken, but for those of one
/// panel.
const LARGEST: f32 = 4.0;

impl Figure {
    /// A figure for screens: a pixel of a panel is a pixel of the figure.
    pub fn new(title: impl Into<String>, rows: Vec<Vec<Panel>>) -> Self {
        Self { title: title.into(), legend: vec![], rows, compared: false, millimetres: None }
    }

    /// Says below the title what colours mean: each with its words.
    pub fn with_legend<W: Into<String>>(
        self,
        legend: impl IntoIterator<Item = (Rgb<u8>, W)>,
    ) -> Self {
        let legend = legend.into_iter().map(|(color, words)| (color, words.into()));
        Self { legend: legend.collect(), ..self }
    }

    /// Rows are to be compared panel by panel: where they are too long for the paper, what is in one column
    /// stays side by side. Otherwise panels follow each other as words do.
    pub fn compared(self) -> Self {
        Self { compared: true, ..self }
    }

    /// The text above all panels.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// For print at this width, in millimetres: no letter is smaller than 7 points there, and rows are
    /// broken that are too long for that. Less than 32 mm have no room for such letters. Widths that are not
    /// above zero change nothing.
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
        let of = |columns, scale| Sheet::new(self, &self.in_columns(columns), scale);
        let Some(points) = self.millimetres.map(|width| width * POINTS_PER_MILLIMETRE) else {
            return of(most, 1.0);
        };
        // The narrowest panel takes so much, however large its letters are.
        let narrowest = SMALLEST * f64::from(WORDS + 2 * MARGIN) / f64::from(TEXT);
        for columns in (1..=most).rev() {
            let has_room = columns == 1 && points > 1.02 * narrowest;
            let largest = if has_room { f32::INFINITY } else { LARGEST };
            let mut sheet = of(columns, 1.0);
            // Larger letters need more room, and the figure is then reduced by more.
            while sheet.scale < largest {
                let needed = SMALLEST * f64::from(sheet.width) / points / f64::from(TEXT);
                if needed <= f64::from(sheet.scale) {
                    return sheet;
                }
                sheet = of(columns, needed as f32 * 1.01);
            }
        }
        of(1, LARGEST)
    }

    /// The rows, broken after so many panels.
    fn in_columns(&self, columns: usize) -> Vec<Vec<&Panel>> {
        if self.rows.iter().all(|row| row.len() <= columns) {
            return self.rows.iter().map(|row| row.iter().collect()).collect();
        }
        let kept = |panel: &&Panel| !panel.image.is_empty();
        if !self.compared {
            return chunks(self.rows.iter().flatten().filter(kept).collect(), columns);
        }
        let blocks = self.rows.chunk_by(|one, other| one.len() == other.len());
        let broken = blocks.flat_map(|block| {
            let across = (0..block[0].len()).flat_map(|at| block.iter().map(move |row| &row[at]));
            // What belongs together is not torn apart if it fits.
            let whole = columns - columns % block.len();
            chunks(across.filter(kept).collect(), if whole > 0 { whole } else { columns })
        });
        broken.collect()
    }
}

fn chunks(panels: Vec<&Panel>, columns: usize) -> Vec<Vec<&Panel>> {
    panels.chunks(columns).map(<[&Panel]>::to_vec).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::BAR_WIDTH;

    #[test]
    fn numbers_have_three_digits() {
        let texts: Vec<String> =
            [0.0, 1.0, 12.345, 0.012_345, 99_999.0, 1e6, -3e-7].map(short_number).into();
        assert_eq!(texts, ["0", "1.00", "12.3", "0.0123", "99999", "1.0e6", "-3.0e-7"]);
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

    fn numbered(number: u8) -> Panel {
        let image = RgbImage::from_pixel(512, 300, Rgb([number; 3]));
        Panel { image, caption: number.to_string(), bar: None }
    }

    fn numbers(rows: &[Vec<&Panel>]) -> Vec<Vec<u8>> {
        let number = |panel: &&Panel| panel.image.get_pixel(0, 0).0[0];
        rows.iter().map(|row| row.iter().map(number).collect()).collect()
    }

    #[test]
    fn broken_rows_leave_no_holes() {
        let row = |numbers: &[u8]| numbers.iter().map(|number| numbered(*number)).collect();
        let figure = Figure::new("", vec![row(&[1, 2, 3]), row(&[4, 5, 6])]);
        assert_eq!(numbers(&figure.in_columns(3)), [[1, 2, 3], [4, 5, 6]]);
        assert_eq!(numbers(&figure.in_columns(2)), [[1, 2], [3, 4], [5, 6]]);
        let figure = figure.compared();
        assert_eq!(numbers(&figure.in_columns(2)), [[1, 4], [2, 5], [3, 6]]);
        assert_eq!(numbers(&figure.in_columns(1)), [[1], [4], [2], [5], [3], [6]]);
        let known = Figure::new("", vec![row(&[9, 8, 7]), row(&[1, 2]), row(&[3, 4])]).compared();
        assert_eq!(numbers(&known.in_columns(2)), [vec![9, 8], vec![7], vec![1, 3], vec![2, 4]]);
        let blank = vec![vec![numbered(1), Panel::blank(), numbered(2)]];
        assert_eq!(numbers(&Figure::new("", blank).in_columns(2)), [[1, 2]]);
    }

    #[test]
    fn a_legend_shows_its_colours_and_stays_on_the_paper() {
        let orange = Rgb([230, 120, 10]);
        let figure = Figure::new("Why?", vec![vec![numbered(9)]]).with_legend([
            (orange, "for the class"),
            (
                Rgb([1, 2, 3]),
                "against it, and many more words than fit into a line beside the other",
            ),
        ]);
        let image = figure.to_image();
        let inside = (BAR_WIDTH - 2).pow(2) as usize;
        assert_eq!(image.pixels().filter(|pixel| **pixel == orange).count(), inside);
        let sheet = figure.sheet();
        let right = |((left, _), size, line): &((u32, u32), f32, String)| {
            left + text::width(line, *size, &font())
        };
        assert!(sheet.texts.iter().map(right).all(|right| right <= sheet.width));
        assert!(figure.to_svg().contains("for the class"));
    }

    /// At 85 mm a point of the smallest letters is not smaller than on any other paper.
    #[test]
    fn letters_can_be_read_at_the_width_of_print() {
        let bar = Bar { colormap: Colormap::BlueOrange, low: -1.0, high: 1.0 };
        let wide = |width: u32, bar| Panel {
            image: RgbImage::new(width, 300),
            caption: "Seg-HiRes-Grad-CAM at the last decoder block & <more>".into(),
            bar,
        };
        let panel = |bar| wide(512, bar);
        // A picture that is taken as it is may be of any width.
        let alone = [90, 512, 3000, 12_000].map(|width| vec![vec![wide(width, Some(bar))]]);
        let rows =
            (1..6).map(|columns| vec![vec![panel(None); 1], vec![panel(Some(bar)); columns]]);
        for rows in rows.chain(alone) {
            let (columns, image) = (rows[rows.len() - 1].len(), rows[0][0].image.width());
            for millimetres in [35.0, 85.0, 170.0] {
                let figure = Figure::new("Why?", rows.clone()).with_width(millimetres);
                let sheet = figure.sheet();
                let points = millimetres * POINTS_PER_MILLIMETRE / f64::from(sheet.width);
                let smallest = sheet.texts.iter().map(|text| text.1).fold(f32::INFINITY, f32::min);
                let smallest = points * f64::from(smallest);
                assert!(smallest > 6.99, "{smallest}: {columns} of {image} in {millimetres}");
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
