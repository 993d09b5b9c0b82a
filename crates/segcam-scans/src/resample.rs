use rayon::prelude::*;

use crate::grid::affine_of;
use crate::matrix::{dot, inverse, transpose};
use crate::{Grid, ScanError};

/// Points this far outside of the outermost voxels, in voxels, still count as inside: rounding of the
/// affines.
const SLACK: f64 = 1e-6;

/// How values between voxels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interpolation {
    /// From the eight voxels around, linear along each axis.
    Trilinear,
    /// That of the nearest voxel, for labels.
    Nearest,
}

/// Resampling of values from one grid onto another, and its adjoint.
///
/// A voxel of the new grid whose centre lies within a voxel of the old grid has a value; others have
/// the one given for outside. Between the outermost centres and the faces of the grid the outermost
/// values go on. This is what ITK does. Nothing is smoothed first, so a much coarser grid picks values.
///
/// With nothing (0) outside, resampling is a linear map `R`. A sum over the new grid with weights `w` is
/// the sum over the old grid with the adjoint's weights: `⟨R x, w⟩ = ⟨x, Rᵀ w⟩`.
///
/// ```
/// use segcam_scans::{Grid, Interpolation, Resampling};
///
/// let grid = Grid::new([4, 1, 1], [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]])?;
/// let coarse = grid.with_spacing([2.0, 1.0, 1.0])?;
/// let resampling = Resampling::new(grid, coarse, Interpolation::Trilinear);
/// assert_eq!(resampling.apply(&[1.0, 3.0, 5.0, 9.0], 0.0)?, [2.0, 7.0]);
/// assert_eq!(resampling.adjoint(&[1.0, 0.0])?, [0.5, 0.5, 0.0, 0.0]);
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Resampling {
    from: Grid,
    onto: Grid,
    interpolation: Interpolation,
    /// Indices of the old grid from those of the new.
    affine: [[f64; 4]; 3],
}

impl Resampling {
    /// Between two grids, which lie in the same space.
    pub fn new(from: Grid, onto: Grid, interpolation: Interpolation) -> Self {
        let (back, axes) = (inverse(&from.axes()), transpose(&onto.axes()));
        let axes = transpose(&axes.map(|axis| back.map(|row| dot(row, axis))));
        let affine = affine_of(&axes, from.index(onto.world([0.0; 3])));
        Self { from, onto, interpolation, affine }
    }

    /// Where the values come from.
    pub fn from(&self) -> &Grid {
        &self.from
    }

    /// Where the values go to.
    pub fn onto(&self) -> &Grid {
        &self.onto
    }

    /// Values on the new grid, channel after channel, from those on the old one.
    ///
    /// # Errors
    /// If the values are not some channels of the old grid.
    pub fn apply(&self, values: &[f32], outside: f32) -> Result<Vec<f32>, ScanError> {
        let channels = self.from.channels_of(values)?;
        let [width, height, depth] = self.onto.size();
        let mut out = vec![outside; self.onto.values_of(channels)?];
        out.par_chunks_mut(width * height).enumerate().for_each(|(slice, out)| {
            let voxels = self.from.voxels();
            let old = &values[slice / depth * voxels..][..voxels];
            for (j, row) in out.chunks_mut(width).enumerate() {
                self.row(j, slice % depth, |i, taps| {
                    // A voxel without weight may be NaN.
                    let taps = taps.iter().filter(|(_, weight)| *weight > 0.0);
                    let parts = taps.map(|(place, weight)| weight * f64::from(old[*place]));
                    row[i] = parts.sum::<f64>() as f32;
                });
            }
        });
        Ok(out)
    }

    /// Weights of the old grid's values, channel after channel, from those of the new grid's.
    ///
    /// # Errors
    /// If the weights are not some channels of the new grid.
    pub fn adjoint(&self, weights: &[f32]) -> Result<Vec<f32>, ScanError> {
        self.from.values_of(self.onto.channels_of(weights)?)?;
        let [width, height, depth] = self.onto.size();
        let channel = |weights: &[f32]| {
            let mut sums = vec![0.0; self.from.voxels()];
            for (j, k) in (0..depth).flat_map(|k| (0..height).map(move |j| (j, k))) {
                let row = &weights[(k * height + j) * width..][..width];
                self.row(j, k, |i, taps| {
                    for (place, weight) in taps {
                        sums[*place] += weight * f64::from(row[i]);
                    }
                });
            }
            sums.into_iter().map(|sum| sum as f32).collect::<Vec<_>>()
        };
        let parts: Vec<_> = weights.par_chunks_exact(self.onto.voxels()).map(channel).collect();
        Ok(parts.concat())
    }

    /// Visits the voxels of a row of the new grid that lie within the old one: their `i`, and places and
    /// weights of old values.
    fn row(&self, j: usize, k: usize, mut visit: impl FnMut(usize, &[(usize, f64)])) {
        let size = self.from.size();
        for i in 0..self.onto.size()[0] {
            let index = [i as f64, j as f64, k as f64];
            let point = self.affine.map(|[x, y, z, offset]| dot([x, y, z], index) + offset);
            let inside = (0..3).all(|axis| {
                (-0.5 - SLACK..=size[axis] as f64 - 0.5 + SLACK).contains(&point[axis])
            });
            if !inside {
                continue;
            }
            match self.interpolation {
                Interpolation::Trilinear => visit(i, &eight(size, point)),
                Interpolation::Nearest => {
                    let near: [usize; 3] = std::array::from_fn(|axis| {
                        ((point[axis] + 0.5).floor().max(0.0) as usize).min(size[axis] - 1)
                    });
                    visit(i, &[((near[2] * size[1] + near[1]) * size[0] + near[0], 1.0)]);
                }
            }
        }
    }
}

/// Places and weights of the voxels around a point.
fn eight(size: [usize; 3], point: [f64; 3]) -> [(usize, f64); 8] {
    let last = size.map(|side| side - 1);
    let within: [f64; 3] = std::array::from_fn(|axis| point[axis].clamp(0.0, last[axis] as f64));
    let low = within.map(|x| x as usize);
    let high: [usize; 3] = std::array::from_fn(|axis| (low[axis] + 1).min(last[axis]));
    let part: [f64; 3] = std::array::from_fn(|axis| within[axis] - low[axis] as f64);
    std::array::from_fn(|corner| {
        let up = |axis: usize| corner >> axis & 1 == 1;
        let at = |axis: usize| if up(axis) { high[axis] } else { low[axis] };
        let share = |axis: usize| if up(axis) { part[axis] } else { 1.0 - part[axis] };
        let place = (at(2) * size[1] + at(1)) * size[0] + at(0);
        (place, share(0) * share(1) * share(2))
    })
}
