use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Header;
use super::header::header_bytes;
use crate::number::Number;
use crate::{Grid, Scan, ScanError};

/// Writes values onto a scan's grid as NIfTI: `.nii` or `.nii.gz`, by the name.
///
/// If the scan came from a NIfTI file, its header says where the voxels lie, to the last bit: sform,
/// qform, their codes and units, as nibabel's `Nifti1Image(data, image.affine, image.header)` writes
/// them. Otherwise, both are made from the affine with code 1 (scanner), the qform only if the axes
/// are orthogonal. Names, dates, free text and extensions of the scan's file are not written.
///
/// ```
/// use segcam_scans::{Grid, NiftiTemplate, Scan};
///
/// # let folder = std::env::temp_dir().join("segcam-scans-template");
/// # std::fs::create_dir_all(&folder)?;
/// let grid = Grid::new([2, 1, 1], [[0.5, 0., 0., 9.], [0., 1., 0., 0.], [0., 0., 3., 0.]])?;
/// let path = folder.join("map.nii.gz");
/// NiftiTemplate::new(grid.clone()).write(&path, &[0.25, -1.0], "a map")?;
///
/// let map = Scan::open(&path)?;
/// assert_eq!((map.grid(), map.values()), (&grid, &[0.25, -1.0][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NiftiTemplate {
    grid: Grid,
    header: Option<Box<Header>>,
}

impl NiftiTemplate {
    /// For a grid without a file.
    pub fn new(grid: Grid) -> Self {
        Self { grid, header: None }
    }

    /// Where the values will lie.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Writes `float32` values: one or more channels, each with `i` fastest and `k` slowest.
    ///
    /// `description` is for `descrip`, which holds 79 bytes; the rest is cut off.
    ///
    /// # Errors
    /// If the values are not some channels of the grid's voxels, for names that do not end in `.nii`
    /// or `.nii.gz`, and for files that cannot be written. The path then holds what it held before.
    pub fn write(
        &self,
        path: impl AsRef<Path>,
        values: &[f32],
        description: &str,
    ) -> Result<(), ScanError> {
        let header = self.map_header(values)?;
        save(path.as_ref(), &header, description, |out| write_values(values, out))
    }

    /// The bytes of a `.nii.gz` file that [`write`](Self::write) would write.
    ///
    /// # Errors
    /// If the values are not some channels of the grid's voxels.
    pub fn bytes(&self, values: &[f32], description: &str) -> Result<Vec<u8>, ScanError> {
        let header = self.map_header(values)?;
        Ok(packed(&header, description, |out| write_values(values, out)))
    }

    fn map_header(&self, values: &[f32]) -> Result<Header, ScanError> {
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let range = finite.fold([f32::NEG_INFINITY, f32::INFINITY], |[max, min], value| {
            [max.max(value), min.min(value)]
        });
        let range = if range[0] < range[1] { [0.0; 2] } else { range.map(f64::from) };
        self.output(values.len(), Number::F32, range)
    }

    /// Writes labels as the first of `uint8`, `int16`, `uint16` and `int32` that can hold them all.
    ///
    /// # Errors
    /// As [`write`](Self::write), and for labels above `i32::MAX`.
    pub fn write_labels(
        &self,
        path: impl AsRef<Path>,
        labels: &[u32],
        description: &str,
    ) -> Result<(), ScanError> {
        let (header, number) = self.label_header(labels)?;
        save(path.as_ref(), &header, description, |out| write_labels(labels, number, out))
    }

    /// The bytes of a `.nii.gz` file that [`write_labels`](Self::write_labels) would write.
    ///
    /// # Errors
    /// If the labels are not some channels of the grid's voxels, and for labels above `i32::MAX`.
    pub fn label_bytes(&self, labels: &[u32], description: &str) -> Result<Vec<u8>, ScanError> {
        let (header, number) = self.label_header(labels)?;
        Ok(packed(&header, description, |out| write_labels(labels, number, out)))
    }

    fn label_header(&self, labels: &[u32]) -> Result<(Header, Number), ScanError> {
        let largest = labels.iter().max().copied().unwrap_or(0);
        let smallest = labels.iter().min().copied().unwrap_or(0);
        let number = match largest {
            0..=0xff => Number::U8,
            0x100..=0x7fff => Number::I16,
            0x8000..=0xffff => Number::U16,
            0x1_0000..=0x7fff_ffff => Number::I32,
            _ => {
                return Err(ScanError::Mismatch(format!(
                    "label {largest} is above {}, the largest that can be written",
                    i32::MAX
                )));
            }
        };
        let range = [largest, smallest].map(f64::from);
        Ok((self.output(labels.len(), number, range)?, number))
    }

