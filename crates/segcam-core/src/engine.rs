use std::sync::Arc;

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

    /// The same network with random weights behind the layer `after`, or everywhere; `None` if the
    /// engine cannot change weights.
    fn with_random_weights(&self, _after: Option<&str>, _seed: u64) -> Option<Arc<dyn Engine<D>>> {
        None
    }
}

/// A finished forward pass that can be asked for gradients any number of times.
pub trait Pass<const D: usize = 4>: Send {
    /// What computes the gradients, for reports: `graph`, or `tape` and why.
    fn engine(&self) -> String;

    /// The network's input `[N, C, …]`.
    fn input(&self) -> Tensor<D>;

    /// The network's output `[N, classes, …]`.
    fn logits(&self) -> Tensor<D>;

    /// The output of `layer`, `[N, C, …]`; `None` if there is no such layer of the input's rank.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    fn activations(&self, layer: &str) -> Result<Option<Tensor<D>>, CamError>;

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

    /// The rest of the forward pass for other values of `layer`, or the whole of it for other inputs
    /// (`None`). The values of `copies` versions lie one after the other along the batch. `None` if
    /// the layer does not reach the logits.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    fn onward(&self, layer: Option<&str>, copies: usize)
    -> Result<Option<Onward<'_, D>>, CamError>;

    /// Where the target's score comes from when the network is cut at `layer`; `None` if the engine
    /// cannot tell.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    fn shares(&self, _target: &Target<D>, _layer: &str) -> Result<Option<Shares>, CamError> {
        Ok(None)
    }

    /// The cells of `layer` that the target's pixels can depend on, whatever the input's values are:
    /// 1 there and 0 elsewhere, `[N, 1, …]`; `None` if the engine cannot tell.
    fn cone(&self, _target: &Target<D>, _layer: &str) -> Option<Tensor<D>> {
        None
    }
}

/// Logits `[copies·N, classes, …]` for changed values `[copies·N, C, …]` of a layer or of the input.
pub type Onward<'a, const D: usize = 4> =
    Box<dyn Fn(Tensor<D>) -> Result<Tensor<D>, CamError> + 'a>;

/// The score `s = Σ_p w_p · y^c_p`, or `Σ_p w_p · (y^c_p − y^d_p)`, summed over each image of the
/// batch.
#[derive(Debug, Clone)]
pub struct Target<const D: usize = 4> {
    /// The class `c`: a channel of the logits.
    pub class: usize,
    /// The class `d` whose score is subtracted: why `c` and not `d`?
    pub against: Option<usize>,
    /// The weights `w` of the output pixels, `[N, 1, …]` at the size of the logits.
    pub weights: Tensor<D>,
}

impl<const D: usize> Target<D> {
    /// The scores of single pixels that are summed up, `[N, 1, …]`, from logits.
    pub fn asked(&self, logits: &Tensor<D>) -> Tensor<D> {
        let of = |class| logits.clone().narrow(1, class, 1);
        match self.against {
            Some(against) => of(self.class) - of(against),
            None => of(self.class),
        }
    }
}

/// What a [`CamMethod`](crate::CamMethod) combines. Both tensors are `[N, C, …]`, off the tape.
#[derive(Debug, Clone)]
pub struct Gradients<const D: usize = 4> {
    /// The layer's output `A`.
    pub activations: Tensor<D>,
    /// `∂s/∂A`.
    pub gradients: Tensor<D>,
}
