//! Maps of the whole, from those of its windows.

use segcam_core::burn::tensor::Tensor;
use segcam_core::{
    CamError, CamMethod, Forward, Gradients, Mapped, Mapper, Pass, Request, Target, Uses, Walks,
    Wanted, upsample,
};

use crate::canvas::Canvas;
use crate::engine::host;
use crate::means::Means;
use crate::part::Part;
use crate::pass::WindowPass;

impl<const D: usize> Mapper<D> for WindowPass<D> {
    fn at_once(&self) -> usize {
        let image: usize = self.norm.dims().iter().product::<usize>() * self.input.dims()[0];
        self.windows.memory / (image * size_of::<f32>())
    }

    fn maps(
        &self,
        requests: &[Request<D>],
        step: &mut dyn FnMut(usize, usize) -> Result<(), CamError>,
    ) -> Vec<Result<Mapped<D>, CamError>> {
        let mut maps: Vec<Map<D>> =
            requests.iter().map(|request| Map::of_request(self, request)).collect();
        let possible = requests.iter().enumerate().filter(|(at, _)| maps[*at].failed.is_none());
        let walks = Walks::of(possible);
        for (done, part) in self.parts.iter().enumerate() {
            if maps.iter().all(|map| map.failed.is_some()) {
                break;
            }
            let sweeps = 1 + usize::from(maps.iter().any(Map::is_averaged));
            let step = step(done, sweeps * self.parts.len());
            if let Err(error) =
                step.and_then(|()| self.add_part(part, &walks, &mut maps, |_, _, _| Ok(())))
            {
                maps.iter_mut().for_each(|map| map.fail(&error));
            }
        }
        if let Err(error) = self.add_averaged(&mut maps, step) {
            maps.iter_mut().filter(|map| map.is_averaged()).for_each(|map| map.fail(&error));
        }
        maps.into_iter().map(|map| map.finish(self)).collect()
    }
}

impl<const D: usize> WindowPass<D> {
    /// The maps of methods whose mean gradients are known, now that all parts were asked: one more forward
    /// pass of each.
    fn add_averaged(
        &self,
        maps: &mut [Map<D>],
        step: &mut dyn FnMut(usize, usize) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        let mut averaged: Vec<&mut Map<D>> =
            maps.iter_mut().filter(|map| map.reached && map.is_averaged()).collect();
        if averaged.is_empty() {
            return Ok(());
        }
        let mut layers: Vec<&str> = averaged.iter().map(|map| map.layer).collect();
        layers.sort_unstable();
        layers.dedup();
        for (done, part) in self.parts.iter().enumerate() {
            step(self.parts.len() + done, 2 * self.parts.len())?;
            let found = self.observe(part)?.1.activations(&layers)?;
            for (layer, activations) in layers.iter().zip(found) {
                for map in averaged.iter_mut().filter(|map| map.layer == *layer) {
                    map.add_weighted(part, activations.clone(), self.parts.len())?;
                }
            }
        }
        Ok(())
    }

