//! What a run is about: a folder, a pattern, a list or a table of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use crate::{BatchError, Table};

/// One input of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Its place among all inputs, from 0.
    pub number: usize,
    /// Where it lies.
    pub path: PathBuf,
    /// What tables call it: as its list names it, or below its folder. Bytes that are no UTF-8 are written
    /// `\xFF`.
    pub name: String,
    /// What a manifest says of it, by column.
    pub fields: BTreeMap<String, String>,
}

impl Item {
    /// An input without more.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { number: 0, name: shown(&path), path, fields: BTreeMap::new() }
    }

    /// What tells it from all others: its name and its fields.
    pub fn key(&self) -> String {
        match self.said() {
            Some(said) => format!("{}\n{said}", self.name),
            None => self.name.clone(),
        }
    }

    /// What a manifest says of it, a line for each column.
    pub(crate) fn said(&self) -> Option<String> {
        let lines = self.fields.iter().map(|(column, value)| format!("{column}={value}"));
        Some(lines.collect::<Vec<_>>().join("\n")).filter(|lines| !lines.is_empty())
    }

    /// A folder for what is made of it, which no other input has: its name without what not every file
    /// system takes.
    pub fn folder(&self) -> PathBuf {
        let plain = |c: char| c.is_alphanumeric() || "._-+ ()".contains(c);
        let mut folder = PathBuf::new();
        let mut same = self.fields.is_empty();
        for part in Path::new(&self.name).components() {
            let Component::Normal(part) = part else {
                same = false;
                continue;
            };
            let part = part.to_string_lossy();
            let clean: String =
                part.chars().map(|c| if plain(c) { c } else { '_' }).take(80).collect();
            let clean = clean.trim_end_matches(['.', ' ']);
            same &= clean == part && !clean.is_empty();
            folder.push(if clean.is_empty() { "_" } else { clean });
        }
        if !same {
            let hash = crate::run::hex(self.key().as_bytes());
            folder.as_mut_os_string().push(format!("~{}", &hash[..8]));
        }
        folder
    }
}

/// A path as text, whatever its bytes.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

/// What a file or folder is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An input: a folder, too, which is not looked into then.
    Input,
    /// No input: a file is left out and counted, a folder is looked into.
    Other,
    /// To be passed over without a word.
    Hidden,
}

/// Takes each file for an input, but those whose names begin with a dot.
pub fn every_file(path: &Path) -> What {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    match name.first() {
        Some(b'.') if name != b"." && name != b".." => What::Hidden,
        _ if path.is_dir() => What::Other,
        _ => What::Input,
    }
}

/// The inputs of a run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Each once.
    pub items: Vec<Item>,
    /// How many files of folders were left out: [`What::Other`].
    pub others: usize,
    /// How often an input was named once more.
    pub repeated: usize,
    /// Columns of a manifest that say nothing.
    pub unused_columns: Vec<String>,
}

/// The inputs in a folder and all folders below it, those that match a pattern (`scans/**/*.nii.gz`), those
/// that a `.txt` file lists, one a line, beside itself; or one.
///
/// # Errors
/// What cannot be read, and sources without inputs.
pub fn list(source: &Path, what: &dyn Fn(&Path) -> What) -> Result<Listing, BatchError> {
    let nothing =
        |reason: &str| BatchError::NoInputs { source_: shown(source), reason: reason.into() };
    let mut listing = Listing::default();
    if source.is_dir() && what(source) != What::Input {
        listing.walk(source, what)?;
        if listing.items.is_empty() {
            let others = listing.others;
            return Err(nothing(&format!("the folder holds no inputs ({others} other files)")));
        }
    } else if has_ending(source, "txt") && source.is_file() {
        let folder = source.parent().unwrap_or(Path::new(""));
        let text = fs::read(source).map_err(BatchError::file("read", source))?;
        for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            if !line.is_empty() {
                let line = path_of(line).ok_or_else(|| {
                    BatchError::format(source, "a line is no UTF-8, as it must be on this system")
                })?;
                listing.items.push(Item { name: shown(&line), ..Item::new(folder.join(&line)) });
            }
        }
        if listing.items.is_empty() {
            return Err(nothing("the list names no inputs"));
        }
    } else if source.exists() {
        listing.items.push(Item::new(source));
    } else {
        let pattern = source.to_str().filter(|text| text.contains(['*', '?', '[']));
        let pattern = pattern.ok_or_else(|| nothing("there is no such file or folder"))?;
        let found = glob::glob(pattern)
            .map_err(|source| BatchError::Pattern { pattern: pattern.into(), source })?;
        for path in found {
            let path = path.map_err(|error| BatchError::File {
                doing: "read",
                path: error.path().to_owned(),
                source: error.into(),
            })?;
            match what(&path) {
                What::Input => listing.items.push(Item::new(path)),
                What::Other if path.is_file() => listing.others += 1,
                _ => {}
            }
        }
        if listing.items.is_empty() {
            return Err(nothing("nothing matches the pattern"));
        }
    }
    listing.drop_repeated();
    Ok(listing)
}

