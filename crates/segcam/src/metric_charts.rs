use segcam_metrics::{Metric, Study};
use segcam_render::{Chart, Point, Series};

/// One chart for each metric of a study, for [`render::charts`](crate::render::charts): layers side by
/// side, a colour for each method, 95 % intervals over images, and controls as dashed lines.
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
    let maps = study.maps();
    let unique = |of: &dyn Fn((&'_ str, &'_ str)) -> Option<String>| {
        let mut names: Vec<String> = vec![];
        for name in maps.iter().filter_map(|map| of(*map)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    };
    let is_control = |layer: &str| layer.is_empty();
    let methods = unique(&|(method, layer)| (!is_control(layer)).then(|| method.to_string()));
    let controls = unique(&|(method, layer)| is_control(layer).then(|| method.to_string()));
    let places = unique(&|(_, layer)| (!is_control(layer)).then(|| layer.to_string()));
    let point = |method: &str, layer: &str, metric| {
        let found = study.summary(method, layer, metric)?;
        Some(Point { value: found.mean, interval: found.interval })
    };
    let series = |method: &String, metric| Series {
        name: method.clone(),
        points: places.iter().map(|layer| point(method, layer, metric)).collect(),
    };
    let line =
        |control: &String, metric| Some((control.clone(), point(control, "", metric)?.value));
    let chart = |&metric: &Metric| Chart {
        title: format!("{metric} ({})", metric.better()),
        places: places.clone(),
        series: methods.iter().map(|method| series(method, metric)).collect(),
        lines: controls.iter().filter_map(|control| line(control, metric)).collect(),
        joined: false,
    };
    metrics.iter().map(chart).collect()
}
