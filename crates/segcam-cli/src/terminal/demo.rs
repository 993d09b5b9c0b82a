use std::sync::Arc;

use anyhow::{Context, Result, bail};
use image::{DynamicImage, GrayImage, Luma};
use segcam::components::ComponentAt;
use segcam::models::{Network, Pretrained};
use segcam::{PixelSet, PredictedClass};
use segcam_cli::annotations::Annotations;
use segcam_cli::ask::{Asked, Figure, Question, ask};
use segcam_cli::draw::{Rows, Scene, Style};
use segcam_cli::explain::How;
use segcam_cli::network::Model;
use segcam_cli::nuclei::Nuclei;
use segcam_cli::print::png;
use segcam_cli::read::Input;
use segcam_cli::report::Report;
use segcam_cli::write::Folder;

use super::args::{DemoArgs, PrintArgs};
use super::explain::Run;
use super::{Finished, Talk};

/// `segcam demo`
pub(crate) fn run(args: &DemoArgs, talk: Talk) -> Result<Finished> {
    let device = args.device.open()?;
    let Network::Image(explainer) = Pretrained::NucleiUNet.load(None, &device)? else {
        bail!("the nuclei are in images")
    };
    let model = Model::embedded(Pretrained::NucleiUNet);
    let out = Folder::create(&args.out)?;
    let nuclei = Nuclei::new(args.seed);
    let image = DynamicImage::ImageLuma8(nuclei.image.clone());
    let name = format!("generated, seed {}", args.seed);
    let input: Input<4> = Input::of_picture(&name, &image, &model, &device)?;
    let seen = explainer.observe(input.tensor.clone())?;

    let asked = Asked {
        layers: ["mid", "dec1"].map(String::from).to_vec(),
        classes: vec!["nucleus".into()],
        methods: ["seg-grad-cam", "seg-hires-grad-cam"].map(String::from).to_vec(),
        pixels: vec!["class".into()],
    };
    let question = ask(&asked, &Annotations::default(), &model, &seen)?;
    let one = nuclei.one().context("no nucleus stands alone: try another --seed")?;
    let one: Arc<dyn PixelSet> = Arc::new(ComponentAt::new(one));
    let sets = [("nucleus.", one), ("class.", Arc::new(PredictedClass))];
    let figures = question.figures.iter().flat_map(|figure| {
        sets.clone().map(|(prefix, pixels)| Figure {
            prefix: prefix.into(),
            pixels,
            ..figure.clone()
        })
    });
    let question = Question { figures: figures.collect(), class_chosen: "nucleus", ..question };

    let style = Style { print: PrintArgs::default().print(&name), ..Style::default() };
    let report = Report::new((&input, &seen, &model), &question, &style);
    out.clear_earlier_run()?;
    let mut run = Run { report, out, talk };
    let mut rows = Rows::default();
    let mut whats = ["one nucleus", "every nucleus"].into_iter();
    let how = How { certify: true, smooth: None };
    let (_, stopped) = run.explain(seen, &question, &how, |seen, answer| {
        let what = whats.next().unwrap_or_default();
        let scene = Scene { input: &input, seen, model: &model, truth: None };
        rows.draw(scene, &question, answer, &style, what)
    })?;
    let ids = nuclei.instances();
    // For `segcam pixels` and `segcam explain`: which nucleus a pixel belongs to, if to any.
    let truth =
        GrayImage::from_fn(ids.width(), ids.height(), |x, y| Luma([ids[(x, y)].0[0].min(1) as u8]));
    let compare = rows.files("compare", "Why are these pixels nuclei?", &style.print)?;
    let files =
        [png("input.png", nuclei.image)?, png("instances.png", ids)?, png("truth.png", truth)?];
    for file in compare.into_iter().chain(files) {
        run.out.write(&file)?;
        run.report.files.push(file.name);
    }
    run.finish(stopped)
}
