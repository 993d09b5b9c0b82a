//! Implicit GEMM: a block of the input is laid out once with its padding, and each tap of the kernel
//! reads it at its own distance. Serves every kernel, stride, dilation and group, and transposed
//! convolutions, whose output cells fall into `stride` phases with taps of their own.

use pulp::{Simd, WithSimd};

use crate::geometry::Geometry;
use crate::simd::{PANEL, WIDEST, dispatch, load, many_registers, off_page, product, store};
use crate::source::Source;
use crate::tasks::{Cut, Finish, Task};
use crate::weights::{Panels, Weights};

/// Numbers of the input that a task may lay out: what fits a core's second cache beside the weights.
const BLOCK: usize = 128 * 1024;
/// Most rows of the output that are computed from one block.
const ROWS: usize = 16;

/// Weights of all phases.
#[derive(Debug, Clone)]
pub(crate) struct DirectWeights {
    phases: Vec<Panels>,
}

impl DirectWeights {
    pub(crate) fn new(g: &Geometry, weights: Weights) -> Self {
        let panels = phases(g).map(|[z, y, x]| {
            let [taps_z, taps_y, taps_x] =
                [(0, z), (1, y), (2, x)].map(|(side, at)| g.taps(side, at));
            let mut cells = vec![];
            for (z, _) in &taps_z {
                for (y, _) in &taps_y {
                    cells.extend(
                        taps_x.iter().map(|(x, _)| (z * g.kernel[1] + y) * g.kernel[2] + x),
                    );
                }
            }
            Panels::new(g, 1, cells.len(), |group, output, input, put| {
                let kernel = weights.kernel(g, group, output, input);
                cells.iter().enumerate().for_each(|(tap, cell)| put(0, tap, kernel(*cell)));
            })
        });
        Self { phases: panels.collect() }
    }

    pub(crate) fn bytes(g: &Geometry) -> usize {
        4 * g.groups * g.outputs.next_multiple_of(PANEL) * g.inputs * g.kernel_cells()
    }
}

fn phases(g: &Geometry) -> impl Iterator<Item = [usize; 3]> {
    let [z, y, x] = [0, 1, 2].map(|side| g.phases(side));
    (0..z).flat_map(move |z| (0..y).flat_map(move |y| (0..x).map(move |x| [z, y, x])))
}

/// How the work is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectPlan {
    cut: Cut,
    /// Input channels that are laid out at a time.
    inputs: usize,
}

/// A block of the input: rows of `stride` numbers, slices of `slice`. Where the convolution skips
/// columns, those of equal remainder lie together, `width` in a row.
#[derive(Debug, Clone, Copy)]
struct Layout {
    width: usize,
    stride: usize,
    slice: usize,
}

impl Layout {
    /// For so many neighbouring cells of a slice of the output.
    fn new(g: &Geometry, cells: usize) -> Self {
        let apart = column_phases(g);
        let row = g.output[2];
        let (rows, columns) =
            if g.output[1] == 1 { (1, cells.min(row)) } else { (cells / row, row) };
        let (rows, columns) = (g.span(1, rows), g.span(2, columns));
        let width = columns.div_ceil(apart);
        let stride = width * apart;
        Self { width, stride, slice: off_page(rows * stride) }
    }
}

fn column_phases(g: &Geometry) -> usize {
    if g.transposed { 1 } else { g.stride[2] }
}

/// Slices that an input channel contributes, at most: one for each tap along the depth.
fn slices(g: &Geometry) -> usize {
    (0..g.phases(0)).map(|phase| g.taps(0, phase).len()).max().unwrap_or(0)
}

