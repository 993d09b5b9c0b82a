use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;
use segcam_graph::{Constants, Convolutions, Graph, Names, Network, expect_not_capturing};

use crate::layers::expect_unique;
use crate::{CamError, Layer, LayerView, Layers, SegmentationModel, TapeEngine};

/// Most programs that are held at a time: input shapes, each with what can be merged and without.
const PROGRAMS: usize = 8;

/// The network, and what was captured of it.
pub(super) struct Programs<M, const D: usize> {
    pub(super) tape: TapeEngine<M>,
    /// From where on weights are random, and the seed.
    randomized: Option<(Option<String>, u64)>,
    constants: Constants,
    known: Mutex<VecDeque<Program<D>>>,
    captures: AtomicUsize,
}

/// A captured network, or why there is none, for one shape and device of the input.
struct Program<const D: usize> {
    shape: [usize; D],
    device: Device,
    /// Values that it computes although they could be merged with others.
    kept: Vec<String>,
    network: Result<Arc<Network>, CamError>,
}

impl<M: SegmentationModel<D>, const D: usize> Programs<M, D> {
    pub(super) fn new(
        tape: TapeEngine<M>,
        randomized: Option<(Option<String>, u64)>,
        convolutions: Convolutions,
    ) -> Self {
        let constants = Constants::new(convolutions);
        let (known, captures) = Default::default();
        Self { tape, randomized, constants, known, captures }
    }

    /// Whether the weights are the model's own.
    pub(super) fn has_own_weights(&self) -> bool {
        self.randomized.is_none()
    }

    /// The network for inputs of this shape, in which the values named `kept` are not merged with
    /// others.
    pub(super) fn network(
        &self,
        shape: [usize; D],
        device: &Device,
        kept: &[&str],
    ) -> Result<Arc<Network>, CamError> {
        // Before the lock: another thread may hold it while it waits for this one's capture to end.
        expect_not_capturing()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |program: &Program<D>| {
            program.shape == shape && program.device == *device && program.kept == kept
        };
        // The most recently used is the last.
        if let Some(at) = known.iter().position(same)
            && let Some(program) = known.remove(at)
        {
            let network = program.network.clone();
            known.push_back(program);
            return network;
        }
        let network = self.capture(shape).and_then(|graph| {
            let graph = graph.keep(kept);
            Ok(Network::new(graph, device.as_dispatch(), &self.constants)?)
        });
        if known.len() == PROGRAMS {
            known.pop_front();
        }
        let kept = kept.iter().map(ToString::to_string).collect();
        let device = device.clone();
        known.push_back(Program { shape, device, kept, network: network.clone() });
        network
    }

    /// The network as it was captured, and simplified.
    pub(super) fn listing(
        &self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<(Graph, Graph), CamError> {
        let simplified = self.network(shape, device, &[])?.graph().clone();
        Ok((self.capture(shape)?, simplified))
    }

    /// How many forward passes were captured.
    #[cfg(test)]
    pub(super) fn captures(&self) -> usize {
        self.captures.load(Ordering::Relaxed)
    }

    fn capture(&self, shape: [usize; D]) -> Result<Graph, CamError> {
        self.captures.fetch_add(1, Ordering::Relaxed);
        let (mut layers, mut failed): (Vec<Layer>, _) = (vec![], None);
        let graph = Graph::capture(shape, |input, names| {
            // `valid` again: the clone shares the running statistics that `to_device` moves.
            let model = self.tape.model().valid().to_device(&input.device());
            let mut visitor = |mut view: LayerView| {
                layers.push(view.layer.clone());
                give_name::<1>(&mut view, names);
                give_name::<2>(&mut view, names);
                give_name::<3>(&mut view, names);
                give_name::<4>(&mut view, names);
                give_name::<5>(&mut view, names);
                give_name::<6>(&mut view, names);
            };
            model.try_forward(input.clone(), &mut Layers::visited(&mut visitor)).unwrap_or_else(
                |error| {
                    failed = Some(error);
                    input
                },
            )
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let graph = graph?;
        expect_unique(&layers)?;
        match &self.randomized {
            Some((after, seed)) => Ok(graph.with_random_weights(after.as_deref(), *seed)?),
            None => Ok(graph),
        }
    }
}

/// Names the layer if its rank is `R`.
fn give_name<const R: usize>(view: &mut LayerView, names: &mut Names) {
    let (name, detail) = (view.layer.name.clone(), view.detail);
    if let Some(tensor) = view.tensor::<R>() {
        let named = tensor.clone();
        *tensor = if detail { names.detail(&name, named) } else { names.name(&name, named) };
    }
}
