//! What is done with one input, and what comes of it.

use crate::{Item, Row};

/// What is done with each input.
pub trait Work: Sync {
    /// What was found beside an input; `()` if there is nothing.
    type Found: Send;
    /// An input that was read.
    type Read: Send;
    /// What was computed from it.
    type Made: Send;

    /// A hash of all files that the rows depend on, such as [`sha256`](crate::sha256) of them, and what was
    /// found of these on the way: nobody else looks for them.
    ///
    /// # Errors
    /// Files that cannot be read.
    fn contents(&self, item: &Item) -> Result<(String, Self::Found), WorkError>;

    /// Reads an input.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(&self, item: &Item, found: Self::Found) -> Result<Self::Read, WorkError>;

    /// Computes. Several inputs at a time are computed if that is asked for.
    ///
    /// # Errors
    /// What is wrong with the input, or with all.
    fn make(&self, item: &Item, read: Self::Read) -> Result<Self::Made, WorkError>;

    /// Writes files, and says what the table says. The same input may be written again after a run was
    /// killed.
    ///
    /// # Errors
    /// What is wrong with the input, or with all.
    fn write(&self, item: &Item, made: Self::Made) -> Result<Vec<Row>, WorkError>;
}

/// Why there is nothing from an input, in words: they go into a table, and from one machine to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// What is wrong with this one: it becomes its row, and the run goes on.
    #[error("{0}")]
    Item(String),
    /// What is wrong with all others, too, such as a full disk: it ends the run.
    #[error("{0}")]
    Run(String),
}

impl WorkError {
    /// What is wrong with this input.
    pub fn item(error: impl std::fmt::Display) -> Self {
        Self::Item(error.to_string())
    }

    /// What ends the run.
    pub fn run(error: impl std::fmt::Display) -> Self {
        Self::Run(error.to_string())
    }
}

/// What was found of one input, wherever it was computed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finished {
    /// The hash of what it was computed from; empty if that cannot be read.
    pub contents: String,
    /// Its rows of the table.
    pub rows: Vec<Row>,
}

impl Finished {
    /// What was found elsewhere: the hash of what it was computed from, and its rows.
    pub fn new(contents: impl Into<String>, rows: Vec<Row>) -> Self {
        Self { contents: contents.into(), rows }
    }

    /// Takes all steps of one input. What is wrong with it becomes its row.
    ///
    /// # Errors
    /// What [`WorkError::Run`] says.
    pub fn of<W: Work>(item: &Item, work: &W) -> Result<Self, String> {
        let (contents, found) = match work.contents(item) {
            Ok(found) => found,
            Err(error) => return Self::about(item, String::new(), Err(error)),
        };
        let made = work.read(item, found).and_then(|read| work.make(item, read));
        Self::about(item, contents, made.and_then(|made| work.write(item, made)))
    }

    /// With what every row says of its input.
    pub(crate) fn about(
        item: &Item,
        contents: String,
        rows: Result<Vec<Row>, WorkError>,
    ) -> Result<Self, String> {
        let rows = match rows {
            Ok(rows) => rows,
            Err(WorkError::Item(error)) => vec![Row::new().with("error", error)],
            Err(WorkError::Run(reason)) => return Err(reason),
        };
        let cell = Some(&contents).filter(|contents| !contents.is_empty());
        let about = |row: Row| {
            row.with("item", item.number)
                .with("input", item.name.clone())
                .with_some("fields", item.said())
                .with_some("contents", cell.cloned())
        };
        let rows = rows.into_iter().map(about).collect();
        Ok(Self { contents, rows })
    }
}
