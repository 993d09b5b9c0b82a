//! Weights as the kernels read them.

use rayon::prelude::*;

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

/// Numbers of [`PANEL`] output channels beside one another: `[group, panel, product, tap]`, where
/// there is one product for direct convolution, and one for each cell of a tile for Winograd's.
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    values: Vec<[f32; PANEL]>,
    products: usize,
    taps: usize,
}

impl Panels {
    /// `write(group, output, input, put)` calls `put(product, tap, number)` for the `taps` that join
    /// two channels.
    pub(crate) fn new(
        g: &Geometry,
        products: usize,
        taps_of_one: usize,
        write: impl Fn(usize, usize, usize, &mut dyn FnMut(usize, usize, f32)) + Sync,
    ) -> Self {
        let taps = g.inputs * taps_of_one;
        let panels = g.outputs.div_ceil(PANEL);
        let mut values = vec![[0.0; PANEL]; g.groups * panels * products * taps];
        // A kernel without a tap for some cells leaves nothing to write.
        let panel_size = (products * taps).max(1);
        values.par_chunks_mut(panel_size).enumerate().for_each(|(at, panel)| {
            let (group, first) = (at / panels, at % panels * PANEL);
            for output in first..(first + PANEL).min(g.outputs) {
                for input in 0..g.inputs {
                    write(group, output, input, &mut |product, tap, value| {
                        let row = product * taps + input * taps_of_one + tap;
                        panel[row][output - first] = value;
                    });
                }
            }
        });
        Self { values, products, taps }
    }

    /// The panel that begins with an output channel.
    pub(crate) fn of(
        &self,
        g: &Geometry,
        group: usize,
        output: usize,
        product: usize,
    ) -> &[[f32; PANEL]] {
        let panel = group * g.outputs.div_ceil(PANEL) + output / PANEL;
        &self.values[(panel * self.products + product) * self.taps..][..self.taps]
    }
}
