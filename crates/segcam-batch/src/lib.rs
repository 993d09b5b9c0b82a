//! Long runs over many files: what is finished is kept, a killed run goes on where it stopped, shards are
//! merged, and at the end there is one table.
//!
//! The crate knows nothing of networks. A [`Work`] says what is done with each file; a [`Batch`] does it
//! with all of them, reading, computing and writing at the same time.
//!
//! ```
//! use std::fs;
//!
//! use segcam_batch::{Batch, Column, Item, Kind, Row, Settings, Stop, Work, WorkError};
//!
//! /// Counts the letters of text files.
//! struct Letters;
//!
//! impl Work for Letters {
//!     type Found = ();
//!     type Read = String;
//!     type Made = usize;
//!
//!     fn contents(&self, item: &Item) -> Result<(String, ()), WorkError> {
//!         Ok((segcam_batch::sha256([&item.path]).map_err(WorkError::item)?, ()))
//!     }
//!
//!     fn read(&self, item: &Item, (): ()) -> Result<String, WorkError> {
//!         fs::read_to_string(&item.path).map_err(WorkError::item)
//!     }
//!
//!     fn make(&self, _: &Item, text: String) -> Result<usize, WorkError> {
//!         Ok(text.chars().count())
//!     }
//!
//!     fn write(&self, _: &Item, letters: usize) -> Result<Vec<Row>, WorkError> {
//!         Ok(vec![Row::new().with("letters", letters)])
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (texts, out) = (folder.path().join("texts"), folder.path().join("out"));
//! # fs::create_dir(&texts)?;
//! # fs::write(texts.join("a.txt"), "seven..")?;
//! let items = segcam_batch::list(&texts, &segcam_batch::every_file)?.items;
//! let columns = [Column::new("letters", Kind::Integer, "number of letters")];
//! let mut batch = Batch::create(&out, columns, Settings::new())?;
//! let summary = batch.run(&items, &Letters, &|_| (), &Stop::new())?;
//! assert_eq!(summary.computed, 1);
//!
//! let table = segcam_batch::Table::open(&out.join("results.parquet"))?;
//! let row = table.rows().next().ok_or("no row")??;
//! assert_eq!(row.text("input"), Some("a.txt"));
//! assert_eq!(row.number("letters"), Some(7.0));
//! # Ok(())
//! # }
//! ```

mod error;
mod inputs;
mod journal;
mod merge;
mod pipeline;
mod room;
mod row;
mod run;
mod shard;
mod table;

pub use error::BatchError;
pub use inputs::{Item, Listing, What, every_file, list, manifest, shown};
pub use merge::merge;
pub use row::{Cell, Column, Kind, OWN_COLUMNS, Row, Schema};
pub use run::{Batch, Finished, Progress, Stop, Summary, Work, WorkError, sha256};
pub use shard::Shard;
pub use table::{Table, TableWriter};

/// Everything that decides what is computed, beside the contents of files, by name.
pub type Settings = std::collections::BTreeMap<String, serde_json::Value>;
