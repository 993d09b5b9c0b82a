//! The fourth step: maps become pictures, arrays and numbers, as the files that will hold them.

use std::fmt;

use anyhow::Result;
use npyz::WriterBuilder;
use rayon::prelude::*;
use segcam::annotations::{Confusion, GroundTruth};
use segcam::burn::tensor::Tensor;
use segcam::core::upsample;
use segcam::models::Placement;
use segcam::render::{self, Panel};
use segcam::{CamError, Fusion, Observation, guarded};

use crate::ask::{Figure, Question, file_name};
use crate::canvas::{Canvas, Size};
use crate::drawing::{Drawing, here, short_layer, title};
use crate::explain::{Answer, Map, in_words, is_lost};
use crate::files::File;
use crate::legend::set_in_words;
use crate::masks::Judged;
use crate::overview::Part;
use crate::read::Input;
use crate::report::{Drawn, Failure, JudgedReport, MapReport};
use crate::scene::{COLUMNS, KeepPatient, Scene, Show, Style};

/// The maps of one figure for an image of the batch, before they are put together.
pub struct Panels<const D: usize> {
    pub(crate) canvas: Canvas<D>,
    /// One for each map, asked for or fused, in the order of the requests.
    pub(crate) maps: Vec<Panel>,
}

impl<const D: usize> fmt::Debug for Panels<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panels").field("maps", &self.maps.len()).finish_non_exhaustive()
    }
}

/// Draws a figure's maps, each by itself and all together.
///
/// # Errors
/// A device that is lost.
pub fn draw<const D: usize>(
    scene: Scene<D>,
    question: &Question<D>,
    answer: &Answer<D>,
    style: &Style,
) -> Result<Drawn> {
    let (mut drawn, all) = draw_maps(scene, question, answer, style)?;
    let figure_of = answer.figure;
    for (number, Panels { canvas, maps }) in all.into_iter().enumerate() {
        let name = figure_of.file("compare") + &in_batch(number, scene.input);
        let class = scene.model.class_title(figure_of.class);
        let set = set_in_words::<D>(&figure_of.pixels.name(), None);
        let title = format!("{}: {class}, {set}", scene.input.short_name());
        let rows = in_rows(&canvas, maps, question.methods.len());
        let figure = render::Figure::new(title, rows)
            .with_legend(canvas.legend_of_all(style.show))
            .compared();
        let files = style.print.files(&name, figure)?;
        drawn.figures.extend(files.iter().map(|file| file.name.clone()));
        drawn.files.extend(files);
    }
    Ok(drawn)
}

/// A figure's maps as numbers and arrays, without pictures.
///
/// # Errors
/// A device that is lost.
pub fn tell<const D: usize>(
    scene: Scene<D>,
    question: &Question<D>,
    answer: &Answer<D>,
    style: &Style,
) -> Result<Drawn> {
    told(scene, question, answer, style).map(|(drawn, _)| drawn)
}

/// The same, and for each map its place among those of the report, if it could be made.
fn told<const D: usize>(
    scene: Scene<D>,
    question: &Question<D>,
    answer: &Answer<D>,
    style: &Style,
) -> Result<(Drawn, Vec<Option<usize>>)> {
    let mut drawn = Drawn::default();
    let Scene { input, model, .. } = scene;
    let (targets, maps) = match &answer.maps {
        Ok((targets, maps)) => (targets, maps),
        Err(error) => {
            drawn.failures.push(failure(answer.figure, None, error));
            return Ok((drawn, vec![]));
        }
    };
    if let Some(truth) = scene.truth {
        let class = answer.figure.class;
        let counts = Confusion::new(truth, scene.seen.prediction(), class)?;
        drawn.judged = Some(JudgedReport::new(class, model, &counts));
    }
    let mut places = vec![];
    for (number, (map, request)) in maps.iter().zip(question.requests(targets)).enumerate() {
        match map {
            Ok(map) => {
                places.push(Some(drawn.maps.len()));
                let arrays = arrays(input, map, &question.stem(answer.figure, number), style)?;
                let files = arrays.iter().map(|file| file.name.clone()).collect();
                drawn.maps.push(MapReport { files, ..MapReport::new(map, model) });
                drawn.files.extend(arrays);
            }
            Err(error) if is_lost(error) => return Err(error.clone().into()),
            Err(error) => {
                let name = question.map(number).0.name();
                let of = Some((name.as_str(), request.layer()));
                drawn.failures.push(failure(answer.figure, of, error));
                places.push(None);
            }
        }
    }
    Ok((drawn, places))
}

