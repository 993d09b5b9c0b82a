//! Weights as the kernels read them.

use crate::geometry::Geometry;
use crate::simd::PANEL;

/// Where a weight lies in the user's list, seen as that of an ordinary convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) values: &'a [f32],
    /// `[in, out/groups, …]` instead of `[out, in/groups, …]`.
    pub(crate) exchanged: bool,
    /// Last cell of the kernel first.
    pub(crate) mirrored: bool,
}

impl Weights<'_> {
    /// The kernel between two channels of a group.
    pub(crate) fn kernel(
        &self,
        g: &Geometry,
        group: usize,
        output: usize,
        input: usize,
    ) -> impl Fn(usize) -> f32 {
        let cells = g.kernel_cells();
        let at = if self.exchanged {
            (group * g.inputs + input) * g.outputs + output
        } else {
            (group * g.outputs + output) * g.inputs + input
        };
        let kernel = &self.values[at * cells..][..cells];
        let mirrored = self.mirrored;
        move |cell| kernel[if mirrored { cells - 1 - cell } else { cell }]
    }
}

/// Weights of [`PANEL`] output channels beside one another, for each tap: `[group, panel, tap]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panels {
    pub(crate) values: Vec<[f32; PANEL]>,
    pub(crate) taps: usize,
}

impl Panels {
    /// `value(group, output, input)` gives the taps of two channels.
    pub(crate) fn new<I: Iterator<Item = f32>>(
        g: &Geometry,
        taps_of_one: usize,
        value: impl Fn(usize, usize, usize) -> I,
    ) -> Self {
        let taps = g.inputs * taps_of_one;
        let panels = g.outputs.div_ceil(PANEL);
        let mut values = vec![[0.0; PANEL]; g.groups * panels * taps];
        for group in 0..g.groups {
            for output in 0..g.outputs {
                let panel = &mut values[(group * panels + output / PANEL) * taps..][..taps];
                for input in 0..g.inputs {
                    let rows = &mut panel[input * taps_of_one..][..taps_of_one];
                    for (row, value) in rows.iter_mut().zip(value(group, output, input)) {
                        row[output % PANEL] = value;
                    }
                }
            }
        }
        Self { values, taps }
    }

    /// The panel that begins with an output channel.
    pub(crate) fn of(&self, g: &Geometry, group: usize, output: usize) -> &[[f32; PANEL]] {
        let panels = g.outputs.div_ceil(PANEL);
        &self.values[(group * panels + output / PANEL) * self.taps..][..self.taps]
    }
}
