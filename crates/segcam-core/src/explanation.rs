use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::checks::{finite, per_sample_sum};
use crate::observation::Identity;
use crate::{CamError, EngineKind, Mapped, Observation, Quantity, Request, Target, upsample};

/// How many units in the last place of the largest sum of magnitudes rounding can add up to: see
/// [`Explanation::rounding`].
const ULPS: f64 = 64.0;

/// What one map says about its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum MapStatus {
    /// Some cell supports the class: there is a heat map.
    Positive,
    /// Every cell is exactly zero: the layer does not influence the score.
    AllZero,
    /// No cell supports the class and some speak against it: the heat map is empty.
    AllNegative,
    /// No value is larger than what [rounding](Explanation::rounding) can leave of terms that cancel:
    /// the map says nothing, and the heat map is empty.
    Rounding,
}

impl MapStatus {
    /// Of a map with such a smallest and largest value, which rounding can make so large.
    pub fn of((low, high): (f64, f64), rounding: f64) -> Self {
        match (low, high) {
            (0.0, 0.0) => Self::AllZero,
            _ if high.max(-low) <= rounding => Self::Rounding,
            _ if high > rounding => Self::Positive,
            _ => Self::AllNegative,
        }
    }
}

impl std::fmt::Display for MapStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Positive => "positive",
            Self::AllZero => "all-zero",
            Self::AllNegative => "all-negative",
            Self::Rounding => "rounding",
        })
    }
}

/// How a heat map is brought to a common scale, each image of a batch by itself.
///
/// A map without positive cells stays all zero under each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Normalize {
    /// Divide by the layer's largest absolute value: weak evidence for the class looks weak beside
    /// strong evidence against it. 0 stays 0.
    #[default]
    MaxAbs,
    /// Divide by the layer's largest value, as papers do: 0 stays 0, and whatever speaks for the class
    /// most is 1, however little that is.
    Max,
    /// Stretch the heat map from its smallest value to its largest onto `[0, 1]`, as
    /// pytorch-grad-cam does. The zero is lost when every cell is positive.
    MinMax,
    /// Keep the map's own unit.
    None,
}

impl std::fmt::Display for Normalize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MaxAbs => "max-abs",
            Self::Max => "max",
            Self::MinMax => "min-max",
            Self::None => "none",
        })
    }
}

/// A class activation map and everything needed to read it.
#[derive(Debug, Clone)]
pub struct Explanation<const D: usize = 4> {
    raw: Tensor<D>,
    range: Vec<(f64, f64)>,
    rounding: Vec<f64>,
    /// Where the map is not at the layer's resolution.
    total: Option<Vec<f64>>,
    layer: String,
    target: Target<D>,
    method: String,
    score: Vec<f64>,
    input_shape: [usize; D],
    engine: EngineKind,
    device: Device,
    observation: Identity,
}

impl<const D: usize> Explanation<D> {
    /// The map of an existing layer. `magnitudes`: the map that the same method makes of absolute
    /// values.
    pub(crate) fn new(
        seen: &Observation<D>,
        method: String,
        layer: &str,
        target: &Target<D>,
        score: Vec<f64>,
        raw: Tensor<D>,
        magnitudes: Option<Tensor<D>>,
    ) -> Result<Self, CamError> {
        finite(&raw, || Quantity::Map(method.clone()))?;
        let range = extremes(&raw);
        let largest =
            |all: Tensor<D>| extremes(&all).into_iter().map(|(low, high)| high.max(-low)).collect();
        let magnitude = magnitudes.map_or_else(|| vec![0.0; range.len()], largest);
        Ok(Self {
            range,
            rounding: rounding(&raw, &magnitude),
            total: None,
            layer: layer.to_string(),
            target: target.clone(),
            method,
            score,
            input_shape: seen.prediction().input_shape(),
            engine: seen.engine().clone(),
            device: raw.device(),
            observation: seen.identity().clone(),
            raw,
        })
    }

