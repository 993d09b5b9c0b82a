//! What a file is.

use std::path::Path;

use crate::source::Source;
use crate::{Scan, ScanError, meta_image, mgh, nifti, nrrd};

pub(crate) fn open(path: &Path) -> Result<Scan, ScanError> {
    if path.is_dir() {
        return Err(ScanError::format(path, "it is a folder: name a file in it"));
    }
    let source = Source::open(path)?;
    if known(source.head()) {
        return read(source);
    }
    // Values without their header, which lies beside them.
    match nifti::header_of(path) {
        Some(header) => read(Source::open(&header)?),
        None => read(source),
    }
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
