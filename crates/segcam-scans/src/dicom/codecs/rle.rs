//! RLE Lossless: PS3.5, annex G. Each byte of each sample is a segment of PackBits.
//!
//! dicom-rs has a decoder that panics on damaged segments.

use crate::dicom::layout::Layout;

const HEADER: usize = 64;

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Result<Vec<u32>, String> {
    if !matches!(layout.allocated, 8 | 16 | 32) {
        return Err(format!("RLE has 8, 16 or 32 bits, not {}", layout.allocated));
    }
    let per_sample = layout.allocated as usize / 8;
    let pixels = layout.rows * layout.columns;
    let offsets = offsets(bytes).ok_or("an RLE header has 64 bytes, with places in the frame")?;
    let wanted = per_sample * layout.samples();
    if offsets.len() != wanted {
        return Err(format!("{} RLE segments where {wanted} are wanted", offsets.len()));
    }
    let mut samples = vec![0; layout.frame()];
    for (segment, start) in offsets.iter().enumerate() {
        let end = offsets.get(segment + 1).copied().unwrap_or(bytes.len());
        let packed = bytes.get(*start..end).ok_or("RLE segments that are not in order")?;
        let plane = &mut samples[segment / per_sample * pixels..][..pixels];
        // The most significant byte comes first.
        let shift = 8 * (per_sample - 1 - segment % per_sample);
        let given = unpack(packed, plane, shift);
        if given < pixels {
            return Err(format!("an RLE segment ends after {given} of {pixels} bytes"));
        }
    }
    Ok(samples)
}

/// Where the segments start.
fn offsets(bytes: &[u8]) -> Option<Vec<usize>> {
    let header = bytes.get(..HEADER)?;
    let words = header.chunks_exact(4);
    let mut words =
        words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize);
    let count = words.next().filter(|count| *count <= 15)?;
    Some(words.take(count).collect())
}

/// Adds the bytes, shifted, to the samples; returns how many there were.
fn unpack(mut packed: &[u8], plane: &mut [u32], shift: usize) -> usize {
    let mut at = 0;
    while let [control, rest @ ..] = packed {
        let (bytes, used, repeats) = match *control {
            0..=127 => {
                let literal = (usize::from(*control) + 1).min(rest.len());
                (&rest[..literal], literal, 1)
            }
            128 => (&rest[..0], 0, 1),
            129..=255 => {
                let one = rest.len().min(1);
                (&rest[..one], one, 257 - usize::from(*control))
            }
        };
        for byte in bytes.iter().flat_map(|byte| std::iter::repeat_n(*byte, repeats)) {
            let Some(sample) = plane.get_mut(at) else { return at };
            *sample |= u32::from(byte) << shift;
            at += 1;
        }
        packed = &rest[used..];
    }
    at
}
