//! Components against a naive flood fill, in images and volumes; names, and what is refused.

use std::cmp::Reverse;

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use segcam_components::{
    AtLeast, ComponentAt, Connectivity, Each, Instances, Largest, Nth, Smallest,
};
use segcam_core::{AllPixels, CamError, PixelSet, Prediction};

/// A batch of one-channel logits: the class is predicted where they are positive.
fn prediction<const D: usize>(logits: &[f32], shape: [usize; D]) -> Prediction<D> {
    let data = TensorData::new(logits.to_vec(), shape);
    Prediction::new(Tensor::from_data(data, &Device::flex()), shape)
}

fn weights<const D: usize>(set: &dyn PixelSet<D>, view: &Prediction<D>) -> Vec<f32> {
    let weights = set.weights(view, 0).expect("a set that fits the image");
    assert_eq!(weights.dims(), view.shape());
    weights.into_data().iter().collect()
}

fn position(mut pixel: usize, size: &[usize]) -> Vec<usize> {
    let mut at = vec![];
    for side in size.iter().rev() {
        at.insert(0, pixel % side);
        pixel /= side;
    }
    at
}

/// The components as lists of pixels, in scan order: floods from every pixel, looking at all
/// others.
fn flood(weights: &[f32], size: &[usize], connectivity: Connectivity) -> Vec<Vec<usize>> {
    let touch = |a: usize, b: usize| {
        let (a, b) = (position(a, size), position(b, size));
        let steps: Vec<usize> = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).collect();
        if connectivity == Connectivity::Faces {
            return steps.iter().sum::<usize>() == 1;
        }
        steps.iter().all(|&step| step <= 1)
    };
    let mut seen: Vec<bool> = weights.iter().map(|&weight| weight == 0.0).collect();
    let mut components = vec![];
    for start in 0..weights.len() {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let (mut component, mut next) = (vec![start], 0);
        while next < component.len() {
            for (pixel, seen) in seen.iter_mut().enumerate() {
                if !*seen && touch(component[next], pixel) {
                    *seen = true;
                    component.push(pixel);
                }
            }
            next += 1;
        }
        components.push(component);
    }
    components
}

/// Every set of the crate against the flood, for an inner set with these weights.
fn agrees<const D: usize>(values: &[f32], size: &[usize], connectivity: Connectivity) {
    let shape: [usize; D] = [&[1, 1], size].concat().try_into().expect("a size of the rank");
    let view = prediction(&vec![0.0; values.len()], shape);
    let tensor = Tensor::<D>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex());
    let inner = move |_: &Prediction<D>, _| tensor.clone();

    let components = flood(values, size, connectivity);
    let only = |chosen: &[&Vec<usize>]| -> Vec<f32> {
        let inside = |pixel| chosen.iter().any(|component| component.contains(&pixel));
        (0..values.len()).map(|pixel| if inside(pixel) { values[pixel] } else { 0.0 }).collect()
    };
    let mut by_size: Vec<&Vec<usize>> = components.iter().collect();
    by_size.sort_by_key(|component| Reverse(component.len()));
    let smallest: Vec<_> =
        components.iter().min_by_key(|component| component.len()).into_iter().collect();

    macro_rules! found {
        ($set:expr) => {
            weights(&$set.within(inner.clone()).connectivity(connectivity), &view)
        };
    }
    assert_eq!(found!(Largest::new()), only(&by_size[..by_size.len().min(1)]));
    assert_eq!(found!(Smallest::new()), only(&smallest));
    for n in 1..=components.len() + 1 {
        let nth: Vec<_> = by_size.iter().skip(n - 1).take(1).copied().collect();
        assert_eq!(found!(Nth::new(n)), only(&nth), "nth {n}");
    }
    for pixels in 0..5 {
        let large: Vec<_> = components.iter().filter(|c| c.len() >= pixels).collect();
        assert_eq!(found!(AtLeast::new(pixels)), only(&large), "at least {pixels}");
        let each = Each::new().within(inner.clone()).connectivity(connectivity).at_least(pixels);
        let each = each.of(&view, 0).expect("one image");
        assert_eq!(each.len(), large.len());
        for (found, wanted) in each.iter().zip(large) {
            assert_eq!(weights(found, &view), only(&[wanted]));
            assert_eq!(
                (found.at(), found.pixels()),
                (&position(wanted[0], size)[..], wanted.len())
            );
            let at = ComponentAt::new(found.at()).within(inner.clone()).connectivity(connectivity);
            assert_eq!(PixelSet::<D>::name(found), PixelSet::<D>::name(&at));
        }
    }
    for pixel in 0..values.len() {
        let here: Vec<_> =
            components.iter().filter(|component| component.contains(&pixel)).collect();
        assert_eq!(found!(ComponentAt::new(position(pixel, size))), only(&here), "at {pixel}");
    }
}

