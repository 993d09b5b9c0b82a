//! Grids, resampling and labels by themselves.

mod cases;

use cases::same_every_run;
use proptest::prelude::*;
use segcam_scans::{Grid, Interpolation, Resampling, Scan};

fn plain(size: [usize; 3]) -> Grid {
    Grid::new(size, [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]]).expect("a grid")
}

fn grids() -> impl Strategy<Value = Grid> {
    let side = || 1..7usize;
    let numbers = prop::array::uniform3(prop::array::uniform4(-3.0..3.0f64));
    (side(), side(), side(), numbers)
        .prop_filter_map("axes in one plane", |(i, j, k, affine)| Grid::new([i, j, k], affine).ok())
        .prop_filter("axes nearly in one plane", |grid| grid.shear() < 0.9)
}

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

proptest! {
    #![proptest_config(same_every_run(256))]

    #[test]
    fn an_index_comes_back_from_the_world(grid in grids(), index in prop::array::uniform3(-9.0..9.0f64)) {
        let back = grid.index(grid.world(index));
        for (there, back) in index.iter().zip(back) {
            prop_assert!((there - back).abs() < 1e-6, "{there} {back}");
        }
    }

    #[test]
    fn the_adjoint_is_exact(from in grids(), onto in grids(), seed: u32, nearest: bool) {
        let how = if nearest { Interpolation::Nearest } else { Interpolation::Trilinear };
        let resampling = Resampling::new(from, onto, how);
        let x = noise(2 * resampling.from().voxels(), seed);
        let w = noise(2 * resampling.onto().voxels(), seed ^ 77);
        let rx = resampling.apply(&x, 0.0).expect("values");
        let rw = resampling.adjoint(&w).expect("weights");
        let (there, back) = (dot(&rx, &w), dot(&x, &rw));
        let scale = w.iter().map(|w| f64::from(w.abs())).sum::<f64>();
        prop_assert!((there - back).abs() <= 1e-6 * scale, "{there} {back}");
    }

    #[test]
    fn turning_is_resampling_at_the_same_places(grid in grids(), seed: u32, turn in 0..48usize) {
        let codes = ["RAS", "LAS", "SPL", "ILA", "PRI", "ASR", "LPS", "IPR"];
        let scan = Scan::new(grid.clone(), 1, noise(grid.voxels(), seed)).expect("a scan");
        let turned = scan.reoriented(codes[turn % 8].parse().expect("an orientation"));
        let same = scan.resampled(turned.grid().clone(), Interpolation::Nearest, f32::NAN);
        prop_assert_eq!(same.expect("values"), turned);
    }
}

