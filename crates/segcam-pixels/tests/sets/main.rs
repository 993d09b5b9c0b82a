//! Every pixel set against a naive reading of its definition, and the laws of the algebra.

mod parts;
mod text;

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use segcam_core::{PixelSet, Prediction};
use segcam_pixels::{PixelAlgebra, Soft, Vocabulary};

const SIDE: i64 = 6;
const PIXELS: usize = (SIDE * SIDE) as usize;
const CLASSES: usize = 3;
/// The class asked about.
const ASKED: usize = 1;

/// A set as its definition has it.
#[derive(Debug, Clone)]
enum Set {
    All,
    Class,
    ClassIs(usize),
    Threshold(f64),
    Top(usize),
    Entropy(f64),
    Margin(f64),
    LeastConfidence(f64),
    Pixel(i64, i64),
    Points(Vec<(i64, i64)>),
    Box(i64, i64, i64, i64),
    Disc(i64, i64, f64),
    Border(i64),
    Grown(&'static str, Box<Set>, i64),
    Both(char, Box<Set>, Box<Set>),
    Not(Box<Set>),
}

fn atom() -> impl Strategy<Value = Set> {
    let at = || 0..SIDE;
    let level = || (0..100u32).prop_map(|p| f64::from(p) / 100.0);
    prop_oneof![
        Just(Set::All),
        Just(Set::Class),
        (0..CLASSES).prop_map(Set::ClassIs),
        level().prop_map(Set::Threshold),
        (1..=PIXELS).prop_map(Set::Top),
        level().prop_map(Set::Entropy),
        level().prop_map(Set::Margin),
        level().prop_map(Set::LeastConfidence),
        (at(), at()).prop_map(|(y, x)| Set::Pixel(y, x)),
        prop::collection::vec((at(), at()), 1..4).prop_map(Set::Points),
        (at(), at(), 1..=SIDE, 1..=SIDE).prop_map(|(y, x, h, w)| Set::Box(
            y,
            x,
            (y + h).min(SIDE),
            (x + w).min(SIDE)
        )),
        (at(), at(), 0..40u32).prop_map(|(y, x, r)| Set::Disc(y, x, f64::from(r) / 10.0)),
        (1..4i64).prop_map(Set::Border),
    ]
}

fn set() -> impl Strategy<Value = Set> {
    let steps = ["dilate", "erode", "open", "close", "inner", "outer", "band"];
    atom().prop_recursive(4, 12, 2, move |inner| {
        let symbol = prop::sample::select(vec!['&', '|', '-', '^']);
        prop_oneof![
            2 => (symbol, inner.clone(), inner.clone())
                .prop_map(|(symbol, a, b)| Set::Both(symbol, Box::new(a), Box::new(b))),
            1 => inner.clone().prop_map(|a| Set::Not(Box::new(a))),
            1 => (prop::sample::select(steps.to_vec()), inner, 1..4i64)
                .prop_map(|(step, a, by)| Set::Grown(step, Box::new(a), by)),
        ]
    })
}

impl Set {
    fn text(&self) -> String {
        match self {
            Self::All => "all".into(),
            Self::Class => "class".into(),
            Self::ClassIs(class) => format!("class:{class}"),
            Self::Threshold(level) => format!("threshold:{level}"),
            Self::Top(count) => format!("top:{count}"),
            Self::Entropy(level) => format!("entropy:{level}"),
            Self::Margin(level) => format!("margin:{level}"),
            Self::LeastConfidence(level) => format!("leastconfidence:{level}"),
            Self::Pixel(y, x) => format!("pixel:{y},{x}"),
            Self::Points(points) => {
                let points: Vec<_> = points.iter().map(|(y, x)| format!("{y},{x}")).collect();
                format!("points:{}", points.join(";"))
            }
            Self::Box(y, x, below, right) => format!("box:{y},{x},{below},{right}"),
            Self::Disc(y, x, radius) => format!("disc:{y},{x},{radius}"),
            Self::Border(width) => format!("border:{width}"),
            Self::Grown(step, set, by) => format!("{step}({},{by})", set.text()),
            Self::Both(symbol, a, b) => format!("({}){symbol}({})", a.text(), b.text()),
            Self::Not(a) => format!("!({})", a.text()),
        }
    }

