use crate::MetricError;
use crate::values::{expect_finite, expect_length};

/// Residual, relative to the right-hand side, at which the solver stops.
const TOLERANCE: f64 = 1e-5;

/// Below so many pixels there is no coarser grid to start from.
const COARSEST: usize = 64;

/// Fills removed pixels by the weighted mean of their neighbours, all removed pixels at once, so that
/// the hole gives nothing away about what was there.
///
/// In images the neighbours at a side weigh 1/6 and those at a corner 1/12; neighbours beyond the
/// border do not count. In volumes it is 1/14, 1/28 and 1/56 for those at a face, an edge and a
/// corner. ROAD's noisy linear imputation without the noise: Rong et al., "A Consistent and Efficient
/// Evaluation Strategy for Attribution Methods", ICML 2022,
/// [arXiv 2202.00449](https://arxiv.org/abs/2202.00449).
///
/// # Shapes
/// - `image`: channel after channel, each with the pixels of `size` (rows, columns) or (depth, rows,
///   columns), the last index fastest
/// - `keep`: one value for each pixel of `size`
///
/// # Errors
/// Lengths that differ, values that are not finite, no pixel kept.
///
/// # Example
/// ```
/// let filled = segcam_metrics::impute(&[1.0, 9.0, 3.0], &[1, 3], &[true, false, true])?;
/// assert!((filled[1] - 2.0).abs() < 1e-4);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn impute(image: &[f32], size: &[usize], keep: &[bool]) -> Result<Vec<f32>, MetricError> {
    let pixels = size.iter().product::<usize>();
    expect_length("the mask of kept pixels", keep.len(), pixels)?;
    let channels = image.len().div_ceil(pixels.max(1)).max(1);
    expect_length("the image, all channels,", image.len(), channels * pixels)?;
    expect_finite("the image", image)?;
    if !keep.contains(&true) {
        let reason = "no pixel is left to fill the others from";
        return Err(MetricError::Undefined { metric: "imputation", reason });
    }
    let grid = match *size {
        [rows, columns] => Grid::new([1, rows, columns], keep.to_vec()),
        [depth, rows, columns] => Grid::new([depth, rows, columns], keep.to_vec()),
        _ => {
            let reason = "sizes are (rows, columns) or (depth, rows, columns)";
            return Err(MetricError::Undefined { metric: "imputation", reason });
        }
    };
    let channel = |values: &[f32]| {
        let values: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        grid.filled(values).into_iter().map(|value| value as f32)
    };
    Ok(image.chunks(pixels).flat_map(channel).collect())
}

/// The removed pixels of a grid, what they touch, and a coarser grid for the first guess.
struct Grid {
    /// Depth (1 for images), rows, columns.
    size: [usize; 3],
    keep: Vec<bool>,
    /// Places of the removed pixels.
    holes: Vec<usize>,
    /// Neighbours of all removed pixels, one after the other: where they are and what they weigh.
    links: Vec<(u32, f32)>,
    /// Where the links of each removed pixel end.
    ends: Vec<usize>,
    coarser: Option<Box<Grid>>,
}

impl Grid {
    fn new(size: [usize; 3], keep: Vec<bool>) -> Self {
        let holes: Vec<usize> = (0..keep.len()).filter(|&at| !keep[at]).collect();
        let mut grid = Self { size, keep, holes, links: vec![], ends: vec![], coarser: None };
        for hole in 0..grid.holes.len() {
            grid.link(grid.holes[hole]);
            grid.ends.push(grid.links.len());
        }
        if grid.keep.len() > COARSEST && !grid.holes.is_empty() {
            let half = size.map(|side| side.div_ceil(2));
            let mut some = vec![false; half.iter().product()];
            let kept = (0..grid.keep.len()).filter(|&at| grid.keep[at]);
            kept.for_each(|at| some[grid.parent(at)] = true);
            grid.coarser = Some(Box::new(Self::new(half, some)));
        }
        grid
    }

