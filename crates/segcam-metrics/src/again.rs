use segcam_core::{CamError, Explanation, Observation, Request, Seg};

use crate::MetricError;
use crate::error::read;

/// The same maps from another observation: each for the class and the pixels of `maps`, whatever is
/// predicted now.
pub(crate) fn again<const D: usize>(
    seen: &Observation<D>,
    requests: &[Request<D>],
    maps: &[Explanation<D>],
) -> Vec<Result<Explanation<D>, CamError>> {
    let methods: Vec<_> = requests
        .iter()
        .zip(maps)
        .map(|(request, map)| Seg::of(request.method, map.target().clone()))
        .collect();
    let frozen = requests.iter().zip(&methods).map(|(request, method)| Request {
        method,
        layer: request.layer,
        class: request.class,
    });
    seen.explain_all(frozen).collect()
}

/// The raw map's values.
pub(crate) fn values_of<const D: usize>(map: &Explanation<D>) -> Result<Vec<f64>, MetricError> {
    read(map.raw().clone())
}
