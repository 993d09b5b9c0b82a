//! The fourth step: maps become pictures, arrays and numbers, as the files that will hold them.

use std::io::Cursor;
use std::ops::Deref;

use anyhow::Result;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{EncodableLayout, ImageBuffer, Pixel, PixelWithColorType};
use npyz::WriterBuilder;
use segcam::render::{Colormap, Panel, figure};
use segcam::{CamError, Fusion, Normalize, Observation, guarded};
use serde::Serialize;

use crate::ask::{Figure, Question, Sets, file_name};
use crate::canvas::{Canvas, Drawing, Size, here, title};
use crate::explain::{Answer, Map, is_lost};
use crate::network::Model;
use crate::read::Input;
use crate::report::{Failure, MapReport};

/// Panels in a row of pixel sets; of more than one row they are small.
const COLUMNS: usize = 6;

/// How maps are shown.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Scale of the heat maps.
    pub normalize: Normalize,
    /// Their colours.
    pub colormap: Colormap,
    /// How the layers of each method are fused into one more heat map.
    pub fuse: Option<Fusion>,
    /// Whether there are arrays of the signed maps.
    pub raw: bool,
    /// Whether there are arrays of the heat maps.
    pub heat: bool,
}

/// A file before it is written.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// What is drawn of one figure.
#[derive(Debug, Default)]
pub struct Drawn {
    /// Pictures and arrays.
    pub files: Vec<File>,
    /// Which of them are figures of all maps together.
    pub figures: Vec<String>,
    /// What the report says of each map.
    pub maps: Vec<MapReport>,
    /// Maps that there are not, and why.
    pub failures: Vec<Failure>,
    /// Of a volume, the slice that is shown, for each image of the batch.
    pub slices: Vec<usize>,
}

/// The maps of one figure for an image of the batch, before they are put together.
struct Panels<const D: usize> {
    canvas: Canvas<D>,
    /// One for each map, asked for or fused, in the order of the requests.
    maps: Vec<Panel>,
}

/// Draws a figure's maps, each by itself and all together.
///
/// # Errors
/// A device that is lost.
pub fn draw<const D: usize>(
    (input, seen, model): (&Input<D>, &Observation<D>, &Model),
    question: &Question<D>,
    answer: &Answer<D>,
    style: &Style,
) -> Result<Drawn> {
    let (mut drawn, all) = draw_maps((input, seen, model), question, answer, style)?;
    let figure_of = answer.figure;
    for (number, Panels { canvas, maps }) in all.into_iter().enumerate() {
        let name = figure_of.file("compare") + &in_batch(number, input) + ".png";
        let class = model.class_title(figure_of.class);
        let title = format!("{class}, pixel set {}; {}", figure_of.pixels.name(), canvas.legend());
        let rows = in_rows(&canvas, maps, question.methods.len());
        drawn.files.push(png(&name, &figure(&title, &rows))?);
        drawn.figures.push(name);
    }
    Ok(drawn)
}

