use serde::{Deserialize, Serialize};

use crate::{Comparison, Metric, MetricError, Row, Summary, comparison, summary};

/// The rows of many images, by method and layer.
///
/// # Example
/// ```
/// use segcam_metrics::{Metric, Row, Study};
///
/// let mut study = Study::new(7);
/// for (image, leak) in [("a.png", 0.2), ("b.png", 0.4)] {
///     let mut row = Row::new("seg-grad-cam", "mid");
///     row.values.insert(Metric::Leak, leak);
///     study.add(image, vec![row]);
/// }
/// let summary = study.summary("seg-grad-cam", "mid", Metric::Leak).expect("two images");
/// assert!((summary.mean - 0.3).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Study {
    seed: u64,
    rows: Vec<(String, Row)>,
}

impl Study {
    /// Without images; the seed is that of the bootstrap.
    pub fn new(seed: u64) -> Self {
        Self { seed, rows: vec![] }
    }

    /// Adds the rows of one image.
    pub fn add(&mut self, image: &str, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows.into_iter().map(|row| (image.to_string(), row)));
    }

    /// Every method and layer, in the order in which they came; the layer of controls is empty.
    pub fn maps(&self) -> Vec<(&str, &str)> {
        let mut found = vec![];
        for (_, row) in &self.rows {
            let map = (row.method.as_str(), row.layer.as_str());
            if !found.contains(&map) {
                found.push(map);
            }
        }
        found
    }

    /// Every metric that has a value anywhere.
    pub fn metrics(&self) -> Vec<Metric> {
        let known =
            |metric: &Metric| self.rows.iter().any(|(_, row)| row.values.contains_key(metric));
        Metric::all().iter().copied().filter(known).collect()
    }

    /// Mean and interval of a metric; `None` where it has no value in any image.
    pub fn summary(&self, method: &str, layer: &str, metric: Metric) -> Option<Summary> {
        summary(&self.values(method, layer, metric), self.seed).ok()
    }

    /// One method minus another at the same layer, over the images where both have a value.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] with fewer than six such images.
    pub fn comparison(
        &self,
        metric: Metric,
        layer: &str,
        first: &str,
        second: &str,
    ) -> Result<Comparison, MetricError> {
        let others = self.of_images(second, layer, metric);
        let pair = |(image, value): (&str, f64)| {
            let other = others.iter().find(|(other, _)| *other == image)?;
            Some((value, other.1))
        };
        let first = self.of_images(first, layer, metric);
        let (a, b): (Vec<f64>, Vec<f64>) = first.into_iter().filter_map(pair).unzip();
        comparison(&a, &b, self.seed)
    }

    /// A metric's value of each image that has one.
    pub fn values(&self, method: &str, layer: &str, metric: Metric) -> Vec<f64> {
        let of_images = self.of_images(method, layer, metric).into_iter();
        of_images.map(|(_, value)| value).collect()
    }

    fn of_images(&self, method: &str, layer: &str, metric: Metric) -> Vec<(&str, f64)> {
        let rows = self.rows.iter().filter(|(_, row)| row.method == method && row.layer == layer);
        rows.filter_map(|(image, row)| Some((image.as_str(), *row.values.get(&metric)?))).collect()
    }
}