/// The inputs of a table, `.csv` or `.parquet`: a column `input` with their paths, seen from the table, and
/// columns that say more of each (empty: nothing).
///
/// # Errors
/// Files that cannot be read, and tables without a column `input`, without rows or with an empty path.
pub fn manifest(path: &Path, columns: &[&str]) -> Result<Listing, BatchError> {
    const INPUT: &str = "input";
    let (header, rows) = if has_ending(path, "csv") { csv(path)? } else { parquet(path)? };
    let place = header.iter().position(|name| name == INPUT).ok_or_else(|| {
        let there = header.join(", ");
        BatchError::format(path, format!("wanted a column `input` with paths, there are: {there}"))
    })?;
    let known = |name: &&String| columns.contains(&name.as_str()) || *name == INPUT;
    let unused_columns = header.iter().filter(|name| !known(name)).cloned().collect();
    let mut listing = Listing { unused_columns, ..Listing::default() };
    let folder = path.parent().unwrap_or(Path::new(""));
    for (number, row) in rows.into_iter().enumerate() {
        let name = row[place].trim();
        if name.is_empty() {
            let row = number + 1;
            return Err(BatchError::format(path, format!("row {row} names no input")));
        }
        let cells = header.iter().zip(&row).filter(|(name, _)| columns.contains(&name.as_str()));
        let cells = cells.map(|(name, cell)| (name.clone(), cell.trim().to_string()));
        let fields = cells.filter(|(_, cell)| !cell.is_empty()).collect();
        let item = Item::new(folder.join(name));
        listing.items.push(Item { name: name.into(), fields, ..item });
    }
    if listing.items.is_empty() {
        return Err(BatchError::NoInputs {
            source_: shown(path),
            reason: "the table has no rows".into(),
        });
    }
    listing.drop_repeated();
    Ok(listing)
}

type Cells = (Vec<String>, Vec<Vec<String>>);

fn csv(path: &Path) -> Result<Cells, BatchError> {
    let wrong = BatchError::csv(path);
    let mut reader = csv::Reader::from_path(path).map_err(&wrong)?;
    let header = reader.headers().map_err(&wrong)?;
    let header = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_string());
    let header = header.collect();
    let rows = reader.records().map(|row| Ok(row?.iter().map(String::from).collect()));
    Ok((header, rows.collect::<Result<_, csv::Error>>().map_err(wrong)?))
}

fn parquet(path: &Path) -> Result<Cells, BatchError> {
    let table = Table::open(path)?;
    let header: Vec<String> = table.schema().columns().iter().map(|c| c.name.clone()).collect();
    let mut rows = vec![];
    for row in table.rows() {
        let row = row?;
        let cell = |name: &String| row.get(name).map_or(String::new(), crate::Cell::to_text);
        rows.push(header.iter().map(cell).collect());
    }
    Ok((header, rows))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(std::ffi::OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

impl Listing {
    fn walk(&mut self, folder: &Path, what: &dyn Fn(&Path) -> What) -> Result<(), BatchError> {
        let mut files =
            WalkDir::new(folder).min_depth(1).follow_links(true).sort_by_file_name().into_iter();
        while let Some(entry) = files.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    // A link to nothing is an input that cannot be read.
                    if path != folder && !path.is_dir() && what(&path) == What::Input {
                        self.push(folder, &path);
                        continue;
                    }
                    return Err(BatchError::file("read", &path)(error.into()));
                }
            };
            let (path, is_folder) = (entry.path(), entry.file_type().is_dir());
            let is = what(path);
            if is_folder && is != What::Other {
                files.skip_current_dir();
            }
            match is {
                What::Input => self.push(folder, path),
                What::Other if !is_folder => self.others += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn push(&mut self, folder: &Path, path: &Path) {
        let name = shown(path.strip_prefix(folder).unwrap_or(path));
        self.items.push(Item { name, ..Item::new(path) });
    }

    fn drop_repeated(&mut self) {
        let before = self.items.len();
        let mut taken = BTreeSet::new();
        self.items.retain(|item| taken.insert(item.key()));
        self.repeated = before - self.items.len();
        self.items.iter_mut().enumerate().for_each(|(number, item)| item.number = number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(name: &str) -> String {
        Item { name: name.into(), ..Item::new("x") }.folder().display().to_string()
    }

    #[test]
    fn folders_are_names_where_they_can_be() {
        assert_eq!(folder_of("a/b c.png"), "a/b c.png");
        let (one, other) = (folder_of("a:b"), folder_of("a?b"));
        assert!(one.starts_with("a_b~") && other.starts_with("a_b~") && one != other);
        for name in ["/etc/x", "../../x", "..", "x/..", "a. ", "\\xFF"] {
            let folder = PathBuf::from(folder_of(name));
            assert!(folder.components().all(|part| matches!(part, Component::Normal(_))), "{name}");
            assert!(folder.display().to_string().contains('~'), "{name}");
        }
        let with = |value: &str| {
            let fields = [("class".to_string(), value.to_string())].into();
            Item { fields, ..Item::new("x.png") }.folder()
        };
        assert_ne!(with("1"), with("2"));
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_shown() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\xfeb.png"));
        assert_eq!(shown(path), "a\\xFF\\xFEb.png");
    }
}
