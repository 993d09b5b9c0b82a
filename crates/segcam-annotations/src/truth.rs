use std::collections::BTreeSet;
use std::sync::Arc;

use segcam_core::{CamError, Prediction};

use crate::AnnotationError;

/// A class label for every pixel of an image, a volume, or each image of a batch.
///
/// Labels are class numbers of the network; [`remap`](Self::remap) translates those of a data set.
/// The only class of a binary network is every label but 0. Clones share their labels.
///
/// # Example
/// ```
/// use segcam_annotations::GroundTruth;
///
/// // A data set that counts its classes from 1, where the network counts from 0.
/// let truth = GroundTruth::from_labels([1, 2, 255, 2], [2, 2])?.ignore(255);
/// let truth = truth.remap(|label| label.checked_sub(1));
/// assert_eq!(truth.labels(), [0, 1, GroundTruth::IGNORED, 1]);
/// # Ok::<(), segcam_annotations::AnnotationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundTruth {
    labels: Arc<[u32]>,
    images: usize,
    size: Vec<usize>,
}

impl GroundTruth {
    /// The label of pixels that belong to no pixel set and count in no score.
    pub const IGNORED: u32 = u32::MAX;

    /// From labels, row by row, and the size `[H, W]` or `[D, H, W]`.
    ///
    /// # Errors
    /// If there are more or fewer labels than pixels.
    pub fn from_labels(
        labels: impl Into<Vec<u32>>,
        size: impl Into<Vec<usize>>,
    ) -> Result<Self, AnnotationError> {
        let (labels, size) = (labels.into(), size.into());
        let pixels = size.iter().try_fold(1usize, |pixels, side| pixels.checked_mul(*side));
        if pixels != Some(labels.len()) {
            return Err(AnnotationError::Length { size, given: labels.len() });
        }
        Ok(Self { labels: labels.into(), images: 1, size })
    }

    /// The annotations of a batch, in the order of its images.
    ///
    /// # Errors
    /// If there is none, or they differ in size.
    pub fn stack(all: impl IntoIterator<Item = Self>) -> Result<Self, AnnotationError> {
        let all: Vec<Self> = all.into_iter().collect();
        let mut sizes: Vec<Vec<usize>> = all.iter().map(|truth| truth.size.clone()).collect();
        sizes.dedup();
        let [size] = sizes.as_slice() else { return Err(AnnotationError::Stack { given: sizes }) };
        Ok(Self {
            labels: all.iter().flat_map(|truth| truth.labels.iter().copied()).collect(),
            images: all.iter().map(|truth| truth.images).sum(),
            size: size.clone(),
        })
    }

    /// The label of every pixel, row by row, image after image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Size of each image, `[H, W]` or `[D, H, W]`.
    pub fn size(&self) -> &[usize] {
        &self.size
    }

    /// Number of images in the batch.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Ignores the pixels with this label: 255 in many data sets.
    pub fn ignore(self, ignored: u32) -> Self {
        self.remap(|label| (label != ignored).then_some(label))
    }

    /// Translates every label; `None` ignores the pixel. Ignored pixels stay ignored.
    pub fn remap(self, translate: impl Fn(u32) -> Option<u32>) -> Self {
        let translated = |&label: &u32| match label {
            Self::IGNORED => Self::IGNORED,
            label => translate(label).unwrap_or(Self::IGNORED),
        };
        Self { labels: self.labels.iter().map(translated).collect(), ..self }
    }

    /// Resized to the network's output: each new pixel takes the label at its centre. Nothing else
    /// resizes an annotation.
    ///
    /// # Errors
    /// If the size has another number of sides, or a side is zero.
    pub fn resized(&self, size: impl Into<Vec<usize>>) -> Result<Self, AnnotationError> {
        let (from, to) = (&self.size, size.into());
        if from.len() != to.len() || from.contains(&0) || to.contains(&0) {
            return Err(AnnotationError::Resize { from: from.clone(), to });
        }
        // ⌊(new + ½) · from / to⌋
        Ok(self.picked(to, Self::IGNORED, |new, from, to| Some((2 * new + 1) * from / (2 * to))))
    }

