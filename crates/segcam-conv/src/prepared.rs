//! Weights as each algorithm reads them, and the algorithms run with them.

use std::sync::OnceLock;

use crate::direct::DirectWeights;
use crate::geometry::Geometry;
use crate::plan::Way;
use crate::source::Source;
use crate::tasks::Finish;
use crate::weights::Weights;
use crate::winograd::WinogradWeights;

/// Made when an algorithm is first used.
#[derive(Default)]
pub(crate) struct Prepared {
    direct: OnceLock<DirectWeights>,
    winograd2: OnceLock<WinogradWeights<4>>,
    winograd4: OnceLock<WinogradWeights<6>>,
}

impl Prepared {
    /// Knows nothing of who holds the weights: what is generic is compiled where it is used, and the
    /// kernels belong here, where they are optimised in development builds, too.
    pub(crate) fn run(
        &self,
        way: Way,
        g: &Geometry,
        weights: Weights,
        finish: Finish,
        x: Source,
        out: &mut [f32],
    ) {
        match way {
            Way::Direct(plan) => {
                let weights = prepared(&self.direct, || DirectWeights::new(g, weights));
                plan.run(g, weights, finish, x, out);
            }
            Way::Winograd2(plan) => {
                let weights = prepared(&self.winograd2, || WinogradWeights::new(g, weights));
                plan.run(g, weights, finish, x, out);
            }
            Way::Winograd4(plan) => {
                let weights = prepared(&self.winograd4, || WinogradWeights::new(g, weights));
                plan.run(g, weights, finish, x, out);
            }
        }
    }
}

/// What was prepared. Not under the cell's lock: a thread that waits for others to prepare weights may
/// begin another run of the same convolution meanwhile.
fn prepared<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(known) => known,
        None => {
            let made = make();
            cell.get_or_init(|| made)
        }
    }
}
