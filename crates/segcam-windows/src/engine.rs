use std::any::Any;
use std::fmt;
use std::sync::Arc;

use segcam_core::burn::tensor::{DType, Device, Tensor, TensorData};
use segcam_core::{AsGraph, CamError, Engine, Forward, Graph, Pass};

use crate::canvas::Canvas;
use crate::part::{Part, Place};
use crate::pass::WindowPass;
use crate::{WindowError, Windows};

/// Runs another engine's network over windows.
pub(crate) struct WindowEngine<const D: usize> {
    inner: Arc<dyn Engine<D>>,
    pub(crate) windows: Arc<Windows>,
}

impl<const D: usize> WindowEngine<D> {
    pub(crate) fn new(inner: Arc<dyn Engine<D>>, windows: Windows) -> Self {
        Self { inner, windows: Arc::new(windows) }
    }

    /// Every run of the network on an image of this size.
    pub(crate) fn parts(&self, image: &[usize]) -> Result<Vec<Part>, WindowError> {
        let size = self.windows.size();
        let flips = self.windows.flips();
        let starts = self.windows.starts(image)?;
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

/// What the windows of an image say.
pub(crate) struct Blended<const D: usize> {
    /// Of one window.
    pub(crate) forward: Forward<D>,
    /// Whether the inner engine can certify.
    pub(crate) certifies: bool,
    /// `Σ g·y` of all classes.
    pub(crate) sums: Canvas<D>,
}

impl<const D: usize> WindowEngine<D> {
    /// `g`, how much each pixel of a window counts; the flips of a window share it.
    pub(crate) fn weights(&self) -> Result<Vec<f32>, WindowError> {
        let share = 1.0 / self.windows.flips().len() as f32;
        let weights = self.windows.weights()?;
        Ok(weights.into_iter().map(|weight| weight * share).collect())
    }

    /// `N`, the sum of the weights of all parts at each pixel of an image.
    pub(crate) fn norm(&self, image: &[usize], parts: &[Part], weights: &[f32]) -> Canvas<D> {
        let mut all = [1; D];
        all[2..].copy_from_slice(image);
        let mut norm = Canvas::zeros(all);
        parts.iter().for_each(|part| norm.add(&part.place, weights, None));
        norm
    }

    /// Runs every part and adds up what they say; `before` them so many were run, of `all`.
    pub(crate) fn blend(
        &self,
        input: &Tensor<D>,
        parts: &[Part],
        weights: &[f32],
        (before, all): (usize, usize),
    ) -> Result<Blended<D>, CamError> {
        let mut blended: Option<Blended<D>> = None;
        for (done, part) in parts.iter().enumerate() {
            self.expect_going_on()?;
            let (forward, pass) = self.inner.observe(part.cut(input))?;
            let given = forward.logits.dims();
            if given[2..] != part.place.size {
                return Err(expected_size(&given, &part.place.size));
            }
            let logits = host(part.flipped(forward.logits.clone()))?;
            let blended = blended.get_or_insert_with(|| {
                let mut shape = input.dims();
                shape[1] = given[1];
                let certifies = pass.certifier().is_some();
                Blended { forward, certifies, sums: Canvas::zeros(shape) }
            });
            blended.sums.add(&part.place, &logits, Some(weights));
            self.progressed(before + done + 1, all);
        }
        blended.ok_or_else(|| CamError::EmptyInput { shape: input.dims().to_vec() })
    }

    pub(crate) fn expect_going_on(&self) -> Result<(), CamError> {
        if self.windows.cancel.is_cancelled() { Err(CamError::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn progressed(&self, done: usize, all: usize) {
        if let Some(progress) = &self.windows.progress {
            progress(done, all);
        }
    }

    /// What windows of an input are asked afterwards.
    pub(crate) fn pass(
        &self,
        input: Tensor<D>,
        parts: Vec<Part>,
        weights: Vec<f32>,
        norm: Canvas<D>,
        certifies: bool,
    ) -> WindowPass<D> {
        let device = input.device();
        let mut window = [1; D];
        window[2..].copy_from_slice(self.windows.size());
        WindowPass {
            inner: self.inner.clone(),
            windows: self.windows.clone(),
            weights: Tensor::from_data(TensorData::new(weights, window), &device),
            norm: norm.into_tensor(&device),
            certifies,
            input,
            parts,
        }
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
        let parts = self.parts(&shape[2..]).map_err(CamError::model)?;
        let weights = self.weights().map_err(CamError::model)?;
        let Blended { mut forward, certifies, mut sums } =
            self.blend(&input, &parts, &weights, (0, parts.len()))?;
        let norm = self.norm(&shape[2..], &parts, &weights);
        sums.divide(&norm);
        let dtype = forward.logits.dtype();
        forward.logits = sums.into_tensor(&input.device()).cast(dtype);
        Ok((forward, Box::new(self.pass(input, parts, weights, norm, certifies))))
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