/// Draws a figure's maps, each by itself; the panels are for figures of all, one for each image of the
/// batch.
fn draw_maps<const D: usize>(
    (input, seen, model): (&Input<D>, &Observation<D>, &Model),
    question: &Question<D>,
    answer: &Answer<D>,
    style: &Style,
) -> Result<(Drawn, Vec<Panels<D>>)> {
    let mut drawn = Drawn::default();
    let Figure { class, .. } = *answer.figure;
    let (targets, maps) = match &answer.maps {
        Ok((targets, maps)) => (targets, maps),
        Err(error) => {
            drawn.failures.push(failure(answer.figure, None, error));
            return Ok((drawn, vec![]));
        }
    };
    let mut drawings = vec![];
    for (number, (map, request)) in maps.iter().zip(question.requests(targets)).enumerate() {
        let name = question.methods[number % question.methods.len()].name();
        let drawing = map.clone().and_then(|map| {
            let drawing = Drawing::new(&map.found, map.certificate.as_ref(), style.normalize)?;
            Ok((map, drawing))
        });
        drawings.push(match drawing {
            Ok((map, drawing)) => {
                let report = MapReport::new(&map, model);
                let at = drawn.maps.len();
                drawn.maps.push(report);
                drawn.add_arrays(&map, &question.stem(answer.figure, number), style)?;
                Ok((at, drawing))
            }
            Err(error) if is_lost(&error) => return Err(error.into()),
            Err(error) => {
                let of = Some((name.as_str(), request.layer()));
                drawn.failures.push(failure(answer.figure, of, &error));
                Err(format!("{} at {}\nno map", title(&name), request.layer()))
            }
        });
    }
    if drawings.iter().all(Result::is_err) {
        return Ok((drawn, vec![]));
    }
    let fused = style.fuse.map(|fusion| fuse(fusion, question, maps)).transpose()?;
    let explained = targets.pixels.weights();
    let mut all = vec![];
    for sample in 0..input.tensor.dims()[0] {
        let canvas = Canvas::new(input, seen.prediction(), class, explained, sample)?;
        drawn.slices.extend(canvas.slice());
        let number = in_batch(sample, input);
        let mut panels = vec![];
        for (map, drawing) in drawings.iter().enumerate() {
            let panel = |size| match drawing {
                Ok((_, drawing)) => canvas.map(drawing, style.colormap, size),
                Err(caption) => canvas.missing(caption, size),
            };
            panels.push(panel(Size::InFigure));
            if let Ok((at, _)) = drawing {
                let report = &mut drawn.maps[*at];
                let (pixels, set) = (report.pixels[sample], &report.pixel_set);
                let title = format!("{}, {pixels} pixels of set {set}", model.class_title(class));
                let name = question.stem(answer.figure, map) + &number + ".png";
                drawn.files.push(png(&name, &figure(&title, &[vec![panel(Size::Alone)]]))?);
                report.files.insert(sample, name);
            }
        }
        for (method, drawing) in fused.iter().flatten() {
            let name = answer.figure.file(method) + &number + ".png";
            let panel = canvas.map(drawing, style.colormap, Size::Alone);
            let picture = figure(&model.class_title(class), &[vec![panel]]);
            drawn.files.push(png(&name, &picture)?);
            panels.push(canvas.map(drawing, style.colormap, Size::InFigure));
        }
        all.push(Panels { canvas, maps: panels });
    }
    Ok((drawn, all))
}

/// What the report says of a figure, or of the map of a method and a layer, that there is not.
pub fn failure<const D: usize>(
    figure: &Figure<D>,
    map: Option<(&str, &str)>,
    error: &CamError,
) -> Failure {
    let (method, layer) = map.map(|(method, layer)| (method.into(), layer.into())).unzip();
    let optional = figure.optional && matches!(error, CamError::EmptyPixelSet { .. });
    let (class, pixel_set, error) = (figure.class, figure.pixels.name(), error.to_string());
    Failure { class, pixel_set, method, layer, error, optional }
}

/// The fused heat map of each method, and what its files are called.
fn fuse<const D: usize>(
    fusion: Fusion,
    question: &Question<D>,
    maps: &[Result<Map<D>, CamError>],
) -> Result<Vec<(String, Drawing<D>)>> {
    let mut fused = vec![];
    for (number, method) in question.methods.iter().enumerate() {
        let of_method = maps.iter().skip(number).step_by(question.methods.len()).flatten();
        let maps: Vec<_> = of_method.map(|map| &map.found).collect();
        let Some(first) = maps.first() else { continue };
        let name = format!("{}.{fusion}", file_name(&method.name()));
        let weights = first.target().weights().clone();
        fused.push((name, Drawing::fused(&fusion.fuse(maps)?, &weights)?));
    }
    Ok(fused)
}

/// What is added to names of files of one image of a batch.
fn in_batch<const D: usize>(sample: usize, input: &Input<D>) -> String {
    if input.tensor.dims()[0] > 1 { format!(".{sample}") } else { String::new() }
}

/// One row for each method and one column for each layer; the first column is the image.
fn in_rows<const D: usize>(
    canvas: &Canvas<D>,
    panels: Vec<Panel>,
    methods: usize,
) -> Vec<Vec<Panel>> {
    let first = |row: usize| match (row, methods) {
        (0, 2..) => canvas.plain(),
        _ => canvas.prediction(),
    };
    let row = |row: usize| {
        let maps = panels.iter().skip(row).step_by(methods).cloned();
        std::iter::once(first(row)).chain(maps).collect()
    };
    (0..methods).map(row).collect()
}

impl Drawn {
    fn add_arrays<const D: usize>(
        &mut self,
        map: &Map<D>,
        stem: &str,
        style: &Style,
    ) -> Result<()> {
        let raw = style.raw.then(|| ("raw", map.found.raw().clone()));
        let heat = style.heat.then(|| ("heat", map.found.heat_map(style.normalize)));
        for (kind, tensor) in raw.into_iter().chain(heat) {
            let name = format!("{stem}.{kind}.npy");
            let values: Vec<f32> = here(&tensor)?.into_data().iter::<f32>().collect();
            self.files.push(npy(&name, &tensor.dims(), &values)?);
            self.maps.last_mut().into_iter().for_each(|report| report.files.push(name.clone()));
        }
        Ok(())
    }
}

