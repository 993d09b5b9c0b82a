//! Pictures that are too large for memory, one row of windows at a time.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use segcam_core::burn::tensor::{Device, Tensor, TensorData};
use segcam_core::{
    CamError, CamMethod, Explainer, Members, Quantity, Request, Target, Uses, Walks,
};

use crate::canvas::Canvas;
use crate::engine::{Blended, WindowEngine, host};
use crate::maps::{Gathering, Map};
use crate::means::Means;
use crate::part::Part;
use crate::pass::WindowPass;
use crate::sweep::{Score, Sweep, Tally};
use crate::{WindowError, Windows};

/// A picture whose rows are read when they are needed.
pub trait Rows: Send + Sync {
    /// Number of rows and of columns.
    fn size(&self) -> [usize; 2];

    /// Some rows as the network sees them, `[1, C, rows, columns]`.
    ///
    /// # Errors
    /// What makes reading fail, as [`CamError::model`] of it.
    fn read(&self, rows: Range<usize>) -> Result<Tensor<4>, CamError>;
}

/// The score of a class over a set of pixels.
pub struct Question<'a> {
    /// The class.
    pub class: usize,
    /// Name of the set.
    pub set: String,
    /// The pixels, by their index in row-major order.
    pub members: Members<'a>,
}

/// A map that is asked for.
#[derive(Clone, Copy)]
pub struct MapRequest<'a> {
    /// What it is made with.
    pub method: &'a dyn CamMethod<4>,
    /// Of which layer.
    pub layer: &'a str,
    /// Of which of the questions.
    pub question: usize,
}

/// The rows of maps that are finished, each with the map's number.
pub type FinishedRows = Vec<(usize, Vec<f32>)>;

/// A network that is run over windows of a picture that is never in memory as a whole.
///
/// The same predictions and maps as those of [`Windows::explainer`], in two sweeps over all rows of windows,
/// or three: [`labels`](Self::labels), [`maps`](Self::maps), and [`averaged`](Self::averaged) for methods
/// that average gradients over all windows. Each call does one row of windows and hands out the rows of
/// pixels that are finished with it; a [`Sweep`] holds the others.
pub struct Bands<'a> {
    engine: WindowEngine<4>,
    picture: &'a dyn Rows,
    device: Device,
    size: [usize; 2],
    /// The first row of each row of windows.
    starts: Vec<usize>,
    /// How many rows windows have on the picture.
    height: usize,
    /// The windows of one row, on it.
    parts: Vec<Part>,
    weights: Vec<f32>,
    /// What one row of windows adds to `N`.
    norm: Vec<f32>,
}

impl Windows {
    /// The network of `explainer`, run over these windows of a picture that is read row by row.
    ///
    /// # Errors
    /// As [`explainer`](Self::explainer).
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::burn::tensor::Device;
    /// # use segcam_core::{Explainer, LabelMap, PixelSet, PredictedClass, SegHiResGradCam, HiResCam};
    /// # use segcam_windows::{MapRequest, Question, Rows, Sweep, Windows};
    /// # fn example(net: Explainer, picture: &dyn Rows) -> Result<(), Box<dyn std::error::Error>> {
    /// let bands = Windows::monai([512, 512]).bands(&net, picture, &Device::flex())?;
    /// let (mut sweep, mut labels) = (Sweep::default(), vec![]);
    /// while let Some(rows) = bands.labels(&mut sweep)? {
    ///     labels.extend(rows);
    /// }
    /// let labels = LabelMap::new(labels, picture.size(), 3)?;
    /// let members = PixelSet::<4>::on_labels(&PredictedClass, &labels, 1)?;
    /// let questions = [Question { class: 1, set: "class".into(), members }];
    /// let asked = [MapRequest { method: &HiResCam, layer: "mid", question: 0 }];
    /// let mut sweep = Sweep::default();
    /// while let Some(rows) = bands.maps(&questions, &asked, &mut sweep)? {
    ///     for (map, rows) in rows {
    ///         println!("map {map}: {} more values are finished", rows.len());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn bands<'a>(
        &self,
        explainer: &Explainer<4>,
        picture: &'a dyn Rows,
        device: &Device,
    ) -> Result<Bands<'a>, WindowError> {
        let size = picture.size();
        let mut starts: Vec<usize> =
            self.starts(&size)?.iter().filter_map(|start| start.first().copied()).collect();
        starts.dedup();
        let height = self.size()[0].min(size[0]);
        let engine = WindowEngine::new(explainer.engine().clone(), self.clone());
        let band = [height, size[1]];
        let (parts, weights) = (engine.parts(&band)?, engine.weights()?);
        let norm = engine.norm(&band, &parts, &weights).into_values();
        let device = device.clone();
        Ok(Bands { engine, picture, device, size, starts, height, parts, weights, norm })
    }
}

