use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::checks::{expect_shape, finite};
use crate::{CamError, EngineKind, Explanation, Quantity, Target, guarded};

/// An [`Explanation`] as plain values, to be kept in a file (feature `serde`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExplanationData {
    /// The signed map at layer resolution, `[N, 1, …]`.
    pub raw: TensorData,
    /// How large rounding can be in each image's map.
    pub rounding: Vec<f64>,
    /// What the cells of the layer add up to, of each image.
    pub total: Vec<f64>,
    /// The explained layer.
    pub layer: String,
    /// Name of the method.
    pub method: String,
    /// The class whose score is explained, then those that are subtracted, with their factors.
    pub classes: Vec<(usize, f64)>,
    /// The weights of the output pixels, `[N, 1, …]`.
    pub weights: TensorData,
    /// Name of the pixel set.
    pub pixel_set: String,
    /// Whether the set is the whole image.
    pub whole_image: bool,
    /// The explained score of each image.
    pub score: Vec<f64>,
    /// Shape of the network's input, `[N, C, …]`.
    pub input_shape: Vec<usize>,
    /// What computed the gradients.
    pub engine: EngineKind,
}

impl<const D: usize> Explanation<D> {
    /// The explanation as plain values.
    ///
    /// # Errors
    /// [`CamError::Backend`] if the device is lost.
    ///
    /// # Example
    /// ```no_run
    /// # use segcam_core::*;
    /// # fn example(map: Explanation) -> Result<(), CamError> {
    /// let device = map.device().clone();
    /// let kept = map.to_data()?; // serde writes it and reads it back
    /// let again = Explanation::<4>::from_data(kept, &device)?;
    /// assert_eq!(again.range(), map.range());
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_data(&self) -> Result<ExplanationData, CamError> {
        let target = self.target();
        guarded(|| {
            Ok(ExplanationData {
                raw: self.raw().to_data(),
                rounding: self.rounding().to_vec(),
                total: self.total(),
                layer: self.layer().to_string(),
                method: self.method().to_string(),
                classes: target.classes().to_vec(),
                weights: target.weights().to_data(),
                pixel_set: target.name().to_string(),
                whole_image: target.is_whole_image(),
                score: self.score().to_vec(),
                input_shape: self.input_shape().to_vec(),
                engine: self.engine().clone(),
            })
        })
    }

    /// The explanation of such values. No observation knows it, so that it cannot be certified.
    ///
    /// # Errors
    /// [`CamError::ShapeMismatch`], [`CamError::NonFinite`], [`CamError::EmptyPixelSet`], or
    /// [`CamError::PixelSet`] without a class.
    pub fn from_data(data: ExplanationData, device: &Device) -> Result<Self, CamError> {
        let shape = |what, given: &[usize]| {
            let mismatch =
                |_| CamError::ShapeMismatch { what, wanted: vec![1; D], given: given.to_vec() };
            <[usize; D]>::try_from(given).map_err(mismatch)
        };
        let input_shape = shape("the input", &data.input_shape)?;
        let [raw, weights] = [("the map", &data.raw), ("the target's pixels", &data.weights)]
            .map(|(what, values)| shape(what, values.shape()));
        let (raw_shape, weights_shape) = (raw?, weights?);
        for (what, numbers) in [
            ("the rounding", &data.rounding),
            ("the total", &data.total),
            ("the score", &data.score),
        ] {
            if numbers.len() != input_shape[0] {
                let (wanted, given) = (vec![input_shape[0]], vec![numbers.len()]);
                return Err(CamError::ShapeMismatch { what, wanted, given });
            }
        }
        guarded(|| {
            let raw = Tensor::from_data(data.raw, device);
            let weights: Tensor<D> = Tensor::from_data(data.weights, device);
            let one_channel = |mut shape: [usize; D]| {
                (shape[0], shape[1]) = (input_shape[0], 1);
                shape
            };
            expect_shape("the map", &raw, one_channel(raw_shape))?;
            expect_shape("the target's pixels", &weights, one_channel(weights_shape))?;
            finite(&raw, || Quantity::Map(data.method.clone()))?;
            finite(&weights, || Quantity::PixelSet(data.pixel_set.clone()))?;
            let target =
                Target::of_values(data.classes, weights, data.pixel_set, data.whole_image)?;
            let (layer, method) = (data.layer, data.method);
            let map = (raw, data.rounding, data.total);
            Ok(Self::restored(map, layer, target, method, data.score, input_shape, data.engine))
        })
    }
}
