//! The last step: files are written, each whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use tempfile::{Builder, NamedTempFile};

use crate::draw::File;

/// The folder that receives the results.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Whether it was not there before.
    new: bool,
}

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
        let folder = Self { path: path.to_path_buf(), new };
        folder.temporary()?;
        Ok(folder)
    }

    /// Removes what an earlier run of ours wrote, as its `report.json` lists it, and nothing else: its
    /// pictures would be taken for those of this run.
    ///
    /// # Errors
    /// What the system says.
    pub fn clear_earlier_run(&self) -> Result<()> {
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
        let path = self.path("report.json");
        let Ok(bytes) = fs::read(&path) else { return Ok(()) };
        let Ok(earlier) = serde_json::from_slice::<Earlier>(&bytes) else { return Ok(()) };
        let of_maps = earlier.maps.into_iter().flat_map(|map| map.files);
        for name in earlier.files.into_iter().chain(of_maps) {
            // Whoever wrote the report: only files of this folder.
            if Path::new(&name).file_name().is_none_or(|file| file != name.as_str()) {
                continue;
            }
            match fs::remove_file(self.path(&name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot replace {name}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where a file of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, file: &File) -> Result<()> {
        let path = self.path(&file.name);
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
