//! Winograd's minimal filtering F(m×m, 3×3): `(m + 2)²` products give `m²` outputs, where direct
//! convolution takes `9 m²` (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
//! CVPR 2016). Kernels of 3×3 cells at stride 1, of any depth: taps along the depth are further
//! input channels. Dilated ones, too: the cells that one output reads are all of one remainder, and those
//! of each remainder are an image by themselves. A tile's sums leave rounding where nothing under the kernel differs from zero; there
//! the output is set to what it is.

use pulp::{Simd, WithSimd};

use crate::geometry::Geometry;
use crate::simd::{
    PANEL, WIDEST, dispatch, load, many_registers, multiply_add, off_page, product_of_rows, store,
};
use crate::source::Source;
use crate::tasks::{Cut, Finish, Task};
use crate::weights::{Panels, Weights};

/// Channels whose products are transformed back at a time.
const CHANNELS: usize = 64;

/// Whether the algorithm computes such a convolution.
pub(crate) fn serves(g: &Geometry) -> bool {
    let plane = |sides: [usize; 3], wanted: usize| sides[1] == wanted && sides[2] == wanted;
    let side =
        |at: usize| g.padding[at] >= 0 && (g.dilation[at] == 1 || g.dilation[at] < g.output[at]);
    !g.transposed && side(1) && side(2) && plane(g.kernel, 3) && plane(g.stride, 1)
}

/// Tiles of `M` outputs a side beside each other, and below each other, among the cells of one remainder.
fn tiles<const M: usize>(g: &Geometry) -> [usize; 2] {
    [2, 1].map(|side| g.output[side].div_ceil(g.dilation[side]).div_ceil(M))
}

/// Vectors of products that a slice takes for each pair of channels.
pub(crate) fn vectors<const M: usize, const N: usize>(g: &Geometry) -> usize {
    let [beside, below] = tiles::<M>(g);
    N * N * g.dilation[1] * ((beside + 1) * g.dilation[2] * below).div_ceil(WIDEST)
}

/// Weights for tiles of `N - 2` outputs a side.
#[derive(Debug, Clone)]
pub(crate) struct WinogradWeights<const N: usize>(Panels);

