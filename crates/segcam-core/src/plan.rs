use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::checks::finite;
use crate::error::asked;
use crate::{
    CamError, CamMethod, Explanation, Gradients, Mapper, Observation, Quantity, Target, Uses,
    Walks, guarded, seg_name,
};

/// How many requests are looked at together. Targets that come again within so many requests are
/// computed once, and no more than so many maps are held.
const BLOCK: usize = 64;

/// One map asked of [`Observation::explain_all`].
#[derive(Clone)]
pub struct Request<'a, const D: usize = 4> {
    method: &'a dyn CamMethod<D>,
    layer: &'a str,
    target: Target<D>,
}

impl<'a, const D: usize> Request<'a, D> {
    /// The map that `method` makes of `layer` for the score `target`.
    pub fn new(method: &'a dyn CamMethod<D>, layer: &'a str, target: &Target<D>) -> Self {
        Self { method, layer, target: target.clone() }
    }

    /// The method.
    pub fn method(&self) -> &'a dyn CamMethod<D> {
        self.method
    }

    /// Name of the layer.
    pub fn layer(&self) -> &'a str {
        self.layer
    }

    /// The score that is explained.
    pub fn target(&self) -> &Target<D> {
        &self.target
    }

    /// What the map's [`method`](Explanation::method) will be called: `seg-…` if it is asked about a
    /// pixel set, and looks at the score at all.
    pub fn name(&self) -> String {
        let of_pixels = !self.target.is_whole_image();
        match self.method.uses() {
            Uses::Gradients | Uses::Perturbation(_) if of_pixels => seg_name(&self.method.name()),
            _ => self.method.name(),
        }
    }
}

impl<const D: usize> fmt::Debug for Request<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method.name())
            .field("layer", &self.layer)
            .field("target", &self.target)
            .finish()
    }
}

impl<const D: usize> Observation<D> {
    /// Many maps at once: requests for the same target share its gradients, whatever the method, and
    /// all their layers come from one backward pass. Targets whose pixels lie far apart share passes, too.
    ///
    /// The results come in the order of the requests, as they are taken. Requests are looked at in
    /// blocks of 64: within a block gradients are shared, and memory does not grow with the number
    /// of blocks. Methods that ask the network again do so when their map is taken. A request that
    /// fails is its own error.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(seen: Observation) -> Result<(), CamError> {
    /// let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    /// let mut requests = vec![];
    /// for class in 0..seen.prediction().classes() {
    ///     let target = seen.target(&AllPixels, class)?;
    ///     requests.extend(methods.map(|method| Request::new(method, "mid", &target)));
    /// }
    /// for map in seen.explain_all(requests) {
    ///     println!("{:?}", map?.range());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn explain_all<'a>(
        &'a self,
        requests: impl IntoIterator<Item = Request<'a, D>, IntoIter: 'a>,
    ) -> impl Iterator<Item = Result<Explanation<D>, CamError>> + 'a {
        let mut requests = requests.into_iter();
        let size = self.pass().mapper().map_or(BLOCK, |mapper| mapper.at_once().clamp(1, BLOCK));
        let blocks = std::iter::from_fn(move || {
            let block: Arc<[_]> = requests.by_ref().take(size).collect();
            (!block.is_empty()).then(|| self.block(block))
        });
        blocks.flat_map(|mut block| (0..block.requests.len()).map(move |at| block.take(at)))
    }

    /// The maps that requests can share work for are made; the others are when they are taken.
    fn block<'a>(&'a self, requests: Arc<[Request<'a, D>]>) -> Block<'a, D> {
        let (scores, results) = Default::default();
        let mut block = Block { seen: self, requests: requests.clone(), scores, results };
        let mapper = self.pass().mapper();
        let (mut mapped, mut activations, mut gradients) = (vec![], vec![], vec![]);
        for (at, request) in requests.iter().enumerate() {
            let fits = self.layer(request.layer).and_then(|_| block.score(&request.target));
            if let Err(error) = fits {
                block.results.insert(at, Err(error));
                continue;
            }
            match request.method.uses() {
                _ if mapper.is_some() => mapped.push(at),
                Uses::Activations => activations.push(at),
                Uses::Gradients => gradients.push(at),
                Uses::Perturbation(_) => {}
            }
        }
        if let Some(mapper) = mapper {
            block.map(mapper, &mapped);
        }
        block.look_at_activations(&activations);
        block.walk(&gradients);
        block
    }
}

/// Requests that are looked at together, and their maps so far.
struct Block<'a, const D: usize> {
    seen: &'a Observation<D>,
    requests: Arc<[Request<'a, D>]>,
    /// The score of each different target, read once.
    scores: Vec<(Target<D>, Result<Vec<f64>, CamError>)>,
    results: HashMap<usize, Result<Explanation<D>, CamError>>,
}

