use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Axes, ChannelRecipe, Orientation, Scale};

/// `plans.json`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Plans {
    image_reader_writer: String,
    transpose_forward: [usize; 3],
    pub(super) configurations: BTreeMap<String, Map<String, Value>>,
    #[serde(alias = "foreground_intensity_properties_by_modality", default)]
    foreground_intensity_properties_per_channel: BTreeMap<String, Intensities>,
}

#[derive(Debug, Clone, Deserialize)]
struct Intensities {
    mean: f64,
    std: f64,
    percentile_00_5: f64,
    percentile_99_5: f64,
}

/// A part of `plans.json`, with what it inherits.
#[derive(Deserialize)]
pub(super) struct Configuration {
    pub(super) preprocessor_name: String,
    pub(super) spacing: Vec<f64>,
    pub(super) patch_size: Vec<usize>,
    pub(super) normalization_schemes: Vec<String>,
    pub(super) use_mask_for_norm: Vec<bool>,
    #[serde(default)]
    pub(super) resampling_fn_data: String,
    #[serde(default)]
    pub(super) previous_stage: Option<String>,
}

impl Plans {
    /// The fields of a [`Configuration`], with what it inherits.
    pub(super) fn fields(&self, name: &str) -> Result<Value, String> {
        let mut fields = Map::new();
        let mut visited = vec![];
        let mut next = Some(name);
        while let Some(name) = next {
            let Some(given) = self.configurations.get(name) else {
                let known: Vec<_> = self.configurations.keys().collect();
                return Err(format!("no configuration is {name:?}: there are {known:?}"));
            };
            if visited.contains(&name) {
                return Err(format!("configurations inherit in a circle: {visited:?}"));
            }
            visited.push(name);
            for (field, value) in given {
                fields.entry(field).or_insert_with(|| value.clone());
            }
            next = given.get("inherits_from").and_then(Value::as_str);
        }
        Ok(Value::Object(fields))
    }

    pub(super) fn orientation(&self) -> Result<Option<Orientation>, String> {
        match self.image_reader_writer.as_str() {
            "SimpleITKIO" | "NibabelIO" => Ok(None),
            "SimpleITKIOWithReorient" | "NibabelIOWithReorient" => Ok(Some(Orientation::RAS)),
            other => Err(format!(
                "image_reader_writer {other:?} reads no scans that are known; SimpleITKIO, NibabelIO and \
                 the two WithReorient do"
            )),
        }
    }

    /// nnU-Net permutes arrays whose axes are `zyx`.
    pub(super) fn axes(&self) -> Result<Axes, String> {
        let order = self.transpose_forward;
        let axes = order.iter().all(|axis| *axis < 3).then(|| order.map(|axis| 2 - axis));
        axes.and_then(Axes::of).ok_or_else(|| {
            format!("transpose_forward {order:?} does not have 0, 1 and 2 once each")
        })
    }

    pub(super) fn channel(
        &self,
        number: usize,
        scheme: &str,
        mask: bool,
    ) -> Result<ChannelRecipe, String> {
        let scaled = |scale| Ok(ChannelRecipe { scale, ..ChannelRecipe::default() });
        match scheme {
            "NoNormalization" => scaled(Scale::None),
            "ZScoreNormalization" if mask => scaled(Scale::ZScoreNonzeroFilled),
            "ZScoreNormalization" => scaled(Scale::ZScore),
            "RescaleTo01Normalization" => scaled(Scale::MinMax),
            "RGBTo01Normalization" => scaled(Scale::Divide { by: 255.0 }),
            "CTNormalization" => {
                let all = &self.foreground_intensity_properties_per_channel;
                let seen = all.get(&number.to_string()).ok_or_else(|| {
                    format!("foreground_intensity_properties_per_channel lacks channel {number}")
                })?;
                Ok(ChannelRecipe {
                    clip: Some([seen.percentile_00_5 as f32, seen.percentile_99_5 as f32]),
                    scale: Scale::Fixed { mean: seen.mean, std: seen.std },
                    ..ChannelRecipe::default()
                })
            }
            other => Err(format!(
                "normalization scheme {other:?} is not known: CTNormalization, ZScoreNormalization, \
                 RescaleTo01Normalization, RGBTo01Normalization and NoNormalization are"
            )),
        }
    }
}
