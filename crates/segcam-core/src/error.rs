use std::error::Error;
use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use segcam_graph::GraphError;

/// What can go wrong while explaining a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CamError {
    /// The model names no layer like this.
    #[error("no layer is named `{wanted}`{}; {}", Hint(.closest), Likeliest(wanted, known))]
    UnknownLayer {
        /// The name asked for.
        wanted: String,
        /// The known name most like it, if one is close.
        closest: Option<String>,
        /// The layers that the network names and that can be explained, in forward order.
        known: Vec<String>,
    },

    /// Several layers end like this.
    #[error("{} layers end in `{wanted}`: {}", known.len(), Few(known))]
    AmbiguousLayer {
        /// The name asked for.
        wanted: String,
        /// The layers it may mean.
        known: Vec<String>,
    },

    /// The forward pass gave two layers the same name.
    #[error(
        "two layers are named `{name}`: give each call of `Layers::name` its own name \
         (`Layers::scope` adds a prefix)"
    )]
    DuplicateLayer {
        /// The name that occurs twice.
        name: String,
    },

    /// The layer's tensor has another rank than the model's input and output.
    #[error(
        "layer `{layer}` has {given} dimensions and cannot be mapped onto the image: \
         choose one with {wanted}"
    )]
    LayerRank {
        /// The layer asked for.
        layer: String,
        /// The model's rank.
        wanted: usize,
        /// The layer's rank.
        given: usize,
    },

    /// The layer's values do not reach the score.
    #[error(
        "layer `{layer}` does not influence the score: the forward pass must go on with the tensor \
         that `Layers::name` returns, and the layer must lie before the logits"
    )]
    NoPath {
        /// The layer asked for.
        layer: String,
    },

    /// The class does not exist.
    #[error("class {class} does not exist: the network has {classes}, {}", ClassRange(*.classes))]
    ClassOutOfRange {
        /// The class asked about.
        class: usize,
        /// Number of output channels.
        classes: usize,
    },

    /// The engine cannot change the network's weights.
    #[error("this engine cannot make weights random: the graph engine can")]
    FixedWeights,

    /// The set M has no pixel in at least one image of the batch.
    #[error(
        "pixel set `{set}` of class {class} is empty{}: {reason}",
        InSamples(.samples)
    )]
    EmptyPixelSet {
        /// Name of the pixel set.
        set: String,
        /// The class asked about.
        class: usize,
        /// Why it is empty.
        reason: String,
        /// Indices of the images in the batch where it is empty.
        samples: Vec<usize>,
    },

    /// A pixel set names a place that the image does not have.
    #[error("pixel set `{set}` reaches outside the image: it is {} pixels", Dims(.image))]
    OutsideImage {
        /// Name of the pixel set.
        set: String,
        /// Spatial size of the image, `[H, W]` or `[D, H, W]`.
        image: Vec<usize>,
    },

    /// A pixel set makes no sense on this prediction.
    #[error("pixel set `{set}`: {reason}")]
    PixelSet {
        /// Name of the pixel set.
        set: String,
        /// What is wrong, and what would work.
        reason: String,
    },

    /// A pixel set looks at scores, and only labels are held.
    #[error(
        "pixel set `{set}` needs the scores or the shapes of a whole image, and of one that is read by \
         tiles only labels are held: take class, all, box, disc, pixel, component@, and combinations by \
         & | - ^ !"
    )]
    NeedsScores {
        /// Name of the pixel set.
        set: String,
    },

    /// A pixel set has another number of coordinates than the image.
    #[error(
        "pixel set `{set}` has {given} coordinates per point, the image has {wanted}: give y,x \
         for an image and z,y,x for a volume"
    )]
    SetRank {
        /// Name of the pixel set.
        set: String,
        /// Number of spatial dimensions of the image.
        wanted: usize,
        /// Number of coordinates given.
        given: usize,
    },

    /// A tensor has another shape than it must have.
    #[error("{what} must have shape {wanted:?}, but it has {given:?}")]
    ShapeMismatch {
        /// Which tensor.
        what: &'static str,
        /// The shape it must have.
        wanted: Vec<usize>,
        /// The shape it has.
        given: Vec<usize>,
    },

    /// The input has a side of zero length.
    #[error("the input has no values: its shape is {shape:?}")]
    EmptyInput {
        /// Shape of the input.
        shape: Vec<usize>,
    },

    /// The input has another number of channels than the network takes.
    #[error("the network takes {wanted} channel(s), the input has {given}: its shape is {shape:?}")]
    WrongChannels {
        /// Channels the network takes.
        wanted: usize,
        /// Channels of the input.
        given: usize,
        /// Shape of the input, `[N, C, …]`.
        shape: Vec<usize>,
    },

    /// The input is smaller than the network can take.
    #[error("the network needs at least {} pixels, the input has {}", Dims(.minimum), Dims(.given))]
    InputTooSmall {
        /// Smallest spatial size.
        minimum: Vec<usize>,
        /// Spatial size of the input.
        given: Vec<usize>,
    },

    /// The spatial size must be a multiple of the network's total stride.
    #[error(
        "the network needs sides that are multiples of {multiple}, the input has {}: pad or \
         resize it",
        Dims(.given)
    )]
    NotAMultiple {
        /// Every side must be a multiple of this.
        multiple: usize,
        /// Spatial size of the input.
        given: Vec<usize>,
    },

    /// The network is run on parts of the input, and what was asked needs a layer of the whole.
    #[error(
        "{what} needs layer `{layer}` of the whole input, and the network is run over windows, each with \
         a layer of its own: {instead}"
    )]
    InWindows {
        /// What was asked.
        what: String,
        /// The layer.
        layer: String,
        /// What would work.
        instead: String,
    },

    /// The map is of another forward pass.
    #[error(
        "the map of layer `{layer}` is of another observation: only the one that made a map can \
         certify it"
    )]
    OtherObservation {
        /// The map's layer.
        layer: String,
    },

    /// [`Cancel::cancel`](crate::Cancel::cancel) was called.
    #[error("cancelled")]
    Cancelled,

    /// The network itself reported an error, from
    /// [`try_forward`](crate::SegmentationModel::try_forward).
    #[error("the network fails: {source}")]
    Model {
        /// What it reported.
        source: ModelError,
    },

    /// The forward pass panicked.
    #[error("the network fails on an input of shape {shape:?}: {reason}")]
    Forward {
        /// Shape of the input, `[N, C, …]`.
        shape: Vec<usize>,
        /// What burn said.
        reason: String,
    },

    /// A pixel set or a method panicked, and the device still answers.
    #[error("{what} panicked: {reason}")]
    Panicked {
        /// Which pixel set or method.
        what: String,
        /// What the panic said.
        reason: String,
    },

    /// Something inside burn panicked.
    #[error(
        "the backend failed: {reason}. If memory ran out, take fewer targets at a time \
         (`GraphEngine::with_chunk`) or keep less (`GraphEngine::with_memory`); if a server computes, \
         see that it is there"
    )]
    Backend {
        /// What burn said.
        reason: String,
    },

    /// The network cannot be run as a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),

    /// NaN or infinity where a number was needed.
    #[error("{count} NaN or infinite value(s) in {what}")]
    NonFinite {
        /// Which quantity.
        what: Quantity,
        /// How many values are not finite.
        count: usize,
    },
}

