use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use segcam_cli::terminal::BatchArgs;
use tempfile::NamedTempFile;

use crate::Place;

/// Where a run keeps what is finished: the folder of the table, or, of a table that goes to a store, one of this
/// machine.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    place: Option<Place>,
}

/// Tables, and the file whose being there says that a run goes on.
const TABLES: [&str; 2] = ["results.parquet", "results.csv"];
const UNFINISHED: &str = "unfinished.jsonl";

impl Kept {
    /// Where the table of such options is kept. If it is in a store and nothing is here, it is fetched.
    ///
    /// # Errors
    /// What the store or the system says.
    pub fn of(args: &BatchArgs) -> Result<Self> {
        let Some(place) = Place::of(args.out())? else {
            return Ok(Self { folder: args.out().into(), place: None });
        };
        let folder = place.folder(Path::new("segcam-unfinished"));
        let cannot_make = || format!("cannot make {}", folder.display());
        fs::create_dir_all(&folder).with_context(cannot_make)?;
        let here = [TABLES[0], UNFINISHED].iter().any(|name| folder.join(name).exists());
        if !here {
            fetch(&place.join(TABLES[0])?, &folder)?;
        }
        Ok(Self { folder, place: Some(place) })
    }

    /// A folder of this machine.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Moves finished tables to the store, if that is where they belong. Returns where the table is then.
    ///
    /// # Errors
    /// What the store says; the tables stay here then.
    pub fn put(&self) -> Result<PathBuf> {
        let Some(place) = &self.place else { return Ok(self.folder.join(TABLES[0])) };
        for name in TABLES {
            let file = self.folder.join(name);
            if file.exists() {
                place.join(name)?.put(&file)?;
            }
        }
        TABLES.iter().for_each(|name| drop(fs::remove_file(self.folder.join(name))));
        // Only empty folders go.
        let _ = self.folder.ancestors().try_for_each(fs::remove_dir);
        Ok(place.join(TABLES[0])?.url().into())
    }
}

/// Fetches the table of an earlier run as a whole, if there is one.
fn fetch(table: &Place, folder: &Path) -> Result<()> {
    let cannot_write = || format!("cannot write into {}", folder.display());
    let part = NamedTempFile::new_in(folder).with_context(cannot_write)?;
    match table.fetch(part.path()) {
        Ok(_) => {
            part.persist(folder.join(TABLES[0])).with_context(cannot_write)?;
            Ok(())
        }
        Err(error) if error.is_missing() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
