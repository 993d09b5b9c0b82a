use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use segcam_graph::{Constants, Graph, GraphError, Keep, Names, Network, Node, Run, Shares};

use crate::layers::expect_unique;
use crate::{
    CamError, Engine, Gradients, Layer, LayerView, Layers, Onward, Pass, SegmentationModel,
    TapeEngine, Target,
};

/// Most input shapes whose programs are held at a time.
const PROGRAMS: usize = 4;

/// The fast engine: the network's forward pass is captured as a graph, computed once, and walked
/// backwards once per target, whatever the number of layers and methods.
///
/// A network that cannot be captured, or has an operation without a rule, is answered by the
/// [`TapeEngine`], and the explanation's [`engine`](crate::Explanation::engine) says why.
///
/// # Example
/// ```no_run
/// # use segcam_core::{burn::module::Module, *};
/// # fn example<M: SegmentationModel>(model: M) {
/// // At most 2 GiB for what the reverse pass needs, and 8 targets at a time (for a GPU).
/// let engine = GraphEngine::new(model).with_memory(2 << 30).with_chunk(8);
/// let explainer = Explainer::with_engine(engine);
/// # }
/// ```
pub struct GraphEngine<M, const D: usize = 4> {
    programs: Arc<Programs<M, D>>,
    memory: Option<usize>,
    chunk: usize,
}

/// The network and what was captured of it.
struct Programs<M, const D: usize> {
    tape: TapeEngine<M>,
    /// From where on weights are random, and the seed.
    randomized: Option<(Option<String>, u64)>,
    constants: Constants,
    known: Mutex<VecDeque<Program<D>>>,
}

/// A captured network, or why there is none, for one shape and device of the input.
struct Program<const D: usize> {
    shape: [usize; D],
    device: Device,
    network: Result<Arc<Network>, GraphError>,
}

impl<M: SegmentationModel<D>, const D: usize> Programs<M, D> {
    fn new(tape: TapeEngine<M>, randomized: Option<(Option<String>, u64)>) -> Self {
        Self { tape, randomized, constants: Constants::default(), known: Mutex::default() }
    }

    fn capture(&self, shape: [usize; D]) -> Result<Graph, GraphError> {
        let graph = Graph::capture(shape, |input, names| {
            // `valid` again: the clone shares the running statistics that `to_device` moves.
            let model = self.tape.model().valid().to_device(&input.device());
            let mut visitor = |mut view: LayerView| {
                give_name::<1>(&mut view, names);
                give_name::<2>(&mut view, names);
                give_name::<3>(&mut view, names);
                give_name::<4>(&mut view, names);
                give_name::<5>(&mut view, names);
                give_name::<6>(&mut view, names);
            };
            model.forward(input, &mut Layers::visited(&mut visitor))
        })?;
        match &self.randomized {
            Some((after, seed)) => graph.with_random_weights(after.as_deref(), *seed),
            None => Ok(graph),
        }
    }

    fn network(&self, shape: [usize; D], device: &Device) -> Result<Arc<Network>, GraphError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|known| known.shape == shape && known.device == *device);
        if let Some(found) = found {
            return found.network.clone();
        }
        let network = self
            .capture(shape)
            .and_then(|graph| Network::new(graph, device.as_dispatch(), &self.constants));
        if known.len() == PROGRAMS {
            known.pop_front();
        }
        known.push_back(Program { shape, device: device.clone(), network: network.clone() });
        network
    }

    /// The network in which these values are not merged with others.
    fn exact(
        &self,
        shape: [usize; D],
        device: &Device,
        names: &[&str],
    ) -> Result<Arc<Network>, GraphError> {
        let graph = self.capture(shape)?.keep(names);
        Network::new(graph, device.as_dispatch(), &self.constants)
    }
}

impl<M: SegmentationModel<D>, const D: usize> GraphEngine<M, D> {
    /// Puts `model` into inference mode.
    pub fn new(model: M) -> Self {
        let programs = Programs::new(TapeEngine::new(model), None);
        Self { programs: Arc::new(programs), memory: None, chunk: 1 }
    }

    /// Keeps at most so many bytes between the forward and the reverse pass, beside the weights and
    /// the explained layers. What does not fit is computed again when it is asked for.
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Walks backwards for so many targets at a time. More than one helps on GPUs, and needs an
    /// input of one image.
    pub fn with_chunk(mut self, targets: usize) -> Self {
        self.chunk = targets.max(1);
        self
    }

