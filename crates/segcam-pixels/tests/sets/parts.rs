//! Sets that consist of parts keep them inside other sets, or the combination is an error.

use burn::tensor::{Device, Tensor, TensorData};
use segcam_core::{AllPixels, CamError, PixelSet, Prediction};
use segcam_pixels::{
    AnySet, Contrast, Mask, Morphology, Pixel, PixelAlgebra, Region, Vocabulary, Word,
};

const SIDE: usize = 6;

fn view() -> Prediction {
    Prediction::new(Tensor::zeros([1, 2, SIDE, SIDE], &Device::flex()), [1, 1, SIDE, SIDE])
}

/// Two rectangles that touch: rows 0 to 1 and rows 2 to 3 of columns 0 to 3.
#[derive(Debug, Clone)]
struct Two;

impl Two {
    fn regions() -> [Region; 2] {
        [Region::new([0, 0], [2, 4]), Region::new([2, 0], [4, 4])]
    }
}

impl PixelSet for Two {
    fn weights(&self, view: &Prediction, class: usize) -> Result<Tensor<4>, CamError> {
        let [a, b] = Self::regions();
        a.or(b).weights(view, class)
    }

    fn name(&self) -> String {
        "two".into()
    }

    fn parts(&self, _: &Prediction, _: usize) -> Result<Vec<AnySet>, CamError> {
        Ok(Self::regions().map(|region| -> AnySet { Box::new(region) }).into())
    }
}

fn vocabulary() -> Vocabulary {
    Vocabulary::new().with([Word::new("two", "two rectangles", |_| Ok(Box::new(Two))).of_parts()])
}

fn values(set: &dyn PixelSet) -> Vec<f32> {
    set.weights(&view(), 1).expect("a set in the image").into_data().iter().collect()
}

/// What a set of the plain words holds.
fn plain(text: &str) -> Vec<f32> {
    values(&Vocabulary::<4>::new().parse(text).expect(text))
}

#[test]
fn what_is_done_to_parts_is_done_to_each_of_them() {
    let [one, other] = ["box:0,0,2,4", "box:2,0,4,4"];
    for (text, wanted) in [
        ("two", "{}"),
        ("two & box:1,1,4,4", "{}&box:1,1,4,4"),
        ("box:1,1,4,4 & two", "box:1,1,4,4&{}"),
        ("two - box:1,1,4,3", "{}-box:1,1,4,3"),
        ("(all - pixel:0,0) & two - pixel:3,3", "(all-pixel:0,0)&{}-pixel:3,3"),
        ("dilate(two, 1)", "dilate({},1)"),
        ("erode(two, 0)", "erode({},0)"),
        ("inner(two, 1)", "inner({},1)"),
        ("outer(two, 2)", "outer({},2)"),
        ("band(two, 1)", "band({},1)"),
        ("open(two, 1)", "open({},1)"),
        ("close(two, 1)", "close({},1)"),
        ("contrast(two, 0)", "contrast({},0)"),
        (
            "dilate(contrast(two & box:0,0,4,2, 0), 2) - pixel:0,0",
            "dilate(contrast({}&box:0,0,4,2,0),2)-pixel:0,0",
        ),
    ] {
        let set = vocabulary().parse(text).expect(text);
        let parts = set.parts(&view(), 1).expect(text);
        let wanted = [one, other].map(|part| wanted.replace("{}", part));
        let wanted: Vec<_> =
            wanted.iter().filter(|text| plain(text).iter().any(|weight| *weight != 0.0)).collect();
        assert_eq!(parts.len(), wanted.len(), "{text}");
        let mut all = vec![0f32; SIDE * SIDE];
        for (part, wanted) in parts.iter().zip(wanted) {
            assert_eq!(values(part), plain(wanted), "{wanted}");
            assert_eq!(part.against(&view(), 1), set.against(&view(), 1), "{text}");
            // A part's name is its text.
            assert_eq!(values(part), plain(&part.name()), "{}", part.name());
            all.iter_mut().zip(plain(wanted)).for_each(|(all, part)| *all = all.max(part));
        }
        assert_eq!(values(&set), all, "{text}: all parts together");
    }
}

