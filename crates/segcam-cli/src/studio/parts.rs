//! Sets that stand for several, such as `each`: the parts in numbers, and the one that is meant.

use anyhow::{Result, bail};
use segcam::{CamError, Observation, PixelSet, Target, guarded};
use serde::Serialize;

use crate::annotations::Annotations;
use crate::ask::{Asked, Figure};
use crate::network::Model;

/// Sets that one may stand for.
const PARTS: usize = 1000;

/// One of the sets that a set stands for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PartReport {
    /// Its name.
    pub(crate) pixel_set: String,
    /// How many pixels it has.
    pub(crate) pixels: usize,
    /// The score over them, which its maps explain; none of an empty one.
    pub(crate) score: Option<f64>,
}

/// Every part in numbers. `stop` is told how many are done, and says whether that is enough.
///
/// # Errors
/// Too many of them, and sets that make no sense here.
pub(super) fn reports<const D: usize>(
    parts: &[Figure<D>],
    seen: &Observation<D>,
    stop: impl Fn(usize) -> bool,
) -> Result<Vec<PartReport>> {
    if let Some(first) = parts.get(PARTS) {
        bail!(
            "`{}` stands for {} sets: at most {PARTS} can be looked through; `each:N` leaves out those of \
             fewer than N pixels",
            first.asked,
            parts.len()
        );
    }
    let report = |(number, part): (usize, &Figure<D>)| {
        if stop(number) {
            return Err(CamError::Cancelled);
        }
        let (pixels, score) = match seen.target(&part.pixels, part.class) {
            Ok(target) => (target.sizes().iter().sum(), seen.score(&target)?.first().copied()),
            Err(CamError::EmptyPixelSet { .. }) => (0, None),
            Err(error) => return Err(error),
        };
        Ok(PartReport { pixel_set: part.pixels.name(), pixels, score })
    };
    Ok(parts.iter().enumerate().map(report).collect::<Result<_, _>>()?)
}

/// Which part is meant: the one that was asked for, or the first that has pixels.
///
/// # Errors
/// One that there is not.
pub(super) fn chosen(
    part: Option<usize>,
    parts: &[PartReport],
    asked: &Asked,
) -> Result<Option<usize>> {
    let set = asked.pixels.join(" ");
    match part {
        Some(part) if parts.is_empty() => bail!("`{set}` is one set: it has no part {part}"),
        Some(part) if part >= parts.len() => {
            bail!("`{set}` stands for {} sets, from 0: there is no part {part}", parts.len())
        }
        None if !parts.is_empty() => {
            Ok(Some(parts.iter().position(|part| part.pixels > 0).unwrap_or(0)))
        }
        part => Ok(part),
    }
}

/// Whether a part's name, as a set of its own, means the same pixels.
pub(super) fn says<const D: usize>(
    part: &Figure<D>,
    annotations: &Annotations,
    model: &Model,
    seen: &Observation<D>,
) -> bool {
    let Ok(vocabulary) = annotations.vocabulary(&model.classes) else { return false };
    let Ok(named) = vocabulary.parse(&part.pixels.name()) else { return false };
    let target = |pixels: &dyn PixelSet<D>| seen.target(pixels, part.class);
    let (Ok(one), Ok(other)) = (target(&part.pixels), target(&named)) else { return false };
    let weights = |target: Target<D>| guarded(|| Ok::<_, CamError>(target.weights().to_data()));
    matches!((weights(one), weights(other)), (Ok(one), Ok(other)) if one == other)
}
