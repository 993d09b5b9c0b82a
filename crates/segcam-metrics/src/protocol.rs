use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;
use segcam_core::{
    Ask, CamError, Certificate, Explainer, Explanation, Normalize, Observation, Request, Target,
};
use serde::{Deserialize, Serialize};

use crate::error::read;
use crate::{
    Ablation, Context, Control, Metric, MetricError, Noise, Removal, ablation, agreement,
    completeness_error, context, pointing_game, randomization, relevance_mass, relevance_rank,
    road, stability,
};

/// The numbers of one map, or of one control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The method, or the name of a [`Control`].
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

    fn put(&mut self, metric: Metric, value: Result<f64, MetricError>) {
        match value {
            Ok(value) if value.is_finite() => drop(self.values.insert(metric, value)),
            Ok(value) => drop(self.missing.insert(metric, format!("it is {value}"))),
            Err(error) => drop(self.missing.insert(metric, error.to_string())),
        }
    }
}

/// Everything that can be measured of maps without knowing what they should show, and against a known
/// region if there is one.
///
/// # Example
/// ```
/// use segcam_core::burn::tensor::{Device, Distribution, Tensor};
/// use segcam_core::{CamMethod, Explainer, PredictedClass, Request, SegGradCam, SegHiResGradCam};
/// use segcam_metrics::{Metric, Protocol};
/// use segcam_models::UNetConfig;
///
/// let device = Device::flex();
/// let unet = UNetConfig::new(1, 2).with_widths(vec![4, 8]).init(&device);
/// let explainer = Explainer::new(unet);
/// let image = Tensor::random([1, 1, 16, 16], Distribution::Default, &device);
///
/// let seen = explainer.observe(image.clone())?;
/// let methods: [&dyn CamMethod; 2] =
///     [&SegGradCam::new(PredictedClass), &SegHiResGradCam::new(PredictedClass)];
/// let class = if seen.prediction().predicted(1).sum().into_scalar::<f32>() > 0.0 { 1 } else { 0 };
/// let requests = methods.map(|method| Request { method, layer: "mid", class });
/// let question = seen.target(&PredictedClass, class)?;
///
/// let protocol = Protocol { metrics: [Metric::Leak, Metric::CompletenessError].into(), ..Protocol::default() };
/// let rows = protocol.run(&explainer, &seen, &question, &requests, None, &mut |_, _| {})?;
/// assert_eq!(rows[0].method, "seg-grad-cam");
/// assert!(rows[1].values[&Metric::CompletenessError] < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Protocol {
    /// What is measured; by default all of it.
    pub metrics: BTreeSet<Metric>,
    /// For ROAD, deletion and insertion.
    pub removal: Removal,
    /// For stability and sensitivity.
    pub noise: Noise,
    /// For fidelity: how many cells of a layer are set to zero.
    pub cells: usize,
    /// Whether there are rows of every [`Control`].
    pub controls: bool,
    /// Seed of the cells, the random weights and the random control.
    pub seed: u64,
}

impl Default for Protocol {
    /// All metrics, 64 cells, with controls.
    fn default() -> Self {
        Self {
            metrics: Metric::ALL.into(),
            removal: Removal::default(),
            noise: Noise::default(),
            cells: 64,
            controls: true,
            seed: 0,
        }
    }
}

