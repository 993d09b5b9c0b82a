use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader};
use png::{BitDepth, ColorType, Decoder};
use tiff::decoder::DecodingResult;

use crate::{AnnotationError, GroundTruth};

/// What a header may claim: more pixels than annotations have, few enough for memory.
const MOST_PIXELS: usize = 1 << 28;

impl GroundTruth {
    /// Reads a label image: the gray values of a PNG or TIFF of 8 or 16 bits, or the *indices* of a
    /// PNG with a palette, whatever its colours. PNGs of 1, 2 and 4 bits are read too, as the whole
    /// numbers they hold, and RGB ones whose pixels are all grey.
    ///
    /// # Errors
    /// If the file is no such image, or has more than 2²⁸ pixels.
    pub fn from_image(path: impl AsRef<Path>) -> Result<Self, AnnotationError> {
        let path = path.as_ref();
        let mut file = open(path)?;
        let start = file.fill_buf().map_err(unreadable(path))?;
        match start {
            [0x89, b'P', b'N', b'G', ..] => from_png(path, file),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => from_tiff(path, file),
            _ => Err(AnnotationError::NotALabelImage { path: path.into() }),
        }
    }

    /// Reads a colour-coded mask: every pixel has one of these colours. Transparency is ignored.
    ///
    /// # Example
    /// ```no_run
    /// use segcam_annotations::GroundTruth;
    ///
    /// let colours = [([0, 0, 0], GroundTruth::IGNORED), ([128, 64, 128], 0), ([220, 20, 60], 11)];
    /// let truth = GroundTruth::from_colours("mask.png", &colours)?;
    /// # Ok::<(), segcam_annotations::AnnotationError>(())
    /// ```
    ///
    /// # Errors
    /// Names the first colour that is not listed, and where it is. A colour may not have two
    /// labels.
    pub fn from_colours(
        path: impl AsRef<Path>,
        colours: &[([u8; 3], u32)],
    ) -> Result<Self, AnnotationError> {
        let path = path.as_ref();
        let mut known: HashMap<[u8; 3], u32> = HashMap::new();
        for &(colour, label) in colours {
            match known.insert(colour, label) {
                Some(other) if other != label => {
                    return Err(AnnotationError::AmbiguousColour {
                        colour,
                        labels: [other, label],
                    });
                }
                _ => {}
            }
        }

        let reader = ImageReader::new(open(path)?);
        let reader = reader.with_guessed_format().map_err(unreadable(path))?;
        let decoder = reader.into_decoder().map_err(undecodable(path))?;
        let (width, height) = decoder.dimensions();
        let size = bounded(path, height as usize, width as usize)?;
        let image = DynamicImage::from_decoder(decoder).map_err(undecodable(path))?.into_rgb8();
        let labels = image.enumerate_pixels().map(|(x, y, pixel)| {
            known.get(&pixel.0).copied().ok_or_else(|| AnnotationError::UnknownColour {
                path: path.into(),
                colour: pixel.0,
                at: [y as usize, x as usize],
            })
        });
        Self::from_labels(labels.collect::<Result<Vec<u32>, _>>()?, size)
    }
}

fn from_png(path: &Path, file: impl BufRead + Seek) -> Result<GroundTruth, AnnotationError> {
    let mut decoder = Decoder::new(file);
    let (width, height) = decoder.read_header_info().map_err(undecodable(path))?.size();
    bounded(path, height as usize, width as usize)?;
    let mut reader = decoder.read_info().map_err(undecodable(path))?;
    // The decoder transforms nothing unless told to: palettes stay indices, bits stay packed.
    let (colour, depth) = reader.output_color_type();
    // Some tools write grey values as colours.
    let samples = match (colour, depth) {
        (ColorType::Grayscale | ColorType::Indexed, _) => 1,
        (ColorType::Rgb, BitDepth::Eight | BitDepth::Sixteen) => 3,
        _ => return Err(not_labels(path, &colour)),
    };
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or_default()];
    let frame = reader.next_frame(&mut bytes).map_err(undecodable(path))?;
    let size = [frame.height as usize, frame.width as usize];
    let rows = bytes.chunks(frame.line_size).take(size[0]);
    let mut labels: Vec<u32> =
        rows.flat_map(|row| unpacked(row, depth, samples * size[1])).collect();
    if samples == 3 {
        if labels.chunks(3).any(|pixel| pixel[0] != pixel[1] || pixel[0] != pixel[2]) {
            return Err(not_labels(path, &colour));
        }
        labels = labels.into_iter().step_by(3).collect();
    }
    GroundTruth::from_labels(labels, size)
}

/// The whole numbers of one row of a PNG.
fn unpacked(row: &[u8], depth: BitDepth, width: usize) -> impl Iterator<Item = u32> {
    let bits = depth as usize;
    (0..width).map(move |x| match depth {
        BitDepth::Sixteen => u32::from(u16::from_be_bytes([row[2 * x], row[2 * x + 1]])),
        _ => {
            let (byte, used) = (row[x * bits / 8], x * bits % 8);
            u32::from(byte << used >> (8 - bits))
        }
    })
}

fn from_tiff(path: &Path, file: impl BufRead + Seek) -> Result<GroundTruth, AnnotationError> {
    let mut decoder = tiff::decoder::Decoder::new(file).map_err(undecodable(path))?;
    let (width, height) = decoder.dimensions().map_err(undecodable(path))?;
    let size = bounded(path, height as usize, width as usize)?;
    if decoder.more_images() {
        return Err(AnnotationError::ManyPages { path: path.into() });
    }
    let colour = decoder.colortype().map_err(undecodable(path))?;
    if !matches!(colour, tiff::ColorType::Gray(8 | 16 | 32)) {
        return Err(not_labels(path, &colour));
    }
    let labels = match decoder.read_image().map_err(undecodable(path))? {
        DecodingResult::U8(values) => values.into_iter().map(u32::from).collect(),
        DecodingResult::U16(values) => values.into_iter().map(u32::from).collect(),
        DecodingResult::U32(values) => values,
        _ => return Err(not_labels(path, &"signed or fractional")),
    };
    GroundTruth::from_labels(labels, size)
}

fn open(path: &Path) -> Result<BufReader<File>, AnnotationError> {
    File::open(path).map(BufReader::new).map_err(unreadable(path))
}

/// `[H, W]`, if that is not too much.
pub(crate) fn bounded(
    path: &Path,
    height: usize,
    width: usize,
) -> Result<Vec<usize>, AnnotationError> {
    let size = vec![height, width];
    match height.checked_mul(width) {
        Some(0..=MOST_PIXELS) => Ok(size),
        _ => Err(AnnotationError::TooLarge { path: path.into(), size, most: MOST_PIXELS }),
    }
}

pub(crate) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> AnnotationError {
    move |source| AnnotationError::Io { path: path.into(), source }
}

fn undecodable<E: Error + Send + Sync + 'static>(path: &Path) -> impl FnOnce(E) -> AnnotationError {
    move |source| AnnotationError::Decode { path: path.into(), source: Box::new(source) }
}

fn not_labels(path: &Path, kind: &dyn std::fmt::Debug) -> AnnotationError {
    AnnotationError::NotLabels { path: path.into(), kind: format!("{kind:?}") }
}
