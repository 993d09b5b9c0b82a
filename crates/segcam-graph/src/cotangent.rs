//! Gradients on their way back, of which only the part that is not zero is held.

use std::ops::Range;

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, Shape, Slice, TensorMetadata};

/// An interval of cells along each axis in space.
pub(crate) type Region = Vec<Range<usize>>;

/// The derivative of a score by a value `[N, C, sides…]`. A score of few pixels depends on few cells of
/// the last layers: such a cotangent is zero outside of a region, and is held, and taken back, as the
/// region alone.
#[derive(Debug, Clone)]
pub(crate) struct Cotangent<B: Backend> {
    /// All of it, or what lies in its region.
    pub(crate) values: FloatTensor<B>,
    within: Option<Within>,
}

#[derive(Debug, Clone)]
struct Within {
    region: Region,
    /// Of the whole.
    sides: Vec<usize>,
}

impl<B: Backend> Cotangent<B> {
    pub(crate) fn whole(values: FloatTensor<B>) -> Self {
        Self { values, within: None }
    }

    /// What is zero outside of `region`, of which `values` are given, in a value of these `sides`.
    pub(crate) fn within(values: FloatTensor<B>, region: Region, sides: &[usize]) -> Self {
        let all = region.iter().zip(sides).all(|(range, side)| range.len() == *side);
        let within = (!all).then(|| Within { region, sides: sides.to_vec() });
        Self { values, within }
    }

    /// `values`, which are zero outside of the region, if there is one.
    pub(crate) fn cut(values: FloatTensor<B>, region: Option<&Region>) -> Self {
        let Some(region) = region else { return Self::whole(values) };
        let sides = values.shape()[2..].to_vec();
        Self::within(B::float_slice(values, &slices(region)), region.clone(), &sides)
    }

    /// The region, unless it is everything, and the sides of the whole.
    pub(crate) fn region(&self) -> Option<(&Region, &[usize])> {
        self.within.as_ref().map(|within| (&within.region, &within.sides[..]))
    }

    /// The whole, zeros included.
    pub(crate) fn into_whole(self) -> FloatTensor<B> {
        match self.within {
            Some(Within { region, sides }) => {
                let all = sides.iter().map(|side| 0..*side).collect();
                widen::<B>(self.values, &region, &all)
            }
            None => self.values,
        }
    }

    /// The same cells of a map that treats all cells alike.
    pub(crate) fn map(self, map: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>) -> Self {
        Self { values: map(self.values), within: self.within }
    }

    /// The cells of `tensor` that it holds; all along axes of length one, which are broadcast.
    pub(crate) fn part_of(&self, tensor: FloatTensor<B>) -> FloatTensor<B> {
        match self.slices_of(&tensor.shape()) {
            Some(slices) => B::float_slice(tensor, &slices),
            None => tensor,
        }
    }

    pub(crate) fn part_of_mask(&self, mask: BoolTensor<B>) -> BoolTensor<B> {
        match self.slices_of(&mask.shape()) {
            Some(slices) => B::bool_slice(mask, &slices),
            None => mask,
        }
    }

    pub(crate) fn part_of_indices(&self, indices: IntTensor<B>) -> IntTensor<B> {
        match self.slices_of(&indices.shape()) {
            Some(slices) => B::int_slice(indices, &slices),
            None => indices,
        }
    }

    fn slices_of(&self, shape: &Shape) -> Option<Vec<Slice>> {
        let Within { region, sides } = self.within.as_ref()?;
        let mut slices = slices(region);
        for (axis, side) in sides.iter().enumerate() {
            if shape[axis + 2] != *side {
                slices[axis + 2] = Slice::full();
            }
        }
        Some(slices)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self { values: a, within: Some(one) }, Self { values: b, within: Some(two) }) => {
                let both = one.region.iter().zip(&two.region);
                let hull = both.map(|(a, b)| a.start.min(b.start)..a.end.max(b.end)).collect();
                let a = widen::<B>(a, &one.region, &hull);
                let b = widen::<B>(b, &two.region, &hull);
                Self::within(B::float_add(a, b), hull, &one.sides)
            }
            (one, other) => Self::whole(B::float_add(one.into_whole(), other.into_whole())),
        }
    }
}

/// What lies at `from`, with zeros around it, so that it is what lies at `to`.
fn widen<B: Backend>(values: FloatTensor<B>, from: &Region, to: &Region) -> FloatTensor<B> {
    if from == to {
        return values;
    }
    let mut shape = values.shape();
    let mut place = vec![];
    for (axis, (from, to)) in from.iter().zip(to).enumerate() {
        shape[axis + 2] = to.len();
        place.push(from.start - to.start..from.end - to.start);
    }
    let zeros = B::float_zeros(shape, &values.device(), values.dtype().into());
    B::float_slice_assign(zeros, &slices(&place), values)
}

/// All images and channels of a region.
fn slices(region: &Region) -> Vec<Slice> {
    let space = region.iter().cloned().map(Slice::from);
    [Slice::full(), Slice::full()].into_iter().chain(space).collect()
}
