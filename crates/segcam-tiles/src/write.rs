use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rayon::prelude::*;
use tiff::encoder::{TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, SampleFormat, Tag};
use tiff::{TiffError, TiffResult};

use crate::TilesError;

/// Rows and columns of a tile.
const TILE: usize = 256;
/// Files that may become larger are BigTIFF.
const CLASSIC: u64 = 4_000_000_000;

/// The numbers of a picture: labels as `u8`, maps as `f32`.
pub trait Sample: Copy + Default + Send + Sync {
    /// How many bits one has.
    const BITS: u16;
    /// What they are.
    const FORMAT: SampleFormat;

    /// As bytes in this machine's order, which is that of the file.
    fn bytes(self) -> impl IntoIterator<Item = u8>;
}

impl Sample for u8 {
    const BITS: u16 = 8;
    const FORMAT: SampleFormat = SampleFormat::Uint;

    fn bytes(self) -> impl IntoIterator<Item = u8> {
        [self]
    }
}

impl Sample for f32 {
    const BITS: u16 = 32;
    const FORMAT: SampleFormat = SampleFormat::IEEEFP;

    fn bytes(self) -> impl IntoIterator<Item = u8> {
        self.to_ne_bytes()
    }
}

/// Writes a picture of one channel as a tiled TIFF with deflated tiles; `read` makes its rows when they are
/// needed, 256 at a time. Where it may become larger than 4 GB it is a BigTIFF.
///
/// # Errors
/// A file that cannot be written, and what `read` says.
pub fn write_tiled<S: Sample>(
    path: &Path,
    size: [usize; 2],
    description: &str,
    read: &mut dyn FnMut(Range<usize>) -> io::Result<Vec<S>>,
) -> Result<(), TilesError> {
    let tiles = size.map(|side| side.div_ceil(TILE) as u64);
    let bytes = tiles[0] * tiles[1] * (TILE * TILE) as u64 * u64::from(S::BITS / 8);
    if bytes < CLASSIC {
        write::<S, TiffKindStandard>(path, size, description, read)
    } else {
        write::<S, TiffKindBig>(path, size, description, read)
    }
}

fn write<S: Sample, K: TiffKind>(
    path: &Path,
    [height, width]: [usize; 2],
    description: &str,
    read: &mut dyn FnMut(Range<usize>) -> io::Result<Vec<S>>,
) -> Result<(), TilesError> {
    let in_tiff = |source| TilesError::Tiff { path: path.to_path_buf(), source };
    let file = File::create(path)
        .map_err(|source| TilesError::File { path: path.to_path_buf(), source })?;
    let mut encoder = TiffEncoder::<_, K>::new_generic(BufWriter::new(file)).map_err(in_tiff)?;
    let mut picture = encoder.image_directory().map_err(in_tiff)?;
    let (mut offsets, mut counts) = (vec![], vec![]);
    for top in (0..height).step_by(TILE) {
        let rows = top..(top + TILE).min(height);
        let (values, wanted) = (read(rows.clone())?, rows.len() * width);
        if values.len() != wanted {
            return Err(TilesError::WrongRows { rows, wanted, given: values.len() });
        }
        let lefts: Vec<usize> = (0..width).step_by(TILE).collect();
        let tiles: Vec<Vec<u8>> = lefts
            .into_par_iter()
            .map(|left| deflated(&tile(&values, width, left)))
            .collect::<io::Result<_>>()?;
        for tile in tiles {
            let mut add = || -> TiffResult<()> {
                let offset = picture.write_data(&tile[..])?;
                offsets.push(K::convert_offset(offset)?);
                counts.push(K::convert_offset(tile.len() as u64)?);
                Ok(())
            };
            add().map_err(in_tiff)?;
        }
    }
    let side = |side: usize| u32::try_from(side).map_err(TiffError::from);
    let mut tags = || -> TiffResult<()> {
        picture.write_tag(Tag::ImageWidth, side(width)?)?;
        picture.write_tag(Tag::ImageLength, side(height)?)?;
        picture.write_tag(Tag::BitsPerSample, S::BITS)?;
        picture.write_tag(Tag::SampleFormat, S::FORMAT.to_u16())?;
        picture.write_tag(Tag::SamplesPerPixel, 1u16)?;
        picture.write_tag(Tag::Compression, CompressionMethod::Deflate.to_u16())?;
        let grey = PhotometricInterpretation::BlackIsZero.to_u16();
        picture.write_tag(Tag::PhotometricInterpretation, grey)?;
        picture.write_tag(Tag::TileWidth, side(TILE)?)?;
        picture.write_tag(Tag::TileLength, side(TILE)?)?;
        picture.write_tag(Tag::TileOffsets, K::convert_slice(&offsets))?;
        picture.write_tag(Tag::TileByteCounts, K::convert_slice(&counts))?;
        picture.write_tag(Tag::ImageDescription, description)
    };
    tags().map_err(in_tiff)?;
    picture.finish().map_err(in_tiff)
}

/// The bytes of a tile that begins at a column; what lies beyond the picture is zero.
fn tile<S: Sample>(values: &[S], width: usize, left: usize) -> Vec<u8> {
    let columns = TILE.min(width - left);
    let mut bytes = Vec::with_capacity(TILE * TILE * usize::from(S::BITS / 8));
    for row in values.chunks(width) {
        let beyond = std::iter::repeat_n(S::default(), TILE - columns);
        let row = row[left..left + columns].iter().copied().chain(beyond);
        row.for_each(|value| bytes.extend(value.bytes()));
    }
    bytes.resize(TILE * TILE * usize::from(S::BITS / 8), 0);
    bytes
}

fn deflated(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
