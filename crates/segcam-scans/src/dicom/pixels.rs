//! From files to values.

use std::path::Path;

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue, Value};
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::codecs::Codec;
use super::file::{EXPLICIT_BIG, Part, parse};
use super::header::Header;
use super::layout::{Colour, Layout};
use super::{DicomError, Slice};
use crate::ScanError;

/// The pixels of a file, still encoded.
enum Pixels {
    Native(Vec<u8>),
    Packed(Codec, PixelFragmentSequence<Vec<u8>>),
    Float(Vec<f32>),
    Double(Vec<f64>),
}

/// The values of all slices, channel after channel.
pub(super) fn values(headers: &[Header], slices: &[Slice]) -> Result<Vec<f32>, ScanError> {
    let mut channels = vec![Vec::new(); headers[0].layout.samples()];
    let mut open: Option<(usize, Pixels)> = None;
    for slice in slices {
        let header = &headers[slice.file];
        let pixels = match open.take() {
            Some((file, pixels)) if file == slice.file => pixels,
            _ => Pixels::open(header)?,
        };
        let values = pixels.frame(header, slice.frame)?;
        let plane = header.layout.rows * header.layout.columns;
        for (channel, values) in channels.iter_mut().zip(values.chunks_exact(plane)) {
            channel.extend_from_slice(values);
        }
        open = Some((slice.file, pixels));
    }
    let mut channels = channels.into_iter();
    let mut values = channels.next().unwrap_or_default();
    channels.for_each(|channel| values.extend(channel));
    Ok(values)
}

impl Pixels {
    fn open(header: &Header) -> Result<Self, ScanError> {
        let path = &header.path;
        let error = |reason: String| DicomError::pixels(path, reason);
        let parsed = parse(path, Part::All)?;
        let mut object = parsed.ok_or_else(|| error("it changed while it was read".into()))?.object;
        let pixels = Self::take(&mut object, header)?;
        let (wanted, there) = (header.layout.frame() as u64 * header.layout.frames as u64, &pixels);
        let given = match there {
            Self::Native(bytes) => bytes.len() as u64 * 8 / u64::from(header.layout.allocated),
            Self::Float(values) => values.len() as u64,
            Self::Double(values) => values.len() as u64,
            Self::Packed(..) => wanted,
        };
        if given < wanted {
            return Err(
                error(format!("its header promises {wanted} samples, it has {given}")).into()
            );
        }
        Ok(pixels)
    }

    fn take(object: &mut InMemDicomObject, header: &Header) -> Result<Self, DicomError> {
        let path = &header.path;
        let none = || DicomError::pixels(path, "it has no pixel data");
        if let Some(element) = object.take(tags::FLOAT_PIXEL_DATA) {
            let Value::Primitive(PrimitiveValue::F32(values)) = element.into_value() else {
                return Err(none());
            };
            return Ok(Self::Float(values.into_vec()));
        }
        if let Some(element) = object.take(tags::DOUBLE_FLOAT_PIXEL_DATA) {
            let Value::Primitive(PrimitiveValue::F64(values)) = element.into_value() else {
                return Err(none());
            };
            return Ok(Self::Double(values.into_vec()));
        }
        match object.take(tags::PIXEL_DATA).ok_or_else(none)?.into_value() {
            Value::Primitive(bytes) => {
                let layout = &header.layout;
                let most = if header.syntax == EXPLICIT_BIG { 16 } else { 32 };
                if layout.allocated > most || layout.colour == Colour::Ybr422 {
                    let (bits, colour) = (layout.allocated, layout.colour);
                    let reason = format!("uncompressed {colour:?} of {bits} bits is not read");
                    return Err(DicomError::pixels(path, reason));
                }
                Ok(Self::Native(bytes.to_bytes().into_owned()))
            }
            Value::PixelSequence(fragments) => match Codec::of(&header.syntax) {
                Some(codec) => Ok(Self::Packed(codec, fragments)),
                None => Err(unknown(path, &header.syntax)),
            },
            Value::Sequence(_) => Err(none()),
        }
    }

