//! Work that is kept until all of it is done, so that a run goes on where it was stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use segcam::windows::Sweep;

/// A folder that holds finished rows.
#[derive(Debug)]
pub(super) struct Unfinished {
    folder: PathBuf,
}

/// Says of which run the rows are.
const KEY: &str = "key";

impl Unfinished {
    /// Takes up what a run of the same `key` has left; what another has left is removed.
    pub(super) fn open(folder: PathBuf, key: &str) -> Result<Self> {
        let this = Self { folder };
        this.made(key).with_context(|| format!("cannot write into {}", this.folder.display()))?;
        Ok(this)
    }

    fn made(&self, key: &str) -> io::Result<()> {
        if fs::read_to_string(self.path(KEY)).is_ok_and(|kept| kept == key) {
            return Ok(());
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        fs::write(self.path(KEY), key)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How far a sweep has come.
    pub(super) fn sweep(&self, name: &str) -> Sweep {
        let kept = fs::read(self.path(name)).ok();
        kept.and_then(|bytes| Sweep::from_bytes(&bytes)).unwrap_or_default()
    }

    /// Keeps how far a sweep has come: after the rows that it has finished.
    pub(super) fn keep(&self, name: &str, sweep: &Sweep) -> Result<()> {
        let (new, path) = (self.path(&format!("{name}.new")), self.path(name));
        let keep = || {
            fs::write(&new, sweep.to_bytes())?;
            fs::rename(&new, &path)
        };
        keep().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes what belongs behind so many bytes; whatever was there before it was stopped is replaced.
    pub(super) fn write(&self, name: &str, at: u64, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.create(true).truncate(false).write(true).open(&path)?;
            file.set_len(at)?;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Everything that was written.
    pub(super) fn all(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Removes everything.
    pub(super) fn remove(self) -> Result<()> {
        let removed = fs::remove_dir_all(&self.folder);
        removed.with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}

/// Some of the numbers that a file holds.
pub(super) fn numbers(path: &Path, of: Range<usize>) -> io::Result<Vec<f32>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start((of.start * size_of::<f32>()) as u64))?;
    let mut bytes = vec![0; of.len() * size_of::<f32>()];
    file.read_exact(&mut bytes)?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
}
