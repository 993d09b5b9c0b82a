use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tiff::decoder::{ChunkType, Decoder, DecodingResult};
use tiff::tags::{PlanarConfiguration, Tag};
use tiff::{ColorType, TiffError};

use crate::TilesError;

/// The largest tile or strip that is read.
const MOST: u64 = 1 << 27;

/// A TIFF file of which some rows are read at a time: tiled or striped, grey or RGB with 8 bits.
///
/// Threads may share it.
pub struct TiffRows {
    path: PathBuf,
    decoder: Mutex<Decoder<BufReader<File>>>,
    /// Rows and columns.
    size: [usize; 2],
    channels: usize,
    /// Rows and columns of a tile or a strip.
    chunk: [usize; 2],
}

impl TiffRows {
    /// Opens a file; of several pictures in it the first one.
    ///
    /// # Errors
    /// A file that is no TIFF, other pixels, and tiles or strips that are themselves too large.
    pub fn open(path: &Path) -> Result<Self, TilesError> {
        let in_file = |source| TilesError::File { path: path.to_path_buf(), source };
        let in_tiff = |source| TilesError::Tiff { path: path.to_path_buf(), source };
        let file = BufReader::new(File::open(path).map_err(in_file)?);
        let mut decoder = Decoder::new(file).map_err(in_tiff)?;
        let (width, height) = decoder.dimensions().map_err(in_tiff)?;
        let colour = decoder.colortype().map_err(in_tiff)?;
        let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(in_tiff)?;
        let chunky = planar.is_none_or(|planar| planar == PlanarConfiguration::Chunky.to_u16());
        let channels = match colour {
            ColorType::Gray(8) => 1,
            ColorType::RGB(8) if chunky => 3,
            other => {
                let apart = if chunky { "" } else { ", each channel by itself" };
                let given = format!("{other:?}{apart}");
                return Err(TilesError::Pixels { path: path.to_path_buf(), given });
            }
        };
        let (columns, rows) = decoder.chunk_dimensions();
        let bytes = u64::from(columns) * u64::from(rows.min(height)) * channels as u64;
        if bytes > MOST {
            return Err(TilesError::TooLarge { path: path.to_path_buf(), bytes, most: MOST });
        }
        let side = |side: u32| side as usize;
        let chunk = [side(rows), side(columns)].map(|side| side.max(1));
        let (path, size) = (path.to_path_buf(), [side(height), side(width)]);
        Ok(Self { path, decoder: Mutex::new(decoder), size, channels, chunk })
    }

    /// Whether a file is a TIFF by what it begins with, and its number of pixels.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn pixels(path: &Path) -> Result<Option<u64>, TilesError> {
        let file = File::open(path)
            .map_err(|source| TilesError::File { path: path.to_path_buf(), source })?;
        let size = Decoder::new(BufReader::new(file)).and_then(|mut tiff| tiff.dimensions());
        Ok(size.ok().map(|(width, height)| u64::from(width) * u64::from(height)))
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// 1 of a grey picture, 3 of one in colours.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The bytes of some rows, pixel by pixel.
    ///
    /// # Errors
    /// Rows that there are not, and tiles that are damaged.
    pub fn read(&self, rows: Range<usize>) -> Result<Vec<u8>, TilesError> {
        let [height, width] = self.size;
        if rows.start > rows.end || rows.end > height {
            return Err(TilesError::NoRows { rows, height });
        }
        let mut bytes = vec![0; rows.len() * width * self.channels];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let mut decoder = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
        let across = match decoder.get_chunk_type() {
            ChunkType::Tile => width.div_ceil(self.chunk[1]),
            ChunkType::Strip => 1,
        };
        for down in rows.start / self.chunk[0]..=(rows.end - 1) / self.chunk[0] {
            for column in 0..across {
                let place = [down * self.chunk[0], column * self.chunk[1]];
                let chunk = self.chunk(&mut decoder, down * across + column)?;
                self.copy(&chunk, place, &rows, &mut bytes);
            }
        }
        Ok(bytes)
    }

    fn chunk(
        &self,
        decoder: &mut Decoder<BufReader<File>>,
        number: usize,
    ) -> Result<Vec<u8>, TilesError> {
        let read = u32::try_from(number)
            .map_err(|_| TiffError::IntSizeError)
            .and_then(|number| decoder.read_chunk(number));
        match read {
            Ok(DecodingResult::U8(bytes)) => Ok(bytes),
            Ok(_) => {
                let (path, given) = (self.path.clone(), "pixels of more than 8 bits".into());
                Err(TilesError::Pixels { path, given })
            }
            Err(source) => Err(TilesError::Tiff { path: self.path.clone(), source }),
        }
    }

    /// The part of a tile at a place, without what lies beyond the picture, that is in the rows.
    fn copy(&self, chunk: &[u8], place: [usize; 2], rows: &Range<usize>, bytes: &mut [u8]) {
        let [height, width] = self.size;
        let columns = self.chunk[1].min(width - place[1]) * self.channels;
        let inside = place[0].max(rows.start)..(place[0] + self.chunk[0]).min(rows.end).min(height);
        for row in inside {
            let from = (row - place[0]) * columns;
            let to = ((row - rows.start) * width + place[1]) * self.channels;
            if let Some(part) = chunk.get(from..from + columns) {
                bytes[to..to + columns].copy_from_slice(part);
            }
        }
    }
}

impl fmt::Debug for TiffRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, size, channels, chunk, .. } = self;
        let mut rows = f.debug_struct("TiffRows");
        rows.field("path", path).field("size", size).field("channels", channels);
        rows.field("chunk", chunk).finish_non_exhaustive()
    }
}
