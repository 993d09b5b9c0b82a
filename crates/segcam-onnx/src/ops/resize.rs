use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::{Dispatch as B, TensorMetadata};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use crate::value::{Call, Result, Tensor, Value, axes, side};

pub(super) const OPERATORS: &[&str] = &["Resize", "Upsample"];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let x = call.tensor(0)?;
    let resize = Resize::new(call, &x.shape().to_vec())?;
    call.expect_size(&resize.axes.iter().map(|axis| axis.to).collect::<Vec<_>>())?;
    Ok(vec![resize.apply(call, x)?.into()])
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// One axis: lengths before and after, and the scale that places are computed with.
struct Axis {
    from: usize,
    to: usize,
    scale: f64,
}

struct Resize {
    mode: Mode,
    coordinates: String,
    rounding: String,
    cubic: f64,
    exclude_outside: bool,
    axes: Vec<Axis>,
}

impl Resize {
    fn new(call: &Call, shape: &[usize]) -> Result<Self> {
        let old = call.node.operator == "Upsample" || call.node.opset < 11;
        let mode = match call.text("mode", "nearest").as_str() {
            "nearest" => Mode::Nearest,
            "linear" | "bilinear" | "trilinear" => Mode::Linear,
            "cubic" => Mode::Cubic,
            other => return Err(format!("mode {other} is not supported")),
        };
        if call.int("antialias", 0) != 0 {
            return Err("antialias is not supported".into());
        }
        let default = if old { "asymmetric" } else { "half_pixel" };
        let coordinates = call.text("coordinate_transformation_mode", default);
        const KNOWN: [&str; 5] = [
            "half_pixel",
            "half_pixel_symmetric",
            "pytorch_half_pixel",
            "align_corners",
            "asymmetric",
        ];
        if !KNOWN.contains(&coordinates.as_str()) {
            return Err(format!("coordinate_transformation_mode {coordinates} is not supported"));
        }
        let rounding =
            if old { "floor".into() } else { call.text("nearest_mode", "round_prefer_floor") };
        Ok(Self {
            mode,
            coordinates,
            rounding,
            cubic: call.float("cubic_coeff_a", -0.75),
            exclude_outside: call.int("exclude_outside", 0) != 0,
            axes: resized(call, shape, if old { 1 } else { 2 })?,
        })
    }

    fn apply(&self, call: &Call, x: Tensor) -> Result<Tensor> {
        if let Some(y) = self.by_burn(&x) {
            return Ok(y);
        }
        let mut y = x;
        for (dim, axis) in self.axes.iter().enumerate() {
            if !self.is_still(axis) {
                y = self.along(call, y, dim, axis)?;
            }
        }
        Ok(y)
    }

    fn is_still(&self, axis: &Axis) -> bool {
        axis.from == axis.to && (axis.scale == 1.0 || self.coordinates == "align_corners")
    }

    /// burn's own operation, for images whose scale is the ratio of their sides.
    fn by_burn(&self, x: &Tensor) -> Option<Tensor> {
        let [images, channels, height, width] = &self.axes[..] else { return None };
        let plain = |axis: &Axis| {
            let ratio = axis.to as f64 / axis.from as f64;
            (axis.scale - ratio).abs() <= 1e-6 * ratio && axis.to > 1
        };
        let whole = self.is_still(images) && self.is_still(channels);
        if !whole || !plain(height) || !plain(width) {
            return None;
        }
        let (mode, align_corners) = match (self.mode, self.coordinates.as_str()) {
            (Mode::Nearest, "asymmetric") if self.rounding == "floor" => {
                (InterpolateMode::Nearest, false)
            }
            (Mode::Linear, "align_corners") => (InterpolateMode::Bilinear, true),
            (Mode::Linear, "half_pixel" | "half_pixel_symmetric" | "pytorch_half_pixel") => {
                (InterpolateMode::Bilinear, false)
            }
            _ => return None,
        };
        let options = InterpolateOptions::new(mode).with_align_corners(align_corners);
        Some(B::interpolate(x.clone(), [height.to, width.to], options))
    }

    /// Weighted sums of the cells that lie around each new cell, along one axis.
    fn along(&self, call: &Call, x: Tensor, dim: usize, axis: &Axis) -> Result<Tensor> {
        let taps: Vec<Vec<(usize, f64)>> = (0..axis.to).map(|cell| self.taps(cell, axis)).collect();
        let count = taps.first().map_or(0, Vec::len);
        let mut shape = vec![1; self.axes.len()];
        shape[dim] = axis.to;
        let mut total: Option<Tensor> = None;
        for at in 0..count {
            let cells: Vec<usize> = taps.iter().map(|taps| taps[at].0).collect();
            let shares: Vec<f64> = taps.iter().map(|taps| taps[at].1).collect();
            let mut part = B::float_select(x.clone(), dim, call.indices(&cells));
            if count > 1 {
                part = B::float_mul(part, call.upload_floats(shares, &shape)?);
            }
            total = Some(match total {
                None => part,
                Some(total) => B::float_add(total, part),
            });
        }
        total.ok_or_else(|| "its result is empty".into())
    }

