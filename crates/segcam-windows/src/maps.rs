//! Maps of the whole, from those of its windows.

use segcam_core::burn::tensor::Tensor;
use segcam_core::{
    CamError, Gradients, Mapped, Mapper, Pass, Request, Uses, Walks, Wanted, upsample,
};

use crate::canvas::Canvas;
use crate::engine::host;
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
            requests.iter().map(|request| Map::new(self, request)).collect();
        let possible = requests.iter().enumerate().filter(|(at, _)| maps[*at].failed.is_none());
        let walks = Walks::of(possible);
        for (done, part) in self.parts.iter().enumerate() {
            if maps.iter().all(|map| map.failed.is_some()) {
                break;
            }
            let step = step(done, self.parts.len());
            if let Err(error) = step.and_then(|()| self.add_part(part, &walks, &mut maps)) {
                maps.iter_mut().for_each(|map| map.fail(&error));
            }
        }
        maps.into_iter().map(|map| map.finish(self)).collect()
    }
}

impl<const D: usize> WindowPass<D> {
    /// What a part adds to each map: one forward pass, and one walk for each target that asks about its
    /// pixels.
    fn add_part(&self, part: &Part, walks: &Walks<D>, maps: &mut [Map<D>]) -> Result<(), CamError> {
        let asked = walks.wanted.iter().zip(&walks.asking).filter_map(|(wanted, asking)| {
            let target = self.question(&wanted.target, part)?;
            Some((Wanted { target, layers: wanted.layers.clone() }, asking))
        });
        let (wanted, asking): (Vec<Wanted<D>>, Vec<_>) = asked.unzip();
        let pooled = maps.iter().any(|map| map.failed.is_none() && map.pooled.is_some());
        if wanted.is_empty() && !pooled {
            return Ok(());
        }
        let pass = self.observe(part)?;
        let mut found: Vec<bool> = vec![false; maps.len()];
        let mut visit = |target: usize, layer: usize, gradients: Gradients<D>| {
            for &at in &asking[target][layer] {
                found[at] = true;
                maps[at].meet(part, &gradients);
            }
            Ok(())
        };
        if !wanted.is_empty() {
            pass.gradients(&wanted, &mut visit)?;
        }
        for (map, _) in maps.iter_mut().zip(&found).filter(|(_, found)| !**found) {
            if map.failed.is_none() && map.pooled.is_some() {
                map.meet_unasked(&*pass, part)?;
            }
        }
        Ok(())
    }
}

/// A map that is being put together.
struct Map<'a, const D: usize> {
    request: &'a Request<'a, D>,
    /// What every part found, for a method that needs all of them at once.
    pooled: Option<Vec<(Part, Gradients<D>)>>,
    /// How many values of the layer and its gradients may be held.
    room: usize,
    /// Whether the layer was met on any walk.
    reached: bool,
    canvas: Canvas<D>,
    total: Vec<f64>,
    magnitude: Vec<f64>,
    failed: Option<CamError>,
}

impl<'a, const D: usize> Map<'a, D> {
    fn new(pass: &WindowPass<D>, request: &'a Request<'a, D>) -> Self {
        let method = request.method();
        let failed = match method.uses() {
            Uses::Gradients => None,
            _ => Some(WindowPass::<D>::needs_whole(method.name(), request.layer())),
        };
        let mut shape = pass.input.dims();
        shape[1] = 1;
        let pooled = !method.is_local() && !pass.windows.averages_each;
        let images = shape[0];
        Self {
            request,
            pooled: pooled.then(Vec::new),
            room: pass.windows.memory / size_of::<f32>() / 4,
            reached: false,
            canvas: Canvas::zeros(shape),
            total: vec![0.0; images],
            magnitude: vec![0.0; images],
            failed,
        }
    }

    /// What a walk through a part found at the layer.
    fn meet(&mut self, part: &Part, found: &Gradients<D>) {
        self.reached = true;
        self.take(part, found);
    }

    /// A part that is not asked about counts in averages.
    fn meet_unasked(&mut self, pass: &dyn Pass<D>, part: &Part) -> Result<(), CamError> {
        let mut layer = pass.activations(&[self.request.layer()])?;
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
        let met = match &mut self.pooled {
            Some(all) => {
                let held = found.activations.shape().num_elements() * (all.len() + 1);
                let fits = held <= self.room;
                all.push((part.clone(), found.clone()));
                if fits { Ok(()) } else { Err(self.too_large()) }
            }
            None => self.add(&[part], found),
        };
        if let Err(error) = met {
            self.fail(&error);
        }
    }

    fn too_large(&self) -> CamError {
        let (method, layer) = (self.request.method().name(), self.request.layer());
        let instead = "it averages over the layer in all windows at once, which takes more memory than \
                       Windows::with_memory allows. Allow more, choose a deeper layer, average in each \
                       window by itself (Windows::averaging_each), or take seg-hires-grad-cam";
        WindowPass::<D>::unanswerable(method, layer, instead)
    }

    /// Adds the maps of parts whose layers lie one after the other along the first side.
    fn add(&mut self, parts: &[&Part], found: &Gradients<D>) -> Result<(), CamError> {
        let (raw, magnitudes) = found.combined(self.request.method())?;
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

    fn fail(&mut self, error: &CamError) {
        self.failed.get_or_insert_with(|| error.clone());
        if let Some(all) = &mut self.pooled {
            all.clear();
        }
    }

    fn finish(mut self, pass: &WindowPass<D>) -> Result<Mapped<D>, CamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if !self.reached {
            return Err(CamError::NoPath { layer: self.request.layer().to_string() });
        }
        if let Some(all) = self.pooled.take() {
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
