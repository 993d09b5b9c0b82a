use std::fmt;

use burn::tensor::Tensor;

use crate::{Explanation, Normalize};

/// How the heat maps of one input become one: different layers, or different methods.
///
/// Each map is brought to `[0, 1]` by its layer's largest value and to the input's size
/// ([`Normalize::Max`]); then they are fused pixel by pixel. The result is not stretched again: 1
/// means that the maps are at their largest together.
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), Box<dyn std::error::Error>> {
/// let method = SegHiResGradCam::new(PredictedClass);
/// let (deep, fine) = (seen.explain(&method, "mid", 1)?, seen.explain(&method, "dec1", 1)?);
/// let fused = Fusion::Product.fuse([&deep, &fine])?;
/// println!("{fused}"); // product of seg-hires-grad-cam at mid, seg-hires-grad-cam at dec1
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fusion {
    /// The mean: what the maps say on average.
    #[default]
    Mean,
    /// The largest: what any of the maps says.
    Max,
    /// The product: what all of the maps say.
    Product,
}

impl Fusion {
    /// Fuses `maps` of one input.
    ///
    /// # Errors
    /// If there are none, or their inputs have different shapes.
    pub fn fuse<'a, const D: usize>(
        self,
        maps: impl IntoIterator<Item = &'a Explanation<D>>,
    ) -> Result<Fused<D>, FusionError> {
        let maps: Vec<Explanation<D>> = maps.into_iter().cloned().collect();
        let wanted = maps.first().ok_or(FusionError::Empty)?.input_shape();
        if let Some(other) = maps.iter().find(|map| map.input_shape() != wanted) {
            let (wanted, given) = (wanted.to_vec(), other.input_shape().to_vec());
            return Err(FusionError::DifferentInputs { wanted, given });
        }
        let count = maps.len() as f64;
        let each = maps.iter().map(|map| map.heat_map(Normalize::Max));
        let fused = match self {
            Self::Mean => each.reduce(|a, b| a + b).map(|sum| sum / count),
            Self::Max => each.reduce(Tensor::max_pair),
            Self::Product => each.reduce(|a, b| a * b),
        };
        let heat_map = fused.ok_or(FusionError::Empty)?;
        Ok(Fused { heat_map, fusion: self, maps })
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Product => "product",
        })
    }
}

/// Heat maps fused into one, and the maps that it is made of.
#[derive(Debug, Clone)]
pub struct Fused<const D: usize = 4> {
    heat_map: Tensor<D>,
    fusion: Fusion,
    maps: Vec<Explanation<D>>,
}

impl<const D: usize> Fused<D> {
    /// The fused heat map in `[0, 1]`, `[N, 1, …]` at the input's size.
    pub fn heat_map(&self) -> &Tensor<D> {
        &self.heat_map
    }

    /// How it was fused.
    pub fn fusion(&self) -> Fusion {
        self.fusion
    }

    /// What was fused, in the order given.
    pub fn maps(&self) -> &[Explanation<D>] {
        &self.maps
    }
}

impl<const D: usize> fmt::Display for Fused<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let maps = self.maps.iter().map(|map| format!("{} at {}", map.method(), map.layer()));
        write!(f, "{} of {}", self.fusion, maps.collect::<Vec<_>>().join(", "))
    }
}

/// Why maps cannot be fused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FusionError {
    /// There are no maps.
    #[error("there are no maps to fuse")]
    Empty,

    /// The maps explain inputs of different shapes.
    #[error("maps of different inputs cannot be fused: shapes {wanted:?} and {given:?}")]
    DifferentInputs {
        /// Input shape of the first map.
        wanted: Vec<usize>,
        /// Input shape of the one that differs.
        given: Vec<usize>,
    },
}
