//! Sets and counts against a loop over pixels; what is refused.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use segcam_annotations::{
    AnnotationError, CITYSCAPES, Confusion, FalseNegatives, FalsePositives, GroundTruth,
    TrueNegatives, TruePositives, Truth, cityscapes_train_id,
};
use segcam_core::{CamError, PixelSet, Prediction};

const IGNORED: u32 = GroundTruth::IGNORED;

fn prediction<const D: usize>(logits: &[f32], shape: [usize; D]) -> Prediction<D> {
    let data = TensorData::new(logits.to_vec(), shape);
    Prediction::new(Tensor::from_data(data, &Device::flex()), shape)
}

fn weights<const D: usize>(set: &dyn PixelSet<D>, view: &Prediction<D>, class: usize) -> Vec<bool> {
    let weights = set.weights(view, class).expect("a set that fits the image");
    assert_eq!(weights.dims(), view.shape());
    weights.into_data().iter::<f32>().map(|weight| weight == 1.0).collect()
}

fn sets<const D: usize>(truth: &GroundTruth) -> [Box<dyn PixelSet<D>>; 5] {
    [
        Box::new(TruePositives::new(truth)),
        Box::new(FalsePositives::new(truth)),
        Box::new(FalseNegatives::new(truth)),
        Box::new(TrueNegatives::new(truth)),
        Box::new(Truth::new(truth)),
    ]
}

/// Logits of `[N, C, 3, W]`, the label of every pixel (the last one stands for ignored), N, C and
/// W.
fn batch() -> impl Strategy<Value = (Vec<f32>, Vec<u32>, [usize; 4])> {
    (1..3usize, 1..4usize, 1..5usize).prop_flat_map(|(images, classes, width)| {
        let pixels = images * 3 * width;
        let label = (0..=classes.max(2) as u32)
            .prop_map(move |label| if label == classes.max(2) as u32 { IGNORED } else { label });
        (
            prop::collection::vec(-2.0..2.0f32, pixels * classes),
            prop::collection::vec(label, pixels),
            Just([images, classes, 3, width]),
        )
    })
}

proptest! {
    #[test]
    fn sets_and_counts_agree_with_a_loop((logits, labels, shape) in batch()) {
        let [images, classes, height, width] = shape;
        let image = height * width;
        let view = prediction(&logits, shape);
        let truth = labels.chunks(image).map(|labels| {
            GroundTruth::from_labels(labels, [height, width]).expect("a label per pixel")
        });
        let truth = GroundTruth::stack(truth).expect("one size");
        prop_assert_eq!(truth.images(), images);
        for class in 0..classes {
            let mut wanted = [(); 5].map(|()| vec![false; labels.len()]);
            let mut counts = [0; 4];
            for (pixel, &label) in labels.iter().enumerate() {
                let (sample, at) = (pixel / image, pixel % image);
                let score = |class| logits[(sample * classes + class) * image + at];
                let predicted = match classes {
                    1 => score(0) > 0.0,
                    _ => (0..classes).all(|other| other == class || score(other) < score(class)),
                };
                let annotated = if classes == 1 { label > 0 } else { label == class as u32 };
                if label != IGNORED {
                    let outcome = match (predicted, annotated) {
                        (true, true) => 0,
                        (true, false) => 1,
                        (false, true) => 2,
                        (false, false) => 3,
                    };
                    wanted[outcome][pixel] = true;
                    wanted[4][pixel] = annotated;
                    counts[outcome] += 1;
                }
            }
            for (set, wanted) in sets::<4>(&truth).iter().zip(&wanted) {
                prop_assert_eq!(&weights(&**set, &view, class), wanted, "{}", set.name());
                let empty = wanted.iter().all(|inside| !inside);
                prop_assert_eq!(set.why_empty(&view, class).is_some(), empty);
            }
            let found = Confusion::new(&truth, &view, class).expect("a class");
            let [tp, fp, missed, tn] = counts;
            prop_assert_eq!(found, Confusion {
                true_positives: tp,
                false_positives: fp,
                false_negatives: missed,
                true_negatives: tn,
            });
            let union = tp + fp + missed;
            prop_assert_eq!(found.iou(), (union > 0).then(|| tp as f64 / union as f64));
            // dice = 2 iou / (1 + iou)
            let from_iou = found.iou().map(|iou| 2.0 * iou / (1.0 + iou));
            let agree = match (found.dice(), from_iou) {
                (Some(dice), Some(wanted)) => (dice - wanted).abs() < 1e-12,
                (dice, wanted) => dice == wanted,
            };
            prop_assert!(agree, "{:?}", found);
        }
    }

    #[test]
    fn resizing_takes_the_label_at_the_centre(
        from in prop::collection::vec(1..6usize, 3),
        to in prop::collection::vec(1..9usize, 3),
    ) {
        let pixels: usize = from.iter().product();
        let labels: Vec<u32> = (0..pixels as u32).collect();
        let truth = GroundTruth::from_labels(labels, from.clone()).expect("a label per voxel");
        let resized = truth.resized(to.clone()).expect("a size");
        let source = |axis: usize, at: usize| {
            ((at as f64 + 0.5) * from[axis] as f64 / to[axis] as f64 + 1e-9).floor() as usize
        };
        let mut wanted = vec![];
        for z in 0..to[0] {
            for y in 0..to[1] {
                for x in 0..to[2] {
                    let row = source(0, z) * from[1] + source(1, y);
                    wanted.push((row * from[2] + source(2, x)) as u32);
                }
            }
        }
        prop_assert_eq!(resized.labels(), wanted);
        prop_assert_eq!(resized.size(), to);
    }
}

