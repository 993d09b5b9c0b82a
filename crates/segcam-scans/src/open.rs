//! What a file is.

use std::path::{Path, PathBuf};

use crate::source::Source;
use crate::{Scan, ScanError, meta_image, mgh, nifti, nrrd};

pub(crate) fn open(path: &Path) -> Result<Scan, ScanError> {
    read(header(path)?)
}

/// The files that `open` reads, the header first. What is no scan is one file.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, ScanError> {
    let source = header(path)?;
    let mut files = vec![source.path().to_owned()];
    files.extend(match source.head() {
        head if nifti::recognises(head) => nifti::values_file(&source)?,
        head if nrrd::recognises(head) => nrrd::values_file(source)?,
        head if meta_image::recognises(head) => meta_image::values_file(source)?,
        _ => None,
    });
    Ok(files)
}

/// The file to begin with.
fn header(path: &Path) -> Result<Source<'static>, ScanError> {
    if path.is_dir() {
        return Err(ScanError::format(path, "it is a folder: name a file in it"));
    }
    let source = Source::open(path)?;
    if known(source.head()) {
        return Ok(source);
    }
    // Values without their header, which lies beside them.
    nifti::header_of(path).map_or(Ok(source), |header| Source::open(&header))
}

pub(crate) fn from_bytes(name: &Path, bytes: &[u8]) -> Result<Scan, ScanError> {
    read(Source::of(name, bytes)?)
}

fn known(head: &[u8]) -> bool {
    nifti::recognises(head)
        || nrrd::recognises(head)
        || meta_image::recognises(head)
        || mgh::recognises(head)
}

fn read(source: Source<'_>) -> Result<Scan, ScanError> {
    match source.head() {
        head if nifti::recognises(head) => nifti::read(source),
        head if nrrd::recognises(head) => nrrd::read(source),
        head if meta_image::recognises(head) => meta_image::read(source),
        head if mgh::recognises(head) => mgh::read(source),
        head => Err(source.error(unknown(source.path(), head))),
    }
}

/// Why it is none of them.
fn unknown(path: &Path, head: &[u8]) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let of_header = [("img", "hdr"), ("raw", "mhd or .nhdr"), ("zraw", "mhd")];
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    for (values, header) in of_header {
        if plain.ends_with(&format!(".{values}")) {
            return format!("it holds values without a header: open the file named .{header}");
        }
    }
    let analyze = matches!(head, [0x5c, 1, 0, 0, ..] | [0, 0, 1, 0x5c, ..]);
    if analyze {
        return "it is an Analyze file, which does not say where left is: make it a NIfTI file"
            .into();
    }
    format!(
        "it is none of NIfTI, MGH, NRRD and MetaImage: it starts with {:02x?}",
        &head[..head.len().min(8)]
    )
}
