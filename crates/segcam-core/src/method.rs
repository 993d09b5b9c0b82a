use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{CamError, Perturbation};

/// A class activation map: one way to combine the activations and gradients of a layer.
///
/// A new variant is one expression. Here one that leaves out the channels that speak against the
/// class, cell by cell:
///
/// ```
/// use segcam_core::{CamMethod, burn::tensor::Tensor};
///
/// struct SupportCam;
///
/// impl<const D: usize> CamMethod<D> for SupportCam {
///     fn combine(&self, a: Tensor<D>, g: Tensor<D>) -> Tensor<D> {
///         (a * g).clamp_min(0.0).sum_dim(1)
///     }
/// }
/// let method: &dyn CamMethod = &SupportCam;
/// assert_eq!(method.name(), "SupportCam");
/// ```
///
/// References, boxes and `Arc`s of methods are methods.
pub trait CamMethod<const D: usize = 4>: Send + Sync {
    /// The raw signed map, before any ReLU or normalisation. Gradients are first combined as
    /// absolute values, to know how large [rounding](crate::Explanation::rounding) can be.
    ///
    /// # Shapes
    /// - `activations`: `[N, C, …]` at layer resolution
    /// - `weights`: what [`uses`](Self::uses) says. By default the gradients `∂s/∂A`, `[N, C, …]`
    /// - output: `[N, 1, …]` at layer resolution
    fn combine(&self, activations: Tensor<D>, weights: Tensor<D>) -> Tensor<D>;

    /// What the method needs to know of the network, beside the layer's activations.
    fn uses(&self) -> Uses<'_, D> {
        Uses::Gradients
    }

    /// Whether a cell's value depends on the cell and what lies around it alone, and on nothing that is
    /// averaged over the whole layer. Maps of parts of an image can then be put together one by one;
    /// otherwise all parts are needed at once.
    fn is_local(&self) -> bool {
        false
    }

    /// Whether gradients count through their mean over the layer alone, so that
    /// [`combine`](Self::combine) makes the same map of means that it makes of gradients. The means are
    /// then all that is needed of other parts of an image.
    fn averages_gradients(&self) -> bool {
        false
    }

    /// The method's name in reports and file names. By default the name of its type.
    fn name(&self) -> String {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path).to_string()
    }
}

/// What a [`CamMethod`] weights activations with.
#[non_exhaustive]
pub enum Uses<'a, const D: usize = 4> {
    /// The gradients of the score: one backward pass for each score, which all layers share.
    Gradients,
    /// Nothing: [`combine`](CamMethod::combine) gets the activations twice. No backward pass.
    Activations,
    /// What the score becomes when something is changed: many forward passes.
    Perturbation(&'a dyn PerturbationWeights<D>),
}

impl<const D: usize> fmt::Debug for Uses<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gradients => "Gradients",
            Self::Activations => "Activations",
            Self::Perturbation(_) => "Perturbation",
        })
    }
}

/// Weights that come from asking the network again, for methods that do without gradients.
///
/// # Example
/// ```
/// use segcam_core::{CamError, CamMethod, Perturbation, PerturbationWeights, Uses};
/// use segcam_core::burn::tensor::Tensor;
///
/// /// How much the score falls when a channel is left out.
/// struct Occlusion;
///
/// impl CamMethod for Occlusion {
///     fn combine(&self, a: Tensor<4>, w: Tensor<4>) -> Tensor<4> {
///         (a * w).sum_dim(1)
///     }
///
///     fn uses(&self) -> Uses<'_> {
///         Uses::Perturbation(self)
///     }
/// }
///
/// impl PerturbationWeights for Occlusion {
///     fn weights(&self, network: &Perturbation) -> Result<Tensor<4>, CamError> {
///         let a = network.activations()?;
///         let [n, channels, ..] = a.dims();
///         let without = |k| a.clone().slice_fill([0..n, k..k + 1], 0.0);
///         let scores = network.scores_with_layer(channels, without)?;
///         let before = network.scores()?;
///         let fall = (0..n).flat_map(|image| scores.iter().map(move |s| (image, s)));
///         let fall = fall.map(|(image, s)| (before[image] - s[image]) as f32);
///         let fall: Vec<f32> = fall.collect();
///         Ok(Tensor::<1>::from_floats(&*fall, &a.device()).reshape([n, channels, 1, 1]))
///     }
/// }
/// ```
pub trait PerturbationWeights<const D: usize = 4> {
    /// Weights `[N, C, …]` of the activations; spatial sides may be 1.
    ///
    /// # Errors
    /// Those of the [`Perturbation`].
    fn weights(&self, network: &Perturbation<D>) -> Result<Tensor<D>, CamError>;
}

const _: Option<&dyn CamMethod> = None;

macro_rules! forward_method {
    ($($pointer:ty),*) => {$(
        impl<const D: usize, M: CamMethod<D> + ?Sized> CamMethod<D> for $pointer {
            fn combine(&self, activations: Tensor<D>, weights: Tensor<D>) -> Tensor<D> {
                (**self).combine(activations, weights)
            }

            fn uses(&self) -> Uses<'_, D> {
                (**self).uses()
            }

            fn is_local(&self) -> bool {
                (**self).is_local()
            }

            fn averages_gradients(&self) -> bool {
                (**self).averages_gradients()
            }

            fn name(&self) -> String {
                (**self).name()
            }
        }
    )*};
}
forward_method!(&M, Box<M>, Arc<M>);
