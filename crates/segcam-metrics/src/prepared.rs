use std::rc::Rc;

use burn::tensor::Tensor;
use segcam_core::{
    CamError, Explanation, Normalize, Observation, Perturbation, Request, Target, guarded,
};

use crate::memo::Memo;
use crate::values::{expect_length, read};
use crate::{Control, MetricError, Protocol, Row};

/// One image whose maps are measured. What belongs to the image and not to a question, such as noisy
/// inputs and what a network with random weights makes of it, is computed once, when a metric first
/// needs it.
///
/// [`Protocol::prepare`] makes it. It holds an observation of every noisy input and one of the random
/// network, if they were needed.
#[derive(Debug)]
pub struct Prepared<'a, const D: usize = 4> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) seen: &'a Observation<D>,
    pub(crate) known: Memo,
    /// Some layer, for those who change the input only.
    layer: &'a str,
}

impl<'a, const D: usize> Prepared<'a, D> {
    pub(crate) fn new(
        protocol: &'a Protocol,
        seen: &'a Observation<D>,
    ) -> Result<Self, MetricError> {
        let given = seen.prediction().shape()[0];
        if given != 1 {
            return Err(MetricError::OneImage { given });
        }
        let mut layers = seen.layers().iter().chain(seen.operations());
        let layer = layers.find(|layer| layer.shape.len() == D).map_or("", |layer| &layer.name);
        Ok(Self { protocol, seen, known: Memo::default(), layer })
    }

    /// The observation whose maps are measured.
    pub fn seen(&self) -> &'a Observation<D> {
        self.seen
    }

    /// One row for each request, in their order, and one for each control.
    ///
    /// `question` is the score by which every map is judged when pixels are removed, also maps of
    /// methods that explain the whole image. `region` has one value for each pixel of the input: the
    /// pixels that are known to cause the prediction. `progress` gets the number of finished steps
    /// and of all.
    ///
    /// # Errors
    /// A region of another size, a request that cannot be answered, and whatever makes the network or
    /// its device fail. What only one metric cannot say is [`Row::missing`].
    pub fn run(
        &self,
        question: &Target<D>,
        requests: &[Request<D>],
        region: Option<&[bool]>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Row>, MetricError> {
        let maps = self.seen.explain_all(requests.iter().cloned());
        let maps = maps.collect::<Result<Vec<_>, CamError>>()?;
        self.judge(question, (&maps, requests), region, progress)
    }

    /// The same where the maps of the requests are there already, in their order.
    ///
    /// # Errors
    /// As [`run`](Self::run), and more or fewer maps than requests.
    pub fn judge(
        &self,
        question: &Target<D>,
        (maps, requests): (&[Explanation<D>], &[Request<D>]),
        region: Option<&[bool]>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Row>, MetricError> {
        expect_length("the list of maps", maps.len(), requests.len())?;
        let controls = if self.protocol.controls { Control::all() } else { &[] };
        self.rows(question, (maps, requests, controls), region, progress)
    }

    /// One row for each of `maps`, wherever they were made
    /// ([`Observation::foreign_map`]). Metrics that make a map again, for other inputs or weights,
    /// are missing.
    ///
    /// # Errors
    /// As [`run`](Self::run), and maps of another observation.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::{Observation, PredictedClass, burn::tensor::Tensor};
    /// # use segcam_metrics::{Metric, Protocol};
    /// # fn example(seen: Observation, lrp: Tensor<4>) -> Result<(), Box<dyn std::error::Error>> {
    /// let target = seen.target(&PredictedClass, 1)?;
    /// let map = seen.foreign_map("layer-lrp", "mid", &target, lrp)?;
    /// let protocol = Protocol::new();
    /// let rows = protocol.prepare(&seen)?.measure(&target, &[map], None, &mut |_, _| {})?;
    /// println!("{:?}", rows[0].values.get(&Metric::Road));
    /// # Ok(())
    /// # }
    /// ```
    pub fn measure(
        &self,
        question: &Target<D>,
        maps: &[Explanation<D>],
        region: Option<&[bool]>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Row>, MetricError> {
        self.rows(question, (maps, &[], &[]), region, progress)
    }

    fn rows(
        &self,
        question: &Target<D>,
        (maps, requests, controls): (&[Explanation<D>], &[Request<D>], &[Control]),
        region: Option<&[bool]>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Row>, MetricError> {
        if let Some(region) = region {
            let pixels = self.seen.prediction().input_shape()[2..].iter().product();
            expect_length("the region", region.len(), pixels)?;
        }
        let network = self.seen.perturb(question, self.layer)?;
        let run = Run { image: self, network, maps, requests, region, known: Memo::default() };
        let subjects = (0..maps.len()).map(Subject::Map);
        let subjects = subjects.chain(controls.iter().copied().map(Subject::Control));
        let (mut done, all) = (0, subjects.clone().count() * self.protocol.metrics.len());
        let mut row = |subject| {
            let case = Case { run: &run, subject, known: Memo::default() };
            let mut row = case.row();
            for &metric in &self.protocol.metrics {
                row.put(metric, guarded(|| metric.measure(&case)))?;
                done += 1;
                progress(done, all);
            }
            Ok(row)
        };
        subjects.map(&mut row).collect()
    }
}

/// One question, and all the maps that are judged by it.
pub(crate) struct Run<'a, const D: usize> {
    pub(crate) image: &'a Prepared<'a, D>,
    /// Asks about the score by which maps are judged when pixels are removed.
    pub(crate) network: Perturbation<'a, D>,
    pub(crate) maps: &'a [Explanation<D>],
    /// What made the maps; empty if they were given.
    requests: &'a [Request<'a, D>],
    region: Option<&'a [bool]>,
    pub(crate) known: Memo,
}

/// What a metric looks at.
#[derive(Clone, Copy)]
enum Subject {
    /// Number of the map.
    Map(usize),
    Control(Control),
}

/// One map or control under judgement: all that a metric may want to see.
pub(crate) struct Case<'a, const D: usize> {
    pub(crate) run: &'a Run<'a, D>,
    subject: Subject,
    pub(crate) known: Memo,
}