/// `G`, which transforms three taps to `N` products.
fn taps_to_products<const N: usize>() -> [[f64; 3]; N] {
    let rows: &[[f64; 3]] = if N == 4 {
        &[[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]]
    } else {
        &[
            [1.0 / 4.0, 0.0, 0.0],
            [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
            [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
            [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
            [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
            [0.0, 0.0, 1.0],
        ]
    };
    std::array::from_fn(|row| rows[row])
}

impl<const N: usize> WinogradWeights<N> {
    pub(crate) fn new(g: &Geometry, weights: Weights) -> Self {
        let matrix = taps_to_products::<N>();
        Self(Panels::new(g, N * N, g.kernel[0], |group, output, input, put| {
            let kernel = weights.kernel(g, group, output, input);
            for depth in 0..g.kernel[0] {
                // `G g Gᵀ`, rows first.
                let row = |column: usize, by: [f64; 3]| {
                    (0..3)
                        .map(|row| by[row] * f64::from(kernel(depth * 9 + row * 3 + column)))
                        .sum()
                };
                for (y, by) in matrix.iter().enumerate() {
                    let half: [f64; 3] = std::array::from_fn(|column| row(column, *by));
                    for (x, by) in matrix.iter().enumerate() {
                        let product = by[0] * half[0] + by[1] * half[1] + by[2] * half[2];
                        put(y * N + x, depth, product as f32);
                    }
                }
            }
        }))
    }

    pub(crate) fn bytes(g: &Geometry) -> usize {
        4 * N * N * g.groups * g.outputs.next_multiple_of(PANEL) * g.inputs * g.kernel[0]
    }
}

/// How the work is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WinogradPlan<const M: usize, const N: usize> {
    cut: Cut,
    /// Rows of tiles of a task, for each remainder.
    rows: usize,
}

/// Where things lie in a task's memory.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Tiles of a row, those of different remainders beside each other, and as many more as there are
    /// remainders, which catch what the last ones' neighbours read.
    columns: usize,
    /// How far the next tile of the same remainder is.
    across: usize,
    /// Tiles of a task, in whole vectors.
    tiles: usize,
    /// Numbers of one phase of the input: cells that have the same place in their tiles.
    phase: usize,
    /// Numbers of one of the `N²` transformed inputs.
    inputs: usize,
    /// Numbers of one of the `N²` products.
    products: usize,
    /// Cells of the rows of the input that a task reads.
    magnitudes: usize,
}

impl<const M: usize, const N: usize> WinogradPlan<M, N> {
    pub(crate) fn new(g: &Geometry, threads: usize) -> Self {
        let [beside, tall] = tiles::<M>(g);
        let columns = (beside + 1) * g.dilation[2];
        let most = if M == 4 { 144 } else { 96 };
        let panels = g.outputs.div_ceil(PANEL);
        let parts = |rows: usize| g.batch * g.output[0] * g.groups * tall.div_ceil(rows);
        let blocks = |rows: usize| threads.div_ceil(parts(rows)).clamp(1, panels);
        // Vectors that the busiest thread multiplies, and one for what each task costs by itself.
        let cost = |rows: &usize| {
            let rounds = (parts(*rows) * blocks(*rows)).div_ceil(threads);
            let vectors = (rows * columns).div_ceil(WIDEST) + 1;
            (rounds * vectors).div_ceil(blocks(*rows))
        };
        let rows = (1..=(most / columns).clamp(1, tall)).min_by_key(cost).unwrap_or(1);
        let blocks = blocks(rows);
        let cells = rows * M * g.dilation[1] * g.output[2];
        let cut = Cut { cells, channels: panels.div_ceil(blocks) * PANEL };
        Self { cut, rows }
    }

    fn layout(&self, g: &Geometry) -> Layout {
        let across = g.dilation[2];
        let columns = (tiles::<M>(g)[0] + 1) * across;
        let tiles = (self.rows * columns).next_multiple_of(WIDEST);
        Layout {
            columns,
            across,
            tiles,
            phase: ((self.rows + 1) * columns + across + 2 * WIDEST).next_multiple_of(WIDEST),
            inputs: off_page(g.inputs * g.kernel[0] * tiles),
            products: off_page(CHANNELS.min(self.cut.channels) * tiles),
            magnitudes: (self.rows * M + 2) * g.input[2],
        }
    }

    fn scratch(&self, g: &Geometry) -> usize {
        let layout = self.layout(g);
        let tiles = layout.phase + layout.tiles;
        M * M * tiles + N * N * (layout.inputs + layout.products) + layout.magnitudes
    }

    pub(crate) fn scratch_bytes(&self, g: &Geometry) -> usize {
        4 * self.scratch(g)
    }

    pub(crate) fn run(
        &self,
        g: &Geometry,
        weights: &WinogradWeights<N>,
        finish: Finish,
        x: Source,
        out: &mut [f32],
    ) {
        let (layout, bias) = (self.layout(g), finish.bias);
        self.cut.for_each(g, out, self.scratch(g), finish, |task, memory| {
            dispatch(Winograd::<M, N> { g, layout, weights, bias, x, task, memory });
        });
    }
}

struct Winograd<'a, 'b, const M: usize, const N: usize> {
    g: &'a Geometry,
    layout: Layout,
    weights: &'a WinogradWeights<N>,
    bias: Option<&'a [f32]>,
    x: Source<'a>,
    task: &'a mut Task<'b>,
    memory: &'a mut [f32],
}

impl<const M: usize, const N: usize> WithSimd for Winograd<'_, '_, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, layout, weights, bias, x, task, memory } = self;
        let (width, down) = (g.output[2], g.dilation[1]);
        let (phases, memory) = memory.split_at_mut(M * M * layout.phase);
        let (inputs, memory) = memory.split_at_mut(N * N * layout.inputs);
        let (products, memory) = memory.split_at_mut(N * N * layout.products);
        let (patch, magnitudes) = memory.split_at_mut(M * M * layout.tiles);
        let lines = task.out[0].len() / width;
        let depth = (task.slice * g.stride[0]) as isize - g.padding[0];
        let bias =
            |row: usize| bias.map_or(0.0, |bias| bias[task.group * g.outputs + task.channel + row]);
        // The rows of one remainder after the other.
        for remainder in 0..down.min(lines) {
            let tall = (lines - remainder).div_ceil(down).div_ceil(M);
            let tiles = tall * layout.columns;
            let first = (task.cell / width + remainder) as isize - g.padding[1];
            let rows = (0..tall * M + 2).map(|row| first + (row * down) as isize);
            let magnitudes = &mut magnitudes[..(tall * M + 2) * g.input[2]];
            magnitudes.fill(0.0);
            for input in 0..g.inputs {
                for tap in 0..g.kernel[0] {
                    let to = &mut inputs[(input * g.kernel[0] + tap) * layout.tiles..];
                    let depth = depth + (tap * g.dilation[0]) as isize;
                    if depth < 0 || depth >= g.input[0] as isize {
                        for product in 0..N * N {
                            to[product * layout.inputs..][..layout.tiles].fill(0.0);
                        }
                        continue;
                    }
                    let channel = task.group * g.inputs + input;
                    let source = x.slice(g, task.image, channel, depth as usize);
                    add_magnitudes(g, source, rows.clone(), magnitudes);
                    take_apart::<M>(g, layout, source, rows.clone(), phases);
                    transform_input::<S, M, N>(simd, layout, phases, tiles, to);
                }
            }

            let count = (lines - remainder).div_ceil(down) * width;
            let unreached = unreached(g, rows, magnitudes, count);
            if unreached.len() == count {
                for (row, out) in task.out.iter_mut().enumerate() {
                    let lines = out.chunks_mut(width).skip(remainder).step_by(down);
                    lines.for_each(|line| line.fill(bias(row)));
                }
                continue;
            }
            let taps = g.inputs * g.kernel[0];
            for (index, rows) in task.out.chunks_mut(CHANNELS).enumerate() {
                let channel = task.channel + index * CHANNELS;
                for product in 0..N * N {
                    let data = &inputs[product * layout.inputs..][..taps * layout.tiles];
                    let out = &mut products[product * layout.products..];
                    for panel in (0..rows.len()).step_by(PANEL) {
                        let weights = weights.0.of(g, task.group, channel + panel, product);
                        let out = &mut out[panel * layout.tiles..];
                        if many_registers::<S>() {
                            multiply::<S, 8>(simd, layout, weights, 0, data, tiles, out);
                        } else {
                            multiply::<S, 4>(simd, layout, weights, 0, data, tiles, out);
                            multiply::<S, 4>(simd, layout, weights, 4, data, tiles, out);
                        }
                    }
                }
                for (row, out) in rows.iter_mut().enumerate() {
                    let bias = bias(index * CHANNELS + row);
                    let products = &products[row * layout.tiles..];
                    transform_output::<S, M, N>(simd, layout, products, tiles, bias, patch);
                    let lines = out.chunks_mut(width).skip(remainder).step_by(down);
                    for (y, line) in lines.enumerate() {
                        let from = &patch[y % M * M * layout.tiles..][..M * layout.tiles];
                        interleave::<M>(layout, from, y / M * layout.columns, line);
                    }
                    for cell in &unreached {
                        out[(cell / width * down + remainder) * width + cell % width] = bias;
                    }
                }
            }
        }
    }
}

