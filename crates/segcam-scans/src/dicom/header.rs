//! What is read of each file before any pixel.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};

use super::DicomError;
use super::file::{DEFLATE, EXPLICIT_BIG, Parsed, Part, code, parse, text, whole};
use super::frames::{Frame, frames};
use super::layout::Layout;
use super::source::Subject;
use crate::ScanError;

/// A file's header.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) path: PathBuf,
    /// UID of the transfer syntax.
    pub(super) syntax: String,
    pub(super) series: String,
    pub(super) series_number: Option<u32>,
    pub(super) modality: String,
    pub(super) layout: Layout,
    pub(super) frames: Vec<Frame>,
    /// SOP class and instance.
    pub(super) class: String,
    pub(super) instance: String,
    pub(super) subject: Subject,
}

/// What a file turned out to be.
pub(super) enum Found {
    Image(Box<Header>),
    /// DICOM without pixels, or its table of contents.
    NoImage,
    Segmentation,
    NotDicom,
}

/// Reads a file up to its pixels.
pub(super) fn look(path: &Path) -> Result<Found, ScanError> {
    let Some(parsed) = parse(path, Part::Header)? else { return Ok(Found::NotDicom) };
    let Parsed { object, syntax, stored_as: [class, instance] } = parsed;
    let class = text(&object, tags::SOP_CLASS_UID).unwrap_or(class);
    if class == uids::SEGMENTATION_STORAGE {
        return Ok(Found::Segmentation);
    }
    if object.get(tags::ROWS).is_none() {
        return Ok(Found::NoImage);
    }
    let layout = Layout::of(&object, path)?;
    fits(path, &layout, &syntax)?;
    Ok(Found::Image(Box::new(Header {
        path: path.into(),
        syntax,
        series: text(&object, tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        series_number: whole(&object, tags::SERIES_NUMBER),
        modality: code(&object, tags::MODALITY).unwrap_or_else(|| "image".into()),
        frames: frames(&object, path, layout.frames)?,
        layout,
        class,
        instance: text(&object, tags::SOP_INSTANCE_UID).unwrap_or(instance),
        subject: Subject::of(&object),
    })))
}

/// Whether the file is large enough for what its header promises: nothing is allocated before.
fn fits(path: &Path, layout: &Layout, syntax: &str) -> Result<(), ScanError> {
    let failed = |source| ScanError::File { path: path.into(), source };
    let there = std::fs::metadata(path).map_err(failed)?.len();
    let most = match syntax {
        uids::IMPLICIT_VR_LITTLE_ENDIAN | uids::EXPLICIT_VR_LITTLE_ENDIAN | EXPLICIT_BIG => there,
        // Two bytes become 128 at most.
        uids::RLE_LOSSLESS => there.saturating_mul(64),
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => there.saturating_mul(DEFLATE),
        // An empty image of JPEG 2000 has no size at all. Each frame has a fragment, of 8 bytes at least.
        _ => there.saturating_div(8).saturating_mul(layout.frame() as u64).saturating_mul(2),
    };
    let wanted = layout.bytes().filter(|wanted| *wanted <= most);
    wanted.map(drop).ok_or_else(|| {
        let (rows, columns, frames) = (layout.rows, layout.columns, layout.frames);
        let (samples, bits) = (layout.samples(), layout.allocated);
        DicomError::pixels(
            path,
            format!(
                "{frames} frame(s) of {rows} rows, {columns} columns, {samples} sample(s), {bits} bits \
                 do not fit into a file of {there} bytes"
            ),
        )
        .into()
    })
}