/// Several figures in one, a row for each.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<Vec<Panel>>,
    legend: String,
}

impl Rows {
    /// Draws a figure's maps, each by itself, and adds a row; `what` goes before the captions.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn draw<const D: usize>(
        &mut self,
        of: (&Input<D>, &Observation<D>, &Model),
        question: &Question<D>,
        answer: &Answer<D>,
        style: &Style,
        what: &str,
    ) -> Result<Drawn> {
        let (drawn, panels) = draw_maps(of, question, answer, style)?;
        for Panels { canvas, mut maps } in panels {
            maps.iter_mut().for_each(|map| map.caption = format!("{what}: {}", map.caption));
            let first = if self.rows.is_empty() { canvas.plain() } else { canvas.prediction() };
            maps.insert(0, first);
            self.legend = canvas.legend();
            self.rows.push(maps);
        }
        Ok(drawn)
    }

    /// All rows as a picture.
    ///
    /// # Errors
    /// A picture that is too large.
    pub fn figure(&self, name: &str, title: &str) -> Result<File> {
        png(name, &figure(&format!("{title} {}", self.legend), &self.rows))
    }
}

/// A pixel set in numbers.
#[derive(Debug, Serialize)]
pub struct SetReport {
    /// The set.
    pub set: String,
    /// The class asked about.
    pub class: usize,
    /// How many pixels it has.
    pub pixels: usize,
}

/// Draws pixel sets on the first image of the batch, all in one picture.
///
/// # Errors
/// Sets that make no sense here; an empty one if it is the only one.
pub fn draw_sets<const D: usize>(
    (input, seen, model): (&Input<D>, &Observation<D>, &Model),
    sets: &Sets<D>,
    colormap: Colormap,
) -> Result<(Vec<SetReport>, File)> {
    let prediction = seen.prediction();
    let size = if sets.figures.len() > COLUMNS { Size::Small } else { Size::InFigure };
    let (mut panels, mut rows) = (vec![], vec![]);
    for Figure { class, pixels: set, .. } in &sets.figures {
        let weights = here(&guarded(|| set.weights(prediction, *class))?)?;
        let pixels = weights.clone().not_equal_elem(0.0).int().sum().into_scalar::<i64>() as usize;
        if pixels == 0 && sets.figures.len() == 1 {
            seen.target(set, *class)?;
        }
        let canvas = Canvas::new(input, prediction, *class, &weights, 0)?;
        let caption = format!("{}\n{pixels} pixels", set.name());
        panels.push(canvas.set(&weights, colormap, &caption, size));
        rows.push(SetReport { set: set.name(), class: *class, pixels });
    }
    let first = sets.figures.first().map_or(0, |figure| figure.class);
    let title = match sets.figures.iter().all(|figure| figure.class == first) {
        true => format!("{}, blue outline: prediction", model.class_title(first)),
        false => "blue outline: prediction".into(),
    };
    let panels: Vec<Vec<Panel>> = panels.chunks(COLUMNS).map(<[Panel]>::to_vec).collect();
    Ok((rows, png("pixels.png", &figure(&title, &panels))?))
}

/// The predicted class of each pixel as `prediction.npy`; 1 or 0 of binary networks.
///
/// # Errors
/// A device that is lost.
pub fn draw_prediction<const D: usize>(seen: &Observation<D>) -> Result<File> {
    let labels = guarded(|| Ok::<_, CamError>(seen.prediction().labels().into_data()))?;
    let shape = labels.shape().to_vec();
    npy("prediction.npy", &shape, &labels.iter::<i32>().collect::<Vec<_>>())
}

/// A picture as a file.
///
/// # Errors
/// A picture that is too large.
pub fn png<P, C>(name: &str, image: &ImageBuffer<P, C>) -> Result<File>
where
    P: Pixel + PixelWithColorType,
    [P::Subpixel]: EncodableLayout,
    C: Deref<Target = [P::Subpixel]>,
{
    let mut bytes = Cursor::new(vec![]);
    let (kind, filter) = (CompressionType::Default, FilterType::Adaptive);
    image.write_with_encoder(PngEncoder::new_with_quality(&mut bytes, kind, filter))?;
    Ok(File { name: name.to_string(), bytes: bytes.into_inner() })
}

fn npy<T>(name: &str, shape: &[usize], values: &[T]) -> Result<File>
where
    T: npyz::AutoSerialize + Copy,
{
    let shape: Vec<u64> = shape.iter().map(|&side| side as u64).collect();
    let mut bytes = vec![];
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut writer = options.writer(&mut bytes).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(File { name: name.to_string(), bytes })
}
