//! A double of an engine.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use burn::tensor::{Device, Tensor};
use segcam::CamError;
use segcam::engine::{AsGraph, Certifier, Engine, Forward, Gradients, Graph, Mapper, Pass, Wanted};

/// What a [`Watched`] engine was asked for.
#[derive(Default, Debug)]
pub struct Counts {
    /// Forward passes that are kept.
    pub observations: AtomicUsize,
    /// Targets whose gradients were wanted.
    pub targets: AtomicUsize,
    /// The layers of all these targets.
    pub layers: AtomicUsize,
    /// Versions of a layer's output.
    pub versions: AtomicUsize,
    /// Everything that the device was asked.
    pub calls: AtomicUsize,
    /// The device fails at this call; 0: never.
    pub fails_at: AtomicUsize,
}

impl Counts {
    fn call(&self) {
        let call = self.calls.fetch_add(1, Relaxed) + 1;
        assert!(call != self.fails_at.load(Relaxed), "the device was lost");
    }
}

/// An engine that counts what another is asked for, and whose device can be lost.
#[derive(Clone)]
pub struct Watched {
    engine: Arc<dyn Engine>,
    counts: Arc<Counts>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Watched").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Watched {
    /// `engine`, and what it will be asked for.
    pub fn new(engine: impl Engine + 'static) -> (Self, Arc<Counts>) {
        Self::of(Arc::new(engine))
    }

    /// The same of an engine that is there already, such as that of windows.
    pub fn of(engine: Arc<dyn Engine>) -> (Self, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        (Self { engine, counts: counts.clone() }, counts)
    }
}

impl Engine for Watched {
    fn observe(&self, input: Tensor<4>) -> Result<(Forward, Box<dyn Pass>), CamError> {
        self.counts.call();
        self.counts.observations.fetch_add(1, Relaxed);
        let (forward, pass) = self.engine.observe(input)?;
        Ok((forward, Box::new(WatchedPass { pass, counts: self.counts.clone() })))
    }

    fn model(&self) -> &dyn Any {
        self.engine.model()
    }

    fn as_graph(&self) -> Option<&dyn AsGraph> {
        self.engine.as_graph().map(|_| self as &dyn AsGraph)
    }
}

impl AsGraph for Watched {
    fn program(&self, shape: [usize; 4], device: &Device) -> Result<(Graph, Graph), CamError> {
        self.engine.as_graph().ok_or(CamError::FixedWeights)?.program(shape, device)
    }

    fn with_random_weights(&self, after: Option<&str>, seed: u64) -> Arc<dyn Engine> {
        let engine = self.engine.as_graph().expect("a graph").with_random_weights(after, seed);
        Arc::new(Self { engine, counts: self.counts.clone() })
    }
}

struct WatchedPass {
    pass: Box<dyn Pass>,
    counts: Arc<Counts>,
}

impl Pass for WatchedPass {
    fn activations(&self, layers: &[&str]) -> Result<Vec<Tensor<4>>, CamError> {
        self.counts.call();
        self.pass.activations(layers)
    }

    fn gradients(
        &self,
        wanted: &[Wanted],
        visit: &mut dyn FnMut(usize, usize, Gradients) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        self.counts.call();
        let layers = wanted.iter().map(|wanted| wanted.layers.len()).sum();
        self.counts.targets.fetch_add(wanted.len(), Relaxed);
        self.counts.layers.fetch_add(layers, Relaxed);
        self.pass.gradients(wanted, visit)
    }

    fn perturbed(
        &self,
        layer: Option<&str>,
        count: usize,
        change: &mut dyn FnMut(usize) -> Result<Tensor<4>, CamError>,
        visit: &mut dyn FnMut(Tensor<4>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        self.counts.call();
        if layer.is_some() {
            self.counts.versions.fetch_add(count, Relaxed);
        }
        self.pass.perturbed(layer, count, change, visit)
    }

    fn certifier(&self) -> Option<&dyn Certifier> {
        self.counts.call();
        self.pass.certifier()
    }

    /// Whether there is one: no device is asked.
    fn mapper(&self) -> Option<&dyn Mapper> {
        self.pass.mapper()
    }
}
