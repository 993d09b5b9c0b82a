use std::sync::Arc;

use segcam_core::burn::tensor::Tensor;
use segcam_core::{
    CamError, Certifier, Engine, Forward, Gradients, Mapper, Pass, Shares, Target, Wanted, upsample,
};

use crate::Windows;
use crate::canvas::Canvas;
use crate::engine::{WindowEngine, host};
use crate::part::Part;

/// A finished forward pass over windows.
pub(crate) struct WindowPass<const D: usize> {
    pub(crate) inner: Arc<dyn Engine<D>>,
    pub(crate) windows: Arc<Windows>,
    pub(crate) input: Tensor<D>,
    pub(crate) parts: Vec<Part>,
    /// `g`, how much each pixel of a window counts, `[1, 1, …]`; the flips of a window share it.
    pub(crate) weights: Tensor<D>,
    /// `N`, the sum of the weights at each pixel of the image, `[1, 1, …]`.
    pub(crate) norm: Tensor<D>,
    /// Whether the inner engine can certify.
    pub(crate) certifies: bool,
}

/// What a map is that was asked of a layer of the whole.
const INSTEAD: &str = "take a method that weights with gradients, such as seg-hires-grad-cam";

impl<const D: usize> WindowPass<D> {
    /// The forward pass of one part.
    pub(crate) fn observe(&self, part: &Part) -> Result<(Forward<D>, Box<dyn Pass<D>>), CamError> {
        self.inner.observe(part.cut(&self.input))
    }

    /// What of a question one part is asked: its own output with weights `g·w/N`. `None` if its pixels
    /// are not asked about.
    pub(crate) fn question(&self, target: &Target<D>, part: &Part) -> Option<Target<D>> {
        let asked = part.place.cut(target.weights());
        let dtype = asked.dtype();
        // Beyond the image both are zero.
        let norm = part.place.cut(&self.norm).clamp_min(f32::MIN_POSITIVE);
        let weights = asked * self.weights.clone().cast(dtype) / norm.cast(dtype);
        target.part(part.flipped(weights))
    }

    pub(crate) fn needs_whole(what: impl Into<String>, layer: &str) -> CamError {
        Self::unanswerable(what, layer, INSTEAD)
    }

    pub(crate) fn unanswerable(
        what: impl Into<String>,
        layer: &str,
        instead: impl Into<String>,
    ) -> CamError {
        let (what, layer) = (what.into(), layer.to_string());
        CamError::InWindows { what, layer, instead: instead.into() }
    }
}

impl<const D: usize> Pass<D> for WindowPass<D> {
    fn activations(&self, layers: &[&str]) -> Result<Vec<Tensor<D>>, CamError> {
        Err(Self::needs_whole("reading activations", layers.first().copied().unwrap_or_default()))
    }

    fn gradients(
        &self,
        wanted: &[Wanted<D>],
        _visit: &mut dyn FnMut(usize, usize, Gradients<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        let layer = wanted.iter().find_map(|wanted| wanted.layers.first().copied());
        Err(Self::needs_whole("reading gradients", layer.unwrap_or_default()))
    }

    fn perturbed(
        &self,
        layer: Option<&str>,
        count: usize,
        change: &mut dyn FnMut(usize) -> Result<Tensor<D>, CamError>,
        visit: &mut dyn FnMut(Tensor<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        if let Some(layer) = layer {
            return Err(Self::needs_whole("changing activations", layer));
        }
        let engine = WindowEngine::new(self.inner.clone(), (*self.windows).clone());
        (0..count).try_for_each(|version| visit(engine.observe(change(version)?)?.0.logits))
    }

    fn certifier(&self) -> Option<&dyn Certifier<D>> {
        self.certifies.then_some(self as &dyn Certifier<D>)
    }

    fn mapper(&self) -> Option<&dyn Mapper<D>> {
        Some(self)
    }
}

impl<const D: usize> Certifier<D> for WindowPass<D> {
    /// Shares are summed over the windows, each of which is observed once. Influence is possible where some window
    /// holds both the voxel and an explained one that depends on it. As maps are, it is at the size of the
    /// input.
    fn certify(&self, target: &Target<D>, layer: &str) -> Result<(Shares, Tensor<D>), CamError> {
        let mut all = Shares { node: 0.0, bypasses: vec![], bias: 0.0 };
        let mut canvas = Canvas::zeros(target.weights().dims());
        for part in &self.parts {
            let Some(question) = self.question(target, part) else { continue };
            let (_, pass) = self.observe(part)?;
            let Some(certifier) = pass.certifier() else { continue };
            let (shares, cells) = certifier.certify(&question, layer)?;
            all.node += shares.node;
            all.bias += shares.bias;
            for (name, share) in shares.bypasses {
                match all.bypasses.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += share,
                    None => all.bypasses.push((name, share)),
                }
            }
            let cells = upsample(cells, &part.place.size);
            canvas.add(&part.place, &host(part.flipped(cells))?, None);
        }
        let reached = canvas.into_tensor(&target.weights().device()).greater_elem(0.0).float();
        Ok((all, reached.cast(target.weights().dtype())))
    }
}
