use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::{
    CamError, CamMethod, Engine, Explanation, Gradients, Graph, GraphEngine, Layer, Pass, PixelSet,
    PixelSetSummary, Prediction, Quantity, Request, SegmentationModel, Target, error::closest,
    error::guarded, explanation::extremes,
};

/// Explains one network. The network is held in inference mode.
///
/// See [`SegmentationModel`] for a complete example.
#[derive(Clone)]
pub struct Explainer<const D: usize = 4> {
    engine: Arc<dyn Engine<D>>,
}

impl<const D: usize> Explainer<D> {
    /// Takes a network; the [`GraphEngine`] computes the gradients.
    pub fn new(model: impl SegmentationModel<D>) -> Self {
        Self::with_engine(GraphEngine::new(model))
    }

    /// Takes an engine that already holds its network.
    pub fn with_engine(engine: impl Engine<D> + 'static) -> Self {
        Self { engine: Arc::new(engine) }
    }

    /// The same network with random weights from its end back to the layer `after`, or everywhere:
    /// the values of each weight tensor are shuffled. A map that stays the same does not depend on
    /// what the network has learnt.
    ///
    /// # Errors
    /// [`CamError::FixedWeights`] with an engine that cannot do it. An unknown layer is an error of
    /// [`observe`](Self::observe).
    pub fn with_random_weights(&self, after: Option<&str>, seed: u64) -> Result<Self, CamError> {
        let engine = self.engine.with_random_weights(after, seed);
        Ok(Self { engine: engine.ok_or(CamError::FixedWeights)? })
    }

    /// The forward pass as the engine runs it on an input of this shape: captured, and simplified.
    /// `None` if the engine does not capture it.
    ///
    /// # Errors
    /// Shapes the network does not take, and [`CamError::Graph`] if it cannot be captured.
    pub fn program(
        &self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Option<(Graph, Graph)>, CamError> {
        self.engine.program(shape, device)
    }

    /// One forward pass. The observation can then be explained any number of times.
    ///
    /// # Shapes
    /// - `input`: `[N, C, …]` on the network's device
    ///
    /// # Errors
    /// A shape the network does not take, NaN or infinity in the input or the logits, two layers of
    /// one name.
    pub fn observe(&self, input: Tensor<D>) -> Result<Observation<D>, CamError> {
        let shape = input.dims();
        if shape.contains(&0) {
            return Err(CamError::EmptyInput { shape: shape.to_vec() });
        }
        let observed = segcam_graph::guarded(|| self.observed(input));
        observed.unwrap_or_else(|reason| Err(CamError::Forward { shape: shape.to_vec(), reason }))
    }

    fn observed(&self, input: Tensor<D>) -> Result<Observation<D>, CamError> {
        let shape = input.dims();
        finite(&input, || Quantity::Input)?;
        let pass = self.engine.observe(input)?;
        let logits = pass.logits();
        finite(&logits, || Quantity::Logits)?;
        if logits.dims()[0] != shape[0] {
            let given = logits.dims().to_vec();
            let mut wanted = given.clone();
            wanted[0] = shape[0];
            return Err(CamError::ShapeMismatch { what: "the network's output", wanted, given });
        }
        Ok(Observation::of_pass(pass, Prediction::new(logits, shape)))
    }
}

/// A finished forward pass: what the network predicted, and the layers that can explain it.
pub struct Observation<const D: usize = 4> {
    pub(crate) pass: Box<dyn Pass<D>>,
    prediction: Prediction<D>,
    progress: Option<Box<dyn Fn(usize, usize) + Send>>,
}

impl<const D: usize> Observation<D> {
    pub(crate) fn of_pass(pass: Box<dyn Pass<D>>, prediction: Prediction<D>) -> Self {
        Self { pass, prediction, progress: None }
    }

    /// The input, `[N, C, …]`.
    pub fn input(&self) -> Tensor<D> {
        self.pass.input()
    }

    /// The class scores before softmax or sigmoid, `[N, classes, …]`.
    pub fn logits(&self) -> Tensor<D> {
        self.prediction.logits()
    }

    /// What the network predicted.
    pub fn prediction(&self) -> &Prediction<D> {
        &self.prediction
    }

    /// The named layers in forward order.
    pub fn layers(&self) -> &[Layer] {
        self.pass.layers()
    }

    /// Results of single operations that can be explained, too: `conv2d.7`, or the name that
    /// [`Layers::detail`](crate::Layers::detail) gave them.
    pub fn operations(&self) -> &[Layer] {
        self.pass.operations()
    }

    /// What computes the gradients: `graph`, or `tape` and why the graph engine cannot.
    pub fn engine(&self) -> String {
        self.pass.engine()
    }

    /// Calls `progress` with the number of finished steps and of all steps of a method that asks the
    /// network again and again ([`Ask`](crate::Ask)).
    pub fn with_progress(self, progress: impl Fn(usize, usize) + Send + 'static) -> Self {
        Self { progress: Some(Box::new(progress)), ..self }
    }

    pub(crate) fn progressed(&self, done: usize, all: usize) {
        if let Some(progress) = &self.progress {
            progress(done, all);
        }
    }

    /// The map of `layer` that says where the score of `class` over the method's pixel set comes
    /// from. A batch of N inputs gives N maps.
    ///
    /// # Errors
    /// An unknown layer or class, an empty pixel set, a layer without a path to the score, NaN or
    /// infinity on the way, and whatever the pixel set itself reports.
    pub fn explain<M: CamMethod<D> + ?Sized>(
        &self,
        method: &M,
        layer: &str,
        class: usize,
    ) -> Result<Explanation<D>, CamError> {
        let no_path = || CamError::NoPath { layer: layer.to_string(), class };
        let mut results = self.explain_all([Request { method: &method, layer, class }]);
        results.next().ok_or_else(no_path)?
    }

