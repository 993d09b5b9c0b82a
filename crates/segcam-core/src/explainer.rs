use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{
    CamError, CamMethod, Engine, Explanation, Layer, Pass, PixelSetSummary, Prediction, Quantity,
    SegmentationModel, TapeEngine, Target, error::closest,
};

/// Explains one network. The network is held in inference mode.
///
/// See [`SegmentationModel`] for a complete example.
#[derive(Clone)]
pub struct Explainer<const D: usize = 4> {
    engine: Arc<dyn Engine<D>>,
}

impl<const D: usize> Explainer<D> {
    /// Takes a network; [`TapeEngine`] computes the gradients.
    pub fn new(model: impl SegmentationModel<D>) -> Self {
        Self::with_engine(TapeEngine::new(model))
    }

    /// Takes an engine that already holds its network.
    pub fn with_engine(engine: impl Engine<D> + 'static) -> Self {
        Self { engine: Arc::new(engine) }
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
        Ok(Observation {
            engine: self.engine.name(),
            pass,
            prediction: Prediction::new(logits, shape),
        })
    }
}

/// A finished forward pass: what the network predicted, and the layers that can explain it.
pub struct Observation<const D: usize = 4> {
    engine: &'static str,
    pass: Box<dyn Pass<D>>,
    prediction: Prediction<D>,
}

impl<const D: usize> Observation<D> {
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

    /// Name of the engine that computes the gradients.
    pub fn engine(&self) -> &'static str {
        self.engine
    }

    /// The map of `layer` that says where the score of `class` over the method's pixel set comes
    /// from. A batch of N inputs gives N maps.
    ///
    /// # Errors
    /// An unknown layer or class, an empty pixel set, a layer without a path to the score, NaN or
    /// infinity on the way, and whatever the pixel set itself reports.
    pub fn explain<M>(
        &self,
        method: &M,
        layer: &str,
        class: usize,
    ) -> Result<Explanation<D>, CamError>
    where
        M: CamMethod<D> + ?Sized,
    {
        let layer = self.layer(layer)?;
        let (target, pixels) = self.target(method, class)?;
        let found = self.pass.gradients(&layer.name, &target)?;
        finite(&found.activations, || Quantity::Activations(layer.name.clone()))?;
        finite(&found.gradients, || Quantity::Gradients(layer.name.clone()))?;

        let mut shape = found.activations.dims();
        shape[1] = 1;
        let raw = method.combine(found.activations, found.gradients);
        expect_shape("the method's map", &raw, shape)?;
        finite(&raw, || Quantity::Map(method.name()))?;
        let device = format!("{:?}", raw.device().as_dispatch());
        Ok(Explanation {
            layer: layer.name.clone(),
            class,
            method: method.name(),
            score: per_sample_sum(self.prediction.logit(class) * target.weights),
            pixels,
            input_shape: self.prediction.input_shape(),
            engine: self.engine,
            device,
            raw,
        })
    }

    fn layer(&self, wanted: &str) -> Result<&Layer, CamError> {
        let explainable = || self.layers().iter().filter(|layer| layer.shape.len() == D);
        let Some(layer) = self.layers().iter().find(|layer| layer.name == wanted) else {
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

    /// The score that `method` explains, and what its pixel set is.
    fn target<M>(&self, method: &M, class: usize) -> Result<(Target<D>, PixelSetSummary), CamError>
    where
        M: CamMethod<D> + ?Sized,
    {
        let classes = self.prediction.classes();
        if class >= classes {
            return Err(CamError::ClassOutOfRange { class, classes });
        }
        let set = method.pixels();
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
            return Err(CamError::EmptyPixelSet { set: pixels.name, class, samples });
        }
        Ok((Target { class, weights }, pixels))
    }
}

fn expect_shape<const D: usize>(
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
    let count = tensor.clone().is_finite().bool_not().int().sum().into_scalar::<i64>() as usize;
    if count == 0 { Ok(()) } else { Err(CamError::NonFinite { what: what(), count }) }
}

/// Sums each image of the batch: `[N, …]` to N numbers.
fn per_sample_sum<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let size = tensor.shape().num_elements() / tensor.dims()[0];
    let values: Vec<f64> = tensor.into_data().iter::<f64>().collect();
    values.chunks(size).map(|image| image.iter().sum()).collect()
}
