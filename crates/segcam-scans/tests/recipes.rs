//! Scans prepared for networks and back, as numpy, scipy and nibabel have it.

mod common;

use common::{expected, file};
use segcam_scans::{
    Axes, Crop, Grid, Interpolation, NnUnetPlans, Orientation, Recipe, Scale, Scan, ScanError,
};
use serde::Deserialize;

const AXES: [&str; 6] = ["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"];
const OBLIQUE: [[f64; 4]; 3] =
    [[-1.4, 0.3, 0.1, 9.0], [0.2, 0.1, -2.4, 4.0], [0.3, 1.1, 0.2, -7.0]];

#[derive(Deserialize)]
struct Case {
    card: String,
    size: [usize; 3],
    channels: usize,
    affine: [[f64; 4]; 3],
    values: Vec<f32>,
    sides: [usize; 4],
    input: Vec<f32>,
}

impl Case {
    fn scan(&self) -> Scan {
        let grid = Grid::new(self.size, self.affine).expect("a grid");
        Scan::new(grid, self.channels, self.values.clone()).expect("a scan")
    }

    fn assert_prepared_by(&self, recipe: &Recipe) {
        let (values, sides) = recipe.apply(&self.scan()).expect("prepared").input();
        assert_eq!(sides, self.sides, "{}", self.card);
        assert_eq!(values.len(), self.input.len());
        for (ours, theirs) in values.iter().zip(&self.input) {
            let apart = (ours - theirs).abs();
            assert!(apart <= 2e-6 * theirs.abs().max(1.0), "{}: {ours} not {theirs}", self.card);
        }
    }
}

fn card(text: &str) -> Recipe {
    toml::from_str(text).expect("a card")
}

fn refused(card: &str, scan: &Scan) -> String {
    let recipe: Recipe = toml::from_str(card).expect("a card");
    recipe.apply(scan).expect_err(card).to_string()
}

/// Voxels numbered from 1.
fn counted(size: [usize; 3], channels: usize) -> Scan {
    let grid = Grid::new(size, OBLIQUE).expect("a grid");
    let values = (1..=channels * grid.voxels()).map(|value| value as f32).collect();
    Scan::new(grid, channels, values).expect("a scan")
}

fn orientations() -> Vec<Orientation> {
    let letters = ["L", "R", "P", "A", "I", "S"];
    let all = letters.iter().flat_map(|a| letters.iter().map(move |b| format!("{a}{b}")));
    let all = all.flat_map(|ab| letters.iter().map(move |c| format!("{ab}{c}")));
    all.filter_map(|text| text.parse().ok()).collect()
}

/// What lies at each voxel, with the fastest index first.
fn at_voxels(grid: &Grid, value: impl Fn([f64; 3]) -> f64) -> Vec<f32> {
    let [width, height, depth] = grid.size();
    let rows = (0..depth).flat_map(|k| (0..height).map(move |j| (j, k)));
    let voxels = rows.flat_map(|(j, k)| (0..width).map(move |i| [i, j, k]));
    voxels.map(|at| value(grid.world(at.map(|index| index as f64))) as f32).collect()
}

#[test]
fn cards_prepare_scans_as_numpy_does() {
    let cases = expected::<Case>("recipes");
    assert_eq!(cases.len(), 6);
    for case in cases {
        case.assert_prepared_by(&card(&case.card));
    }
}

#[test]
fn plans_prepare_scans_as_nnunet_does() {
    let plans = NnUnetPlans::open(file("nnunet")).expect("plans");
    assert_eq!(plans.classes(), ["background", "liver", "tumour"]);
    assert!(!plans.by_region());
    assert_eq!(plans.channels(), ["CT", "PET"]);
    let cases = expected::<Case>("nnunet");
    assert_eq!(cases.len(), 4);
    for case in cases {
        let configuration = plans.configuration(&case.card).expect("a configuration");
        case.assert_prepared_by(&configuration.recipe(case.scan().grid()));
    }
    let smaller = plans.configuration("3d_bs4").expect("what it inherits");
    assert_eq!(smaller.patch_size(), [16, 32, 48]);
    assert_eq!(plans.configuration("2d").expect("slices").patch_size(), [64, 96]);
    let recipe = smaller.recipe(counted([2, 3, 4], 2).grid());
    // [1, 2, 0.6] are along y, z, x.
    assert_eq!((recipe.axes.to_string(), recipe.spacing), ("yzx".into(), Some([0.6, 1.0, 2.0])));
}

