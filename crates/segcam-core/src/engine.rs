use burn::tensor::{Device, Tensor};
use segcam_graph::{Graph, Shares};

use crate::{CamError, Layer};

/// Runs a network and computes gradients at its layers. Users meet it only in
/// [`Explainer::with_engine`](crate::Explainer::with_engine).
pub trait Engine<const D: usize = 4>: Send + Sync {
    /// One forward pass on `input` `[N, C, …]`.
    ///
    /// # Errors
    /// Shapes the network does not take, and [`CamError::DuplicateLayer`].
    fn observe(&self, input: Tensor<D>) -> Result<Box<dyn Pass<D>>, CamError>;

    /// The forward pass for an input of this shape as the engine sees it: captured, and simplified.
    /// `None` if the engine does not capture it.
    ///
    /// # Errors
    /// Shapes the network does not take, and a forward pass that cannot be captured.
    fn program(
        &self,
        _shape: [usize; D],
        _device: &Device,
    ) -> Result<Option<(Graph, Graph)>, CamError> {
        Ok(None)
    }
}

/// A finished forward pass that can be asked for gradients any number of times.
pub trait Pass<const D: usize = 4>: Send {
    /// What computes the gradients, for reports: `graph`, or `tape` and why.
    fn engine(&self) -> String;

    /// The network's output `[N, classes, …]`.
    fn logits(&self) -> Tensor<D>;

    /// The named layers in forward order.
    fn layers(&self) -> &[Layer];

    /// Results of single operations that can be explained, too; their names come from the
    /// operation.
    fn operations(&self) -> &[Layer] {
        &[]
    }

    /// How many targets [`gradients`](Pass::gradients) should get at once.
    fn chunk(&self) -> usize {
        1
    }

    /// The gradients of every target's score at every one of `layers`.
    ///
    /// `visit` gets the number of the target, the number of the layer, and what was found; a layer
    /// that does not reach the score is not visited. A layer that is used more than once has the
    /// sum of the gradients over all its paths.
    ///
    /// # Errors
    /// Whatever makes the engine fail; layers visited before stay valid.
    fn gradients(
        &self,
        targets: &[Target<D>],
        layers: &[&str],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>),
    ) -> Result<(), CamError>;

    /// Where the target's score comes from when the network is cut at `layer`; `None` if the engine
    /// cannot tell.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    fn shares(&self, _target: &Target<D>, _layer: &str) -> Result<Option<Shares>, CamError> {
        Ok(None)
    }
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
