use std::fs;

use anyhow::Result;
use segcam_batch::{Finished, Item};
use segcam_cli::terminal::{BatchArgs, Opened};
use tempfile::{TempDir, tempdir};

use crate::{Place, StoreError};

/// A network with all that it is asked. Inputs of a store are fetched when they are explained, and what is
/// written for a store goes there.
#[derive(Debug)]
pub struct Loaded {
    opened: Opened,
    out: Option<Out>,
}

/// A folder of a store, and one on this machine in which its files are made.
#[derive(Debug)]
struct Out {
    place: Place,
    folder: TempDir,
}

impl Loaded {
    /// Loads the network.
    ///
    /// # Errors
    /// As [`Opened::new`], and addresses that name no place of a store.
    pub fn new(args: BatchArgs) -> Result<Self> {
        let Some(place) = Place::of(args.out())? else {
            return Ok(Self { opened: Opened::new(args)?, out: None });
        };
        let folder = tempdir()?;
        let opened = Opened::new(args.with_out(folder.path()))?;
        Ok(Self { opened, out: Some(Out { place, folder }) })
    }

    /// What explains files.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Explains one input and writes what is asked for. What is wrong with it becomes its row.
    ///
    /// # Errors
    /// What is wrong with all inputs, in words.
    pub fn explain(&self, item: &Item) -> Result<Finished, String> {
        let finished = match Place::of(&item.path).map_err(|error| error.to_string())? {
            Some(place) => self.explain_object(item, &place)?,
            None => self.opened.explain(item)?,
        };
        if let Some(out) = &self.out {
            out.put(&finished).map_err(|error| error.to_string())?;
        }
        Ok(finished)
    }

    fn explain_object(&self, item: &Item, place: &Place) -> Result<Finished, String> {
        let folder = tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
        // Its name says what it is.
        let path = folder.path().join(place.file_name());
        let mark = match place.fetch(&path) {
            Ok(mark) => Some(mark),
            // There is no such file, as of any other input.
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error.to_string()),
        };
        let mut fetched = item.clone();
        fetched.path = path;
        let finished = self.opened.explain(&fetched)?;
        let Some(contents) = mark else { return Ok(finished) };
        let rows = finished.rows.into_iter();
        let rows = rows.map(|row| row.with("contents", contents.clone())).collect();
        Ok(Finished::new(contents, rows))
    }
}

impl Out {
    /// Moves what was written of an input to the store.
    fn put(&self, finished: &Finished) -> Result<(), StoreError> {
        let files = finished.rows.iter().filter_map(|row| row.text("files"));
        for name in files.flat_map(str::lines) {
            let file = self.folder.path().join(name);
            self.place.join(name)?.put(&file)?;
            // A full disk would say so.
            let _ = fs::remove_file(&file);
            let _ = file.parent().map(fs::remove_dir);
        }
        Ok(())
    }
}