    fn members(&self, logits: &[f32]) -> Vec<bool> {
        (0..SIDE * SIDE).map(|at| self.has(logits, at / SIDE, at % SIDE)).collect()
    }

    fn has(&self, logits: &[f32], y: i64, x: i64) -> bool {
        let score = |class: usize, y: i64, x: i64| {
            f64::from(logits[class * PIXELS + (y * SIDE + x) as usize])
        };
        let probability = |class: usize, y: i64, x: i64| {
            let sum: f64 = (0..CLASSES).map(|other| score(other, y, x).exp()).sum();
            score(class, y, x).exp() / sum
        };
        let predicted = |class: usize| {
            (0..CLASSES).all(|other| other == class || score(class, y, x) > score(other, y, x))
        };
        let mut sorted: Vec<f64> = (0..CLASSES).map(|class| probability(class, y, x)).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        match self {
            Self::All => true,
            Self::Class => predicted(ASKED),
            Self::ClassIs(class) => predicted(*class),
            Self::Threshold(level) => probability(ASKED, y, x) > *level,
            Self::Top(count) => {
                let mine = probability(ASKED, y, x);
                let places = (0..SIDE * SIDE).map(|at| (at / SIDE, at % SIDE));
                places.filter(|(y, x)| probability(ASKED, *y, *x) > mine).count() < *count
            }
            Self::Entropy(level) => {
                let bits: f64 = sorted.iter().map(|p| -p * p.ln()).sum();
                bits / (CLASSES as f64).ln() > *level
            }
            Self::Margin(level) => 1.0 - (sorted[0] - sorted[1]) > *level,
            Self::LeastConfidence(level) => 1.0 - sorted[0] > *level,
            Self::Pixel(py, px) => (*py, *px) == (y, x),
            Self::Points(points) => points.contains(&(y, x)),
            Self::Box(top, left, below, right) => {
                (*top..*below).contains(&y) && (*left..*right).contains(&x)
            }
            Self::Disc(cy, cx, radius) => ((cy - y) as f64).hypot((cx - x) as f64) <= *radius,
            Self::Border(width) => {
                y.min(x) < *width || SIDE - 1 - y < *width || SIDE - 1 - x < *width
            }
            Self::Grown(step, set, by) => {
                let inside = set.members(logits);
                grown(step, &inside, *by)[(y * SIDE + x) as usize]
            }
            Self::Both(symbol, a, b) => {
                let (a, b) = (a.has(logits, y, x), b.has(logits, y, x));
                match symbol {
                    '&' => a && b,
                    '|' => a || b,
                    '-' => a && !b,
                    _ => a != b,
                }
            }
            Self::Not(a) => !a.has(logits, y, x),
        }
    }

    /// Whether the members hang on the last bit of a probability.
    fn is_on_an_edge(&self, logits: &[f32]) -> bool {
        let nudged = |by: f32| logits.iter().map(|value| value * by).collect::<Vec<_>>();
        self.members(&nudged(1.0 + 1e-5)) != self.members(&nudged(1.0 - 1e-5))
    }
}

fn grown(step: &str, set: &[bool], by: i64) -> Vec<bool> {
    let near = |set: &[bool], wanted: bool| -> Vec<bool> {
        let place = |at: usize| (at as i64 / SIDE, at as i64 % SIDE);
        let within = |a: usize, b: usize| {
            let ((ay, ax), (by_, bx)) = (place(a), place(b));
            (ay - by_).pow(2) + (ax - bx).pow(2) <= by * by
        };
        (0..PIXELS).map(|a| (0..PIXELS).any(|b| set[b] == wanted && within(a, b))).collect()
    };
    let dilate = |set: &[bool]| near(set, true);
    let erode = |set: &[bool]| near(set, false).iter().map(|near| !near).collect::<Vec<_>>();
    let both = |a: Vec<bool>, b: Vec<bool>| a.iter().zip(b).map(|(a, b)| *a && !b).collect();
    match step {
        "dilate" => dilate(set),
        "erode" => erode(set),
        "open" => dilate(&erode(set)),
        "close" => erode(&dilate(set)),
        "inner" => both(set.to_vec(), erode(set)),
        "outer" => both(dilate(set), set.to_vec()),
        _ => both(dilate(set), erode(set)),
    }
}

fn prediction(logits: &[f32]) -> Prediction {
    let side = SIDE as usize;
    let data = TensorData::new(logits.to_vec(), [1, CLASSES, side, side]);
    Prediction::new(Tensor::from_data(data, &Device::flex()), [1, 1, side, side])
}

fn members(set: &dyn PixelSet, view: &Prediction) -> Vec<bool> {
    let weights = set.weights(view, ASKED).expect("a set inside the image");
    weights.into_data().iter::<f32>().map(|weight| weight == 1.0).collect()
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-4.0..4.0f32, CLASSES * PIXELS)
}

