//! What all images say together: tables, comparisons, figures.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use csv::Writer;
use segcam::metric_charts;
use segcam::metrics::{Comparison, Metric, Study, Summary};
use segcam::render::{Chart, charts, charts_svg};
use serde::Serialize;

use crate::files::File;
use crate::measure::{Measured, Settings};
use crate::network::{Model, class_title};
use crate::print::png;

/// An image without results, and why.
#[derive(Debug, Serialize)]
pub struct LeftOut {
    /// Its path.
    pub image: String,
    /// Why.
    pub error: String,
}

/// `evaluation.json`. The schema is in `docs/report.md`.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// What was measured.
    pub settings: Settings,
    /// How an ONNX file was understood.
    pub notes: Vec<String>,
    /// What was measured on each image.
    pub images: Vec<Measured>,
    /// What all images say.
    pub questions: Vec<Summaries>,
    /// Images that could not be used.
    pub failures: Vec<LeftOut>,
    /// Names of the other files.
    pub files: Vec<String>,
}

/// What all images say about one class and pixel set.
#[derive(Debug, Serialize)]
pub struct Summaries {
    /// The class.
    pub class: usize,
    /// What it is called, if that is known.
    pub class_name: Option<String>,
    /// The pixel set as it was asked for.
    pub pixel_set: String,
    /// Means of each map and metric.
    pub summaries: Vec<SummaryRow>,
    /// Each method minus the first one.
    pub comparisons: Vec<ComparisonRow>,
    /// All that they come from.
    #[serde(skip)]
    pub study: Study,
}

/// What all images say about one map and metric.
#[derive(Debug, Serialize)]
pub struct SummaryRow {
    /// The map's method.
    pub method: String,
    /// Its layer.
    pub layer: String,
    /// What was measured.
    pub metric: Metric,
    /// The mean, and its interval.
    #[serde(flatten)]
    pub summary: Summary,
}

/// One method minus another.
#[derive(Debug, Serialize)]
pub struct ComparisonRow {
    /// What was measured.
    pub metric: Metric,
    /// Of which layer.
    pub layer: String,
    /// One method.
    pub first: String,
    /// The other.
    pub second: String,
    /// The difference.
    pub comparison: Option<Comparison>,
    /// Why there is none.
    pub reason: Option<String>,
}

impl Evaluation {
    /// Puts together what was measured, with `methods` in the order asked.
    pub fn new(
        model: &Model,
        settings: Settings,
        methods: &[String],
        seed: u64,
        images: Vec<Measured>,
        failures: Vec<LeftOut>,
    ) -> Self {
        let questions = questions(methods, seed, &images);
        let files = vec![];
        let notes = [model.notes.clone(), of_annotations(&images)].concat();
        Self { settings, notes, images, questions, failures, files }
    }

    /// Tables, figures, and at the end itself as JSON.
    ///
    /// # Errors
    /// What serde says.
    pub fn files(&mut self, model: &Model, metrics: &BTreeSet<Metric>) -> Result<Vec<File>> {
        let file = |name: &str, bytes| File { name: name.to_string(), bytes };
        let mut files = vec![
            file("evaluation.csv", rows_csv(metrics, &self.images)?),
            file("summary.csv", summary_csv(&self.questions)?),
        ];
        for (number, question) in self.questions.iter().enumerate() {
            let number = match self.questions.len() {
                1 => String::new(),
                _ => format!(".{}", number + 1),
            };
            let (title, panels) = self.charts(question, model);
            let name = |kind| format!("evaluation{number}.{kind}");
            files.push(png(&name("png"), charts(&title, &panels))?);
            files.push(file(&name("svg"), charts_svg(&title, &panels).into_bytes()));
        }
        self.files.extend(files.iter().map(|file| file.name.clone()));
        self.files.push("evaluation.json".into());
        files.push(file("evaluation.json", serde_json::to_vec_pretty(self)?));
        Ok(files)
    }

    /// The charts of one class and pixel set, and their title.
    pub(crate) fn charts(&self, question: &Summaries, model: &Model) -> (String, Vec<Chart>) {
        let count = self.images.len();
        let (class, pixel_set) = (question.title(), &question.pixel_set);
        let plural = if count == 1 { "" } else { "s" };
        let title =
            format!("{}: {class}, pixel set {pixel_set}, {count} image{plural}", model.name);
        (title, metric_charts(&question.study, &question.study.metrics()))
    }
}

/// How annotations were understood, each way once, with an image.
fn of_annotations(images: &[Measured]) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut kinds: Vec<(&str, &str, usize)> = vec![];
    for image in images {
        for note in &image.notes {
            match kinds.iter_mut().find(|(known, ..)| *known == note) {
                Some((.., count)) => *count += 1,
                None => kinds.push((note, &image.image, 1)),
            }
        }
    }
    let mut lines: Vec<String> = kinds
        .iter()
        .take(SHOWN)
        .map(|(note, image, count)| match count {
            1 => format!("{image}: {note}"),
            _ => format!("{note} ({count} images)"),
        })
        .collect();
    if kinds.len() > SHOWN {
        lines.push(format!("and {} more such notes in evaluation.json", kinds.len() - SHOWN));
    }
    lines
}

