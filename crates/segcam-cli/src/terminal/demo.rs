use std::sync::Arc;

use anyhow::{Context, Result, bail};
use image::{DynamicImage, GrayImage, Luma};
use segcam::burn::tensor::Device;
use segcam::components::ComponentAt;
use segcam::models::{Blend, Network, Phantom, Pretrained, WindowRecipe};
use segcam::scans::NiftiTemplate;
use segcam::{Observation, PixelSet, PredictedClass};
use segcam_cli::annotations::{AnnotationFiles, Annotations, Ignore, Labels};
use segcam_cli::ask::{Asked, Figure, Question, ask};
use segcam_cli::draw::{Panels, draw_maps};
use segcam_cli::explain::{Answer, How};
use segcam_cli::files::File;
use segcam_cli::legend::cells;
use segcam_cli::network::{Model, Name, Preparation, Source};
use segcam_cli::nuclei::Nuclei;
use segcam_cli::print::png;
use segcam_cli::read::{self, Input};
use segcam_cli::report::{Drawn, Report};
use segcam_cli::rows::Rows;
use segcam_cli::scene::{Scene, Style};
use segcam_cli::studio::of_network;
use segcam_cli::write::Folder;

use super::args::{DemoArgs, PrintArgs};
use super::figures::Run;
use super::{Finished, Talk, of_windows, say};

/// `segcam demo`
pub(crate) fn run(args: &DemoArgs, talk: Talk) -> Result<Finished> {
    let device = args.device.open()?;
    let mut out = Folder::create(args.out())?;
    let (finished, file, network) = if args.volume {
        let network = format!(" {}", of_network(&lesions_network()));
        (lesions(args.seed, &mut out, &device, talk)?.show(out, talk)?, "scan.nii.gz", network)
    } else {
        (nuclei(args.seed, &mut out, &device)?.show(out, talk)?, "input.png", String::new())
    };
    if talk == Talk::Tables {
        let file = args.out().join(file);
        say(format!("to click and ask yourself: segcam studio '{}'{network}", file.display()))?;
    }
    Ok(finished)
}

