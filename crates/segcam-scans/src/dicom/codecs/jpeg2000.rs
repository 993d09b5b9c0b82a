//! JPEG 2000, by hayro.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::{Samples, same_size};
use crate::dicom::layout::Layout;

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Samples {
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        strict: true,
        ..DecodeSettings::default()
    };
    let image = Image::new(bytes, &settings)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    same_size(width, height, layout.samples(), layout)?;
    let signed = signed(bytes).ok_or("a JPEG 2000 frame without a size")?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context)?;
    let components = decoded.components();
    same_size(width, height, components.len(), layout)?;
    let mut values = Vec::with_capacity(layout.frame());
    for component in components {
        let bits = u32::from(component.bit_depth());
        if bits == 0 || bits > layout.stored {
            return Err(format!("{bits} bits where {} are stored", layout.stored).into());
        }
        // It takes all samples for unsigned and moves them up by half of their range.
        let shift = if signed { 1i64 << (bits - 1) } else { 0 };
        let (low, high) = if signed { (-shift, shift - 1) } else { (0, (1 << bits) - 1) };
        let mask = ((1u64 << layout.stored) - 1) as u32;
        let samples = component.samples();
        if samples.len() != layout.rows * layout.columns {
            let given = samples.len();
            return Err(format!("{given} samples of {height} rows, {width} columns").into());
        }
        values.extend(samples.iter().map(|sample| {
            let value = (sample.round() as i64 - shift).clamp(low, high);
            value as u32 & mask
        }));
    }
    Ok(values)
}

/// Whether the first component is signed: a bit of the marker SIZ, which follows SOC.
fn signed(bytes: &[u8]) -> Option<bool> {
    const START: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
    const PRECISION: usize = 42;
    let start = bytes.windows(4).position(|four| four == START)?;
    bytes.get(start + PRECISION).map(|precision| precision & 0x80 != 0)
}
