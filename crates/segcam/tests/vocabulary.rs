//! The text form of sets from components, instances and annotations.

use segcam::annotations::GroundTruth;
use segcam::burn::tensor::{Device, Tensor};
use segcam::components::Instances;
use segcam::{CamError, Explainer, Layers, PixelSet, Prediction, SegHiResGradCam};
use segcam::{SegmentationModel, vocabulary};

fn view() -> Prediction {
    let logits = Tensor::<4>::from_floats([[[[1.0, 1.0, -1.0, 1.0, -1.0, 1.0]]]], &Device::flex());
    Prediction::new(logits, [1, 1, 1, 6])
}

fn instances() -> Instances {
    Instances::new([7, 7, 9, 9, 0, 9], [1, 6]).expect("6 pixels")
}

#[test]
fn an_id_that_no_image_can_hold_is_refused() {
    let vocabulary = vocabulary::<4>(None, Some(&instances()));
    // 2³² + 7 was taken for 7.
    for text in ["instance:4294967303", "instance:4294967296", "instance:99999999999999999999"] {
        let error = vocabulary.parse(text).err().expect(text);
        assert_eq!(error.column, 10, "{error}");
        assert_eq!(error.wanted, "a whole number of at least 1 that fits 32 bits");
    }
    assert_eq!(vocabulary.parse("instance:0").err().expect("no id").column, 10);
    for text in ["instance:7", "instance:4294967295"] {
        assert_eq!(vocabulary.parse(text).expect(text).name(), text);
    }
}

/// What is missing is missing for the whole text, and no form of the word helps.
#[test]
fn a_word_that_needs_a_file_says_which() {
    let vocabulary = vocabulary::<4>(None, None);
    for (text, wanted) in [
        ("class & tp", "pixel set `class & tp`: it needs an annotation"),
        ("instance:3", "pixel set `instance:3`: it needs an image of instance ids"),
    ] {
        assert_eq!(vocabulary.parse(text).err().expect(text).to_string(), wanted);
    }
}

#[test]
fn each_object_stays_one_in_combinations() {
    let vocabulary = vocabulary::<4>(None, Some(&instances()));
    for (text, wanted) in [
        ("each", &["component@0,0", "component@0,3", "component@0,5"][..]),
        ("each & box:0,1,1,5", &["component@0,0&box:0,1,1,5", "component@0,3&box:0,1,1,5"]),
        ("instances - each:2", &[]),
        ("instances - atleast:2", &["instance:9-atleast:2"]),
        ("class & instances", &["class&instance:7", "class&instance:9"]),
        (
            "dilate(each, 1)",
            &["dilate(component@0,0,1)", "dilate(component@0,3,1)", "dilate(component@0,5,1)"],
        ),
        ("finer(instances,1,0.5)", &["finer(instance:7,1,0.5)", "finer(instance:9,1,0.5)"]),
        ("largest(instances)", &["largest(instance:7)", "largest(instance:9)"]),
    ] {
        match vocabulary.parse(text) {
            Ok(set) => {
                let parts = set.parts(&view(), 0).expect(text);
                let names: Vec<String> = parts.iter().map(|part| part.name()).collect();
                assert_eq!(names, wanted, "{text}");
            }
            Err(error) => assert!(wanted.is_empty() && error.column == 13, "{error}"),
        }
    }
    for text in ["!each", "each | class", "all - instances", "!dilate(instances, 2)"] {
        assert!(vocabulary.parse(text).is_err(), "{text}");
    }
}

/// The logits are the image.
#[derive(Debug, segcam::burn::module::Module)]
struct Same;

impl SegmentationModel for Same {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        layers.name("same", image)
    }
}

#[test]
fn parts_that_are_all_empty_are_an_empty_set() {
    let seen = Explainer::new(Same).observe(view().logits()).expect("a pass");
    let set = vocabulary::<4>(None, None).parse("each & pixel:0,2").expect("a set");
    assert!(set.parts(seen.prediction(), 0).expect("parts").is_empty());
    let error = seen.explain(&SegHiResGradCam::new(set), "same", 0).expect_err("no pixel");
    assert!(matches!(error, CamError::EmptyPixelSet { .. }), "{error}");
    assert!(error.to_string().contains("no pixel is in both"), "{error}");
}

#[test]
fn errors_say_what_is_missing_and_name_no_flag() {
    let truth = GroundTruth::from_labels([0, 1, 1, 0, 0, 0], [1, 6]).expect("6 labels");
    for (text, missing) in [
        ("fn", "annotation"),
        ("class & truth", "annotation"),
        ("instance:7", "instances"),
        ("instances", "instances"),
    ] {
        let error = vocabulary::<4>(None, None).parse(text).err().expect(text);
        assert_eq!(error.missing, Some(missing), "{error}");
        assert!(!error.to_string().contains("--"), "{error}");
        assert!(vocabulary::<4>(Some(&truth), Some(&instances())).parse(text).is_ok(), "{text}");
    }
    assert_eq!(vocabulary::<4>(None, None).parse("clas").err().expect("a typo").missing, None);
}

#[test]
fn errors_of_the_library_name_no_flag() {
    let seen = Explainer::new(Same).observe(view().logits()).expect("a pass");
    let set = || vocabulary::<4>(None, None).parse("box:0,9,1,12").expect("a set");
    let mut errors = vec![
        seen.explain(&SegHiResGradCam::new(set()), "same", 0).err().map(|e| e.to_string()),
        seen.explain(&segcam::HiResCam, "sane", 0).err().map(|e| e.to_string()),
        seen.target(&segcam::AllPixels, 7).err().map(|e| e.to_string()),
        segcam::device("abacus").err().map(|e| e.to_string()),
        GroundTruth::from_labels([0; 5], [1, 6]).err().map(|e| e.to_string()),
        GroundTruth::from_image("nowhere.png").err().map(|e| e.to_string()),
        Instances::new([0; 5], [1, 6]).err().map(|e| e.to_string()),
    ];
    #[cfg(feature = "models")]
    {
        use segcam::models::Pretrained;
        let flex = Device::flex();
        let load = |weights: Option<&str>| {
            let loaded = Pretrained::EspNet.load(weights.map(std::path::Path::new), &flex);
            loaded.err().map(|e| e.to_string())
        };
        errors.extend([None, Some("nowhere.pth"), Some("Cargo.toml")].map(load));
        errors.push("unet".parse::<Pretrained>().err().map(|e| e.to_string()));
    }
    for (number, error) in errors.iter().enumerate() {
        let error = error.as_ref().unwrap_or_else(|| panic!("{number} is no error"));
        assert!(!error.contains("--"), "{error}");
    }
}
