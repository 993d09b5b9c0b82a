//! Cuts an output into parts that threads fill.

use rayon::prelude::*;

use crate::geometry::Geometry;
use crate::simd::with_scratch;

/// A part of the output: some neighbouring cells of one slice, of some neighbouring channels of one
/// group of one image.
pub(crate) struct Task<'a> {
    pub(crate) image: usize,
    pub(crate) group: usize,
    /// The slice along the depth.
    pub(crate) slice: usize,
    /// The first cell within the slice.
    pub(crate) cell: usize,
    /// The first channel within the group.
    pub(crate) channel: usize,
    /// One per channel.
    pub(crate) out: Vec<&'a mut [f32]>,
}

/// What becomes of sums of products before they are the output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    /// One number for each output channel.
    pub(crate) bias: Option<&'a [f32]>,
    /// Negative numbers become zero.
    pub(crate) rectified: bool,
}

/// How large parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) cells: usize,
    pub(crate) channels: usize,
}

impl Cut {
    /// How many parts there are.
    pub(crate) fn count(self, geometry: &Geometry) -> usize {
        let g = geometry;
        let channels = g.groups * g.outputs.div_ceil(self.channels);
        g.batch * g.output[0] * channels * g.plane().div_ceil(self.cells)
    }

    /// Has all threads fill their parts, each with memory of `scratch` numbers.
    pub(crate) fn for_each(
        self,
        geometry: &Geometry,
        out: &mut [f32],
        scratch: usize,
        finish: Finish,
        fill: impl Fn(&mut Task, &mut [f32]) + Sync,
    ) {
        let tasks = self.tasks(geometry, out).into_par_iter();
        tasks.for_each(|mut task| {
            with_scratch(scratch, |memory| fill(&mut task, memory));
            if finish.rectified {
                // While it lies in the cache. What is not a number stays so.
                let cells = task.out.iter_mut().flat_map(|row| row.iter_mut());
                cells.for_each(|cell| *cell = if *cell < 0.0 { 0.0 } else { *cell });
            }
        });
    }

    /// The parts, those that read the same input one after the other.
    fn tasks<'a>(self, geometry: &Geometry, out: &'a mut [f32]) -> Vec<Task<'a>> {
        let g = geometry;
        let (slices, plane) = (g.output[0], g.plane());
        let (parts, blocks) = (plane.div_ceil(self.cells), g.outputs.div_ceil(self.channels));
        let mut tasks = Vec::with_capacity(self.count(g));
        for image in 0..g.batch {
            for slice in 0..slices {
                for part in 0..parts {
                    for group in 0..g.groups {
                        for block in 0..blocks {
                            let (cell, channel) = (part * self.cells, block * self.channels);
                            let rows = self.channels.min(g.outputs - channel);
                            let out = Vec::with_capacity(rows);
                            tasks.push(Task { image, group, slice, cell, channel, out });
                        }
                    }
                }
            }
        }
        for (index, plane) in out.chunks_mut(plane).enumerate() {
            let (slice, channel) = (index % slices, index / slices);
            let (image, channel) =
                (channel / (g.groups * g.outputs), channel % (g.groups * g.outputs));
            let (group, channel) = (channel / g.outputs, channel % g.outputs);
            for (part, cells) in plane.chunks_mut(self.cells).enumerate() {
                let before = ((image * slices + slice) * parts + part) * g.groups + group;
                tasks[before * blocks + channel / self.channels].out.push(cells);
            }
        }
        tasks
    }
}
