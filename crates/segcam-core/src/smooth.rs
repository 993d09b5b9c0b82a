use burn::tensor::{Int, Tensor, TensorData};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use crate::{CamError, Explanation, Observation, Request, Target, guarded, upsample};

/// Averages a map over changed versions of the input: noise, flips or scales.
///
/// The signed raw maps are averaged, not the heat maps, at the layer's size for the clean input.
/// Flips and scales are undone first. The pixels explained are those of the clean input: the pixel
/// set is asked once, and its answer is flipped and resized (nearest pixel) with the input.
///
/// The [`Explanation`] is that of the clean input, score and all, with the averaged map; its method
/// says what was done: `seg-hires-grad-cam+noise:25,0.1`.
///
/// Each version costs a forward pass and a map. Nothing but the sum is kept.
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let target = seen.target(&PredictedClass, 1)?;
/// let request = Request::new(&HiResCam, "mid", &target);
/// let map = Smoothing::noise(25, 0.1, 0).explain(&seen, &request)?;
/// assert_eq!(map.method(), "seg-hires-grad-cam+noise:25,0.1");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Smoothing(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Noise { samples: usize, sigma: f64, seed: u64 },
    Flips(Option<Vec<usize>>),
    Scales(Vec<f64>),
}

/// One changed version of the input.
#[derive(Debug, Clone)]
enum Change {
    Noise,
    Flip(Vec<usize>),
    Scale(f64),
}

impl Smoothing {
    /// Normally distributed noise on the input, `samples` times; `sigma` is its standard deviation
    /// as a fraction of each image's range (largest minus smallest value). The same `seed` gives the
    /// same noise on every backend.
    ///
    /// Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017,
    /// [arXiv 1706.03825](https://arxiv.org/abs/1706.03825); there 0.1 to 0.2 and up to 50 samples.
    pub fn noise(samples: usize, sigma: f64, seed: u64) -> Self {
        Self(Kind::Noise { samples, sigma, seed })
    }

    /// Every combination of flips along the sides of the input, none among them: 4 versions of an
    /// image, 8 of a volume.
    pub fn flips() -> Self {
        Self(Kind::Flips(None))
    }

    /// The same along some sides only: 0 is the first one of space, `y` of an image and `z` of a
    /// volume. Sides that the input does not have are left out.
    ///
    /// ```
    /// let mirrored = segcam_core::Smoothing::flips_along([1]); // left and right
    /// ```
    pub fn flips_along(sides: impl IntoIterator<Item = usize>) -> Self {
        let mut sides: Vec<usize> = sides.into_iter().collect();
        sides.sort_unstable();
        sides.dedup();
        Self(Kind::Flips(Some(sides)))
    }

    /// The input resized, bi- or trilinear, by each of `scales`; give 1 to have the clean input
    /// among them. Where the network wants sides that are multiples, the nearest ones are taken.
    ///
    /// Maps are resized back value by value. A pixel set of few pixels may vanish at small scales,
    /// which is [`CamError::EmptyPixelSet`].
    pub fn scales(scales: impl IntoIterator<Item = f64>) -> Self {
        Self(Kind::Scales(scales.into_iter().collect()))
    }

    /// The averaged map of a request for the input of `seen`. With nothing to average it is the clean
    /// map.
    ///
    /// # Errors
    /// Those of [`Observation::observe_again`] and [`Observation::answer`], for the clean input and
    /// for each version. A scale that leaves no pixels is [`CamError::EmptyInput`].
    pub fn explain<const D: usize>(
        &self,
        seen: &Observation<D>,
        request: &Request<D>,
    ) -> Result<Explanation<D>, CamError> {
        let clean = seen.answer(request)?;
        let input = seen.input();
        let mut noise = self.noise_on(&input);
        let mut count = 0;
        let mut sum: Option<Tensor<D>> = None;
        for change in self.changes(D - 2) {
            seen.expect_going_on()?;
            let raw = match &change {
                Change::Flip(sides) if sides.is_empty() => clean.raw().clone(),
                _ => {
                    let changed = match &change {
                        Change::Noise => seen.observe_again(noise.add_to(&input)),
                        Change::Flip(sides) => seen.observe_again(flipped(input.clone(), sides)),
                        Change::Scale(scale) => observe_scaled(seen, &input, *scale),
                    }?;
                    let size = changed.prediction().size();
                    let target = changed_target(request.target(), &change, &size)?;
                    let request = Request::new(request.method(), request.layer(), &target);
                    undone(changed.answer(&request)?.raw().clone(), &change, clean.raw())
                }
            };
            sum = Some(match sum {
                Some(sum) => sum + raw,
                None => raw,
            });
            count += 1;
        }
        let raw = sum.map_or_else(|| clean.raw().clone(), |sum| sum / f64::from(count));
        guarded(|| Ok(clean.averaged(raw, &self.name())))
    }

    fn noise_on<const D: usize>(&self, input: &Tensor<D>) -> InputNoise<D> {
        let (sigma, seed) = match self.0 {
            Kind::Noise { sigma, seed, .. } => (sigma, seed),
            _ => (0.0, 0),
        };
        InputNoise::new(input, sigma, seed)
    }

