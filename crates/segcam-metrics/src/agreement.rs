use segcam_core::{Explanation, upsample};

use crate::prepared::Case;
use crate::values::read;
use crate::{MetricError, spearman};

/// How far maps of several layers say the same: for each, the mean rank correlation with the others,
/// −1 to 1, raw maps upsampled to the input's size.
///
/// High agreement is no proof that any is right; low agreement says that the layer matters.
///
/// # Errors
/// Fewer than two maps, maps of inputs of different sizes. A map that is the same everywhere has its
/// own error, and does not count for the others.
///
/// # Example
/// ```no_run
/// use segcam_core::{CamError, HiResCam, Observation, PredictedClass, Request};
///
/// # fn example(seen: Observation) -> Result<(), Box<dyn std::error::Error>> {
/// let target = seen.target(&PredictedClass, 1)?;
/// let requests = ["mid", "dec2", "dec1"].map(|layer| Request::new(&HiResCam, layer, &target));
/// let maps = seen.explain_all(requests).collect::<Result<Vec<_>, CamError>>()?;
/// println!("{:?}", segcam_metrics::agreement(&maps)?);
/// # Ok(())
/// # }
/// ```
pub fn agreement<const D: usize>(
    maps: &[Explanation<D>],
) -> Result<Vec<Result<f64, MetricError>>, MetricError> {
    if maps.len() < 2 {
        let reason = "it needs maps of two layers or more";
        return Err(MetricError::Undefined { metric: "agreement", reason });
    }
    let values = |map: &Explanation<D>| read(upsample(map.signal(), &map.input_shape()[2..]));
    let values: Vec<Vec<f64>> = maps.iter().map(values).collect::<Result<_, _>>()?;
    let count = maps.len();
    let mut pairs: Vec<Vec<Result<f64, MetricError>>> = vec![vec![]; count];
    for a in 0..count {
        for b in a + 1..count {
            let rho = spearman(&values[a], &values[b]);
            if let Err(error @ MetricError::Length { .. }) = rho {
                return Err(error);
            }
            pairs[a].push(rho.clone());
            pairs[b].push(rho);
        }
    }
    let mean = |pairs: Vec<Result<f64, MetricError>>| {
        let known: Vec<f64> = pairs.iter().filter_map(|rho| rho.clone().ok()).collect();
        if known.is_empty() {
            return pairs.into_iter().collect::<Result<Vec<f64>, _>>().map(|_| 0.0);
        }
        Ok(known.iter().sum::<f64>() / known.len() as f64)
    };
    Ok(pairs.into_iter().map(mean).collect())
}

/// A method's layers among themselves, of maps that explain the same score.
pub(crate) fn measure<const D: usize>(case: &Case<D>) -> Result<f64, MetricError> {
    let (at, map, maps) = (case.at()?, case.map()?, case.run.maps);
    let alike =
        |other: &Explanation<D>| (other.method(), other.target()) == (map.method(), map.target());
    let places: Vec<usize> = (0..maps.len()).filter(|&at| alike(&maps[at])).collect();
    let all = case.run.known.once(places.clone(), || {
        agreement(&places.iter().map(|&at| maps[at].clone()).collect::<Vec<_>>())
    })?;
    all[places.partition_point(|&place| place < at)].clone()
}