/// What is explained: one thing by itself, and all of its class.
struct Demo<const D: usize> {
    model: Model,
    input: Input<D>,
    seen: Observation<D>,
    annotations: Annotations,
    /// The name of the class, and what several of them are called.
    class: [&'static str; 2],
    one: Arc<dyn PixelSet<D>>,
    /// Names of the files that are there already.
    files: Vec<String>,
}

/// Nuclei in an image.
fn nuclei(seed: u64, out: &mut Folder, device: &Device) -> Result<Demo<4>> {
    let Network::Image(explainer) = Pretrained::NucleiUNet.load(None, device)? else {
        bail!("the nuclei are in images")
    };
    let model = Model::embedded(Pretrained::NucleiUNet);
    let nuclei = Nuclei::new(seed);
    let one = nuclei.one().context("no nucleus stands alone: try another --seed")?;
    let ids = nuclei.instances();
    // For `segcam pixels` and `segcam explain`: which nucleus a pixel belongs to, if to any.
    let truth =
        GrayImage::from_fn(ids.width(), ids.height(), |x, y| Luma([ids[(x, y)].0[0].min(1) as u8]));
    let image = DynamicImage::ImageLuma8(nuclei.image.clone());
    let files =
        [png("input.png", nuclei.image)?, png("instances.png", ids)?, png("truth.png", truth)?];
    let input = Input::of_picture(&generated(seed), &image, &model, device)?;
    let seen = explainer.observe(input.tensor.clone())?;
    let (annotations, one) = (Annotations::default(), Arc::new(ComponentAt::new(one)));
    let class = ["nucleus", "nuclei"];
    Ok(Demo { model, input, seen, annotations, class, one, files: written(files, out)? })
}

/// What the scan is shown to.
fn lesions_network() -> Source {
    let windows = WindowRecipe {
        size: Some(vec![48; 3]),
        overlap: Some(0.5),
        blend: Some(Blend::Gaussian),
        mirror: None,
    };
    let name = Name::Known(Pretrained::LesionsMeshNet);
    Source { name, weights: None, onnx: Preparation::default(), windows }
}

/// Lesions in a scan, seen through windows, as `segcam explain` reads it from the files that are
/// written here.
fn lesions(seed: u64, out: &mut Folder, device: &Device, talk: Talk) -> Result<Demo<5>> {
    let source = lesions_network();
    let passes = talk.wait("forward pass");
    let (model, network) = source.open_with_progress(device, of_windows(&passes))?;
    let Network::Volume(explainer) = network else { bail!("the lesions are in scans") };
    let phantom = Phantom::new(seed);
    let template = NiftiTemplate::new(phantom.scan.grid().clone());
    let what = generated(seed);
    let files = [
        ("scan.nii.gz", template.bytes(phantom.scan.values(), &what)?),
        ("truth.nii.gz", template.label_bytes(&phantom.labels, &what)?),
    ];
    let files = files.map(|(name, bytes)| File { name: name.into(), bytes });
    let files = written(files, out)?;
    let mut input: Input<5> = read::open(&out.path("scan.nii.gz"), None, &model, device)?;
    input.name = what;
    let seen = explainer.observe(input.tensor.clone())?;
    passes.finish_and_clear();
    let truth = AnnotationFiles {
        truth: Some(out.path("truth.nii.gz")),
        truth_map: Labels::Classes,
        ignore: Ignore::Nothing,
        truth_resize: false,
        instances: None,
    };
    let annotations = truth.read(&input, &seen)?;
    let one = Arc::new(ComponentAt::new(phantom.largest_lesion()));
    let class = ["lesion", "lesions"];
    Ok(Demo { model, input, seen, annotations, class, one, files })
}

fn generated(seed: u64) -> String {
    format!("generated, seed {seed}")
}

/// Writes files instead of those of an earlier run, and says their names.
fn written<const N: usize>(files: [File; N], out: &mut Folder) -> Result<Vec<String>> {
    out.clear_earlier_run()?;
    files.iter().try_for_each(|file| out.write(file))?;
    Ok(files.map(|file| file.name).to_vec())
}

impl<const D: usize> Demo<D> {
    /// Explains, draws and writes.
    fn show(self, out: Folder, talk: Talk) -> Result<Finished> {
        let Self { model, input, seen, annotations, class: [class, several], one, files } = self;
        let asked = Asked {
            layers: vec!["auto".into()],
            classes: vec![class.into()],
            methods: ["seg-grad-cam", "seg-hires-grad-cam"].map(String::from).to_vec(),
            pixels: vec!["class".into()],
        };
        let question = ask(&asked, &annotations, &model, &seen)?;
        let sets = [(format!("{class}."), one), ("class.".into(), Arc::new(PredictedClass))];
        let figures = question.figures.iter().flat_map(|figure| {
            sets.clone().map(|(prefix, pixels)| Figure { prefix, pixels, ..figure.clone() })
        });
        let question = Question { figures: figures.collect(), class_chosen: class, ..question };

        let print = PrintArgs::default().print(&input.name, &model);
        let style = Style { print, ..Style::default() };
        let report = Report::new((&input, &seen, &model), &question, &style);
        let mut run = Run { report, out, talk };
        let mut rows = Rows::default();
        let mut whats = [format!("one {class}"), format!("every {class}")].into_iter();
        let how = How { certify: true, smooth: None };
        let draw = |seen: &Observation<_>, answer: &Answer<_>| {
            let truth = annotations.truth.as_ref();
            let scene = Scene { input: &input, seen, model: &model, truth };
            draw_maps(scene, &question, answer, &style)
        };
        let keep = |_: &Answer<D>, (drawn, panels): (Drawn, Vec<Panels<D>>)| {
            rows.add(panels, &question, &style, &whats.next().unwrap_or_default());
            Ok(drawn)
        };
        let (_, stopped) = run.explain(seen, &question, &how, draw, keep)?;
        let (name, cells) = (input.short_name(), cells::<D>());
        let title = format!("{name}: why are these {cells} {several}?");
        for file in rows.files("compare", &title, &style.print)? {
            run.out.write(&file)?;
            run.report.files.push(file.name);
        }
        run.report.files.extend(files);
        run.finish(stopped)
    }
}
