//! JPEG of 8 bits, and lossless JPEG of up to 16.

use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

use super::{Samples, same_size};
use crate::dicom::layout::Layout;

pub(super) fn decode(bytes: &[u8], layout: &Layout) -> Samples {
    let mut decoder = Decoder::new(bytes);
    // Leaves samples as they are: the header says what they mean, and one place makes colours of them.
    decoder.set_color_transform(ColorTransform::RGB);
    decoder.read_info()?;
    let info = decoder.info().ok_or("a JPEG frame without a size")?;
    let samples = match info.pixel_format {
        PixelFormat::L8 | PixelFormat::L16 => 1,
        PixelFormat::RGB24 => 3,
        PixelFormat::CMYK32 => 4,
    };
    same_size(info.width.into(), info.height.into(), samples, layout)?;
    let decoded = decoder.decode()?;
    let pixels = layout.rows * layout.columns;
    let values: Vec<u32> = if decoded.len() == layout.frame() {
        decoded.iter().map(|byte| u32::from(*byte)).collect()
    } else if decoded.len() == 2 * layout.frame() {
        let pairs = decoded.chunks_exact(2);
        pairs.map(|pair| u32::from(u16::from_ne_bytes([pair[0], pair[1]]))).collect()
    } else {
        return Err(format!("{} bytes for {pixels} pixels", decoded.len()).into());
    };
    Ok((0..samples)
        .flat_map(|sample| values.iter().skip(sample).step_by(samples).copied())
        .collect())
}
