//! The run: what is finished is kept, and one table at the end.

mod work;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

pub use work::{Finished, Work, WorkError};

use crate::journal::Journal;
use crate::pipeline::Pipeline;
use crate::{BatchError, Column, Item, Row, Schema, Settings, Table, TableWriter};

/// SHA-256 of files and their lengths, in hexadecimal digits.
///
/// # Errors
/// Files that cannot be read.
pub fn sha256<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 16];
    for path in files {
        let mut file = File::open(path)?;
        let mut length = 0u64;
        loop {
            let read = file.read(&mut part)?;
            if read == 0 {
                break;
            }
            length += read as u64;
            hash.update(&part[..read]);
        }
        hash.update(length.to_le_bytes());
    }
    Ok(digits(&hash.finalize()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    digits(&Sha256::digest(bytes))
}

fn digits(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks a run to finish what it has begun, and no more. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nobody has asked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What happened to an input.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// An earlier run finished it.
    Known(&'a Item),
    /// It is finished.
    Done(&'a Item),
    /// It has a row with an error.
    Failed(&'a Item, &'a str),
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Inputs that an earlier run finished.
    pub known: usize,
    /// Inputs that were computed.
    pub computed: usize,
    /// Inputs with a row that says why there is nothing else: from this and from earlier runs.
    pub failed: Vec<(String, String)>,
    /// Whether it was stopped before its end: there is no table as yet.
    pub stopped: bool,
}

/// A folder with the results of one run, which may take several processes one after the other.
#[derive(Debug)]
pub struct Batch {
    folder: PathBuf,
    schema: Schema,
    settings: Settings,
    journal: Journal,
    jobs: usize,
    memory: Option<usize>,
    dropped: usize,
}

const TABLE: &str = "results.parquet";

impl Batch {
    /// Makes the folder, or goes on in it.
    ///
    /// # Errors
    /// Folders that cannot be written, those into which another run writes, and those with results of other
    /// settings or another version of the columns: nothing of these is lost.
    pub fn create(
        folder: &Path,
        columns: impl IntoIterator<Item = Column>,
        settings: Settings,
    ) -> Result<Self, BatchError> {
        Self::open(folder, columns, settings, false)
    }

    /// The same; results of other settings or another version of the columns are taken away, with their
    /// files.
    ///
    /// # Errors
    /// Folders that cannot be written, and those into which another run writes.
    pub fn replacing(
        folder: &Path,
        columns: impl IntoIterator<Item = Column>,
        settings: Settings,
    ) -> Result<Self, BatchError> {
        Self::open(folder, columns, settings, true)
    }

    fn open(
        folder: &Path,
        columns: impl IntoIterator<Item = Column>,
        settings: Settings,
        replace: bool,
    ) -> Result<Self, BatchError> {
        fs::create_dir_all(folder).map_err(BatchError::file("make", folder))?;
        let schema = Schema::new(columns);
        let journal = Journal::open(folder, &settings, &schema)?;
        let folder = folder.to_path_buf();
        let mut batch =
            Self { folder, schema, settings, journal, jobs: 1, memory: None, dropped: 0 };
        batch.remove_temporary()?;
        let others = batch.journal.read(replace)?;
        batch.forget(&others);
        if let Err(error) = batch.read_table(replace) {
            if batch.known() == 0 {
                batch.journal.remove()?;
            }
            return Err(error);
        }
        Ok(batch)
    }

    /// Computes so many inputs at a time; one if this is not called.
    #[must_use]
    pub fn with_jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// Begins with no further input while the process would take more than so many bytes, as far as that
    /// can be told from inputs before. One is always computed.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Inputs whose results of other settings were taken away.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Inputs that are finished, if their contents have not changed.
    pub fn known(&self) -> usize {
        self.journal.keys().count()
    }

    /// The table that there is at the end.
    pub fn table(&self) -> PathBuf {
        self.folder.join(TABLE)
    }

    /// Where [`write_csv`](Self::write_csv) writes.
    pub fn csv(&self) -> PathBuf {
        self.folder.join("results.csv")
    }

    /// Writes the rows of the table as `results.csv`, too.
    ///
    /// # Errors
    /// What the system says, and a run without a table as yet.
    pub fn write_csv(&self) -> Result<(), BatchError> {
        let path = self.csv();
        let wrong = BatchError::csv(&path);
        let rows = Table::open(&self.table())?.rows();
        persist(&path, |file| {
            let mut csv = csv::Writer::from_writer(file);
            let names = self.schema.columns().iter().map(|column| &column.name);
            csv.write_record(names).map_err(&wrong)?;
            for row in rows {
                let cells = self.schema.cells(&row?)?;
                let texts =
                    cells.into_iter().map(|cell| cell.map_or(String::new(), |cell| cell.to_text()));
                csv.write_record(texts).map_err(&wrong)?;
            }
            csv.flush().map_err(BatchError::file("write", &path))
        })
    }

    /// What was being written when a run was killed.
    fn remove_temporary(&self) -> Result<(), BatchError> {
        let wrong = BatchError::file("read", &self.folder);
        for file in fs::read_dir(&self.folder).map_err(&wrong)? {
            let file = file.map_err(&wrong)?;
            if file.file_name().to_string_lossy().starts_with(TEMPORARY) {
                fs::remove_file(file.path()).map_err(BatchError::file("remove", &file.path()))?;
            }
        }
        Ok(())
    }

    /// Takes over the rows of an earlier table.
    fn read_table(&mut self, replace: bool) -> Result<(), BatchError> {
        let path = self.table();
        if !path.exists() {
            return Ok(());
        }
        let table = Table::open(&path)?;
        let Some(settings) = table.settings() else {
            return Err(BatchError::format(
                &path,
                "it is no table of a batch: choose another folder",
            ));
        };
        let now = (&self.settings, &self.schema);
        let differs = differs((settings, table.schema()), now, since);
        let same = differs.is_none();
        let mut of_input: Vec<Row> = vec![];
        let mut others = vec![];
        for row in table.rows() {
            let row = row?;
            if !same {
                others.push(row);
                continue;
            }
            if of_input.last().is_some_and(|last| last.get("item") != row.get("item")) {
                self.take_over(&of_input)?;
                of_input.clear();
            }
            of_input.push(row);
        }
        self.take_over(&of_input)?;
        if let Some(reason) = differs {
            if !replace {
                return Err(BatchError::earlier(&self.folder, &others, reason));
            }
            self.forget(&others);
            fs::remove_file(&path).map_err(BatchError::file("remove", &path))?;
        }
        Ok(())
    }

    fn take_over(&mut self, rows: &[Row]) -> Result<(), BatchError> {
        let Some(key) = rows.first().and_then(Row::key) else { return Ok(()) };
        if self.journal.contents(&key).is_some() {
            return Ok(());
        }
        let contents = rows[0].text("contents").unwrap_or_default();
        self.journal.add(&key, contents, rows)
    }

    /// Removes the files of results that are computed anew, or no longer asked for.
    fn forget(&mut self, rows: &[Row]) {
        let inputs: HashSet<_> = rows.iter().filter_map(Row::key).collect();
        self.dropped += inputs.len();
        for file in rows.iter().filter_map(|row| row.text("files")).flat_map(str::lines) {
            let file = Path::new(file);
            // Whoever wrote the table: only files below its folder.
            if file.components().all(|part| matches!(part, Component::Normal(_))) {
                let _ = fs::remove_file(self.folder.join(file));
            }
        }
    }

    /// Computes what is not finished, and writes the table. `progress` is told of each input, from several
    /// threads.
    ///
    /// # Errors
    /// Results of other inputs in the folder, what the system says, and what [`WorkError::Run`] says.
    pub fn run<W: Work>(
        &mut self,
        items: &[Item],
        work: &W,
        progress: &(impl Fn(Progress) + Sync),
        stop: &Stop,
    ) -> Result<Summary, BatchError> {
        self.no_others(items)?;
        let known = items.iter().map(Item::key);
        let known = known.map(|key| self.journal.contents(&key).map(String::from)).collect();
        let pipeline = Pipeline { items, known, work, progress, stop, ended: Mutex::default() };
        let mut summary = pipeline.run(&mut self.journal, self.jobs, self.memory)?;
        if let Some(reason) = pipeline.ended.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(BatchError::Stopped { reason });
        }
        summary.stopped = summary.known + summary.computed < items.len();
        if !summary.stopped {
            summary.failed = self.write_table(items)?;
        }
        Ok(summary)
    }

    /// The inputs that are not finished, for whoever computes them elsewhere and [`keep`](Self::keep)s what
    /// was found. `contents` tells what [`Finished::contents`] would be now, if that can be told.
    ///
    /// # Errors
    /// Results of other inputs in the folder.
    pub fn missing<'a>(
        &self,
        items: &'a [Item],
        contents: impl Fn(&Item) -> Option<String>,
    ) -> Result<Vec<&'a Item>, BatchError> {
        self.no_others(items)?;
        let is_missing = |item: &&Item| match self.journal.contents(&item.key()) {
            Some(before) => contents(item).as_deref() != Some(before),
            None => true,
        };
        Ok(items.iter().filter(is_missing).collect())
    }

    /// Keeps what was found of an input; a killed run does not lose it.
    ///
    /// # Errors
    /// What the system says, and cells that the table has no columns for.
    pub fn keep(&mut self, item: &Item, finished: &Finished) -> Result<(), BatchError> {
        self.journal.add(&item.key(), &finished.contents, &finished.rows)
    }

    fn no_others(&self, items: &[Item]) -> Result<(), BatchError> {
        let keys: HashSet<String> = items.iter().map(Item::key).collect();
        let mut others: Vec<&str> =
            self.journal.keys().filter(|key| !keys.contains(*key)).collect();
        others.sort_unstable();
        let Some(first) = others.first() else { return Ok(()) };
        let first = first.lines().next().unwrap_or_default().into();
        Err(BatchError::OtherInputs { path: self.folder.clone(), count: others.len(), first })
    }

    /// Writes the table of inputs that are all finished, and takes the journal away. Returns the inputs with
    /// errors; [`run`](Self::run) does this by itself.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_table(&mut self, items: &[Item]) -> Result<Vec<(String, String)>, BatchError> {
        let path = self.table();
        let mut failed = vec![];
        persist(&path, |file| {
            let mut writer = TableWriter::new(file, &path, &self.schema, &self.settings)?;
            for item in items {
                for row in self.journal.rows(&item.key())? {
                    if let Some(error) = row.text("error") {
                        failed.push((item.name.clone(), error.into()));
                    }
                    writer.push(&row.with("item", item.number))?;
                }
            }
            writer.finish().map(|_| ())
        })?;
        self.journal.remove()?;
        Ok(failed)
    }
}