    fn coordinates(&self, at: usize) -> [usize; 3] {
        let [_, rows, columns] = self.size;
        [at / (rows * columns), at / columns % rows, at % columns]
    }

    /// Adds every neighbour that touches a pixel: half the weight for each further axis along which
    /// it lies apart.
    fn link(&mut self, at: usize) {
        let whole: f32 = if self.size[0] == 1 { 6.0 } else { 14.0 };
        let [z, y, x] = self.coordinates(at);
        let around = |c: usize, side: usize| c.saturating_sub(1)..(c + 2).min(side);
        let [depth, rows, columns] = self.size;
        for k in around(z, depth) {
            for i in around(y, rows) {
                for j in around(x, columns) {
                    let apart = i32::from(k != z) + i32::from(i != y) + i32::from(j != x);
                    if apart > 0 {
                        let weight = 2.0 / whole * 0.5f32.powi(apart);
                        self.links.push((((k * rows + i) * columns + j) as u32, weight));
                    }
                }
            }
        }
    }

    /// The pixel of the coarser grid that covers this one.
    fn parent(&self, at: usize) -> usize {
        let [z, y, x] = self.coordinates(at);
        let [_, rows, columns] = self.size.map(|side| side.div_ceil(2));
        (z / 2 * rows + y / 2) * columns + x / 2
    }

    fn filled(&self, mut values: Vec<f64>) -> Vec<f64> {
        if !self.holes.is_empty() {
            self.guess(&mut values);
            self.solve(&mut values);
        }
        values
    }

    /// Sets the removed pixels to what the coarser grid says, or to the mean of what is kept.
    fn guess(&self, values: &mut [f64]) {
        let cell = |at| if self.coarser.is_some() { self.parent(at) } else { 0 };
        let cells = self.coarser.as_ref().map_or(1, |coarser| coarser.keep.len());
        let mut sums = vec![(0.0, 0); cells];
        for at in (0..values.len()).filter(|&at| self.keep[at]) {
            let (sum, count) = &mut sums[cell(at)];
            *sum += values[at];
            *count += 1;
        }
        let mut means: Vec<f64> =
            sums.into_iter().map(|(sum, count)| sum / f64::from(count.max(1))).collect();
        if let Some(coarser) = &self.coarser {
            means = coarser.filled(means);
        }
        self.holes.iter().for_each(|&at| values[at] = means[cell(at)]);
    }

    /// Conjugate gradients on `Σ_n w_n (x − x_n) = 0` for every removed pixel.
    fn solve(&self, values: &mut [f64]) {
        let size = values.iter().map(|value| value * value).sum::<f64>();
        let mut residual = vec![0.0; values.len()];
        self.apply(values, |at, left| residual[at] = -left);
        let dot = |a: &[f64], b: &[f64]| self.holes.iter().map(|&at| a[at] * b[at]).sum::<f64>();
        // Zero at kept pixels, and so stays what they are.
        let mut direction = residual.clone();
        let mut error = dot(&residual, &residual);
        let mut change = vec![0.0; values.len()];
        for _ in 0..self.holes.len() {
            if error <= TOLERANCE * TOLERANCE * size {
                return;
            }
            self.apply(&direction, |at, value| change[at] = value);
            let step = error / dot(&direction, &change);
            for &at in &self.holes {
                values[at] += step * direction[at];
                residual[at] -= step * change[at];
            }
            let next = dot(&residual, &residual);
            for &at in &self.holes {
                direction[at] = residual[at] + next / error * direction[at];
            }
            error = next;
        }
    }

    fn apply(&self, values: &[f64], mut put: impl FnMut(usize, f64)) {
        let mut start = 0;
        for (&at, &end) in self.holes.iter().zip(&self.ends) {
            let links = self.links[start..end].iter();
            let term =
                |(n, weight): &(u32, f32)| f64::from(*weight) * (values[at] - values[*n as usize]);
            put(at, links.map(term).sum());
            start = end;
        }
    }
}