/// Adds a slice's absolute values, those of the rows that a task reads.
#[inline(always)]
fn add_magnitudes(
    g: &Geometry,
    source: &[f32],
    rows: impl Iterator<Item = isize>,
    magnitudes: &mut [f32],
) {
    let [_, height, width] = g.input;
    for (y, line) in rows.zip(magnitudes.chunks_mut(width)) {
        if (0..height as isize).contains(&y) {
            let from = &source[y as usize * width..][..width];
            line.iter_mut().zip(from).for_each(|(sum, value)| *sum += value.abs());
        }
    }
}

/// The cells of the output, of the first `count`, under whose kernel every input is zero.
fn unreached(
    g: &Geometry,
    rows: impl Iterator<Item = isize>,
    magnitudes: &[f32],
    count: usize,
) -> Vec<usize> {
    let [_, height, width] = g.input;
    let inside = rows.map(|y| (0..height as isize).contains(&y));
    let mut given = magnitudes.chunks(width).zip(inside).filter(|(_, inside)| *inside);
    if given.all(|(row, _)| row.iter().all(|sum| *sum != 0.0)) {
        return vec![];
    }
    let (before, step) = (g.padding[2] as usize, g.dilation[2]);
    let zero = |cell: &usize| {
        let (y, x) = (cell / g.output[2], cell % g.output[2]);
        let taps = [x, x + step, x + 2 * step].map(|x| x.checked_sub(before));
        let mut rows = magnitudes.chunks(width).skip(y).take(3);
        rows.all(|row| {
            let mut under = taps.iter().flatten().filter_map(|x| row.get(*x));
            under.all(|sum| *sum == 0.0)
        })
    };
    (0..count).filter(zero).collect()
}

