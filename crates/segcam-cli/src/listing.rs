use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use segcam::burn::tensor::{Device, Tensor};
use segcam::models::{Network, Pretrained};
use segcam::{CamError, Explainer, Layer, Observation, device_names};
use serde::Serialize;

use crate::args::{GraphArgs, LayersArgs, Talk};
use crate::input;
use crate::method::MethodName;
use crate::model::{Model, ModelArgs};
use crate::output::say;

/// `segcam layers`
pub(crate) fn layers(args: &LayersArgs, talk: Talk) -> Result<()> {
    let all = |layers: &[Layer], operations: &[Layer]| {
        let operations = if args.all { operations } else { &[] };
        [layers, operations].concat()
    };
    let (model, seen) = look(&args.network, args.input.as_deref())?;
    let (named, layers) = match &seen {
        Seen::Image(_, seen) => (seen.layers(), all(seen.layers(), seen.operations())),
        Seen::Volume(_, seen) => (seen.layers(), all(seen.layers(), seen.operations())),
    };
    #[derive(Serialize)]
    struct Row {
        layer: String,
        operator: Option<String>,
        shape: Vec<usize>,
        auto: bool,
    }
    let automatic = model.default_layers(named);
    let rows = layers.into_iter().map(|layer| Row {
        auto: automatic.contains(&layer.name),
        operator: model.operator(&layer.name).map(String::from),
        layer: layer.name,
        shape: layer.shape,
    });
    print(talk, &["layer", "shape", "", ""], &rows.collect::<Vec<_>>(), |row| {
        let operator = row.operator.clone().unwrap_or_default();
        let auto = if row.auto { "auto" } else { "" };
        vec![row.layer.clone(), format!("{:?}", row.shape), operator, auto.into()]
    })
}

/// `segcam graph`
pub(crate) fn graph(args: &GraphArgs, talk: Talk) -> Result<()> {
    fn program<const D: usize>(
        explainer: &Explainer<D>,
        seen: &Observation<D>,
    ) -> Result<(String, String)> {
        let device = seen.prediction().device();
        let program = explainer.program(seen.prediction().input_shape(), &device)?;
        let (before, after) = program.context("this engine captures nothing")?;
        Ok((before.to_string(), after.to_string()))
    }
    let (_, seen) = look(&args.network, args.input.as_deref())?;
    let (before, after) = match seen {
        Seen::Image(explainer, seen) => program(&explainer, &seen)?,
        Seen::Volume(explainer, seen) => program(&explainer, &seen)?,
    };
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

/// A network and its forward pass.
enum Seen {
    Image(Explainer<4>, Observation<4>),
    Volume(Explainer<5>, Observation<5>),
}

/// Looks at the input, or at a small blank one.
fn look(network: &ModelArgs, input: Option<&Path>) -> Result<(Model, Seen)> {
    let device = network.device.open()?;
    let (model, loaded) = network.open_to_look(&device)?;
    let seen = match loaded {
        Network::Image(explainer) => {
            let seen = match input {
                Some(path) => explainer.observe(input::image(path, &model, &device)?.tensor),
                None => observe_blank(&explainer, &model, [1, 1, 64, 64], &device),
            };
            Seen::Image(explainer, seen?)
        }
        Network::Volume(explainer) => {
            let seen = match input {
                Some(path) => explainer.observe(input::volume(path, &device)?),
                None => observe_blank(&explainer, &model, [1, 1, 16, 16, 16], &device),
            };
            Seen::Volume(explainer, seen?)
        }
    };
    Ok((model, seen))
}

/// Looks at zeros with as many channels as the network takes.
fn observe_blank<const D: usize>(
    explainer: &Explainer<D>,
    model: &Model,
    mut shape: [usize; D],
    device: &Device,
) -> Result<Observation<D>, CamError> {
    if let Some(small) = model.small_input() {
        shape.copy_from_slice(small);
    }
    match explainer.observe(Tensor::zeros(shape, device)) {
        Err(CamError::WrongChannels { wanted, .. }) => {
            shape[1] = wanted;
            explainer.observe(Tensor::zeros(shape, device))
        }
        seen => seen,
    }
}

/// `segcam models`
pub(crate) fn models(talk: Talk) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        model: String,
        description: &'static str,
        classes: &'static [&'static str],
    }
    let rows = Pretrained::ALL.map(|model| Row {
        model: model.to_string(),
        description: model.description(),
        classes: model.class_names(),
    });
    print(talk, &["model", "what it segments", "classes"], &rows, |row| {
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
        method: String,
        over_pixel_set: String,
        description: &'static str,
        papers: &'static str,
    }
    let rows = MethodName::WHOLE.map(|method| Row {
        method: method.to_string(),
        over_pixel_set: method.seg().to_string(),
        description: method.description(),
        papers: method.papers(),
    });
    print(talk, &["whole image", "pixel set", "map", "paper"], &rows, |row| {
        let names = [&row.method, &row.over_pixel_set].map(Clone::clone);
        names.into_iter().chain([row.description.into(), row.papers.into()]).collect()
    })
}

/// `segcam devices`
pub(crate) fn devices(talk: Talk) -> Result<()> {
    print(talk, &["device"], &device_names(), |name| vec![name.to_string()])
}

pub(crate) fn print<R: Serialize>(
    talk: Talk,
    header: &[&str],
    rows: &[R],
    cells: impl Fn(&R) -> Vec<String>,
) -> Result<()> {
    match talk {
        Talk::Quiet => {}
        Talk::Json => say(serde_json::to_string_pretty(rows)?)?,
        Talk::Tables => {
            let mut table = Table::new();
            table.load_style(presets::NOTHING).set_header(header);
            rows.iter().for_each(|row| {
                table.add_row(cells(row));
            });
            say(table.trim_fmt())?;
        }
    }
    Ok(())
}