    /// With more pixels at the end of each side, all of this label, or with fewer of them: as images
    /// are padded for a network, and as that is undone.
    ///
    /// # Example
    /// ```
    /// use segcam_annotations::GroundTruth;
    ///
    /// let truth = GroundTruth::from_labels([1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(truth.fitted([1, 3], GroundTruth::IGNORED)?.labels(), [1, 2, GroundTruth::IGNORED]);
    /// # Ok::<(), segcam_annotations::AnnotationError>(())
    /// ```
    ///
    /// # Errors
    /// If the size has another number of sides.
    pub fn fitted(&self, size: impl Into<Vec<usize>>, label: u32) -> Result<Self, AnnotationError> {
        let (from, to) = (&self.size, size.into());
        if from.len() != to.len() {
            return Err(AnnotationError::Resize { from: from.clone(), to });
        }
        Ok(self.picked(to, label, |new, from, _| (new < from).then_some(new)))
    }

    /// To another size: along each side `source` says which of `from` old pixels a new one of `to` is,
    /// if any, and `label` is what others get.
    fn picked(
        &self,
        to: Vec<usize>,
        label: u32,
        source: impl Fn(usize, usize, usize) -> Option<usize>,
    ) -> Self {
        let image: usize = self.size.iter().product();
        // The old index of every new pixel, if there is one, an axis at a time.
        let mut sources: Vec<Option<usize>> =
            (0..self.images).map(|number| Some(number * image)).collect();
        let mut stride = image;
        for (&from, &to) in self.size.iter().zip(&to) {
            stride = stride.checked_div(from).unwrap_or(0);
            let along: Vec<Option<usize>> =
                (0..to).map(|new| Some(source(new, from, to)? * stride)).collect();
            let further = |start: &Option<usize>| {
                let start = *start;
                along.iter().map(move |step| Some(start? + (*step)?))
            };
            sources = sources.iter().flat_map(further).collect();
        }
        let labels = sources.into_iter().map(|source| source.map_or(label, |at| self.labels[at]));
        Self { labels: labels.collect(), images: self.images, size: to }
    }

    /// That a network of so many classes has every label. A binary network takes any.
    ///
    /// # Errors
    /// Names the labels that it does not have.
    pub fn check(&self, classes: usize) -> Result<(), AnnotationError> {
        let unknown = |&label: &u32| label as usize >= classes && label != Self::IGNORED;
        let labels: BTreeSet<u32> = self.labels.iter().copied().filter(unknown).collect();
        if classes == 1 || labels.is_empty() {
            return Ok(());
        }
        Err(AnnotationError::UnknownLabels { labels: labels.into_iter().collect(), classes })
    }

    /// For every pixel whether it is predicted as the class and whether it is annotated as the
    /// class;
    /// `None` where it is ignored. Errors speak of `set`.
    pub(crate) fn compared<const D: usize>(
        &self,
        view: &Prediction<D>,
        class: usize,
        set: &str,
    ) -> Result<Vec<Option<(bool, bool)>>, CamError> {
        let (wanted, given) = (view.shape().to_vec(), [&[self.images, 1], &self.size[..]].concat());
        if wanted != given {
            return Err(CamError::ShapeMismatch { what: "the annotation", wanted, given });
        }
        let classes = view.classes();
        if class >= classes {
            return Err(CamError::ClassOutOfRange { class, classes });
        }
        self.check(classes).map_err(|error| CamError::PixelSet {
            set: set.to_string(),
            reason: error.to_string(),
        })?;
        let annotated = self.labels.iter().map(|&label| match (label, classes) {
            (Self::IGNORED, _) => None,
            (label, 1) => Some(label != 0),
            (label, _) => Some(label as usize == class),
        });
        let predicted = view.predicted(class).into_data();
        let predicted = predicted.iter::<f32>().map(|predicted| predicted != 0.0);
        Ok(predicted.zip(annotated).map(|(p, annotated)| Some((p, annotated?))).collect())
    }
}
