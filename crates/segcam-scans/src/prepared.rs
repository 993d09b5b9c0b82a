use std::borrow::Cow;
use std::ops::Deref;

use crate::orientation::Turn;
use crate::{Axes, Grid, Interpolation, Orientation, Resampling, Scan, ScanError};

/// A scan as a network takes it, and the [`Way`] back; made by [`Recipe::apply`](crate::Recipe::apply).
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedScan {
    scan: Scan,
    way: Way,
}

/// The way between a scan and the input of a network, without values of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    grid: Grid,
    original: Grid,
    /// Of the turned scan.
    orientation: Orientation,
    /// Where the crop starts in the turned scan.
    start: [usize; 3],
    cropped: Grid,
    axes: Axes,
}

/// A side of a network's input.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Side {
    /// Where larger indices lie, such as `R`.
    pub towards: char,
    /// Where smaller indices lie, such as `L`.
    pub from: char,
    /// Millimetres between neighbours.
    pub spacing: f64,
}

impl PreparedScan {
    /// `cropped` is scaled already, and resampled onto `grid` here.
    pub(crate) fn new(
        cropped: Scan,
        grid: Grid,
        original: Grid,
        orientation: Orientation,
        start: [usize; 3],
        axes: Axes,
    ) -> Result<Self, ScanError> {
        let cropped_grid = cropped.grid().clone();
        let scan = if grid == cropped_grid {
            cropped
        } else {
            cropped.resampled(grid, Interpolation::Trilinear, 0.0)?
        };
        let grid = scan.grid().clone();
        let way = Way { grid, original, orientation, start, cropped: cropped_grid, axes };
        Ok(Self { scan, way })
    }

    /// The values that the network sees, on their grid.
    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    /// Values in C order and their sizes: channels, then the sides in the network's order.
    pub fn input(&self) -> (Vec<f32>, [usize; 4]) {
        (self.to_network(self.scan.values()), self.sizes())
    }

    /// The same and the way, where nothing else is wanted of the scan.
    pub fn into_input(self) -> (Vec<f32>, [usize; 4], Way) {
        let sizes = self.sizes();
        let values = match self.axes == Axes::ZYX {
            true => self.scan.into_values(),
            false => self.way.to_network(self.scan.values()),
        };
        (values, sizes, self.way)
    }

    fn sizes(&self) -> [usize; 4] {
        let [a, b, c] = self.way.sizes();
        [self.scan.channels(), a, b, c]
    }
}

impl Deref for PreparedScan {
    type Target = Way;

    fn deref(&self) -> &Way {
        &self.way
    }
}

impl Way {
    /// The grid of the network's input; its `i` is the fastest axis of [`PreparedScan::scan`], whatever
    /// order the network has.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The grid of the scan that was prepared.
    pub fn original(&self) -> &Grid {
        &self.original
    }

    /// Whether the network sees other voxels than the scan's own.
    pub fn is_resampled(&self) -> bool {
        self.grid != self.cropped
    }

    /// The same way without resampling: turned and cropped only, on the scan's own voxels.
    pub fn without_resampling(&self) -> Self {
        Self { grid: self.cropped.clone(), ..self.clone() }
    }

    /// The voxel nearest to the place of a `voxel` of `other`; both in the order of the network's sides.
    ///
    /// ```
    /// use segcam_scans::{Grid, Recipe, Scan};
    ///
    /// let grid = Grid::new([9, 9, 4], [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 3., 0.]])?;
    /// let recipe = Recipe { spacing: Some([3.0; 3]), ..Recipe::default() };
    /// let prepared = recipe.apply(&Scan::new(grid, 1, vec![0.5; 324])?)?;
    /// let own = prepared.without_resampling();
    /// assert!(prepared.is_resampled() && !own.is_resampled());
    /// // Slice, row, column: the middle one of three by three.
    /// assert_eq!(own.nearest_to(&prepared, [3, 1, 2]), [3, 4, 7]);
    /// # Ok::<(), segcam_scans::ScanError>(())
    /// ```
    pub fn nearest_to(&self, other: &Self, voxel: [usize; 3]) -> [usize; 3] {
        let place = other.grid.world(other.axes.to_axes(voxel).map(|index| index as f64));
        let (found, size) = (self.grid.index(place), self.grid.size());
        let nearest =
            |axis: usize| found[axis].round().clamp(0.0, (size[axis] - 1) as f64) as usize;
        self.axes.to_sides([nearest(0), nearest(1), nearest(2)])
    }

    /// How many voxels there are along the network's three sides, slowest first.
    pub fn sizes(&self) -> [usize; 3] {
        self.axes.to_sides(self.grid.size())
    }

