//! Rows of a table whose columns are known when a program runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::BatchError;

/// What a column holds. Every cell may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// UTF-8.
    Text,
    /// 64 bits, signed.
    Integer,
    /// Double precision.
    Number,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What that means.
    pub about: String,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, kind: Kind, about: impl Into<String>) -> Self {
        Self { name: name.into(), kind, about: about.into() }
    }
}

/// The columns that every table has, before those of the [`Work`](crate::Work): their names, kinds and
/// meanings.
pub const OWN_COLUMNS: &[(&str, Kind, &str)] = &[
    ("item", Kind::Integer, "place of the input among all inputs, from 0"),
    ("input", Kind::Text, "the input, as its list names it or below its folder"),
    ("fields", Kind::Text, "what a manifest says of the input, COLUMN=VALUE, one a line"),
    (
        "contents",
        Kind::Text,
        "SHA-256 of all files that the row depends on; empty if they cannot be read",
    ),
    ("error", Kind::Text, "why there is nothing else in the row"),
    ("files", Kind::Text, "files with more, below the folder of the table, one a line"),
];

/// All columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema(Vec<Column>);

impl Schema {
    /// [`OWN_COLUMNS`], and these.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        let own = OWN_COLUMNS.iter().map(|&(name, kind, about)| Column::new(name, kind, about));
        Self(own.chain(columns).collect())
    }

    pub(crate) fn of(columns: Vec<Column>) -> Self {
        Self(columns)
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.0
    }

    /// The cells of a row in the order of the columns.
    pub(crate) fn cells(&self, row: &Row) -> Result<Vec<Option<Cell>>, BatchError> {
        let mut cells = vec![None; self.0.len()];
        for (name, cell) in &row.0 {
            let fits = |column: &Column| &column.name == name && column.kind == cell.kind();
            let wrong = || BatchError::Column { column: name.clone() };
            let at = self.0.iter().position(fits).ok_or_else(wrong)?;
            cells[at] = Some(cell.clone());
        }
        Ok(cells)
    }

    /// The row of these cells.
    pub(crate) fn row(&self, cells: Vec<Option<Cell>>) -> Row {
        let names = self.0.iter().map(|column| column.name.clone());
        Row(names.zip(cells).filter_map(|(name, cell)| Some((name, cell?))).collect())
    }
}

/// What lies where a row and a column meet.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Integer`].
    Integer(i64),
    /// Of [`Kind::Number`].
    Number(f64),
}

impl Cell {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Integer(_) => Kind::Integer,
            Self::Number(_) => Kind::Number,
        }
    }

    /// As text from which [`Kind::read`] makes the same.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Number(number) => format!("{number:?}"),
        }
    }
}

impl Kind {
    /// A cell from its text.
    pub fn read(self, text: &str) -> Option<Cell> {
        match self {
            Self::Text => Some(Cell::Text(text.into())),
            Self::Integer => text.parse().ok().map(Cell::Integer),
            Self::Number => text.parse().ok().map(Cell::Number),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Cells by the names of their columns; the others are empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row(BTreeMap<String, Cell>);

impl Row {
    /// An empty row.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more cell.
    #[must_use]
    pub fn with(mut self, column: impl Into<String>, cell: impl Into<Cell>) -> Self {
        self.0.insert(column.into(), cell.into());
        self
    }

    /// With one more cell if there is one.
    #[must_use]
    pub fn with_some(self, column: impl Into<String>, cell: Option<impl Into<Cell>>) -> Self {
        match cell {
            Some(cell) => self.with(column, cell),
            None => self,
        }
    }

    /// What tells its input from all others: see [`Item::key`](crate::Item::key).
    pub fn key(&self) -> Option<String> {
        let input = self.text("input")?;
        Some(self.text("fields").map_or(input.into(), |fields| format!("{input}\n{fields}")))
    }

    /// A cell.
    pub fn get(&self, column: &str) -> Option<&Cell> {
        self.0.get(column)
    }

    /// A cell of text.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.get(column)? {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A cell that holds a number, of either kind.
    pub fn number(&self, column: &str) -> Option<f64> {
        match self.get(column)? {
            Cell::Integer(number) => Some(*number as f64),
            Cell::Number(number) => Some(*number),
            Cell::Text(_) => None,
        }
    }
}