#[test]
fn what_plans_cannot_say_is_a_typed_error() {
    let plans = NnUnetPlans::open(file("nnunet")).expect("plans");
    for (name, text) in [
        ("3d_cascade_fullres", "3d_lowres by itself"),
        ("round", "[\"round\", \"about\"]"),
        ("4d", "3d_fullres"),
    ] {
        let error = plans.configuration(name).expect_err(name);
        assert!(matches!(error, ScanError::Format { .. }));
        assert!(error.to_string().contains(text), "{error}");
    }
    let text = |name| std::fs::read_to_string(file("nnunet").join(name)).expect("a fixture");
    let (plans, dataset) = (text("plans.json"), text("dataset.json"));
    let folder = tempfile::tempdir().expect("a folder");
    let changed = |file: &str, old: &str, new: &str| {
        for (name, text) in [("plans.json", &plans), ("dataset.json", &dataset)] {
            let text = if name == file { text.replace(old, new) } else { text.clone() };
            assert!(
                name != file || (&text != if file == "plans.json" { &plans } else { &dataset })
            );
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        NnUnetPlans::open(folder.path())
    };
    for (file, old, new, text) in [
        ("plans.json", "DefaultPreprocessor", "MyPreprocessor", "MyPreprocessor"),
        ("plans.json", "CTNormalization", "MyNormalization", "MyNormalization"),
        ("plans.json", "SimpleITKIO", "NaturalImage2DIO", "NaturalImage2DIO"),
        (
            "plans.json",
            "\"transpose_forward\": [\n        1",
            "\"transpose_forward\": [\n        2",
            "[2, 0, 2]",
        ),
        (
            "plans.json",
            "\"use_mask_for_norm\": [\n",
            "\"use_mask_for_norm\": [true,\n",
            "2 channel(s)",
        ),
        ("plans.json", "\"0\": {", "\"7\": {", "lacks channel 0"),
        ("plans.json", "\"spacing\": [\n", "\"spacing\": [1.0,\n", "two or three sides"),
        ("plans.json", "\"spacing\"", "\"spacings\"", "missing field `spacing`"),
        ("plans.json", "configurations", "stages", "missing field `configurations`"),
        ("dataset.json", "\"liver\": 1", "\"liver\": 4", "[0, 2, 4]"),
        ("dataset.json", "\"liver\": 1", "\"liver\": \"1\"", "a whole number or a list"),
        ("dataset.json", "\"1\": \"PET\"", "\"2\": \"PET\"", "[0, 2]"),
    ] {
        let error = changed(file, old, new).and_then(|plans| plans.configuration("3d_fullres"));
        let error = error.expect_err(new).to_string();
        assert!(error.contains(text) && error.contains(file), "{error}");
    }
    let regions = changed("dataset.json", "\"liver\": 1", "\"whole\": [1, 2]").expect("regions");
    assert_eq!(
        (regions.classes(), regions.by_region()),
        (&["tumour".into(), "whole".into()][..], true)
    );
    let old = changed("dataset.json", "channel_names", "modality").expect("version 1's word");
    assert_eq!(old.channels(), ["CT", "PET"]);
    let turned = changed("plans.json", "SimpleITKIO", "NibabelIOWithReorient").expect("turned");
    let turned = turned.configuration("2d").expect("slices").recipe(counted([2, 3, 4], 2).grid());
    assert_eq!(turned.orientation.map(|to| to.to_string()).as_deref(), Some("RAS"));
    std::fs::remove_file(folder.path().join("dataset.json")).expect("removed");
    assert!(matches!(NnUnetPlans::open(folder.path()), Err(ScanError::File { .. })));
}

#[test]
fn there_and_back_nothing_changes() {
    let scan = counted([4, 3, 5], 2);
    assert_eq!(orientations().len(), 48);
    for orientation in orientations() {
        for axes in AXES {
            let axes = axes.parse().expect("axes");
            let recipe = Recipe { orientation: Some(orientation), axes, ..Recipe::default() };
            let prepared = recipe.apply(&scan).expect("prepared");
            let there = prepared.forth(&scan).expect("on the same grid");
            assert_eq!(there, prepared.input().0);
            let back = prepared.back(&there, Interpolation::Trilinear).expect("back");
            assert_eq!(back, scan.values(), "{orientation} {axes}");
        }
    }
}

#[test]
fn sides_are_where_they_say() {
    let scan = counted([4, 3, 5], 1);
    for (orientation, axes) in orientations().into_iter().flat_map(|o| AXES.map(|axes| (o, axes))) {
        let axes = axes.parse().expect("axes");
        let recipe = Recipe { orientation: Some(orientation), axes, ..Recipe::default() };
        let prepared = recipe.apply(&scan).expect("prepared");
        // Right of each voxel of the input, and so on: which side changes it most, and which way.
        let ([_, _, b, c], names) = (prepared.input().1, [('L', 'R'), ('P', 'A'), ('I', 'S')]);
        for (space, (low, high)) in names.into_iter().enumerate() {
            let world = at_voxels(prepared.original(), |world| world[space]);
            let world = scan.with_values(1, world).expect("values");
            let there = prepared.forth(&world).expect("on the same grid");
            let change = [b * c, c, 1].map(|step| there[step] - there[0]);
            let side = prepared
                .sides()
                .into_iter()
                .position(|side| side.towards == high || side.from == high);
            let side = side.expect("every direction has a side");
            let found = &prepared.sides()[side];
            let up = found.towards == high;
            assert_eq!(if up { found.from } else { found.towards }, low);
            assert!(if up { change[side] > 0.0 } else { change[side] < 0.0 }, "{change:?}");
            let most = change.iter().fold(0.0f32, |most, change| most.max(change.abs()));
            assert_eq!(change[side].abs(), most, "{orientation} {axes}");
        }
        let spacing = axes.to_axes(prepared.sides().map(|side| side.spacing));
        assert_eq!(spacing, prepared.grid().spacing());
    }
    let sides = card("orientation = \"RAS\"\nspacing = [1, 0.6, 2]")
        .apply(&scan)
        .expect("prepared")
        .sides();
    assert_eq!(sides.map(|side| (side.towards, side.from)), [('S', 'I'), ('A', 'P'), ('R', 'L')]);
    let spacing = sides.map(|side| (side.spacing * 10.0).round() / 10.0);
    assert_eq!(spacing, [1.7, 0.6, 1.0]);
}

#[test]
fn ramps_come_back_from_other_voxels() {
    let scan = counted([12, 11, 10], 1);
    let ramp = |[x, y, z]: [f64; 3]| 2.0 * x - y + 0.5 * z;
    for (orientation, axes) in [("RAS", "zyx"), ("LPS", "xyz"), ("SPL", "yzx")] {
        let text = format!(
            "orientation = \"{orientation}\"\naxes = \"{axes}\"\nspacing = [1.1, 1.9, 1.6]"
        );
        let prepared = card(&text).apply(&scan).expect("prepared");
        // Made in the network's order, as a network makes it.
        let on_grid = Scan::new(prepared.grid().clone(), 1, at_voxels(prepared.grid(), ramp));
        let alone = Recipe { axes: axes.parse().expect("axes"), ..Recipe::default() };
        let map = alone.apply(&on_grid.expect("a scan")).expect("prepared").input().0;
        let back = prepared.back(&map, Interpolation::Trilinear).expect("back");
        let exact = at_voxels(scan.grid(), ramp);
        let mut inside = 0;
        for ((ours, exact), place) in back.iter().zip(&exact).zip(0..) {
            let [i, j, k] = [place % 12, place / 12 % 11, place / 132];
            let at = prepared.grid().index(scan.grid().world([i as f64, j as f64, k as f64]));
            let between =
                |axis: usize| (0.0..=(prepared.grid().size()[axis] - 1) as f64).contains(&at[axis]);
            if (0..3).all(between) {
                inside += 1;
                assert!((ours - exact).abs() < 1e-4, "{ours} {exact}");
            }
        }
        assert!(inside > 500, "{inside}");
    }
}

#[test]
fn what_was_cropped_comes_back_as_zeros() {
    let mut values = vec![0.0; 2 * 60];
    // One voxel in each channel: (1, 1, 1) and (2, 1, 3).
    (values[17], values[60 + 42]) = (5.0, 7.0);
    let scan = counted([4, 3, 5], 2).with_values(2, values.clone()).expect("a scan");
    let recipe = Recipe { crop: Crop::Nonzero, axes: Axes::XYZ, ..Recipe::default() };
    let prepared = recipe.apply(&scan).expect("prepared");
    let (input, sides) = prepared.input();
    assert_eq!((sides, prepared.grid().size()), ([2, 2, 1, 3], [2, 1, 3]));
    assert_eq!(prepared.back(&input, Interpolation::Nearest).expect("back"), values);
    let ones = prepared.back(&[1.0; 6], Interpolation::Trilinear).expect("back");
    let places: Vec<_> = (0..60).filter(|place| ones[*place] == 1.0).collect();
    assert_eq!(places, [17, 18, 29, 30, 41, 42]);
    assert_eq!(ones.iter().sum::<f32>(), 6.0);

    let nothing = scan.with_values(1, vec![0.0; 60]).expect("a scan");
    let whole = recipe.apply(&nothing).expect("all of it");
    assert_eq!(whole.input(), (vec![0.0; 60], [1, 4, 3, 5]));
}

#[test]
fn constant_scans_become_zero() {
    let scan = counted([4, 3, 5], 1).with_values(1, vec![0.1; 60]).expect("a scan");
    for scale in ["z-score", "z-score-nonzero", "z-score-nonzero-filled", "min-max"] {
        let prepared = card(&format!("scale = \"{scale}\"")).apply(&scan).expect("prepared");
        assert!(prepared.scan().values().iter().all(|value| value.abs() < 1e-6), "{scale}");
    }
}

#[test]
fn percentiles_are_those_of_numpy() {
    // np.percentile([7, 1, 3, 10, 2], [30, 90]) is [2.2, 8.8].
    let grid = Grid::new([5, 1, 1], OBLIQUE).expect("a grid");
    let scan = Scan::new(grid, 1, vec![7.0, 1.0, 3.0, 10.0, 2.0]).expect("a scan");
    let clipped = card("percentiles = [30, 90]").apply(&scan).expect("prepared");
    assert_eq!(clipped.scan().values(), [7.0, 2.2, 3.0, 8.8, 2.2]);
    let all = card("percentiles = [0, 100]").apply(&scan).expect("prepared");
    assert_eq!(all.scan().values(), scan.values());
}

#[test]
fn wrong_numbers_are_typed_errors() {
    let scan = counted([4, 3, 5], 2);
    for (card, text) in [
        ("spacing = [1.0, 0.0, 1.0]", "above 0"),
        ("spacing = [1.0, nan, 1.0]", "above 0"),
        ("spacing = [1.0, -2.0, 1.0]", "above 0"),
        ("spacing = [1e-4, 1e-4, 1e-4]", "2147483648 voxels"),
        ("spacing = [1e-300, 1.0, 1.0]", "the scan has [4, 3, 5]"),
        ("clip = [240, -160]", "low < high"),
        ("clip = [1, 1]", "low < high"),
        ("clip = [nan, 1]", "low < high"),
        ("percentiles = [99, 1]", "0 ≤ low < high ≤ 100"),
        ("percentiles = [0.5, 101]", "0 ≤ low < high ≤ 100"),
        ("percentiles = [nan, 99]", "0 ≤ low < high ≤ 100"),
        ("clip = [0, 1]\npercentiles = [1, 99]", "not both"),
        ("scale = { mean = 1, std = 0 }", "a std above 0"),
        ("scale = { mean = inf, std = 1 }", "a finite mean"),
        ("scale = { by = -255 }", "above 0"),
        ("[[channels]]", "each of the scan's 2 channel(s)"),
        ("clip = [0, 1]\n[[channels]]\n[[channels]]", "not both"),
        ("[[channels]]\n[[channels]]\nclip = [3, 2]", "channels[1].clip = [3.0, 2.0]"),
    ] {
        let error = refused(card, &scan);
        assert!(error.contains(text), "{card}: {error}");
        let recipe: Recipe = toml::from_str(card).expect("a card");
        assert!(matches!(recipe.apply(&scan), Err(ScanError::Recipe { .. })), "{card}");
    }
    let mut values = scan.values().to_vec();
    values[60 + 13] = f32::NAN;
    let error = refused("", &scan.with_values(2, values).expect("a scan"));
    assert!(error.contains("NaN of voxel [1, 0, 1], channel 1"), "{error}");
}

#[test]
fn cards_say_what_they_do_not_know() {
    for (text, wanted) in [
        ("spacings = [1, 1, 1]", "unknown field `spacings`"),
        ("scale = \"zscore\"", "\"z-score-nonzero\""),
        ("scale = { mean = 1.0 }", "{ mean = …, std = … }"),
        ("scale = { mean = 1.0, std = 2.0, by = 3.0 }", "{ by = … }"),
        ("axes = \"xyy\"", "such as \"zyx\""),
        ("orientation = \"RAR\"", "one each of R or L"),
        ("crop = \"body\"", "`nonzero`"),
        ("[[channels]]\nspacing = 1", "unknown field `spacing`"),
    ] {
        let error = toml::from_str::<Recipe>(text).expect_err(text).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn recipes_can_be_kept() {
    let text = "orientation = \"LPS\"\nspacing = [1, 2, 3.5]\ncrop = \"nonzero\"\naxes = \"yxz\"\n\
                [[channels]]\nclip = [-1, 2.5]\nscale = { mean = 99.4, std = 39.4 }\n\
                [[channels]]\nscale = \"z-score-nonzero-filled\"\n[[channels]]\nscale = { by = 255 }";
    let recipe = card(text);
    assert_eq!(recipe.channels[2].scale, Scale::Divide { by: 255.0 });
    let kept = serde_json::to_string(&recipe).expect("JSON");
    assert_eq!(serde_json::from_str::<Recipe>(&kept).expect("the recipe"), recipe);
    assert_eq!(card(""), Recipe::default());
}

#[test]
fn annotations_lie_on_their_scan() {
    let scan = counted([4, 3, 5], 1);
    let prepared = card("spacing = [3, 2, 2]").apply(&scan).expect("prepared");
    let mut near = OBLIQUE;
    near[0][3] += 0.01;
    let annotation =
        |affine| Scan::new(Grid::new([4, 3, 5], affine).expect("a grid"), 1, vec![1.0; 60]);
    let ones = prepared.forth(&annotation(near).expect("a scan")).expect("near enough");
    assert!(ones.len() == prepared.grid().voxels() && ones.iter().all(|value| *value == 1.0));
    near[0][3] += 1.0;
    let error = prepared.forth(&annotation(near).expect("a scan")).expect_err("elsewhere");
    assert!(matches!(error, ScanError::OtherGrid { .. }));
    let text = error.to_string();
    for words in ["10.01", "9.00, 4.00, -7.00", "resampled onto the scan"] {
        assert!(text.contains(words), "{text}");
    }
    let wrong = prepared.back(&[1.0; 7], Interpolation::Nearest);
    assert!(matches!(wrong, Err(ScanError::Mismatch(_))));
}
