use std::collections::BTreeSet;
use std::sync::Arc;

use segcam_core::burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::chosen::{AnySet, comma_separated};
use crate::label_image::LabelImage;

const WHAT: &str = "the image of instance ids";

/// Objects that an image of instance ids tells apart, also where they touch.
///
/// # Example
/// ```
/// use segcam_components::Instances;
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
///
/// let nuclei = Instances::new([7, 7, 0, 9], [1, 4])?;
/// assert_eq!(nuclei.ids(), [7, 9]);
///
/// let view = Prediction::new(Tensor::zeros([1, 2, 1, 4], &Device::flex()), [1, 1, 1, 4]);
/// let weights = nuclei.id(7).weights(&view, 1)?.into_data().try_to_vec::<f32>()?;
/// assert_eq!(weights, [1.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Instances {
    image: Arc<LabelImage>,
    ids: Arc<[u32]>,
}

impl Instances {
    /// The id of every pixel, row by row, 0 for none, and the size `[H, W]` or `[D, H, W]`.
    ///
    /// # Errors
    /// If there are more or fewer ids than pixels.
    pub fn new(ids: impl Into<Vec<u32>>, size: impl Into<Vec<usize>>) -> Result<Self, CamError> {
        let (labels, size) = (ids.into(), size.into());
        let pixels = size.iter().try_fold(1usize, |pixels, side| pixels.checked_mul(*side));
        if pixels != Some(labels.len()) {
            let (wanted, given) = (size, vec![labels.len()]);
            return Err(CamError::ShapeMismatch {
                what: "the image of instance ids",
                wanted,
                given,
            });
        }
        let ids: BTreeSet<u32> = labels.iter().copied().filter(|&id| id != 0).collect();
        let weights = vec![1.0; labels.len()];
        let image = Arc::new(LabelImage { labels, weights, size });
        Ok(Self { image, ids: ids.into_iter().collect() })
    }

    /// All ids, ascending.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The pixels of one instance. An id that does not occur gives an empty set.
    pub fn id(&self, id: u32) -> Instance {
        Instance { all: self.clone(), id }
    }

    /// Every instance as a pixel set of its own, in the order of [`ids`](Self::ids).
    pub fn each(&self) -> impl Iterator<Item = Instance> {
        self.ids.iter().map(|&id| self.id(id))
    }
}

/// All instances together; each by itself as its [`parts`](PixelSet::parts).
impl<const D: usize> PixelSet<D> for Instances {
    fn weights(&self, view: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        self.image.weights_where(WHAT, |id| id != 0, view)
    }

    fn name(&self) -> String {
        "instances".into()
    }

    fn parts(&self, _view: &Prediction<D>, _class: usize) -> Result<Vec<AnySet<D>>, CamError> {
        Ok(self.each().map(|one| -> AnySet<D> { Box::new(one) }).collect())
    }

    fn why_empty(&self, _view: &Prediction<D>, _class: usize) -> Option<String> {
        Some("the image of instance ids has no instance".into())
    }
}

/// The pixels of one instance: see [`Instances::id`].
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    all: Instances,
    id: u32,
}

impl<const D: usize> PixelSet<D> for Instance {
    fn weights(&self, view: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        self.all.image.weights_where(WHAT, |id| id == self.id, view)
    }

    fn name(&self) -> String {
        format!("instance:{}", self.id)
    }

    fn why_empty(&self, _view: &Prediction<D>, _class: usize) -> Option<String> {
        const SHOWN: usize = 10;
        Some(match self.all.ids() {
            [] => "the image of instance ids has no instance".into(),
            ids => {
                let more = if ids.len() > SHOWN { ",…" } else { "" };
                let shown = comma_separated(&ids[..ids.len().min(SHOWN)]);
                format!("there are {} instance(s), with the ids {shown}{more}", ids.len())
            }
        })
    }
}