#[test]
fn volumes_work_like_images() {
    let view = prediction(&[1.0, 1.0, -1.0, -1.0], [1, 1, 2, 1, 2]);
    let truth = GroundTruth::from_labels([2, 0, 9, 0], [2, 1, 2]).expect("4 voxels");
    for (set, wanted) in sets::<5>(&truth).iter().zip([0, 1, 2, 3]) {
        let members: Vec<usize> = (0..4).filter(|&at| weights(&**set, &view, 0)[at]).collect();
        assert_eq!(members, [wanted], "{}", set.name());
    }
}

#[test]
fn a_batch_is_resized_image_by_image() {
    let of = |labels: [u32; 2]| GroundTruth::from_labels(labels, [1, 2]).expect("2 pixels");
    let both = GroundTruth::stack([of([1, 2]), of([3, 4])]).expect("one size");
    let resized = both.resized([2, 2]).expect("a size");
    assert_eq!((resized.labels(), resized.images()), (&[1, 2, 1, 2, 3, 4, 3, 4][..], 2));
}

#[test]
fn names_and_reasons() {
    let truth = GroundTruth::from_labels([1, 0], [1, 2]).expect("2 pixels");
    assert_eq!(sets::<4>(&truth).map(|set| set.name()), ["tp", "fp", "fn", "tn", "truth"]);

    let why = |labels: [u32; 2], logits: [f32; 2]| {
        let truth = GroundTruth::from_labels(labels, [1, 2]).expect("2 pixels");
        let view = prediction(&logits, [1, 1, 1, 2]);
        sets::<4>(&truth).map(|set| set.why_empty(&view, 0).unwrap_or_default())
    };
    let wrong = "nothing was wrongly predicted as class 0";
    assert_eq!(why([1, 0], [1.0, -1.0]), ["", wrong, "nothing was missed of class 0", "", ""]);
    let (annotated, predicted) =
        ("nothing is annotated as class 0", "nothing is predicted as class 0");
    assert_eq!(why([0, 0], [-1.0, -1.0]), [annotated, predicted, annotated, "", annotated]);
    assert_eq!(why([1, 1], [-1.0, -1.0])[0], "nothing was found of class 0");
    assert_eq!(why([1, 1], [-1.0, -1.0])[3], "every pixel is annotated or predicted as class 0");
}