    fn run(&self, input: Tensor<D>) -> Result<GraphPass<M, D>, GraphError> {
        let network = self.programs.network(input.dims(), &input.device())?;
        let nodes = network.graph().nodes();
        let named: Vec<&Node> =
            nodes.iter().filter(|node| node.named && node.shape.len() == D).collect();
        let keep = Keep { nodes: &named, limit: self.memory, shares: false };
        let run = match network.run(input.clone().into_dispatch(), keep) {
            // Then each request computes again what it needs.
            Err(GraphError::Memory { .. }) => {
                network.run(input.clone().into_dispatch(), Keep::default())?
            }
            run => run?,
        };
        let rank = |node: &&Node| node.shape.len() == D;
        let layer = |node: &Node| Layer { name: node.name.clone(), shape: node.shape.clone() };
        let layers = nodes.iter().filter(|node| node.named).map(layer).collect();
        let operations = nodes.iter().filter(|node| !node.named).chain(network.merged());
        let operations = operations.filter(rank).map(layer).collect();
        let chunk = if network.takes_many() { self.chunk } else { 1 };
        Ok(GraphPass {
            programs: self.programs.clone(),
            network,
            run,
            input,
            memory: self.memory,
            chunk,
            layers,
            operations,
            certified: Mutex::default(),
            exact: Mutex::default(),
        })
    }
}

