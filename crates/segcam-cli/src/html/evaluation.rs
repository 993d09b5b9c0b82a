//! What a report says of an evaluation: means, comparisons, charts, and which maps to look at.

use segcam::metrics::{Better, Metric};
use segcam::render::charts_svg;

use super::Page;
use super::choice::{Candidate, Chosen, Subject, choose};
use super::table::{Cell, Column, Kind, Table};
use crate::measure::{Judged, Measured};
use crate::network::{Model, class_title};
use crate::tables::{Evaluation, Summaries};

/// Rows of a table that a file holds.
const ROWS: usize = 500;

/// The page of an evaluation, without maps as yet, and those that it should show.
pub(crate) fn page(evaluation: &Evaluation, model: &Model) -> (Page, Vec<Chosen>) {
    let Evaluation { settings, notes, images, questions, failures, .. } = evaluation;
    let mut words = vec![format!("{} images.", images.len())];
    let mut tables: Vec<Table> =
        questions.iter().map(means).chain(questions.iter().map(comparisons)).collect();
    tables.push(left_out(evaluation));
    tables.retain(|table| !table.rows.is_empty());
    match all(evaluation) {
        Some(table) => tables.push(table),
        None => words.push("Too many maps to list here: evaluation.csv has them.".into()),
    }
    if !failures.is_empty() {
        words.push(format!("{} images were left out.", failures.len()));
    }
    let charts = questions.iter().map(|question| {
        let (title, panels) = evaluation.charts(question, model);
        let svg = charts_svg(&title, &panels);
        (title, svg)
    });
    let notes = notes.iter().map(|note| ("note".to_string(), note.clone()));
    let settings = settings.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), String::from);
        (name.clone(), text)
    });
    let page = Page {
        title: format!("{} images", images.len()),
        model: model.name.clone(),
        words,
        tables,
        charts: charts.collect(),
        settings: settings.chain(notes).collect(),
        ..Page::default()
    };
    (page, choose(candidates(evaluation)))
}

fn of_question(question: &Summaries, what: &str) -> String {
    format!("{what}: {}, pixel set {}", question.title(), question.pixel_set)
}

fn metric(metric: Metric) -> Column {
    Column::new(metric.name(), Kind::Number).about(&metric.better().to_string())
}

/// A row for each map and a column for each metric.
fn means(question: &Summaries) -> Table {
    let study = &question.study;
    let metrics = study.metrics();
    let header = ["Method", "Layer"].map(Column::text).into_iter();
    let header = header.chain([Column::new("Images", Kind::Count)]);
    let header = header.chain(metrics.iter().map(|one| metric(*one))).collect();
    let mut table = Table::new(&of_question(question, "Means"), header);
    table.first = true;
    for (method, layer) in study.maps() {
        let found = metrics.iter().map(|metric| study.summary(method, layer, *metric));
        let found: Vec<_> = found.collect();
        let images = found.iter().flatten().map(|found| found.images).max();
        let cells = [method.into(), layer.into(), images.into()].into_iter();
        table.push(None, cells.chain(found.into_iter().map(Cell::from)).collect());
    }
    table
}

/// Each method minus the first one.
fn comparisons(question: &Summaries) -> Table {
    let header = ["Method", "minus", "Layer", "Metric"].map(Column::text).into_iter();
    let numbers = [
        Column::new("Images", Kind::Count),
        Column::new("Difference", Kind::Number).about("mean over images, and its 95 % interval"),
        Column::new("p", Kind::Number).about("Wilcoxon's signed-rank test, two-sided"),
        Column::text("Why not"),
    ];
    let title = of_question(question, "Methods beside the first one");
    let mut table = Table::new(&title, header.chain(numbers).collect());
    for row in &question.comparisons {
        let found = row.comparison.as_ref();
        let difference = found.map(|found| Cell::Mean(found.difference, Some(found.interval)));
        table.push(
            None,
            vec![
                row.first.as_str().into(),
                row.second.as_str().into(),
                row.layer.as_str().into(),
                row.metric.name().into(),
                found.map(|found| found.images).into(),
                difference.unwrap_or(Cell::Nothing),
                found.map(|found| found.p).into(),
                row.reason.as_deref().into(),
            ],
        );
    }
    table.at_most(ROWS, "evaluation.json has all")
}

