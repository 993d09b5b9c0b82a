//! What a page asks for: the same questions and answers as the studio's API has, without a server.

use std::io::Cursor;

use burn::tensor::Tensor;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use segcam::core::upsample;
use segcam::{
    AllPixels, AnyMethod, CamError, EngineKind, Explanation, Observation, PixelSet, Request,
    Target, guarded, vocabulary,
};
use segcam_models::Placement;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::WebError;
use crate::network::Network;

/// A network and the image that it looks at.
///
/// # Example
/// ```
/// use segcam_web::{Desk, WebError};
///
/// let error = Desk::new("net.onnx".into(), b"no network".to_vec(), None).unwrap_err();
/// assert!(matches!(error, WebError::Onnx(_)));
/// ```
#[derive(Debug)]
pub struct Desk {
    network: Network,
    seen: Option<Seen>,
    answers: usize,
}

/// An image, and what was asked about it last.
#[derive(Debug)]
struct Seen {
    id: String,
    picture: RgbImage,
    placement: Placement,
    observation: Observation<4>,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    id: String,
    target: Target<4>,
    maps: Vec<Result<Explanation<4>, CamError>>,
}

/// What is asked: a `Question` of the studio's API.
#[derive(Debug, Deserialize)]
struct Question {
    image: String,
    class: Option<usize>,
    pixels: String,
    layers: Vec<String>,
    methods: Vec<String>,
}

impl Desk {
    /// A network from an ONNX file, and the text of the card beside it.
    ///
    /// # Errors
    /// What is no network or cannot be explained here: volumes, windows.
    pub fn new(name: String, onnx: Vec<u8>, card: Option<&str>) -> Result<Self, WebError> {
        Ok(Self { network: Network::new(name, onnx, card)?, seen: None, answers: 0 })
    }

    /// What a page needs to know before it shows anything, as JSON.
    pub fn about(&self) -> String {
        self.network.about().to_string()
    }

    /// Looks at an image, which is called `id` from now on; the one before it is forgotten. JSON: a `Look`
    /// of the studio's API.
    ///
    /// # Errors
    /// What is no image, or does not fit the network.
    pub fn look(&mut self, id: String, name: &str, bytes: &[u8]) -> Result<String, WebError> {
        self.seen = None;
        let image = decoded(bytes)?;
        let prepared = self.network.prepare(&image)?;
        let observation = self.network.explainer.observe(prepared.input)?;
        let (picture, placement) = (prepared.picture, prepared.placement);
        let seen = Seen { id, picture, placement, observation, answer: None };
        let mut report = seen.report(name, &self.network)?;
        if prepared.replicated
            && let Some(notes) = report["notes"].as_array_mut()
        {
            notes.push("the image is grey: its brightness goes into all three channels".into());
        }
        self.seen = Some(seen);
        Ok(report.to_string())
    }

    /// The image as people see it: red, green, blue and 255 of each pixel, row by row.
    ///
    /// # Errors
    /// [`WebError::Forgotten`] if another image was looked at since.
    pub fn picture(&self, id: &str) -> Result<Vec<u8>, WebError> {
        let picture = DynamicImage::from(self.seen(id)?.picture.clone());
        Ok(picture.into_rgba8().into_raw())
    }

    /// The predicted class of each pixel of the output; of a binary network 1 or 0.
    ///
    /// # Errors
    /// As [`picture`](Self::picture).
    pub fn labels(&self, id: &str) -> Result<Vec<u16>, WebError> {
        let labels = self.seen(id)?.observation.prediction().label_values();
        Ok(labels.into_iter().map(|label| label as u16).collect())
    }

    /// Answers a `Question` of the studio's API, as JSON.
    ///
    /// # Errors
    /// A question that makes no sense to this network and this image.
    pub fn ask(&mut self, question: &str) -> Result<String, WebError> {
        let question: Question = serde_json::from_str(question)?;
        let seen = self.seen.as_mut().filter(|seen| seen.id == question.image);
        let seen = seen.ok_or(WebError::Forgotten)?;
        self.answers += 1;
        let (answer, report) =
            seen.answered(format!("q{}", self.answers), &question, &self.network)?;
        seen.answer = Some(answer);
        Ok(report.to_string())
    }