impl DirectPlan {
    pub(crate) fn new(g: &Geometry, threads: usize) -> Self {
        let of_channel = |cells: usize| Layout::new(g, cells).slice * slices(g);
        let reach = (g.kernel[1] - 1) * g.dilation[1];
        let (unit, most) =
            if g.output[1] == 1 { (3 * WIDEST, 64) } else { (g.output[2], ROWS.max(2 * reach)) };
        let units = g.plane().div_ceil(unit);
        // Numbers that are laid out, and sums that are continued, for each cell.
        let cost = |count: &usize| {
            let (cells, block) = (count * unit, of_channel(count * unit).max(1));
            let passes = g.inputs.div_ceil((BLOCK / block).clamp(1, g.inputs));
            (g.inputs * block + passes * g.outputs * cells) * 16 / cells
        };
        let mut count = (1..=most.min(units)).rev().min_by_key(cost).unwrap_or(1);
        // Enough parts for all threads, of equal size: of cells, or of channels where that is more to read.
        let alone = g.batch * g.output[0] * g.groups;
        let heavy = g.outputs * g.kernel_cells() > 2 * g.input_cells();
        let wanted = if heavy { 1 } else { (3 * threads).div_ceil(alone) };
        count = count.min(units.div_ceil(wanted.min(units)));
        count = units.div_ceil(units.div_ceil(count));
        let parts = alone * units.div_ceil(count);
        let panels = g.outputs.div_ceil(PANEL);
        let wanted = if heavy { 3 * threads } else { threads };
        let blocks = wanted.div_ceil(parts).clamp(1, panels);
        let cut = Cut { cells: count * unit, channels: panels.div_ceil(blocks) * PANEL };
        let inputs = (BLOCK / of_channel(count * unit).max(1)).clamp(1, g.inputs);
        Self { cut, inputs: g.inputs.div_ceil(g.inputs.div_ceil(inputs)) }
    }

    fn scratch(&self, g: &Geometry) -> usize {
        Layout::new(g, self.cut.cells).slice * slices(g) * self.inputs + 2 * WIDEST
    }

    pub(crate) fn scratch_bytes(&self, g: &Geometry) -> usize {
        4 * self.scratch(g)
    }

    pub(crate) fn run(
        &self,
        g: &Geometry,
        weights: &DirectWeights,
        finish: Finish,
        x: Source,
        out: &mut [f32],
    ) {
        let (layout, bias) = (Layout::new(g, self.cut.cells), finish.bias);
        self.cut.for_each(g, out, self.scratch(g), finish, |task, block| {
            dispatch(Direct { plan: self, g, layout, weights, bias, x, task, block });
        });
    }
}

struct Direct<'a, 'b> {
    plan: &'a DirectPlan,
    g: &'a Geometry,
    layout: Layout,
    weights: &'a DirectWeights,
    bias: Option<&'a [f32]>,
    x: Source<'a>,
    task: &'a mut Task<'b>,
    block: &'a mut [f32],
}

/// Neighbouring cells of one phase: where they are in the block, and where in the output.
#[derive(Debug, Clone, Copy)]
struct Place {
    out: u32,
    cells: u32,
}

/// What the cells of one phase have in common.
struct Phase<'a> {
    panels: &'a Panels,
    taps: Vec<u32>,
    starts: Vec<u32>,
    places: Vec<Place>,
    taps_of_one: usize,
}

impl WithSimd for Direct<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let g = self.g;
        let (z_phase, z) = g.origin(0, self.task.slice);
        let taps_z = g.taps(0, z_phase);
        let phases = self.phases(S::F32_LANES, z_phase, &taps_z);
        let area = self.area();
        let mut out = std::mem::take(&mut self.task.out);
        let mut bias = vec![0.0; out.len().next_multiple_of(PANEL)];
        if let Some(given) = self.bias {
            let first = self.task.group * g.outputs + self.task.channel;
            bias[..out.len()].copy_from_slice(&given[first..][..out.len()]);
        }
        for first in (0..g.inputs).step_by(self.plan.inputs) {
            let count = self.plan.inputs.min(g.inputs - first);
            for input in 0..count {
                for (tap, (_, distance)) in taps_z.iter().enumerate() {
                    let depth = z + *distance as isize;
                    self.lay_out(area, first + input, depth, input * taps_z.len() + tap);
                }
            }
            for (index, rows) in out.chunks_mut(PANEL).enumerate() {
                let channel = index * PANEL;
                for phase in &phases {
                    let panel = phase.panels.of(g, self.task.group, self.task.channel + channel, 0);
                    let panel = &panel[first * phase.taps_of_one..][..count * phase.taps_of_one];
                    let tiles = Tiles {
                        panel,
                        taps: &phase.taps[..panel.len()],
                        starts: &phase.starts,
                        places: &phase.places,
                        step: g.phases(2),
                        bias: (first == 0).then(|| &bias[channel..][..PANEL]),
                        block: self.block,
                    };
                    if rows.len() == 1 {
                        tiles.run::<S, 1, 8>(simd, 0, rows);
                    } else if many_registers::<S>() {
                        tiles.run::<S, 8, 3>(simd, 0, rows);
                    } else {
                        tiles.run::<S, 4, 3>(simd, 0, rows);
                        tiles.run::<S, 4, 3>(simd, 4, rows);
                    }
                }
            }
        }
        self.task.out = out;
    }
}

