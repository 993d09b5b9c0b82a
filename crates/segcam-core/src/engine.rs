use std::any::Any;
use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use segcam_graph::{Graph, Shares};

use crate::checks::expect_shape;
use crate::error::asked;
use crate::{CamError, CamMethod, Layer, Request, Target, Uses};

/// Runs a network and computes gradients at its layers. Users meet it only in
/// [`Explainer::with_engine`](crate::Explainer::with_engine).
pub trait Engine<const D: usize = 4>: Send + Sync {
    /// One forward pass on `input` `[N, C, …]`.
    ///
    /// # Errors
    /// Shapes the network does not take, [`CamError::DuplicateLayer`], and what the network itself
    /// reports.
    fn observe(&self, input: Tensor<D>) -> Result<(Forward<D>, Box<dyn Pass<D>>), CamError>;

    /// The network in inference mode, to be given back to whoever knows its type.
    fn model(&self) -> &dyn Any;

    /// What an engine can do that sees the network as a graph.
    fn as_graph(&self) -> Option<&dyn AsGraph<D>> {
        None
    }
}

/// Abilities of an engine that sees the network as a graph.
pub trait AsGraph<const D: usize = 4> {
    /// The forward pass for an input of this shape: captured, and simplified.
    ///
    /// # Errors
    /// Shapes the network does not take, and a forward pass that cannot be captured.
    fn program(&self, shape: [usize; D], device: &Device) -> Result<(Graph, Graph), CamError>;

    /// The same network with random weights behind the layer `after`, or everywhere.
    fn with_random_weights(&self, after: Option<&str>, seed: u64) -> Arc<dyn Engine<D>>;
}

/// What one forward pass found.
#[derive(Debug, Clone)]
pub struct Forward<const D: usize = 4> {
    /// The network's output `[N, classes, …]`.
    pub logits: Tensor<D>,
    /// The named layers in forward order.
    pub layers: Vec<Layer>,
    /// Results of single operations that can be explained, too; their names come from the
    /// operation, or from [`Layers::detail`](crate::Layers::detail).
    pub operations: Vec<Layer>,
    /// What computes the gradients.
    pub engine: EngineKind,
}