    /// The network's three sides, slowest first.
    pub fn sides(&self) -> [Side; 3] {
        let (ends, spacing) = (self.orientation.ends(), self.grid().spacing());
        let side = |axis: usize| Side {
            towards: ends[axis].1,
            from: ends[axis].0,
            spacing: spacing[axis],
        };
        self.axes.to_sides([side(0), side(1), side(2)])
    }

    /// Values of the network, such as a map, on the original grid and with `i` fastest: in file order,
    /// resampled back onto the scan's voxels, 0 outside of the crop, turned back. Any number of channels.
    ///
    /// # Errors
    /// If the values are not some channels of the network's input.
    pub fn back<'a>(
        &self,
        values: impl Into<Cow<'a, [f32]>>,
        how: Interpolation,
    ) -> Result<Vec<f32>, ScanError> {
        let values = values.into();
        self.grid().channels_of(&values)?;
        let size = self.axes.turn().from.map(|axis| self.grid().size()[axis]);
        let values = turned(self.axes.turn().inverse(), size, values);
        let cropped = resampled(self.grid(), &self.cropped, how, values)?;
        let turn = self.turn();
        let whole = turn.from.map(|axis| self.original.size()[axis]);
        let whole_values = match self.cropped.size() == whole {
            true => cropped,
            false => placed(&cropped, self.cropped.size(), self.start, whole),
        };
        Ok(turned(turn.inverse(), whole, whole_values.into()))
    }

    /// Values that belong to the scan, such as an annotation, as the network has them: turned, cropped,
    /// the nearest voxel of each, in the network's order. Values are neither clipped nor scaled.
    ///
    /// # Errors
    /// If it lies on another grid than the scan that was prepared, by more than a tenth of a voxel.
    pub fn forth(&self, annotation: &Scan) -> Result<Vec<f32>, ScanError> {
        let finest = self.original.spacing().into_iter().fold(f64::INFINITY, f64::min);
        if !annotation.grid().same_space(&self.original, finest / 10.0) {
            return Err(ScanError::OtherGrid {
                given: Box::new(annotation.grid().clone()),
                wanted: Box::new(self.original.clone()),
            });
        }
        let turned =
            Scan::new(self.original.clone(), annotation.channels(), annotation.values().to_vec())?
                .reoriented(self.orientation);
        let cropped = turned.cropped(self.start, self.cropped.size())?.into_values();
        let near = resampled(&self.cropped, self.grid(), Interpolation::Nearest, cropped)?;
        Ok(self.to_network(&near))
    }

    /// From the original to the turned scan.
    fn turn(&self) -> Turn {
        self.orientation.turn_from(self.original.orientation())
    }

    /// Values of the network's [grid](Self::grid), one or more channels with `i` fastest, in the order of
    /// the network's sides.
    ///
    /// # Errors
    /// If they are not some channels of the grid's voxels.
    pub fn in_order(&self, values: &[f32]) -> Result<Vec<f32>, ScanError> {
        self.grid().channels_of(values)?;
        Ok(self.to_network(values))
    }

    fn to_network(&self, values: &[f32]) -> Vec<f32> {
        turned(self.axes.turn(), self.grid().size(), values.into())
    }
}

/// Nothing is copied of values that are not turned.
fn turned(turn: Turn, size: [usize; 3], values: Cow<[f32]>) -> Vec<f32> {
    if turn == Turn::NONE {
        return values.into_owned();
    }
    let voxels = size.iter().product();
    if values.len() == voxels {
        return turn.apply(size, &values);
    }
    let channels = values.chunks_exact(voxels);
    channels.flat_map(|channel| turn.apply(size, channel)).collect()
}

/// Nothing changes between equal grids.
fn resampled(
    from: &Grid,
    onto: &Grid,
    how: Interpolation,
    values: Vec<f32>,
) -> Result<Vec<f32>, ScanError> {
    if from == onto {
        return Ok(values);
    }
    Resampling::new(from.clone(), onto.clone(), how).apply(&values, 0.0)
}

/// Channels of a box within channels of something larger, 0 around it.
fn placed(values: &[f32], size: [usize; 3], start: [usize; 3], whole: [usize; 3]) -> Vec<f32> {
    let channels = values.len() / size.iter().product::<usize>();
    let mut out = vec![0.0; channels * whole.iter().product::<usize>()];
    for (number, row) in values.chunks_exact(size[0]).enumerate() {
        let (channel, j, k) =
            (number / size[1] / size[2], number % size[1], number / size[1] % size[2]);
        let slice = channel * whole[2] + start[2] + k;
        let first = (slice * whole[1] + start[1] + j) * whole[0] + start[0];
        out[first..first + size[0]].copy_from_slice(row);
    }
    out
}
