//! COCO files against naive encoders and point-in-polygon; strings from pycocotools 2.0; bad files.

use std::fs;

use proptest::prelude::*;
use segcam_annotations::{AnnotationError, Category, Coco, GroundTruth, MaskError};
use serde_json::{Value, json};

fn open(file: &Value) -> Result<Coco, AnnotationError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("instances.json");
    fs::write(&path, file.to_string()).expect("a file");
    Coco::open(path)
}

/// A file of one image with these outlines of category 3, `thing`; annotations have the ids 10, 11,
/// ….
fn file(size: [usize; 2], segmentations: &[Value]) -> Value {
    let annotations = (10..).zip(segmentations).map(|(id, segmentation)| {
        json!({"id": id, "image_id": 7, "category_id": 3, "segmentation": segmentation})
    });
    json!({
        "info": {},
        "images": [{"id": 7, "file_name": "a.jpg", "height": size[0], "width": size[1]}],
        "annotations": annotations.collect::<Vec<_>>(),
        "categories": [{"id": 3, "name": "thing", "supercategory": "stuff"}],
    })
}

fn label(category: &Category) -> Option<u32> {
    (category.name == "thing").then_some(5)
}

/// Whether each pixel is drawn.
fn drawn(size: [usize; 2], segmentation: Value) -> Result<Vec<bool>, AnnotationError> {
    let truth = open(&file(size, &[segmentation]))?.truth("a.jpg", label)?;
    assert_eq!(truth.size(), size);
    Ok(truth.labels().iter().map(|&label| label == 5).collect())
}

fn mask_error(size: [usize; 2], segmentation: Value) -> MaskError {
    match drawn(size, segmentation) {
        Err(AnnotationError::Mask { annotation: 10, source }) => source,
        other => panic!("not an error of the mask: {other:?}"),
    }
}

/// Runs down the columns, the first outside.
fn runs(mask: &[bool], [height, width]: [usize; 2]) -> Vec<usize> {
    let (mut runs, mut inside) = (vec![0], false);
    for x in 0..width {
        for y in 0..height {
            if mask[y * width + x] != inside {
                runs.push(0);
                inside = !inside;
            }
            *runs.last_mut().expect("it has one") += 1;
        }
    }
    runs
}

/// As `rleToString` of pycocotools.
fn compressed(runs: &[usize]) -> String {
    let mut text = String::new();
    for (at, &run) in runs.iter().enumerate() {
        let mut rest = run as i64 - if at > 2 { runs[at - 2] as i64 } else { 0 };
        loop {
            let digit = (rest & 31) as u8;
            rest >>= 5;
            let more = if digit & 16 != 0 { rest != -1 } else { rest != 0 };
            text.push(char::from(48 + digit + if more { 32 } else { 0 }));
            if !more {
                break;
            }
        }
    }
    text
}

/// Whether a ray from the pixel's centre to the left crosses the polygon an odd number of times.
fn inside(polygon: &[f64], y: usize, x: usize) -> bool {
    let (y, x) = (y as f64 + 0.5, x as f64 + 0.5);
    let points: Vec<(f64, f64)> = polygon.chunks(2).map(|point| (point[0], point[1])).collect();
    let mut inside = false;
    for at in 0..points.len() {
        let ((x0, y0), (x1, y1)) = (points[at], points[(at + 1) % points.len()]);
        if (y0 > y) != (y1 > y) && x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x {
            inside = !inside;
        }
    }
    inside
}

