use std::fmt;

use segcam_core::burn::tensor::{Tensor, TensorData};
use segcam_core::{CamError, LabelMap, Members, PixelSet, PredictedClass, Prediction};

use crate::flood::flood;
use crate::labels::{Connectivity, Labels, index};

/// What every set of this crate is: some of the components of an inner set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen<S> {
    pub(crate) choice: Choice,
    pub(crate) inner: S,
    pub(crate) connectivity: Connectivity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    At(Vec<usize>),
    Largest,
    Smallest,
    Nth(usize),
    AtLeast(usize),
}

impl Choice {
    /// The numbers of the chosen components.
    pub(crate) fn numbers(&self, labels: &Labels, size: &[usize]) -> Vec<u32> {
        let pixels = |number: &u32| labels.pixels(*number);
        match self {
            // 0 where there is none.
            Self::At(at) => vec![labels.of[index(at, size)]],
            Self::Largest => Self::Nth(1).numbers(labels, size),
            Self::Smallest => labels.numbers().min_by_key(pixels).into_iter().collect(),
            Self::Nth(n) => {
                let place = n.checked_sub(1);
                place.and_then(|place| labels.by_size().get(place).copied()).into_iter().collect()
            }
            Self::AtLeast(least) => {
                labels.numbers().filter(|number| pixels(number) >= *least).collect()
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "component@{}", comma_separated(at)),
            Self::Largest => write!(f, "largest"),
            Self::Smallest => write!(f, "smallest"),
            Self::Nth(n) => write!(f, "nth:{n}"),
            Self::AtLeast(pixels) => write!(f, "atleast:{pixels}"),
        }
    }
}

impl Chosen<PredictedClass> {
    pub(crate) fn new(choice: Choice) -> Self {
        Self { choice, inner: PredictedClass, connectivity: Connectivity::Faces }
    }
}

impl<S> Chosen<S> {
    pub(crate) fn within<T>(self, inner: T) -> Chosen<T> {
        Chosen { choice: self.choice, inner, connectivity: self.connectivity }
    }

    fn clone_within<T>(&self, inner: T) -> Chosen<T> {
        Chosen { choice: self.choice.clone(), inner, connectivity: self.connectivity }
    }

    /// The inner set's weights, and their components in every image of the batch.
    pub(crate) fn labelled<const D: usize>(
        &self,
        view: &Prediction<D>,
        class: usize,
    ) -> Result<(Vec<f32>, Vec<Labels>), CamError>
    where
        S: PixelSet<D>,
    {
        let (wanted, size) = (view.shape(), view.size());
        let weights = self.inner.weights(view, class)?;
        let given = weights.dims();
        if wanted != given {
            let (wanted, given) = (wanted.to_vec(), given.to_vec());
            return Err(CamError::ShapeMismatch { what: "the inner pixel set", wanted, given });
        }
        let pixels: usize = size.iter().product();
        if u32::try_from(pixels).is_err() {
            let reason = "components are counted in images of fewer than 2³² pixels".into();
            return Err(CamError::PixelSet { set: PixelSet::<D>::name(self), reason });
        }
        let weights: Vec<f32> = weights.into_data().iter().collect();
        let images = weights.chunks(pixels.max(1));
        let labels = images.map(|image| Labels::new(image, &size, self.connectivity)).collect();
        Ok((weights, labels))
    }

    /// The name of such a choice.
    pub(crate) fn named<const D: usize>(&self, choice: impl fmt::Display) -> String
    where
        S: PixelSet<D>,
    {
        let inner = match self.inner.name().as_str() {
            "class" => String::new(),
            name => format!("({name})"),
        };
        let connectivity = match self.connectivity {
            Connectivity::Faces => "",
            Connectivity::Corners => "/corners",
        };
        format!("{choice}{inner}{connectivity}")
    }

