use burn::tensor::Tensor;

use crate::{CamError, Layer};

/// Runs a network and computes gradients at its layers. Users meet it only in
/// [`Explainer::with_engine`](crate::Explainer::with_engine).
pub trait Engine<const D: usize = 4>: Send + Sync {
    /// The engine's name in reports.
    fn name(&self) -> &'static str;

    /// One forward pass on `input` `[N, C, …]`.
    ///
    /// # Errors
    /// Shapes the network does not take, and [`CamError::DuplicateLayer`].
    fn observe(&self, input: Tensor<D>) -> Result<Box<dyn Pass<D>>, CamError>;
}

/// A finished forward pass that can be asked for gradients any number of times.
pub trait Pass<const D: usize = 4>: Send {
    /// The network's output `[N, classes, …]`.
    fn logits(&self) -> Tensor<D>;

    /// The named layers in forward order.
    fn layers(&self) -> &[Layer];

    /// Activations of `layer` and the gradients of the target's score with respect to them.
    ///
    /// A layer that is used more than once has the sum of the gradients over all its paths.
    ///
    /// # Errors
    /// [`CamError::NoPath`] if the layer does not reach the score.
    fn gradients(&self, layer: &str, target: &Target<D>) -> Result<Gradients<D>, CamError>;
}

/// The score `s = Σ_p w_p · y^c_p`, summed over each image of the batch.
#[derive(Debug, Clone)]
pub struct Target<const D: usize = 4> {
    /// The class `c`: a channel of the logits.
    pub class: usize,
    /// The weights `w` of the output pixels, `[N, 1, …]` at the size of the logits.
    pub weights: Tensor<D>,
}

/// What a [`CamMethod`](crate::CamMethod) combines. Both tensors are `[N, C, …]`, off the tape.
#[derive(Debug, Clone)]
pub struct Gradients<const D: usize = 4> {
    /// The layer's output `A`.
    pub activations: Tensor<D>,
    /// `∂s/∂A`.
    pub gradients: Tensor<D>,
}
