//! One component of an image whose labels alone are held.

use std::collections::VecDeque;

use segcam_core::{LabelMap, Members};

use crate::labels::{Connectivity, index, locate, moved};

/// The members that are connected to the one at `at`; a bit for each pixel is all that is held.
pub(crate) fn flood<'a>(
    labels: &LabelMap,
    inside: &Members,
    at: &[usize],
    connectivity: Connectivity,
) -> Members<'a> {
    let size = labels.size();
    let mut found = vec![0u64; labels.labels().len().div_ceil(64)];
    let is = |found: &[u64], pixel: usize| found[pixel / 64] >> (pixel % 64) & 1 == 1;
    let mut steps = connectivity.steps_back(size.len() as u32);
    let forth: Vec<Vec<isize>> =
        steps.iter().map(|step| step.iter().map(|along| -along).collect()).collect();
    steps.extend(forth);
    let mut place = at.to_vec();
    let mut waiting: VecDeque<usize> = Some(index(at, size)).into_iter().collect();
    waiting.retain(|&pixel| inside(pixel));
    for &pixel in &waiting {
        found[pixel / 64] |= 1 << (pixel % 64);
    }
    while let Some(pixel) = waiting.pop_front() {
        locate(pixel, size, &mut place);
        for neighbour in steps.iter().filter_map(|step| moved(&place, step, size)) {
            if !is(&found, neighbour) && inside(neighbour) {
                found[neighbour / 64] |= 1 << (neighbour % 64);
                waiting.push_back(neighbour);
            }
        }
    }
    Box::new(move |pixel| is(&found, pixel))
}
