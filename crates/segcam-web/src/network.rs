//! A network from the bytes of its file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burn::tensor::Device;
use image::DynamicImage;
use segcam::onnx::{OnnxFile, OnnxModel, auto_layers};
use segcam::render::{Colormap, MOST, SOLID_FROM};
use segcam::{Explainer, Layer, NamedMethod, methods, vocabulary};
use segcam_models::{Card, Channels, Prepared};
use serde_json::{Value, json};

use crate::WebError;

/// Brightness of the picture under the heat, as in the studio.
const BACKDROP: f32 = 0.8;

/// A network, and what its card says of it.
#[derive(Debug)]
pub(crate) struct Network {
    name: String,
    card: Card,
    notes: Vec<String>,
    operators: Vec<(String, String)>,
    pub(crate) explainer: Explainer,
}

impl Network {
    /// From an ONNX file and, if there is one, the `net.toml` beside it. The same defaults as the program's.
    pub(crate) fn new(name: String, onnx: Vec<u8>, card: Option<&str>) -> Result<Self, WebError> {
        let file = OnnxFile::from_bytes(onnx)?;
        let mut notes = vec![];
        if card.is_none() {
            notes.push(
                "images are divided by 255: drop net.toml beside net.onnx to say otherwise".into(),
            );
        }
        let mut card: Card = card.map(str::parse).transpose()?.unwrap_or_default();
        if file.rank() != 4 {
            return Err(WebError::NotHere("the page shows no volumes"));
        }
        if card.windows.size.is_some() {
            return Err(WebError::NotHere("the page runs no windows"));
        }
        if let Some(last) = file.skipped().first() {
            notes.push(format!("class scores: `{}`, before {last}", file.scores()));
        }
        if card.input.channels.is_none() && file.channels() == Some(1) {
            card.input.channels = Some(Channels::Gray);
        }
        if let (None, &[Some(height), Some(width)]) = (card.input.size, file.size()) {
            card.input.size = Some([height, width]);
        }
        let model: OnnxModel<4> = file.load(&Device::flex())?;
        let owned = |(name, operator): (&str, &str)| (name.to_string(), operator.to_string());
        let operators = model.operators().map(owned).collect();
        Ok(Self { name, card, notes, operators, explainer: Explainer::new(model) })
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn class_names(&self) -> &[String] {
        &self.card.classes
    }

    pub(crate) fn class_name(&self, class: usize) -> Option<&str> {
        self.card.classes.get(class).map(String::as_str)
    }

    /// The class that stands for nothing of interest, of so many.
    pub(crate) fn background(&self, classes: usize) -> Option<usize> {
        self.card.background.or((classes > 1).then_some(0))
    }

    pub(crate) fn prepare(&self, image: &DynamicImage) -> Result<Prepared, WebError> {
        Ok(self.card.input.apply(image, &Device::flex())?)
    }

    /// The layers with maps: name, shape, whether they are the first to look at, operator.
    pub(crate) fn layers(&self, layers: &[Layer]) -> Value {
        let auto = auto_layers(layers);
        let operator = |name: &str| {
            let found = self.operators.iter().find(|(known, _)| known == name);
            found.map(|(_, operator)| operator.as_str())
        };
        let one = |layer: &Layer| {
            json!({
                "name": layer.name,
                "shape": layer.shape,
                "auto": auto.contains(&layer.name),
                "operator": operator(&layer.name),
            })
        };
        layers.iter().filter(|layer| layer.shape.len() == 4).map(one).collect()
    }

    /// What a page needs to know before it shows anything: the `/studio` of the studio's API.
    pub(crate) fn about(&self) -> Value {
        let table = methods::<4>();
        let titles: Value = table.iter().flat_map(NamedMethod::titled).collect();
        let methods: Vec<_> = table
            .iter()
            .map(|method| {
                json!({
                    "whole_image": method.whole_image,
                    "pixel_set": method.pixel_set,
                    "help": method.help,
                    "papers": method.papers,
                })
            })
            .collect();
        let words = vocabulary::<4>(None, None);
        let words = words.words().iter();
        let sets: Vec<_> =
            words.map(|word| json!({ "form": word.form, "help": word.help })).collect();
        json!({
            "segcam": env!("CARGO_PKG_VERSION"),
            "model": self.name,
            "notes": self.notes,
            "classes": self.card.classes,
            "device": "this page",
            "sides": 2,
            "methods": methods,
            "titles": titles,
            "sets": sets,
            "colormaps": colormaps(),
            "cover": { "solid_from": SOLID_FROM, "most": MOST, "backdrop": BACKDROP },
            "images": [],
        })
    }
}

/// Each with its 256 colours.
fn colormaps() -> Value {
    let table = |colormap: &Colormap| {
        let colors = colormap.colors((0..256).map(|value| value as f32 / 255.0));
        let bytes: Vec<u8> = colors.iter().flat_map(|color| color.0).collect();
        json!({
            "name": colormap.to_string(),
            "diverging": colormap.is_diverging(),
            "colors": STANDARD.encode(bytes),
        })
    };
    Colormap::ALL.iter().map(table).collect()
}
