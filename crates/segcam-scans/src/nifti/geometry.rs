//! Affines of headers, as nibabel finds them.

use super::Header;
use crate::Grid;
use crate::matrix::{determinant, nearest_rotation, transpose};

impl Header {
    /// nibabel's `get_best_affine` in millimetres: the sform if it has a code, else the qform if it has
    /// one, else voxels of `pixdim` around the middle.
    pub(super) fn affine(&self) -> Result<[[f64; 4]; 3], String> {
        let mut affine = match self.code() {
            0 => self.base_affine(),
            _ if self.sform_code > 0 => self.rows,
            _ => self.qform()?,
        };
        // nibabel leaves the unit to its user.
        let millimetres = match self.xyzt_units & 7 {
            1 => 1000.0,
            3 => 0.001,
            _ => 1.0,
        };
        affine.iter_mut().flatten().for_each(|number| *number *= millimetres);
        Ok(affine)
    }

    /// The code of the affine that is used: 0 unknown, 1 scanner, 2 aligned, …
    pub(super) fn code(&self) -> i64 {
        if self.sform_code > 0 { self.sform_code } else { self.qform_code }
    }

    fn base_affine(&self) -> [[f64; 4]; 3] {
        // Radiological: the first axis runs to the left.
        let direction = [-1.0, 1.0, 1.0];
        let present = self.dim[0].clamp(0, 3) as usize;
        let mut affine = [[0.0; 4]; 3];
        for axis in 0..3 {
            let (side, step) = match axis < present {
                true => (self.dim[axis + 1], self.pixdim[axis + 1]),
                false => (1, 1.0),
            };
            let step = direction[axis] * step;
            affine[axis][axis] = step;
            affine[axis][3] = -(side as f64 - 1.0) / 2.0 * step;
        }
        affine
    }

    fn qform(&self) -> Result<[[f64; 4]; 3], String> {
        let [b, c, d] = self.quaternion;
        let epsilon = if self.version == 1 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let rest = 1.0 - (b * b + c * c + d * d);
        let a = match rest.abs() < 3.0 * epsilon {
            true => 0.0,
            false if rest >= 0.0 => rest.sqrt(),
            false => {
                return Err(format!(
                    "the quaternion of its qform, {:?}, is no rotation",
                    [b, c, d]
                ));
            }
        };
        let rotation = rotation_of([a, b, c, d]);
        let [qfac, steps @ ..] = self.pixdim;
        let steps = [steps[0], steps[1], qfac * steps[2]];
        Ok(std::array::from_fn(|row| {
            let [x, y, z] = std::array::from_fn(|axis| rotation[row][axis] * steps[axis]);
            [x, y, z, self.offset[row]]
        }))
    }

    /// Sets sform and qform from a grid; the qform has a code only if it can say the same.
    pub(super) fn set_geometry(&mut self, grid: &Grid, code: i64) {
        let affine = grid.affine();
        self.rows = *affine;
        self.sform_code = code;
        self.pixdim[1..4].copy_from_slice(&grid.spacing());
        let mut axes = grid.directions();
        self.pixdim[0] = 1.0;
        if determinant(&axes) < 0.0 {
            self.pixdim[0] = -1.0;
            axes.iter_mut().for_each(|row| row[2] = -row[2]);
        }
        let rotation = nearest_rotation(&axes);
        let same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5;
        if axes.iter().flatten().zip(rotation.iter().flatten()).all(same) {
            self.qform_code = code;
            self.quaternion = quaternion_of(&rotation);
            self.offset = affine.map(|row| row[3]);
        } else {
            (self.qform_code, self.quaternion, self.offset) = (0, [0.0; 3], [0.0; 3]);
        }
    }
}

/// Of any length, as nibabel's `quat2mat`.
fn rotation_of([w, x, y, z]: [f64; 4]) -> [[f64; 3]; 3] {
    let s = 2.0 / (w * w + x * x + y * y + z * z);
    let ([xs, ys, zs], w) = ([x * s, y * s, z * s], w);
    [
        [1.0 - (y * ys + z * zs), x * ys - w * zs, x * zs + w * ys],
        [x * ys + w * zs, 1.0 - (x * xs + z * zs), y * zs - w * xs],
        [x * zs - w * ys, y * zs + w * xs, 1.0 - (x * xs + y * ys)],
    ]
}

/// `b, c, d` of the unit quaternion whose `a` is not negative.
///
/// The largest of the four is taken from the diagonal and divides the others, as in Shepperd, Journal
/// of Guidance and Control 1 (1978).
fn quaternion_of(rotation: &[[f64; 3]; 3]) -> [f64; 3] {
    let [x, y, z] = transpose(rotation);
    // Four times the products of the quaternion's parts with each of them.
    let rows = [
        [1.0 + x[0] + y[1] + z[2], y[2] - z[1], z[0] - x[2], x[1] - y[0]],
        [y[2] - z[1], 1.0 + x[0] - y[1] - z[2], y[0] + x[1], z[0] + x[2]],
        [z[0] - x[2], y[0] + x[1], 1.0 - x[0] + y[1] - z[2], z[1] + y[2]],
        [x[1] - y[0], z[0] + x[2], z[1] + y[2], 1.0 - x[0] - y[1] + z[2]],
    ];
    let largest = (0..4).max_by(|a, b| rows[*a][*a].total_cmp(&rows[*b][*b])).unwrap_or(0);
    let length = rows[largest].iter().map(|part| part * part).sum::<f64>().sqrt();
    let sign = if rows[largest][0] < 0.0 { -1.0 } else { 1.0 };
    let [_, b, c, d] = rows[largest].map(|part| sign * part / length);
    [b, c, d]
}
