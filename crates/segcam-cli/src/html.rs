//! A report as one page that opens anywhere: pictures, maps and numbers inside, and the studio's own
//! panels to look at them.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use segcam::burn::tensor::Tensor;
use segcam::core::upsample;
use segcam::{Observation, guarded};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::annotations::Annotations;
use crate::ask::{Figure, Question};
use crate::draw::File;
use crate::explain::Answer;
use crate::network::Model;
use crate::print::png;
use crate::read::Input;
use crate::report::{MapReport, Report};
use crate::studio::about;
use crate::studio::look::{Looked, Place, Raster, as_volume};
use crate::studio::page;
use crate::view::midst;

/// What is collected for the page.
#[derive(Debug)]
pub struct Page {
    looked: Looked,
    figures: Vec<Value>,
}

impl Page {
    /// Of one image and what the network sees in it.
    ///
    /// # Errors
    /// Several images in one array.
    pub fn new<const D: usize>(
        input: &Input<D>,
        seen: &Observation<D>,
        annotations: &Annotations,
        model: &Model,
    ) -> Result<Self> {
        let looked =
            Looked::new(input, seen, annotations, model).context("--html cannot show this")?;
        Ok(Self { looked, figures: vec![] })
    }

    /// Adds the maps of a figure.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn add<const D: usize>(
        &mut self,
        question: &Question<D>,
        answer: &Answer<'_, D>,
        model: &Model,
        input: &Input<D>,
    ) -> Result<()> {
        // What could not be explained is in the program's report.
        let Ok((targets, maps)) = &answer.maps else { return Ok(()) };
        let Figure { class, asked, .. } = answer.figure;
        let target = &targets.pixels;
        let size = &input.tensor.dims()[2..];
        let (mut fields, mut reports) = (vec![], vec![]);
        for (map, request) in maps.iter().zip(question.requests(targets)) {
            let method = question.methods[fields.len() % question.methods.len()].name();
            let (report, field, error) = match map {
                Ok(map) => {
                    let field = guarded(|| as_volume(&upsample(map.found.signal(), size)))?;
                    (Some(MapReport::new(map, model)), Some(field), None)
                }
                Err(error) => (None, None, Some(error.to_string())),
            };
            let share = map.as_ref().ok().and_then(|map| {
                let found = map.certificate.as_ref()?;
                (found.score != 0.0).then(|| found.exact / found.score)
            });
            reports.push(json!({
                "method": method, "layer": request.layer(), "report": report, "error": error,
                "share": share,
            }));
            fields.push(field);
        }
        let explained = as_volume(target.weights())?;
        let at = self.looked.report.start.map(|start| midst(&explained, 0).unwrap_or(start));
        let sheets = self.places(at).into_iter().map(|place| {
            let looked = &self.looked;
            let mask = looked.raster(&explained, place, false, looked.report.labels);
            let map = |field: &Option<Tensor<5>>| {
                let field = field.as_ref()?;
                looked.raster(field, place, true, looked.report.maps)
            };
            let maps: Vec<Value> = fields
                .iter()
                .map(|field| Ok(map(field).map(signed).transpose()?.into()))
                .collect::<Result<_>>()?;
            // A volume is shown where this figure's voxels are.
            let under = place.map(|_| self.under(place)).transpose()?;
            let mask = mask.map(|mask| labels(&mask)).transpose()?;
            Ok(json!({ "under": under, "pixels": mask, "maps": maps }))
        });
        let sheets: Vec<Value> = sheets.collect::<Result<_>>()?;
        self.figures.push(json!({
            "class": class,
            "class_name": model.classes.get(*class),
            "score_of": target.classes(),
            "asked": asked,
            "pixel_set": target.name(),
            "pixels": target.sizes().iter().sum::<usize>(),
            "at": at,
            "maps": reports,
            "sheets": sheets,
        }));
        Ok(())
    }

    fn places(&self, at: Option<[usize; 3]>) -> Vec<Place> {
        let Some(at) = at else { return vec![None] };
        let planes = self.looked.report.planes.iter().enumerate();
        planes.map(|(number, plane)| Some((number, at[plane.across]))).collect()
    }

    /// The picture, the labels and the annotation.
    fn under(&self, place: Place) -> Result<Value> {
        let picture = self.looked.picture(place, None).context("there is no picture")?;
        let picture = STANDARD.encode(png("picture", picture)?.bytes);
        let seen = self.looked.labels(place).map(|raster| labels(&raster)).transpose()?;
        let truth = self.looked.truth(place).map(|raster| labels(&raster)).transpose()?;
        Ok(json!({ "picture": picture, "labels": seen, "truth": truth }))
    }

    /// The page, with the report's numbers.
    ///
    /// # Errors
    /// A picture that is too large.
    pub fn file(self, report: &Report) -> Result<File> {
        let under = match self.looked.report.planes.is_empty() {
            true => Some(self.under(None)?),
            false => None,
        };
        // Where the program lies is nobody's business.
        let words = report.command.iter().skip(1).map(String::as_str);
        let command: Vec<&str> = std::iter::once("segcam").chain(words).collect();
        let data = json!({
            "about": about(),
            "look": self.looked.report,
            "under": under,
            "figures": self.figures,
            "report": {
                "segcam": report.segcam,
                "command": command,
                "model": report.model,
                "weights": report.weights,
                "input": report.input,
                "input_shape": report.input_shape,
                "engine": report.engine,
                "device": report.device,
                "notes": report.notes,
                "failures": report.failures,
            },
        });
        Ok(File { name: "report.html".into(), bytes: whole(&data)?.into_bytes() })
    }
}

/// Everything in one file that loads nothing: its policy names the only script that may run.
fn whole(data: &Value) -> Result<String> {
    let (style, script) = (page::report_style(), page::report_script());
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'",
        hash(&style),
        hash(&script)
    );
    let title = data["report"]["input"].as_str().unwrap_or("").replace(['<', '>', '&', '"'], "_");
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

/// Labels and members as whole numbers of 16 bits, compressed.
fn labels(raster: &Raster) -> Result<Value> {
    let bytes = raster.values.iter().flat_map(|label| (*label as u16).to_le_bytes());
    packed(raster, bytes.collect(), 1.0)
}

/// A signed map in steps of a 32767th of its largest absolute value, compressed.
fn signed(raster: Raster) -> Result<Value> {
    let most = raster.values.iter().fold(0f32, |most, value| most.max(value.abs()));
    let step = if most > 0.0 { most / f32::from(i16::MAX) } else { 1.0 };
    let bytes =
        raster.values.iter().flat_map(|value| ((value / step).round() as i16).to_le_bytes());
    packed(&raster, bytes.collect(), step)
}

fn packed(raster: &Raster, bytes: Vec<u8>, step: f32) -> Result<Value> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::best());
    encoder.write_all(&bytes)?;
    let [rows, columns] = raster.size;
    let values = STANDARD.encode(encoder.finish()?);
    Ok(json!({ "rows": rows, "columns": columns, "step": step, "values": values }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn data_cannot_end_its_element() {
        let page =
            super::whole(&json!({"report": {"input": "</script><script>alert(1)</script>"}}));
        let page = page.expect("a page");
        assert_eq!(page.matches("</script>").count(), 2);
        assert_eq!(page.matches("<script").count(), 2);
    }
}