/// The products of one panel of weights with all tiles.
#[inline(always)]
fn multiply<S: Simd, const MR: usize>(
    simd: S,
    layout: Layout,
    weights: &[[f32; PANEL]],
    low: usize,
    data: &[f32],
    tiles: usize,
    out: &mut [f32],
) {
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(
        simd: S,
        weights: &[[f32; PANEL]],
        low: usize,
        data: &[f32],
        stride: usize,
        out: &mut [f32],
    ) {
        let acc = product_of_rows::<S, MR, NV>(simd, weights, low, data, stride);
        for (m, acc) in acc.iter().enumerate() {
            for (v, sums) in acc.iter().enumerate() {
                store::<S>(out, (low + m) * stride + v * S::F32_LANES, *sums);
            }
        }
    }
    let stride = layout.tiles;
    let vectors = tiles.div_ceil(S::F32_LANES);
    let mut at = 0;
    while at < vectors {
        let (data, out) = (&data[at * S::F32_LANES..], &mut out[at * S::F32_LANES..]);
        let count = match vectors - at {
            1 => 1,
            2 => 2,
            _ => 3,
        };
        match count {
            3 => tile::<S, MR, 3>(simd, weights, low, data, stride, out),
            2 => tile::<S, MR, 2>(simd, weights, low, data, stride, out),
            _ => tile::<S, MR, 1>(simd, weights, low, data, stride, out),
        }
        at += count;
    }
}