/// Images, pixel sets and maps that could not be measured.
fn left_out(evaluation: &Evaluation) -> Table {
    let header = ["Image", "What", "Why"].map(Column::text);
    let mut table = Table::new("Not measured", header.into());
    for left in &evaluation.failures {
        table.push(None, vec![left.image.as_str().into(), "".into(), left.error.as_str().into()]);
    }
    for (image, answer) in answers(evaluation) {
        let class = class_title(answer.class, answer.class_name.as_deref());
        let of_set = answer.error.iter().map(|error| (String::new(), error));
        let of_maps = answer.failures.iter();
        let of_maps = of_maps.map(|map| (format!(", {} at {}", map.method, map.layer), &map.error));
        for (map, error) in of_set.chain(of_maps) {
            let what = format!("{class}, {}{map}", answer.pixel_set);
            table.push(
                None,
                vec![image.image.as_str().into(), what.as_str().into(), error.as_str().into()],
            );
        }
    }
    table.at_most(ROWS, "evaluation.json has all")
}

/// Every map with what was measured, unless there are too many.
fn all(evaluation: &Evaluation) -> Option<Table> {
    let rows: usize = answers(evaluation).map(|(_, answer)| answer.rows.len()).sum();
    if rows > ROWS {
        return None;
    }
    let metrics = metrics(evaluation);
    let header = ["Image", "Class", "Pixel set"].map(Column::text).into_iter();
    let header = header.chain([Column::new("Pixels", Kind::Count)]);
    let header = header.chain(["Method", "Layer"].map(Column::text));
    let header = header.chain(metrics.iter().map(|one| metric(*one))).collect();
    let mut table = Table::new("All maps", header);
    for (image, answer) in answers(evaluation) {
        for row in &answer.rows {
            let class = answer.class_name.clone().unwrap_or_else(|| answer.class.to_string());
            let cells = [
                image.image.as_str().into(),
                class.as_str().into(),
                answer.pixel_set.as_str().into(),
                answer.pixels.into(),
                row.method.as_str().into(),
                row.layer.as_str().into(),
            ];
            let values = metrics.iter().map(|metric| row.values.get(metric).copied().into());
            table.push(Some(subject(image, answer)), cells.into_iter().chain(values).collect());
        }
    }
    Some(table)
}

fn metrics(evaluation: &Evaluation) -> Vec<Metric> {
    let has = |metric: &Metric| {
        answers(evaluation)
            .any(|(_, answer)| answer.rows.iter().any(|row| row.values.contains_key(metric)))
    };
    Metric::all().iter().copied().filter(has).collect()
}

fn answers(evaluation: &Evaluation) -> impl Iterator<Item = (&Measured, &Judged)> {
    let images = evaluation.images.iter();
    images.flat_map(|image| image.answers.iter().map(move |answer| (image, answer)))
}

fn subject(image: &Measured, answer: &Judged) -> Subject {
    Subject { input: image.image.clone(), class: answer.class, set: answer.pixel_set.clone() }
}

/// Of each metric the worst map and the best one, and then whatever there is.
fn candidates(evaluation: &Evaluation) -> Vec<Candidate> {
    let maps = || {
        answers(evaluation).flat_map(|(image, answer)| {
            let maps = answer.rows.iter().filter(|row| !row.layer.is_empty());
            maps.map(move |row| {
                let (method, layer) = (row.method.clone(), row.layer.clone());
                (row, Candidate { subject: subject(image, answer), method, layer, why: None })
            })
        })
    };
    let mut found = vec![];
    for metric in metrics(evaluation) {
        let good = |value: f64| match metric.better() {
            Better::Higher => value,
            Better::Lower => -value,
            Better::NearZero => -value.abs(),
        };
        let with_value =
            maps().filter_map(|(row, one)| Some((good(*row.values.get(&metric)?), one)));
        let mut order: Vec<(f64, Candidate)> = with_value.collect();
        order.sort_by(|one, other| one.0.total_cmp(&other.0));
        if let [worst, .., best] = &order[..]
            && worst.0 < best.0
        {
            for (which, (_, one)) in [("worst", worst), ("best", best)] {
                found.push(Candidate { why: Some(format!("{which} {metric}")), ..one.clone() });
            }
        }
    }
    found.extend(maps().map(|(_, one)| one));
    found
}