    /// A map that the pass made itself.
    pub(crate) fn mapped(
        seen: &Observation<D>,
        request: &Request<D>,
        score: Vec<f64>,
        map: Mapped<D>,
    ) -> Result<Self, CamError> {
        let Mapped { raw, total, magnitude } = map;
        let (layer, target) = (request.layer(), request.target());
        let this = Self::new(seen, request.name(), layer, target, score, raw, None)?;
        Ok(Self { rounding: rounding(&this.raw, &magnitude), total: Some(total), ..this })
    }

    /// From values that were kept.
    #[cfg(feature = "serde")]
    pub(crate) fn restored(
        (raw, rounding, total): (Tensor<D>, Vec<f64>, Vec<f64>),
        layer: String,
        target: Target<D>,
        method: String,
        score: Vec<f64>,
        input_shape: [usize; D],
        engine: EngineKind,
    ) -> Self {
        let (range, device, observation) = (extremes(&raw), raw.device(), Identity::default());
        Self {
            raw,
            range,
            rounding,
            total: Some(total),
            layer,
            target,
            method,
            score,
            input_shape,
            engine,
            device,
            observation,
        }
    }

    /// The same explanation with another map, and what was done added to the method's name. An average
    /// has no more rounding than what it is of.
    pub(crate) fn averaged(self, raw: Tensor<D>, how: &str) -> Self {
        let method = format!("{}+{how}", self.method);
        Self { range: extremes(&raw), total: None, raw, method, ..self }
    }

    /// Whether the map is of this observation.
    pub(crate) fn is_of(&self, seen: &Observation<D>) -> bool {
        self.observation == *seen.identity()
    }

    /// The signed map at layer resolution, `[N, 1, …]`, in units of the score; at the input's resolution
    /// where the network was run on parts of the input, whose maps are upsampled and added. It stays on the
    /// network's device; reading it from one that may be lost, such as a remote one, is safe within
    /// [`guarded`](crate::guarded).
    pub fn raw(&self) -> &Tensor<D> {
        &self.raw
    }

    /// The raw map, all zero for images of which it is nothing but [rounding](MapStatus::Rounding).
    pub fn signal(&self) -> Tensor<D> {
        self.kept(self.raw.clone(), |status| status != MapStatus::Rounding)
    }

    /// `map` for images of such status, zeros for others.
    fn kept(&self, map: Tensor<D>, keep: impl Fn(MapStatus) -> bool) -> Tensor<D> {
        let status = self.status();
        if status.iter().all(|status| keep(*status)) {
            return map;
        }
        let images = status.into_iter().enumerate().map(|(sample, status)| {
            let image = map.clone().narrow(0, sample, 1);
            if keep(status) { image } else { image.zeros_like() }
        });
        Tensor::cat(images.collect(), 0)
    }

    /// Whether each image's map has anything to show.
    pub fn status(&self) -> Vec<MapStatus> {
        let status = |(range, rounding): (&(f64, f64), &f64)| MapStatus::of(*range, *rounding);
        self.range.iter().zip(&self.rounding).map(status).collect()
    }

    /// How large a value of each image's map can be through rounding alone, in units of the score; 0
    /// where that is not known.
    ///
    /// Where averaged gradients cancel, as they do in front of an InstanceNorm or a GroupNorm, their
    /// sum is zero in exact arithmetic, and what is left is noise. Its size follows the magnitudes
    /// that were added: `64 ε · max |A|·|g|`, where the map that the same method makes of absolute
    /// values stands for `|A|·|g|`, and ε is the spacing of the number type. It is known for methods
    /// that weight with gradients.
    pub fn rounding(&self) -> &[f64] {
        &self.rounding
    }

    /// What the cells of the layer add up to, of each image: the sum of the raw map, and for a map that
    /// was put together from parts the sum over their cells before they were upsampled.
    pub fn total(&self) -> Vec<f64> {
        self.total.clone().unwrap_or_else(|| per_sample_sum(self.raw.clone()))
    }