    /// What is exactly true of the maps of an answer, as JSON: `{ "maps": [Certified, …] }`.
    ///
    /// # Errors
    /// [`WebError::Forgotten`] if something else was asked since.
    pub fn certify(&self, answer: &str) -> Result<String, WebError> {
        let (seen, answer) = self.answer(answer)?;
        let maps: Vec<Value> =
            answer.maps.iter().map(|map| certified(&seen.observation, map)).collect();
        Ok(json!({ "maps": maps }).to_string())
    }

    /// A map in units of the score, at the size of the network's input, row by row.
    ///
    /// # Errors
    /// As [`certify`](Self::certify), and why there is no such map.
    pub fn map(&self, answer: &str, number: usize) -> Result<Vec<f32>, WebError> {
        let (seen, answer) = self.answer(answer)?;
        let map = answer.maps.get(number).ok_or(WebError::Forgotten)?.as_ref();
        let map = map.map_err(Clone::clone)?;
        let size = &seen.observation.input().dims()[2..];
        Ok(values(guarded(|| Ok::<_, CamError>(upsample(map.signal(), size)))?))
    }

    /// Which pixels of the output an answer explains: 1 or 0, row by row.
    ///
    /// # Errors
    /// As [`certify`](Self::certify).
    pub fn pixels(&self, answer: &str) -> Result<Vec<u8>, WebError> {
        let (_, answer) = self.answer(answer)?;
        let weights = values(answer.target.weights().clone());
        Ok(weights.into_iter().map(|weight| u8::from(weight != 0.0)).collect())
    }

    fn seen(&self, id: &str) -> Result<&Seen, WebError> {
        self.seen.as_ref().filter(|seen| seen.id == id).ok_or(WebError::Forgotten)
    }

    fn answer(&self, id: &str) -> Result<(&Seen, &Answer), WebError> {
        let seen = self.seen.as_ref().ok_or(WebError::Forgotten)?;
        let answer = seen.answer.as_ref().filter(|answer| answer.id == id);
        Ok((seen, answer.ok_or(WebError::Forgotten)?))
    }
}

impl Seen {
    /// How picture, labels and maps lie on each other, what is predicted, and the layers.
    fn report(&self, name: &str, network: &Network) -> Result<Value, WebError> {
        let prediction = self.observation.prediction();
        let picture = self.placement.image;
        let maps = self.placement.input;
        let labels = prediction.size();
        let times = |parts: &[usize]| [0, 1].map(|side| picture[side] as f64 / parts[side] as f64);
        let counts = self.counts();
        let background = network.background(counts.len());
        let class = |(class, pixels): (usize, &usize)| {
            json!({
                "class": class,
                "name": network.class_name(class),
                "background": Some(class) == background,
                "pixels": pixels,
                "judged": null,
            })
        };
        let classes: Vec<Value> = counts.iter().enumerate().map(class).collect();
        Ok(json!({
            "name": name,
            "input_shape": self.observation.input().dims(),
            "picture": picture,
            "labels": labels,
            "maps": maps,
            "label_size": times(&labels),
            "map_size": times(&maps),
            "planes": [],
            "start": null,
            "grey": null,
            "classes": classes,
            "layers": network.layers(self.observation.layers()),
            "engine": self.observation.engine().to_string(),
            "fallback": self.observation.engine() != &EngineKind::Graph,
            "device": "this page",
            "truth": false,
            "instances": false,
            "notes": network.notes(),
        }))
    }

    /// Pixels predicted as each class; of a binary network those of its only class.
    fn counts(&self) -> Vec<usize> {
        let prediction = self.observation.prediction();
        let mut counts = vec![0; prediction.classes().max(2)];
        for label in prediction.label_values() {
            counts[label as usize] += 1;
        }
        if prediction.classes() == 1 {
            counts.remove(0);
        }
        counts
    }