/// An error of a network, shared by everyone who asked it. Two are equal if they say the same.
#[derive(Debug, Clone)]
pub struct ModelError(Arc<dyn Error + Send + Sync>);

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ModelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl PartialEq for ModelError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl CamError {
    /// An error of the network itself, for
    /// [`try_forward`](crate::SegmentationModel::try_forward).
    ///
    /// # Example
    /// ```
    /// use segcam_core::CamError;
    ///
    /// let error = CamError::model(std::io::Error::other("the weights are not there yet"));
    /// assert_eq!(error.to_string(), "the network fails: the weights are not there yet");
    /// ```
    pub fn model(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Model { source: ModelError(Arc::new(error)) }
    }
}

/// Runs what may be a user's own. If it panics, its own words are told, unless the device does not answer
/// any more: then that is what happened.
pub(crate) fn asked<T>(
    what: impl FnOnce() -> String,
    device: &Device,
    work: impl FnOnce() -> Result<T, CamError>,
) -> Result<T, CamError> {
    segcam_graph::guarded(work).unwrap_or_else(|reason| {
        let answers = segcam_graph::guarded(|| Tensor::<1>::zeros([1], device).into_data());
        Err(match answers {
            Ok(_) => CamError::Panicked { what: what(), reason },
            Err(_) => CamError::Backend { reason },
        })
    })
}

/// Runs `work`, and turns a panic inside burn into [`CamError::Backend`]: reading a tensor panics if
/// memory ran out or the device was lost.
///
/// # Errors
/// Those of `work`, and [`CamError::Backend`].
///
/// # Example
/// ```
/// use segcam_core::{CamError, burn::tensor::{Device, Tensor}, guarded};
///
/// let map = Tensor::<1>::ones([3], &Device::flex());
/// let values = guarded::<_, CamError>(|| Ok(map.into_data()))?;
/// # assert_eq!(values.num_elements(), 3);
/// # Ok::<(), CamError>(())
/// ```
pub fn guarded<T, E: From<CamError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    segcam_graph::guarded(work).unwrap_or_else(|reason| Err(CamError::Backend { reason }.into()))
}

