//! Which files and folders are inputs: one rule for all who look into folders.

use std::fs;
use std::path::{Path, PathBuf};

use segcam_batch::{What, every_file};

use crate::scan::{DICOM_ENDINGS, ENDINGS, HEADERS, PIXELS, ends_in, is_dicom_file, is_scan};

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A picture.
    Picture,
    /// An array or a scan in one file.
    File,
    /// A header of a scan, whose values lie in another file.
    Header,
    /// A folder of DICOM files.
    Series,
}

const PICTURES: [&str; 5] = [".png", ".jpg", ".jpeg", ".tif", ".tiff"];
const ARRAYS: [&str; 1] = [".npy"];

/// What a file or folder is, by its name or what it begins with; `None` of what is no input, or hidden.
pub(crate) fn kind_of(path: &Path) -> Option<Kind> {
    match every_file(path) {
        What::Hidden => None,
        What::Other => holds_dicom(path).then_some(Kind::Series),
        _ if ends_in(path, &PICTURES) => Some(Kind::Picture),
        _ if ends_in(path, &HEADERS) => Some(Kind::Header),
        // Their headers are the inputs.
        _ if ends_in(path, &PIXELS) => None,
        _ => (ends_in(path, &ARRAYS) || is_scan(path)).then_some(Kind::File),
    }
}

/// How the name of a picture, or of a [`Kind::File`], ends.
pub(crate) fn ending_of(name: &str) -> Option<&'static str> {
    let scans = ENDINGS.iter().chain(&DICOM_ENDINGS);
    let scans = scans.filter(|ending| !HEADERS.contains(ending) && !PIXELS.contains(ending));
    let name = name.to_ascii_lowercase();
    let endings = PICTURES.iter().chain(&ARRAYS).chain(scans).copied();
    endings.filter(|ending| name.ends_with(ending)).max_by_key(|ending| ending.len())
}

/// Whether a folder's first file is DICOM.
fn holds_dicom(folder: &Path) -> bool {
    let Ok(files) = fs::read_dir(folder) else { return false };
    let files = files.flatten().map(|file| file.path()).filter(|file| file.is_file());
    let plain = |file: &PathBuf| every_file(file) == What::Input;
    files.filter(plain).min().is_some_and(|first| is_dicom_file(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_names_and_beginnings() {
        let above = tempfile::tempdir().expect("a folder");
        // Names of temporary folders are those of hidden ones.
        let folder = above.path().join("series");
        fs::create_dir(&folder).expect("made");
        let path = |name: &str| folder.join(name);
        let dicom = [&[0; 128][..], b"DICM"].concat();
        fs::write(path("IM0001"), dicom).expect("written");
        fs::write(path("notes"), "text").expect("written");
        let kind = |name: &str| kind_of(&path(name));
        assert_eq!(kind("a.PNG"), Some(Kind::Picture));
        assert_eq!(kind("a.nii.gz"), Some(Kind::File));
        assert_eq!(kind("a.npy"), Some(Kind::File));
        assert_eq!(kind("IM0001"), Some(Kind::File));
        assert_eq!((kind("a.hdr"), kind("a.img")), (Some(Kind::Header), None));
        assert_eq!((kind("notes"), kind(".a.png"), kind("a.txt")), (None, None, None));
        assert_eq!(kind_of(&folder), Some(Kind::Series));
        fs::write(path("0.png"), "first").expect("written");
        assert_eq!(kind_of(&folder), None);
        let endings = ["a.NII.gz", "b.tiff", "c.dicom", "d.nhdr", "e.img", "f"].map(ending_of);
        assert_eq!(endings, [Some(".nii.gz"), Some(".tiff"), Some(".dicom"), None, None, None]);
    }
}