/// Cuts rows of a slice into phases: cell `(r, c)` of the padded input goes to phase
/// `(r % M, c % M)`, at tile `(r / M, c / M)`, so that equal cells of neighbouring tiles are a vector. Where
/// the kernel skips cells, `across` neighbours are one `c`.
#[inline(always)]
fn take_apart<const M: usize>(
    g: &Geometry,
    layout: Layout,
    source: &[f32],
    rows: impl Iterator<Item = isize>,
    phases: &mut [f32],
) {
    let [_, height, width] = g.input;
    let (before, across) = (g.padding[2] as usize, layout.across);
    // Cells of a padded row that tiles read, counted in neighbours.
    let wanted = (layout.columns / across - 1) * M + 2;
    for (row, y) in rows.enumerate() {
        let to = &mut phases[row % M * M * layout.phase..][..M * layout.phase];
        let at = row / M * layout.columns;
        if y < 0 || y >= height as isize {
            for phase in to.chunks_mut(layout.phase) {
                phase[at..][..layout.columns].fill(0.0);
            }
            continue;
        }
        let from = &source[y as usize * width..][..width];
        if across == 1 {
            one_by_one::<M>(layout.phase, from, before, wanted, at, to);
            continue;
        }
        for cell in 0..wanted {
            let start = cell % M * layout.phase + at + cell / M * across;
            let to = &mut to[start..][..across];
            let first = cell * across;
            let zeros = before.saturating_sub(first).min(across);
            let from = from.get((first + zeros).saturating_sub(before)..).unwrap_or_default();
            let from = &from[..from.len().min(across - zeros)];
            to[..zeros].fill(0.0);
            to[zeros..][..from.len()].copy_from_slice(from);
            to[zeros + from.len()..].fill(0.0);
        }
    }
}

/// A row of a slice whose cells are `M` phases in turn.
#[inline(always)]
fn one_by_one<const M: usize>(
    phase: usize,
    from: &[f32],
    before: usize,
    wanted: usize,
    at: usize,
    to: &mut [f32],
) {
    let from = &from[..from.len().min(wanted.saturating_sub(before))];
    let mut put = |cell: usize, value: f32| to[cell % M * phase + at + cell / M] = value;
    (0..before.min(wanted)).for_each(|cell| put(cell, 0.0));
    (before + from.len()..wanted).for_each(|cell| put(cell, 0.0));
    let blocks = from.as_chunks::<M>().0.as_chunks::<WIDEST>().0;
    for (index, block) in blocks.iter().enumerate() {
        for cell in 0..M {
            let place = before + cell;
            let line: [f32; WIDEST] = std::array::from_fn(|tile| block[tile][cell]);
            let start = place % M * phase + at + index * WIDEST + place / M;
            to[start..][..WIDEST].copy_from_slice(&line);
        }
    }
    let done = blocks.len() * WIDEST * M;
    for (cell, value) in from.iter().enumerate().skip(done) {
        let cell = before + cell;
        to[cell % M * phase + at + cell / M] = *value;
    }
}

/// `Bᵀ d B` of all tiles of one input channel.
#[inline(always)]
fn transform_input<S: Simd, const M: usize, const N: usize>(
    simd: S,
    layout: Layout,
    phases: &[f32],
    tiles: usize,
    out: &mut [f32],
) {
    let zero = simd.splat_f32s(0.0);
    for tile in (0..tiles).step_by(S::F32_LANES) {
        let mut half = [[zero; N]; N];
        for column in 0..N {
            let mut cells = [zero; N];
            for (row, cell) in cells.iter_mut().enumerate() {
                let phase = row % M * M + column % M;
                let at = tile + row / M * layout.columns + column / M * layout.across;
                *cell = load::<S>(phases, phase * layout.phase + at);
            }
            let cells = input_side::<S, N>(simd, cells);
            for row in 0..N {
                half[row][column] = cells[row];
            }
        }
        for (row, cells) in half.into_iter().enumerate() {
            let cells = input_side::<S, N>(simd, cells);
            for (column, cell) in cells.into_iter().enumerate() {
                store::<S>(out, (row * N + column) * layout.inputs + tile, cell);
            }
        }
    }
}

