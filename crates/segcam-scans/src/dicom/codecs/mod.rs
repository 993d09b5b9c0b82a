//! From a frame's compressed bytes to its samples.
//!
//! Samples are the bits as they are stored, all of one colour after all of another.

mod jpeg;
mod jpeg2000;
mod rle;

use std::error::Error;

use dicom_dictionary_std::uids;

use super::layout::Layout;

/// The samples of a frame, or what is wrong with it.
type Samples = Result<Vec<u32>, Box<dyn Error + Send + Sync>>;

/// How frames are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Jpeg,
    Jpeg2000,
    Rle,
}

impl Codec {
    pub(super) fn of(syntax: &str) -> Option<Self> {
        match syntax {
            uids::JPEG_BASELINE8_BIT
            | uids::JPEG_EXTENDED12_BIT
            | uids::JPEG_LOSSLESS
            | uids::JPEG_LOSSLESS_SV1 => Some(Self::Jpeg),
            uids::JPEG2000_LOSSLESS | uids::JPEG2000 => Some(Self::Jpeg2000),
            uids::RLE_LOSSLESS => Some(Self::Rle),
            _ => None,
        }
    }

    pub(super) fn decode(self, bytes: &[u8], layout: &Layout) -> Samples {
        // A frame that is nothing but one colour takes few bytes; a damaged header, few as well.
        let most = (1 << 24) + bytes.len().saturating_mul(1 << 12);
        if layout.frame() > most {
            let (rows, columns, bytes) = (layout.rows, layout.columns, bytes.len());
            let reason = format!("{rows} rows of {columns} columns do not fit into {bytes} bytes");
            return Err(reason.into());
        }
        match self {
            Self::Jpeg => jpeg::decode(bytes, layout),
            Self::Jpeg2000 => jpeg2000::decode(bytes, layout),
            Self::Rle => Ok(rle::decode(bytes, layout)?),
        }
    }
}

/// The size that a codec found must be the header's.
fn same_size(width: usize, height: usize, samples: usize, layout: &Layout) -> Result<(), String> {
    let wanted = (layout.columns, layout.rows, layout.samples());
    if (width, height, samples) == wanted {
        return Ok(());
    }
    Err(format!(
        "a frame has {width} columns, {height} rows and {samples} sample(s), its header says {wanted:?}"
    ))
}
