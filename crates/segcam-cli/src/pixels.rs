use anyhow::{Context, Result};
use segcam::burn::tensor::Tensor;
use segcam::models::Network;
use segcam::render::{Panel, figure};
use segcam::{CamError, Observation, PixelSet, guarded, vocabulary};
use serde::Serialize;

use crate::args::{PixelsArgs, Talk};
use crate::asked::{class_name, classes};
use crate::explain::predicted_pixels;
use crate::input::Picture;
use crate::model::Model;
use crate::output::{Folder, say};
use crate::picture::{Canvas, Size, here};
use crate::{input, listing};

/// Panels in a row; of more than one row they are small.
const COLUMNS: usize = 6;

/// `segcam pixels`
pub(crate) fn run(args: &PixelsArgs, talk: Talk) -> Result<()> {
    let Some(path) = args.input.as_ref().filter(|_| !args.show.is_empty()) else {
        return list(talk);
    };
    let device = args.network.device.open()?;
    let name = || path.display().to_string();
    let (model, network) = args.network.open(&device)?;
    match network {
        Network::Image(explainer) => {
            let image = input::image(path, &model, &device)?;
            let seen = explainer.observe(image.tensor.clone()).with_context(name)?;
            show(args, &model, talk, &seen, &image.tensor, image.picture.as_ref())
        }
        Network::Volume(explainer) => {
            let volume = input::volume(path, &device)?;
            let seen = explainer.observe(volume.clone()).with_context(name)?;
            show(args, &model, talk, &seen, &volume, None)
        }
    }
}

/// Every word and what it means.
fn list(talk: Talk) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        form: &'static str,
        help: &'static str,
    }
    let vocabulary = vocabulary::<4>(None, None);
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
    listing::print(talk, &["set", "members"], &rows, |row| vec![row.form.into(), row.help.into()])
}

/// Draws each set on the image.
fn show<const D: usize>(
    args: &PixelsArgs,
    model: &Model,
    talk: Talk,
    seen: &Observation<D>,
    input: &Tensor<D>,
    picture: Option<&Picture>,
) -> Result<()> {
    let asked: Vec<String> = args.class.iter().cloned().collect();
    let (classes, _) = classes(&asked, model, &predicted_pixels(seen)?)?;
    let vocabulary = args.sets.vocabulary(model, seen.prediction())?;
    #[derive(Serialize)]
    struct Row {
        set: String,
        class: usize,
        pixels: usize,
    }
    let size = if args.show.len() * classes.len() > COLUMNS { Size::Small } else { Size::InFigure };
    let (mut panels, mut rows) = (vec![], vec![]);
    for &class in &classes {
        for text in &args.show {
            let set = vocabulary.parse(text)?;
            let weights = here(&guarded(|| set.weights(seen.prediction(), class))?)?;
            let inside = weights.clone().not_equal_elem(0.0).int().sum().into_scalar::<i64>();
            let (name, pixels) = (set.name(), inside as usize);
            if pixels == 0 && args.show.len() * classes.len() == 1 {
                let reason = set.why_empty(seen.prediction(), class).unwrap_or_default();
                let samples = vec![0];
                return Err(CamError::EmptyPixelSet { set: name, class, reason, samples }.into());
            }
            let canvas = Canvas::new(input, picture, seen.prediction(), class, &weights, 0)?;
            let caption = format!("{name}\n{pixels} pixels");
            panels.push(canvas.set(&weights, args.colormap, &caption, size));
            rows.push(Row { set: name, class, pixels });
        }
    }
    let title = match classes[..] {
        [class] => format!("{}, blue outline: prediction", class_name(model, class)),
        _ => "blue outline: prediction".into(),
    };
    let panels: Vec<Vec<Panel>> = panels.chunks(COLUMNS).map(<[Panel]>::to_vec).collect();
    let out = Folder::create(&args.out)?;
    out.png("pixels.png", &figure(&title, &panels))?;
    listing::print(talk, &["set", "class", "pixels"], &rows, |row| {
        vec![row.set.clone(), row.class.to_string(), row.pixels.to_string()]
    })?;
    if talk == Talk::Tables {
        say(out.path("pixels.png").display())?;
    }
    Ok(())
}
