use std::ptr::eq;

use burn::backend::Shape;
use burn::backend::ir::TensorIr;

/// Which places of an input an output cell depends on, along one of the output's dimensions.
pub(crate) enum Along {
    /// The output cell's own, or the only one of an input that is broadcast.
    Same,
    /// All of them, as far as is known.
    All,
    /// Those that the function gives for the output cell's place.
    Cells(Box<dyn Fn(usize) -> Vec<usize>>),
}

impl Along {
    pub(super) fn cells<C: IntoIterator<Item = usize>>(
        cells: impl Fn(usize) -> C + 'static,
    ) -> Self {
        Self::Cells(Box::new(move |place| cells(place).into_iter().collect()))
    }
}

/// What [`Along`] is for one input and one dimension. Inputs are told apart by where they stand in the
/// operation: one tensor may be several of them.
pub(crate) type Reads<'a> = Box<dyn Fn(&TensorIr, usize) -> Along + 'a>;

/// Each output cell reads its own place.
pub(super) fn same(_input: &TensorIr, _dim: usize) -> Along {
    Along::Same
}

/// Each output cell reads everything along `axes`.
pub(super) fn across(axes: &[usize]) -> impl Fn(&TensorIr, usize) -> Along + '_ {
    |_, dim| if axes.contains(&dim) { Along::All } else { Along::Same }
}

/// Everything of `tensor` along one dimension, the same place of the other inputs.
pub(super) fn anywhere(tensor: &TensorIr, axis: usize) -> impl Fn(&TensorIr, usize) -> Along + '_ {
    move |input, dim| if eq(input, tensor) && dim == axis { Along::All } else { Along::Same }
}

/// The same image of `x`, all its channels, and what `space` says of each axis in space.
pub(super) fn spatial(
    x: &TensorIr,
    space: impl Fn(usize) -> Along,
) -> impl Fn(&TensorIr, usize) -> Along {
    move |input, dim| match dim {
        0 if eq(input, x) => Along::Same,
        2.. if eq(input, x) => space(dim - 2),
        _ => Along::All,
    }
}

/// The leading dimensions that reshaping leaves alone.
pub(super) fn reshaped<'a>(
    from: &'a Shape,
    to: &'a Shape,
) -> impl Fn(&TensorIr, usize) -> Along + 'a {
    |_, dim| {
        let alone = dim < to.num_dims() && from[..=dim] == to[..=dim];
        if alone { Along::Same } else { Along::All }
    }
}

/// The cells under a window.
pub(super) fn window(
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    length: usize,
) -> Along {
    Along::cells(move |to| {
        let cells =
            (0..kernel).filter_map(move |k| (to * stride + k * dilation).checked_sub(padding));
        cells.filter(move |cell| *cell < length)
    })
}

/// The cells whose window a transposed convolution puts over an output cell.
pub(super) fn under_window(
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    length: usize,
) -> Along {
    Along::cells(move |to| {
        let starts = (0..kernel).filter_map(move |k| (to + padding).checked_sub(k * dilation));
        let starts = starts.filter(move |start| start % stride == 0);
        starts.map(move |start| start / stride).filter(move |at| *at < length)
    })
}