impl Protocol {
    /// One row for each request, in their order, and one for each control.
    ///
    /// `question` is the score by which every map is judged when pixels are removed, also maps of
    /// methods that explain the whole image: [`Observation::target`]. `region` has one value for each
    /// pixel of the input. `progress` gets the number of finished steps and of all.
    ///
    /// # Errors
    /// A batch, a request that cannot be answered, and whatever makes the network fail. What only one
    /// metric cannot say is [`Row::missing`].
    pub fn run<const D: usize>(
        &self,
        explainer: &Explainer<D>,
        seen: &Observation<D>,
        question: &Target<D>,
        requests: &[Request<D>],
        region: Option<&[bool]>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Row>, MetricError> {
        let given = seen.prediction().shape()[0];
        if given != 1 {
            return Err(MetricError::OneImage { given });
        }
        let maps = seen.explain_all(requests.iter().copied());
        let maps = maps.collect::<Result<Vec<_>, CamError>>()?;
        let mut rows: Vec<Row> =
            maps.iter().map(|map| Row::new(map.method(), map.layer())).collect();
        let layer = requests.first().map_or("", |request| request.layer);
        let controls: &[Control] = if self.controls { &Control::ALL } else { &[] };
        let input = seen.input();
        let mut step = {
            let (mut done, all) = (0, 2 * maps.len() + controls.len() + 2);
            move || {
                done += 1;
                progress(done, all);
            }
        };

        let mut ablations: BTreeMap<(String, String, usize), Ablation> = BTreeMap::new();
        for (row, map) in rows.iter_mut().zip(&maps) {
            self.certify(row, seen, map)?;
            self.fidelity(row, seen, map, &mut ablations)?;
            step();
        }
        let ask = seen.ask(question, layer)?;
        let random = self.wants(&[Metric::Deletion, Metric::Insertion]).then(|| {
            context(&self.removal, &ask, &Control::Random.heat_map(&input, question, self.seed))
        });
        let judge = Judge { protocol: self, ask, random, region };
        for (row, map) in rows.iter_mut().zip(&maps) {
            judge.heat(row, &map.heat_map(Normalize::Max))?;
            step();
        }
        self.stability(&mut rows, explainer, &input, requests, &maps)?;
        step();
        if self.wants(&[Metric::Randomization]) {
            let random = explainer.with_random_weights(None, self.seed)?;
            let found = randomization(&random, &input, requests, &maps)?;
            for (row, value) in rows.iter_mut().zip(found) {
                self.put(row, Metric::Randomization, value)?;
            }
        }
        self.agreement(&mut rows, &maps)?;
        step();
        for control in controls {
            let mut row = Row::new(control.name(), "");
            let heat = control.heat_map(&input, question, self.seed);
            judge.heat(&mut row, &heat)?;
            rows.push(row);
            step();
        }
        Ok(rows)
    }

    fn wants(&self, any: &[Metric]) -> bool {
        any.iter().any(|metric| self.metrics.contains(metric))
    }

    /// Keeps a value that is wanted, or why there is none. A device that fails is not the metric's
    /// affair, and ends it all.
    fn put(
        &self,
        row: &mut Row,
        metric: Metric,
        value: Result<f64, MetricError>,
    ) -> Result<(), MetricError> {
        if let Err(error @ MetricError::Cam(CamError::Backend { .. })) = value {
            return Err(error);
        }
        if self.wants(&[metric]) {
            row.put(metric, value);
        }
        Ok(())
    }

    fn certify<const D: usize>(
        &self,
        row: &mut Row,
        seen: &Observation<D>,
        map: &Explanation<D>,
    ) -> Result<(), MetricError> {
        if !self.wants(&[Metric::Leak, Metric::CompletenessError]) {
            return Ok(());
        }
        let certificate = seen.certify(map)?;
        let unknown = |metric| {
            let reason = "the map is zero, or the engine cannot tell";
            MetricError::Undefined { metric, reason }
        };
        let leak = certificate.impossible.ok_or_else(|| unknown("leak"));
        self.put(row, Metric::Leak, leak)?;
        let error = missing_share(&certificate);
        let error = error.unwrap_or_else(|| Err(unknown("completeness error")));
        self.put(row, Metric::CompletenessError, error)?;
        Ok(())
    }

    fn fidelity<const D: usize>(
        &self,
        row: &mut Row,
        seen: &Observation<D>,
        map: &Explanation<D>,
        known: &mut BTreeMap<(String, String, usize), Ablation>,
    ) -> Result<(), MetricError> {
        if !self.wants(&[Metric::FidelityR2, Metric::FidelityRank]) {
            return Ok(());
        }
        let key = (map.layer().to_string(), map.pixels().name.clone(), map.class());
        if !known.contains_key(&key) {
            let ask = seen.ask(map.target(), map.layer())?;
            known.insert(key.clone(), ablation(&ask, self.cells, self.seed)?);
        }
        let fidelity = known[&key].fidelity(map);
        self.put(row, Metric::FidelityR2, fidelity.clone().map(|fidelity| fidelity.r_squared))?;
        self.put(row, Metric::FidelityRank, fidelity.map(|fidelity| fidelity.spearman))?;
        Ok(())
    }

    fn stability<const D: usize>(
        &self,
        rows: &mut [Row],
        explainer: &Explainer<D>,
        input: &Tensor<D>,
        requests: &[Request<D>],
        maps: &[Explanation<D>],
    ) -> Result<(), MetricError> {
        if !self.wants(&[Metric::Stability, Metric::Sensitivity]) {
            return Ok(());
        }
        let found = stability(&self.noise, explainer, input, requests, maps)?;
        for (row, found) in rows.iter_mut().zip(found) {
            self.put(row, Metric::Stability, found.clone().map(|found| found.spearman))?;
            self.put(row, Metric::Sensitivity, found.map(|found| found.sensitivity))?;
        }
        Ok(())
    }

    /// Each method's layers among themselves.
    fn agreement<const D: usize>(
        &self,
        rows: &mut [Row],
        maps: &[Explanation<D>],
    ) -> Result<(), MetricError> {
        if !self.wants(&[Metric::Agreement]) {
            return Ok(());
        }
        let methods: BTreeSet<&str> = maps.iter().map(Explanation::method).collect();
        for method in methods {
            let places: Vec<usize> =
                (0..maps.len()).filter(|&at| maps[at].method() == method).collect();
            let of_method: Vec<Explanation<D>> =
                places.iter().map(|&at| maps[at].clone()).collect();
            let found = agreement(&of_method)
                .unwrap_or_else(|error| places.iter().map(|_| Err(error.clone())).collect());
            for (at, value) in places.into_iter().zip(found) {
                self.put(&mut rows[at], Metric::Agreement, value)?;
            }
        }
        Ok(())
    }
}

/// Everything that only needs a heat map.
struct Judge<'a, const D: usize> {
    protocol: &'a Protocol,
    ask: Ask<'a, D>,
    /// Deletion and insertion in a random order.
    random: Option<Result<Context, MetricError>>,
    region: Option<&'a [bool]>,
}