    /// The header of a file with as many values.
    fn output(&self, values: usize, number: Number, range: [f64; 2]) -> Result<Header, ScanError> {
        let voxels = self.grid.voxels();
        if values == 0 || !values.is_multiple_of(voxels) {
            return Err(ScanError::Mismatch(format!(
                "{values} values are no channels of {:?}, which has {voxels} voxels",
                self.grid.size()
            )));
        }
        let channels = values / voxels;
        let mut header = self.header.as_deref().cloned().unwrap_or_else(|| Header::new(1));
        if header.shape() != Ok((self.grid.size(), channels)) {
            header.set_shape(self.grid.size(), channels)?;
        }
        if header.affine().as_ref() != Ok(self.grid.affine()) {
            header.move_to(&self.grid, if self.header.is_some() { 2 } else { 1 });
        }
        header.single = true;
        header.set_number(number);
        header.vox_offset = (header_bytes(header.version) + 4) as f64;
        header.scale = [1.0, 0.0];
        header.cal_max_min = range;
        Ok(header)
    }
}

impl Header {
    fn set_shape(&mut self, size: [usize; 3], channels: usize) -> Result<(), ScanError> {
        let sides = [size[0], size[1], size[2], channels];
        let most = if self.version == 1 { i16::MAX as usize } else { i64::MAX as usize };
        if let Some(side) = sides.iter().find(|side| **side > most) {
            return Err(ScanError::Mismatch(format!(
                "a side of {side} is too long for NIfTI-{}, whose sides have at most {most}",
                self.version
            )));
        }
        let dimensions = if channels > 1 { 4 } else { 3 };
        self.dim = [1; 8];
        self.dim[0] = dimensions;
        for (side, length) in self.dim[1..].iter_mut().zip(sides) {
            *side = length as i64;
        }
        self.pixdim[dimensions as usize + 1..].fill(1.0);
        Ok(())
    }

    /// To other voxels of the same space: with its code, or this one if it has none.
    fn move_to(&mut self, grid: &Grid, code: i64) {
        let code = if self.code() > 0 { self.code() } else { code };
        self.set_geometry(grid, code);
        // Millimetres; time keeps its unit.
        self.xyzt_units = (self.xyzt_units & !7) | 2;
        // They count slices that are others now.
        (self.dim_info, self.slice_code, self.slice_duration) = (0, 0, 0.0);
        (self.slice_start, self.slice_end) = (0, 0);
    }
}

impl Scan {
    /// What writes maps and labels so that they lie on this scan.
    pub fn nifti_template(&self) -> NiftiTemplate {
        NiftiTemplate { grid: self.grid().clone(), header: self.nifti().cloned().map(Box::new) }
    }
}

fn write_values(values: &[f32], out: &mut dyn Write) -> io::Result<()> {
    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

fn write_labels(labels: &[u32], number: Number, out: &mut dyn Write) -> io::Result<()> {
    labels.iter().try_for_each(|label| out.write_all(&label.to_le_bytes()[..number.bytes()]))
}

/// The whole file.
fn content(
    header: &Header,
    description: &str,
    values: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    out: &mut dyn Write,
) -> io::Result<()> {
    out.write_all(&header.bytes(description))?;
    // No extensions follow.
    out.write_all(&[0; 4])?;
    values(out)
}

fn compressed<W: Write>(
    to: W,
    header: &Header,
    description: &str,
    values: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    let packer = GzEncoder::new(to, Compression::default());
    let mut packer = BufWriter::with_capacity(1 << 16, packer);
    content(header, description, values, &mut packer)?;
    packer.into_inner()?.finish()
}

fn packed(
    header: &Header,
    description: &str,
    values: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Vec<u8> {
    compressed(vec![], header, description, values).expect("memory takes all bytes")
}

/// All of it or nothing: a file of another name is renamed when it is complete.
fn save(
    path: &Path,
    header: &Header,
    description: &str,
    values: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), ScanError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let gzip = name.ends_with(".nii.gz");
    if !gzip && !name.ends_with(".nii") {
        return Err(ScanError::format(path, "a NIfTI file is named .nii or .nii.gz"));
    }
    let write = || -> io::Result<()> {
        let folder = path.parent().filter(|folder| *folder != OsStr::new(""));
        let mut builder = tempfile::Builder::new();
        // Readable by others, as far as the user's umask lets them.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.prefix(".segcam-").tempfile_in(folder.unwrap_or(Path::new(".")))?;
        let mut buffer = BufWriter::with_capacity(1 << 16, &mut file);
        if gzip {
            buffer = compressed(buffer, header, description, values)?;
        } else {
            content(header, description, values, &mut buffer)?;
        }
        buffer.flush()?;
        drop(buffer);
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| ScanError::file(path, error))
}