    /// Smallest and largest raw value of each image's map.
    pub fn range(&self) -> &[(f64, f64)] {
        &self.range
    }

    /// Evidence for and against as people look at it, `[N, 1, …]` at input resolution: the map divided
    /// by its largest absolute value, so that it lies in `[-1, 1]` and 0 stays 0, and upsampled.
    pub fn signed_map(&self) -> Tensor<D> {
        let signal = self.signal();
        let scale = largest(&signal.clone().abs());
        upsample(signal / scale, &self.input_shape[2..])
    }

    /// The map as people look at it, `[N, 1, …]` at input resolution: ReLU, normalise, upsample. It is
    /// empty wherever the [status](Self::status) is not positive.
    ///
    /// [`Normalize::MinMax`] normalises again after upsampling, as pytorch-grad-cam does, so that
    /// the result spans `[0, 1]`. Upsampling is bi- or trilinear with half-pixel centres.
    pub fn heat_map(&self, normalize: Normalize) -> Tensor<D> {
        let positive = self.kept(relu(self.raw.clone()), |status| status == MapStatus::Positive);
        let size = &self.input_shape[2..];
        match normalize {
            Normalize::None => upsample(positive, size),
            Normalize::MaxAbs => {
                let scale = largest(&self.raw.clone().abs());
                upsample(positive / scale, size)
            }
            Normalize::Max => {
                let scale = largest(&positive);
                upsample(positive / scale, size)
            }
            Normalize::MinMax => {
                let stretched = upsample(positive, size);
                let above = stretched.clone() - smallest(&stretched);
                let scale = largest(&above);
                above / scale
            }
        }
    }

    /// The explained layer.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// The class whose score is explained.
    pub fn class(&self) -> usize {
        self.target.class()
    }

    /// The score that is explained: classes, pixels, and their names and numbers.
    pub fn target(&self) -> &Target<D> {
        &self.target
    }

    /// Name of the method; `seg-…` if it was asked about a pixel set.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The explained score of each image: the class's logits summed over the pixel set.
    pub fn score(&self) -> &[f64] {
        &self.score
    }

    /// Shape of the network's input, `[N, C, …]`.
    pub fn input_shape(&self) -> [usize; D] {
        self.input_shape
    }

    /// What computed the gradients.
    pub fn engine(&self) -> &EngineKind {
        &self.engine
    }

    /// The device on which it ran.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// The largest value of each image as `[N, 1, …, 1]`; 1 where there is none above zero.
fn largest<const D: usize>(map: &Tensor<D>) -> Tensor<D> {
    let largest = reduce(map, |rows| rows.max_dim(1));
    let nothing = largest.clone().lower_equal_elem(0.0);
    largest.mask_fill(nothing, 1.0)
}

fn smallest<const D: usize>(map: &Tensor<D>) -> Tensor<D> {
    reduce(map, |rows| rows.min_dim(1))
}

fn reduce<const D: usize>(map: &Tensor<D>, by: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = map.dims()[0];
    by(map.clone().reshape([shape[0] as i32, -1])).reshape(shape)
}

/// What rounding can leave of magnitudes that cancel, for each image.
fn rounding<const D: usize>(map: &Tensor<D>, magnitude: &[f64]) -> Vec<f64> {
    let epsilon = map.dtype().finfo().map_or(0.0, |info| info.epsilon);
    let rounding = magnitude.iter().map(|largest| ULPS * epsilon * largest);
    rounding.map(|rounding| if rounding.is_finite() { rounding } else { 0.0 }).collect()
}

/// Smallest and largest value of each image.
fn extremes<const D: usize>(map: &Tensor<D>) -> Vec<(f64, f64)> {
    let rows: Tensor<2> = map.clone().reshape([map.dims()[0] as i32, -1]);
    let both = Tensor::cat(vec![rows.clone().min_dim(1), rows.max_dim(1)], 1).into_data();
    let both: Vec<f64> = both.iter::<f64>().collect();
    both.chunks(2).map(|both| (both[0], both[1])).collect()
}
