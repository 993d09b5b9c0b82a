use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;
use segcam_graph::{GraphError, Keep, Network, Node, Run, expect_not_capturing};

use super::programs::Programs;
use crate::{CamError, SegmentationModel};

/// A further forward pass keeps the layers of the one before it, too, as long as they are so many:
/// whatever the order of the questions, each layer costs one pass at most.
const LAYERS: usize = 64;

/// The forward passes of one input. This is the one place that turns wanted layers into a network
/// that computes them and a run that keeps them.
pub(super) struct Runs<M, const D: usize> {
    pub(super) programs: Arc<Programs<M, D>>,
    pub(super) input: Tensor<D>,
    memory: Option<usize>,
    first: Arc<Kept>,
    /// The last one for gradients alone, and the last one for shares, too.
    more: Mutex<[Option<Arc<Kept>>; 2]>,
    count: AtomicUsize,
}

/// A forward pass, and the layers whose values and gradients it has.
pub(super) struct Kept {
    network: Arc<Network>,
    run: Run,
    layers: BTreeSet<String>,
    shares: bool,
}

impl Kept {
    /// The value of this name.
    pub(super) fn node(&self, name: &str) -> Result<&Node, CamError> {
        find(&self.network, name)
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    pub(super) fn network(&self) -> &Arc<Network> {
        &self.network
    }

    fn has(&self, layers: &[&str], shares: bool) -> bool {
        (self.shares || !shares) && layers.iter().all(|layer| self.layers.contains(*layer))
    }
}

impl<M: SegmentationModel<D>, const D: usize> Runs<M, D> {
    /// The first forward pass, which keeps every named layer if the memory suffices.
    pub(super) fn new(
        programs: Arc<Programs<M, D>>,
        input: Tensor<D>,
        memory: Option<usize>,
    ) -> Result<Self, CamError> {
        let network = programs.network(input.dims(), &input.device(), &[])?;
        let nodes = network.graph().nodes().iter();
        let named = nodes.filter(|node| node.named && node.shape.len() == D);
        let layers: BTreeSet<String> = named.map(|node| node.name.clone()).collect();
        let first = match run(&network, &input, layers, memory, false) {
            // Then each request computes again what it needs.
            Err(CamError::Graph(GraphError::Memory { .. })) => {
                run(&network, &input, BTreeSet::new(), None, false)?
            }
            run => run?,
        };
        let (first, more, count) = (Arc::new(first), Mutex::default(), AtomicUsize::new(1));
        Ok(Self { programs, input, memory, first, more, count })
    }

    pub(super) fn network(&self) -> &Network {
        &self.first.network
    }

    pub(super) fn logits(&self) -> Tensor<D> {
        Tensor::from_dispatch(self.first.run.output())
    }

    /// A forward pass that has all of `layers`, and what their shares need.
    pub(super) fn with(&self, layers: &[&str], shares: bool) -> Result<Arc<Kept>, CamError> {
        if self.first.has(layers, shares) {
            return Ok(self.first.clone());
        }
        // Before the lock: another thread may hold it while it waits for this one's capture to end.
        expect_not_capturing()?;
        // Held while computing: of two threads that want the same, one waits for the other's.
        let mut more = self.more.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = more.iter().flatten().find(|kept| kept.has(layers, shares)) {
            return Ok(kept.clone());
        }
        let wanted: BTreeSet<String> = layers.iter().map(ToString::to_string).collect();
        let place = &mut more[usize::from(shares)];
        let before = place.take();
        let both = before.map(|kept| kept.layers.union(&wanted).cloned().collect::<BTreeSet<_>>());
        let kept = match both.filter(|both| both.len() <= LAYERS) {
            Some(both) => match self.run(both, shares) {
                Err(CamError::Graph(GraphError::Memory { .. })) => self.run(wanted, shares),
                kept => kept,
            },
            None => self.run(wanted, shares),
        };
        let kept = Arc::new(kept?);
        *place = Some(kept.clone());
        Ok(kept)
    }

    /// The network for `images` times as many images, in which `layer` has a value.
    pub(super) fn network_of(
        &self,
        layer: Option<&str>,
        images: usize,
    ) -> Result<Arc<Network>, CamError> {
        let mut shape = self.input.dims();
        shape[0] *= images;
        let apart = self.apart(layer.into_iter());
        self.programs.network(shape, &self.input.device(), &apart)
    }

    fn run(&self, layers: BTreeSet<String>, shares: bool) -> Result<Kept, CamError> {
        let apart = self.apart(layers.iter().map(String::as_str));
        let (shape, device) = (self.input.dims(), self.input.device());
        let network = self.programs.network(shape, &device, &apart)?;
        self.count.fetch_add(1, Ordering::Relaxed);
        run(&network, &self.input, layers, self.memory, shares)
    }

    /// What is not to be merged so that `layers` have values: nothing, or all that could be. Each
    /// shape has two networks then, whatever is asked of it.
    fn apart<'a>(&self, mut layers: impl Iterator<Item = &'a str>) -> Vec<&str> {
        let merged = self.first.network.merged();
        match layers.any(|layer| merged.iter().any(|node| node.name == layer)) {
            true => merged.iter().map(|node| &*node.name).collect(),
            false => vec![],
        }
    }

    /// How many forward passes there were.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

fn run<const D: usize>(
    network: &Arc<Network>,
    input: &Tensor<D>,
    layers: BTreeSet<String>,
    limit: Option<usize>,
    shares: bool,
) -> Result<Kept, CamError> {
    let nodes = layers.iter().map(|layer| find(network, layer)).collect::<Result<Vec<_>, _>>()?;
    let keep = Keep { nodes: &nodes, limit, shares };
    let run = network.run(input.clone().into_dispatch(), keep)?;
    Ok(Kept { network: network.clone(), run, layers, shares })
}

/// The value of this name in a network.
pub(super) fn find<'a>(network: &'a Network, name: &str) -> Result<&'a Node, CamError> {
    let unknown = || GraphError::UnknownValue { name: name.to_string() };
    let nodes = network.graph().nodes();
    Ok(nodes.iter().find(|node| node.name == name).ok_or_else(unknown)?)
}
