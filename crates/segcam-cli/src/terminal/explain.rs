use anyhow::{Context, Result};
use segcam::Observation;
use segcam_cli::ask::ask;
use segcam_cli::draw::{draw, draw_prediction};
use segcam_cli::explain::Answer;
use segcam_cli::html::Page;
use segcam_cli::html::case::{Case, Room};
use segcam_cli::overview::Overview;
use segcam_cli::read::{self, Input};
use segcam_cli::report::{Drawn, Report};
use segcam_cli::scene::Scene;
use segcam_cli::with_explainer;
use segcam_cli::write::Folder;

use super::args::{ExplainArgs, Save};
use super::figures::Run;
use super::{Finished, Talk, command, of_windows, slide};

/// `segcam explain`
pub(crate) fn run(args: &ExplainArgs, talk: Talk) -> Result<Finished> {
    if let Some(finished) = slide::run(args, talk)? {
        return Ok(finished);
    }
    let device = args.network.device.open()?;
    let passes = talk.wait("forward pass");
    let (model, network) =
        args.network.source()?.open_with_progress(&device, of_windows(&passes))?;
    let style = args.draw.style(&args.input.display().to_string(), &model)?;
    with_explainer!(network, explainer => {
        let input: Input<_> = read::open(&args.input, args.slice, &model, &device)?;
        let seen = explainer.observe(input.tensor.clone()).with_context(|| input.name.clone())?;
        passes.finish_and_clear();
        let annotations = args.question.sets.files()?.read(&input, &seen)?;
        let question = ask(&args.question.asked(), &annotations, &model, &seen)?;
        let mut out = Folder::create(&args.out)?;
        out.clear_earlier_run()?;
        question.pictures().try_for_each(|name| out.expect_free(&name))?;
        let mut report = Report::new((&input, &seen, &model), &question, &style);
        report.notes.extend(args.network.default_note(seen.prediction())?);
        report.notes.extend(annotations.notes.iter().cloned());
        let mut run = Run { report, out, talk };
        let mut overview = Overview::default();
        let case = || Case::new(&input, &seen, &annotations, &model, Room::ENDLESS);
        let mut case = args.html.then(case).transpose()?;
        let draw = |seen: &Observation<_>, answer: &Answer<_>| {
            let truth = annotations.truth.as_ref();
            let scene = Scene { input: &input, seen, model: &model, truth };
            draw(scene, &question, answer, &style)
        };
        let keep = |answer: &Answer<_>, mut drawn: Drawn| {
            if let Some(case) = &mut case {
                case.add(&question, answer, &model, &input, |_| false)?;
            }
            overview.add(std::mem::take(&mut drawn.parts));
            Ok(drawn)
        };
        let (seen, stopped) = run.explain(seen, &question, &args.maps.how(), draw, keep)?;
        if let (Some(case), None) = (case, &stopped) {
            run.report.command = command();
            let file = Page::explained(case, &run.report)?;
            run.out.write(&file)?;
            run.report.files.push(file.name);
        }
        for file in overview.files(&style.print)? {
            run.out.write(&file)?;
            run.report.files.push(file.name);
        }
        if stopped.is_none() && args.draw.saves(Save::Prediction) {
            let prediction = draw_prediction(&input, &seen)?;
            run.out.write(&prediction)?;
            run.report.files.push(prediction.name);
        }
        run.finish(stopped)
    })
}