/// What is different between two runs' settings and columns, in words for a setting's name and both values.
pub(crate) fn differs(
    (one, columns): (&Settings, &Schema),
    (other, other_columns): (&Settings, &Schema),
    words: impl Fn(&str, &str, &str) -> String,
) -> Option<String> {
    let said =
        |value: Option<&serde_json::Value>| value.map_or("absent".into(), ToString::to_string);
    let mut names = one.keys().chain(other.keys());
    let setting = names.find(|name| one.get(*name) != other.get(*name));
    let setting = setting.map(|name| words(name, &said(one.get(name)), &said(other.get(name))));
    setting.or_else(|| (columns != other_columns).then(|| "their columns differ".into()))
}

/// The words for an earlier run and that of now.
pub(crate) fn since(name: &str, before: &str, now: &str) -> String {
    format!("{name} was {before}, is {now}")
}

const TEMPORARY: &str = ".segcam-";

/// Writes a file as a whole or not at all.
pub(crate) fn persist<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, BatchError>,
) -> Result<T, BatchError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Readable by others, as far as the user's umask lets them.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.prefix(TEMPORARY).tempfile_in(folder);
    let mut file: NamedTempFile = file.map_err(BatchError::file("write into", folder))?;
    let written = write(file.as_file_mut())?;
    file.persist(path).map_err(|error| BatchError::file("write", path)(error.error))?;
    Ok(written)
}
