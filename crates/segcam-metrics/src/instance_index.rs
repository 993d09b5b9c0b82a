use num_traits::Float;

use crate::MetricError;
use crate::relevance_mass::share;
use crate::values::expect_length;

/// Of several objects that look the same, how much the map of one of them knows which: its share of
/// the positive values on all objects, 0 to 1, higher is better.
///
/// `object` is the explained one, `objects` all of them, itself included. With two objects 0.5 means
/// that the map cannot tell them apart.
///
/// # Errors
/// Lengths that differ, values that are not finite, no positive values on any object.
///
/// # Example
/// ```
/// let map = [3.0, 1.0, 7.0];
/// let index = segcam_metrics::instance_index(
///     &map,
///     &[true, false, false],
///     &[true, true, false],
/// )?;
/// assert_eq!(index, 0.75);
/// # Ok::<(), segcam_metrics::MetricError>(())
/// ```
pub fn instance_index<F: Float>(
    map: &[F],
    object: &[bool],
    objects: &[bool],
) -> Result<F, MetricError> {
    expect_length("the mask of all objects", objects.len(), map.len())?;
    expect_length("the mask of the object", object.len(), map.len())?;
    share("instance index", map, object, |at| objects[at] || object[at])
}
