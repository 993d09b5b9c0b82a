//! A look at the lengths of all elements before any is read.
//!
//! dicom-rs allocates and clears what an element's length says, up to 4 GB, and goes as deep as sequences
//! are nested. A damaged length or a tower of sequences is an error here, before it can.

use std::io::{self, BufRead, Seek};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// More than any object of the standard has.
const DEEPEST: usize = 32;
const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const PIXELS: u16 = 0x7FE0;

/// Reads headers and jumps over values.
pub(super) struct Walk<R> {
    reader: R,
    at: u64,
    end: u64,
    pub(super) implicit: bool,
    pub(super) big: bool,
}

impl<R: BufRead + Seek> Walk<R> {
    /// From where the reader is.
    pub(super) fn new(mut reader: R) -> io::Result<Self> {
        let at = reader.stream_position()?;
        let end = reader.seek(io::SeekFrom::End(0))?;
        reader.seek(io::SeekFrom::Start(at))?;
        Ok(Self { reader, at, end, implicit: false, big: false })
    }

    /// Over all elements before this group.
    pub(super) fn before(&mut self, group: u16) -> io::Result<()> {
        while self.at < self.end {
            let start = self.at;
            let tag = self.tag()?;
            if tag.0 >= group {
                self.reader.seek_relative(-4)?;
                self.at = start;
                break;
            }
            self.element(tag, 0)?;
        }
        Ok(())
    }

    /// Over all elements up to the pixels: what follows them may be anything.
    pub(super) fn with_pixels(&mut self) -> io::Result<()> {
        while self.at < self.end {
            let tag = self.tag()?;
            self.element(tag, 0)?;
            if tag >= tags::PIXEL_DATA {
                break;
            }
        }
        Ok(())
    }

    /// How far the walk has come.
    pub(super) fn place(&self) -> u64 {
        self.at
    }

    /// The reader, at the element where the walk stopped.
    pub(super) fn into_reader(self) -> R {
        self.reader
    }

    /// Over the rest of an element.
    fn element(&mut self, tag: Tag, depth: usize) -> io::Result<()> {
        let (vr, length) = self.header(tag)?;
        if length == UNDEFINED {
            // Sequences of an unknown kind are implicit within.
            let implicit = self.implicit;
            self.implicit |= vr == VR::UN;
            let fragments = tag.0 == PIXELS;
            let result = self.items(self.end, fragments, depth);
            self.implicit = implicit;
            return result;
        }
        let size = size(vr);
        if length % size != 0 {
            // dicom-rs reads whole numbers only, and takes what is left for the next element.
            return Err(damaged(format!("element {tag} has {length} bytes for numbers of {size}")));
        }
        let end = self.within(tag, length, self.end)?;
        if vr == VR::SQ { self.items(end, false, depth) } else { self.jump(end) }
    }

    /// Over the items of a sequence, up to its end or its delimiter.
    fn items(&mut self, end: u64, fragments: bool, depth: usize) -> io::Result<()> {
        if depth == DEEPEST {
            return Err(damaged(format!("sequences are nested more than {DEEPEST} deep")));
        }
        while self.at < end {
            let tag = self.tag()?;
            let length = self.u32()?;
            match (tag, length) {
                (SEQUENCE_END, _) => return Ok(()),
                (ITEM, UNDEFINED) if !fragments => self.item(end, depth)?,
                (ITEM, length) => {
                    let item = self.within(tag, length, end)?;
                    if fragments { self.jump(item)? } else { self.item(item, depth)? }
                }
                _ => return Err(damaged(format!("{tag} where an item is wanted"))),
            }
        }
        Ok(())
    }

    fn item(&mut self, end: u64, depth: usize) -> io::Result<()> {
        while self.at < end {
            let tag = self.tag()?;
            if tag == ITEM_END {
                return self.u32().map(drop);
            }
            self.element(tag, depth + 1)?;
        }
        Ok(())
    }

    fn header(&mut self, tag: Tag) -> io::Result<(VR, u32)> {
        if self.implicit {
            let known = StandardDataDictionary.by_tag(tag);
            return Ok((known.map_or(VR::UN, |entry| entry.vr().relaxed()), self.u32()?));
        }
        let vr = VR::from_binary(self.bytes()?).unwrap_or(VR::UN);
        let short = matches!(
            vr,
            VR::AE
                | VR::AS
                | VR::AT
                | VR::CS
                | VR::DA
                | VR::DS
                | VR::DT
                | VR::FL
                | VR::FD
                | VR::IS
                | VR::LO
                | VR::LT
                | VR::PN
                | VR::SH
                | VR::SL
                | VR::SS
                | VR::ST
                | VR::TM
                | VR::UI
                | VR::UL
                | VR::US
        );
        let next = self.u16()?;
        Ok((vr, if short { next.into() } else { self.u32()? }))
    }

    /// Where a value of this length ends, which is within what holds it.
    fn within(&self, tag: Tag, length: u32, end: u64) -> io::Result<u64> {
        let value_end = self.at + u64::from(length);
        if value_end <= end {
            return Ok(value_end);
        }
        let there = end.saturating_sub(self.at);
        Err(damaged(format!("element {tag} has {length} bytes where {there} are left")))
    }

    fn jump(&mut self, to: u64) -> io::Result<()> {
        let distance = i64::try_from(to - self.at).map_err(io::Error::other)?;
        self.reader.seek_relative(distance)?;
        self.at = to;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u16(&mut self) -> io::Result<u16> {
        let bytes = self.bytes()?;
        Ok(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&mut self) -> io::Result<u32> {
        let bytes = self.bytes()?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn tag(&mut self) -> io::Result<Tag> {
        Ok(Tag(self.u16()?, self.u16()?))
    }
}

/// Bytes of one value.
fn size(vr: VR) -> u32 {
    match vr {
        VR::US | VR::SS | VR::OW => 2,
        VR::AT | VR::UL | VR::SL | VR::FL | VR::OF | VR::OL => 4,
        VR::FD | VR::OD | VR::SV | VR::UV | VR::OV => 8,
        _ => 1,
    }
}

fn damaged(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
