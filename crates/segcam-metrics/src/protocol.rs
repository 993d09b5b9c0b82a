use std::collections::{BTreeMap, BTreeSet};

use burn::config::Config;
use segcam_core::Observation;
use serde::{Deserialize, Serialize};

use crate::{Metric, MetricError, Noise, Prepared, Removal};

/// The numbers of one map, or of one control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// The method, or the name of a [`Control`](crate::Control).
    pub method: String,
    /// The layer; empty for controls.
    pub layer: String,
    /// What was measured.
    pub values: BTreeMap<Metric, f64>,
    /// What has no value, and why.
    pub missing: BTreeMap<Metric, String>,
}

impl Row {
    /// A row without values.
    pub fn new(method: &str, layer: &str) -> Self {
        let (values, missing) = (BTreeMap::new(), BTreeMap::new());
        Self { method: method.to_string(), layer: layer.to_string(), values, missing }
    }

    /// Keeps a value, or why there is none. A device that fails is not the metric's affair, and ends
    /// it all.
    pub(crate) fn put(
        &mut self,
        metric: Metric,
        value: Result<f64, MetricError>,
    ) -> Result<(), MetricError> {
        match value {
            Ok(value) if value.is_finite() => drop(self.values.insert(metric, value)),
            Ok(value) => drop(self.missing.insert(metric, format!("it is {value}"))),
            Err(error) if error.ends_it_all() => return Err(error),
            Err(error) => drop(self.missing.insert(metric, error.to_string())),
        }
        Ok(())
    }
}

/// Everything that can be measured of maps without knowing what they should show, and against a known
/// region if there is one.
///
/// # Example
/// ```
/// use segcam_core::burn::tensor::{Device, Distribution, Tensor};
/// use segcam_core::{AllPixels, CamMethod, Explainer, GradCam, HiResCam, Request};
/// use segcam_metrics::{Metric, Protocol};
/// use segcam_models::UNetConfig;
///
/// let device = Device::flex();
/// let unet = UNetConfig::new(1, 2).with_widths(vec![4, 8]).init(&device);
/// let image = Tensor::random([1, 1, 16, 16], Distribution::Default, &device);
/// let seen = Explainer::new(unet).observe(image)?;
///
/// let metrics = [Metric::Leak, Metric::CompletenessError].into();
/// let protocol = Protocol::new().with_metrics(metrics).with_controls(false);
/// let image = protocol.prepare(&seen)?;
/// for class in 0..2 {
///     let target = seen.target(&AllPixels, class)?;
///     let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
///     let requests = methods.map(|method| Request::new(method, "mid", &target));
///     let rows = image.run(&target, &requests, None, &mut |_, _| {})?;
///     assert_eq!(rows[1].method, "hires-cam");
///     assert!(rows[1].values[&Metric::CompletenessError] < 1e-4);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct Protocol {
    /// What is measured; by default all of it.
    #[config(default = "Metric::all().iter().copied().collect()")]
    pub metrics: BTreeSet<Metric>,
    /// For ROAD, deletion and insertion.
    #[config(default = "Removal::new()")]
    pub removal: Removal,
    /// For stability and sensitivity.
    #[config(default = "Noise::new()")]
    pub noise: Noise,
    /// For fidelity: how many cells of a layer are set to zero.
    #[config(default = 64)]
    pub cells: usize,
    /// Whether there are rows of every [`Control`](crate::Control).
    #[config(default = true)]
    pub controls: bool,
    /// Seed of the cells, the random weights and the random control.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for Protocol {
    fn default() -> Self {
        Self::new()
    }
}

impl Protocol {
    /// An image whose maps are to be measured, for any number of questions.
    ///
    /// # Errors
    /// [`MetricError::OneImage`] for a batch.
    pub fn prepare<'a, const D: usize>(
        &'a self,
        seen: &'a Observation<D>,
    ) -> Result<Prepared<'a, D>, MetricError> {
        Prepared::new(self, seen)
    }
}