#[test]
fn onto_itself_nothing_changes() {
    let grid = plain([4, 3, 5]);
    let mut values = noise(60, 3);
    // Not even beside what is not finite.
    (values[7], values[31]) = (f32::NAN, f32::INFINITY);
    let same = Resampling::new(grid.clone(), grid, Interpolation::Trilinear);
    let out = same.apply(&values, 0.0).expect("values");
    assert!(out.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn linear_functions_are_resampled_without_error() {
    let fine =
        Grid::new([20, 18, 16], [[-0.5, 0., 0., 5.], [0., 0., 0.5, -4.], [0., 0.75, 0.1, 2.]]);
    let fine = fine.expect("a grid");
    let at = |grid: &Grid| -> Vec<f32> {
        let [width, height, depth] = grid.size();
        let every = (0..depth).flat_map(|k| (0..height).map(move |j| (j, k)));
        let every = every.flat_map(|(j, k)| (0..width).map(move |i| [i, j, k]));
        let world = every.map(|index| grid.world(index.map(|index| index as f64)));
        world.map(|[x, y, z]| (2.0 * x - y + 0.5 * z) as f32).collect()
    };
    let coarse = fine.with_spacing([1.3, 1.1, 0.9]).expect("a grid");
    let onto = Resampling::new(fine.clone(), coarse.clone(), Interpolation::Trilinear);
    let out = onto.apply(&at(&fine), f32::NAN).expect("values");
    for (ours, exact) in out.iter().zip(at(&coarse)) {
        assert!((ours - exact).abs() < 1e-5, "{ours} {exact}");
    }
}

#[test]
fn other_spacings_keep_the_box() {
    let grid = Grid::new([5, 6, 7], [[-2., 0., 0., 9.], [0., 0., 1.5, 4.], [0., 3., 0., -2.]]);
    let grid = grid.expect("a grid");
    // round(2 / 0.8 * 5) = 12.5 to even; 3 / 4 * 6 = 4.5 to even; 1.5 / 100 * 7 at least one.
    let other = grid.with_spacing([0.8, 4.0, 100.0]).expect("a grid");
    assert_eq!(other.size(), [12, 4, 1]);
    for corner in 0..8 {
        let face = |grid: &Grid| -> [f64; 3] {
            let side = |axis: usize| grid.size()[axis] as f64 * f64::from(corner >> axis & 1) - 0.5;
            grid.world([side(0), side(1), side(2)])
        };
        for (ours, theirs) in face(&grid).iter().zip(face(&other)) {
            assert!((ours - theirs).abs() < 1e-12, "{ours} {theirs}");
        }
    }
    for none in [[0.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, f64::NAN, 1.0], [1e-300, 1.0, 1.0]] {
        assert!(grid.with_spacing(none).is_err(), "{none:?}");
    }
}

#[test]
fn shear_is_reported() {
    assert_eq!(plain([2, 2, 2]).shear(), 0.0);
    let tilted = Grid::new([2, 2, 2], [[1., 0., 0., 0.], [0., 1., 1., 0.], [0., 0., 1., 0.]]);
    assert!((tilted.expect("a grid").shear() - 0.5f64.sqrt()).abs() < 1e-12);
}

#[test]
fn a_space_is_the_same_within_a_tolerance() {
    let grid = plain([100, 2, 2]);
    let turned = Grid::new([100, 2, 2], [[1., 0., 0., 0.], [0.01, 1., 0., 0.], [0., 0., 1., 0.]]);
    let turned = turned.expect("a grid");
    // 99 voxels further on.
    assert!(grid.same_space(&turned, 0.991) && !grid.same_space(&turned, 0.989));
    assert!(!grid.same_space(&plain([100, 2, 3]), 1e9));
}

#[test]
fn a_box_is_cut_out() {
    let values: Vec<f32> = (0..2 * 4 * 3 * 2).map(|value| value as f32).collect();
    let scan = Scan::new(plain([4, 3, 2]), 2, values).expect("a scan");
    let part = scan.cropped([1, 2, 0], [2, 1, 2]).expect("inside");
    assert_eq!(part.values(), [9., 10., 21., 22., 33., 34., 45., 46.]);
    assert_eq!(part.grid().world([0.0; 3]), [1.0, 2.0, 0.0]);
    for (start, size) in [([0; 3], [0, 1, 1]), ([3, 0, 0], [2, 1, 1]), ([usize::MAX, 0, 0], [1; 3])]
    {
        assert!(scan.cropped(start, size).is_err(), "{start:?} {size:?}");
    }
}

#[test]
fn labels_are_whole_numbers() {
    let scan = |values| Scan::new(plain([2, 2, 1]), 1, values).expect("a scan");
    assert_eq!(
        scan(vec![0.0, 3.0, 16_777_216.0, -0.0]).labels().expect("labels"),
        [0, 3, 1 << 24, 0]
    );
    for wrong in [0.5, -1.0, f32::NAN, f32::INFINITY, 16_777_218.0] {
        let error = scan(vec![0.0, 1.0, 2.0, wrong]).labels().expect_err("no label").to_string();
        assert!(error.contains("voxel [1, 1, 0], channel 0"), "{error}");
    }
}

#[test]
fn values_and_grids_belong_together() {
    assert!(Scan::new(plain([2, 2, 1]), 0, vec![]).is_err());
    assert!(Scan::new(plain([2, 2, 1]), 2, vec![0.0; 4]).is_err());
    assert!(Grid::new([usize::MAX, 2, 1], *plain([1, 1, 1]).affine()).is_err());
    assert!(Grid::new([1, 0, 1], *plain([1, 1, 1]).affine()).is_err());
    let onto = Resampling::new(plain([2, 2, 1]), plain([3, 1, 1]), Interpolation::Nearest);
    assert!(onto.apply(&[0.0; 5], 0.0).is_err() && onto.adjoint(&[0.0; 4]).is_err());
}
