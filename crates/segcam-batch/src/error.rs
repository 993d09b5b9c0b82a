use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::Row;

/// What can end a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A file or folder that cannot be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file that is not what its name says.
    #[error("cannot use {}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was wanted, and what is there.
        reason: String,
    },
    /// A pattern that says nothing.
    #[error("{pattern}: {source}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Where and why.
        source: glob::PatternError,
    },
    /// A source of inputs that names none.
    #[error("{source_}: {reason}")]
    NoInputs {
        /// What was given.
        source_: String,
        /// Why there is nothing.
        reason: String,
    },
    /// Another process writes into the folder.
    #[error("another run writes into {}: wait for it, or choose another folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds results of inputs that are not asked for now.
    #[error(
        "{} holds results of {count} inputs that are not among those of now ({first}): give them, too, or \
         choose another folder",
        path.display()
    )]
    OtherInputs {
        /// The folder.
        path: PathBuf,
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
    /// The folder holds results of other settings.
    #[error(
        "{} holds results of {count} inputs with other settings ({reason}): choose another folder, or have them \
         replaced",
        path.display()
    )]
    Earlier {
        /// The folder.
        path: PathBuf,
        /// How many inputs.
        count: usize,
        /// What differs.
        reason: String,
    },
    /// Tables that do not belong together.
    #[error("{} and {} do not belong together: {reason}", first.display(), second.display())]
    OtherSettings {
        /// One table.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A row with a column that the table does not have, or of another kind.
    #[error("the table has no column {column} of this kind")]
    Column {
        /// The column.
        column: String,
    },
    /// A shard that cannot be.
    #[error("{given}: wanted NUMBER/OF, such as 3/16, from 1 on")]
    Shard {
        /// What was given.
        given: String,
    },
    /// What a [`Work`](crate::Work) says about all that is left to do.
    #[error("{reason}; what was finished is kept, and the same run again goes on")]
    Stopped {
        /// Why.
        reason: String,
    },
    /// A table that cannot be written or read.
    #[error("cannot use {}: {source}", path.display())]
    Parquet {
        /// The table.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// A table of text that cannot be written or read.
    #[error("cannot use {}: {source}", path.display())]
    Csv {
        /// The table.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// What is finished of a run, if it cannot be written or read.
    #[error("cannot use {}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl BatchError {
    pub(crate) fn file(
        doing: &'static str,
        path: &Path,
    ) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { doing, path: path.clone(), source }
    }

    pub(crate) fn earlier(path: &Path, rows: &[Row], reason: String) -> Self {
        let inputs: HashSet<_> = rows.iter().filter_map(Row::key).collect();
        Self::Earlier { path: path.to_owned(), count: inputs.len(), reason }
    }

    pub(crate) fn parquet(path: &Path) -> impl Fn(parquet::errors::ParquetError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Parquet { path: path.clone(), source }
    }

    pub(crate) fn csv(path: &Path) -> impl Fn(csv::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Csv { path: path.clone(), source }
    }

    pub(crate) fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }
}