    /// The old cells that a new cell is mixed from, and their shares.
    fn taps(&self, cell: usize, axis: &Axis) -> Vec<(usize, f64)> {
        let place = self.place(cell as f64, axis);
        let last = axis.from as i64 - 1;
        let inside = |at: i64| at.clamp(0, last) as usize;
        match self.mode {
            Mode::Nearest => {
                let rounded = match self.rounding.as_str() {
                    "floor" => place.floor(),
                    "ceil" => place.ceil(),
                    "round_prefer_ceil" => (place + 0.5).floor(),
                    _ => (place - 0.5).ceil(),
                };
                vec![(inside(rounded as i64), 1.0)]
            }
            Mode::Linear => {
                let low = place.floor();
                let shares = [1.0 - (place - low), place - low];
                self.shared([0, 1].map(|at| low as i64 + at), shares, last)
            }
            Mode::Cubic => {
                let low = place.floor();
                let far = place - low;
                let shares = [1.0 + far, far, 1.0 - far, 2.0 - far].map(|far| self.curve(far));
                self.shared([-1, 0, 1, 2].map(|at| low as i64 + at), shares, last)
            }
        }
    }

    /// Cells beyond the border repeat the border's, or count nothing.
    fn shared<const N: usize>(
        &self,
        cells: [i64; N],
        mut shares: [f64; N],
        last: i64,
    ) -> Vec<(usize, f64)> {
        if self.exclude_outside {
            for (cell, share) in cells.iter().zip(&mut shares) {
                if !(0..=last).contains(cell) {
                    *share = 0.0;
                }
            }
            let sum: f64 = shares.iter().sum();
            shares = shares.map(|share| share / sum);
        }
        cells.map(|cell| cell.clamp(0, last) as usize).into_iter().zip(shares).collect()
    }

    /// Keys' cubic convolution kernel.
    fn curve(&self, far: f64) -> f64 {
        let a = self.cubic;
        if far <= 1.0 {
            ((a + 2.0) * far - (a + 3.0)) * far * far + 1.0
        } else {
            ((a * far - 5.0 * a) * far + 8.0 * a) * far - 4.0 * a
        }
    }

    /// Where a new cell lies among the old ones.
    fn place(&self, cell: f64, axis: &Axis) -> f64 {
        let (from, to) = (axis.from as f64, axis.to as f64);
        match self.coordinates.as_str() {
            "align_corners" if axis.to == 1 => 0.0,
            "align_corners" => cell * (from - 1.0) / (to - 1.0),
            "asymmetric" => cell / axis.scale,
            "pytorch_half_pixel" if axis.to == 1 => 0.0,
            "half_pixel_symmetric" => {
                let adjusted = to / (axis.scale * from);
                let offset = from / 2.0 * (1.0 - adjusted);
                offset + (cell + 0.5) / axis.scale - 0.5
            }
            _ => (cell + 0.5) / axis.scale - 0.5,
        }
    }
}

/// Lengths and scales of all axes, from `scales` or `sizes`.
fn resized(call: &Call, shape: &[usize], scales_at: usize) -> Result<Vec<Axis>> {
    let over = match call.ints("axes") {
        Some(given) => axes(&given, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let by_scale = |shape: &[usize], scales: Vec<f64>| -> Result<Vec<Axis>> {
        let fits = scales.len() == over.len() && scales.iter().all(|s| s.is_finite() && *s > 0.0);
        if !fits {
            return Err(format!("scales {scales:?} do not fit shape {shape:?}"));
        }
        let mut axes = still(shape);
        for (&at, &scale) in over.iter().zip(&scales) {
            // Scales of float32 such as 1.7 must not lose a cell to rounding.
            let to = (shape[at] as f64 * scale + 1e-4).floor();
            axes[at] = Axis { from: shape[at], to: to as usize, scale };
        }
        Ok(axes)
    };
    if let Some(scales) = call.node.attributes.get("scales") {
        return by_scale(shape, scales.floats.iter().map(|&scale| f64::from(scale)).collect());
    }
    if call.has(scales_at) && !call.known(scales_at)?.values.is_empty() {
        return by_scale(shape, call.known(scales_at)?.to_floats());
    }
    let sizes = call.known_ints(3)?.into_iter().map(side).collect::<Result<Vec<_>>>()?;
    if sizes.len() != over.len() || sizes.contains(&0) || shape.contains(&0) {
        return Err(format!("sizes {sizes:?} do not fit shape {shape:?}"));
    }
    let ratios = || over.iter().zip(&sizes).map(|(&at, &size)| size as f64 / shape[at] as f64);
    let policy = call.text("keep_aspect_ratio_policy", "stretch");
    let common = match policy.as_str() {
        "stretch" => None,
        "not_larger" => Some(ratios().fold(f64::INFINITY, f64::min)),
        "not_smaller" => Some(ratios().fold(0.0, f64::max)),
        other => return Err(format!("keep_aspect_ratio_policy {other} is not known")),
    };
    let mut axes = still(shape);
    for (&at, &size) in over.iter().zip(&sizes) {
        let from = shape[at];
        axes[at] = match common {
            None => Axis { from, to: size, scale: size as f64 / from as f64 },
            Some(scale) => Axis { from, to: (scale * from as f64 + 0.5).floor() as usize, scale },
        };
    }
    Ok(axes)
}

fn still(shape: &[usize]) -> Vec<Axis> {
    shape.iter().map(|&side| Axis { from: side, to: side, scale: 1.0 }).collect()
}
