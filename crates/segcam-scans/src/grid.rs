use crate::matrix::{Matrix, determinant, dot, inverse, norm, transpose};
use crate::{Orientation, ScanError};

/// Where the voxels of a scan lie: its size and the affine that takes voxel indices to millimetres.
///
/// Indices are `(i, j, k)`, those of the file's fastest to its slowest axis, at the centres of voxels.
/// Millimetres are right, anterior, superior (RAS+, as NIfTI and nibabel have them). DICOM, NRRD's LPS
/// and MetaImage are turned into this when they are read.
///
/// ```
/// use segcam_scans::Grid;
///
/// let grid = Grid::new([64, 64, 20], [[-2., 0., 0., 63.], [0., 2., 0., -63.], [0., 0., 5., 0.]])?;
/// assert_eq!(grid.spacing(), [2.0, 2.0, 5.0]);
/// assert_eq!(grid.orientation().to_string(), "LAS");
/// assert_eq!(grid.world([0.0, 0.0, 1.5]), [63.0, -63.0, 7.5]);
/// assert_eq!(grid.index([63.0, -63.0, 7.5]), [0.0, 0.0, 1.5]);
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    size: [usize; 3],
    affine: [[f64; 4]; 3],
}

impl Grid {
    /// From a size `(i, j, k)` and the first three rows of the affine.
    ///
    /// # Errors
    /// A size without voxels or too large to count, numbers that are not finite, and axes that do not
    /// span space.
    pub fn new(size: [usize; 3], affine: [[f64; 4]; 3]) -> Result<Self, ScanError> {
        let voxels = size.iter().try_fold(1usize, |voxels, side| voxels.checked_mul(*side));
        if voxels.is_none_or(|voxels| voxels == 0) {
            return Err(ScanError::Mismatch(format!("a grid of {size:?} voxels is none")));
        }
        if affine.iter().flatten().any(|number| !number.is_finite()) {
            return Err(ScanError::Mismatch(format!("the affine is not finite: {affine:?}")));
        }
        let grid = Self { size, affine };
        let volume = determinant(&grid.directions()).abs();
        if volume.is_nan() || volume < 1e-6 {
            return Err(ScanError::Mismatch(format!(
                "the axes of the affine do not span space: {affine:?}"
            )));
        }
        Ok(grid)
    }

    /// Number of voxels along `(i, j, k)`.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The affine's first three rows: millimetres RAS+ from indices.
    pub fn affine(&self) -> &[[f64; 4]; 3] {
        &self.affine
    }

    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// Millimetres between neighbours along `(i, j, k)`.
    pub fn spacing(&self) -> [f64; 3] {
        transpose(&self.axes()).map(norm)
    }

    /// Where `(i, j, k)` point, as `nibabel.aff2axcodes` says.
    pub fn orientation(&self) -> Orientation {
        Orientation::of(&self.directions())
    }

    /// How far the axes are from being orthogonal: the largest cosine between two of them, from 0 (they
    /// are) to 1. It is reported and never repaired.
    pub fn shear(&self) -> f64 {
        let [i, j, k] = transpose(&self.directions());
        [dot(i, j), dot(j, k), dot(k, i)]
            .into_iter()
            .fold(0.0, |most, cosine| most.max(cosine.abs()))
    }

    /// Millimetres of an index, which may lie between voxels and outside.
    pub fn world(&self, index: [f64; 3]) -> [f64; 3] {
        self.affine.map(|[x, y, z, offset]| dot([x, y, z], index) + offset)
    }

    /// The index of millimetres, which may lie between voxels and outside.
    pub fn index(&self, world: [f64; 3]) -> [f64; 3] {
        let from_origin = std::array::from_fn(|axis| world[axis] - self.affine[axis][3]);
        inverse(&self.axes()).map(|row| dot(row, from_origin))
    }

    /// With axes that point this way; every voxel stays where it is.
    pub fn reoriented(&self, orientation: Orientation) -> Self {
        let turn = orientation.turn_from(self.orientation());
        let mut first = [0.0; 3];
        let axes = turn.from.map(|axis| self.affine.map(|row| row[axis]));
        let directed: [[f64; 3]; 3] = std::array::from_fn(|axis| {
            if turn.flip[axis] {
                first[turn.from[axis]] = (self.size[turn.from[axis]] - 1) as f64;
                axes[axis].map(|number| -number)
            } else {
                axes[axis]
            }
        });
        let size = turn.from.map(|axis| self.size[axis]);
        Self { size, affine: affine_of(&transpose(&directed), self.world(first)) }
    }