    fn answered(
        &self,
        id: String,
        question: &Question,
        network: &Network,
    ) -> Result<(Answer, Value), WebError> {
        let class = match question.class {
            Some(class) => class,
            None => self.most_frequent(network)?,
        };
        let words = vocabulary::<4>(None, None);
        let words = words.with_classes(network.class_names().iter().map(String::as_str));
        let set = words.parse(&question.pixels)?;
        let parts = guarded(|| set.parts(self.observation.prediction(), class))?;
        if !parts.is_empty() {
            return Err(WebError::Parts { set: question.pixels.clone(), count: parts.len() });
        }
        let methods = question.methods.iter().map(|text| AnyMethod::parse(text));
        let methods = methods.collect::<Result<Vec<AnyMethod>, _>>()?;
        let target = self.observation.target(&set, class)?;
        let needed = methods.iter().any(|method| !method.on_pixels());
        let whole = needed.then(|| self.observation.target(&AllPixels, class)).transpose()?;
        let asked =
            |layer: &String, method: &AnyMethod| json!({ "layer": layer, "method": method.name() });
        let mut requests = vec![];
        let mut reports = vec![];
        for layer in &question.layers {
            for method in &methods {
                let whole = whole.as_ref().filter(|_| !method.on_pixels());
                requests.push(Request::new(method.method(), layer, whole.unwrap_or(&target)));
                reports.push(asked(layer, method));
            }
        }
        let maps: Vec<_> = self.observation.explain_all(requests).collect();
        for (report, map) in reports.iter_mut().zip(&maps) {
            report["report"] = map.as_ref().map_or(Value::Null, numbers);
            report["error"] = json!(map.as_ref().err().map(ToString::to_string));
        }
        let report = json!({
            "id": id,
            "image": self.id,
            "class": class,
            "class_name": network.class_name(class),
            "score_of": target.classes(),
            "pixel_set": target.name(),
            "pixels": target.sizes().iter().sum::<usize>(),
            "at": null,
            // Sets of several parts are refused.
            "part": null,
            "parts": [],
            "maps": reports,
            "command": "",
        });
        Ok((Answer { id, target, maps }, report))
    }

    /// The class of most pixels that is not background.
    fn most_frequent(&self, network: &Network) -> Result<usize, WebError> {
        let counts = self.counts();
        let background = network.background(counts.len());
        let possible = (0..counts.len()).filter(|&class| Some(class) != background);
        let found = possible.filter(|&class| counts[class] > 0);
        found
            .max_by_key(|&class| (counts[class], std::cmp::Reverse(class)))
            .ok_or(WebError::OnlyBackground)
    }
}

/// As the program reads images: as the camera was held.
fn decoded(bytes: &[u8]) -> Result<DynamicImage, WebError> {
    let reader = ImageReader::new(Cursor::new(bytes));
    let reader = reader.with_guessed_format().map_err(image::ImageError::from)?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff];
    if !reader.format().is_some_and(|format| known.contains(&format)) {
        return Err(WebError::NotHere(
            "it is no PNG, JPEG or TIFF image, and the page reads no others",
        ));
    }
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// A map in numbers: a `MapReport` of the studio's API.
fn numbers(map: &Explanation<4>) -> Value {
    let status: Vec<String> = map.status().iter().map(ToString::to_string).collect();
    let [low, high]: [Vec<f64>; 2] = [
        map.range().iter().map(|range| range.0).collect(),
        map.range().iter().map(|range| range.1).collect(),
    ];
    json!({
        "shape": map.raw().dims(),
        "score": map.score(),
        "status": status,
        "raw_min": low,
        "raw_max": high,
        "rounding": map.rounding(),
    })
}

fn certified(seen: &Observation<4>, map: &Result<Explanation<4>, CamError>) -> Value {
    let found = map.as_ref().map_err(Clone::clone).and_then(|map| seen.certify(map));
    match found {
        Ok(found) => {
            let shares = found.shares.as_ref();
            json!({
                "certificate": {
                    "layer": found.exact,
                    "bypasses": shares.map(|shares| &shares.bypasses),
                    "bias": shares.map(|shares| shares.bias),
                    "impossible": found.impossible,
                },
                "share": (found.score != 0.0).then(|| found.exact / found.score),
                "error": null,
            })
        }
        Err(error) => json!({ "certificate": null, "share": null, "error": error.to_string() }),
    }
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
