//! What a report says of a batch: the words of `segcam table`, and which maps to look at.

use std::collections::BTreeMap;

use anyhow::Result;
use segcam_batch::{Row, Settings};

use super::Page;
use super::choice::{Candidate, Chosen, Subject, choose};
use super::table::{Cell, Column, Kind, Table};
use crate::summary::{Counts, Mean, Results, map_of};

/// Rows of a table that a file holds.
const ROWS: usize = 500;
/// Rows of lists to look at first.
const FIRST: usize = 50;
/// Inputs that are shown because their maps are unusual, before the ends of columns have their turn.
const UNUSUAL: usize = 6;
/// What tells groups apart.
const BY: [&str; 3] = ["class", "layer", "method"];

/// The page of a batch, without maps as yet, and those that it should show.
///
/// # Errors
/// Statistics that cannot be made.
pub(crate) fn page(
    results: &Results,
    settings: &Settings,
    seed: u64,
) -> Result<(Page, Vec<Chosen>)> {
    let about: BTreeMap<String, String> =
        crate::columns::columns().into_iter().map(|column| (column.name, column.about)).collect();
    let about = |name: &str| about.get(name).map_or("", String::as_str);
    let columns = results.usual();
    let Counts { inputs, maps, errors, status } = &results.counts;
    let status: Vec<String> =
        status.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let mut words =
        vec![format!("{inputs} inputs, {maps} maps ({}), {errors} errors.", status.join(", "))];
    let tables = [
        means(results, &columns, about, seed)?,
        unusual(results),
        ends(results, &columns),
        failed(results),
    ];
    let mut tables: Vec<Table> =
        tables.into_iter().filter(|table| !table.rows.is_empty()).collect();
    match *maps <= ROWS {
        true => tables.push(all(results, &columns, about)),
        false => {
            words.push(format!("{maps} maps are too many to list here: results.parquet has them."))
        }
    }
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let page = Page {
        title: format!("{inputs} inputs"),
        model: settings.get("model").map(text).unwrap_or_default(),
        words,
        tables,
        settings: settings.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        ..Page::default()
    };
    Ok((page, choose(candidates(results, &columns))))
}

/// A row for each group and a column for each mean.
fn means<'a>(
    results: &Results,
    columns: &[String],
    about: impl Fn(&str) -> &'a str,
    seed: u64,
) -> Result<Table> {
    let by = BY.map(String::from);
    let header =
        by.iter().map(|name| Column::text(name)).chain([Column::new("inputs", Kind::Count)]);
    let numbers = columns.iter().map(|name| Column::new(name, Kind::Number).about(about(name)));
    let mut table = Table::new("Means over inputs", header.chain(numbers).collect());
    table.first = true;
    let mut groups: Vec<(Vec<String>, Vec<Mean>)> = vec![];
    for mean in results.means(columns, &by, seed)? {
        match groups.last_mut().filter(|(group, _)| *group == mean.group) {
            Some((_, means)) => means.push(mean),
            None => groups.push((mean.group.clone(), vec![mean])),
        }
    }
    for (group, means) in groups {
        let of = |name: &String| means.iter().find(|mean| mean.column == *name).map(|m| m.summary);
        let inputs = means.iter().map(|mean| mean.summary.images).max();
        let group = group.into_iter().map(Cell::Text).chain([inputs.into()]);
        table.push(None, group.chain(columns.iter().map(|name| of(name).into())).collect());
    }
    Ok(table.at_most(ROWS, "`segcam table` has the other groups"))
}

/// Maps to look at first.
fn unusual(results: &Results) -> Table {
    let columns = ["Input", "Map", "Why"].map(Column::text);
    let mut table = Table::new("To look at first", columns.into());
    for (row, why) in results.unusual_rows() {
        table.push(
            Some(subject(row)),
            vec![input(row), map_of(row).as_str().into(), why.as_str().into()],
        );
    }
    table.at_most(FIRST, "`segcam table --unusual N` has more")
}