    /// The values of a frame, all of one channel after all of another.
    fn frame(&self, header: &Header, frame: usize) -> Result<Vec<f32>, DicomError> {
        let layout = &header.layout;
        let size = layout.frame();
        let (slope, intercept) = (header.frames[frame].slope, header.frames[frame].intercept);
        let value = |stored: f64| (stored * slope + intercept) as f32;
        let samples = match self {
            Self::Float(values) => {
                let values = &values[frame * size..][..size];
                return Ok(values.iter().map(|stored| value(f64::from(*stored))).collect());
            }
            Self::Double(values) => {
                return Ok(values[frame * size..][..size]
                    .iter()
                    .map(|stored| value(*stored))
                    .collect());
            }
            Self::Native(bytes) => unpacked(bytes, frame, layout),
            Self::Packed(codec, fragments) => {
                let bytes = gathered(fragments, frame, layout.frames).ok_or_else(|| {
                    DicomError::pixels(&header.path, "its fragments are no frames")
                })?;
                let decoded = codec.decode(&bytes, layout);
                decoded.map_err(|error| DicomError::pixels(&header.path, error))?
            }
        };
        let mut stored: Vec<f64> = samples.iter().map(|sample| number(*sample, layout)).collect();
        if matches!(layout.colour, Colour::Ybr | Colour::Ybr422) {
            to_rgb(&mut stored, layout);
        }
        Ok(stored.into_iter().map(value).collect())
    }
}

fn unknown(path: &Path, syntax: &str) -> DicomError {
    let name = TransferSyntaxRegistry.get(syntax).map_or("unknown", |known| known.name());
    DicomError::TransferSyntax { path: path.into(), name: name.into(), uid: syntax.into() }
}

/// The bits of a sample as a number.
fn number(sample: u32, layout: &Layout) -> f64 {
    let bits = u64::from(sample) >> (layout.high + 1 - layout.stored);
    let bits = bits & ((1u64 << layout.stored) - 1);
    let negative = layout.signed && bits >> (layout.stored - 1) == 1;
    if negative { bits as f64 - (1u64 << layout.stored) as f64 } else { bits as f64 }
}

/// A frame that is not compressed.
fn unpacked(bytes: &[u8], frame: usize, layout: &Layout) -> Vec<u32> {
    let size = layout.frame();
    let from = frame * size;
    let sample = |at: usize| match layout.allocated {
        1 => u32::from(bytes[at / 8] >> (at % 8) & 1),
        8 => u32::from(bytes[at]),
        16 => u32::from(u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]])),
        _ => u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[4 * at + byte])),
    };
    let samples = layout.samples();
    if samples == 1 || layout.planar {
        return (from..from + size).map(sample).collect();
    }
    let plane = size / samples;
    (0..size).map(|at| sample(from + at % plane * samples + at / plane)).collect()
}

/// The bytes of a frame, which has one fragment or more.
fn gathered(
    fragments: &PixelFragmentSequence<Vec<u8>>,
    frame: usize,
    frames: usize,
) -> Option<Vec<u8>> {
    let all = fragments.fragments();
    if frames == 1 {
        return (!all.is_empty()).then(|| all.concat());
    }
    if all.len() == frames {
        return Some(all[frame].clone());
    }
    let table = fragments.offset_table();
    let from = u64::from(*table.get(frame)?);
    let to = table.get(frame + 1).map_or(u64::MAX, |to| u64::from(*to));
    let mut at = 0;
    let mut bytes = Vec::new();
    for fragment in all {
        if (from..to).contains(&at) {
            bytes.extend_from_slice(fragment);
        }
        at += 8 + fragment.len() as u64;
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Luminance and chrominances to red, green and blue: PS3.3, C.7.6.3.1.2.
fn to_rgb(stored: &mut [f64], layout: &Layout) {
    let most = ((1u64 << layout.stored) - 1) as f64;
    let half = (most + 1.0) / 2.0;
    let plane = stored.len() / 3;
    let (luminance, chrominance) = stored.split_at_mut(plane);
    let (blue, red) = chrominance.split_at_mut(plane);
    for ((first, second), third) in luminance.iter_mut().zip(blue).zip(red) {
        let (y, cb, cr) = (*first, *second - half, *third - half);
        let rgb = [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb];
        [*first, *second, *third] = rgb.map(|colour| colour.round().clamp(0.0, most));
    }
}