impl Bands<'_> {
    /// How many rows of windows there are.
    pub fn steps(&self) -> usize {
        self.starts.len()
    }

    /// How many windows each of them has, flips included.
    pub fn windows(&self) -> usize {
        self.parts.len()
    }

    /// Number of rows and of columns of the picture.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The first row that is not finished after so many rows of windows.
    pub fn first(&self, done: usize) -> usize {
        self.starts.get(done).copied().unwrap_or(self.size[0])
    }

    /// The rows of pixels that a row of windows finishes.
    pub fn finished(&self, step: usize) -> Range<usize> {
        self.first(step)..self.first(step + 1)
    }

    /// The next rows of predicted labels; `None` if there are no more. Of a binary network 1 stands for its
    /// only class and 0 for none.
    ///
    /// # Errors
    /// Rows that cannot be read, whatever makes the network fail, and more than 256 classes.
    pub fn labels(&self, sweep: &mut Sweep) -> Result<Option<Vec<u8>>, CamError> {
        let Some(band) = self.band(sweep) else { return Ok(None) };
        let input = self.read(band)?;
        let Blended { sums, .. } =
            self.engine.blend(&input, &self.parts, &self.weights, self.progress(sweep))?;
        let mut logits = self.hand_out(sums.into_values(), sweep);
        let rows = self.finished(sweep.step);
        let pixels = rows.len() * self.size[1];
        let classes = logits.len() / pixels;
        if classes > 256 {
            return Err(CamError::model(WindowError::Classes { given: classes }));
        }
        let norm = self.norm(rows);
        for channel in logits.chunks_mut(pixels) {
            channel.iter_mut().zip(&norm).for_each(|(sum, norm)| *sum /= norm);
        }
        let count = logits.iter().filter(|logit| !logit.is_finite()).count();
        if count > 0 {
            return Err(CamError::NonFinite { what: Quantity::Logits, count });
        }
        sweep.step += 1;
        let label = |pixel: usize| {
            if classes == 1 {
                return u8::from(logits[pixel] > 0.0);
            }
            let score = |class: usize| logits[class * pixels + pixel];
            // Of equal scores the first wins.
            (1..classes)
                .fold(0, |best, class| if score(class) > score(best) { class } else { best })
                as u8
        };
        Ok(Some((0..pixels).map(label).collect()))
    }

    /// The next rows of maps, each with the map's number; `None` if there are no more. Of a method that
    /// averages gradients over all windows there are none as yet: gradients are added up for
    /// [`averaged`](Self::averaged).
    ///
    /// # Errors
    /// As [`labels`](Self::labels), and methods that need the layer in all windows at once.
    pub fn maps(
        &self,
        questions: &[Question],
        asked: &[MapRequest],
        sweep: &mut Sweep,
    ) -> Result<Option<FinishedRows>, CamError> {
        let Some(band) = self.band(sweep) else { return Ok(None) };
        asked.iter().try_for_each(|asked| self.expect_possible(asked))?;
        sweep.scores.resize(questions.len(), Score::default());
        sweep.tallies.resize(asked.len(), Tally::default());
        for (question, score) in questions.iter().zip(&mut sweep.scores) {
            let finished = self.pixels(question, self.finished(sweep.step));
            score.pixels += finished.filter(|inside| *inside).count();
        }
        let targets: Vec<Option<Target<4>>> =
            questions.iter().map(|question| self.target(question, band.clone())).collect();
        let mut rows = vec![];
        if targets.iter().any(Option::is_some) {
            rows = self.asked(band, &targets, asked, sweep)?;
        }
        let summed = (0..asked.len()).filter(|at| !self.averages(&asked[*at])).collect();
        Ok(Some(self.finish(summed, rows, sweep)))
    }

    /// What one row of windows adds to maps that are no averages, one after the other.
    fn asked(
        &self,
        band: Range<usize>,
        targets: &[Option<Target<4>>],
        asked: &[MapRequest],
        sweep: &mut Sweep,
    ) -> Result<Vec<f32>, CamError> {
        let pass = self.pass(band)?;
        let gathering = |asked: &MapRequest| match self.averages(asked) {
            true => Gathering::Average(Means::default()),
            false => Gathering::Sum,
        };
        let mut maps: Vec<Map<4>> = asked
            .iter()
            .map(|asked| Map::new(&pass, asked.method, asked.layer, gathering(asked)))
            .collect();
        let requests: Vec<(usize, Request<4>)> = asked
            .iter()
            .enumerate()
            .filter_map(|(at, asked)| {
                let target = targets[asked.question].as_ref()?;
                Some((at, Request::new(asked.method, asked.layer, target)))
            })
            .collect();
        let walks = Walks::of(requests.iter().map(|(at, request)| (*at, request)));
        let question =
            |target: &Target<4>| targets.iter().position(|of| of.as_ref() == Some(target));
        let questions: Vec<Option<usize>> =
            walks.wanted.iter().map(|wanted| question(&wanted.target)).collect();
        let (before, all) = self.progress(sweep);
        for (done, part) in self.parts.iter().enumerate() {
            self.engine.expect_going_on()?;
            pass.add_part(part, &walks, &mut maps, |walk, target, forward| {
                let scores = target.pixel_scores(&forward.logits) * target.weights().clone();
                let score = host(scores)?.iter().map(|score| f64::from(*score)).sum::<f64>();
                if let Some(question) = questions[walk] {
                    sweep.scores[question].score += score;
                }
                Ok(())
            })?;
            self.engine.progressed(before + done + 1, all);
        }
        self.gathered(maps.into_iter().enumerate(), sweep)
    }

    /// The next rows of maps of methods that average gradients over all windows, from what
    /// [`maps`](Self::maps) added up; `None` if there are no more.
    ///
    /// # Errors
    /// As [`maps`](Self::maps).
    pub fn averaged(
        &self,
        asked: &[MapRequest],
        added_up: &Sweep,
        sweep: &mut Sweep,
    ) -> Result<Option<FinishedRows>, CamError> {
        let Some(band) = self.band(sweep) else { return Ok(None) };
        sweep.tallies.resize(asked.len(), Tally::default());
        let numbers: Vec<usize> =
            (0..asked.len()).filter(|at| self.averages(&asked[*at])).collect();
        let mut layers: Vec<&str> = numbers.iter().map(|at| asked[*at].layer).collect();
        layers.sort_unstable();
        layers.dedup();
        let pass = self.pass(band)?;
        let mut maps: Vec<(usize, Map<4>)> = numbers
            .iter()
            .map(|&at| (at, Map::new(&pass, asked[at].method, asked[at].layer, Gathering::Sum)))
            .collect();
        let (before, all) = self.progress(sweep);
        for (done, part) in self.parts.iter().enumerate() {
            self.engine.expect_going_on()?;
            let found = pass.observe(part)?.1.activations(&layers)?;
            let found: HashMap<&str, Tensor<4>> = layers.iter().copied().zip(found).collect();
            for (at, map) in &mut maps {
                let (MapRequest { method, layer, .. }, tally) =
                    (asked[*at], &added_up.tallies[*at]);
                let windows = self.steps() * self.parts.len();
                let (raw, magnitudes) =
                    tally.means.weight(method, found[layer].clone(), windows)?;
                map.reached = tally.reached;
                map.add_raw(&[part], raw, Some(magnitudes))?;
            }
            self.engine.progressed(before + done + 1, all);
        }
        let rows = self.gathered(maps, sweep)?;
        Ok(Some(self.finish(numbers, rows, sweep)))
    }

    /// The rows of the next row of windows.
    fn band(&self, sweep: &Sweep) -> Option<Range<usize>> {
        self.starts.get(sweep.step).map(|start| *start..start + self.height)
    }

    /// How many windows were run before the next row of them, and how many there are.
    fn progress(&self, sweep: &Sweep) -> (usize, usize) {
        (sweep.step * self.parts.len(), self.steps() * self.parts.len())
    }

    fn read(&self, rows: Range<usize>) -> Result<Tensor<4>, CamError> {
        let input = self.picture.read(rows.clone())?.inner();
        let given = input.dims();
        let wanted = [1, given[1], rows.len(), self.size[1]];
        if given != wanted {
            let (wanted, given) = (wanted.to_vec(), given.to_vec());
            return Err(CamError::ShapeMismatch { what: "rows of a picture", wanted, given });
        }
        Ok(input)
    }

    /// What windows of these rows are asked.
    fn pass(&self, rows: Range<usize>) -> Result<WindowPass<4>, CamError> {
        let norm = Canvas::of([1, 1, rows.len(), self.size[1]], self.norm(rows.clone()));
        let input = self.read(rows)?;
        Ok(self.engine.pass(input, self.parts.clone(), self.weights.clone(), norm, false))
    }

    /// Whether a map needs a sweep of its own.
    pub fn averages(&self, asked: &MapRequest) -> bool {
        let method = asked.method;
        !method.is_local() && !self.engine.windows.averages_each && method.averages_gradients()
    }

    /// An error unless a map can be put together row by row.
    ///
    /// # Errors
    /// [`CamError::InWindows`] that says which can.
    pub fn expect_possible(&self, asked: &MapRequest) -> Result<(), CamError> {
        let MapRequest { method, layer, .. } = *asked;
        let each = self.engine.windows.averages_each;
        if matches!(method.uses(), Uses::Gradients)
            && (each || method.is_local() || method.averages_gradients())
        {
            return Ok(());
        }
        let instead = "a picture that is read by tiles is never there as a whole. Take \
                       seg-hires-grad-cam, seg-grad-cam, seg-layer-cam or seg-xres-cam";
        Err(WindowPass::<4>::unanswerable(method.name(), layer, instead))
    }

    /// Whether each pixel of some rows is asked about.
    fn pixels<'a>(
        &self,
        question: &'a Question,
        rows: Range<usize>,
    ) -> impl Iterator<Item = bool> + 'a {
        (rows.start * self.size[1]..rows.end * self.size[1]).map(|pixel| (question.members)(pixel))
    }

    /// What of a question some rows are asked.
    fn target(&self, question: &Question, rows: Range<usize>) -> Option<Target<4>> {
        let shape = [1, 1, rows.len(), self.size[1]];
        let weights: Vec<f32> = self.pixels(question, rows).map(f32::from).collect();
        let weights = Tensor::from_data(TensorData::new(weights, shape), &self.device);
        Target::of_part(&question.set, question.class, weights)
    }

    /// `N` of some rows.
    fn norm(&self, rows: Range<usize>) -> Vec<f32> {
        let width = self.size[1];
        let mut norm = vec![0.0; rows.len() * width];
        for (row, norm) in rows.zip(norm.chunks_mut(width)) {
            let of_windows = self.starts.iter().filter_map(|start| row.checked_sub(*start));
            for at in of_windows.filter(|at| *at < self.height) {
                let added = &self.norm[at * width..(at + 1) * width];
                norm.iter_mut().zip(added).for_each(|(sum, weight)| *sum += weight);
            }
        }
        norm
    }

    /// Adds what earlier windows left to a band of channels; its finished rows are handed out, and the
    /// others are left for later windows.
    fn hand_out(&self, mut band: Vec<f32>, sweep: &mut Sweep) -> Vec<f32> {
        let length = self.height * self.size[1];
        let channels = (band.len() / length).max(1);
        let left = sweep.rows.len() / channels;
        if left > 0 {
            for (channel, left) in band.chunks_mut(length).zip(sweep.rows.chunks(left)) {
                channel.iter_mut().zip(left).for_each(|(sum, value)| *sum += value);
            }
        }
        let finished = self.finished(sweep.step).len() * self.size[1];
        sweep.rows.clear();
        for channel in band.chunks(length) {
            sweep.rows.extend(&channel[finished..]);
        }
        band.chunks(length).flat_map(|channel| &channel[..finished]).copied().collect()
    }

    /// Adds up what a row of windows found; the maps of those that have one, one after the other.
    fn gathered<'a>(
        &self,
        maps: impl IntoIterator<Item = (usize, Map<'a, 4>)>,
        sweep: &mut Sweep,
    ) -> Result<Vec<f32>, CamError> {
        let mut rows = vec![];
        for (at, map) in maps {
            let tally = &mut sweep.tallies[at];
            tally.reached |= map.reached;
            tally.total += map.total.iter().sum::<f64>();
            tally.magnitude = map.magnitude.iter().copied().fold(tally.magnitude, f64::max);
            match map.into_parts()? {
                (Gathering::Average(means), _) => tally.means.join(&means),
                (_, canvas) => rows.extend(canvas.into_values()),
            }
        }
        Ok(rows)
    }

    /// Ends a row of windows: the finished rows of maps of such numbers. No `rows` are rows of zeros.
    fn finish(&self, numbers: Vec<usize>, mut rows: Vec<f32>, sweep: &mut Sweep) -> FinishedRows {
        rows.resize(numbers.len() * self.height * self.size[1], 0.0);
        let finished = self.hand_out(rows, sweep);
        let each = self.finished(sweep.step).len() * self.size[1];
        sweep.step += 1;
        let rows = finished.chunks(each).map(<[f32]>::to_vec);
        let mut maps: FinishedRows = numbers.into_iter().zip(rows).collect();
        maps.iter_mut().for_each(|(at, rows)| sweep.tallies[*at].take(rows));
        maps
    }
}

impl fmt::Debug for Bands<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, size, starts, parts, .. } = self;
        let mut bands = f.debug_struct("Bands");
        bands.field("windows", &engine.windows).field("size", size);
        bands.field("steps", &starts.len()).field("parts", &parts.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, set, members: _ } = self;
        let mut question = f.debug_struct("Question");
        question.field("class", class).field("set", set).finish_non_exhaustive()
    }
}

impl fmt::Debug for MapRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, layer, question } = self;
        let mut asked = f.debug_struct("MapRequest");
        asked.field("method", &method.name()).field("layer", layer).field("question", question);
        asked.finish()
    }
}