    /// What a part adds to each map: one forward pass, and one walk for each target that asks about its
    /// pixels. `scored` gets the number of each of these targets, its question and the answer.
    pub(crate) fn add_part(
        &self,
        part: &Part,
        walks: &Walks<D>,
        maps: &mut [Map<D>],
        mut scored: impl FnMut(usize, &Target<D>, &Forward<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        let mut wanted: Vec<Wanted<D>> = vec![];
        let mut numbers = vec![];
        for (number, walk) in walks.wanted.iter().enumerate() {
            let Some(target) = self.question(&walk.target, part) else { continue };
            wanted.push(Wanted { target, layers: walk.layers.clone() });
            numbers.push(number);
        }
        if wanted.is_empty() && !maps.iter().any(Map::needs_all) {
            return Ok(());
        }
        let (forward, pass) = self.observe(part)?;
        for (&number, walk) in numbers.iter().zip(&wanted) {
            scored(number, &walk.target, &forward)?;
        }
        let mut found: Vec<bool> = vec![false; maps.len()];
        let mut visit = |target: usize, layer: usize, gradients: Gradients<D>| {
            for &at in &walks.asking[numbers[target]][layer] {
                found[at] = true;
                maps[at].meet(part, &gradients);
            }
            Ok(())
        };
        if !wanted.is_empty() {
            pass.gradients(&wanted, &mut visit)?;
        }
        for (map, _) in maps.iter_mut().zip(&found).filter(|(_, found)| !**found) {
            if map.needs_all() {
                map.meet_unasked(&*pass, part)?;
            }
        }
        Ok(())
    }
}

/// What becomes of what parts find.
pub(crate) enum Gathering<const D: usize> {
    /// The map of each is added.
    Sum,
    /// A method that needs the layer of all parts gets it at once.
    Join(Vec<(Part, Gradients<D>)>),
    /// The gradients alone are added, to be averaged.
    Average(Means),
}

/// A map that is being put together.
pub(crate) struct Map<'a, const D: usize> {
    method: &'a dyn CamMethod<D>,
    layer: &'a str,
    gathering: Gathering<D>,
    /// How many values of the layer may be held of each part.
    room: usize,
    /// Whether the layer was met on any walk.
    pub(crate) reached: bool,
    canvas: Canvas<D>,
    pub(crate) total: Vec<f64>,
    pub(crate) magnitude: Vec<f64>,
    failed: Option<CamError>,
}

impl<'a, const D: usize> Map<'a, D> {
    fn of_request(pass: &WindowPass<D>, request: &Request<'a, D>) -> Self {
        let joined = !request.method().is_local() && !pass.windows.averages_each;
        let gathering = if joined { Gathering::Join(vec![]) } else { Gathering::Sum };
        Self::new(pass, request.method(), request.layer(), gathering)
    }

    pub(crate) fn new(
        pass: &WindowPass<D>,
        method: &'a dyn CamMethod<D>,
        layer: &'a str,
        gathering: Gathering<D>,
    ) -> Self {
        let failed = match method.uses() {
            Uses::Gradients => None,
            _ => Some(WindowPass::<D>::needs_whole(method.name(), layer)),
        };
        let mut shape = pass.input.dims();
        shape[1] = 1;
        let images = shape[0];
        Self {
            method,
            layer,
            gathering,
            room: pass.windows.memory / size_of::<f32>() / 4 / pass.parts.len().max(1),
            reached: false,
            canvas: Canvas::zeros(shape),
            total: vec![0.0; images],
            magnitude: vec![0.0; images],
            failed,
        }
    }

    /// Whether parts that are not asked about count, too.
    fn needs_all(&self) -> bool {
        self.failed.is_none() && matches!(self.gathering, Gathering::Join(_))
    }

    /// Whether gradients are added up, to be averaged.
    fn is_averaged(&self) -> bool {
        self.failed.is_none() && matches!(self.gathering, Gathering::Average(_))
    }

    /// What a walk through a part found at the layer.
    fn meet(&mut self, part: &Part, found: &Gradients<D>) {
        self.reached = true;
        self.take(part, found);
    }

    /// A part that is not asked about counts in averages.
    fn meet_unasked(&mut self, pass: &dyn Pass<D>, part: &Part) -> Result<(), CamError> {
        let mut layer = pass.activations(&[self.layer])?;
        if let Some(activations) = layer.pop() {
            let gradients = activations.zeros_like();
            self.take(part, &Gradients { activations, gradients });
        }
        Ok(())
    }

    fn take(&mut self, part: &Part, found: &Gradients<D>) {
        if self.failed.is_some() {
            return;
        }
        let fits = found.activations.shape().num_elements() <= self.room;
        if self.needs_all() && !fits {
            // Means take no room, but another sweep.
            if !self.method.averages_gradients() {
                self.fail(&self.too_large());
                return;
            }
            self.gathering = Gathering::Average(Means::default());
        }
        let met = match &mut self.gathering {
            Gathering::Join(all) => {
                all.push((part.clone(), found.clone()));
                Ok(())
            }
            Gathering::Sum => self.add(&[part], found),
            Gathering::Average(means) => means.add(&found.gradients),
        };
        if let Err(error) = met {
            self.fail(&error);
        }
    }