proptest! {
    #[test]
    fn sets_agree_with_a_naive_reading(set in set(), logits in logits()) {
        prop_assume!(!set.is_on_an_edge(&logits));
        let read = Vocabulary::new().parse(&set.text()).expect("a set");
        prop_assert_eq!(members(&read, &prediction(&logits)), set.members(&logits));
    }

    #[test]
    fn a_name_is_the_text_of_the_same_set(set in set(), logits in logits()) {
        let first = Vocabulary::new().parse(&set.text()).expect("a set");
        let again = Vocabulary::new().parse(&first.name()).expect("its own name");
        prop_assert_eq!(again.name(), first.name());
        let view = prediction(&logits);
        prop_assert_eq!(members(&again, &view), members(&first, &view));
    }

    #[test]
    fn laws_of_sets(a in set(), b in set(), c in set(), logits in logits()) {
        let view = prediction(&logits);
        let vocabulary = Vocabulary::<4>::new();
        let [a, b, c] = [a, b, c].map(|set| vocabulary.parse(&set.text()).expect("a set"));
        let [a, b, c]: [&dyn PixelSet; 3] = [&a, &b, &c];
        let same = |left: &dyn PixelSet, right: &dyn PixelSet| {
            prop_assert_eq!(members(left, &view), members(right, &view));
            Ok(())
        };
        same(&a.and(b).not(), &a.not().or(b.not()))?;
        same(&a.minus(b), &a.and(b.not()))?;
        same(&a.xor(b), &a.minus(b).or(b.minus(a)))?;
        same(&a.and(b.or(c)), &a.and(b).or(a.and(c)))?;
        same(&a.or(a.and(b)), &a)?;
        same(&a.and(b), &b.and(a))?;
        same(&a.not().not(), &a)?;
    }

    #[test]
    fn a_polygon_holds_what_all_its_triangles_hold(
        corners in prop::array::uniform3((0..SIDE as usize, 0..SIDE as usize)),
    ) {
        let [a, b, c] = corners.map(|(y, x)| (y as i64, x as i64));
        let turn = |a: (i64, i64), b: (i64, i64), p: (i64, i64)| {
            (b.0 - a.0) * (p.1 - a.1) - (b.1 - a.1) * (p.0 - a.0)
        };
        prop_assume!(turn(a, b, c) != 0);
        let text: Vec<String> = corners.iter().map(|(y, x)| format!("{y},{x}")).collect();
        let read = Vocabulary::new().parse(&format!("polygon:{}", text.join(";"))).expect("a set");
        let wanted: Vec<bool> = (0..SIDE * SIDE)
            .map(|at| {
                let p = (at / SIDE, at % SIDE);
                let sides = [turn(a, b, p), turn(b, c, p), turn(c, a, p)];
                sides.iter().all(|side| *side >= 0) || sides.iter().all(|side| *side <= 0)
            })
            .collect();
        prop_assert_eq!(members(&read, &prediction(&[0.0; CLASSES * PIXELS])), wanted);
    }

    #[test]
    fn soft_is_the_probability(logits in logits()) {
        let view = prediction(&logits);
        let soft = Soft.weights(&view, ASKED).expect("weights").into_data();
        let soft: Vec<f32> = soft.iter::<f32>().collect();
        for at in 0..PIXELS {
            let exp = |class: usize| f64::from(logits[class * PIXELS + at]).exp();
            let wanted = exp(ASKED) / (exp(0) + exp(1) + exp(2));
            prop_assert!((f64::from(soft[at]) - wanted).abs() < 1e-6);
        }
    }

    #[test]
    fn random_draws_so_many_and_the_same_again(count in 1..=PIXELS, seed in 0..1000u64) {
        let view = prediction(&[0.0; CLASSES * PIXELS]);
        let vocabulary = Vocabulary::new();
        let read = vocabulary.parse(&format!("random:{count},{seed}")).expect("a set");
        let first = members(&read, &view);
        prop_assert_eq!(first.iter().filter(|member| **member).count(), count);
        prop_assert_eq!(members(&read, &view), first);
    }
}

