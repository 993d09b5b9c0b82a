use burn::module::Module;
use burn::tensor::Tensor;

use crate::{CamError, Layers};

/// A burn module that labels the pixels of an image (`D = 4`) or the voxels of a volume (`D = 5`).
///
/// # Example
/// ```
/// use segcam_core::burn::{self, module::Module, nn::conv::{Conv2d, Conv2dConfig}};
/// use segcam_core::burn::tensor::{Device, Tensor, activation::relu};
/// use segcam_core::{Explainer, HiResCam, Layers, SegmentationModel};
///
/// #[derive(Module, Debug)]
/// struct Net { conv: Conv2d, head: Conv2d }
///
/// impl SegmentationModel for Net {
///     fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
///         self.head.forward(layers.name("conv", relu(self.conv.forward(image))))
///     }
/// }
///
/// let device = Device::flex();
/// let net = Net {
///     conv: Conv2dConfig::new([3, 4], [3, 3]).init(&device),
///     head: Conv2dConfig::new([4, 2], [1, 1]).init(&device),
/// };
/// let seen = Explainer::new(net).observe(Tensor::ones([1, 3, 8, 8], &device))?;
/// let map = seen.explain(&HiResCam, "conv", 1)?;
/// assert_eq!(map.raw().dims(), [1, 1, 6, 6]);
/// # Ok::<(), segcam_core::CamError>(())
/// ```
pub trait SegmentationModel<const D: usize = 4>: Module + Sync + 'static {
    /// The class scores of every pixel, **before** softmax or sigmoid.
    ///
    /// Each layer worth explaining goes through [`Layers::name`].
    ///
    /// # Shapes
    /// - `input`: `[N, C_in, …]`
    /// - output: `[N, classes, …]`. One class means a binary network: its own sigmoid, predicted
    ///   where the score is positive.
    fn forward(&self, input: Tensor<D>, layers: &mut Layers) -> Tensor<D>;

    /// The same for a network that can fail, such as one that was read from a file: the error is what
    /// [`Explainer::observe`](crate::Explainer::observe) gives. This is what segcam calls.
    ///
    /// # Errors
    /// [`CamError::model`] of what went wrong.
    fn try_forward(&self, input: Tensor<D>, layers: &mut Layers) -> Result<Tensor<D>, CamError> {
        Ok(self.forward(input, layers))
    }

    /// Whether the network takes an input of this shape `[N, C_in, …]`.
    ///
    /// burn panics on wrong shapes; a model that overrides this gives its users an error instead.
    ///
    /// # Errors
    /// [`CamError::WrongChannels`], [`CamError::InputTooSmall`] or [`CamError::NotAMultiple`].
    fn check_input(&self, _shape: [usize; D]) -> Result<(), CamError> {
        Ok(())
    }
}