    fn check<const D: usize>(&self, image: Vec<usize>) -> Result<(), CamError>
    where
        S: PixelSet<D>,
    {
        let Choice::At(at) = &self.choice else { return Ok(()) };
        let (wanted, given) = (D - 2, at.len());
        if wanted != given {
            return Err(CamError::SetRank { set: PixelSet::<D>::name(self), wanted, given });
        }
        if at.iter().zip(&image).any(|(at, side)| at >= side) {
            return Err(CamError::OutsideImage { set: PixelSet::<D>::name(self), image });
        }
        Ok(())
    }
}

/// A set of any kind, as [`PixelSet::parts`] has them.
pub(crate) type AnySet<const D: usize> = Box<dyn PixelSet<D>>;

impl<S: PixelSet<D>, const D: usize> PixelSet<D> for Chosen<S> {
    fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        self.check::<D>(view.size())?;
        let parts = self.inner.parts(view, class)?;
        if !parts.is_empty() {
            // Components do not reach from one part into the next.
            let nothing = Tensor::zeros(view.shape(), &view.device());
            return parts.into_iter().try_fold(nothing, |all, part| {
                Ok(all.max_pair(self.clone_within(part).weights(view, class)?))
            });
        }
        let (mut weights, images) = self.labelled(view, class)?;
        let size = view.size();
        let pixels = size.iter().product::<usize>().max(1);
        for (image, labels) in weights.chunks_mut(pixels).zip(images) {
            let mut keep = vec![false; labels.components.len() + 1];
            for number in self.choice.numbers(&labels, &size) {
                keep[number as usize] = true;
            }
            for (weight, number) in image.iter_mut().zip(labels.of) {
                if !keep[number as usize] {
                    *weight = 0.0;
                }
            }
        }
        Ok(Tensor::from_data(TensorData::new(weights, view.shape()), &view.device()))
    }

    fn name(&self) -> String {
        self.named::<D>(&self.choice)
    }

    fn parts(&self, view: &Prediction<D>, class: usize) -> Result<Vec<AnySet<D>>, CamError> {
        let mut kept: Vec<AnySet<D>> = vec![];
        for part in self.inner.parts(view, class)? {
            let chosen = self.clone_within(part);
            let weights = chosen.weights(view, class)?.into_data();
            if weights.iter::<f32>().any(|weight| weight != 0.0) {
                kept.push(Box::new(chosen));
            }
        }
        Ok(kept)
    }

    fn why_empty(&self, view: &Prediction<D>, class: usize) -> Option<String> {
        let (_, images) = self.labelled(view, class).ok()?;
        let inner = self.inner.name();
        if images.iter().all(|labels| labels.components.is_empty()) {
            let why = self.inner.why_empty(view, class);
            return Some(why.unwrap_or_else(|| format!("`{inner}` is empty")));
        }
        let each = |number: fn(&Labels) -> usize| {
            comma_separated(&images.iter().map(number).collect::<Vec<_>>())
        };
        match &self.choice {
            Choice::At(at) => Some(format!("pixel {} is not in `{inner}`", comma_separated(at))),
            Choice::Nth(0) => Some("components are counted from 1, the largest".into()),
            Choice::AtLeast(_) => {
                let pixels = each(|labels| {
                    labels.numbers().map(|number| labels.pixels(number)).max().unwrap_or(0)
                });
                Some(format!("the largest component of `{inner}` has {pixels} pixel(s)"))
            }
            _ => {
                let count = each(|labels| labels.components.len());
                Some(format!("`{inner}` has {count} component(s)"))
            }
        }
    }
    fn on_labels<'a>(
        &'a self,
        labels: &'a LabelMap,
        class: usize,
    ) -> Result<Members<'a>, CamError> {
        self.check::<D>(labels.size().to_vec())?;
        let Choice::At(at) = &self.choice else {
            return Err(CamError::NeedsScores { set: PixelSet::<D>::name(self) });
        };
        let inside = self.inner.on_labels(labels, class)?;
        Ok(flood(labels, &inside, at, self.connectivity))
    }
}

/// `1,2,3`
pub(crate) fn comma_separated<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
