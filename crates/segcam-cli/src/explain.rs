use std::time::Instant;

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;
use segcam::burn::tensor::{Tensor, TensorData};
use segcam::models::Network;
use segcam::render::{Panel, figure};
use segcam::{
    CamError, Certificate, Explainer, Explanation, Fusion, Normalize, Observation, PixelSet,
    Prediction, guarded,
};

use crate::args::{ExplainArgs, Save, Smooth, Talk};
use crate::asked::{Group, Request, classes, groups, layers, methods};
use crate::input::{self, Picture};
use crate::model::Model;
use crate::output::{Folder, say};
use crate::picture::{Canvas, Drawing, Size, here};
use crate::report::{CertificateReport, Failure, MapReport, Report};

/// `segcam explain`
pub(crate) fn run(args: &ExplainArgs, talk: Talk) -> Result<()> {
    let device = args.network.device.open()?;
    let path = || args.input.display().to_string();
    let (model, network) = args.network.open(&device)?;
    match network {
        Network::Image(explainer) => {
            let image = input::image(&args.input, &model, &device)?;
            let seen = talk.wait("forward pass", || explainer.observe(image.tensor.clone()));
            let seen = seen.with_context(path)?;
            explain(args, &model, talk, &explainer, seen, &image.tensor, image.picture.as_ref())
        }
        Network::Volume(explainer) => {
            let volume = input::volume(&args.input, &device)?;
            let seen = talk.wait("forward pass", || explainer.observe(volume.clone()));
            explain(args, &model, talk, &explainer, seen.with_context(path)?, &volume, None)
        }
    }
}

fn explain<const D: usize>(
    args: &ExplainArgs,
    model: &Model,
    talk: Talk,
    explainer: &Explainer<D>,
    seen: Observation<D>,
    input: &Tensor<D>,
    picture: Option<&Picture>,
) -> Result<()> {
    let layers = layers(&args.question, model, &seen)?;
    let normalize = Normalize::from(args.normalize);
    let predicted_pixels = predicted_pixels(&seen)?;
    let (classes, class_chosen) = classes(&args.question.classes, model, &predicted_pixels)?;
    let groups = groups(&args.question, model, &seen, &classes)?;
    let requests: Vec<Request<D>> =
        groups.iter().flat_map(|group| group.requests(&args.question, &layers)).collect();
    let out = Folder::create(&args.out)?;
    let work = Work { normalize, certify: args.certify, smooth: args.smooth.as_ref(), talk };

    let (mut reports, mut failures) = (vec![], vec![]);
    let (mut files, mut slices, mut stopped) = (vec![], vec![], None);
    let (seen, bar) = work.progress(seen, requests.len());
    let prediction = seen.prediction();
    let mut maps = explain_all(explainer, &seen, input, &requests, &work, &bar);
    for group in &groups {
        let mut answer = || -> Result<()> {
            // All maps of the group are taken, so that those of the next one come next.
            let maps: Vec<_> =
                maps.by_ref().take(layers.len() * methods(&args.question).len()).collect();
            let maps = maps.into_iter().collect::<Result<Vec<_>, _>>()?;
            let explained = guarded(|| group.pixels.weights(prediction, group.class))?;
            let mut described: Vec<MapReport> = maps.iter().map(|map| map.report(model)).collect();
            for sample in 0..input.dims()[0] {
                let canvas =
                    Canvas::new(input, picture, prediction, group.class, &explained, sample)?;
                let number = if input.dims()[0] > 1 { format!(".{sample}") } else { String::new() };
                files.push(draw(args, &out, &canvas, group, &number, &maps, &mut described)?);
                slices.extend(canvas.slice());
            }
            for (map, report) in maps.iter().zip(&mut described) {
                map.save(&out, args, normalize, report)?;
            }
            reports.extend(described);
            Ok(())
        };
        if let Err(error) = answer() {
            let (class, pixel_set) = (group.class, group.pixels.name());
            failures.push(Failure { class, pixel_set, error: format!("{error:#}") });
            // Empty pixel sets are the class's own affair; what else is wrong, such as a lost device,
            // is so for all that is still to come.
            match error.downcast_ref() {
                Some(CamError::EmptyPixelSet { .. } | CamError::PixelSet { .. }) => {}
                _ => {
                    stopped = Some(error);
                    break;
                }
            }
        }
    }
    if let Some(failure) = failures.first().filter(|_| reports.is_empty()) {
        bail!("{}", failure.error);
    }
    if stopped.is_none() && args.save.contains(&Save::Prediction) {
        let labels = labels(prediction)?;
        let shape = labels.shape().to_vec();
        let labels: Vec<i32> = labels.iter::<i32>().collect();
        out.npy("prediction.npy", &shape, &labels)?;
        files.push("prediction.npy".into());
    }
    files.push("report.json".into());
    let report = Report {
        segcam: env!("CARGO_PKG_VERSION"),
        command: command_line(),
        model: model.name.clone(),
        weights: model.weights.clone(),
        notes: model.notes.clone(),
        input: args.input.display().to_string(),
        input_shape: input.dims().to_vec(),
        classes: seen.prediction().classes(),
        class_chosen,
        predicted_pixels,
        normalize: normalize.to_string(),
        colormap: args.colormap.to_string(),
        engine: seen.engine(),
        device: format!("{:?}", input.device().as_dispatch()),
        slices: (D == 5).then_some(slices),
        maps: reports,
        failures,
        files,
    };
    match stopped {
        None => finish(&report, &out, talk),
        Some(error) => {
            finish(&report, &out, Talk::Quiet)?;
            bail!("{error:#}; what was finished before is in {}", args.out.display())
        }
    }
}

