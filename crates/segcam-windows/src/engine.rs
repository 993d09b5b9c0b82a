use std::any::Any;
use std::fmt;
use std::sync::Arc;

use segcam_core::burn::tensor::{DType, Device, Tensor, TensorData};
use segcam_core::{AsGraph, CamError, Engine, Forward, Graph, Pass};

use crate::Windows;
use crate::canvas::Canvas;
use crate::part::{Part, Place};
use crate::pass::WindowPass;

/// Runs another engine's network over windows.
pub(crate) struct WindowEngine<const D: usize> {
    inner: Arc<dyn Engine<D>>,
    windows: Arc<Windows>,
}

impl<const D: usize> WindowEngine<D> {
    pub(crate) fn new(inner: Arc<dyn Engine<D>>, windows: Windows) -> Self {
        Self { inner, windows: Arc::new(windows) }
    }

    /// Every run of the network on an image of this size.
    fn parts(&self, image: &[usize]) -> Result<Vec<Part>, CamError> {
        let size = self.windows.size();
        let flips = self.windows.flips();
        let starts = self.windows.starts(image).map_err(CamError::model)?;
        let before = |side: usize| size[side].saturating_sub(image[side]) / 2;
        let place = |start: Vec<usize>| Place {
            start: (0..size.len()).map(|i| start[i] as isize - before(i) as isize).collect(),
            size: size.to_vec(),
        };
        let places = starts.into_iter().map(place);
        let flipped = |place: Place| {
            flips.iter().map(move |flips| Part { place: place.clone(), flips: flips.clone() })
        };
        Ok(places.flat_map(flipped).collect())
    }
}

/// The values of a tensor, in single precision.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, CamError> {
    let data = tensor.cast(DType::F32).into_data();
    data.try_to_vec().map_err(|error| CamError::Backend { reason: format!("{error:?}") })
}

impl<const D: usize> Engine<D> for WindowEngine<D> {
    fn observe(&self, input: Tensor<D>) -> Result<(Forward<D>, Box<dyn Pass<D>>), CamError> {
        let input = input.inner();
        let shape = input.dims();
        let parts = self.parts(&shape[2..])?;
        let share = 1.0 / self.windows.flips().len() as f32;
        let weights = self.windows.weights().map_err(CamError::model)?;
        let weights: Vec<f32> = weights.into_iter().map(|weight| weight * share).collect();
        let (mut found, mut blended): (Option<(Forward<D>, bool)>, Option<Canvas<D>>) =
            (None, None);
        let mut all = [1; D];
        all[2..].copy_from_slice(&shape[2..]);
        let mut norm = Canvas::zeros(all);
        for (done, part) in parts.iter().enumerate() {
            if self.windows.cancel.is_cancelled() {
                return Err(CamError::Cancelled);
            }
            let (forward, pass) = self.inner.observe(part.cut(&input))?;
            let given = forward.logits.dims();
            if given[2..] != part.place.size {
                return Err(expected_size(&given, &part.place.size));
            }
            let canvas = blended.get_or_insert_with(|| {
                let mut shape = shape;
                shape[1] = given[1];
                Canvas::zeros(shape)
            });
            canvas.add(&part.place, &host(part.flipped(forward.logits.clone()))?, Some(&weights));
            norm.add(&part.place, &weights, None);
            found.get_or_insert_with(|| (forward, pass.certifier().is_some()));
            if let Some(progress) = &self.windows.progress {
                progress(done + 1, parts.len());
            }
        }
        let (Some((mut forward, certifies)), Some(mut blended)) = (found, blended) else {
            return Err(CamError::EmptyInput { shape: shape.to_vec() });
        };
        blended.divide(&norm);
        let (device, dtype) = (input.device(), forward.logits.dtype());
        forward.logits = blended.into_tensor(&device).cast(dtype);
        let mut window = [1; D];
        window[2..].copy_from_slice(self.windows.size());
        let pass = WindowPass {
            inner: self.inner.clone(),
            windows: self.windows.clone(),
            weights: Tensor::from_data(TensorData::new(weights, window), &device),
            norm: norm.into_tensor(&device),
            certifies,
            input,
            parts,
        };
        Ok((forward, Box::new(pass)))
    }

    fn model(&self) -> &dyn Any {
        self.inner.model()
    }

    fn as_graph(&self) -> Option<&dyn AsGraph<D>> {
        self.inner.as_graph().map(|_| self as &dyn AsGraph<D>)
    }
}

fn expected_size(given: &[usize], window: &[usize]) -> CamError {
    CamError::ShapeMismatch {
        what: "the output of a network that is run over windows",
        wanted: [&given[..2], window].concat(),
        given: given.to_vec(),
    }
}

impl<const D: usize> AsGraph<D> for WindowEngine<D> {
    /// Of one window.
    fn program(&self, mut shape: [usize; D], device: &Device) -> Result<(Graph, Graph), CamError> {
        shape[2..].copy_from_slice(self.windows.size());
        let graph = self.inner.as_graph().ok_or(CamError::FixedWeights)?;
        graph.program(shape, device)
    }

    fn with_random_weights(&self, after: Option<&str>, seed: u64) -> Arc<dyn Engine<D>> {
        let inner = match self.inner.as_graph() {
            Some(graph) => graph.with_random_weights(after, seed),
            None => self.inner.clone(),
        };
        Arc::new(Self { inner, windows: self.windows.clone() })
    }
}

impl<const D: usize> fmt::Debug for WindowEngine<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowEngine").field("windows", &self.windows).finish_non_exhaustive()
    }
}