#[test]
fn a_binary_network_has_two_classes_to_be_unsure_about() {
    let logits = Tensor::<4>::from_floats([[[[0.0, 0.2, 5.0]]]], &Device::flex());
    let view = Prediction::new(logits, [1, 1, 1, 3]);
    for (text, wanted) in [
        ("entropy:0.9", [1.0, 1.0, 0.0]),
        ("margin:0.95", [1.0, 0.0, 0.0]),
        ("leastconfidence:0.4", [1.0, 1.0, 0.0]),
        ("class", [0.0, 1.0, 1.0]),
        ("top:2", [0.0, 1.0, 1.0]),
    ] {
        let set = Vocabulary::<4>::new().parse(text).expect(text);
        let weights = set.weights(&view, 0).expect(text).into_data();
        assert_eq!(weights.iter::<f32>().collect::<Vec<_>>(), wanted, "{text}");
    }
}

/// Rows that go through corners.
#[test]
fn a_diamond_is_whole_in_every_order_of_its_corners() {
    let view = Prediction::new(Tensor::<4>::zeros([1, 2, 9, 9], &Device::flex()), [1, 1, 9, 9]);
    let diamond = |y: usize, x: usize| y.abs_diff(4) + x.abs_diff(4) <= 4;
    let wanted: Vec<f32> = (0..81).map(|at| f32::from(diamond(at / 9, at % 9))).collect();
    for text in ["0,4;4,8;8,4;4,0", "4,8;8,4;4,0;0,4", "4,0;8,4;4,8;0,4", "0,4;4,0;8,4;4,8"] {
        let set = Vocabulary::new().parse(&format!("polygon:{text}")).expect(text);
        let weights = set.weights(&view, 0).expect(text).into_data();
        assert_eq!(weights.iter::<f32>().collect::<Vec<_>>(), wanted, "{text}");
    }
    // Corners in the rectangles around other edges, and none on one.
    for text in ["0,0;8,8;8,0;4,1", "8,0;4,1;0,0;8,8", "4,1;0,0;8,8;8,0"] {
        let set = Vocabulary::new().parse(&format!("polygon:{text}")).expect(text);
        assert!(set.weights(&view, 0).is_ok(), "{text}");
    }
}

#[test]
fn volumes_have_balls_and_shells() {
    let logits = Tensor::<5>::zeros([1, 2, 5, 5, 5], &Device::flex());
    let view = Prediction::new(logits, [1, 1, 5, 5, 5]);
    for (text, voxels) in [
        ("disc:2,2,2,1", 7),
        ("dilate(pixel:2,2,2, 1)", 7),
        ("dilate(pixel:0,0,0, 1)", 4),
        ("outer(pixel:2,2,2, 2)", 32),
        ("border:1", 125 - 27),
        ("box:0,0,0,2,2,2", 8),
        ("points:0,0,0;4,4,4", 2),
    ] {
        let set = Vocabulary::<5>::new().parse(text).expect(text);
        let weights = set.weights(&view, 0).expect(text);
        assert_eq!(weights.sum().into_scalar::<f32>(), voxels as f32, "{text}");
    }
    assert!(Vocabulary::<5>::new().parse("polygon:0,0,0;1,1,1;2,2,2").is_err());
}
