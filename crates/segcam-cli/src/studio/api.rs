//! Which request means what. `page/openapi.json` says the same for those who script it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use segcam::render::{Colormap, MOST, SOLID_FROM};
use segcam::{NamedMethod, Normalize, UnknownName, methods, vocabulary};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{Done, Job};
use super::gallery::{Entry, UploadError};
use super::guard::POLICY;
use super::http::{Head, Request, Response, Service};
use super::look::{Place, Raster};
use super::{Forgotten, Studio, page};
use crate::ask::Asked;
use crate::canvas::BACKDROP;
use crate::print::{MODEL, Print, SOFTWARE, png};
use crate::scene::{Show, Style};

/// Bytes of a question.
const QUESTION: u64 = 256 << 10;
const NAMES: usize = 64;
const BYTES: &str = "application/octet-stream";

impl Service for Studio {
    fn accept(&self, head: &Head) -> Result<u64, Response> {
        self.guard.admit(head)?;
        match (head.method.as_str(), head.path.as_str()) {
            ("POST", "/api/v1/images") if !self.gallery.has_room() => {
                Err(Response::error(507, &UploadError::Full(self.gallery.limits()).to_string()))
            }
            ("POST", "/api/v1/images") => Ok(self.gallery.limits().file_bytes),
            ("POST", _) => Ok(QUESTION),
            _ => Ok(0),
        }
    }

    fn answer(&self, request: &Request<'_>) -> Response {
        let answer = self.route(request).unwrap_or_else(|refusal| refusal);
        let headers = [
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ];
        headers.into_iter().fold(answer, |answer, (name, value)| answer.with_header(name, value))
    }
}

/// What a page asks, in words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionBody {
    /// Who asks: a new question of a view takes the place of the one before.
    #[serde(default)]
    view: String,
    image: String,
    /// A number or a name; none for the most frequent one.
    #[serde(default)]
    class: Option<ClassName>,
    #[serde(default = "usual_set")]
    pixels: String,
    /// Of a set that stands for several, which one.
    #[serde(default)]
    part: Option<usize>,
    #[serde(default = "usual_layers")]
    layers: Vec<String>,
    #[serde(default = "usual_methods")]
    methods: Vec<String>,
}

fn usual_set() -> String {
    "class".into()
}

fn usual_layers() -> Vec<String> {
    vec!["auto".into()]
}

