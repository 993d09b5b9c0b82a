//! Tables that sort, as `page/tables.js` reads them.

use segcam::metrics::Summary;
use serde::Serialize;

use super::choice::Subject;

/// A table of a report.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What is to be known of it: how many rows there would be.
    pub(crate) note: Option<String>,
    /// Whether it comes before the maps.
    pub(crate) first: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Line>,
}

/// A column, and how its numbers are written.
#[derive(Debug, Serialize)]
pub(crate) struct Column {
    name: String,
    kind: Kind,
    about: Option<String>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Text,
    Number,
    Count,
}

/// A row.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    cells: Vec<Cell>,
    /// Which case and figure of the file shows its maps, if one does.
    shown: Option<[usize; 2]>,
    #[serde(skip)]
    subject: Option<Subject>,
}

/// What stands in a row.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Nothing,
    Text(String),
    Number(f64),
    /// A mean, and its interval if there are images enough.
    Mean(f64, Option<(f64, f64)>),
}

impl Table {
    /// Without rows as yet.
    pub(crate) fn new(title: &str, columns: Vec<Column>) -> Self {
        Self { title: title.into(), note: None, first: false, columns, rows: vec![] }
    }

    pub(crate) fn push(&mut self, subject: Option<Subject>, cells: Vec<Cell>) {
        self.rows.push(Line { cells, shown: None, subject });
    }

    /// The first rows, with a word about the others.
    #[must_use]
    pub(crate) fn at_most(mut self, rows: usize, others: &str) -> Self {
        if self.rows.len() > rows {
            self.note = Some(format!("{rows} of {}: {others}", self.rows.len()));
            self.rows.truncate(rows);
        }
        self
    }

    /// Says of each row which figure shows it.
    pub(crate) fn link(&mut self, place: impl Fn(&Subject) -> Option<[usize; 2]>) {
        for row in &mut self.rows {
            row.shown = row.subject.as_ref().and_then(&place);
        }
    }
}

impl Column {
    pub(crate) fn text(name: &str) -> Self {
        Self::new(name, Kind::Text)
    }

    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.into(), kind, about: None }
    }

    #[must_use]
    pub(crate) fn about(self, about: &str) -> Self {
        Self { about: Some(about.into()), ..self }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number as f64)
    }
}

impl From<Summary> for Cell {
    fn from(summary: Summary) -> Self {
        Self::Mean(summary.mean, summary.interval)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}
