use anyhow::{Context, Result};
use segcam::vocabulary;
use segcam_cli::ask::{Asked, ask_sets};
use segcam_cli::read::{self, Input};
use segcam_cli::scan::ScanInput;
use segcam_cli::scene::Scene;
use segcam_cli::sets::{PIXELS, draw_sets};
use segcam_cli::with_explainer;
use segcam_cli::write::Folder;
use serde::Serialize;

use super::args::PixelsArgs;
use super::{Talk, say};

/// `segcam pixels`
pub(crate) fn run(args: &PixelsArgs, talk: Talk) -> Result<()> {
    let Some(path) = args.input.as_ref().filter(|_| !args.show.is_empty()) else {
        return list(talk);
    };
    let device = args.network.device.open()?;
    let (model, network) = args.network.source()?.open(&device)?;
    let classes = args.class.iter().cloned().collect();
    let asked = Asked { classes, pixels: args.show.clone(), ..Asked::default() };
    let (drawn, pictures) = with_explainer!(network, explainer => {
        let input: Input<_> = read::open(path, args.slice, &model, &device)?;
        let seen = explainer.observe(input.tensor.clone()).with_context(|| input.name.clone())?;
        let annotations = args.sets.files()?.read(&input, &seen)?;
        let sets = ask_sets(&asked, &annotations, &model, &seen)?;
        if talk == Talk::Tables {
            args.network.default_note(seen.prediction())?.iter().try_for_each(say)?;
            annotations.notes.iter().try_for_each(say)?;
        }
        let truth = annotations.truth.as_ref();
        let scene = Scene { input: &input, seen: &seen, model: &model, truth };
        draw_sets(scene, &sets, args.colormap, &args.print.print(&input.name, &model))?
    });
    let mut out = Folder::create(&args.out)?;
    out.replace_figure(PIXELS, &pictures)?;
    talk.rows(&["set", "class", "pixels"], &drawn, |row| {
        vec![row.set.clone(), row.class.to_string(), row.pixels.to_string()]
    })?;
    if talk == Talk::Tables {
        if out.replaced() > 0 {
            say(format!("replaced the earlier picture in {}", out.path("").display()))?;
        }
        pictures.iter().try_for_each(|picture| say(out.path(&picture.name).display()))?;
    }
    Ok(())
}

/// Every word and what it means.
fn list(talk: Talk) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        form: &'static str,
        help: &'static str,
    }
    let vocabulary = vocabulary::<4>(None, None).with([ScanInput::sphere(None)]);
    let rows = vocabulary.words().iter().map(|word| Row { form: word.form, help: word.help });
    let operators = [
        ("a & b", "in both"),
        ("a | b", "in at least one"),
        ("a - b", "in a, not in b"),
        ("a ^ b", "in exactly one"),
        ("!a", "not in a; ( ) group"),
        ("largest/corners", "components whose pixels touch at corners, too"),
    ];
    let operators = operators.map(|(form, help)| Row { form, help });
    let rows: Vec<Row> = rows.chain(operators).collect();
    talk.rows(&["set", "members"], &rows, |row| vec![row.form.into(), row.help.into()])
}
