//! The text form: its errors, and sets that do not fit the image.

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use segcam_core::{CamError, PixelSet, Prediction};
use segcam_pixels::{
    Border, ClassIs, Contrast, Disc, Mask, Pixel, PixelAlgebra, Points, Region, Top, Vocabulary,
};

fn view() -> Prediction {
    Prediction::new(Tensor::zeros([1, 2, 5, 5], &Device::flex()), [1, 1, 5, 5])
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9:;,.&|!()^\\- é]{0,30}") {
        let _ = Vocabulary::<4>::new().parse(&text);
    }

    #[test]
    fn no_sequence_of_words_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "class", "dilate(", ")", ",", "3", "&", "!", "(", "pixel:", "box:1,2,3,4", "top:",
                "contrast:", "polygon:", "0.5", "band(class,2)", "^",
            ]),
            0..12,
        ),
    ) {
        let text = words.concat();
        if let Ok(set) = Vocabulary::<4>::new().parse(&text) {
            let _ = set.weights(&view(), 0);
        }
    }
}

#[test]
fn errors_point_at_the_column() {
    let vocabulary = Vocabulary::<4>::new().with_classes(["road", "person", "traffic light"]);
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
        ("class & dilate(class 3)", 22),
        ("dilate(class,3", 15),
        ("inner(class,0)", 13),
        ("top:0", 5),
        ("polygon:1,1;2,2", 16),
        ("disc:3,4", 9),
        ("contrast:perso", 10),
        ("class:persn", 7),
    ] {
        let error = vocabulary.parse(text).err().expect(text);
        assert_eq!(error.column, column, "{error}");
    }
    let text = |text: &str| vocabulary.parse(text).err().expect(text).to_string();
    assert!(text("clas").contains("did you mean `class`?"), "{}", text("clas"));
    assert!(text("class:persn").contains("did you mean `person`?"), "{}", text("class:persn"));
    for wrong in ["traffic-ligt", "traffic_ligt", "traffic"] {
        let error = text(&format!("class:{wrong} | all"));
        assert!(error.contains(&format!("no class is named `{wrong}`")), "{error}");
    }
    // Of a long text what lies around the place.
    let many = ["class"; 20].join("|");
    let (first, last) = (text(&format!("clas|{many}")), text(&format!("{many}|clas")));
    assert!(first.contains("`clas|class") && first.contains("…`"), "{first}");
    assert!(last.contains("`…") && last.contains("|clas`"), "{last}");
    let named = vocabulary.parse("class:traffic light & contrast:road").expect("a set");
    assert_eq!(named.name(), "class:2&contrast:0");
}

#[test]
fn sets_are_called_as_they_are_written() {
    for text in [
        "class",
        "all",
        "class:1",
        "pixel:1,2",
        "points:1,1;2,2",
        "box:1,1,3,3",
        "disc:2,2,1",
        "polygon:0,0;4,0;4,4",
        "border:1",
        "top:3",
        "random:3,7",
        "threshold:0.5",
        "soft",
        "contrast:0",
        "dilate(class,2)",
        "outer(class,1)",
        "class&!all",
        "class-all|pixel:1,2",
        "finer:2",
        "finer(class,2,0.5)",
    ] {
        assert_eq!(Vocabulary::<4>::new().parse(text).expect(text).name(), text);
    }
}

#[test]
fn endless_sets_are_refused() {
    let vocabulary = Vocabulary::<4>::new();
    for endless in [
        "!".repeat(100_000),
        "(".repeat(100_000),
        "dilate(".repeat(100_000),
        format!("all{}", "|all".repeat(20_000)),
    ] {
        assert!(vocabulary.parse(&endless).is_err());
    }
    // The longest that is taken can be printed, asked and dropped.
    let long = vocabulary.parse(&format!("all{}", "-pixel:1,2".repeat(256))).expect("a set");
    let weights = long.weights(&view(), 0).expect("weights");
    assert_eq!(weights.sum().into_scalar::<f32>(), 24.0);
    assert!(vocabulary.parse(&long.name()).is_ok());
}

