use segcam_metrics::{Metric, Study};
use segcam_render::{Chart, Point, Series};

/// One chart for each metric of a study, for [`render::charts`](crate::render::charts): layers side by
/// side, a colour for each method, 95 % intervals over images (or the single values, of fewer than five
/// images), and controls as dashed lines.
///
/// # Example
/// ```
/// use segcam::metrics::{Metric, Row, Study};
/// use segcam::render::charts;
///
/// let mut row = Row::new("seg-grad-cam", "mid");
/// row.values.insert(Metric::Road, 0.2);
/// let mut study = Study::new(0);
/// study.add("a.png", [row]);
/// let figure = charts("One image", &segcam::metric_charts(&study, &study.metrics()));
/// assert!(figure.width() > 500);
/// ```
pub fn metric_charts(study: &Study, metrics: &[Metric]) -> Vec<Chart> {
    let (controls, maps): (Vec<_>, Vec<_>) =
        study.maps().into_iter().partition(|(_, layer)| layer.is_empty());
    let methods = unique(maps.iter().map(|map| map.0));
    let places = unique(maps.iter().map(|map| map.1));
    let point = |method: &str, layer: &str, metric| {
        let found = study.summary(method, layer, metric)?;
        let values = study.values(method, layer, metric);
        Some(Point { value: found.mean, interval: found.interval, values })
    };
    let series = |method: &String, metric| Series {
        name: method.clone(),
        points: places.iter().map(|layer| point(method, layer, metric)).collect(),
    };
    let line = |control: &str, metric| Some((control.into(), point(control, "", metric)?.value));
    let chart = |&metric: &Metric| Chart {
        title: format!("{metric} ({})", metric.better()),
        places: places.clone(),
        series: methods.iter().map(|method| series(method, metric)).collect(),
        lines: controls.iter().filter_map(|(control, _)| line(control, metric)).collect(),
        joined: false,
    };
    metrics.iter().map(chart).collect()
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = vec![];
    for name in names {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_string());
        }
    }
    found
}