/// The smallest and the largest value of each column.
fn ends(results: &Results, columns: &[String]) -> Table {
    let header = [
        Column::text("Column"),
        Column::text("End"),
        Column::new("Value", Kind::Number),
        Column::text("Input"),
        Column::text("Map"),
    ];
    let mut table = Table::new("Ends of columns", header.into());
    for column in columns {
        for (end, (row, value)) in ends_of(results, column) {
            let cells = [column.as_str().into(), end.into(), value.into(), input(row)];
            table.push(
                Some(subject(row)),
                cells.into_iter().chain([map_of(row).as_str().into()]).collect(),
            );
        }
    }
    table
}

/// The two ends of a column, if it has two.
fn ends_of<'a>(results: &'a Results, column: &str) -> Vec<(&'static str, (&'a Row, f64))> {
    let rows = results.ordered(column);
    match (rows.first(), rows.last()) {
        (Some(smallest), Some(largest)) if smallest.1 < largest.1 => {
            vec![("smallest", *smallest), ("largest", *largest)]
        }
        _ => vec![],
    }
}

/// Inputs without maps.
fn failed(results: &Results) -> Table {
    let mut table = Table::new("Errors", ["Input", "Error"].map(Column::text).into());
    for (input, error) in results.errors() {
        table.push(None, vec![input.as_str().into(), error.as_str().into()]);
    }
    table.at_most(ROWS, "column `error` of results.parquet has all")
}

/// Every map.
fn all<'a>(results: &Results, columns: &[String], about: impl Fn(&str) -> &'a str) -> Table {
    const TEXTS: [&str; 5] = ["class", "pixel_set", "method", "layer", "status"];
    const NUMBERS: [&str; 3] = ["score", "raw_min", "raw_max"];
    let numbers: Vec<&str> = NUMBERS
        .into_iter()
        .chain(columns.iter().map(String::as_str).filter(|name| !NUMBERS.contains(name)))
        .collect();
    let header = ["input"].into_iter().chain(TEXTS).map(Column::text);
    let pixels = Column::new("pixels", Kind::Count).about(about("pixels"));
    let values = numbers.iter().map(|name| Column::new(name, Kind::Number).about(about(name)));
    let mut table = Table::new("All maps", header.chain([pixels]).chain(values).collect());
    for row in results.maps() {
        let class = row.text("class_name").map(String::from);
        let class = class.or(row.number("class").map(|class| class.to_string()));
        let texts = TEXTS[1..].iter().map(|name| row.text(name).into());
        let values = ["pixels"].iter().chain(&numbers).map(|name| row.number(name).into());
        let cells = [input(row), class.map(Cell::Text).unwrap_or(Cell::Nothing)];
        table.push(Some(subject(row)), cells.into_iter().chain(texts).chain(values).collect());
    }
    table
}

/// Unusual maps, the ends of columns, and then whatever there is.
fn candidates(results: &Results, columns: &[String]) -> Vec<Candidate> {
    let because = |row: &Row, why: String| candidate(row, Some(why));
    let unusual: Vec<Candidate> =
        results.unusual_rows().into_iter().map(|(row, why)| because(row, why)).collect();
    let mut first: Vec<&str> = vec![];
    for one in &unusual {
        if first.len() < UNUSUAL && !first.contains(&one.subject.input.as_str()) {
            first.push(&one.subject.input);
        }
    }
    let of_first =
        unusual.iter().filter(|one| first.contains(&one.subject.input.as_str())).cloned();
    let ends = columns.iter().flat_map(|column| {
        ends_of(results, column)
            .into_iter()
            .map(move |(end, (row, _))| because(row, format!("{end} {column}")))
    });
    let others = results.maps().iter().map(|row| candidate(row, None));
    of_first.chain(ends).chain(unusual.iter().cloned()).chain(others).collect()
}

fn candidate(row: &Row, why: Option<String>) -> Candidate {
    let text = |column| row.text(column).unwrap_or_default().to_string();
    Candidate { subject: subject(row), method: text("method"), layer: text("layer"), why }
}

fn subject(row: &Row) -> Subject {
    Subject {
        input: row.key().unwrap_or_default(),
        class: row.number("class").unwrap_or_default() as usize,
        set: row.text("pixel_set").unwrap_or_default().into(),
    }
}

fn input(row: &Row) -> Cell {
    row.text("input").into()
}
