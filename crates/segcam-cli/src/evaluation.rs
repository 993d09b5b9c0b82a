//! What `segcam evaluate` says about all images: tables, comparisons, a figure.

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use csv::Writer;
use segcam::metric_charts;
use segcam::metrics::{Comparison, Metric, Study, Summary};
use segcam::render::{charts, charts_svg};
use serde::Serialize;

use crate::args::{EvaluateArgs, Talk};
use crate::asked::{class_title, methods};
use crate::evaluate::{Failure, Measured, Settings, metrics};
use crate::model::Model;
use crate::output::{Folder, say};

/// `evaluation.json`. The schema is in `docs/report.md`.
#[derive(Serialize)]
struct Evaluation<'a> {
    settings: &'a Settings,
    notes: &'a [String],
    images: &'a [Measured],
    questions: Vec<Question>,
    failures: &'a [Failure],
    files: Vec<String>,
}

/// What all images say about one class and pixel set.
#[derive(Serialize)]
struct Question {
    class: usize,
    class_name: Option<String>,
    pixel_set: String,
    summaries: Vec<SummaryRow>,
    comparisons: Vec<ComparisonRow>,
    #[serde(skip)]
    study: Study,
}

#[derive(Serialize)]
struct SummaryRow {
    method: String,
    layer: String,
    metric: Metric,
    #[serde(flatten)]
    summary: Summary,
}

/// One method minus another.
#[derive(Serialize)]
struct ComparisonRow {
    metric: Metric,
    layer: String,
    first: String,
    second: String,
    comparison: Option<Comparison>,
    /// Why there is none.
    reason: Option<String>,
}

pub(crate) fn write(
    args: &EvaluateArgs,
    model: &Model,
    settings: &Settings,
    images: &[Measured],
    failures: &[Failure],
    out: &Folder,
    talk: Talk,
) -> Result<()> {
    let questions = questions(args, images);
    out.write("evaluation.csv", &rows_csv(args, images)?)?;
    out.write("summary.csv", &summary_csv(&questions)?)?;
    let mut files = vec!["evaluation.csv".to_string(), "summary.csv".into()];
    for (number, question) in questions.iter().enumerate() {
        let number = if questions.len() > 1 { format!(".{}", number + 1) } else { String::new() };
        let count = images.len();
        let (class, pixel_set) = (question.title(), &question.pixel_set);
        let plural = if count == 1 { "" } else { "s" };
        let title =
            format!("{}: {class}, pixel set {pixel_set}, {count} image{plural}", model.name);
        let panels = metric_charts(&question.study, &question.study.metrics());
        let name = |kind| format!("evaluation{number}.{kind}");
        out.png(&name("png"), &charts(&title, &panels))?;
        out.write(&name("svg"), charts_svg(&title, &panels).as_bytes())?;
        files.extend([name("png"), name("svg")]);
    }
    files.push("evaluation.json".into());
    let notes = &model.notes;
    let evaluation = Evaluation { settings, notes, images, questions, failures, files };
    let json = serde_json::to_string_pretty(&evaluation)?;
    out.write("evaluation.json", json.as_bytes())?;
    match talk {
        Talk::Quiet => Ok(()),
        Talk::Json => say(json),
        Talk::Tables => evaluation.print(out),
    }
}

/// Every class and pixel set in the order in which they came, with the rows of all images.
fn questions(args: &EvaluateArgs, images: &[Measured]) -> Vec<Question> {
    let mut questions: Vec<Question> = vec![];
    for image in images {
        for answer in &image.answers {
            let same = |q: &Question| q.class == answer.class && q.pixel_set == answer.asked;
            let at = questions.iter().position(same).unwrap_or_else(|| {
                questions.push(Question {
                    class: answer.class,
                    class_name: answer.class_name.clone(),
                    pixel_set: answer.asked.clone(),
                    summaries: vec![],
                    comparisons: vec![],
                    study: Study::new(args.seed),
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
        question.comparisons = question.comparisons(args);
    }
    questions
}

impl Question {
    fn title(&self) -> String {
        class_title(self.class, self.class_name.as_ref())
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
    fn comparisons(&self, args: &EvaluateArgs) -> Vec<ComparisonRow> {
        let methods: Vec<String> =
            methods(&args.question).iter().map(ToString::to_string).collect();
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

    /// Means, a row for each map and a column for each metric.
    fn table(&self) -> Table {
        let metrics = self.study.metrics();
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let header = ["method", "layer", "images"].map(String::from).into_iter();
        table.set_header(header.chain(metrics.iter().map(ToString::to_string)));
        for (method, layer) in self.study.maps() {
            let found = |metric: &Metric| self.study.summary(method, layer, *metric);
            let images = metrics.iter().filter_map(found).map(|found| found.images).max();
            let cells = [method.to_string(), layer.to_string(), images.unwrap_or(0).to_string()];
            let values = metrics.iter().map(found);
            let values = values.map(|found| found.map_or("".into(), |s| number(s.mean)));
            table.add_row(cells.into_iter().chain(values));
        }
        for column in 2..3 + metrics.len() {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

impl Evaluation<'_> {
    fn print(&self, out: &Folder) -> Result<()> {
        self.notes.iter().try_for_each(say)?;
        for question in &self.questions {
            say(format!("{}, pixel set {}: means", question.title(), question.pixel_set))?;
            say(question.table().trim_fmt())?;
        }
        for image in self.images {
            for answer in &image.answers {
                if let Some(error) = &answer.error {
                    let class = class_title(answer.class, answer.class_name.as_ref());
                    say(format!("{}, {class}: {error}", image.image))?;
                }
            }
        }
        for Failure { image, error } in self.failures {
            say(format!("left out: {image}: {error}"))?;
        }
        let mut comparisons = self.questions.iter().flat_map(|question| &question.comparisons);
        if let Some(reason) = comparisons.find_map(|row| row.reason.as_deref()) {
            say(format!("methods are not all compared: {reason}"))?;
        }
        for file in &self.files {
            say(out.path(file).display())?;
        }
        Ok(())
    }
}

/// Three digits, also of small numbers.
fn number(value: f64) -> String {
    if value == 0.0 || value.abs() >= 5e-4 { format!("{value:.3}") } else { format!("{value:.0e}") }
}

fn rows_csv(args: &EvaluateArgs, images: &[Measured]) -> Result<Vec<u8>> {
    let mut csv = Writer::from_writer(vec![]);
    let metrics = metrics(args);
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

fn summary_csv(questions: &[Question]) -> Result<Vec<u8>> {
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
            let Summary { images, mean, interval } = row.summary;
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