fn usual_methods() -> Vec<String> {
    vec!["seg-hires-grad-cam".into()]
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ClassName {
    Number(usize),
    Name(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ViewBody {
    view: String,
}

impl Studio {
    fn route(&self, request: &Request<'_>) -> Result<Response, Response> {
        let head = &request.head;
        let path: Vec<&str> = head.path.split('/').skip(1).collect();
        let method = match head.method.as_str() {
            "HEAD" => "GET",
            method => method,
        };
        match (method, &path[..]) {
            ("GET", ["api", "v1", "studio"]) => self.about(),
            ("GET", ["api", "v1", "openapi.json"]) => {
                Ok(Response::new("application/json", page::OPENAPI))
            }
            ("GET", ["api", "v1", "images"]) => self.images(),
            ("POST", ["api", "v1", "images"]) => self.upload(request),
            ("GET", ["api", "v1", "images", id]) => self.look(id, request),
            ("GET", ["api", "v1", "images", id, part]) => self.part(id, part, head),
            ("POST", ["api", "v1", "questions"]) => self.question(request),
            ("POST", ["api", "v1", "questions", id, "certificates"]) => {
                self.certificates(id, request)
            }
            ("GET", ["api", "v1", "questions", id]) => {
                Ok(Response::json(&self.answered(id).ok_or_else(forgotten)?.report))
            }
            ("GET", ["api", "v1", "questions", id, "pixels"]) => self.pixels(id, head),
            ("GET", ["api", "v1", "questions", id, "figure"]) => self.figure(id, request),
            ("GET", ["api", "v1", "questions", id, "maps", map]) => self.map(id, map, head),
            ("GET", ["api", "v1", "questions", id, "maps", map, "array"]) => {
                self.array(id, map, request)
            }
            ("GET", ["api", "v1", "views", view]) => Ok(self.progress(view)),
            ("DELETE", ["api", "v1", "views", view]) => Ok(self.cancel(view)),
            ("GET", [file]) => page::file(file).ok_or_else(nothing),
            ("GET" | "POST" | "DELETE", _) => Err(nothing()),
            _ => Err(Response::error(405, "only GET, POST and DELETE are answered")
                .with_header("Allow", "GET, HEAD, POST, DELETE")),
        }
    }

    /// What a page needs to know before it shows anything.
    fn about(&self) -> Result<Response, Response> {
        let methods: Vec<_> = methods::<4>()
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
        let shown = shown();
        Ok(Response::json(&json!({
            "segcam": env!("CARGO_PKG_VERSION"),
            "model": self.model.name,
            "notes": self.model.notes,
            "classes": self.model.classes,
            "device": self.device,
            "sides": self.sides,
            "methods": methods,
            "sets": sets,
            "titles": shown["titles"],
            "colormaps": shown["colormaps"],
            "cover": shown["cover"],
            "limits": self.gallery.limits(),
            "images": self.gallery.list().map_err(|error| super::refusal(&error))?,
        })))
    }

    fn images(&self) -> Result<Response, Response> {
        let list = self.gallery.list().map_err(|error| super::refusal(&error))?;
        Ok(Response::json(&json!({ "images": list })))
    }

    fn upload(&self, request: &Request<'_>) -> Result<Response, Response> {
        let name = request.head.query("name");
        let name = name.ok_or_else(|| Response::error(400, "give the file's name: ?name=FILE"))?;
        let entry = self.gallery.upload(&name, &request.body).map_err(|error| {
            let status = match error {
                UploadError::Kind(_) | UploadError::Damaged(_) => 415,
                UploadError::Full(_) => 507,
                UploadError::TooLarge(..) | UploadError::Unpacked(_) => 413,
                UploadError::Io(_) => 500,
            };
            Response::error(status, &error.to_string())
        })?;
        Ok(Response::json(&entry).with_status(201))
    }

    fn entry(&self, id: &str) -> Result<Entry, Response> {
        self.gallery.find(id).ok_or_else(|| Response::error(404, "no image has this id"))
    }

    fn look(&self, id: &str, request: &Request<'_>) -> Result<Response, Response> {
        let entry = self.entry(id)?;
        self.gallery.check(&entry).map_err(|error| super::refusal(&error))?;
        let view = view(request.head.query("view").unwrap_or_default())?;
        let Done::Looked(looked) = self.order(&view, Job::Look(entry), request)? else {
            return Err(nothing());
        };
        self.held().saw(id, &looked);
        Ok(Response::json(&looked.report))
    }

    fn part(&self, id: &str, part: &str, head: &Head) -> Result<Response, Response> {
        if part == "thumbnail" {
            let thumbnail = self.gallery.thumbnail(&self.entry(id)?);
            let thumbnail = thumbnail.map_err(|error| super::refusal(&error))?;
            let none = || Response::error(404, "this is no picture");
            return Ok(Response::new("image/png", thumbnail.ok_or_else(none)?));
        }
        let looked = self.looked(id).ok_or_else(forgotten)?;
        let place = place(head)?;
        match part {
            "picture" => {
                let window = window(head)?;
                let picture = looked.picture(place, window).ok_or_else(nothing)?;
                picture_response(picture)
            }
            "labels" => labels_response(looked.labels(place)),
            "truth" => labels_response(looked.truth(place)),
            _ => Err(nothing()),
        }
    }

    fn question(&self, request: &Request<'_>) -> Result<Response, Response> {
        let body: QuestionBody = parsed(&request.body)?;
        let QuestionBody { view: from, image, class, pixels, part, layers, methods } = body;
        let long = layers.len() > NAMES || methods.len() > NAMES;
        if long || layers.is_empty() || methods.is_empty() {
            let words = format!("give 1 to {NAMES} layers and 1 to {NAMES} methods");
            return Err(Response::error(422, &words));
        }
        let classes = class.map(|class| match class {
            ClassName::Number(number) => number.to_string(),
            ClassName::Name(name) => name,
        });
        if classes.as_deref() == Some("all") {
            return Err(Response::error(422, "ask about one class at a time"));
        }
        let entry = self.entry(&image)?;
        self.gallery.check(&entry).map_err(|error| super::refusal(&error))?;
        let (classes, pixels) = (classes.into_iter().collect(), vec![pixels]);
        let asked = Asked { layers, classes, methods, pixels };
        match self.order(&view(from)?, Job::Ask(entry, asked, part), request)? {
            Done::Answered(answered) => Ok(Response::json(&answered.report)),
            _ => Err(nothing()),
        }
    }

    fn certificates(&self, id: &str, request: &Request<'_>) -> Result<Response, Response> {
        let ViewBody { view: from } = match &request.body[..] {
            [] => ViewBody::default(),
            body => parsed(body)?,
        };
        match self.order(&view(from)?, Job::Certify(id.to_string()), request)? {
            Done::Certified(certified) => Ok(Response::json(&json!({ "maps": certified }))),
            _ => Err(nothing()),
        }
    }

    fn map(&self, id: &str, map: &str, head: &Head) -> Result<Response, Response> {
        let answered = self.answered(id).ok_or_else(forgotten)?;
        let number: usize = map.parse().map_err(|_| nothing())?;
        let field = answered.maps.get(number).ok_or_else(nothing)?;
        let field = field.as_ref().ok_or_else(|| Response::error(404, "there is no such map"))?;
        let size = answered.looked.report.maps;
        let raster = answered.looked.raster(field, place(head)?, true, size).ok_or_else(nothing)?;
        let values = raster.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(raster_response(raster.size, values))
    }

    fn pixels(&self, id: &str, head: &Head) -> Result<Response, Response> {
        let answered = self.answered(id).ok_or_else(forgotten)?;
        let (looked, place) = (&answered.looked, place(head)?);
        let raster = looked.raster(&answered.pixels, place, false, looked.report.labels);
        let raster = raster.ok_or_else(nothing)?;
        let member = |weight: &f32| u8::from(*weight != 0.0);
        Ok(raster_response(raster.size, raster.values.iter().map(member).collect()))
    }

    fn figure(&self, id: &str, request: &Request<'_>) -> Result<Response, Response> {
        let format = request.head.query("format").unwrap_or_else(|| "png".into());
        let kind = match format.as_str() {
            "png" => "image/png",
            "svg" => "image/svg+xml",
            "pdf" => "application/pdf",
            _ => return Err(Response::error(422, "the format is png, svg or pdf")),
        };
        let command = self.answered(id).ok_or_else(forgotten)?.report.command.clone();
        let about = [
            (SOFTWARE, format!("segcam {}", env!("CARGO_PKG_VERSION"))),
            (MODEL, self.model.name.clone()),
            ("Comment", command),
        ];
        let about = about.map(|(keyword, text)| (keyword.to_string(), text)).to_vec();
        let (svg, pdf) = (format == "svg", format == "pdf");
        let print = Print { svg, pdf, about, ..Print::default() };
        let style = Style { show: show(&request.head)?, print, ..Style::default() };
        self.drawn(id, style, request, kind, |name| {
            name.starts_with("compare") && name.ends_with(&format!(".{format}"))
        })
    }

    fn array(&self, id: &str, map: &str, request: &Request<'_>) -> Result<Response, Response> {
        let answered = self.answered(id).ok_or_else(forgotten)?;
        let number: usize = map.parse().map_err(|_| nothing())?;
        let map = answered.report.maps.get(number).ok_or_else(nothing)?;
        let kind = request.head.query("kind").unwrap_or_else(|| "raw".into());
        let (raw, heat) = match kind.as_str() {
            "raw" => (true, false),
            "heat" => (false, true),
            _ => return Err(Response::error(422, "the kind is raw or heat")),
        };
        let style = Style { show: show(&request.head)?, raw, heat, ..Style::default() };
        let layer = crate::ask::file_name(map.layer.trim_matches('/'));
        let start = format!("{}.{layer}.", crate::ask::file_name(&map.method));
        // Of a part the files have its name, too.
        let end = match answered.report.part {
            Some(_) => format!(".{}.{kind}.", crate::ask::file_name(&answered.report.pixel_set)),
            None => format!("{start}{kind}."),
        };
        let wanted = |name: &str| name.starts_with(&start) && name.contains(&end);
        self.drawn(id, style, request, BYTES, wanted)
    }

    /// One of the files that `segcam explain` would write.
    fn drawn(
        &self,
        id: &str,
        style: Style,
        request: &Request<'_>,
        kind: &'static str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Response, Response> {
        let job = Job::Draw(id.to_string(), Box::new(style));
        let view = format!("save {id} {}?{}", request.head.path, kind);
        let Done::Drawn(files) = self.order(&view, job, request)? else { return Err(nothing()) };
        let file = files.into_iter().find(|file| wanted(&file.name));
        let file = file.ok_or_else(|| Response::error(404, "there is no such file"))?;
        let name: String = file.name.chars().filter(|c| c.is_ascii() && *c != '"').collect();
        let header = format!("attachment; filename=\"{name}\"");
        Ok(Response::new(kind, file.bytes).with_header("Content-Disposition", header))
    }

    fn progress(&self, view: &str) -> Response {
        let held = self.held();
        let steps = held.views.get(view).map(|(_, progress)| progress.steps());
        let (done, all) = steps.unwrap_or_default();
        Response::json(&json!({ "busy": steps.is_some(), "done": done, "all": all }))
    }

    fn cancel(&self, view: &str) -> Response {
        if let Some((cancel, _)) = self.held().views.get(view) {
            cancel.cancel();
        }
        Response::new("text/plain", "").with_status(204)
    }
}

/// How maps are shown: what methods are called, the colours, and how they cover a picture.
pub(crate) fn shown() -> Value {
    let methods = methods::<4>();
    let titles = methods.iter().flat_map(NamedMethod::titled);
    let colormaps = Colormap::ALL.iter().map(|colormap| {
        let colors = colormap.colors((0..256).map(|value| value as f32 / 255.0));
        let bytes: Vec<u8> = colors.iter().flat_map(|color| color.0).collect();
        json!({
            "name": colormap.to_string(),
            "diverging": colormap.is_diverging(),
            "colors": STANDARD.encode(bytes),
        })
    });
    json!({
        "titles": titles.collect::<Value>(),
        "colormaps": colormaps.collect::<Vec<Value>>(),
        "cover": { "solid_from": SOLID_FROM, "most": MOST, "backdrop": BACKDROP },
    })
}

fn nothing() -> Response {
    Response::error(404, "there is nothing here")
}

fn forgotten() -> Response {
    super::refusal(&Forgotten.into())
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|error| Response::error(400, &error.to_string()))
}

/// What a page calls itself.
fn view(name: String) -> Result<String, Response> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() {
        // Those who do not say who they are disturb nobody.
        return Ok(format!("nobody {}", super::token()));
    }
    if name.len() <= NAMES && name.chars().all(plain) {
        return Ok(name);
    }
    Err(Response::error(422, "a view has at most 64 letters, digits, - and _"))
}

/// A number of the query.
fn number<T: std::str::FromStr>(head: &Head, name: &str) -> Result<Option<T>, Response> {
    let wrong = |text: &str| Response::error(422, &format!("{name}={text} is no such number"));
    head.query(name).map(|text| text.parse().map_err(|_| wrong(&text))).transpose()
}

fn place(head: &Head) -> Result<Place, Response> {
    let (plane, at) = (number(head, "plane")?, number(head, "at")?);
    match (plane, at) {
        (None, None) => Ok(None),
        (Some(plane), Some(at)) => Ok(Some((plane, at))),
        _ => Err(Response::error(422, "a plane needs both: plane=0&at=12")),
    }
}

fn window(head: &Head) -> Result<Option<(f32, f32)>, Response> {
    let (low, high): (Option<f32>, Option<f32>) = (number(head, "low")?, number(head, "high")?);
    match (low, high) {
        (None, None) => Ok(None),
        (Some(low), Some(high)) if low < high && (high - low).is_finite() => Ok(Some((low, high))),
        _ => Err(Response::error(422, "a window needs low below high")),
    }
}

/// How a figure shows maps: as `--signed`, or as `--normalize` and `--colormap`.
fn show(head: &Head) -> Result<Show, Response> {
    let wrong = |error: UnknownName| Response::error(422, &error.to_string());
    let normalize = head.query("normalize");
    let scales = [Normalize::MaxAbs, Normalize::Max, Normalize::MinMax, Normalize::None];
    let colormap = head.query("colormap").map(|name| name.parse::<Colormap>()).transpose();
    let colormap = colormap.map_err(wrong)?.filter(|colormap| !colormap.is_diverging());
    if normalize.is_none() && colormap.is_none() {
        return Ok(Show::Signed);
    }
    let normalize = normalize.map(|name| UnknownName::find("scale", &name, &scales)).transpose();
    let normalize = normalize.map_err(wrong)?.unwrap_or_default();
    Ok(Show::Positive { normalize, colormap: colormap.unwrap_or_default() })
}

fn picture_response(picture: RgbImage) -> Result<Response, Response> {
    let file = png("picture", picture).map_err(|error| super::refusal(&error))?;
    Ok(Response::new("image/png", file.bytes))
}

fn labels_response(raster: Option<Raster>) -> Result<Response, Response> {
    let raster = raster.ok_or_else(nothing)?;
    let values = raster.values.iter().flat_map(|label| (*label as u16).to_le_bytes()).collect();
    Ok(raster_response(raster.size, values))
}

/// Values row by row, least significant byte first.
fn raster_response([rows, columns]: [usize; 2], values: Vec<u8>) -> Response {
    Response::new(BYTES, values).with_header("Segcam-Size", format!("{rows}x{columns}"))
}