#[test]
fn what_does_not_fit_is_an_error() {
    let view = prediction(&[0.0; 12], [1, 2, 2, 3]);
    let of = |labels: &[u32], size: [usize; 2]| {
        GroundTruth::from_labels(labels, size).expect("a label per pixel")
    };
    let error = |truth: &GroundTruth| {
        let error = Truth::new(truth).weights(&view, 1).map(|_| ()).expect_err("no such set");
        assert_eq!(PixelSet::why_empty(&Truth::new(truth), &view, 1), None);
        error
    };
    let turned = of(&[0; 6], [3, 2]);
    assert!(matches!(
        error(&turned),
        CamError::ShapeMismatch { wanted, given, .. }
            if wanted == [1, 1, 2, 3] && given == [1, 1, 3, 2]
    ));
    let two = GroundTruth::stack([of(&[0; 6], [2, 3]), of(&[0; 6], [2, 3])]).expect("one size");
    assert!(matches!(error(&two), CamError::ShapeMismatch { .. }));
    let batch = prediction(&[0.0; 24], [2, 2, 2, 3]);
    assert!(Truth::new(&of(&[0; 6], [2, 3])).weights(&batch, 0).is_err());
    assert!(Truth::new(&two).weights(&batch, 0).is_ok());

    let unknown = of(&[0, 1, 2, 255, 7, 7], [2, 3]);
    let text = error(&unknown).to_string();
    assert!(text.starts_with("pixel set `truth`: "), "{text}");
    assert!(text.contains("2 classes does not have: 2, 7, 255:"), "{text}");
    assert!(text.contains("translate them, or leave them out"), "{text}");
    let known = unknown.ignore(255).remap(|label| (label < 3).then_some(label / 2));
    assert_eq!(known.labels(), [0, 0, 1, IGNORED, IGNORED, IGNORED]);
    assert!(Truth::new(&known).weights(&view, 1).is_ok());
    assert_eq!(
        Confusion::new(&known, &view, 2),
        Err(CamError::ClassOutOfRange { class: 2, classes: 2 })
    );
    let nothing = Confusion::new(&of(&[1; 6], [2, 3]).ignore(1), &view, 1);
    assert_eq!(nothing.expect("a class").dice(), None);

    let many = of(&[9, 8, 7, 6, 5, 4], [2, 3]).check(2).expect_err("labels above 1");
    assert!(many.to_string().contains("4, 5, 6, 7, 8, … (6 in all)"), "{many}");
    for (labels, size) in [(5, [2, 3]), (0, [usize::MAX, 2])] {
        let error = GroundTruth::from_labels(vec![0; labels], size).expect_err("lengths");
        assert!(matches!(error, AnnotationError::Length { given, .. } if given == labels));
    }
    let mixed = GroundTruth::stack([turned.clone(), of(&[0; 6], [2, 3])]);
    assert!(matches!(mixed, Err(AnnotationError::Stack { given }) if given.len() == 2));
    assert!(matches!(GroundTruth::stack([]), Err(AnnotationError::Stack { .. })));
    for size in [vec![2], vec![0, 3], vec![1, 2, 3]] {
        assert!(matches!(turned.resized(size), Err(AnnotationError::Resize { .. })));
    }
}

#[test]
fn cityscapes_is_numbered() {
    let ids: Vec<u32> = CITYSCAPES.iter().map(|class| class.id).collect();
    assert_eq!(ids, (0..34).collect::<Vec<_>>());
    let trained: Vec<u32> = CITYSCAPES.iter().filter_map(|class| class.train_id).collect();
    assert_eq!(trained, (0..19).collect::<Vec<_>>());
    assert_eq!(
        [7, 24, 33, 4, 255].map(cityscapes_train_id),
        [Some(0), Some(11), Some(18), None, None]
    );
}