    fn too_large(&self) -> CamError {
        let instead = "it takes the layer in all windows at once, for which there is too little memory. \
                       Choose a deeper layer, or take seg-grad-cam or seg-hires-grad-cam, which need \
                       one window at a time";
        WindowPass::<D>::unanswerable(self.method.name(), self.layer, instead)
    }

    /// Adds the maps of parts whose layers lie one after the other along the first side.
    fn add(&mut self, parts: &[&Part], found: &Gradients<D>) -> Result<(), CamError> {
        let (raw, magnitudes) = found.combined(self.method)?;
        self.add_raw(parts, raw, magnitudes)
    }

    /// The same for a map that was made of them.
    pub(crate) fn add_raw(
        &mut self,
        parts: &[&Part],
        raw: Tensor<D>,
        magnitudes: Option<Tensor<D>>,
    ) -> Result<(), CamError> {
        if let Some(magnitudes) = magnitudes {
            let largest = per_image(magnitudes, |values| {
                values.iter().fold(0.0, |largest, value| f64::from(value.abs()).max(largest))
            })?;
            let kept = self.magnitude.iter_mut().zip(largest);
            kept.for_each(|(kept, largest)| *kept = kept.max(largest));
        }
        let sums =
            per_image(raw.clone(), |values| values.iter().map(|value| f64::from(*value)).sum())?;
        self.total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        let length = raw.dims()[2] / parts.len();
        for (at, part) in parts.iter().enumerate() {
            let map = upsample(raw.clone().narrow(2, at * length, length), &part.place.size);
            self.canvas.add(&part.place, &host(part.flipped(map))?, None);
        }
        Ok(())
    }

    /// The map of a part, by the gradients that were added up over so many.
    fn add_weighted(
        &mut self,
        part: &Part,
        activations: Tensor<D>,
        parts: usize,
    ) -> Result<(), CamError> {
        let Gathering::Average(means) = &self.gathering else { return Ok(()) };
        let (raw, magnitudes) = means.weight(self.method, activations, parts)?;
        self.add_raw(&[part], raw, Some(magnitudes))
    }

    fn fail(&mut self, error: &CamError) {
        self.failed.get_or_insert_with(|| error.clone());
        if let Gathering::Join(all) = &mut self.gathering {
            all.clear();
        }
    }

    /// What was gathered, and the map so far.
    pub(crate) fn into_parts(self) -> Result<(Gathering<D>, Canvas<D>), CamError> {
        self.failed.map_or(Ok((self.gathering, self.canvas)), Err)
    }

    fn finish(mut self, pass: &WindowPass<D>) -> Result<Mapped<D>, CamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if !self.reached {
            return Err(CamError::NoPath { layer: self.layer.to_string() });
        }
        if let Gathering::Join(all) = std::mem::replace(&mut self.gathering, Gathering::Sum) {
            let joined = |of: fn(&Gradients<D>) -> &Tensor<D>| {
                Tensor::cat(all.iter().map(|(_, found)| of(found).clone()).collect(), 2)
            };
            let found = Gradients {
                activations: joined(|found| &found.activations),
                gradients: joined(|found| &found.gradients),
            };
            let parts: Vec<&Part> = all.iter().map(|(part, _)| part).collect();
            self.add(&parts, &found)?;
        }
        let (device, dtype) = (pass.input.device(), pass.input.dtype());
        let raw = self.canvas.into_tensor(&device).cast(dtype);
        Ok(Mapped { raw, total: self.total, magnitude: self.magnitude })
    }
}

/// One number for each image, from its values.
fn per_image<const D: usize>(
    tensor: Tensor<D>,
    number: impl Fn(&[f32]) -> f64,
) -> Result<Vec<f64>, CamError> {
    let images = tensor.dims()[0];
    let values = host(tensor)?;
    Ok(values.chunks(values.len() / images).map(number).collect())
}
