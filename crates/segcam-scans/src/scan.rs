use std::path::{Path, PathBuf};

use crate::nifti::Header;
use crate::{Grid, Interpolation, Orientation, Resampling, ScanError, open};

/// A scan in memory: one or more channels of values on one grid.
///
/// ```
/// use segcam_scans::{Grid, Scan};
///
/// let grid = Grid::new([2, 2, 1], [[-1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]])?;
/// let scan = Scan::new(grid, 1, vec![0.0, 1.0, 2.0, 3.0])?;
/// assert_eq!(scan.grid().orientation().to_string(), "LAS");
/// assert_eq!(scan.reoriented("RAS".parse()?).values(), [1.0, 0.0, 3.0, 2.0]);
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scan {
    grid: Grid,
    channels: usize,
    values: Vec<f32>,
    /// Of the file it came from.
    nifti: Option<Box<Header>>,
}

/// The same values on the same grid, whatever file they came from.
impl PartialEq for Scan {
    fn eq(&self, other: &Self) -> bool {
        (&self.grid, self.channels, &self.values) == (&other.grid, other.channels, &other.values)
    }
}

impl Scan {
    /// From values, channel after channel, each with `i` fastest and `k` slowest: in C order the array
    /// `[channels, K, J, I]`.
    ///
    /// # Errors
    /// If there are not as many values as voxels times channels.
    pub fn new(grid: Grid, channels: usize, values: Vec<f32>) -> Result<Self, ScanError> {
        if grid.values_of(channels)? != values.len() {
            let (size, given) = (grid.size(), values.len());
            return Err(ScanError::Mismatch(format!(
                "{channels} channel(s) of {size:?} voxels do not have {given} values"
            )));
        }
        Ok(Self { grid, channels, values, nifti: None })
    }

    /// Reads a file: its first bytes say what it is, and its name only which of two files it is.
    ///
    /// Read are NIfTI-1 and 2 (one file, or `.hdr` and `.img`), MGH, NRRD and MetaImage, compressed with
    /// gzip or not. Values become `f32`; scaled ones are computed in `f64`.
    ///
    /// # Errors
    /// Files that cannot be read, are damaged or cut off, or hold what no scan is: colours, complex
    /// numbers, more than one axis beside three of space, axes that do not span space.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ScanError> {
        open::open(path.as_ref())
    }

    /// The files that [`open`](Self::open) reads, the header first, without their values being read: two for a
    /// header whose values lie in another file, else one. Whoever keeps what was made of a scan asks whether these
    /// are as they were.
    ///
    /// # Errors
    /// Files that cannot be read, and headers that name a file outside of their folder, or several.
    ///
    /// # Example
    /// ```
    /// use segcam_scans::Scan;
    ///
    /// # let folder = std::env::temp_dir().join(format!("segcam-files-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let header = folder.join("ct.mhd");
    /// std::fs::write(&header, "ObjectType = Image\nNDims = 3\nElementDataFile = values.raw\n")?;
    /// assert_eq!(Scan::files(&header)?, [header, folder.join("values.raw")]);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, ScanError> {
        open::files(path.as_ref())
    }

    /// Reads a file that is in memory; `name` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open), and for a header whose values lie in another file.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Self, ScanError> {
        open::from_bytes(name.as_ref(), bytes)
    }

    /// Where the voxels lie.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All values, channel after channel, each with `i` fastest and `k` slowest.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values themselves, without a copy.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The values as labels.
    ///
    /// # Errors
    /// Values that are no whole numbers, negative, or above 2²⁴, beyond which `f32` has gaps. The first
    /// of them is named.
    pub fn labels(&self) -> Result<Vec<u32>, ScanError> {
        const LARGEST: f32 = 16_777_216.0;
        let label = |(place, value): (usize, &f32)| match *value {
            label if (0.0..=LARGEST).contains(&label) && label.fract() == 0.0 => Ok(label as u32),
            value => {
                let [width, height, _] = self.grid.size();
                let (channel, voxel) = (place / self.grid.voxels(), place % self.grid.voxels());
                let at = [voxel % width, voxel / width % height, voxel / width / height];
                Err(ScanError::Mismatch(format!(
                    "the value {value} of voxel {at:?}, channel {channel}, is no label: a whole \
                     number from 0 to {LARGEST}"
                )))
            }
        };
        self.values.iter().enumerate().map(label).collect()
    }

    /// With its axes permuted and turned around, so that they point this way. Each voxel stays where it
    /// is in space, and no value changes.
    pub fn reoriented(&self, orientation: Orientation) -> Self {
        let turn = orientation.turn_from(self.grid.orientation());
        let moved = self.values.chunks_exact(self.grid.voxels());
        let values = moved.flat_map(|channel| turn.apply(self.grid.size(), channel)).collect();
        self.on(self.grid.reoriented(orientation), values)
    }

    /// The box of `size` voxels from `start`.
    ///
    /// # Errors
    /// If the box is empty or does not lie within the scan.
    pub fn cropped(&self, start: [usize; 3], size: [usize; 3]) -> Result<Self, ScanError> {
        let grid = self.grid.cropped(start, size)?;
        let [width, height, depth] = self.grid.size();
        let mut values = Vec::with_capacity(grid.voxels() * self.channels);
        for slice in (0..self.channels).flat_map(|c| (0..size[2]).map(move |k| c * depth + k)) {
            for row in 0..size[1] {
                let first = ((slice + start[2]) * height + start[1] + row) * width + start[0];
                values.extend_from_slice(&self.values[first..first + size[0]]);
            }
        }
        Ok(self.on(grid, values))
    }

    /// Resampled onto another grid, which lies in the same space; see [`Resampling`].
    ///
    /// # Errors
    /// A grid of more voxels than can be held.
    pub fn resampled(
        &self,
        onto: Grid,
        interpolation: Interpolation,
        outside: f32,
    ) -> Result<Self, ScanError> {
        let resampling = Resampling::new(self.grid.clone(), onto.clone(), interpolation);
        Ok(self.on(onto, resampling.apply(&self.values, outside)?))
    }

    /// With other values on the same grid, such as a map.
    ///
    /// # Errors
    /// If there are not as many values as voxels times channels.
    pub fn with_values(&self, channels: usize, values: Vec<f32>) -> Result<Self, ScanError> {
        Ok(Self { nifti: self.nifti.clone(), ..Self::new(self.grid.clone(), channels, values)? })
    }

    fn on(&self, grid: Grid, values: Vec<f32>) -> Self {
        Self { grid, channels: self.channels, values, nifti: self.nifti.clone() }
    }

    pub(crate) fn with_nifti(self, header: Header) -> Self {
        Self { nifti: Some(Box::new(header)), ..self }
    }

    pub(crate) fn nifti(&self) -> Option<&Header> {
        self.nifti.as_deref()
    }
}