/// Which engine computes the gradients, and why it is not the fast one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EngineKind {
    /// [`GraphEngine`](crate::GraphEngine).
    Graph,
    /// [`TapeEngine`](crate::TapeEngine).
    Tape {
        /// Why the graph engine cannot take this network; `None` if it was not asked to.
        instead: Option<String>,
    },
    /// An engine of another crate, by its name.
    Other(String),
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph => f.write_str("graph"),
            Self::Tape { instead: None } => f.write_str("tape"),
            Self::Tape { instead: Some(reason) } => write!(f, "tape ({reason})"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A finished forward pass that can be asked for gradients any number of times, from several threads.
///
/// Layers are given by name; they exist and have the input's rank.
pub trait Pass<const D: usize = 4>: Send + Sync {
    /// The output of each of `layers`, `[N, C, …]`.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    fn activations(&self, layers: &[&str]) -> Result<Vec<Tensor<D>>, CamError>;

    /// The gradients of every target's score at its layers.
    ///
    /// `visit` gets the number of the target, the number of the layer among the target's, and what
    /// was found; a layer that does not reach the score is not visited. A layer that is used more
    /// than once has the sum of the gradients over all its paths.
    ///
    /// # Errors
    /// Those of `visit`, which end the walk, and whatever makes the engine fail; layers visited
    /// before stay valid.
    fn gradients(
        &self,
        wanted: &[Wanted<D>],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError>;

    /// The logits for `count` changed versions of `layer`'s output, or of the input (`None`), in
    /// their order. `change` gives each version, `[N, C, …]`, and `visit` gets its logits.
    ///
    /// # Errors
    /// Those of `change` and `visit`, [`CamError::NoPath`] if the layer does not reach the logits,
    /// and whatever makes the engine fail.
    fn perturbed(
        &self,
        layer: Option<&str>,
        count: usize,
        change: &mut dyn FnMut(usize) -> Result<Tensor<D>, CamError>,
        visit: &mut dyn FnMut(Tensor<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError>;

    /// Exact statements about scores, if the engine can make them.
    fn certifier(&self) -> Option<&dyn Certifier<D>> {
        None
    }

    /// Maps that the pass makes itself, because its layers have no common grid.
    fn mapper(&self) -> Option<&dyn Mapper<D>> {
        None
    }
}

/// Makes maps itself: the ability of a pass that ran the network on parts of the input, each with
/// layers of its own.
pub trait Mapper<const D: usize = 4> {
    /// How many maps may be held at once.
    fn at_once(&self) -> usize;

    /// The map of every request, in their order. `step` is told how many steps are done, and of how
    /// many; its error ends the work.
    fn maps(
        &self,
        requests: &[Request<D>],
        step: &mut dyn FnMut(usize, usize) -> Result<(), CamError>,
    ) -> Vec<Result<Mapped<D>, CamError>>;
}

/// A map that a [`Mapper`] made.
#[derive(Debug, Clone)]
pub struct Mapped<const D: usize = 4> {
    /// The signed map `[N, 1, …]` at the size of the input.
    pub raw: Tensor<D>,
    /// What the cells of the layer add up to, of each image.
    pub total: Vec<f64>,
    /// The largest value that the method makes of absolute values, of each image; 0 if it does not
    /// weight with gradients.
    pub magnitude: Vec<f64>,
}

/// Exact statements about a score.
pub trait Certifier<const D: usize = 4> {
    /// Where the target's score comes from when the network is cut at `layer`, and the cells of the
    /// layer that the target's pixels can depend on, whatever the input's values are: 1 there and 0
    /// elsewhere, `[N, 1, …]`.
    ///
    /// # Errors
    /// Whatever makes the engine fail.
    fn certify(&self, target: &Target<D>, layer: &str) -> Result<(Shares, Tensor<D>), CamError>;
}

/// A target, and the layers at which its gradients are wanted.
#[derive(Debug, Clone)]
pub struct Wanted<'a, const D: usize = 4> {
    /// The score.
    pub target: Target<D>,
    /// Names of layers, each once.
    pub layers: Vec<&'a str>,
}

/// What a [`CamMethod`](crate::CamMethod) combines. Both tensors are `[N, C, …]`, off the tape.
#[derive(Debug, Clone)]
pub struct Gradients<const D: usize = 4> {
    /// The layer's output `A`.
    pub activations: Tensor<D>,
    /// `∂s/∂A`.
    pub gradients: Tensor<D>,
}

impl<const D: usize> Gradients<D> {
    /// The map `[N, 1, …]` that a method makes of them, and if it weights with gradients what it makes of
    /// absolute values, to know how large rounding can be.
    ///
    /// # Errors
    /// [`CamError::ShapeMismatch`] of a method that makes something else, [`CamError::Panicked`].
    pub fn combined(
        &self,
        method: &dyn CamMethod<D>,
    ) -> Result<(Tensor<D>, Option<Tensor<D>>), CamError> {
        let Self { activations, gradients } = self;
        let mut shape = activations.dims();
        shape[1] = 1;
        let magnitudes = matches!(method.uses(), Uses::Gradients)
            .then(|| combine(method, activations.clone().abs(), gradients.clone().abs()));
        let raw = combine(method, activations.clone(), gradients.clone())?;
        expect_shape("the method's map", &raw, shape)?;
        Ok((raw, magnitudes.transpose()?))
    }
}

/// [`CamMethod::combine`], whose panic is an error with its own words.
///
/// # Errors
/// [`CamError::Panicked`], or [`CamError::Backend`] if the device is lost.
pub fn combine<const D: usize>(
    method: &dyn CamMethod<D>,
    activations: Tensor<D>,
    weights: Tensor<D>,
) -> Result<Tensor<D>, CamError> {
    let (what, device) = (|| format!("method `{}`", method.name()), activations.device());
    asked(what, &device, || Ok(method.combine(activations, weights)))
}
