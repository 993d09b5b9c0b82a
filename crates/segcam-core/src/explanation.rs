use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::{Target, upsample};

/// What one map says about its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapStatus {
    /// Some cell supports the class: there is a heat map.
    Positive,
    /// Every cell is exactly zero: the layer does not influence the score.
    AllZero,
    /// No cell supports the class and some speak against it: the heat map is empty.
    AllNegative,
}

impl std::fmt::Display for MapStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Positive => "positive",
            Self::AllZero => "all-zero",
            Self::AllNegative => "all-negative",
        })
    }
}

/// How a heat map is brought to a common scale, each image of a batch by itself.
///
/// A map without positive cells stays all zero under each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalize {
    /// Divide by the layer's largest value: 0 stays 0, and a value times that largest value is the
    /// map's own unit.
    #[default]
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
            Self::Max => "max",
            Self::MinMax => "min-max",
            Self::None => "none",
        })
    }
}

/// Which pixels a map explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelSetSummary {
    /// Name of the pixel set.
    pub name: String,
    /// Number of pixels in the set, for each image of the batch.
    pub sizes: Vec<usize>,
}

/// A class activation map and everything needed to read it.
#[derive(Debug, Clone)]
pub struct Explanation<const D: usize = 4> {
    pub(crate) raw: Tensor<D>,
    pub(crate) range: Vec<(f64, f64)>,
    pub(crate) layer: String,
    pub(crate) target: Target<D>,
    pub(crate) method: String,
    pub(crate) pixels: PixelSetSummary,
    pub(crate) score: Vec<f64>,
    pub(crate) input_shape: [usize; D],
    pub(crate) engine: String,
    pub(crate) device: String,
}

impl<const D: usize> Explanation<D> {
    /// The signed map at layer resolution, `[N, 1, …]`, in units of the score. It stays on the
    /// network's device; reading it from one that may be lost, such as a remote one, is safe within
    /// [`guarded`](crate::guarded).
    pub fn raw(&self) -> &Tensor<D> {
        &self.raw
    }

    /// Whether each image's map has anything to show.
    pub fn status(&self) -> Vec<MapStatus> {
        let status = |&(low, high): &(f64, f64)| match (low < 0.0, high > 0.0) {
            (_, true) => MapStatus::Positive,
            (true, false) => MapStatus::AllNegative,
            (false, false) => MapStatus::AllZero,
        };
        self.range.iter().map(status).collect()
    }

    /// Smallest and largest raw value of each image's map.
    pub fn range(&self) -> &[(f64, f64)] {
        &self.range
    }

    pub(crate) fn with_raw(self, raw: Tensor<D>) -> Self {
        Self { range: extremes(&raw), raw, ..self }
    }

    /// The map as people look at it, `[N, 1, …]` at input resolution: ReLU, normalise, upsample.
    ///
    /// [`Normalize::MinMax`] normalises again after upsampling, as pytorch-grad-cam does, so that
    /// the result spans `[0, 1]`. Upsampling is bi- or trilinear with half-pixel centres.
    pub fn heat_map(&self, normalize: Normalize) -> Tensor<D> {
        let positive = relu(self.raw.clone());
        let size = &self.input_shape[2..];
        match normalize {
            Normalize::None => upsample(positive, size),
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
        self.target.class
    }

    /// The explained score: the class, the class it is compared with, and the weight of each pixel.
    pub fn target(&self) -> &Target<D> {
        &self.target
    }

    /// Name of the method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The pixels whose score is explained.
    pub fn pixels(&self) -> &PixelSetSummary {
        &self.pixels
    }

    /// The explained score of each image: the class's logits summed over the pixel set.
    pub fn score(&self) -> &[f64] {
        &self.score
    }

    /// Shape of the network's input, `[N, C, …]`.
    pub fn input_shape(&self) -> [usize; D] {
        self.input_shape
    }

    /// Name of the engine that computed the gradients.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// The device on which it ran.
    pub fn device(&self) -> &str {
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

/// Smallest and largest value of each image.
pub(crate) fn extremes<const D: usize>(map: &Tensor<D>) -> Vec<(f64, f64)> {
    let rows: Tensor<2> = map.clone().reshape([map.dims()[0] as i32, -1]);
    let both = Tensor::cat(vec![rows.clone().min_dim(1), rows.max_dim(1)], 1).into_data();
    let both: Vec<f64> = both.iter::<f64>().collect();
    both.chunks(2).map(|both| (both[0], both[1])).collect()
}
