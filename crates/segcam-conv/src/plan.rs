//! Which algorithm serves which shape.

use crate::direct::{DirectPlan, DirectWeights};
use crate::geometry::Geometry;
use crate::winograd::{WinogradPlan, WinogradWeights, serves};

/// How far results may be from exact convolution. Where every input under the kernel is zero, the
/// output is exactly the bias, whatever the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Precision {
    /// The fastest algorithm: largest errors of about 1e-5 of the largest value at 512 input
    /// channels, 4e-6 at 32. A value that is not finite makes the outputs of the tiles that read it
    /// not finite: up to 4 × 4 cells beside those that depend on it.
    #[default]
    Fast,
    /// The fastest of the algorithms whose errors are no larger than those of direct convolution in
    /// single precision: tiles of 2 × 2.
    Accurate,
    /// Sums of products only, as any direct convolution: 2e-6 at 512 channels. Values that are not
    /// finite reach exactly the cells that depend on them.
    Exact,
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Sums of products over the input as it lies (implicit GEMM).
    Direct,
    /// Winograd's F(2×2, 3×3).
    Winograd2,
    /// Winograd's F(4×4, 3×3).
    Winograd4,
}

/// What one convolution of one input shape takes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// How it is computed.
    pub algorithm: Algorithm,
    /// Bytes of prepared weights, kept as long as the convolution.
    pub weight_bytes: usize,
    /// Bytes of memory that each thread works in.
    pub scratch_bytes: usize,
    /// Multiplications and additions of direct convolution.
    pub flops: f64,
}

/// A way to compute a geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Direct(DirectPlan),
    Winograd2(WinogradPlan<2, 4>),
    Winograd4(WinogradPlan<4, 6>),
}

impl Way {
    pub(crate) fn of(g: &Geometry, algorithm: Algorithm, threads: usize) -> Self {
        match algorithm {
            Algorithm::Direct => Self::Direct(DirectPlan::new(g, threads)),
            Algorithm::Winograd2 => Self::Winograd2(WinogradPlan::new(g, threads)),
            Algorithm::Winograd4 => Self::Winograd4(WinogradPlan::new(g, threads)),
        }
    }

    pub(crate) fn describe(&self, g: &Geometry) -> Plan {
        let (algorithm, weight_bytes, scratch_bytes) = match self {
            Self::Direct(plan) => {
                (Algorithm::Direct, DirectWeights::bytes(g), plan.scratch_bytes(g))
            }
            Self::Winograd2(plan) => {
                (Algorithm::Winograd2, WinogradWeights::<4>::bytes(g), plan.scratch_bytes(g))
            }
            Self::Winograd4(plan) => {
                (Algorithm::Winograd4, WinogradWeights::<6>::bytes(g), plan.scratch_bytes(g))
            }
        };
        Plan { algorithm, weight_bytes, scratch_bytes, flops: g.flops() }
    }
}

/// Most bytes of weights for F(4×4), four times the kernel's: each row of tiles reads all of them.
const LARGE_TILES: usize = 24 << 20;

/// The rule, from measurements (docs/performance.md): transforms cost as much as channels, products
/// as much as their product, so Winograd pays from 16 channels on both sides; its larger tiles where
/// enough of them lie side by side to fill vectors, and where their weights do not outgrow the cache.
pub(crate) fn choose(g: &Geometry, precision: Precision, bytes: usize) -> Algorithm {
    let channels = g.inputs.min(g.outputs);
    let [_, height, width] = g.output;
    let small = height.min(width) <= 16;
    let choice =
        if precision == Precision::Exact || !serves(g) || channels < 16 || height * width < 16 {
            Algorithm::Direct
        } else if small
            || precision == Precision::Accurate
            || WinogradWeights::<6>::bytes(g) > bytes.min(LARGE_TILES)
        {
            Algorithm::Winograd2
        } else {
            Algorithm::Winograd4
        };
    match choice {
        Algorithm::Winograd2 if WinogradWeights::<4>::bytes(g) > bytes => Algorithm::Direct,
        choice => choice,
    }
}