impl<'a, const D: usize> Block<'a, D> {
    fn score(&mut self, target: &Target<D>) -> Result<Vec<f64>, CamError> {
        if let Some((_, score)) = self.scores.iter().find(|(known, _)| known == target) {
            return score.clone();
        }
        let score = self.seen.score(target);
        self.scores.push((target.clone(), score.clone()));
        score
    }

    /// The map of a request; one that is still missing asks the network again by itself.
    fn take(&mut self, at: usize) -> Result<Explanation<D>, CamError> {
        if let Some(result) = self.results.remove(&at) {
            return result;
        }
        let requests = self.requests.clone();
        let request = &requests[at];
        let Request { method, layer, target } = request;
        let score = self.score(target)?;
        guarded(|| {
            let Uses::Perturbation(method) = method.uses() else {
                return Err(CamError::NoPath { layer: layer.to_string() });
            };
            let network = self.seen.perturb(target, layer)?;
            let what = || format!("method `{}`", request.name());
            let gradients =
                asked(what, &self.seen.prediction().device(), || method.weights(&network))?;
            let found = Gradients { activations: network.activations()?, gradients };
            self.seen.map(request, found, score)
        })
    }

    /// The maps that the pass makes itself.
    fn map(&mut self, mapper: &dyn Mapper<D>, places: &[usize]) {
        if places.is_empty() {
            return;
        }
        let requests: Vec<Request<D>> =
            places.iter().map(|&at| self.requests[at].clone()).collect();
        let mut step = |done, all| {
            self.seen.progressed(done, all);
            self.seen.expect_going_on()
        };
        let maps = guarded(|| Ok(mapper.maps(&requests, &mut step)));
        let maps = maps.unwrap_or_else(|error: CamError| {
            requests.iter().map(|_| Err(error.clone())).collect()
        });
        for ((&at, request), map) in places.iter().zip(&requests).zip(maps) {
            let map = map.and_then(|map| {
                let score = self.score(request.target())?;
                guarded(|| Explanation::mapped(self.seen, request, score, map))
            });
            self.results.insert(at, map);
        }
    }

    /// The maps of methods that look at activations only.
    fn look_at_activations(&mut self, places: &[usize]) {
        let requests = self.requests.clone();
        let layers: BTreeSet<&str> = places.iter().map(|at| requests[*at].layer).collect();
        let layers: Vec<&str> = layers.into_iter().collect();
        if layers.is_empty() {
            return;
        }
        let found = guarded(|| self.seen.pass().activations(&layers));
        let found = found.map(|found| layers.into_iter().zip(found).collect::<HashMap<_, _>>());
        for &at in places {
            let request = &requests[at];
            let map = self.score(&request.target).and_then(|score| {
                self.seen.expect_going_on()?;
                let activations = found.as_ref().map_err(Clone::clone)?[request.layer].clone();
                let found = Gradients { gradients: activations.clone(), activations };
                guarded(|| self.seen.map(request, found, score))
            });
            self.results.insert(at, map);
        }
    }

    /// The maps of methods that weight with gradients: one walk at most for each target.
    fn walk(&mut self, places: &[usize]) {
        let requests = self.requests.clone();
        let numbered = places.iter().map(|&at| (at, &requests[at]));
        let Walks { wanted, asking } = Walks::of(numbered);
        if wanted.is_empty() {
            return;
        }

        let seen = self.seen;
        let mut visit = |target: usize, layer: usize, found: Gradients<D>| {
            for &at in &asking[target][layer] {
                let map = self
                    .score(&requests[at].target)
                    .and_then(|score| guarded(|| seen.map(&requests[at], found.clone(), score)));
                self.results.insert(at, map);
            }
            seen.expect_going_on()
        };
        let begun = seen.expect_going_on();
        let done = begun.and_then(|()| guarded(|| seen.pass().gradients(&wanted, &mut visit)));
        for &at in places {
            let missing = || {
                done.clone()?;
                Err(CamError::NoPath { layer: requests[at].layer.to_string() })
            };
            self.results.entry(at).or_insert_with(missing);
        }
    }
}

impl<const D: usize> Observation<D> {
    /// The map from the activations and what weights them.
    fn map(
        &self,
        request: &Request<D>,
        found: Gradients<D>,
        score: Vec<f64>,
    ) -> Result<Explanation<D>, CamError> {
        let Request { method, layer, target } = request;
        let (raw, magnitudes) = found.combined(*method)?;
        let map = Explanation::new(self, request.name(), layer, target, score, raw, magnitudes);
        if let Err(CamError::NonFinite { .. }) = map {
            finite(&found.activations, || Quantity::Activations(layer.to_string()))?;
            finite(&found.gradients, || Quantity::Gradients(layer.to_string()))?;
        }
        map
    }
}
