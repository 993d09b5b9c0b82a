//! The page's files, as they lie in the program.

use super::http::Response;

/// What the API is, for machines.
pub(crate) const OPENAPI: &str = include_str!("page/openapi.json");

macro_rules! files {
    ($($name:literal: $kind:expr),* $(,)?) => {
        &[$(($name, $kind, include_bytes!(concat!("page/", $name)).as_slice())),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

type File = (&'static str, &'static str, &'static [u8]);

const FILES: &[File] = files! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "main.js": SCRIPT,
    "api.js": SCRIPT,
    "colors.js": SCRIPT,
    "shapes.js": SCRIPT,
    "panel.js": SCRIPT,
    "layers.js": SCRIPT,
    "state.js": SCRIPT,
    "answer.js": SCRIPT,
    "save.js": SCRIPT,
    "sheets.js": SCRIPT,
    "stage.js": SCRIPT,
    "display.js": SCRIPT,
    "tables.js": SCRIPT,
    "parts.js": SCRIPT,
    "pointer.js": SCRIPT,
};

/// One of the page's files; the page itself has no name.
pub(crate) fn file(name: &str) -> Option<Response> {
    let name = if name.is_empty() { "index.html" } else { name };
    let (_, kind, bytes) = FILES.iter().find(|(known, ..)| *known == name)?;
    Some(Response::new(kind, *bytes))
}

/// What a report has between its head and its data.
pub(crate) const REPORT_BODY: &str = include_str!("page/report.html");

/// The page's style, and what only reports need.
pub(crate) fn report_style() -> String {
    [include_str!("page/style.css"), include_str!("page/report.css")].concat()
}

/// The modules that a report needs as one: those that are imported come first, and what is imported and
/// exported is simply there. The page's modules have no two things of one name.
pub(crate) fn report_script() -> String {
    let modules = [
        include_str!("page/colors.js"),
        include_str!("page/shapes.js"),
        include_str!("page/panel.js"),
        include_str!("page/state.js"),
        include_str!("page/answer.js"),
        include_str!("page/sheets.js"),
        include_str!("page/stage.js"),
        include_str!("page/display.js"),
        include_str!("page/tables.js"),
        include_str!("page/report.js"),
    ];
    let lines = modules.iter().flat_map(|module| module.lines());
    let lines = lines
        .filter(|line| !line.starts_with("import "))
        .map(|line| line.strip_prefix("export ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}