/// Draws a figure's maps, each by itself; the panels are for figures of all, one for each image of the
/// batch.
///
/// # Errors
/// A device that is lost.
pub fn draw_maps<const D: usize>(
    scene: Scene<D>,
    question: &Question<D>,
    answer: &Answer<D>,
    style: &Style,
) -> Result<(Drawn, Vec<Panels<D>>)> {
    let (mut drawn, places) = told(scene, question, answer, style)?;
    let Ok((targets, maps)) = &answer.maps else { return Ok((drawn, vec![])) };
    let Scene { input, model, .. } = scene;
    let Figure { class, .. } = *answer.figure;
    let mut drawings = vec![];
    for (number, (map, place)) in maps.iter().zip(places).enumerate() {
        drawings.push(match (map, place) {
            (Ok(map), Some(at)) => {
                Ok((at, Drawing::new(&map.found, map.certificate.as_ref(), style.show)?))
            }
            _ => {
                let (method, layer) = question.map(number);
                Err(format!("{} at {}\nno map", title(&method.name()), short_layer(&layer.name)))
            }
        });
    }
    if drawings.iter().all(Result::is_err) {
        return Ok((drawn, vec![]));
    }
    let fused = style.fuse.map(|fusion| fuse(fusion, question, maps)).transpose()?;
    let explained = targets.pixels.weights();
    let judged = Judged::new(scene, class)?;
    let mut all = vec![];
    for sample in 0..input.tensor.dims()[0] {
        let canvas = Canvas::new(scene, judged.as_ref(), class, explained, sample)?;
        drawn.planes.extend(canvas.at());
        let number = in_batch(sample, input);
        let title = |report: &MapReport| {
            let set = set_in_words::<D>(&report.pixel_set, Some(report.pixels[sample]));
            format!("{}: {}, {set}", input.short_name(), model.class_title(class))
        };
        let legend = canvas.legend(style.show);
        let part_of = answer.figure.part_of.as_deref();
        let made = drawings.par_iter().enumerate().map(|(map, drawing)| {
            let panel = |size| match drawing {
                Ok((_, drawing)) => canvas.map(drawing, size),
                Err(caption) => canvas.missing(caption, size),
            };
            let files = drawing.as_ref().ok().map(|(at, _)| {
                let name = question.stem(answer.figure, map) + &number;
                let alone =
                    render::Figure::new(title(&drawn.maps[*at]), vec![vec![panel(Size::Alone)]]);
                style.print.files(&name, alone.with_legend(legend.clone()))
            });
            let small = part_of.map(|_| panel(Size::Small));
            Ok((panel(Size::InFigure), small, files.transpose()?.unwrap_or_default()))
        });
        let made: Vec<(Panel, Option<Panel>, Vec<File>)> = made.collect::<Result<_>>()?;
        let mut panels = vec![];
        for (map, (panel, small, files)) in made.into_iter().enumerate() {
            panels.push(panel);
            if let (Some(whole), Some(small)) = (part_of, small) {
                let (part, panel) = ((answer.figure, whole), (small, legend.clone()));
                drawn.parts.push(Part::new(scene, question, part, (map, &number), panel));
            }
            if let Ok((at, _)) = &drawings[map] {
                // Pictures come before arrays.
                let first = sample * files.len();
                let names = files.iter().map(|file| file.name.clone());
                drawn.maps[*at].files.splice(first..first, names);
                drawn.files.extend(files);
            }
        }
        for (method, drawing) in fused.iter().flatten() {
            let name = answer.figure.file(method) + &number;
            let panel = canvas.map(drawing, Size::Alone);
            let title = format!("{}: {}", input.short_name(), model.class_title(class));
            let files = style.print.files(&name, render::Figure::new(title, vec![vec![panel]]))?;
            drawn.figures.extend(files.iter().map(|file| file.name.clone()));
            drawn.files.extend(files);
            panels.push(canvas.map(drawing, Size::InFigure));
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
    let empty = matches!(error, CamError::EmptyPixelSet { .. });
    let optional = figure.optional && empty;
    let (class, pixel_set, error) = (figure.class, figure.pixels.name(), in_words(error));
    Failure { class, pixel_set, method, layer, error, optional, empty }
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
        if maps.is_empty() {
            continue;
        }
        let name = format!("{}.{fusion}", file_name(&method.name()));
        fused.push((name, Drawing::fused(&fusion.fuse(maps)?)?));
    }
    Ok(fused)
}

/// What is added to names of files of one image of a batch.
fn in_batch<const D: usize>(sample: usize, input: &Input<D>) -> String {
    if input.tensor.dims()[0] > 1 { format!(".{sample}") } else { String::new() }
}

/// One row for each method and one column for each layer, after columns of what is known of the image,
/// or below a row of it where that leaves no hole; many layers go on in further rows.
pub(crate) fn in_rows<const D: usize>(
    canvas: &Canvas<D>,
    panels: Vec<Panel>,
    methods: usize,
) -> Vec<Vec<Panel>> {
    let known = match methods {
        1 => vec![canvas.prediction()],
        _ => vec![canvas.plain(), canvas.prediction()],
    };
    let known: Vec<Panel> = known.into_iter().chain(canvas.thin()).chain(canvas.other()).collect();
    let alone = known.len() > methods && !known.len().is_multiple_of(methods);
    let each = if alone { 0 } else { known.len().div_ceil(methods) };
    let row = |row: usize| -> Vec<Panel> {
        let known = known.iter().skip(row * each).take(each).cloned();
        let known = known.chain(std::iter::repeat_with(Panel::blank)).take(each);
        known.chain(panels.iter().skip(row).step_by(methods).cloned()).collect()
    };
    let rows: Vec<Vec<Panel>> = (0..methods).map(row).collect();
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let parts = (0..most.div_ceil(COLUMNS)).flat_map(|part| {
        rows.iter().map(move |row| row.iter().skip(part * COLUMNS).take(COLUMNS).cloned().collect())
    });
    alone.then(|| known.clone()).into_iter().chain(parts).collect()
}

/// The arrays of a map that are wanted.
fn arrays<const D: usize>(
    input: &Input<D>,
    map: &Map<D>,
    stem: &str,
    style: &Style,
) -> Result<Vec<File>> {
    let found = &map.found;
    let shown = || match style.show {
        Show::Signed => found.signed_map(),
        Show::Positive { normalize, .. } => found.heat_map(normalize),
    };
    let array = |kind: &str, tensor: &Tensor<D>| {
        npy(&format!("{stem}.{kind}.npy"), &tensor.dims(), &values_of(&here(tensor)?))
    };
    let raw = style.raw.then(|| array("raw", found.raw())).transpose()?;
    let Some(scan) = &input.scan else {
        let heat = style.heat.then(|| array("heat", &on_image(shown(), input))).transpose()?;
        return Ok(raw.into_iter().chain(heat).collect());
    };
    let what = format!("segcam {} at {}", found.method(), found.layer());
    let on_input = || -> Result<Vec<f32>, CamError> {
        let map = upsample(found.signal(), &input.tensor.dims()[2..]);
        Ok(values_of(&here(&map)?))
    };
    let heat = || Ok::<_, CamError>(values_of(&here(&shown())?));
    let mut files = vec![scan.map(stem, on_input()?, &what)?];
    if style.heat {
        files.push(scan.map(&format!("{stem}.heat"), heat()?, &what)?);
    }
    if let Some(KeepPatient(keep)) = style.dicom {
        let both = (&*on_input()?, &*heat()?);
        files.extend(scan.dicom(stem, both, style.show.colormap(), &what, keep)?);
    }
    files.extend(raw);
    Ok(files)
}

/// The predicted class of each pixel as `prediction.npy`, on the image's own pixels; 1 or 0 of binary
/// networks.
///
/// # Errors
/// A device that is lost.
pub fn draw_prediction<const D: usize>(input: &Input<D>, seen: &Observation<D>) -> Result<File> {
    let prediction = seen.prediction();
    let labels = guarded(|| Ok::<_, CamError>(prediction.label_values()))?;
    let mut shape = prediction.shape().to_vec();
    if let Some(scan) = &input.scan {
        let on_input = resized(labels, &shape[2..], &input.tensor.dims()[2..])?;
        return scan.labels("prediction", on_input, "segcam prediction");
    }
    let mut labels = labels;
    if let Some(Placement { image, resized: before, input, .. }) = input.placement() {
        let on_input = GroundTruth::from_labels(labels, &shape[2..])?.resized(input)?;
        labels = on_input.fitted(before, 0)?.resized(image)?.labels().to_vec();
        shape[2..].copy_from_slice(&image);
    }
    let labels: Vec<i32> = labels.into_iter().map(|label| label as i32).collect();
    npy("prediction.npy", &shape, &labels)
}

/// Labels of another size.
fn resized(labels: Vec<u32>, from: &[usize], to: &[usize]) -> Result<Vec<u32>> {
    if from == to {
        return Ok(labels);
    }
    Ok(GroundTruth::from_labels(labels, from)?.resized(to)?.labels().to_vec())
}

/// A map at the size of the network's input on the image's own pixels.
fn on_image<const D: usize>(map: Tensor<D>, input: &Input<D>) -> Tensor<D> {
    let Some(Placement { image, resized, .. }) = input.placement() else { return map };
    let cropped = map.narrow(D - 2, 0, resized[0]).narrow(D - 1, 0, resized[1]);
    upsample(cropped, &image)
}

fn values_of<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    let data = tensor.to_data().convert::<f32>();
    data.try_into_vec().unwrap_or_default()
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
