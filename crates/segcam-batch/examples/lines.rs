//! Counts the lines of all files in a folder: run it again, and it knows.

use std::fs;
use std::path::Path;

use segcam_batch::{
    Batch, Column, Item, Kind, Progress, Row, Settings, Stop, Work, WorkError, every_file, list,
    sha256,
};

struct Lines;

impl Work for Lines {
    type Found = ();
    type Read = Vec<u8>;
    type Made = usize;

    fn contents(&self, item: &Item) -> Result<(String, ()), WorkError> {
        Ok((sha256([&item.path]).map_err(WorkError::item)?, ()))
    }

    fn read(&self, item: &Item, (): ()) -> Result<Vec<u8>, WorkError> {
        fs::read(&item.path).map_err(WorkError::item)
    }

    fn make(&self, _: &Item, bytes: Vec<u8>) -> Result<usize, WorkError> {
        let text = std::str::from_utf8(&bytes).map_err(WorkError::item)?;
        Ok(text.lines().count())
    }

    fn write(&self, _: &Item, lines: usize) -> Result<Vec<Row>, WorkError> {
        Ok(vec![Row::new().with("lines", lines)])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let items = list(Path::new(&folder), &every_file)?.items;
    let out = std::env::temp_dir().join("segcam-batch-lines");
    let columns = [Column::new("lines", Kind::Integer, "number of lines")];
    let settings = Settings::from([("folder".into(), folder.into())]);
    let mut batch = Batch::create(&out, columns, settings)?.with_jobs(2);
    let failed = |progress: Progress| {
        if let Progress::Failed(item, error) = progress {
            println!("{}: {error}", item.name);
        }
    };
    let summary = batch.run(&items, &Lines, &failed, &Stop::new())?;
    println!("{} counted, {} known: {}", summary.computed, summary.known, batch.table().display());
    Ok(())
}