#[test]
fn parts_without_pixels_are_left_out() {
    let parts = |text: &str| {
        let set = vocabulary().parse(text).expect(text);
        set.parts(&view(), 1).expect(text).iter().map(|part| part.name()).collect::<Vec<_>>()
    };
    assert_eq!(parts("two & pixel:3,1"), ["box:2,0,4,4&pixel:3,1"]);
    assert_eq!(parts("two - box:0,0,2,4"), ["box:2,0,4,4-box:0,0,2,4"]);
    // Both are gone, though a square of both together would have a middle.
    let gone = vocabulary().parse("erode(two, 2)").expect("a set");
    assert!(gone.parts(&view(), 1).expect("parts").is_empty());
    assert!(values(&gone).iter().all(|weight| *weight == 0.0));
    assert_eq!(gone.why_empty(&view(), 1).expect("why"), "nothing is left after 2 pixels");
    let [one, other] = Two::regions();
    assert!(values(&Morphology::erode(one.or(other), 1)).contains(&1.0));
}

#[test]
fn parts_are_not_made_one_set() {
    let all = || AllPixels;
    let sets: [(&str, Box<dyn PixelSet>); 9] = [
        ("!two", Box::new(Two.not())),
        ("two|all", Box::new(Two.or(all()))),
        ("all|two", Box::new(all().or(Two))),
        ("two^all", Box::new(Two.xor(all()))),
        ("all^two", Box::new(all().xor(Two))),
        ("all-two", Box::new(all().minus(Two))),
        ("two&two", Box::new(Two.and(Two))),
        ("two-dilate(two,1)", Box::new(Two.minus(Morphology::dilate(Two, 1)))),
        ("!(two&box:1,1,4,4)", Box::new(Two.and(Region::new([1, 1], [4, 4])).not())),
    ];
    for (name, set) in sets {
        assert_eq!(set.name(), name);
        let weights = set.weights(&view(), 1).map(|_| ());
        let parts = set.parts(&view(), 1).map(|_| ());
        for asked in [weights, parts] {
            let Err(CamError::PixelSet { set, reason }) = asked else { panic!("{name}") };
            assert_eq!(set, name);
            assert!(
                reason.contains("part by part") && reason.contains("`parts - set`"),
                "{reason}"
            );
        }
    }
    // Inside other sets, too.
    let inside = Contrast::with(0).within(Morphology::dilate(Two.not(), 1).and(Pixel::new([1, 1])));
    assert!(matches!(inside.weights(&view(), 1), Err(CamError::PixelSet { .. })));
    assert!(matches!(inside.parts(&view(), 1), Err(CamError::PixelSet { .. })));
}

#[test]
fn the_text_form_says_where_parts_would_be_made_one_set() {
    for (text, column) in [
        ("! two", 3),
        ("two | all", 5),
        ("all | two", 7),
        ("two ^ all", 5),
        ("all ^ (two & border:1)", 7),
        ("all - two", 7),
        ("two & two", 7),
        ("pixel:1,1 & !(dilate(two, 3))", 14),
        ("contrast(all & two, 1) | all", 24),
        ("dilate(!two, 1)", 9),
    ] {
        let error = vocabulary().parse(text).err().expect(text);
        assert_eq!(error.column, column, "{error}");
        assert!(error.wanted.contains("`parts - set`"), "{error}");
    }
    // What was read before does not count.
    for text in ["two & !all", "two - (all | class)", "two & dilate(!class, 1)", "(two) & (!all)"] {
        assert!(vocabulary().parse(text).is_ok(), "{text}");
    }
}

/// All pixels of a batch are a set, though nobody lists its parts.
#[test]
fn sets_without_parts_have_none() {
    let mask = Tensor::<4>::from_data(
        TensorData::new(vec![1f32; SIDE * SIDE], [1, 1, SIDE, SIDE]),
        &Device::flex(),
    );
    let set = Mask::new(mask).and(AllPixels.not().not()).or(Pixel::new([0, 0])).xor(AllPixels);
    assert!(Contrast::with(0).within(set).parts(&view(), 1).expect("no parts").is_empty());
}
