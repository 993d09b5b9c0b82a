use std::path::{Path, PathBuf};

use super::Header;
use crate::number::Encoding;
use crate::source::Source;
use crate::{Grid, Scan, ScanError};

/// What the first bytes say.
struct Kind {
    version: u8,
    single: bool,
    big_endian: bool,
}

impl Kind {
    fn of(head: &[u8]) -> Option<Self> {
        let at = |start: usize, bytes: usize| head.get(start..start + bytes);
        let one = |single| {
            // As nibabel: the number of dimensions tells the byte order.
            let big_endian = !matches!(at(40, 2)?, [0..=7, 0]);
            Some(Self { version: 1, single, big_endian })
        };
        match (at(0, 4)?, at(344, 4), at(4, 4)?) {
            (_, Some(b"n+1\0"), _) => one(true),
            (_, Some(b"ni1\0"), _) => one(false),
            (size, _, magic @ (b"n+2\0" | b"ni2\0")) => {
                let big_endian = size == 540u32.to_be_bytes();
                let single = magic == b"n+2\0";
                Some(Self { version: 2, single, big_endian })
            }
            _ => None,
        }
    }
}

/// Whether these are the first bytes of a NIfTI file.
pub(crate) fn recognises(head: &[u8]) -> bool {
    Kind::of(head).is_some()
}

/// Reads a file, or a header and the values beside it.
pub(crate) fn read(mut source: Source<'_>) -> Result<Scan, ScanError> {
    let Some(Kind { version, single, big_endian }) = Kind::of(source.head()) else {
        return Err(source.error("it is no NIfTI file"));
    };
    let header = match version {
        1 => Header::parse(&source.header::<348>()?, 1, single, big_endian),
        _ => Header::parse(&source.header::<540>()?, 2, single, big_endian),
    };
    let wrong = |reason: String| source.error(reason);
    let (size, channels) = header.shape().map_err(wrong)?;
    let number = header.number().map_err(wrong)?;
    let scale = header.scaling().map_err(wrong)?;
    let start = header.start().map_err(wrong)?;
    let affine = header.affine().map_err(wrong)?;
    let grid = Grid::new(size, affine).map_err(|error| error.in_file(source.path()))?;
    let count = grid.values_of(channels).map_err(|error| error.in_file(source.path()))?;
    let mut values = match values_file(&source)? {
        Some(file) => Source::of_values(file)?.unpacked()?,
        None => source,
    };
    values.skip_to(start)?;
    let values = values.values(Encoding { number, big_endian, scale }, count)?;
    Ok(Scan::new(grid, channels, values)?.with_nifti(header))
}

/// The file that its values lie in, if it is another; it may be compressed.
pub(crate) fn values_file(header: &Source<'_>) -> Result<Option<PathBuf>, ScanError> {
    if Kind::of(header.head()).is_none_or(|kind| kind.single) {
        return Ok(None);
    }
    let names = names_beside(header.path(), "img");
    let there = names.iter().find(|name| header.path().with_file_name(name).exists());
    match there.or(names.first()) {
        Some(name) => header.beside(name).map(Some),
        None => Err(header.error("it is a header whose values lie in another file: name it .hdr")),
    }
}

/// The header that belongs to a file named `.img` or `.img.gz`.
pub(crate) fn header_of(image: &Path) -> Option<PathBuf> {
    let names = names_beside(image, "hdr").into_iter();
    names.map(|name| image.with_file_name(name)).find(|path| path.exists())
}

/// Names of the other file of a pair, the likeliest first.
fn names_beside(path: &Path, extension: &str) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".gz").unwrap_or(&lower);
    let Some(stem) = plain.strip_suffix(".hdr").or_else(|| plain.strip_suffix(".img")) else {
        return Vec::new();
    };
    let stem = &name[..stem.len()];
    let plain_first = plain.len() == lower.len();
    let names = [format!("{stem}.{extension}"), format!("{stem}.{extension}.gz")];
    if plain_first { names.into() } else { names.into_iter().rev().collect() }
}
