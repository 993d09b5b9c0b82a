//! One file, and what its elements say.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::{TransferSyntax, TransferSyntaxIndex};
use dicom_object::file::ReadPreamble;
use dicom_object::{FileMetaTable, InMemDicomObject, OpenFileOptions};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::DicomError;
use super::walk::Walk;
use crate::ScanError;

/// Before all of the elements that hold pixels.
const PIXELS: Tag = Tag(0x7FE0, 0x0000);
/// Retired, and met in old files.
pub(super) const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
const PREAMBLE: u64 = 128;
/// What one byte of a deflated file can become.
pub(super) const DEFLATE: u64 = 1032;

/// A parsed file.
pub(super) struct Parsed {
    pub(super) object: InMemDicomObject,
    /// UID of the transfer syntax.
    pub(super) syntax: String,
    /// SOP class and instance of the file's header, which the data set repeats or leaves empty.
    pub(super) stored_as: [String; 2],
}

/// How much of a file to read.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Header,
    /// Up to its pixels.
    All,
}

/// Parses a file; `None` where it is none of DICOM's.
pub(super) fn parse(path: &Path, part: Part) -> Result<Option<Parsed>, ScanError> {
    let failed = |source| ScanError::File { path: path.into(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut head = Vec::new();
    (&mut file).take(PREAMBLE + 4).read_to_end(&mut head).map_err(failed)?;
    if head.ends_with(b"DICM") && head.len() as u64 == PREAMBLE + 4 {
        return with_header(path, file, part).map(Some);
    }
    let Some(syntax) = bare(&head) else { return Ok(None) };
    file.rewind().map_err(failed)?;
    // Without the magic word, bytes that do not parse are some other file.
    let object = data_set(path, file, syntax).ok();
    let object = object.filter(|object| object.get(tags::SOP_CLASS_UID).is_some());
    let stored_as = [const { String::new() }; 2];
    Ok(object.map(|object| Parsed { object, syntax: syntax.into(), stored_as }))
}

/// A file with preamble and header, of which the magic word has been read.
fn with_header(path: &Path, file: BufReader<File>, part: Part) -> Result<Parsed, ScanError> {
    let failed = |source| ScanError::File { path: path.into(), source };
    let mut walk = Walk::new(file).map_err(failed)?;
    walk.before(8).map_err(|error| unreadable(path, error))?;
    let mut file = walk.into_reader();
    let start = file.stream_position().map_err(failed)?;
    file.seek(SeekFrom::Start(PREAMBLE)).map_err(failed)?;
    // Its own length may say more than was looked at.
    let meta = FileMetaTable::from_reader((&mut file).take(start - PREAMBLE));
    let meta = meta.map_err(|error| unreadable(path, error))?;
    let syntax = meta.transfer_syntax().to_owned();
    let uids = [meta.media_storage_sop_class_uid(), meta.media_storage_sop_instance_uid()];
    let stored_as = uids.map(|uid| uid.trim_end_matches('\0').to_owned());
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let object = if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        let bytes = inflated(file).map_err(|error| unreadable(path, error))?;
        data_set(path, Cursor::new(bytes), uids::EXPLICIT_VR_LITTLE_ENDIAN)?
    } else {
        let end = check(&mut file, &syntax, part).map_err(|error| unreadable(path, error))?;
        file.rewind().map_err(failed)?;
        let options = OpenFileOptions::new();
        let options = match part {
            Part::Header => options.read_until(PIXELS),
            Part::All => options.read_to(tags::PIXEL_DATA),
        };
        let options = options.read_preamble(ReadPreamble::Always);
        let object = options.from_reader(file.take(end));
        object.map_err(|error| unreadable(path, error))?.into_inner()
    };
    Ok(Parsed { object, syntax, stored_as })
}

/// A data set without a header of its own.
fn data_set(
    path: &Path,
    mut bytes: impl io::BufRead + Seek,
    syntax: &str,
) -> Result<InMemDicomObject, DicomError> {
    let known: Option<&TransferSyntax> = TransferSyntaxRegistry.get(syntax);
    let known = known.ok_or_else(|| unreadable(path, "an unknown transfer syntax"))?;
    let end = check(&mut bytes, syntax, Part::All).map_err(|error| unreadable(path, error))?;
    bytes.rewind().map_err(|error| unreadable(path, error))?;
    InMemDicomObject::read_dataset_with_ts(bytes.take(end), known)
        .map_err(|error| unreadable(path, error))
}

/// Whether all lengths are within the file. What lies behind the place that is given was not looked at and
/// must not be read.
fn check(file: impl io::BufRead + Seek, syntax: &str, part: Part) -> io::Result<u64> {
    let mut walk = Walk::new(file)?;
    walk.implicit = syntax == uids::IMPLICIT_VR_LITTLE_ENDIAN;
    walk.big = syntax == EXPLICIT_BIG;
    match part {
        Part::Header => walk.before(PIXELS.0)?,
        Part::All => walk.with_pixels()?,
    }
    Ok(walk.place())
}

/// What is compressed from here on.
fn inflated(mut file: BufReader<File>) -> io::Result<Vec<u8>> {
    let start = file.stream_position()?;
    let there = file.get_ref().metadata()?.len().saturating_sub(start);
    let mut bytes = Vec::new();
    let inflate = flate2::bufread::DeflateDecoder::new(file);
    inflate.take(there.saturating_mul(DEFLATE)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The transfer syntax of a data set without a header of its own: it starts with group 0008.
fn bare(head: &[u8]) -> Option<&'static str> {
    let [0x08, 0x00, _, 0x00, first, second, ..] = head else { return None };
    let explicit = first.is_ascii_uppercase() && second.is_ascii_uppercase();
    Some(if explicit { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { uids::IMPLICIT_VR_LITTLE_ENDIAN })
}

/// An error's first line only: what caused it may quote values.
fn unreadable(path: &Path, reason: impl std::fmt::Display) -> DicomError {
    DicomError::Unreadable { path: path.into(), reason: reason.to_string() }
}

/// The text of an element without padding; `None` if it is missing or empty.
pub(super) fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let text = object.get(tag)?.to_str().ok()?;
    let text = text.trim_matches([' ', '\0']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// A code of the standard such as CT or MONOCHROME2, and not any text that someone wrote there.
pub(super) fn code(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let plain =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" _".contains(&byte);
    text(object, tag).filter(|code| code.len() <= 16 && code.bytes().all(plain))
}

/// The numbers of an element; none if it is missing, empty or no number.
pub(super) fn numbers(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let numbers = object.get(tag).and_then(|element| element.to_multi_float64().ok());
    numbers.unwrap_or_default()
}

/// The first finite number of an element.
pub(super) fn number(object: &InMemDicomObject, tag: Tag) -> Option<f64> {
    numbers(object, tag).first().copied().filter(|number| number.is_finite())
}

/// As many finite numbers as are asked for.
pub(super) fn several<const N: usize>(object: &InMemDicomObject, tag: Tag) -> Option<[f64; N]> {
    let numbers: [f64; N] = numbers(object, tag).try_into().ok()?;
    numbers.iter().all(|number| number.is_finite()).then_some(numbers)
}

/// A whole number that is not negative.
pub(super) fn whole(object: &InMemDicomObject, tag: Tag) -> Option<u32> {
    object.get(tag)?.to_int().ok()
}

/// The items of a sequence.
pub(super) fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|element| element.value().items()).unwrap_or_default()
}

/// The only or first item of a sequence.
pub(super) fn item(object: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    items(object, tag).first()
}