    fn changes(&self, sides: usize) -> Box<dyn Iterator<Item = Change> + '_> {
        match &self.0 {
            Kind::Noise { samples, .. } => Box::new((0..*samples).map(|_| Change::Noise)),
            Kind::Flips(chosen) => {
                let is_chosen =
                    |side: &usize| chosen.as_ref().is_none_or(|chosen| chosen.contains(side));
                let sides: Vec<usize> = (0..sides).filter(is_chosen).collect();
                let count: usize = 1 << sides.len();
                let subset = move |bits: usize| {
                    let sides = sides.iter().enumerate();
                    sides.filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, &side)| side).collect()
                };
                Box::new((0..count).map(move |bits| Change::Flip(subset(bits))))
            }
            Kind::Scales(scales) => Box::new(scales.iter().copied().map(Change::Scale)),
        }
    }

    /// What is added to the method's name: `noise:25,0.1`, `flips`, `flips:1`, `scales:0.75,1,1.25`.
    fn name(&self) -> String {
        let list = |kind: &str, items: Vec<String>| format!("{kind}:{}", items.join(","));
        match &self.0 {
            Kind::Noise { samples, sigma, .. } => format!("noise:{samples},{sigma}"),
            Kind::Flips(None) => "flips".into(),
            Kind::Flips(Some(sides)) => {
                list("flips", sides.iter().map(ToString::to_string).collect())
            }
            Kind::Scales(scales) => {
                list("scales", scales.iter().map(ToString::to_string).collect())
            }
        }
    }
}

/// The map for the clean input that the map of a changed input stands for.
fn undone<const D: usize>(raw: Tensor<D>, change: &Change, clean: &Tensor<D>) -> Tensor<D> {
    match change {
        Change::Noise => raw,
        Change::Flip(sides) => flipped(raw, sides),
        Change::Scale(_) => upsample(raw, &clean.dims()[2..]),
    }
}

/// The pixels of the clean input in a changed one.
fn changed_target<const D: usize>(
    clean: &Target<D>,
    change: &Change,
    size: &[usize],
) -> Result<Target<D>, CamError> {
    let weights = clean.weights().clone();
    match change {
        Change::Noise => Ok(clean.clone()),
        Change::Flip(sides) => clean.with_weights(flipped(weights, sides)),
        Change::Scale(_) => clean.with_weights(nearest(weights, size)),
    }
}

/// Normally distributed noise for an input, the same on every device: it is drawn here, as the
/// generators of devices all differ.
///
/// # Example
/// ```
/// use segcam_core::{InputNoise, burn::tensor::{Device, Tensor}};
///
/// let image = Tensor::<4>::from_floats([[[[0.0, 1.0]]]], &Device::flex());
/// let noisy = InputNoise::new(&image, 0.1, 0).add_to(&image);
/// assert_eq!(noisy.dims(), [1, 1, 1, 2]);
/// ```
#[derive(Debug, Clone)]
pub struct InputNoise<const D: usize = 4> {
    generator: ChaCha8Rng,
    /// Standard deviation for each image, `[N, 1, …]`.
    sigma: Tensor<D>,
}

impl<const D: usize> InputNoise<D> {
    /// `sigma` is the standard deviation as a part of each image's range (largest minus smallest
    /// value).
    pub fn new(input: &Tensor<D>, sigma: f64, seed: u64) -> Self {
        let sides: Vec<usize> = (1..D).collect();
        let range = input.clone().max_dims(&sides) - input.clone().min_dims(&sides);
        Self { generator: ChaCha8Rng::seed_from_u64(seed), sigma: range * sigma }
    }

    /// The input with the next noise.
    pub fn add_to(&mut self, input: &Tensor<D>) -> Tensor<D> {
        let count = input.shape().num_elements();
        let values: Vec<f32> =
            StandardNormal.sample_iter(&mut self.generator).take(count).collect();
        let noise = Tensor::from_data(TensorData::new(values, input.dims()), &input.device());
        input.clone() + noise * self.sigma.clone()
    }
}

fn observe_scaled<const D: usize>(
    seen: &Observation<D>,
    input: &Tensor<D>,
    scale: f64,
) -> Result<Observation<D>, CamError> {
    let scaled = |unit: usize| -> Result<Tensor<D>, CamError> {
        let mut shape = input.dims();
        for side in &mut shape[2..] {
            let units = (*side as f64 * scale / unit as f64).round() as usize;
            *side = if scale > 0.0 && scale.is_finite() { units.max(1) * unit } else { 0 };
        }
        if shape.contains(&0) {
            return Err(CamError::EmptyInput { shape: shape.to_vec() });
        }
        Ok(upsample(input.clone(), &shape[2..]))
    };
    match seen.observe_again(scaled(1)?) {
        Err(CamError::NotAMultiple { multiple, .. }) => seen.observe_again(scaled(multiple)?),
        seen => seen,
    }
}

fn flipped<const D: usize>(tensor: Tensor<D>, sides: &[usize]) -> Tensor<D> {
    sides.iter().fold(tensor, |tensor, side| tensor.flip([side + 2]))
}

/// The nearest pixel of each, by its centre.
fn nearest<const D: usize>(tensor: Tensor<D>, size: &[usize]) -> Tensor<D> {
    (2..D).zip(size).fold(tensor, |tensor, (dim, &to)| {
        let from = tensor.dims()[dim];
        let at: Vec<i64> = (0..to).map(|i| ((2 * i + 1) * from / (2 * to)) as i64).collect();
        let at = Tensor::<1, Int>::from_data(TensorData::new(at, [to]), &tensor.device());
        tensor.select(dim, at)
    })
}