impl<'a> Direct<'a, '_> {
    /// First row, rows, first column and columns of the task.
    fn area(&self) -> [usize; 4] {
        let (row, cells) = (self.g.output[2], self.task.out[0].len());
        let (y, x) = (self.task.cell / row, self.task.cell % row);
        if self.g.output[1] == 1 { [y, 1, x, cells] } else { [y, cells / row, 0, row] }
    }

    fn phases(&self, lanes: usize, z: usize, taps_z: &[(usize, usize)]) -> Vec<Phase<'a>> {
        let (g, layout) = (self.g, self.layout);
        let [first_row, rows, first_column, columns] = self.area();
        let (_, top) = g.origin(1, first_row);
        let (_, left) = g.origin(2, first_column);
        let apart = column_phases(g);
        let steps = g.phases(2);
        let mut phases = Vec::with_capacity(g.phases(1) * steps);
        for y in 0..g.phases(1) {
            for x in 0..steps {
                let (taps_y, taps_x) = (g.taps(1, y), g.taps(2, x));
                let mut taps = vec![];
                for slice in 0..self.plan.inputs * taps_z.len() {
                    for (_, row) in &taps_y {
                        taps.extend(taps_x.iter().map(|(_, column)| {
                            let column = column % apart * layout.width + column / apart;
                            (slice * layout.slice + row * layout.stride + column) as u32
                        }));
                    }
                }
                let (mut starts, mut places) = (vec![], vec![]);
                let before = (steps + x - g.origin(2, first_column).0) % steps;
                for row in 0..rows {
                    let (phase, origin) = g.origin(1, first_row + row);
                    if phase != y {
                        continue;
                    }
                    let start = (origin - top) as usize * layout.stride;
                    for column in (before..columns).step_by(steps * lanes) {
                        let origin = g.origin(2, first_column + column).1 - left;
                        let cells = (columns - column).div_ceil(steps).min(lanes);
                        starts.push((start + origin as usize / apart) as u32);
                        places.push(Place {
                            out: (row * columns + column) as u32,
                            cells: cells as u32,
                        });
                    }
                }
                let panels = &self.weights.phases[(z * g.phases(1) + y) * steps + x];
                let taps_of_one = taps_z.len() * taps_y.len() * taps_x.len();
                phases.push(Phase { panels, taps, starts, places, taps_of_one });
            }
        }
        phases
    }

    /// Copies what the task reads of one slice of one channel into the block, zeros around it.
    fn lay_out(&mut self, area: [usize; 4], input: usize, depth: isize, slice: usize) {
        let (g, layout) = (self.g, self.layout);
        let [first_row, rows, first_column, columns] = area;
        let (rows, columns) = (g.span(1, rows), g.span(2, columns));
        let [depths, height, width] = g.input;
        let block = &mut self.block[slice * layout.slice..][..rows * layout.stride];
        if depth < 0 || depth >= depths as isize {
            block.fill(0.0);
            return;
        }
        let channel = self.task.group * g.inputs + input;
        let source = self.x.slice(g, self.task.image, channel, depth as usize);
        let (top, left) = (g.origin(1, first_row).1, g.origin(2, first_column).1);
        for (row, to) in block.chunks_mut(layout.stride).enumerate() {
            let y = top + row as isize;
            if y < 0 || y >= height as isize {
                to.fill(0.0);
                continue;
            }
            let from = &source[y as usize * width..][..width];
            // Cells before the input, and the part of the row that is inside it.
            let zeros = (-left).clamp(0, columns as isize) as usize;
            let begin = left.clamp(0, width as isize) as usize;
            let end = (left + columns as isize).clamp(begin as isize, width as isize) as usize;
            let from = &from[begin..end];
            match column_phases(g) {
                1 => {
                    to[..zeros].fill(0.0);
                    to[zeros..][..from.len()].copy_from_slice(from);
                    to[zeros + from.len()..].fill(0.0);
                }
                2 => {
                    to.fill(0.0);
                    let (even, odd) = to.split_at_mut(layout.width);
                    let (one, two) = if zeros.is_multiple_of(2) {
                        (&mut even[zeros / 2..], &mut odd[zeros / 2..])
                    } else {
                        (&mut odd[zeros / 2..], &mut even[zeros.div_ceil(2)..])
                    };
                    let (pairs, rest) = from.as_chunks::<2>();
                    for ((pair, a), b) in pairs.iter().zip(one.iter_mut()).zip(two.iter_mut()) {
                        (*a, *b) = (pair[0], pair[1]);
                    }
                    if let [last] = rest {
                        one[pairs.len()] = *last;
                    }
                }
                apart => {
                    to.fill(0.0);
                    for (at, value) in (zeros..).zip(from) {
                        to[at % apart * layout.width + at / apart] = *value;
                    }
                }
            }
        }
    }
}

