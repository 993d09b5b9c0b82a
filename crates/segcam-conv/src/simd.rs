//! The inner product of the crate, and the choice of vector instructions.

use std::cell::RefCell;
#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

/// Rows of weights that lie together: the output channels that are computed at once.
pub(crate) const PANEL: usize = 8;
/// No vector is longer than this.
pub(crate) const WIDEST: usize = 16;

/// `SEGCAM_CONV_SIMD`: `avx2` or `128` caps the instructions that are used.
#[cfg(target_arch = "x86_64")]
static CAP: LazyLock<String> =
    LazyLock::new(|| std::env::var("SEGCAM_CONV_SIMD").unwrap_or_default());

/// At least `size`, so that lists of this length, one after the other, do not begin at the same place of
/// a page and throw one another out of the cache.
pub(crate) fn off_page(size: usize) -> usize {
    let size = size.next_multiple_of(WIDEST);
    if size.is_multiple_of(2 * WIDEST) { size + WIDEST } else { size }
}

/// Runs `op` with the widest vectors that this machine has.
pub(crate) fn dispatch<O>(op: impl WithSimd<Output = O>) -> O {
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V2, V3, V4};
        let cap = CAP.as_str();
        if !matches!(cap, "avx2" | "128")
            && let Some(simd) = V4::try_new()
        {
            return Simd::vectorize(simd, op);
        }
        if cap != "128"
            && let Some(simd) = V3::try_new()
        {
            return Simd::vectorize(simd, op);
        }
        if let Some(simd) = V2::try_new() {
            return Simd::vectorize(simd, op);
        }
    }
    Arch::new().dispatch(op)
}

/// The instructions that [`dispatch`] takes.
pub(crate) fn level() -> &'static str {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    match dispatch(Lanes) {
        16 => "AVX-512",
        8 => "AVX2",
        4 => "128-bit",
        _ => "scalar",
    }
}

/// Whether there are 32 vector registers, so that a tile of 8 × 3 vectors stays in them.
pub(crate) const fn many_registers<S: Simd>() -> bool {
    S::F32_LANES >= 16 || cfg!(target_arch = "aarch64")
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Lends `f` this thread's memory: `size` numbers of any value.
pub(crate) fn with_scratch<R>(size: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    // A task that is stolen while another one of this thread waits finds it empty, and that is fine.
    let mut scratch = SCRATCH.take();
    if scratch.len() < size {
        scratch.resize(size, 0.0);
    }
    let result = f(&mut scratch[..size]);
    SCRATCH.set(scratch);
    result
}

#[inline(always)]
pub(crate) fn load<S: Simd>(from: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&from[at..][..S::F32_LANES]).0[0]
}

#[inline(always)]
pub(crate) fn store<S: Simd>(to: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut to[at..][..S::F32_LANES]).0[0] = value;
}

/// `a * b + c`; fused where the machine does it in one instruction.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if S::F32_LANES >= 8 || cfg!(target_arch = "aarch64") {
        simd.mul_add_e_f32s(a, b, c)
    } else {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    }
}

/// The microkernel: `acc[m][v] = Σ_k weights[k][low + m] · data[taps[k] + starts[v] ..]`, each a vector.
///
/// What makes this a convolution without a matrix of patches is that `taps` holds the distance of
/// each tap from the first one, in data that lies as it lies.
#[inline(always)]
pub(crate) fn product<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    weights: &[[f32; PANEL]],
    low: usize,
    taps: &[u32],
    data: &[f32],
    starts: &[u32; NV],
) -> [[S::f32s; NV]; MR] {
    let mut acc = [[simd.splat_f32s(0.0); NV]; MR];
    for (row, &tap) in weights.iter().zip(taps) {
        let data = &data[tap as usize..];
        let mut vectors = [simd.splat_f32s(0.0); NV];
        for v in 0..NV {
            vectors[v] = load::<S>(data, starts[v] as usize);
        }
        for m in 0..MR {
            let weight = simd.splat_f32s(row[low + m]);
            for v in 0..NV {
                acc[m][v] = multiply_add(simd, weight, vectors[v], acc[m][v]);
            }
        }
    }
    acc
}

/// The same where the vectors are neighbours and the taps lie `stride` apart.
#[inline(always)]
pub(crate) fn product_of_rows<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    weights: &[[f32; PANEL]],
    low: usize,
    data: &[f32],
    stride: usize,
) -> [[S::f32s; NV]; MR] {
    let mut acc = [[simd.splat_f32s(0.0); NV]; MR];
    for (row, data) in weights.iter().zip(data.chunks(stride)) {
        let data = S::as_simd_f32s(&data[..NV * S::F32_LANES]).0;
        let mut vectors = [simd.splat_f32s(0.0); NV];
        vectors[..NV].copy_from_slice(&data[..NV]);
        for m in 0..MR {
            let weight = simd.splat_f32s(row[low + m]);
            for v in 0..NV {
                acc[m][v] = multiply_add(simd, weight, vectors[v], acc[m][v]);
            }
        }
    }
    acc
}
