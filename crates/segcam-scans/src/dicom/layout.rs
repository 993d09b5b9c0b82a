//! What the header says about the pixels.

use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::DicomError;
use super::file::{code, whole};

/// Size and form of a file's pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) frames: usize,
    pub(super) colour: Colour,
    /// All red, then all green, then all blue.
    pub(super) planar: bool,
    /// Bits per sample in memory.
    pub(super) allocated: u32,
    /// Bits that count, and the highest of them.
    pub(super) stored: u32,
    pub(super) high: u32,
    pub(super) signed: bool,
    /// Numbers in floating point, which have no bits stored.
    pub(super) float: bool,
}

/// What the samples of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Low values are black.
    Grey,
    /// Low values are white.
    InvertedGrey,
    Rgb,
    /// Luminance and two chrominances.
    Ybr,
    /// The same with half of the chrominances' columns.
    Ybr422,
}

impl Layout {
    pub(super) fn of(object: &InMemDicomObject, path: &Path) -> Result<Self, DicomError> {
        let count = |tag, name, default| match whole(object, tag).or(default) {
            Some(number) if number > 0 => Ok(number),
            given => Err(DicomError::attribute(path, name, "a count", shown(given))),
        };
        let frames = count(tags::NUMBER_OF_FRAMES, "NumberOfFrames", Some(1))?;
        let side = |tag, name| match count(tag, name, None)? {
            side if side <= u32::from(u16::MAX) => Ok(side),
            side => Err(DicomError::attribute(path, name, "at most 65535", side)),
        };
        let rows = side(tags::ROWS, "Rows")?;
        let columns = side(tags::COLUMNS, "Columns")?;
        let samples = count(tags::SAMPLES_PER_PIXEL, "SamplesPerPixel", Some(1))?;
        let allocated = count(tags::BITS_ALLOCATED, "BitsAllocated", None)?;
        if !matches!(allocated, 1 | 8 | 16 | 32 | 64) {
            let wanted = "1, 8, 16, 32, or 64 for floating point";
            return Err(DicomError::attribute(path, "BitsAllocated", wanted, allocated));
        }
        let stored = count(tags::BITS_STORED, "BitsStored", Some(allocated))?;
        let high = whole(object, tags::HIGH_BIT).unwrap_or(stored - 1);
        if high >= allocated || high + 1 < stored {
            let given = format!("{stored} bits up to bit {high} of {allocated}");
            let wanted = "within the bits allocated";
            return Err(DicomError::attribute(path, "BitsStored", wanted, given));
        }
        Ok(Self {
            rows: rows as usize,
            columns: columns as usize,
            frames: frames as usize,
            colour: Colour::of(object, path, samples)?,
            planar: whole(object, tags::PLANAR_CONFIGURATION) == Some(1),
            allocated,
            stored,
            high,
            float: allocated >= 32 && whole(object, tags::BITS_STORED).is_none(),
            signed: whole(object, tags::PIXEL_REPRESENTATION) == Some(1),
        })
    }

    pub(super) fn samples(&self) -> usize {
        if matches!(self.colour, Colour::Grey | Colour::InvertedGrey) { 1 } else { 3 }
    }

    /// Samples of a frame. Rows and columns are 16-bit numbers, so that this cannot overflow.
    pub(super) fn frame(&self) -> usize {
        self.rows * self.columns * self.samples()
    }

    /// Bytes of all frames, uncompressed; `None` if they cannot be counted.
    pub(super) fn bytes(&self) -> Option<u64> {
        let bits = (self.frame() as u64).checked_mul(self.frames as u64)?;
        Some(bits.checked_mul(u64::from(self.allocated))?.div_ceil(8))
    }
}

impl Colour {
    fn of(object: &InMemDicomObject, path: &Path, samples: u32) -> Result<Self, DicomError> {
        let wanted = "MONOCHROME1, MONOCHROME2, RGB, YBR_FULL, YBR_FULL_422, YBR_RCT or YBR_ICT";
        let given = code(object, tags::PHOTOMETRIC_INTERPRETATION);
        let colour = match (given.as_deref(), samples) {
            (Some("MONOCHROME2") | None, 1) => Self::Grey,
            (Some("MONOCHROME1"), 1) => Self::InvertedGrey,
            // JPEG 2000's own transforms are undone by its decoder.
            (Some("RGB" | "YBR_RCT" | "YBR_ICT"), 3) => Self::Rgb,
            (Some("YBR_FULL"), 3) => Self::Ybr,
            (Some("YBR_FULL_422"), 3) => Self::Ybr422,
            (given, _) => {
                let given = format!("{} with {samples} sample(s)", given.unwrap_or("none"));
                let attribute = "PhotometricInterpretation";
                return Err(DicomError::attribute(path, attribute, wanted, given));
            }
        };
        Ok(colour)
    }
}

fn shown(number: Option<u32>) -> String {
    number.map_or("missing".into(), |number| number.to_string())
}