    /// The box of `size` voxels from `start`.
    ///
    /// # Errors
    /// If the box is empty or does not lie within the grid.
    pub fn cropped(&self, start: [usize; 3], size: [usize; 3]) -> Result<Self, ScanError> {
        let inside = (0..3).all(|axis| {
            let end = start[axis].checked_add(size[axis]);
            size[axis] > 0 && end.is_some_and(|end| end <= self.size[axis])
        });
        if !inside {
            return Err(ScanError::Mismatch(format!(
                "a box of {size:?} voxels from {start:?} does not lie within {:?}",
                self.size
            )));
        }
        let first = self.world(start.map(|index| index as f64));
        Ok(Self { size, affine: affine_of(&self.axes(), first) })
    }

    /// The same box in space with other voxels: `round(old spacing / new spacing * old size)` of them
    /// along each axis, at least one, halves to even, as nnU-Net counts.
    ///
    /// The outer faces of the boxes coincide, so the spacing is the wanted one up to that rounding. What
    /// is resampled onto it has the values of a resize by half-pixel coordinates.
    ///
    /// # Errors
    /// A spacing that is not above 0, and one of too many voxels to count.
    pub fn with_spacing(&self, spacing: [f64; 3]) -> Result<Self, ScanError> {
        if !spacing.iter().all(|step| step.is_finite() && *step > 0.0) {
            return Err(ScanError::Mismatch(format!("a spacing of {spacing:?} mm is none")));
        }
        let old = self.spacing();
        let size: [usize; 3] = std::array::from_fn(|axis| {
            let side = old[axis] / spacing[axis] * self.size[axis] as f64;
            (side.round_ties_even() as usize).max(1)
        });
        // Voxels of the old grid for each of the new.
        let step: [f64; 3] = std::array::from_fn(|axis| self.size[axis] as f64 / size[axis] as f64);
        let axes = self.axes().map(|row| std::array::from_fn(|axis| row[axis] * step[axis]));
        Self::new(size, affine_of(&axes, self.world(step.map(|step| step / 2.0 - 0.5))))
    }

    /// Whether the grids have the same size, and none of their voxels is further apart than this many
    /// millimetres.
    pub fn same_space(&self, other: &Self, tolerance: f64) -> bool {
        // The difference of affines is largest at a corner.
        let corners = (0..8).map(|corner| {
            let end = |axis: usize| ((self.size[axis] - 1) * (corner >> axis & 1)) as f64;
            [end(0), end(1), end(2)]
        });
        let apart = |index| {
            let (here, there) = (self.world(index), other.world(index));
            norm(std::array::from_fn(|axis| here[axis] - there[axis]))
        };
        self.size == other.size && corners.into_iter().all(|index| apart(index) <= tolerance)
    }

    /// Number of values of as many channels, if they can be held.
    pub(crate) fn values_of(&self, channels: usize) -> Result<usize, ScanError> {
        let values = self.voxels().checked_mul(channels);
        match values.filter(|values| *values > 0 && *values <= isize::MAX as usize / 8) {
            Some(values) => Ok(values),
            None => Err(ScanError::Mismatch(format!(
                "{channels} channel(s) of {:?} voxels cannot be held",
                self.size
            ))),
        }
    }

    /// Number of channels that the values are.
    pub(crate) fn channels_of(&self, values: &[f32]) -> Result<usize, ScanError> {
        let voxels = self.voxels();
        if values.is_empty() || !values.len().is_multiple_of(voxels) {
            return Err(ScanError::Mismatch(format!(
                "{} values are no channels of {:?}, which has {voxels} voxels",
                values.len(),
                self.size
            )));
        }
        Ok(values.len() / voxels)
    }

    /// The affine without its offset.
    pub(crate) fn axes(&self) -> Matrix {
        self.affine.map(|[x, y, z, _]| [x, y, z])
    }

    /// Unit vectors along the axes, as columns.
    pub(crate) fn directions(&self) -> Matrix {
        let spacing = self.spacing();
        self.axes().map(|row| std::array::from_fn(|axis| row[axis] / spacing[axis]))
    }
}

/// From its parts.
pub(crate) fn affine_of(axes: &Matrix, offset: [f64; 3]) -> [[f64; 4]; 3] {
    std::array::from_fn(|row| {
        let [x, y, z] = axes[row];
        [x, y, z, offset[row]]
    })
}

/// Directions and places of left, posterior, superior (DICOM, ITK) as right, anterior, superior.
pub(crate) fn from_lps(affine: [[f64; 4]; 3]) -> [[f64; 4]; 3] {
    let [x, y, z] = affine;
    [x.map(|number| -number), y.map(|number| -number), z]
}