/// Every class and pixel set in the order in which they came, with the rows of all images.
fn questions(methods: &[String], seed: u64, images: &[Measured]) -> Vec<Summaries> {
    let mut questions: Vec<Summaries> = vec![];
    for image in images {
        for answer in &image.answers {
            let same = |q: &Summaries| q.class == answer.class && q.pixel_set == answer.asked;
            let at = questions.iter().position(same).unwrap_or_else(|| {
                questions.push(Summaries {
                    class: answer.class,
                    class_name: answer.class_name.clone(),
                    pixel_set: answer.asked.clone(),
                    summaries: vec![],
                    comparisons: vec![],
                    study: Study::new(seed),
                });
                questions.len() - 1
            });
            // Several parts of an image, such as its components, count by themselves.
            let unit = format!("{} {}", image.image, answer.pixel_set);
            questions[at].study.add(&unit, answer.rows.iter().cloned());
        }
    }
    for question in &mut questions {
        question.summaries = question.summaries();
        question.comparisons = question.comparisons(methods);
    }
    questions
}

impl Summaries {
    /// The class as people read it.
    pub fn title(&self) -> String {
        class_title(self.class, self.class_name.as_deref())
    }

    fn summaries(&self) -> Vec<SummaryRow> {
        let of = |(method, layer): (&str, &str)| {
            let (method, layer) = (method.to_string(), layer.to_string());
            let metrics = self.study.metrics().into_iter();
            let rows = metrics.filter_map(move |metric| {
                let summary = self.study.summary(&method, &layer, metric)?;
                Some(SummaryRow { method: method.clone(), layer: layer.clone(), metric, summary })
            });
            rows.collect::<Vec<_>>()
        };
        self.study.maps().into_iter().flat_map(of).collect()
    }

    /// Each method minus the first one that was asked for.
    fn comparisons(&self, methods: &[String]) -> Vec<ComparisonRow> {
        let Some((second, others)) = methods.split_first() else { return vec![] };
        let mut rows = vec![];
        for (first, layer) in
            self.study.maps().into_iter().filter(|(m, _)| others.iter().any(|o| o == m))
        {
            for metric in self.study.metrics() {
                let found = self.study.comparison(metric, layer, first, second);
                rows.push(ComparisonRow {
                    metric,
                    layer: layer.to_string(),
                    first: first.to_string(),
                    second: second.clone(),
                    reason: found.as_ref().err().map(ToString::to_string),
                    comparison: found.ok(),
                });
            }
        }
        rows
    }
}

fn rows_csv(metrics: &BTreeSet<Metric>, images: &[Measured]) -> Result<Vec<u8>> {
    let mut csv = Writer::from_writer(vec![]);
    let fixed = ["image", "class", "class_name", "pixel_set", "pixels", "method", "layer"];
    let names = metrics.iter().map(|metric| metric.name());
    csv.write_record(fixed.into_iter().chain(names).chain(["missing"]))?;
    for image in images {
        for answer in &image.answers {
            for row in &answer.rows {
                let fixed = [
                    image.image.clone(),
                    answer.class.to_string(),
                    answer.class_name.clone().unwrap_or_default(),
                    answer.pixel_set.clone(),
                    answer.pixels.to_string(),
                    row.method.clone(),
                    row.layer.clone(),
                ];
                let values = metrics.iter().map(|metric| row.values.get(metric));
                let values = values.map(|value| value.map_or(String::new(), f64::to_string));
                let missing = row.missing.iter().map(|(metric, why)| format!("{metric}: {why}"));
                let missing = missing.collect::<Vec<_>>().join("; ");
                csv.write_record(fixed.into_iter().chain(values).chain([missing]))?;
            }
        }
    }
    csv.into_inner().context("cannot write the table")
}

fn summary_csv(questions: &[Summaries]) -> Result<Vec<u8>> {
    let mut csv = Writer::from_writer(vec![]);
    csv.write_record([
        "class",
        "class_name",
        "pixel_set",
        "method",
        "layer",
        "metric",
        "images",
        "mean",
        "low",
        "high",
    ])?;
    for question in questions {
        for row in &question.summaries {
            let Summary { images, mean, interval, .. } = row.summary;
            let ends = interval.map_or([String::new(), String::new()], |(low, high)| {
                [low.to_string(), high.to_string()]
            });
            let [low, high] = ends;
            csv.write_record([
                question.class.to_string(),
                question.class_name.clone().unwrap_or_default(),
                question.pixel_set.clone(),
                row.method.clone(),
                row.layer.clone(),
                row.metric.to_string(),
                images.to_string(),
                mean.to_string(),
                low,
                high,
            ])?;
        }
    }
    csv.into_inner().context("cannot write the table")
}
