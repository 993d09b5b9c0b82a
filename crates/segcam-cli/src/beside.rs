//! Files of one name in two folders.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// Folders with a file for each of many images. Each is listed once, and again when it has changed.
#[derive(Debug, Default)]
pub struct Folders(Mutex<HashMap<PathBuf, Listed>>);

/// What is in a folder.
#[derive(Debug)]
struct Listed {
    changed: Option<SystemTime>,
    /// Of each name without its extension the first file: the order of a folder is the file system's.
    files: HashMap<OsString, OsString>,
}

impl Folders {
    /// The file itself, or the one in a folder that has the image's name, whatever its extension.
    ///
    /// # Errors
    /// A folder that cannot be read or has no such file.
    pub fn beside(&self, path: &Path, image: &Path) -> Result<PathBuf> {
        if !path.is_dir() {
            return Ok(path.to_path_buf());
        }
        let stem = image.file_stem().unwrap_or_default();
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changed(path);
        let listed = match folders.entry(path.to_path_buf()) {
            Entry::Occupied(known) if changed.is_some() && known.get().changed == changed => {
                known.into_mut()
            }
            entry => entry.insert_entry(Listed { changed, files: list(path)? }).into_mut(),
        };
        let found = listed.files.get(stem).map(|file| path.join(file));
        let stem = stem.to_string_lossy();
        found.with_context(|| format!("{} has no file named {stem}.*", path.display()))
    }
}

/// When files came or went last, if the system says that.
fn changed(folder: &Path) -> Option<SystemTime> {
    fs::metadata(folder).and_then(|folder| folder.modified()).ok()
}

fn list(folder: &Path) -> Result<HashMap<OsString, OsString>> {
    let entries = fs::read_dir(folder);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = HashMap::<OsString, OsString>::new();
    for entry in entries.flatten() {
        let (name, kind) = (entry.file_name(), entry.file_type());
        let is_file = match kind {
            Ok(kind) if !kind.is_symlink() => kind.is_file(),
            _ => entry.path().is_file(),
        };
        let Some(stem) = Path::new(&name).file_stem().filter(|_| is_file) else { continue };
        match files.entry(stem.to_os_string()) {
            Entry::Vacant(free) => drop(free.insert(name)),
            Entry::Occupied(mut taken) if name < *taken.get() => drop(taken.insert(name)),
            Entry::Occupied(_) => {}
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_of_the_name_is_found_also_when_it_came_later() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let masks = folder.path().join("masks");
        fs::create_dir_all(masks.join("b.d"))?;
        for name in ["a.tif", "a.png", "b.png.txt"] {
            fs::write(masks.join(name), "")?;
        }
        let folders = Folders::default();
        let found = |image: &str| folders.beside(&masks, Path::new(image));
        assert_eq!(found("images/a.jpg")?, masks.join("a.png"));
        assert_eq!(found("b.png.jpg")?, masks.join("b.png.txt"));
        let error = found("b.jpg").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.ends_with("masks has no file named b.*"), "{error}");

        // Clocks of file systems tick a few times in a second.
        std::thread::sleep(std::time::Duration::from_millis(50));
        fs::write(masks.join("b.png"), "")?;
        assert_eq!(found("b.jpg")?, masks.join("b.png"));

        assert_eq!(folders.beside(&masks.join("a.tif"), Path::new("b"))?, masks.join("a.tif"));
        fs::remove_dir_all(&masks)?;
        // A path that is no folder stands for itself; who reads it says that it is not there.
        assert_eq!(found("a.jpg")?, masks);
        Ok(())
    }
}