/// Weights of which many are zero and some are negative or fractions.
fn weighted(
    size: impl Strategy<Value = Vec<usize>>,
) -> impl Strategy<Value = (Vec<f32>, Vec<usize>)> {
    let weight = prop_oneof![2 => Just(0.0f32), 2 => Just(1.0), 1 => Just(0.25), 1 => Just(-2.0)];
    size.prop_flat_map(move |size| {
        let pixels = size.iter().product::<usize>();
        (prop::collection::vec(weight.clone(), pixels), Just(size))
    })
}

fn connectivity() -> impl Strategy<Value = Connectivity> {
    prop_oneof![Just(Connectivity::Faces), Just(Connectivity::Corners)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn images_agree_with_a_flood(
        (values, size) in weighted(prop::collection::vec(1..8usize, 2)),
        connectivity in connectivity(),
    ) {
        agrees::<4>(&values, &size, connectivity);
    }

    #[test]
    fn volumes_agree_with_a_flood(
        (values, size) in weighted(prop::collection::vec(1..5usize, 3)),
        connectivity in connectivity(),
    ) {
        agrees::<5>(&values, &size, connectivity);
    }

    #[test]
    fn instances_agree_with_comparison(ids in prop::collection::vec(0..4u32, 12)) {
        let view = prediction(&[0.0; 12], [1, 1, 3, 4]);
        let all = Instances::new(ids.clone(), [3, 4]).expect("12 pixels");
        for id in 0..4 {
            let wanted: Vec<f32> = ids.iter().map(|&at| f32::from(at == id && id != 0)).collect();
            prop_assert_eq!(weights(&all.id(id), &view), wanted);
        }
        let listed: Vec<String> = all.each().map(|one| PixelSet::<4>::name(&one)).collect();
        let wanted: Vec<String> = all.ids().iter().map(|id| format!("instance:{id}")).collect();
        prop_assert_eq!(listed, wanted);
    }
}

#[test]
fn each_image_of_a_batch_is_labelled_by_itself() {
    // The last pixel of the first image and the first of the second do not touch.
    let view = prediction(&[1.0, -1.0, 1.0, 1.0, 1.0, -1.0], [2, 1, 1, 3]);
    assert_eq!(weights(&Smallest::new(), &view), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    assert_eq!(weights(&ComponentAt::new([0, 0]), &view), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    assert_eq!(weights(&Nth::new(2), &view), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(Nth::new(2).why_empty(&view, 0).as_deref(), Some("`class` has 2,1 component(s)"));
    let error = Each::new().of(&view, 0).expect_err("two images");
    assert!(error.to_string().contains("the batch has 2"), "{error}");
}

#[test]
fn names_say_everything() {
    let name = |set: &dyn PixelSet| set.name();
    assert_eq!(name(&ComponentAt::new([120, 88])), "component@120,88");
    assert_eq!(name(&ComponentAt::new([1, 2]).within(AllPixels)), "component@1,2(all)");
    assert_eq!(name(&Largest::new()), "largest");
    assert_eq!(name(&Smallest::new().connectivity(Connectivity::Corners)), "smallest/corners");
    assert_eq!(name(&Nth::new(2).within(AtLeast::new(50))), "nth:2(atleast:50)");
    let set = AtLeast::new(50).within(AllPixels).connectivity(Connectivity::Corners);
    assert_eq!(name(&set), "atleast:50(all)/corners");
}

#[test]
fn an_empty_set_says_why() {
    let view = prediction(&[1.0, 1.0, -1.0, 1.0], [1, 1, 1, 4]);
    let nothing = prediction(&[-1.0; 4], [1, 1, 1, 4]);
    let why = |set: &dyn PixelSet, view| set.why_empty(view, 0).expect("a reason");
    assert_eq!(why(&ComponentAt::new([0, 2]), &view), "pixel 0,2 is not in `class`");
    assert_eq!(why(&Nth::new(3), &view), "`class` has 2 component(s)");
    assert_eq!(why(&Nth::new(0), &view), "components are counted from 1, the largest");
    assert_eq!(why(&AtLeast::new(3), &view), "the largest component of `class` has 2 pixel(s)");
    assert_eq!(why(&Largest::new().within(AtLeast::new(9)), &view), why(&AtLeast::new(9), &view));
    assert_eq!(why(&Largest::new(), &nothing), "no pixel is predicted as class 0");
    let ids = Instances::new([3, 0, 9, 9], [1, 4]).expect("4 pixels");
    assert_eq!(why(&ids.id(7), &view), "there are 2 instance(s), with the ids 3,9");
}

#[test]
fn what_does_not_fit_is_an_error() {
    let view = prediction(&[1.0; 6], [1, 1, 2, 3]);
    let error = |set: &dyn PixelSet| set.weights(&view, 0).map(|_| ()).expect_err("no such set");
    assert!(matches!(
        error(&ComponentAt::new([2, 0])),
        CamError::OutsideImage { set, image } if set == "component@2,0" && image == [2, 3]
    ));
    assert!(matches!(
        error(&ComponentAt::new([0, 0, 0])),
        CamError::SetRank { wanted: 2, given: 3, .. }
    ));
    let other = |_: &Prediction, _| Tensor::<4>::ones([1, 1, 3, 2], &Device::flex());
    assert!(matches!(error(&Largest::new().within(other)), CamError::ShapeMismatch { .. }));
    assert_eq!(Each::new().of(&view, 1), Err(CamError::ClassOutOfRange { class: 1, classes: 1 }));

    assert!(matches!(Instances::new([1; 5], [2, 3]), Err(CamError::ShapeMismatch { .. })));
    let huge = Instances::new([1; 5], [usize::MAX, 3]);
    assert!(matches!(huge, Err(CamError::ShapeMismatch { .. })));
    let turned = Instances::new([1; 6], [3, 2]).expect("6 pixels");
    assert!(matches!(
        error(&turned.id(1)),
        CamError::ShapeMismatch { wanted, given, .. }
            if wanted == [1, 1, 2, 3] && given == [1, 1, 3, 2]
    ));
}

#[test]
fn too_many_components_are_not_listed() {
    const SIDE: usize = 202;
    let mut logits: Vec<f32> = (0..SIDE * SIDE)
        .map(|at| if (at / SIDE + at % SIDE).is_multiple_of(2) { 1.0 } else { -1.0 })
        .collect();
    logits[1] = 1.0;
    let view = prediction(&logits, [1, 1, SIDE, SIDE]);
    let error = Each::new().of(&view, 0).expect_err("a chess board");
    let found = SIDE * SIDE / 2 - 2;
    let wanted = format!("there are {found} components, more than 10000");
    assert!(error.to_string().contains(&wanted), "{error}");
    assert!(error.to_string().ends_with("leave out small ones, as `each:50` does"), "{error}");
    assert_eq!(Each::new().at_least(2).of(&view, 0).expect("one").len(), 1);
    let joined = Each::new().connectivity(Connectivity::Corners).of(&view, 0).expect("one");
    assert_eq!(joined.len(), 1);
}

#[test]
fn components_do_not_reach_from_one_part_into_the_next() {
    // Both instances touch; the second has two components.
    let ids = Instances::new([3, 3, 9, 0, 9, 9], [1, 6]).expect("6 pixels");
    let view = prediction(&[1.0; 6], [1, 1, 1, 6]);
    let largest = Largest::new().within(ids.clone());
    let parts = largest.parts(&view, 0).expect("parts");
    let names: Vec<String> = parts.iter().map(|part| part.name()).collect();
    assert_eq!(names, ["largest(instance:3)", "largest(instance:9)"]);
    assert_eq!(weights(&parts[0], &view), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(weights(&parts[1], &view), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    assert_eq!(weights(&largest, &view), [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);

    // A part without such a component is left out; without any the set is empty.
    let second = Nth::new(2).within(ids.clone());
    assert_eq!(second.parts(&view, 0).expect("parts").len(), 1);
    assert_eq!(weights(&second, &view), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    let none = AtLeast::new(3).within(ids.clone());
    assert!(none.parts(&view, 0).expect("parts").is_empty());
    assert_eq!(weights(&none, &view), [0.0; 6], "together they would have 3 pixels");

    let twice = Each::new().within(ids);
    for asked in [twice.weights(&view, 0).map(|_| ()), twice.parts(&view, 0).map(|_| ())] {
        let error = asked.expect_err("parts of parts").to_string();
        assert!(error.contains("part by part already"), "{error}");
    }
}