impl<const D: usize> Judge<'_, D> {
    fn heat(&self, row: &mut Row, heat: &Tensor<D>) -> Result<(), MetricError> {
        let Self { protocol, ask, random, region } = self;
        if protocol.wants(&[Metric::Road]) {
            let found = road(&protocol.removal, ask, heat);
            protocol.put(row, Metric::Road, found.map(|road| road.score()))?;
        }
        if let Some(random) = random {
            let both = context(&protocol.removal, ask, heat)
                .and_then(|found| Ok((found, random.clone()?)));
            let deletion = both.clone().map(|(found, random)| found.deletion_score(&random));
            protocol.put(row, Metric::Deletion, deletion)?;
            let insertion = both.map(|(found, random)| found.insertion_score(&random));
            protocol.put(row, Metric::Insertion, insertion)?;
        }
        let Some(region) = region else { return Ok(()) };
        let heat: Vec<f64> = read(heat.clone())?;
        protocol.put(row, Metric::Pointing, pointing_game(&heat, region))?;
        protocol.put(row, Metric::Mass, relevance_mass(&heat, region))?;
        protocol.put(row, Metric::Rank, relevance_rank(&heat, region))
    }
}

/// What the map, what goes past the layer and the biases leave unexplained of the score.
fn missing_share(certificate: &Certificate) -> Option<Result<f64, MetricError>> {
    let shares = certificate.shares.as_ref()?;
    let mut parts = vec![certificate.map, shares.bias];
    parts.extend(shares.bypasses.iter().map(|(_, share)| share));
    Some(completeness_error(certificate.score, &parts))
}