/// `Aᵀ m A` of all tiles of one output channel, one line of tiles for each of their `M²` cells.
#[inline(always)]
fn transform_output<S: Simd, const M: usize, const N: usize>(
    simd: S,
    layout: Layout,
    products: &[f32],
    tiles: usize,
    bias: f32,
    out: &mut [f32],
) {
    let zero = simd.splat_f32s(0.0);
    let bias = simd.splat_f32s(bias);
    for tile in (0..tiles).step_by(S::F32_LANES) {
        let mut half = [[zero; N]; M];
        for column in 0..N {
            let mut cells = [zero; N];
            for (row, cell) in cells.iter_mut().enumerate() {
                *cell = load::<S>(products, (row * N + column) * layout.products + tile);
            }
            let cells = output_side::<S, M, N>(simd, cells);
            for row in 0..M {
                half[row][column] = cells[row];
            }
        }
        for (row, cells) in half.into_iter().enumerate() {
            let cells = output_side::<S, M, N>(simd, cells);
            for (column, cell) in cells.into_iter().enumerate() {
                let at = (row * M + column) * layout.tiles + tile;
                store::<S>(out, at, simd.add_f32s(cell, bias));
            }
        }
    }
}

/// One row of the output from the lines of its `M` columns.
#[inline(always)]
fn interleave<const M: usize>(layout: Layout, lines: &[f32], at: usize, out: &mut [f32]) {
    let across = layout.across;
    let lines: [&[f32]; M] = std::array::from_fn(|column| &lines[column * layout.tiles + at..]);
    if across > 1 {
        for (cell, out) in out.chunks_mut(across).enumerate() {
            out.copy_from_slice(&lines[cell % M][cell / M * across..][..out.len()]);
        }
        return;
    }
    let (groups, rest) = out.as_chunks_mut::<M>();
    let count = groups.len();
    let whole = lines.map(|line| &line[..count]);
    for (tile, group) in groups.iter_mut().enumerate() {
        *group = std::array::from_fn(|column| whole[column][tile]);
    }
    for (line, cell) in lines.iter().zip(rest) {
        *cell = line[count];
    }
}

/// `Bᵀ d` of one side of a tile.
#[inline(always)]
fn input_side<S: Simd, const N: usize>(simd: S, d: [S::f32s; N]) -> [S::f32s; N] {
    let number = |value: f32| simd.splat_f32s(value);
    let (add, sub) = (|a, b| simd.add_f32s(a, b), |a, b| simd.sub_f32s(a, b));
    let mut out = d;
    if N == 4 {
        out[0] = sub(d[0], d[2]);
        out[1] = add(d[1], d[2]);
        out[2] = sub(d[2], d[1]);
        out[3] = sub(d[1], d[3]);
    } else {
        let with = |a: f32, b, c| multiply_add(simd, number(a), b, c);
        out[0] = with(4.0, d[0], with(-5.0, d[2], d[4]));
        let (even, odd) = (with(-4.0, d[2], d[4]), with(-4.0, d[1], d[3]));
        out[1] = add(even, odd);
        out[2] = sub(even, odd);
        let (even, odd) = (sub(d[4], d[2]), sub(d[3], d[1]));
        out[3] = with(2.0, odd, even);
        out[4] = with(-2.0, odd, even);
        out[5] = with(4.0, d[1], with(-5.0, d[3], d[5]));
    }
    out
}

/// `Aᵀ m` of one side of a tile.
#[inline(always)]
fn output_side<S: Simd, const M: usize, const N: usize>(simd: S, m: [S::f32s; N]) -> [S::f32s; M] {
    let number = |value: f32| simd.splat_f32s(value);
    let (add, sub) = (|a, b| simd.add_f32s(a, b), |a, b| simd.sub_f32s(a, b));
    let mut out = [number(0.0); M];
    if N == 4 {
        out[0] = add(add(m[0], m[1]), m[2]);
        out[1] = sub(sub(m[1], m[2]), m[3]);
    } else {
        let with = |a: f32, b, c| multiply_add(simd, number(a), b, c);
        let (p, q) = (add(m[1], m[2]), sub(m[1], m[2]));
        let (r, s) = (add(m[3], m[4]), sub(m[3], m[4]));
        out[0] = add(add(m[0], p), r);
        out[1] = with(2.0, s, q);
        out[2] = with(4.0, r, p);
        out[3] = add(with(8.0, s, q), m[5]);
    }
    out
}
