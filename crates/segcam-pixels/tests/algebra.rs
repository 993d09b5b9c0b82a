//! Text form, laws of the algebra, and geometry against a naive reading.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use segcam_core::{CamError, PixelSet, Prediction};
use segcam_pixels::{Pixel, PixelAlgebra, PixelSpec, Region, Threshold};

const SIDE: usize = 5;

fn atom() -> impl Strategy<Value = PixelSpec> {
    let at = || 0..SIDE;
    prop_oneof![
        Just(PixelSpec::All),
        Just(PixelSpec::Class),
        (at(), at()).prop_map(|(y, x)| PixelSpec::Pixel(Pixel::new([y, x]))),
        (at(), at(), 1..=SIDE, 1..=SIDE).prop_map(|(y, x, h, w)| {
            let end = [(y + h).min(SIDE), (x + w).min(SIDE)];
            PixelSpec::Box(Region::new([y, x], end))
        }),
        (0..100u32).prop_map(|p| PixelSpec::Threshold(Threshold(f64::from(p) / 100.0))),
    ]
}

fn spec() -> impl Strategy<Value = PixelSpec> {
    atom().prop_recursive(4, 16, 2, |inner| {
        let pair = || (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            pair().prop_map(|(a, b)| PixelSpec::And(a, b)),
            pair().prop_map(|(a, b)| PixelSpec::Or(a, b)),
            pair().prop_map(|(a, b)| PixelSpec::Minus(a, b)),
            inner.clone().prop_map(|a| PixelSpec::Not(Box::new(a))),
        ]
    })
}

fn prediction(values: &[f32]) -> Prediction {
    let data = TensorData::new(values.to_vec(), [1, 2, SIDE, SIDE]);
    Prediction::new(Tensor::from_data(data, &Device::flex()), [1, 1, SIDE, SIDE])
}

fn members(set: &impl PixelSet, view: &Prediction) -> Vec<bool> {
    let weights = set.weights(view, 1).expect("a set inside the image");
    weights.into_data().iter::<f32>().map(|weight| weight == 1.0).collect()
}

/// What the text form means, pixel by pixel.
fn naive(set: &PixelSpec, logits: &[f32], y: usize, x: usize) -> bool {
    let score = |class: usize| logits[(class * SIDE + y) * SIDE + x];
    let inside = |set: &dyn std::fmt::Display| {
        let text = set.to_string();
        let numbers = text.split_once(':').map(|(_, numbers)| numbers).unwrap_or_default();
        let numbers: Vec<usize> =
            numbers.split(',').map(|n| n.parse().expect("a number")).collect();
        match numbers[..] {
            [a, b] => (a, b) == (y, x),
            [a, b, c, d] => (a..c).contains(&y) && (b..d).contains(&x),
            _ => unreachable!(),
        }
    };
    match set {
        PixelSpec::All => true,
        PixelSpec::Class => score(1) > score(0),
        PixelSpec::Pixel(pixel) => inside(pixel),
        PixelSpec::Box(region) => inside(region),
        PixelSpec::Threshold(Threshold(level)) => {
            1.0 / (1.0 + f64::from(score(0) - score(1)).exp()) > *level
        }
        PixelSpec::And(a, b) => naive(a, logits, y, x) && naive(b, logits, y, x),
        PixelSpec::Or(a, b) => naive(a, logits, y, x) || naive(b, logits, y, x),
        PixelSpec::Minus(a, b) => naive(a, logits, y, x) && !naive(b, logits, y, x),
        PixelSpec::Not(a) => !naive(a, logits, y, x),
    }
}

proptest! {
    #[test]
    fn text_form_round_trips(set in spec()) {
        prop_assert_eq!(set.to_string().parse::<PixelSpec>().expect("its own text"), set);
    }

    #[test]
    fn sets_agree_with_a_naive_reading(
        set in spec(),
        logits in prop::collection::vec(-4.0..4.0f32, 2 * SIDE * SIDE),
    ) {
        let wanted: Vec<bool> =
            (0..SIDE * SIDE).map(|i| naive(&set, &logits, i / SIDE, i % SIDE)).collect();
        prop_assert_eq!(members(&set, &prediction(&logits)), wanted);
    }

    #[test]
    fn de_morgan_and_double_negation(
        a in spec(),
        b in spec(),
        logits in prop::collection::vec(-4.0..4.0f32, 2 * SIDE * SIDE),
    ) {
        let view = prediction(&logits);
        let (a, b): (&dyn PixelSet, &dyn PixelSet) = (&a, &b);
        prop_assert_eq!(
            members(&a.and(b).not(), &view),
            members(&a.not().or(b.not()), &view)
        );
        prop_assert_eq!(members(&a.minus(b), &view), members(&a.and(b.not()), &view));
        prop_assert_eq!(members(&a.not().not(), &view), members(&a, &view));
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9:,.&|!()\\- é]{0,30}") {
        let _ = text.parse::<PixelSpec>();
    }
}

#[test]
fn errors_point_at_the_column() {
    for (text, column) in [
        ("", 1),
        ("clas", 1),
        ("class&", 7),
        ("pixel:3", 8),
        ("pixel:3,", 9),
        ("box:1,2,3", 10),
        ("box:5,5,5,9", 12),
        ("threshold:1.5", 11),
        ("pixel 3,4", 7),
        ("(class", 7),
        ("class all", 7),
        ("pixel:99999999999999999999,1", 7),
    ] {
        let error = text.parse::<PixelSpec>().expect_err(text);
        assert_eq!(error.column, column, "{error}");
    }
    for endless in ["!".repeat(100_000), format!("all{}", "|all".repeat(20_000))] {
        assert!(endless.parse::<PixelSpec>().is_err());
    }
    // The longest that is taken can be printed, asked and dropped.
    let long: PixelSpec = format!("all{}", "-pixel:1,2".repeat(256)).parse().expect("a set");
    let view = prediction(&[0.0; 2 * SIDE * SIDE]);
    assert_eq!(members(&long, &view).iter().filter(|&&member| member).count(), 24);
    assert_eq!(long.to_string().parse::<PixelSpec>().as_ref(), Ok(&long));
}

#[test]
fn sets_that_do_not_fit_the_image_are_errors() {
    let view = prediction(&[0.0; 2 * SIDE * SIDE]);
    let weights = |set: &dyn PixelSet| set.weights(&view, 0).map(|_| ());
    assert!(matches!(weights(&Pixel::new([5, 0])), Err(CamError::OutsideImage { .. })));
    assert!(matches!(weights(&Pixel::new([usize::MAX, 0])), Err(CamError::OutsideImage { .. })));
    assert!(matches!(weights(&Pixel::new([1, 2, 3])), Err(CamError::SetRank { wanted: 2, .. })));
    assert!(matches!(
        weights(&Region::new([0, 0], [2, 6])),
        Err(CamError::OutsideImage { image, .. }) if image == [5, 5]
    ));
}
