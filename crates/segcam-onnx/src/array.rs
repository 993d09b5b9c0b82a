//! Small arrays that are known before the network runs: shapes, axes, scales.

use ndarray::{ArrayD, Axis, IxDyn};

/// What an array's numbers stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
}

/// Numbers on the host. Integers and truth values are held as `f64`, too: exact up to 2⁵³, which no
/// shape exceeds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) kind: Kind,
    pub(crate) values: ArrayD<f64>,
}

impl Array {
    pub(crate) fn new(kind: Kind, values: ArrayD<f64>) -> Self {
        Self { kind, values }
    }

    /// `values` must be as many as the shape says.
    pub(crate) fn from_vec(kind: Kind, shape: &[usize], values: Vec<f64>) -> Result<Self, String> {
        let values =
            ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|error| error.to_string())?;
        Ok(Self { kind, values })
    }

    pub(crate) fn ints(values: impl IntoIterator<Item = i64>) -> Self {
        let values: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
        Self::new(Kind::Int, ndarray::Array1::from(values).into_dyn())
    }

    pub(crate) fn scalar(kind: Kind, value: f64) -> Self {
        Self::new(kind, ArrayD::from_elem(IxDyn(&[]), value))
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.values.shape()
    }

    /// Sides, axes and indices; a file may hold any number in their place.
    pub(crate) fn to_ints(&self) -> Result<Vec<i64>, String> {
        let whole = |&value: &f64| match value.fract() == 0.0 {
            true => Ok(value as i64),
            false => Err(format!("whole numbers are wanted where {value} is given")),
        };
        self.values.iter().map(whole).collect()
    }

    pub(crate) fn to_floats(&self) -> Vec<f64> {
        self.values.iter().copied().collect()
    }

    /// The only number, if there is one only.
    pub(crate) fn single(&self) -> Option<f64> {
        if self.values.len() == 1 { self.values.first().copied() } else { None }
    }

    pub(crate) fn map(&self, kind: Kind, function: impl Fn(f64) -> f64) -> Self {
        Self::new(kind, self.values.mapv(function))
    }

    /// Both broadcast to `shape`, then combined.
    pub(crate) fn zip(
        &self,
        other: &Self,
        kind: Kind,
        shape: &[usize],
        function: impl Fn(f64, f64) -> f64,
    ) -> Result<Self, String> {
        let (left, right) = (self.expand(shape)?, other.expand(shape)?);
        let values = ndarray::Zip::from(&left.values).and(&right.values);
        Ok(Self::new(kind, values.map_collect(|&a, &b| function(a, b))))
    }

    pub(crate) fn expand(&self, shape: &[usize]) -> Result<Self, String> {
        let values = self.values.broadcast(IxDyn(shape));
        let values = values
            .ok_or_else(|| format!("shape {:?} does not broadcast to {shape:?}", self.shape()))?;
        Ok(Self::new(self.kind, values.to_owned()))
    }

    pub(crate) fn reshape(&self, shape: &[usize]) -> Result<Self, String> {
        Self::from_vec(self.kind, shape, self.to_floats())
    }

    pub(crate) fn permute(&self, axes: &[usize]) -> Self {
        let values = self.values.view().permuted_axes(IxDyn(axes));
        Self::new(self.kind, values.as_standard_layout().to_owned())
    }

    /// The cells `indices` of one axis.
    pub(crate) fn select(&self, axis: usize, indices: &[usize]) -> Self {
        Self::new(self.kind, self.values.select(Axis(axis), indices))
    }

    pub(crate) fn concat(parts: &[Self], axis: usize) -> Result<Self, String> {
        let views: Vec<_> = parts.iter().map(|part| part.values.view()).collect();
        let values = ndarray::concatenate(Axis(axis), &views).map_err(|e| e.to_string())?;
        Ok(Self::new(parts[0].kind, values))
    }

    /// Folds one axis, which stays with length one.
    pub(crate) fn fold(&self, axis: usize, first: f64, function: fn(f64, f64) -> f64) -> Self {
        let folded = self.values.fold_axis(Axis(axis), first, |&a, &b| function(a, b));
        Self::new(self.kind, folded.insert_axis(Axis(axis)))
    }
}

/// The shape that both broadcast to.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let side =
        |shape: &[usize], at: usize| (at + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|at| match (side(a, at), side(b, at)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(format!("shapes {a:?} and {b:?} do not broadcast")),
        })
        .collect()
}