fn mask() -> impl Strategy<Value = (Vec<bool>, [usize; 2])> {
    (1..40usize, 1..40usize).prop_flat_map(|(height, width)| {
        let stripes = (1..70usize, 0..70usize).prop_map(move |(period, length)| {
            (0..height * width).map(|at| at % period < length.min(period / 2)).collect()
        });
        let noise = prop::collection::vec(any::<bool>(), height * width);
        (prop_oneof![stripes, noise], Just([height, width]))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn masks_survive_encoding((mask, size) in mask()) {
        let runs = runs(&mask, size);
        let plain = json!({"size": size, "counts": runs});
        prop_assert_eq!(&drawn(size, plain).expect("a mask"), &mask);
        let text = json!({"size": size, "counts": compressed(&runs)});
        prop_assert_eq!(&drawn(size, text).expect("a mask"), &mask);
    }

    #[test]
    fn polygons_hold_the_centres_inside(
        polygons in prop::collection::vec(
            prop::collection::vec((-5.0..17.0f64, -5.0..17.0f64), 3..9),
            1..4,
        ),
        quarters in any::<bool>(),
    ) {
        // On quarters of pixels edges pass through centres and corners.
        let at = |value: f64| if quarters { (value * 4.0).round() / 4.0 } else { value };
        let polygons: Vec<Vec<f64>> = polygons
            .iter()
            .map(|points| points.iter().flat_map(|&(x, y)| [at(x), at(y)]).collect())
            .collect();
        let size = [11, 12];
        let wanted: Vec<bool> = (0..11 * 12)
            .map(|pixel| polygons.iter().any(|polygon| inside(polygon, pixel / 12, pixel % 12)))
            .collect();
        prop_assert_eq!(drawn(size, json!(polygons)).expect("polygons"), wanted);
    }

    #[test]
    fn no_text_panics(text in "[0-o\\\\ ~]{0,40}") {
        let _ = drawn([3, 4], json!({"size": [3, 4], "counts": text}));
    }
}

#[test]
fn strings_from_pycocotools() {
    let decoded = |size: [usize; 2], text: &str| {
        runs(&drawn(size, json!({"size": size, "counts": text})).expect("a mask"), size)
    };
    assert_eq!(decoded([7, 9], "5192KNM03200=4"), [5, 1, 9, 3, 4, 1, 1, 1, 4, 3, 4, 3, 17, 7]);
    assert_eq!(decoded([300, 400], "PVe3"), [120_000]);
    assert_eq!(decoded([300, 400], "0PVe3"), [0, 120_000]);
}

#[test]
fn annotations_are_drawn_in_order() {
    let square = |x: usize| json!([[x, 0, x + 2, 0, x + 2, 1, x, 1]]);
    let mut file = file([1, 5], &[square(0), square(1), square(3)]);
    file["annotations"][2]["iscrowd"] = json!(1);
    file["annotations"][1]["category_id"] = json!(4);
    file["categories"] = json!([{"id": 3, "name": "thing"}, {"id": 4, "name": "other"}]);
    let coco = open(&file).expect("a file");
    let all = coco.truth("7", |category| Some(category.id as u32)).expect("by its id");
    assert_eq!(all.labels(), [3, 4, 4, 3, 3]);
    assert_eq!(coco.truth("a.jpg", label).expect("by its name").labels(), [5, 5, 0, 5, 5]);
    assert_eq!(coco.instances("a.jpg").expect("ids"), (vec![1, 2, 2, 0, 0], vec![1, 5]));
    let missing = GroundTruth::from_coco("missing.json", "7", label);
    assert!(matches!(missing, Err(AnnotationError::Io { .. })));
}

#[test]
fn bad_outlines_are_errors() {
    let size = [3, 4];
    let counts = |counts: Value| mask_error(size, json!({"size": size, "counts": counts}));
    assert_eq!(counts(json!([5, 6])), MaskError::Runs { wanted: 12, given: 11 });
    assert_eq!(counts(json!([5, 8])), MaskError::Runs { wanted: 12, given: 13 });
    assert_eq!(counts(json!([u64::MAX, 13])), MaskError::Runs { wanted: 12, given: usize::MAX });
    assert_eq!(counts(json!("5")), MaskError::Runs { wanted: 12, given: 5 });
    assert_eq!(counts(json!("5 ")), MaskError::Text { at: 2 });
    assert_eq!(counts(json!("5P")), MaskError::Text { at: 2 });
    assert_eq!(counts(json!("5O")), MaskError::Text { at: 2 });
    assert_eq!(counts(json!("o".repeat(100))), MaskError::Text { at: 13 });
    let turned = mask_error(size, json!({"size": [4, 3], "counts": [12]}));
    assert_eq!(turned, MaskError::Size { wanted: size, given: [4, 3] });
    assert_eq!(mask_error(size, json!([])), MaskError::Missing);
    assert_eq!(mask_error(size, Value::Null), MaskError::Missing);
    let odd = mask_error(size, json!([[0, 0, 1, 1, 2, 0, 3]]));
    assert_eq!(odd, MaskError::OddPolygon { given: 7 });
    let short = mask_error(size, json!([[0, 0, 1, 1, 2, 0], [0, 0, 1, 1]]));
    assert_eq!(short, MaskError::ShortPolygon { given: 2 });
    // Far outside, and large enough to overflow.
    let far = drawn(size, json!([[-1e308, -1e308, 1e308, 1e308, 1e308, -1e308]]));
    assert_eq!(far.expect("a triangle").len(), 12);
}

#[test]
fn bad_files_are_errors() {
    let good = file([3, 4], &[json!([[0, 0, 4, 0, 4, 3]])]);
    let truth = |file: &Value, image| open(file).and_then(|coco| coco.truth(image, label));
    assert!(truth(&good, "a.jpg").is_ok());
    let error = truth(&good, "b.jpg").expect_err("no such image");
    assert_eq!(error.to_string(), "no image has the file name or id `b.jpg`; there are a.jpg");

    for (key, value) in [
        ("images", Value::Null),
        ("annotations", json!([{"id": 1}])),
        ("categories", json!("thing")),
        ("annotations", json!([{"id": 1, "image_id": 7, "category_id": 3, "segmentation": 8}])),
    ] {
        let mut file = good.clone();
        file[key] = value;
        let error = truth(&file, "a.jpg").expect_err(key);
        assert!(matches!(error, AnnotationError::Json { .. }), "{error}");
    }
    assert!(matches!(open(&json!("{")), Err(AnnotationError::Json { .. })));

    let mut unknown = good.clone();
    unknown["annotations"][0]["category_id"] = json!(9);
    assert!(matches!(
        truth(&unknown, "a.jpg"),
        Err(AnnotationError::UnknownCategory { annotation: 10, category: 9 })
    ));
    for side in [1u64 << 15, u64::MAX] {
        let mut huge = good.clone();
        huge["images"][0]["height"] = json!(side);
        huge["images"][0]["width"] = json!(1 << 16);
        assert!(matches!(truth(&huge, "a.jpg"), Err(AnnotationError::TooLarge { .. })));
    }
}