/// Draws the maps of one image of the batch, each by itself and all in one figure, whose name it
/// returns.
fn draw<const D: usize>(
    args: &ExplainArgs,
    out: &Folder,
    canvas: &Canvas<D>,
    group: &Group<D>,
    number: &str,
    maps: &[Map<D>],
    reports: &mut [MapReport],
) -> Result<String> {
    let class = &group.class_name;
    let mut panels = vec![];
    for (map, report) in maps.iter().zip(reports) {
        let panel = |size| canvas.map(&map.drawing, args.colormap, size);
        let file = format!("{}{number}.png", map.stem);
        let set = map.found.pixels();
        let title = format!("{class}, {} pixels of set {}", set.sizes[canvas.sample()], set.name);
        out.png(&file, &figure(&title, &[vec![panel(Size::Alone)]]))?;
        report.files.push(file);
        panels.push(panel(Size::InFigure));
    }
    if let Some(fusion) = args.fuse.map(Fusion::from) {
        for method in methods(&args.question) {
            let of_method = |map: &&Map<D>| map.stem.starts_with(&format!("{method}."));
            let maps: Vec<&Map<D>> = maps.iter().filter(of_method).collect();
            let fused = fusion.fuse(maps.iter().map(|map| &map.found))?;
            let drawing = Drawing::fused(&fused, &maps[0].found.target().weights)?;
            let file = format!("{method}.{fusion}{}{number}.png", group.suffix);
            let panel = canvas.map(&drawing, args.colormap, Size::Alone);
            out.png(&file, &figure(class, &[vec![panel]]))?;
            panels.push(canvas.map(&drawing, args.colormap, Size::InFigure));
        }
    }
    let file = format!("compare{}{number}.png", group.suffix);
    let title = format!("{class}, pixel set {}; {}", group.pixels.name(), canvas.legend());
    out.png(&file, &figure(&title, &in_rows(canvas, panels, methods(&args.question).len())))?;
    Ok(file)
}

/// An explanation, what is drawn of it, and the name of its files.
pub(crate) struct Map<const D: usize> {
    found: Explanation<D>,
    certificate: Option<Certificate>,
    pub(crate) drawing: Drawing<D>,
    pub(crate) stem: String,
    seconds: f64,
}

/// How maps are made, beside what is asked.
pub(crate) struct Work<'a> {
    pub(crate) normalize: Normalize,
    pub(crate) certify: bool,
    pub(crate) smooth: Option<&'a Smooth>,
    pub(crate) talk: Talk,
}

impl Work<'_> {
    /// A bar that counts maps, and tells of the steps of methods that have many.
    pub(crate) fn progress<const D: usize>(
        &self,
        seen: Observation<D>,
        maps: usize,
    ) -> (Observation<D>, ProgressBar) {
        let bar = self.talk.bar(maps);
        let steps = bar.clone();
        let seen =
            seen.with_progress(move |done, all| steps.set_message(format!("{done} of {all}")));
        (seen, bar)
    }
}

/// The maps in the order of the requests, computed as they are taken.
pub(crate) fn explain_all<'a, const D: usize>(
    explainer: &'a Explainer<D>,
    seen: &'a Observation<D>,
    input: &'a Tensor<D>,
    requests: &'a [Request<D>],
    work: &'a Work,
    bar: &'a ProgressBar,
) -> impl Iterator<Item = Result<Map<D>, CamError>> + 'a {
    bar.tick();
    let asked = requests.iter().map(Request::as_core);
    let found: Box<dyn Iterator<Item = _> + 'a> = match work.smooth {
        None => Box::new(seen.explain_all(asked)),
        Some(Smooth(smoothing)) => Box::new(asked.map(move |request| {
            let segcam::Request { method, layer, class } = request;
            smoothing.explain(explainer, input.clone(), method, layer, class)
        })),
    };
    let mut start = Instant::now();
    found.zip(requests).map(move |(found, request)| {
        let found = found?;
        let certificate = work.certify.then(|| seen.certify(&found)).transpose()?;
        let drawing = Drawing::new(&found, certificate.as_ref(), work.normalize)?;
        let seconds = start.elapsed().as_secs_f64();
        start = Instant::now();
        bar.inc(1);
        if bar.position() == requests.len() as u64 {
            bar.finish_and_clear();
        }
        Ok(Map { found, certificate, drawing, stem: request.stem.clone(), seconds })
    })
}