impl<'a, const D: usize> Case<'a, D> {
    fn row(&self) -> Row {
        match self.subject {
            Subject::Map(at) => Row::new(self.run.maps[at].method(), self.run.maps[at].layer()),
            Subject::Control(control) => Row::new(control.name(), ""),
        }
    }

    /// The number of the map among all, for metrics of maps of layers.
    pub(crate) fn at(&self) -> Result<usize, MetricError> {
        match self.subject {
            Subject::Map(at) => Ok(at),
            Subject::Control(_) => Err(MetricError::Needs { what: "a map of a layer" }),
        }
    }

    /// The map, for metrics of maps of layers.
    pub(crate) fn map(&self) -> Result<&'a Explanation<D>, MetricError> {
        Ok(&self.run.maps[self.at()?])
    }

    /// What made all the maps, for metrics that make them again.
    pub(crate) fn requests(&self) -> Result<&'a [Request<'a, D>], MetricError> {
        match self.run.requests.get(self.at()?) {
            Some(_) => Ok(self.run.requests),
            None => Err(MetricError::Needs { what: "a method that makes the map again" }),
        }
    }

    /// What people look at, `[1, 1, …]` at the size of the input.
    pub(crate) fn heat(&self) -> Result<Rc<Tensor<D>>, MetricError> {
        let Run { image, network, maps, .. } = self.run;
        self.known.once((), || {
            Ok(match self.subject {
                Subject::Map(at) => maps[at].heat_map(Normalize::Max),
                Subject::Control(control) => {
                    control.heat_map(&network.input(), network.target(), image.protocol.seed)
                }
            })
        })
    }

    /// The heat map against the region that is known to matter.
    pub(crate) fn in_region(
        &self,
        metric: impl Fn(&[f64], &[bool]) -> Result<f64, MetricError>,
    ) -> Result<f64, MetricError> {
        let needs = MetricError::Needs { what: "a region that is known to matter" };
        let region = self.run.region.ok_or(needs)?;
        metric(&self.known.once((), || read((*self.heat()?).clone()))?, region)
    }
}
