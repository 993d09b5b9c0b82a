use std::sync::Arc;

use segcam_core::burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, PredictedClass, Prediction};

use crate::chosen::{AnySet, Choice, Chosen};
use crate::label_image::LabelImage;
use crate::labels::{Extent, locate};

/// More components than anyone explains one by one.
const MOST: usize = 10_000;

/// Every component of one image as a pixel set of its own: which evidence has each nucleus?
///
/// # Example
/// ```
/// use segcam_components::Each;
/// use segcam_core::{PixelSet, Prediction, SegHiResGradCam, burn::tensor::{Device, Tensor}};
///
/// let logits = Tensor::from_floats([[[[1.0, 1.0, -1.0, 1.0]]]], &Device::flex());
/// let view = Prediction::<4>::new(logits, [1, 1, 1, 4]);
/// let nuclei = Each::new().of(&view, 0)?;
/// assert_eq!(PixelSet::<4>::name(&nuclei[1]), "component@0,3");
/// let methods: Vec<_> = nuclei.into_iter().map(SegHiResGradCam::new).collect();
/// # Ok::<(), segcam_core::CamError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Each<S = PredictedClass>(pub(crate) Chosen<S>);

impl Each {
    /// Of what is predicted as the class asked about.
    #[expect(clippy::new_without_default, reason = "one way to write it")]
    pub fn new() -> Self {
        Self(Chosen::new(Choice::AtLeast(1)))
    }
}

impl<S> Each<S> {
    /// Leaves out components of fewer pixels.
    pub fn at_least(self, pixels: usize) -> Self {
        Self(Chosen { choice: Choice::AtLeast(pixels), ..self.0 })
    }

    /// Parts of parts would keep an image each.
    fn expect_one_set<const D: usize>(
        &self,
        view: &Prediction<D>,
        class: usize,
    ) -> Result<(), CamError>
    where
        S: PixelSet<D>,
    {
        if self.0.inner.parts(view, class)?.is_empty() {
            return Ok(());
        }
        let reason = format!(
            "`{}` is explained part by part already: take one of its parts (`instance:7`), or another \
             choice among their components (`largest`, `atleast:50`)",
            self.0.inner.name()
        );
        Err(CamError::PixelSet { set: PixelSet::<D>::name(self), reason })
    }

    /// The components in scan order. They are labelled once and share the memory of one image.
    ///
    /// # Errors
    /// [`CamError::PixelSet`] if the prediction has several images or more than 10,000 components, or the
    /// inner set has parts itself, [`CamError::ClassOutOfRange`], and those of the inner set.
    pub fn of<const D: usize>(
        &self,
        view: &Prediction<D>,
        class: usize,
    ) -> Result<Vec<Component>, CamError>
    where
        S: PixelSet<D>,
    {
        let (classes, images) = (view.classes(), view.shape()[0]);
        if class >= classes {
            return Err(CamError::ClassOutOfRange { class, classes });
        }
        let fault = |reason| CamError::PixelSet { set: PixelSet::<D>::name(self), reason };
        if images != 1 {
            return Err(fault(format!(
                "components are listed for one image, but the batch has {images}: observe them one \
                 by one"
            )));
        }
        self.expect_one_set(view, class)?;
        let (weights, labels) = self.0.labelled(view, class)?;
        let Some(labels) = labels.into_iter().next() else { return Ok(vec![]) };
        let size = view.size();
        let numbers = self.0.choice.numbers(&labels, &size);
        if numbers.len() > MOST {
            return Err(fault(format!(
                "there are {} components, more than {MOST}: leave out small ones, as `each:50` does",
                numbers.len()
            )));
        }
        let image = Arc::new(LabelImage { labels: labels.of, weights, size });
        let component = |number| {
            let Extent { first, pixels } = labels.components[number as usize - 1];
            let mut at = vec![0; image.size.len()];
            locate(first, &image.size, &mut at);
            let name = self.0.named::<D>(Choice::At(at.clone()));
            Component { image: image.clone(), number, at, pixels, name }
        };
        Ok(numbers.into_iter().map(component).collect())
    }
}

/// All components together; each by itself as its [`parts`](PixelSet::parts).
impl<S: PixelSet<D>, const D: usize> PixelSet<D> for Each<S> {
    fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
        self.expect_one_set(view, class)?;
        self.0.weights(view, class)
    }

    fn name(&self) -> String {
        // It is a union, too, but each component is meant.
        match &self.0.choice {
            Choice::AtLeast(1) => self.0.named::<D>("each"),
            Choice::AtLeast(pixels) => self.0.named::<D>(format!("each:{pixels}")),
            choice => self.0.named::<D>(choice),
        }
    }

    fn parts(&self, view: &Prediction<D>, class: usize) -> Result<Vec<AnySet<D>>, CamError> {
        let parts = self.of(view, class)?.into_iter();
        Ok(parts.map(|part| -> AnySet<D> { Box::new(part) }).collect())
    }

    fn why_empty(&self, view: &Prediction<D>, class: usize) -> Option<String> {
        self.0.why_empty(view, class)
    }
}

/// One of the components that [`Each::of`] found. It stays what it is, whatever prediction and
/// class it is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    image: Arc<LabelImage>,
    number: u32,
    at: Vec<usize>,
    pixels: usize,
    name: String,
}

impl Component {
    /// Its first pixel in scan order, `[y, x]` or `[z, y, x]`.
    pub fn at(&self) -> &[usize] {
        &self.at
    }

    /// How many pixels it has.
    pub fn pixels(&self) -> usize {
        self.pixels
    }
}

impl<const D: usize> PixelSet<D> for Component {
    fn weights(&self, view: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        self.image.weights_where("the component's image", |number| number == self.number, view)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
