use std::path::Path;

use anyhow::{Context, Result};
use segcam::burn::tensor::Device;
use segcam::models::Pretrained;
use segcam::{Explainer, Observation, device_names};
use segcam_cli::network::Model;
use segcam_cli::{read, with_explainer};
use serde::Serialize;

use super::args::{GraphArgs, LayersArgs};
use super::{Talk, say};

/// `segcam layers`
pub(crate) fn layers(args: &LayersArgs, talk: Talk) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        layer: String,
        operator: Option<String>,
        shape: Vec<usize>,
        auto: bool,
    }
    let device = args.network.device.open()?;
    let (model, network) = args.network.source()?.open_to_look(&device)?;
    let (named, operations) = with_explainer!(network, explainer => {
        let seen = look(&explainer, &model, args.input.as_deref(), &device)?;
        (seen.layers().to_vec(), seen.operations().to_vec())
    });
    let automatic = model.default_layers(&named);
    let layers = named.into_iter().chain(operations.into_iter().filter(|_| args.all));
    let rows = layers.map(|layer| Row {
        auto: automatic.contains(&layer.name),
        operator: model.operator(&layer.name).map(String::from),
        layer: layer.name,
        shape: layer.shape,
    });
    talk.rows(&["layer", "shape", "", ""], &rows.collect::<Vec<_>>(), |row| {
        let operator = row.operator.clone().unwrap_or_default();
        let auto = if row.auto { "auto" } else { "" };
        vec![row.layer.clone(), format!("{:?}", row.shape), operator, auto.into()]
    })
}

/// `segcam graph`
pub(crate) fn graph(args: &GraphArgs, talk: Talk) -> Result<()> {
    let device = args.network.device.open()?;
    let (model, network) = args.network.source()?.open_to_look(&device)?;
    let program = with_explainer!(network, explainer => {
        let seen = look(&explainer, &model, args.input.as_deref(), &device)?;
        explainer.program(seen.prediction().input_shape(), &device)?
    });
    let (before, after) = program.context("this engine captures nothing")?;
    let (before, after) = (before.to_string(), after.to_string());
    match talk {
        Talk::Quiet => Ok(()),
        Talk::Json => {
            let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
            let both = serde_json::json!({"captured": lines(&before), "simplified": lines(&after)});
            say(serde_json::to_string_pretty(&both)?)
        }
        Talk::Tables => {
            let count = |text: &str| text.lines().count();
            say(format!("captured, {} operations\n{before}", count(&before)))?;
            say(format!("simplified, {} operations\n{after}", count(&after)))
        }
    }
}

/// Looks at the input, or at a small blank one.
fn look<const D: usize>(
    explainer: &Explainer<D>,
    model: &Model,
    input: Option<&Path>,
    device: &Device,
) -> Result<Observation<D>> {
    Ok(match input {
        Some(path) => explainer.observe(read::open(path, None, model, device)?.tensor)?,
        None => model.observe_blank(explainer, device)?,
    })
}

/// `segcam models`
pub(crate) fn models(talk: Talk) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        model: String,
        description: &'static str,
        classes: &'static [&'static str],
    }
    let row = |model: &Pretrained| Row {
        model: model.to_string(),
        description: model.description(),
        classes: model.class_names(),
    };
    let rows: Vec<Row> = Pretrained::ALL.iter().map(row).collect();
    talk.rows(&["model", "what it segments", "classes"], &rows, |row| {
        let classes = match row.classes {
            [] => "yours".to_string(),
            names => names.join(", "),
        };
        vec![row.model.clone(), row.description.into(), classes]
    })
}

/// `segcam methods`
pub(crate) fn methods(talk: Talk) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        method: Option<&'static str>,
        over_pixel_set: Option<&'static str>,
        description: &'static str,
        papers: &'static str,
    }
    let table = segcam::methods::<4>();
    let rows = table.iter().map(|method| Row {
        method: method.whole_image,
        over_pixel_set: method.pixel_set,
        description: method.help,
        papers: method.papers,
    });
    talk.rows(&["whole image", "pixel set", "map", "paper"], &rows.collect::<Vec<_>>(), |row| {
        let names = [row.method, row.over_pixel_set].map(Option::unwrap_or_default);
        names.into_iter().chain([row.description, row.papers]).map(String::from).collect()
    })
}

/// `segcam devices`
pub(crate) fn devices(talk: Talk) -> Result<()> {
    talk.rows(&["device"], &device_names(), |name| vec![name.to_string()])
}
