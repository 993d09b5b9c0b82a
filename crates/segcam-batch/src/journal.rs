//! What is finished of a run, until its table is written: a line for each input.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::row::{Cell, Row, Schema};
use crate::run::{differs, since};
use crate::{BatchError, Settings};

/// The first line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    settings: Settings,
    columns: Schema,
}

/// Any other line. Cells are text: numbers must come back to the last bit.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    contents: String,
    rows: Vec<Vec<Option<String>>>,
}

/// Where an input's line is.
#[derive(Debug)]
struct Place {
    contents: String,
    at: u64,
    length: usize,
}

/// The file; while it is open no other process can open it.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    header: Header,
    places: HashMap<String, Place>,
    /// Where the last whole line ends.
    end: u64,
    synced: Instant,
}

impl Journal {
    /// Opens the journal of a folder.
    pub(crate) fn open(
        folder: &Path,
        settings: &Settings,
        columns: &Schema,
    ) -> Result<Self, BatchError> {
        let path = folder.join("unfinished.jsonl");
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(BatchError::file("write", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(BatchError::Locked { path: folder.into() });
            }
            Err(TryLockError::Error(error)) => return Err(BatchError::file("lock", &path)(error)),
        }
        // Whoever held it may have finished, and removed it, between the two.
        if !path.exists() {
            return Err(BatchError::Locked { path: folder.into() });
        }
        let header = Header { settings: settings.clone(), columns: columns.clone() };
        let (places, synced) = (HashMap::new(), Instant::now());
        Ok(Self { file, path, header, places, end: 0, synced })
    }

    /// Reads what is there, as far as its lines are whole. If it was computed with other settings, that is an
    /// error, or if `replace` says so, its rows are given back and the journal begins anew.
    pub(crate) fn read(&mut self, replace: bool) -> Result<Vec<Row>, BatchError> {
        let wrong = BatchError::file("read", &self.path);
        let mut lines = BufReader::new(&self.file);
        let mut text = vec![];
        let mut next = |end: u64| -> Result<Option<(Vec<u8>, u64)>, std::io::Error> {
            text.clear();
            let length = lines.read_until(b'\n', &mut text)?;
            let whole = text.ends_with(b"\n");
            Ok(whole.then(|| (text.clone(), end + length as u64)))
        };
        let first = next(0).map_err(&wrong)?;
        let found = first.and_then(|(line, end)| {
            serde_json::from_slice::<Header>(&line).ok().map(|header| (header, end))
        });
        let Some((header, mut end)) = found else {
            return self.begin().map(|()| vec![]);
        };
        let (before, now) = (&header, &self.header);
        let now = (&now.settings, &now.columns);
        let differs = differs((&before.settings, &before.columns), now, since);
        let same = differs.is_none();
        let mut others = vec![];
        while let Some((line, after)) = next(end).map_err(&wrong)? {
            let Ok(Line { key, contents, rows }) = serde_json::from_slice(&line) else { break };
            if same {
                let place = Place { contents, at: end, length: line.len() };
                self.places.insert(key, place);
            } else {
                others.extend(rows.into_iter().map(|row| to_row(&header.columns, row)));
            }
            end = after;
        }
        if let Some(reason) = differs {
            if !replace && !others.is_empty() {
                let folder = self.path.parent().unwrap_or(Path::new("."));
                return Err(BatchError::earlier(folder, &others, reason));
            }
            return self.begin().map(|()| others);
        }
        // A line that was being written when the run was killed.
        self.file.set_len(end).map_err(&wrong)?;
        self.end = end;
        Ok(vec![])
    }

    /// Nothing is finished.
    fn begin(&mut self) -> Result<(), BatchError> {
        self.places.clear();
        self.end = 0;
        let wrong = BatchError::file("write", &self.path);
        self.file.set_len(0).map_err(wrong)?;
        let line = serde_json::to_vec(&self.header);
        self.append_line(line.map_err(|error| self.wrong(error))?).map(|_| ())
    }

    fn wrong(&self, error: serde_json::Error) -> BatchError {
        BatchError::Json { path: self.path.clone(), source: error }
    }

    /// Adds a line as a whole, or, if the disk is full, not at all.
    fn append_line(&mut self, mut line: Vec<u8>) -> Result<Place, BatchError> {
        line.push(b'\n');
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&line)
        };
        if let Err(error) = write() {
            let _ = self.file.set_len(self.end);
            return Err(BatchError::file("write", &self.path)(error));
        }
        let place = Place { contents: String::new(), at: self.end, length: line.len() };
        self.end += line.len() as u64;
        // A killed process loses nothing that was written; a power cut at most a second's work.
        if self.synced.elapsed() > Duration::from_secs(1) {
            let synced = self.file.sync_data();
            // Into a file that somebody removed, writing works.
            let there = synced.and_then(|()| self.path.metadata());
            there.map_err(BatchError::file("write", &self.path))?;
            self.synced = Instant::now();
        }
        Ok(place)
    }

    /// What an input's rows were computed from, if it is finished.
    pub(crate) fn contents(&self, key: &str) -> Option<&str> {
        self.places.get(key).map(|place| place.contents.as_str())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Takes note that an input is finished.
    pub(crate) fn add(
        &mut self,
        key: &str,
        contents: &str,
        rows: &[Row],
    ) -> Result<(), BatchError> {
        let text = |cells: Vec<Option<Cell>>| {
            cells.into_iter().map(|cell| cell.as_ref().map(Cell::to_text)).collect()
        };
        let rows = rows.iter().map(|row| self.header.columns.cells(row).map(text));
        let rows = rows.collect::<Result<_, _>>()?;
        let line = Line { key: key.into(), contents: contents.into(), rows };
        let line = serde_json::to_vec(&line).map_err(|error| self.wrong(error))?;
        let place = self.append_line(line)?;
        self.places.insert(key.into(), Place { contents: contents.into(), ..place });
        Ok(())
    }

    /// The rows of an input that is finished.
    pub(crate) fn rows(&mut self, key: &str) -> Result<Vec<Row>, BatchError> {
        let Some(Place { at, length, .. }) = self.places.get(key) else { return Ok(vec![]) };
        let mut line = vec![0; *length];
        let mut read = || {
            self.file.seek(SeekFrom::Start(*at))?;
            self.file.read_exact(&mut line)
        };
        read().map_err(BatchError::file("read", &self.path))?;
        let line: Line = serde_json::from_slice(&line).map_err(|error| self.wrong(error))?;
        Ok(line.rows.into_iter().map(|row| to_row(&self.header.columns, row)).collect())
    }

    /// Takes the file away: its table is written.
    pub(crate) fn remove(&self) -> Result<(), BatchError> {
        std::fs::remove_file(&self.path).map_err(BatchError::file("remove", &self.path))
    }
}

fn to_row(columns: &Schema, row: Vec<Option<String>>) -> Row {
    let cells = columns.columns().iter().zip(row);
    columns.row(cells.map(|(column, text)| column.kind.read(&text?)).collect())
}
