//! The last step: files are written, each whole or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tempfile::{Builder, NamedTempFile};

use crate::files::File;
use crate::print::is_ours;

/// The folder that receives the results.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Whether it was not there before.
    new: bool,
    /// What this run wrote, if it may replace nothing else.
    own: Option<Mutex<BTreeSet<String>>>,
    replaced: usize,
}

/// What lists the files of a run.
pub(crate) const REPORT: &str = "report.json";
/// Names of the files of a run that has not come to its end, a line each.
const UNFINISHED: &str = ".segcam-files";

impl Drop for Folder {
    fn drop(&mut self) {
        if self.new {
            // Only an empty folder can be removed: a failed run leaves nothing behind.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

impl Folder {
    /// Makes the folder and checks that it can be written, before anything is computed for it.
    ///
    /// # Errors
    /// If it cannot.
    pub fn create(path: &Path) -> Result<Self> {
        let new = !path.exists();
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the output folder {}", path.display()))?;
        let folder = Self { path: path.to_path_buf(), new, own: None, replaced: 0 };
        folder.temporary()?;
        Ok(folder)
    }

    /// Removes what an earlier run of ours wrote, as its `report.json` lists it or the list of a run that was
    /// stopped, and nothing else: its pictures would be taken for those of this run. From now on what others
    /// wrote is not replaced.
    ///
    /// # Errors
    /// What the system says.
    pub fn clear_earlier_run(&mut self) -> Result<()> {
        #[derive(Deserialize)]
        struct Maps {
            files: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Earlier {
            #[serde(rename = "segcam")]
            _version: String,
            files: Vec<String>,
            maps: Vec<Maps>,
        }
        self.own = Some(Mutex::default());
        let report = fs::read(self.path(REPORT)).unwrap_or_default();
        let mut names = vec![];
        if let Ok(Earlier { files, maps, .. }) = serde_json::from_slice(&report) {
            names.extend(files);
            names.extend(maps.into_iter().flat_map(|map| map.files));
            names.push(REPORT.into());
        }
        let unfinished = fs::read_to_string(self.path(UNFINISHED)).unwrap_or_default();
        names.extend(unfinished.lines().chain([UNFINISHED]).map(String::from));
        for name in names {
            // Whoever wrote the report: only files of this folder.
            if Path::new(&name).file_name().is_none_or(|file| file != name.as_str()) {
                continue;
            }
            let removed = self.remove(&name)?;
            self.replaced += usize::from(removed && name != UNFINISHED);
        }
        Ok(())
    }

    /// Writes the files of a figure in place of those of an earlier run, which its PNG file tells from
    /// what others made.
    ///
    /// # Errors
    /// What the system says, and a file of someone else's that would be replaced.
    pub fn replace_figure(&mut self, name: &str, files: &[File]) -> Result<()> {
        let png = fs::read(self.path(&format!("{name}.png"))).unwrap_or_default();
        for ending in ["png", "svg", "pdf"].iter().filter(|_| is_ours(&png)) {
            self.replaced += usize::from(self.remove(&format!("{name}.{ending}"))?);
        }
        let taken = files.iter().map(|file| self.path(&file.name)).find(|path| path.exists());
        if let Some(path) = taken {
            bail!(
                "{} is there, and segcam did not make it: choose another --out, or move it away",
                path.display()
            );
        }
        files.iter().try_for_each(|file| self.write(file))
    }

    /// Whether there was such a file.
    fn remove(&self, name: &str) -> Result<bool> {
        match fs::remove_file(self.path(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot replace {name}")),
        }
    }

    /// How many files of an earlier run were removed.
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    /// An error if a file of this name is there that this run may not replace.
    ///
    /// # Errors
    /// The file's name, and what would work.
    pub fn expect_free(&self, name: &str) -> Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        let own = own.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        ensure!(
            own.contains(name) || !path.is_file(),
            "{} is there, and no report of segcam's lists it: choose another --out, or move it away",
            path.display()
        );
        Ok(())
    }

    /// All files of this run are there, and its report lists them.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(&self) -> Result<()> {
        match fs::remove_file(self.path(UNFINISHED)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Says that a file is this run's, before it is written.
    fn claim(&self, name: &str) -> Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        self.expect_free(name)?;
        own.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into());
        let mut list =
            fs::OpenOptions::new().create(true).append(true).open(self.path(UNFINISHED))?;
        Ok(writeln!(list, "{name}")?)
    }

    /// Where a file of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// What the system says, and a file of someone else's that it would replace.
    pub fn write(&self, file: &File) -> Result<()> {
        let path = self.path(&file.name);
        self.claim(&file.name)?;
        let save = || -> Result<()> {
            let mut temporary = self.temporary()?;
            temporary.write_all(&file.bytes)?;
            temporary.persist(&path)?;
            Ok(())
        };
        save().with_context(|| format!("cannot write {}", path.display()))
    }

    fn temporary(&self) -> Result<NamedTempFile> {
        let mut builder = Builder::new();
        // Readable by others, as far as the user's umask lets them.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder
            .prefix(".segcam-")
            .tempfile_in(&self.path)
            .with_context(|| format!("cannot write into {}", self.path.display()))
    }
}
