use serde::{Deserialize, Serialize};

use crate::ScanError;

/// The smallest spread of values that they are divided by, as in nnU-Net: constant scans become 0.
const LEAST: f64 = 1e-8;

/// How the values of a channel are scaled, after clipping.
///
/// In a card it is a word, or a table for the last two: `{ mean = 99.4, std = 39.4 }`, `{ by = 255 }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a scale is \"none\", \"z-score\", \"z-score-nonzero\", \"z-score-nonzero-filled\", \
                 \"min-max\", { mean = …, std = … } or { by = … }"
)]
#[non_exhaustive]
pub enum Scale {
    /// Values stay.
    #[default]
    None,
    /// `(value − mean) / std` with mean and standard deviation of all voxels (`n` of them, not `n − 1`).
    ZScore,
    /// The same of the voxels of the channel that are not 0; the others stay (MONAI's
    /// `NormalizeIntensity(nonzero=True, channel_wise=True)`).
    ZScoreNonzero,
    /// The same of the voxels that are not 0 in some channel, and of holes among them; the others stay
    /// (nnU-Net's `ZScoreNormalization` with `use_mask_for_norm`).
    ZScoreNonzeroFilled,
    /// From 0 to 1: the ends are those of `clip` where it is given (MONAI's `ScaleIntensityRange`), else
    /// the channel's least and largest value.
    MinMax,
    /// `(value − mean) / std` with these.
    #[serde(untagged)]
    Fixed {
        /// Becomes 0.
        mean: f64,
        /// Becomes 1.
        std: f64,
    },
    /// `value / by`.
    #[serde(untagged)]
    Divide {
        /// Becomes 1.
        by: f64,
    },
}

/// How the values of one channel become those that a network sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelRecipe {
    /// Values below the first become the first, values above the second the second: a window of CT.
    pub clip: Option<[f32; 2]>,
    /// The same at percentiles of the channel, from 0 to 100, between two values linearly (numpy's
    /// default).
    pub percentiles: Option<[f64; 2]>,
    /// How values are scaled then.
    pub scale: Scale,
}

impl ChannelRecipe {
    /// `of` is where it stands in a card, for messages.
    pub(crate) fn check(&self, of: &str) -> Result<(), ScanError> {
        let wrong = |field: &str, given: String, wanted| {
            Err(ScanError::recipe(format!("{of}{field}"), given, wanted))
        };
        if let Some(ends) = self.clip
            && !(ends.iter().all(|end| end.is_finite()) && ends[0] < ends[1])
        {
            return wrong("clip", format!("{ends:?}"), "[low, high] with low < high");
        }
        if let Some(ends) = self.percentiles
            && !(0.0 <= ends[0] && ends[0] < ends[1] && ends[1] <= 100.0)
        {
            return wrong(
                "percentiles",
                format!("{ends:?}"),
                "[low, high] with 0 ≤ low < high ≤ 100",
            );
        }
        if let (Some(_), Some(ends)) = (self.clip, self.percentiles) {
            return wrong(
                "percentiles",
                format!("{ends:?}"),
                "either clip or percentiles, not both",
            );
        }
        let above_0 = |number: f64| number.is_finite() && number > 0.0;
        match self.scale {
            Scale::Fixed { mean, std } if !(mean.is_finite() && above_0(std)) => wrong(
                "scale",
                format!("{{ mean = {mean}, std = {std} }}"),
                "a finite mean and a std above 0",
            ),
            Scale::Divide { by } if !above_0(by) => {
                wrong("scale", format!("{{ by = {by} }}"), "a number above 0")
            }
            _ => Ok(()),
        }
    }

    /// Changes the values of a channel, which are finite; `filled` says which voxels are not 0 in some
    /// channel or lie in holes among them.
    pub(crate) fn apply(&self, values: &mut [f32], filled: &[bool]) {
        let nonzero: Vec<bool> = match self.scale {
            Scale::ZScoreNonzero => values.iter().map(|value| *value != 0.0).collect(),
            Scale::ZScoreNonzeroFilled => filled.to_vec(),
            _ => vec![],
        };
        let ends = self.clip.or_else(|| self.percentiles.map(|ends| percentiles(values, ends)));
        if let Some([low, high]) = ends {
            values.iter_mut().for_each(|value| *value = value.clamp(low, high));
        }
        let (shift, divisor) = match self.scale {
            Scale::None => return,
            Scale::Fixed { mean, std } => (mean, std),
            Scale::Divide { by } => (0.0, by),
            Scale::MinMax => {
                let [low, high] = self.clip.unwrap_or_else(|| extremes(values)).map(f64::from);
                (low, (high - low).max(LEAST))
            }
            Scale::ZScore => moments(values.iter().copied()),
            Scale::ZScoreNonzero | Scale::ZScoreNonzeroFilled => {
                let inside = values.iter().zip(&nonzero).filter(|(_, inside)| **inside);
                moments(inside.map(|(value, _)| *value))
            }
        };
        let scaled = |value: f32| ((f64::from(value) - shift) / divisor) as f32;
        for (place, value) in values.iter_mut().enumerate() {
            if nonzero.get(place).copied().unwrap_or(true) {
                *value = scaled(*value);
            }
        }
    }
}

fn extremes(values: &[f32]) -> [f32; 2] {
    values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], value| {
        [low.min(*value), high.max(*value)]
    })
}

/// Mean and standard deviation, which is not 0.
fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    let squares = values.map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>();
    (mean, (squares / count).sqrt().max(LEAST))
}

/// Between the two nearest of the sorted values linearly.
fn percentiles(values: &[f32], percents: [f64; 2]) -> [f32; 2] {
    let mut values = values.to_vec();
    let last = values.len() - 1;
    percents.map(|percent| {
        let place = percent / 100.0 * last as f64;
        let (_, low, above) = values.select_nth_unstable_by(place as usize, f32::total_cmp);
        let low = f64::from(*low);
        let high = above.iter().copied().min_by(f32::total_cmp).map_or(low, f64::from);
        (low + (high - low) * place.fract()) as f32
    })
}
