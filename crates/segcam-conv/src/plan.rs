//! Which algorithm serves which shape.

use crate::direct::{DirectPlan, DirectWeights};
use crate::geometry::Geometry;
use crate::simd::WIDEST;
use crate::winograd::{WinogradPlan, WinogradWeights, serves, vectors};

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

/// Products that transforming one number for each input channel, and one back for each output channel, takes as
/// long as: of F(2×2) and of F(4×4).
const TRANSFORMS: [f64; 2] = [27.0, 46.0];

/// The fastest, from measurements (docs/performance.md): transforms cost as much as channels, products as much
/// as their product. F(4×4) needs enough tiles side by side to fill vectors, and weights that do not
/// outgrow the cache.
pub(crate) fn choose(g: &Geometry, precision: Precision, bytes: usize) -> Algorithm {
    let [_, height, width] = g.output;
    let pairs = (g.inputs * g.kernel[0] * g.outputs) as f64;
    let direct = (9 * height * width.next_multiple_of(WIDEST)) as f64 * pairs;
    // Neighbours are moved one by one where the kernel skips few.
    let skips = if g.dilation[2] > 1 { 1.0 + 2.4 / g.dilation[2] as f64 } else { 1.0 };
    let transformed = |vectors: usize, transforms: f64| {
        let channels = (g.inputs * g.kernel[0] + g.outputs) as f64;
        (vectors * WIDEST) as f64 * (pairs + skips * transforms * channels)
    };
    // More exact than sums of products, so worth a little time to those who ask for it.
    let worth = if precision == Precision::Accurate { 0.8 } else { 1.0 };
    let two = worth * transformed(vectors::<2, 4>(g), TRANSFORMS[0]);
    let four = transformed(vectors::<4, 6>(g), TRANSFORMS[1]);
    let serves = serves(g) && precision != Precision::Exact;
    let small = g.dilation[1..] == [1, 1] && height.min(width) <= 16;
    let wide = !small
        && precision == Precision::Fast
        && WinogradWeights::<6>::bytes(g) <= bytes.min(LARGE_TILES);
    let fits = WinogradWeights::<4>::bytes(g) <= bytes;
    let ways = [
        (Algorithm::Direct, direct, true),
        (Algorithm::Winograd2, two, serves && fits),
        (Algorithm::Winograd4, four, serves && wide),
    ];
    let possible = ways.into_iter().filter(|(.., possible)| *possible);
    let fastest = possible.min_by(|one, other| one.1.total_cmp(&other.1));
    fastest.map_or(Algorithm::Direct, |(algorithm, ..)| algorithm)
}
