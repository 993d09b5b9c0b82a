//! Reports as one page that opens anywhere: pictures, maps, tables and numbers inside, and the studio's own
//! panels to look at them.

pub(crate) mod batch;
pub mod case;
pub mod choice;
pub(crate) mod evaluation;
mod table;

use std::fmt::Write as _;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::case::{Case, Room};
use self::choice::{Chosen, Subject};
use self::table::Table;
use crate::files::File;
use crate::report::Report;
use crate::studio::{about, page};

/// The name of every report.
pub const REPORT: &str = "report.html";

/// What a report says.
#[derive(Debug, Default)]
pub struct Page {
    /// What it is about.
    pub(crate) title: String,
    pub(crate) model: String,
    /// What is to be known before anything else.
    pub(crate) words: Vec<String>,
    pub(crate) cases: Vec<Case>,
    pub(crate) tables: Vec<Table>,
    /// Pictures in SVG, and what they show.
    pub(crate) charts: Vec<(String, String)>,
    /// Names and values.
    pub(crate) settings: Vec<(String, String)>,
    /// The command line.
    pub(crate) command: Vec<String>,
}

impl Page {
    /// What `segcam explain` found in one input.
    ///
    /// # Errors
    /// What serde says.
    pub fn explained(case: Case, report: &Report) -> Result<File> {
        let shape: Vec<String> = report.input_shape.iter().map(ToString::to_string).collect();
        let settings = [
            ("Input", report.input.clone()),
            ("Shape", shape.join(" × ")),
            ("Network", report.model.clone()),
            ("Weights", report.weights.clone()),
            ("Engine", report.engine.clone()),
            ("Device", report.device.clone()),
        ];
        let notes = report.notes.iter().map(|note| ("Note", note.clone()));
        let failures = report.failures.iter().map(|failure| ("Failed", failure.error.clone()));
        let settings = settings.into_iter().chain(notes).chain(failures);
        let page = Self {
            title: report.input.clone(),
            model: report.model.clone(),
            cases: vec![case],
            settings: settings.map(|(name, value)| (name.into(), value)).collect(),
            command: report.command.clone(),
            ..Self::default()
        };
        page.file()
    }

    /// Computes what was chosen once more, within the room that a mail has; what that fails for is said.
    pub(crate) fn show(
        &mut self,
        chosen: &[Chosen],
        inputs: usize,
        mut case: impl FnMut(&Chosen, Room) -> Result<Case>,
    ) {
        let (mut room, mut failed) = (Room::MAIL, vec![]);
        for (number, one) in chosen.iter().enumerate() {
            let part = room.part(chosen.len() - number);
            match case(one, part) {
                Ok(case) => {
                    room.take(part, case.room());
                    self.cases.push(case);
                }
                Err(error) => failed.push(format!("{} is not shown: {error:#}", one.input)),
            }
        }
        let shown = self.cases.len();
        if shown < inputs {
            self.words.push(format!(
                "Maps of {shown} of {inputs} inputs are in this file, so that it can be sent: those to look at \
                 first, and the ends of each column."
            ));
        }
        self.words.extend(failed);
    }

    /// The page as one file that loads nothing.
    ///
    /// # Errors
    /// What serde says.
    pub(crate) fn file(mut self) -> Result<File> {
        let place = |subject: &Subject| {
            let mut cases = self.cases.iter().enumerate();
            cases.find_map(|(number, case)| Some([number, case.figure(subject)?]))
        };
        self.tables.iter_mut().for_each(|table| table.link(place));
        // Where the program lies is nobody's business.
        let words = self.command.iter().skip(1).map(String::as_str);
        let command: Vec<&str> = std::iter::once("segcam").chain(words).collect();
        let charts = self.charts.iter().map(|(title, svg)| json!([title, STANDARD.encode(svg)]));
        let data = json!({
            "about": about(),
            "segcam": env!("CARGO_PKG_VERSION"),
            "title": self.title,
            "model": self.model,
            "words": self.words,
            "cases": self.cases.iter().map(Case::data).collect::<Vec<_>>(),
            "tables": self.tables,
            "charts": charts.collect::<Vec<_>>(),
            "settings": self.settings,
            "command": command,
        });
        Ok(File { name: REPORT.into(), bytes: whole(&data)?.into_bytes() })
    }
}

/// Everything in one file: its policy names the only script that may run.
fn whole(data: &Value) -> Result<String> {
    let (style, script) = (page::report_style(), page::report_script());
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'",
        hash(&style),
        hash(&script)
    );
    let title = data["title"].as_str().unwrap_or("").replace(['<', '>', '&', '"'], "_");
    // Nothing in the data can end the element that holds it.
    let data = serde_json::to_string(data)?.replace('<', "\\u003c");
    let mut text = String::new();
    write!(
        text,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>segcam: {title}</title>\n<style>{style}</style>\n</head>\n{}\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n\
         <script type=\"module\">{script}</script>\n</html>\n",
        page::REPORT_BODY.trim_end(),
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn data_cannot_end_its_element() {
        let page = super::whole(&json!({ "title": "</script><script>alert(1)</script>" }));
        let page = page.expect("a page");
        assert_eq!(page.matches("</script>").count(), 2);
        assert_eq!(page.matches("<script").count(), 2);
    }
}