#[test]
fn sets_that_do_not_fit_the_image_are_errors() {
    let view = view();
    let weights = |set: &dyn PixelSet| {
        set.against(&view, 0)?;
        set.weights(&view, 0).map(|_| ())
    };
    let read = |text: &str| {
        let set = Vocabulary::<4>::new().parse(text).expect(text);
        weights(&set).expect_err(text)
    };
    assert!(matches!(weights(&Pixel::new([5, 0])), Err(CamError::OutsideImage { .. })));
    assert!(matches!(weights(&Pixel::new([usize::MAX, 0])), Err(CamError::OutsideImage { .. })));
    assert!(matches!(weights(&Pixel::new([1, 2, 3])), Err(CamError::SetRank { wanted: 2, .. })));
    let rank = |set: &dyn PixelSet| match weights(set) {
        Err(CamError::SetRank { wanted, given, .. }) => (wanted, given),
        other => panic!("{other:?}"),
    };
    assert_eq!(rank(&Pixel::new([1])), (2, 1));
    assert_eq!(rank(&Disc::new([1, 2, 3], 1.0)), (2, 3));
    assert!(matches!(weights(&Points::new([[1, 1], [1, 5]])), Err(CamError::OutsideImage { .. })));
    assert!(matches!(weights(&Region::new([0, 0], [2, 6])), Err(CamError::OutsideImage { .. })));
    assert!(matches!(read("disc:9,0,2"), CamError::OutsideImage { .. }));
    assert!(matches!(read("polygon:0,0;4,4;9,0"), CamError::OutsideImage { .. }));
    assert!(matches!(read("class:2"), CamError::ClassOutOfRange { class: 2, classes: 2 }));
    for (text, reason) in [
        ("polygon:0,0;4,4;4,0;0,4", "the edge from corner 1 to 2 meets the one from 3 to 4"),
        // A corner that lies on an edge.
        ("polygon:0,0;4,0;4,4;2,0;0,4", "the edge from corner 1 to 2 meets the one from 3 to 4"),
        ("polygon:2,0;4,4;4,0;0,0;0,4", "the edge from corner 1 to 2 meets the one from 3 to 4"),
        ("polygon:4,4;2,0;0,4;0,0;4,0", "the edge from corner 1 to 2 meets the one from 4 to 5"),
        ("polygon:0,0;4,0;0,0", "crosses itself"),
        ("top:26", "25 pixels"),
        ("random:26,1", "25 pixels"),
        ("contrast:0&contrast:1", "compares with class 0 and with class 1"),
    ] {
        let error = read(text).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn empty_sets_say_why() {
    let view = view();
    for (text, reason) in [
        ("class", "no pixel is predicted as class 1"),
        ("threshold:0.9", "the largest probability of class 1 is 0.5000"),
        ("entropy:0.99 - all", "every pixel of the first is in the second"),
        ("pixel:1,1 & pixel:2,2", "no pixel is in both"),
        ("erode(pixel:1,1, 2)", "nothing is left after 2 pixels"),
        ("dilate(class, 2)", "no pixel is predicted as class 1"),
        ("band(all, 2)", "has no boundary"),
        ("!all", "every pixel is in the set"),
    ] {
        let set = Vocabulary::<4>::new().parse(text).expect(text);
        assert_eq!(set.weights(&view, 1).expect(text).sum().into_scalar::<f32>(), 0.0, "{text}");
        let why = set.why_empty(&view, 1).expect(text);
        assert!(why.contains(reason), "{text}: {why}");
    }
}

#[test]
fn sets_of_nothing_say_why() {
    let view = view();
    let nowhere = Tensor::<4>::zeros([1, 1, 5, 5], &Device::flex());
    let sets: [(&dyn PixelSet, &str); 7] = [
        (&Border(0), "its width is 0"),
        (&ClassIs(1), "no pixel is predicted as class 1"),
        (&Contrast::with(0), "no pixel is predicted as class 1"),
        (&Mask::new(nowhere), "zero everywhere"),
        (&Points::new(Vec::<[usize; 2]>::new()), "no points"),
        (&Top(0), "it asks for 0 pixels"),
        (&Region::new([2, 2], [2, 4]), "does not lie beyond its first"),
    ];
    assert_eq!(sets[3].0.name(), "mask");
    for (set, reason) in sets {
        let name = set.name();
        assert_eq!(set.weights(&view, 1).expect(&name).sum().into_scalar::<f32>(), 0.0, "{name}");
        let why = set.why_empty(&view, 1).expect(&name);
        assert!(why.contains(reason), "{name}: {why}");
    }
}

#[test]
fn a_contrast_stays_one_in_combinations() {
    let set = Contrast::with(3).and(Pixel::new([1, 1]));
    let against = |set: &dyn PixelSet| set.against(&view(), 1).expect("no conflict");
    assert_eq!(against(&set), [(3, 1.0)]);
    let read = Vocabulary::<4>::new().parse("dilate(contrast:3, 2) - border:1").expect("a set");
    assert_eq!(against(&read), [(3, 1.0)]);
    let read = Vocabulary::<4>::new().parse("!dilate(contrast:3 | all, 2)").expect("a set");
    assert_eq!(against(&read), [(3, 1.0)]);
    // What is in parentheses already gets no more of them.
    assert_eq!(read.name(), "!dilate(contrast:3|all,2)");
    assert_eq!(against(&Vocabulary::new().parse("class").expect("a set")), []);
}
