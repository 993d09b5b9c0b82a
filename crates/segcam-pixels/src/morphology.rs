use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::{AnySet, cells, parts};

/// How a set is grown or shrunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Dilate,
    Erode,
    Open,
    Close,
    Inner,
    Outer,
    Band,
}

/// A set grown or shrunk by a number of pixels, or the band around its boundary.
///
/// Distances are Euclidean, between pixel centres: a single pixel dilated by r is a disc of radius
/// r, or a ball in volumes. Every pixel with a weight counts as inside. What lies outside the image
/// is not known: it neither grows into the image nor eats from it.
///
/// Of a set with [`parts`](PixelSet::parts) each part is grown or shrunk by itself, also where it
/// touches another; the weights are those of all parts together.
///
/// # Example
/// ```
/// use segcam_core::{PredictedClass, SegHiResGradCam};
/// use segcam_pixels::Morphology;
///
/// // The outermost two pixels of what is predicted: what decides the boundary?
/// let method = SegHiResGradCam::new(Morphology::inner(PredictedClass, 2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Morphology<P> {
    set: P,
    step: Step,
    by: usize,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $step:ident)*) => {
        impl<P> Morphology<P> {$(
            $(#[$doc])*
            pub fn $name(set: P, by: usize) -> Self {
                Self { set, step: Step::$step, by }
            }
        )*}
    };
}
constructors! {
    /// Every pixel within `by` pixels of the set.
    dilate Dilate
    /// The pixels of the set that are farther than `by` pixels from every pixel outside.
    erode Erode
    /// Eroded, then dilated: specks are gone.
    open Open
    /// Dilated, then eroded: holes are filled.
    close Close
    /// The pixels of the set within `by` pixels of its outside.
    inner Inner
    /// The pixels outside the set within `by` pixels of it.
    outer Outer
    /// The inner and the outer band together.
    band Band
}

impl<P: PixelSet<D>, const D: usize> PixelSet<D> for Morphology<P> {
    fn weights(&self, prediction: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        let parts = self.set.parts(prediction, class)?;
        if !parts.is_empty() {
            let nothing = Tensor::zeros(prediction.shape(), &prediction.device());
            return parts.into_iter().try_fold(nothing, |all, set| {
                let part = Morphology { set, step: self.step, by: self.by };
                Ok(all.max_pair(part.weights(prediction, class)?))
            });
        }
        let size = prediction.size();
        let pixels: usize = size.iter().product();
        let inside = cells::values(self.set.weights(prediction, class)?);
        let inside: Vec<bool> = inside.into_iter().map(|weight| weight != 0.0).collect();
        let dilate = |set: &[bool]| dilated(set, &size, self.by);
        let not = |set: &[bool]| set.iter().map(|inside| !inside).collect::<Vec<_>>();
        let erode = |set: &[bool]| not(&dilate(&not(set)));
        let less = |a: &[bool], b: &[bool]| a.iter().zip(b).map(|(a, b)| *a && !b).collect();
        let all = inside.chunks(pixels).flat_map(|set| match self.step {
            Step::Dilate => dilate(set),
            Step::Erode => erode(set),
            Step::Open => dilate(&erode(set)),
            Step::Close => erode(&dilate(set)),
            Step::Inner => less(set, &erode(set)),
            Step::Outer => less(&dilate(set), set),
            Step::Band => less(&dilate(set), &erode(set)),
        });
        Ok(cells::weights(prediction, all.collect::<Vec<_>>()))
    }

    fn name(&self) -> String {
        let step = format!("{:?}", self.step).to_lowercase();
        format!("{step}({},{})", self.set.name(), self.by)
    }

    fn against(
        &self,
        prediction: &Prediction<D>,
        class: usize,
    ) -> Result<Vec<(usize, f64)>, CamError> {
        self.set.against(prediction, class)
    }

    fn parts(&self, prediction: &Prediction<D>, class: usize) -> Result<Vec<AnySet<D>>, CamError> {
        let (step, by) = (self.step, self.by);
        let parts = self.set.parts(prediction, class)?;
        parts::changed(parts, prediction, class, |set| Morphology { set, step, by })
    }

    fn why_empty(&self, prediction: &Prediction<D>, class: usize) -> Option<String> {
        let set = self.set.weights(prediction, class).ok()?;
        if cells::values(set).iter().all(|weight| *weight == 0.0) {
            return self.set.why_empty(prediction, class);
        }
        Some(match self.step {
            Step::Erode | Step::Open => format!("nothing is left after {} pixels", self.by),
            _ => "the set has no boundary in the image, or the width is 0".into(),
        })
    }
}

/// The pixels within `by` of the set: squared distances, one axis after the other.
fn dilated(set: &[bool], size: &[usize], by: usize) -> Vec<bool> {
    let limit = by.saturating_mul(by);
    let far = usize::MAX;
    let mut distance: Vec<usize> = set.iter().map(|inside| if *inside { 0 } else { far }).collect();
    for axis in 0..size.len() {
        let length = size[axis];
        let inner: usize = size[axis + 1..].iter().product();
        let mut line = vec![far; length];
        for start in (0..distance.len()).filter(|at| (at / inner).is_multiple_of(length)) {
            (0..length).for_each(|k| line[k] = distance[start + k * inner]);
            if line.iter().all(|square| *square == far) {
                continue;
            }
            for k in 0..length {
                let near = k.saturating_sub(by)..=k.saturating_add(by).min(length - 1);
                let squares = near.map(|j| line[j].saturating_add(j.abs_diff(k).pow(2)));
                distance[start + k * inner] =
                    squares.min().filter(|square| *square <= limit).unwrap_or(far);
            }
        }
    }
    distance.into_iter().map(|square| square <= limit).collect()
}