impl<M: SegmentationModel<D>, const D: usize> Engine<D> for GraphEngine<M, D> {
    fn observe(&self, input: Tensor<D>) -> Result<Box<dyn Pass<D>>, CamError> {
        self.programs.tape.model().check_input(input.dims())?;
        let input = input.inner();
        match self.run(input.clone()) {
            Ok(pass) => {
                expect_unique(&pass.layers)?;
                Ok(Box::new(pass))
            }
            // The tape would run with the weights as they are.
            Err(error) if self.programs.randomized.is_some() => Err(error.into()),
            Err(reason @ (GraphError::Capture { .. } | GraphError::Unsupported { .. })) => {
                self.programs.tape.pass(input, format!("tape ({reason})"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn program(
        &self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Option<(Graph, Graph)>, CamError> {
        self.programs.tape.model().check_input(shape)?;
        let graph = self.programs.capture(shape)?;
        let constants = &self.programs.constants;
        let network = Network::new(graph.clone(), device.as_dispatch(), constants)?;
        Ok(Some((graph, network.graph().clone())))
    }

    fn with_random_weights(&self, after: Option<&str>, seed: u64) -> Option<Arc<dyn Engine<D>>> {
        let randomized = Some((after.map(ToString::to_string), seed));
        let programs = Programs::new(self.programs.tape.clone(), randomized);
        let Self { memory, chunk, .. } = *self;
        Some(Arc::new(Self { programs: Arc::new(programs), memory, chunk }))
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

struct GraphPass<M, const D: usize> {
    programs: Arc<Programs<M, D>>,
    network: Arc<Network>,
    run: Run,
    input: Tensor<D>,
    memory: Option<usize>,
    chunk: usize,
    layers: Vec<Layer>,
    operations: Vec<Layer>,
    /// The last forward pass that kept what shares need, and its layer.
    certified: Mutex<Option<(String, Run)>>,
    /// The last forward pass with values that the simplified network merged with others.
    exact: Mutex<Option<Arc<Self>>>,
}

impl<M, const D: usize> GraphPass<M, D> {
    /// A forward pass that keeps what only some requests need.
    fn rerun(&self, nodes: &[&Node], shares: bool) -> Result<Run, CamError> {
        let keep = Keep { nodes, limit: self.memory, shares };
        Ok(self.network.run(self.input.clone().into_dispatch(), keep)?)
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.network.graph().nodes().iter().find(|node| node.name == name)
    }

    fn is_merged(&self, layer: &str) -> bool {
        self.network.merged().iter().any(|node| node.name == layer)
    }
}

impl<M: SegmentationModel<D>, const D: usize> GraphPass<M, D> {
    /// A pass that has all of `layers`, if this one has merged some of them with others.
    fn exact(&self, layers: &[&str]) -> Result<Option<Arc<Self>>, CamError> {
        let merged: Vec<&str> =
            layers.iter().copied().filter(|layer| self.is_merged(layer)).collect();
        if merged.is_empty() {
            return Ok(None);
        }
        let mut exact = self.exact.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pass) = exact.as_ref()
            && merged.iter().all(|layer| pass.node(layer).is_some())
        {
            return Ok(Some(pass.clone()));
        }
        let network = self.programs.exact(self.input.dims(), &self.input.device(), &merged)?;
        let wanted = |node: &&Node| merged.contains(&node.name.as_str());
        let nodes: Vec<&Node> = network.graph().nodes().iter().filter(wanted).collect();
        let keep = Keep { nodes: &nodes, limit: self.memory, shares: false };
        let run = network.run(self.input.clone().into_dispatch(), keep)?;
        let pass = Arc::new(Self {
            programs: self.programs.clone(),
            run,
            network: network.clone(),
            input: self.input.clone(),
            memory: self.memory,
            chunk: self.chunk,
            layers: vec![],
            operations: vec![],
            certified: Mutex::default(),
            exact: Mutex::default(),
        });
        *exact = Some(pass.clone());
        Ok(Some(pass))
    }
}

impl<M: SegmentationModel<D>, const D: usize> Pass<D> for GraphPass<M, D> {
    fn engine(&self) -> String {
        "graph".into()
    }

    fn input(&self) -> Tensor<D> {
        self.input.clone()
    }

    fn logits(&self) -> Tensor<D> {
        Tensor::from_dispatch(self.run.output())
    }

    fn activations(&self, layer: &str) -> Result<Option<Tensor<D>>, CamError> {
        if let Some(exact) = self.exact(&[layer])? {
            return exact.activations(layer);
        }
        let Some(node) = self.node(layer) else { return Ok(None) };
        let known = match self.run.value(node) {
            None => self.rerun(&[node], false)?.value(node),
            known => known,
        };
        Ok(known.map(Tensor::from_dispatch))
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn operations(&self) -> &[Layer] {
        &self.operations
    }

    fn chunk(&self) -> usize {
        self.chunk
    }

    fn gradients(
        &self,
        targets: &[Target<D>],
        layers: &[&str],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>),
    ) -> Result<(), CamError> {
        if let Some(exact) = self.exact(layers)? {
            return exact.gradients(targets, layers, visit);
        }
        let nodes: Vec<&Node> = layers.iter().filter_map(|layer| self.node(layer)).collect();
        let rerun;
        let run = if nodes.iter().all(|node| self.run.value(node).is_some()) {
            &self.run
        } else {
            rerun = self.rerun(&nodes, false)?;
            &rerun
        };
        let images = self.input.dims()[0];
        let asked: Vec<_> = targets.iter().map(to_graph).collect();
        run.reverse(&asked, &nodes, |at, gradients| {
            let Some(activations) = run.value(nodes[at]) else { return };
            let activations = Tensor::<D>::from_dispatch(activations);
            let gradients = Tensor::<D>::from_dispatch(gradients);
            for target in 0..targets.len() {
                let gradients = if targets.len() == 1 {
                    gradients.clone()
                } else {
                    gradients.clone().narrow(0, target * images, images)
                };
                visit(target, at, Gradients { activations: activations.clone(), gradients });
            }
        });
        Ok(())
    }

    fn onward(
        &self,
        layer: Option<&str>,
        copies: usize,
    ) -> Result<Option<Onward<'_, D>>, CamError> {
        let input = self.input.clone().repeat_dim(0, copies);
        let Some(layer) = layer else {
            let network = self.programs.network(input.dims(), &input.device())?;
            return Ok(Some(Box::new(move |input| {
                let run = network.run(input.into_dispatch(), Keep::default())?;
                Ok(Tensor::from_dispatch(run.output()))
            })));
        };
        let network = match self.is_merged(layer) {
            true => self.programs.exact(input.dims(), &input.device(), &[layer])?,
            false => self.programs.network(input.dims(), &input.device())?,
        };
        let Some(node) = network.graph().nodes().iter().find(|node| node.name == layer) else {
            return Ok(None);
        };
        let onward = network.onward(node, input.into_dispatch())?;
        Ok(onward.map(|onward| -> Onward<'_, D> {
            Box::new(move |value| Ok(Tensor::from_dispatch(onward.run(value.into_dispatch())?)))
        }))
    }

    fn shares(&self, target: &Target<D>, layer: &str) -> Result<Option<Shares>, CamError> {
        if let Some(exact) = self.exact(&[layer])? {
            return exact.shares(target, layer);
        }
        let Some(node) = self.node(layer) else { return Ok(None) };
        let mut certified = self.certified.lock().unwrap_or_else(PoisonError::into_inner);
        let run = match certified.take() {
            Some((name, run)) if name == layer => run,
            _ => self.rerun(&[node], true)?,
        };
        let shares = run.shares(&to_graph(target), node);
        *certified = Some((layer.to_string(), run));
        Ok(Some(shares))
    }

    fn cone(&self, target: &Target<D>, layer: &str) -> Option<Tensor<D>> {
        if let Some(exact) = self.exact(&[layer]).ok()? {
            return exact.cone(target, layer);
        }
        let node = self.node(layer)?;
        let asked = target.weights.clone().not_equal_elem(0.0).into_data();
        let asked: Vec<bool> = asked.iter::<bool>().collect();
        let reached = self.network.graph().cone(&asked, node);
        let reached: Vec<f32> = reached.into_iter().map(f32::from).collect();
        let mut shape = node.shape.clone();
        shape[1] = 1;
        Some(Tensor::from_data(TensorData::new(reached, shape), &target.weights.device()))
    }
}

fn to_graph<const D: usize>(target: &Target<D>) -> segcam_graph::Target {
    let weights = target.weights.clone().into_dispatch();
    segcam_graph::Target { class: target.class, against: target.against, weights }
}