    pub(crate) fn score(&self, target: &Target<D>) -> Vec<f64> {
        per_sample_sum(target.asked(&self.prediction.logits()) * target.weights.clone())
    }

    /// The map from the activations and what weights them: gradients, or what a method has instead.
    pub(crate) fn explanation(
        &self,
        request: &Request<D>,
        found: Gradients<D>,
        pixels: &PixelSetSummary,
        target: &Target<D>,
        score: &[f64],
    ) -> Result<Explanation<D>, CamError> {
        let mut shape = found.activations.dims();
        shape[1] = 1;
        let raw = request.method.combine(found.activations.clone(), found.gradients.clone());
        expect_shape("the method's map", &raw, shape)?;
        if let Err(error) = finite(&raw, || Quantity::Map(request.method.name())) {
            let layer = || request.layer.to_string();
            finite(&found.activations, || Quantity::Activations(layer()))?;
            finite(&found.gradients, || Quantity::Gradients(layer()))?;
            return Err(error);
        }
        Ok(Explanation {
            layer: request.layer.to_string(),
            target: target.clone(),
            method: request.method.name(),
            score: score.to_vec(),
            pixels: pixels.clone(),
            input_shape: self.prediction.input_shape(),
            engine: self.pass.engine(),
            device: format!("{:?}", raw.device().as_dispatch()),
            range: extremes(&raw),
            raw,
        })
    }

    pub(crate) fn layer(&self, wanted: &str) -> Result<&Layer, CamError> {
        let explainable = || self.layers().iter().filter(|layer| layer.shape.len() == D);
        let mut all = self.layers().iter().chain(self.operations());
        let Some(layer) = all.find(|layer| layer.name == wanted) else {
            let known: Vec<String> = explainable().map(|layer| layer.name.clone()).collect();
            return Err(CamError::UnknownLayer {
                wanted: wanted.to_string(),
                closest: closest(wanted, &known),
                known,
            });
        };
        if layer.shape.len() != D {
            let layer_name = layer.name.clone();
            let given = layer.shape.len();
            return Err(CamError::LayerRank { layer: layer_name, wanted: D, given });
        }
        Ok(layer)
    }

    /// The score of `class` over a pixel set.
    ///
    /// # Errors
    /// An unknown class, an empty pixel set, and whatever the pixel set itself reports.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(seen: Observation) -> Result<(), CamError> {
    /// let target = seen.target(&PredictedClass, 1)?;
    /// let scores = seen.ask(&target, "mid")?.score();
    /// # Ok(())
    /// # }
    /// ```
    pub fn target(&self, pixels: &dyn PixelSet<D>, class: usize) -> Result<Target<D>, CamError> {
        guarded(|| Ok(self.target_of(pixels, class)?.0))
    }

    /// The score of `class` over a pixel set, and what the set is.
    pub(crate) fn target_of(
        &self,
        set: &dyn PixelSet<D>,
        class: usize,
    ) -> Result<(Target<D>, PixelSetSummary), CamError> {
        let classes = self.prediction.classes();
        if class >= classes {
            return Err(CamError::ClassOutOfRange { class, classes });
        }
        let against = set.against();
        if let Some(class) = against.filter(|against| *against >= classes) {
            return Err(CamError::ClassOutOfRange { class, classes });
        }
        if against == Some(class) {
            let reason = format!("class {class} cannot be compared with itself");
            return Err(CamError::PixelSet { set: set.name(), reason });
        }
        let weights = set.weights(&self.prediction, class)?.inner();
        expect_shape("the pixel set's weights", &weights, self.prediction.shape())?;
        finite(&weights, || Quantity::PixelSet(set.name()))?;
        let pixels = PixelSetSummary {
            name: set.name(),
            sizes: per_sample_sum(weights.clone().not_equal_elem(0.0).float())
                .into_iter()
                .map(|size| size as usize)
                .collect(),
        };
        let samples: Vec<usize> =
            (0..pixels.sizes.len()).filter(|&sample| pixels.sizes[sample] == 0).collect();
        if !samples.is_empty() {
            let reason = set.why_empty(&self.prediction, class).unwrap_or_else(|| {
                "choose a class that is predicted, or another pixel set".to_string()
            });
            return Err(CamError::EmptyPixelSet { set: pixels.name, class, reason, samples });
        }
        Ok((Target { class, against, weights }, pixels))
    }
}

pub(crate) fn expect_shape<const D: usize>(
    what: &'static str,
    tensor: &Tensor<D>,
    wanted: [usize; D],
) -> Result<(), CamError> {
    let given = tensor.dims();
    if given == wanted {
        return Ok(());
    }
    Err(CamError::ShapeMismatch { what, wanted: wanted.to_vec(), given: given.to_vec() })
}

fn finite<const D: usize>(
    tensor: &Tensor<D>,
    what: impl FnOnce() -> Quantity,
) -> Result<(), CamError> {
    // Zero times anything else is NaN; counting them is slow and rarely needed.
    if tensor.clone().mul_scalar(0.0).sum().into_scalar::<f32>() == 0.0 {
        return Ok(());
    }
    let count = tensor.clone().is_finite().bool_not().int().sum().into_scalar::<i64>() as usize;
    Err(CamError::NonFinite { what: what(), count })
}

/// Sums each image of the batch: `[N, …]` to N numbers.
pub(crate) fn per_sample_sum<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let size = tensor.shape().num_elements() / tensor.dims()[0];
    let values: Vec<f64> = tensor.into_data().iter::<f64>().collect();
    values.chunks(size).map(|image| image.iter().sum()).collect()
}