/// One panel of weights against all cells of one phase.
struct Tiles<'a> {
    panel: &'a [[f32; PANEL]],
    taps: &'a [u32],
    starts: &'a [u32],
    places: &'a [Place],
    step: usize,
    /// Where sums begin; `None` continues what is in the output.
    bias: Option<&'a [f32]>,
    block: &'a [f32],
}

impl Tiles<'_> {
    #[inline(always)]
    fn run<S: Simd, const MR: usize, const NV: usize>(
        &self,
        simd: S,
        low: usize,
        rows: &mut [&mut [f32]],
    ) {
        let Some(rows) = rows.get_mut(low..) else { return };
        if rows.is_empty() {
            return;
        }
        let mut at = 0;
        while self.starts.len() - at >= NV {
            self.tile::<S, MR, NV>(simd, low, rows, at);
            at += NV;
        }
        while self.starts.len() - at >= 2 {
            self.tile::<S, MR, 2>(simd, low, rows, at);
            at += 2;
        }
        if at < self.starts.len() {
            self.tile::<S, MR, 1>(simd, low, rows, at);
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(
        &self,
        simd: S,
        low: usize,
        rows: &mut [&mut [f32]],
        at: usize,
    ) {
        let mut starts = [0; NV];
        starts.copy_from_slice(&self.starts[at..][..NV]);
        let acc = product::<S, MR, NV>(simd, self.panel, low, self.taps, self.block, &starts);
        let lanes = S::F32_LANES;
        let mut tile = [0.0; PANEL * 3 * WIDEST];
        for m in 0..MR {
            for v in 0..NV {
                store::<S>(&mut tile, (m * NV + v) * lanes, acc[m][v]);
            }
        }
        for (m, row) in rows.iter_mut().enumerate().take(MR) {
            let bias = self.bias.map(|bias| bias[low + m]);
            for (v, place) in self.places[at..][..NV].iter().enumerate() {
                let (out, cells) = (place.out as usize, place.cells as usize);
                let sums = &tile[(m * NV + v) * lanes..][..lanes];
                if self.step > 1 {
                    let to = row[out..].iter_mut().step_by(self.step);
                    for (to, sum) in to.zip(&sums[..cells]) {
                        *to = sum + bias.unwrap_or(*to);
                    }
                } else if cells == lanes {
                    let to = &mut row[out..][..lanes];
                    let before = match bias {
                        Some(bias) => simd.splat_f32s(bias),
                        None => load::<S>(to, 0),
                    };
                    store::<S>(to, 0, simd.add_f32s(load::<S>(sums, 0), before));
                } else {
                    for (to, sum) in row[out..][..cells].iter_mut().zip(sums) {
                        *to = sum + bias.unwrap_or(*to);
                    }
                }
            }
        }
    }
}