/// The quantity a [`CamError::NonFinite`] speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// The input image or volume.
    Input,
    /// The network's output.
    Logits,
    /// The weights a pixel set returned; holds the set's name.
    PixelSet(String),
    /// The activations of a layer; holds its name.
    Activations(String),
    /// The gradients at a layer; holds its name.
    Gradients(String),
    /// The map a method returned; holds the method's name.
    Map(String),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => write!(f, "the input"),
            Self::Logits => write!(f, "the network's logits"),
            Self::PixelSet(name) => write!(f, "the weights of pixel set `{name}`"),
            Self::Activations(name) => write!(f, "the activations of layer `{name}`"),
            Self::Gradients(name) => write!(f, "the gradients at layer `{name}`"),
            Self::Map(name) => write!(f, "the map of method `{name}`"),
        }
    }
}

/// A name that nothing has: of a model, a method, a device, a colour map.
///
/// # Example
/// ```
/// let error = segcam_core::UnknownName::new("device", "flx", ["flex"]);
/// assert_eq!(error.to_string(), "no device is named `flx` (did you mean `flex`?); known: flex");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} is named `{wanted}`{}; known: {}", Hint(.closest), known.join(" "))]
#[non_exhaustive]
pub struct UnknownName {
    /// What kind of thing was looked for.
    pub kind: &'static str,
    /// The name asked for.
    pub wanted: String,
    /// The known name most like it, if one is close.
    pub closest: Option<String>,
    /// Every known name.
    pub known: Vec<String>,
}

impl UnknownName {
    /// For a `wanted` name that is not among the `known` ones.
    pub fn new<S: ToString>(
        kind: &'static str,
        wanted: &str,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        let known: Vec<String> = known.into_iter().map(|name| name.to_string()).collect();
        let closest = closest(wanted, &known);
        Self { kind, wanted: wanted.to_string(), closest, known }
    }

    /// The one of `all` that prints as `wanted`.
    ///
    /// # Errors
    /// If there is none.
    pub fn find<T: Copy + ToString>(
        kind: &'static str,
        wanted: &str,
        all: &[T],
    ) -> Result<T, Self> {
        let found = all.iter().find(|item| item.to_string() == wanted).copied();
        found.ok_or_else(|| Self::new(kind, wanted, all.iter().copied()))
    }
}

/// The known name most like `wanted`, if any is close enough to be a typo.
pub(crate) fn closest(wanted: &str, known: &[String]) -> Option<String> {
    let alike = known.iter().map(|name| (likeness(wanted, name), name));
    let close = alike.filter(|(likeness, _)| *likeness > 0.7);
    close.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name.clone())
}

/// From 0 to 1.
fn likeness(wanted: &str, name: &str) -> f64 {
    // Of short names one missing letter is much.
    let near = name.len() > 2 && strsim::osa_distance(wanted, name) == 1;
    if near { 1.0 } else { strsim::jaro_winkler(wanted, name) }
}

/// All layers, or of many those whose names are most like the one asked for.
struct Likeliest<'a>(&'a str, &'a [String]);

impl fmt::Display for Likeliest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MANY: usize = 8;
        const SHOWN: usize = 3;
        let Self(wanted, known) = self;
        if known.len() <= MANY {
            return write!(f, "known layers: {}", known.join(" "));
        }
        let mut alike: Vec<&str> = known.iter().map(String::as_str).collect();
        alike.sort_by(|a, b| likeness(wanted, b).total_cmp(&likeness(wanted, a)));
        let shown = alike[..SHOWN].join(" ");
        write!(f, "the most alike of {} known layers: {shown}", known.len())
    }
}

/// The first of many names.
struct Few<'a>(&'a [String]);

impl fmt::Display for Few<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let shown = self.0.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(" ");
        match self.0.len().saturating_sub(SHOWN) {
            0 => f.write_str(&shown),
            more => write!(f, "{shown} and {more} more"),
        }
    }
}

struct Hint<'a>(&'a Option<String>);
impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |name| write!(f, " (did you mean `{name}`?)"))
    }
}

struct ClassRange(usize);
impl fmt::Display for ClassRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => write!(f, "number 0 (a binary network)"),
            n => write!(f, "numbered 0 to {}", n - 1),
        }
    }
}

struct InSamples<'a>(&'a [usize]);
impl fmt::Display for InSamples<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == [0] { Ok(()) } else { write!(f, " in images {:?} of the batch", self.0) }
    }
}

struct Dims<'a>(&'a [usize]);
impl fmt::Display for Dims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{}", sides.join("×"))
    }
}
