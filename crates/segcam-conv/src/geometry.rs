//! Shapes, with every convolution seen as a 3-D one.

use std::ops::Range;

use crate::ConvError;

/// Depth, height, width.
pub(crate) type Sides = [usize; 3];

/// One convolution on one input shape. A transposed one whose strides are all 1 has become an
/// ordinary one with mirrored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    /// Channels of one group.
    pub(crate) inputs: usize,
    /// Channels of one group.
    pub(crate) outputs: usize,
    pub(crate) input: Sides,
    pub(crate) output: Sides,
    pub(crate) kernel: Sides,
    pub(crate) stride: Sides,
    pub(crate) dilation: Sides,
    /// Cells before the input; fewer than none cuts cells off.
    pub(crate) padding: [isize; 3],
    pub(crate) transposed: bool,
}

impl Geometry {
    pub(crate) fn input_cells(&self) -> usize {
        self.input.iter().product()
    }

    pub(crate) fn output_cells(&self) -> usize {
        self.output.iter().product()
    }

    pub(crate) fn kernel_cells(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Cells of one slice of the output: a row of memory that is cut into tasks.
    pub(crate) fn plane(&self) -> usize {
        self.output[1] * self.output[2]
    }

    pub(crate) fn input_length(&self) -> usize {
        self.batch * self.groups * self.inputs * self.input_cells()
    }

    pub(crate) fn output_length(&self) -> usize {
        self.batch * self.groups * self.outputs * self.output_cells()
    }

    /// How many multiplications and additions the sums of products have.
    pub(crate) fn flops(&self) -> f64 {
        let cells = if self.transposed { self.input_cells() } else { self.output_cells() };
        2.0 * (self.batch * self.groups * self.inputs * self.outputs) as f64
            * (self.kernel_cells() * cells) as f64
    }

    /// A kernel of one cell at stride 1 treats all cells alike: they lie in one row.
    pub(crate) fn flattened(mut self) -> Self {
        if self.kernel == [1; 3] && self.stride == [1; 3] && self.output == self.input {
            self.input = [1, 1, self.input_cells()];
            self.output = self.input;
        }
        self
    }

    /// The convolution of a region of the input alone, and the output's cells that it reaches. `region`
    /// has the last sides.
    pub(crate) fn within(mut self, region: &[Range<usize>]) -> (Self, Vec<Range<usize>>) {
        let first = 3 - region.len();
        let along = |(range, at): (&Range<usize>, usize)| {
            let (stride, reach) = (self.stride[at] as isize, self.reach(at));
            let (start, last) = (range.start as isize, range.end as isize - 1);
            let padding = self.padding[at];
            let (from, to) = if self.transposed {
                (start * stride - padding, last * stride + reach - padding + 1)
            } else {
                let from = (start + padding - reach).max(0);
                ((from + stride - 1) / stride, (last + padding).div_euclid(stride) + 1)
            };
            let inside = |cell: isize| cell.clamp(0, self.output[at] as isize);
            let (from, to) = (inside(from), inside(to).max(inside(from)));
            self.input[at] = range.len();
            self.output[at] = (to - from) as usize;
            self.padding[at] +=
                if self.transposed { from - start * stride } else { start - from * stride };
            from as usize..to as usize
        };
        let cells = region.iter().zip(first..).map(along).collect();
        (self, cells)
    }

    /// How far apart the first and the last cell under the kernel are.
    fn reach(&self, side: usize) -> isize {
        ((self.kernel[side] - 1) * self.dilation[side]) as isize
    }

    /// The taps along one side of the output cells `phase, phase + steps, …`, where `steps` is the
    /// number of phases: the kernel's cell, and how far from the first tap it reads.
    pub(crate) fn taps(&self, side: usize, phase: usize) -> Vec<(usize, usize)> {
        let (stride, dilation) = (self.stride[side], self.dilation[side]);
        let cells = 0..self.kernel[side];
        if self.transposed {
            let last = self.last_tap(side);
            cells
                .filter(|k| k * dilation % stride == phase)
                .map(|k| (k, last - k * dilation / stride))
                .collect()
        } else {
            cells.map(|k| (k, k * dilation)).collect()
        }
    }

    /// Of a transposed convolution: how many cells back its farthest tap reads.
    pub(crate) fn last_tap(&self, side: usize) -> usize {
        (self.kernel[side] - 1) * self.dilation[side] / self.stride[side]
    }

    /// Along one side, the taps of how many different cells differ.
    pub(crate) fn phases(&self, side: usize) -> usize {
        if self.transposed { self.stride[side] } else { 1 }
    }

    /// The phase of an output cell, and the input cell that its tap of distance 0 reads.
    pub(crate) fn origin(&self, side: usize, cell: usize) -> (usize, isize) {
        let (stride, padding) = (self.stride[side] as isize, self.padding[side]);
        let cell = cell as isize;
        if self.transposed {
            let at = cell + padding;
            let first = at.div_euclid(stride) - self.last_tap(side) as isize;
            (at.rem_euclid(stride) as usize, first)
        } else {
            (0, cell * stride - padding)
        }
    }

    /// How many input cells `cells` neighbouring output cells read along a side, at most.
    pub(crate) fn span(&self, side: usize, cells: usize) -> usize {
        if self.transposed {
            (cells - 1).div_ceil(self.stride[side]) + self.last_tap(side) + 1
        } else {
            (cells - 1) * self.stride[side] + (self.kernel[side] - 1) * self.dilation[side] + 1
        }
    }
}

/// The product, or an error where it cannot be addressed.
pub(crate) fn cells(shape: &[usize]) -> Result<usize, ConvError> {
    let product = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
    product
        .filter(|cells| *cells <= isize::MAX as usize / 4)
        .ok_or_else(|| ConvError::TooLarge { shape: shape.to_vec() })
}
