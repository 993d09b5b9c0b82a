use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::guarded;
use crate::{
    Ask, CamError, CamMethod, Explanation, Gradients, Observation, PixelSetSummary, Target,
};

/// How many requests are looked at together. Targets that come again within so many requests are
/// computed once, and no more than so many maps are held.
const WINDOW: usize = 64;

/// One map asked of [`Observation::explain_all`].
#[derive(Clone, Copy)]
pub struct Request<'a, const D: usize = 4> {
    /// The method, which also says which pixels.
    pub method: &'a dyn CamMethod<D>,
    /// Name of the layer.
    pub layer: &'a str,
    /// The class whose score is explained.
    pub class: usize,
}

impl<const D: usize> Observation<D> {
    /// Many maps at once: requests for the same class and pixel set share their gradients, whatever
    /// the method, and all their layers come from one backward pass.
    ///
    /// The results come in the order of the requests, as they are taken. Requests are looked at in
    /// blocks of 64: within a block gradients are shared, and memory does not grow with the number
    /// of blocks. A request that fails is its own error.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(seen: Observation) -> Result<(), CamError> {
    /// let (seg_grad, seg_hires) =
    ///     (SegGradCam::new(PredictedClass), SegHiResGradCam::new(PredictedClass));
    /// let methods: [&dyn CamMethod; 2] = [&seg_grad, &seg_hires];
    /// let classes = 0..seen.prediction().classes();
    /// let requests = classes.flat_map(|class| {
    ///     methods.map(|method| Request { method, layer: "mid", class })
    /// });
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
        let mut ready = VecDeque::new();
        std::iter::from_fn(move || {
            if ready.is_empty() {
                let window: Vec<_> = requests.by_ref().take(WINDOW).collect();
                ready.extend(self.explain_window(&window));
            }
            ready.pop_front()
        })
    }

    fn explain_window(&self, requests: &[Request<D>]) -> Vec<Result<Explanation<D>, CamError>> {
        let mut results: Vec<Option<Result<_, CamError>>> = requests.iter().map(|_| None).collect();

        // The different targets, and the requests of each.
        let mut planned: Vec<Planned<D>> = vec![];
        let mut places: HashMap<u64, usize> = HashMap::new();
        for (at, request) in requests.iter().enumerate() {
            let layer = self.layer(request.layer);
            let found = layer.and_then(|_| {
                guarded(|| {
                    let (target, pixels) =
                        self.target_of(request.method.pixels(), request.class)?;
                    if let Some(map) = self.explained_by_asking(request, &target, &pixels) {
                        results[at] = Some(map);
                        return Ok(());
                    }
                    let place = *places.entry(fingerprint(&target)).or_insert_with(|| {
                        let score = self.score(&target);
                        planned.push(Planned { target, score, requests: vec![] });
                        planned.len() - 1
                    });
                    planned[place].requests.push((at, pixels));
                    Ok(())
                })
            });
            if let Err(error) = found {
                results[at] = Some(Err(error));
            }
        }

        for chunk in planned.chunks(self.pass.chunk()) {
            let targets: Vec<_> = chunk.iter().map(|planned| planned.target.clone()).collect();
            let asked = chunk.iter().flat_map(|planned| &planned.requests);
            let mut layers: Vec<&str> = asked.map(|(at, _)| requests[*at].layer).collect();
            layers.sort_unstable();
            layers.dedup();
            let mut visit = |target: usize, layer: usize, found: Gradients<D>| {
                let planned = &chunk[target];
                for (at, pixels) in &planned.requests {
                    if requests[*at].layer == layers[layer] {
                        let map = || {
                            let Planned { target, score, .. } = planned;
                            self.explanation(&requests[*at], found.clone(), pixels, target, score)
                        };
                        results[*at] = Some(guarded(map));
                    }
                }
            };
            let done = guarded(|| self.pass.gradients(&targets, &layers, &mut visit));
            for (at, _) in chunk.iter().flat_map(|planned| &planned.requests) {
                let missing = || {
                    done.clone()?;
                    let Request { layer, class, .. } = requests[*at];
                    Err(CamError::NoPath { layer: layer.to_string(), class })
                };
                results[*at].get_or_insert_with(missing);
            }
        }
        results.into_iter().flatten().collect()
    }

    /// The map of a method that does without gradients; `None` for all others.
    fn explained_by_asking(
        &self,
        request: &Request<D>,
        target: &Target<D>,
        pixels: &PixelSetSummary,
    ) -> Option<Result<Explanation<D>, CamError>> {
        let ask = Ask { seen: self, target, layer: request.layer };
        let weights = request.method.weights(&ask)?;
        Some(weights.and_then(|gradients| {
            let found = Gradients { activations: ask.activations()?, gradients };
            self.explanation(request, found, pixels, target, &ask.score())
        }))
    }
}

struct Planned<const D: usize> {
    target: Target<D>,
    score: Vec<f64>,
    requests: Vec<(usize, PixelSetSummary)>,
}

/// Two targets of one fingerprint have the same class and the same weights.
fn fingerprint<const D: usize>(target: &Target<D>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (target.class, target.against).hash(&mut hasher);
    target.weights.to_data().as_bytes().hash(&mut hasher);
    hasher.finish()
}