impl<const D: usize> Map<D> {
    pub(crate) fn report(&self, model: &Model) -> MapReport {
        let map = &self.found;
        MapReport {
            class: map.class(),
            class_name: model.classes.get(map.class()).cloned(),
            method: map.method().to_string(),
            layer: map.layer().to_string(),
            shape: map.raw().dims().to_vec(),
            pixel_set: map.pixels().name.clone(),
            pixels: map.pixels().sizes.clone(),
            score: map.score().to_vec(),
            status: map.status().iter().map(ToString::to_string).collect(),
            raw_min: map.range().iter().map(|range| range.0).collect(),
            raw_max: map.range().iter().map(|range| range.1).collect(),
            certificate: self.certificate.as_ref().map(CertificateReport::from),
            seconds: self.seconds,
            files: vec![],
        }
    }

    fn save(
        &self,
        out: &Folder,
        args: &ExplainArgs,
        normalize: Normalize,
        report: &mut MapReport,
    ) -> Result<()> {
        let mut array = |kind: &str, tensor: Tensor<D>| -> Result<()> {
            let file = format!("{}.{kind}.npy", self.stem);
            let shape = tensor.dims();
            let values: Vec<f32> = here(&tensor)?.into_data().iter::<f32>().collect();
            out.npy(&file, &shape, &values)?;
            report.files.push(file);
            Ok(())
        };
        if args.save.contains(&Save::Raw) {
            array("raw", self.found.raw().clone())?;
        }
        if args.save.contains(&Save::Heat) {
            array("heat", self.found.heat_map(normalize))?;
        }
        Ok(())
    }
}

/// Number of pixels predicted as each class, for each image of the batch.
pub(crate) fn predicted_pixels<const D: usize>(
    seen: &Observation<D>,
) -> Result<Vec<Vec<usize>>, CamError> {
    let prediction = seen.prediction();
    let classes = prediction.classes();
    let image = prediction.size().iter().product();
    let labels: Vec<usize> =
        labels(prediction)?.iter::<i64>().map(|label| label as usize).collect();
    let count = |labels: &[usize]| {
        let mut counts = vec![0; classes];
        for &label in labels {
            match classes {
                // Of a binary network 1 stands for its only class and 0 for none.
                1 => counts[0] += label,
                _ => counts[label] += 1,
            }
        }
        counts
    };
    Ok(labels.chunks(image).map(count).collect())
}

fn labels<const D: usize>(prediction: &Prediction<D>) -> Result<TensorData, CamError> {
    guarded(|| Ok(prediction.labels().into_data()))
}

/// The arguments, as far as they are text.
pub(crate) fn command_line() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
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

/// Writes the report and prints what was done.
pub(crate) fn finish(report: &Report, out: &Folder, talk: Talk) -> Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    out.write("report.json", json.as_bytes())?;
    match talk {
        Talk::Quiet => {}
        Talk::Json => say(json)?,
        Talk::Tables => {
            say(format!("{} on {} {:?}", report.model, report.input, report.input_shape))?;
            say(format!("class: {}; engine: {}", report.class_chosen, report.engine))?;
            report.notes.iter().try_for_each(say)?;
            say(table(&report.maps).trim_fmt())?;
            for Failure { class, error, .. } in &report.failures {
                say(format!("class {class}: {error}"))?;
            }
            for file in report.files.iter().filter(|file| file.starts_with("compare")) {
                say(out.path(file).display())?;
            }
        }
    }
    Ok(())
}

fn table(maps: &[MapReport]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "image",
        "class",
        "method",
        "layer",
        "pixel set",
        "pixels",
        "score",
        "smallest",
        "largest",
        "status",
    ]);
    for map in maps {
        for sample in 0..map.pixels.len() {
            table.add_row([
                sample.to_string(),
                map.class_name.clone().unwrap_or_else(|| map.class.to_string()),
                map.method.clone(),
                map.layer.clone(),
                map.pixel_set.clone(),
                map.pixels[sample].to_string(),
                format!("{:.4e}", map.score[sample]),
                format!("{:.3e}", map.raw_min[sample]),
                format!("{:.3e}", map.raw_max[sample]),
                map.status[sample].clone(),
            ]);
        }
    }
    for column in 5..9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
