use crate::CamError;

/// The predicted labels of an image that is too large for the scores of all its pixels to be held.
///
/// # Example
/// ```
/// use segcam_core::{LabelMap, PixelSet, PredictedClass};
///
/// let labels = LabelMap::new(vec![0, 2, 2, 1], [2, 2], 3)?;
/// let inside = PixelSet::<4>::on_labels(&PredictedClass, &labels, 2)?;
/// assert_eq!([inside(0), inside(1), inside(2), inside(3)], [false, true, true, false]);
/// # Ok::<(), segcam_core::CamError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap {
    labels: Vec<u8>,
    size: Vec<usize>,
    classes: usize,
}

/// Whether a pixel of a [`LabelMap`] is in a set, by its index in row-major order.
pub type Members<'a> = Box<dyn Fn(usize) -> bool + Send + Sync + 'a>;

impl LabelMap {
    /// A label for each pixel of an image of such size, `[H, W]` or `[D, H, W]`, in row-major order. Of a
    /// binary network 1 stands for its only class and 0 for none.
    ///
    /// # Errors
    /// [`CamError::ShapeMismatch`].
    pub fn new(
        labels: Vec<u8>,
        size: impl Into<Vec<usize>>,
        classes: usize,
    ) -> Result<Self, CamError> {
        let size = size.into();
        if labels.len() != size.iter().product::<usize>() {
            let (wanted, given) = (size, vec![labels.len()]);
            return Err(CamError::ShapeMismatch { what: "the label map", wanted, given });
        }
        Ok(Self { labels, size, classes })
    }

    /// The labels, in row-major order.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Size of the image.
    pub fn size(&self) -> &[usize] {
        &self.size
    }

    /// Number of the network's classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Whether a class is predicted at a pixel.
    pub fn is(&self, pixel: usize, class: usize) -> bool {
        let label = usize::from(self.labels[pixel]);
        if self.classes == 1 { label == 1 } else { label == class }
    }

    /// Where a pixel is along each side.
    pub fn place(&self, pixel: usize) -> impl Iterator<Item = usize> {
        let inner = |side: usize| self.size[side + 1..].iter().product::<usize>();
        self.size.iter().enumerate().map(move |(side, length)| pixel / inner(side) % length)
    }

    /// Number of pixels predicted as each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut of_label = [0; 256];
        self.labels.iter().for_each(|label| of_label[usize::from(*label)] += 1);
        match self.classes {
            1 => vec![of_label[1]],
            classes => of_label[..classes.min(256)].to_vec(),
        }
    }
}
