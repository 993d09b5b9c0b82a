use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::nonzero::{nonzero_box, nonzero_filled};
use crate::{Axes, ChannelRecipe, Grid, Orientation, PreparedScan, Scale, Scan, ScanError};

/// The most voxels that a scan is resampled to: 8 GiB for each channel.
const MOST_VOXELS: usize = 1 << 31;

/// Which part of a scan a network sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Crop {
    /// All of it.
    #[default]
    None,
    /// The smallest box with all voxels that are not 0 in some channel, as nnU-Net has it. A scan of
    /// nothing but zeros stays whole.
    Nonzero,
}

/// How a scan becomes what a network takes: a section of a card, in which everything may be left out.
///
/// In this order: the scan is turned, cropped, its values are clipped and scaled, it is resampled, and
/// its axes are put into the network's order. So does nnU-Net. Pipelines of MONAI often resample before
/// they clip: around edges of what is clipped their values differ from these.
///
/// ```
/// use segcam_scans::{Grid, Recipe, Scan};
///
/// let recipe: Recipe = toml::from_str(r#"
///     orientation = "RAS"
///     spacing = [1.5, 1.5, 2.0]
///     crop = "nonzero"
///     clip = [-160, 240]
///     scale = "min-max"
///     axes = "xyz"
/// "#)?;
/// let grid = Grid::new([3, 2, 1], [[-1.5, 0., 0., 0.], [0., 1.5, 0., 0.], [0., 0., 2., 0.]])?;
/// let scan = Scan::new(grid, 1, vec![40.0, 240.0, 0.0, 40.0, 900.0, 0.0])?;
/// let prepared = recipe.apply(&scan)?;
/// let (values, sides) = prepared.input();
/// assert_eq!(sides, [1, 2, 2, 1]);
/// // The network says where it looks, and that lies on the scan again, with 0 outside of the crop.
/// let back = prepared.back(&values, segcam_scans::Interpolation::Nearest)?;
/// assert_eq!(back, [0.5, 1.0, 0.0, 0.5, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Where axes point. The scan is turned without changing a value; as it is stored unless this is set.
    pub orientation: Option<Orientation>,
    /// Millimetres between voxels along `(i, j, k)` after turning; as they are unless this is set.
    /// Resampled trilinearly with [`Grid::with_spacing`], so that the faces of the box stay; nnU-Net
    /// interpolates with cubic splines, and its values differ a little.
    pub spacing: Option<[f64; 3]>,
    /// Which part is used.
    pub crop: Crop,
    /// Values are clipped to these, in every channel; see [`ChannelRecipe::clip`].
    pub clip: Option<[f32; 2]>,
    /// Values are clipped to these percentiles of each channel; see [`ChannelRecipe::percentiles`].
    pub percentiles: Option<[f64; 2]>,
    /// How values are scaled, in every channel by itself.
    pub scale: Scale,
    /// A recipe for each channel, instead of `clip`, `percentiles` and `scale` for all.
    pub channels: Vec<ChannelRecipe>,
    /// The order of the network's sides.
    pub axes: Axes,
}

impl Recipe {
    /// Prepares a scan.
    ///
    /// # Errors
    /// Numbers that make no sense, recipes for another number of channels, values that are not finite,
    /// and a spacing of too many voxels.
    pub fn apply(&self, scan: &Scan) -> Result<PreparedScan, ScanError> {
        let channels = self.of_channels(scan.channels())?;
        expect_finite(scan)?;
        let original = scan.grid().clone();
        let orientation = self.orientation.unwrap_or_else(|| original.orientation());
        let turned = match orientation == original.orientation() {
            true => Cow::Borrowed(scan),
            false => Cow::Owned(scan.reoriented(orientation)),
        };
        let start_and_size = match self.crop {
            Crop::None => None,
            Crop::Nonzero => nonzero_box(&turned),
        };
        let (start, size) = start_and_size.unwrap_or(([0; 3], turned.grid().size()));
        let cropped = match size == turned.grid().size() {
            true => turned,
            false => Cow::Owned(turned.cropped(start, size)?),
        };
        let grid = self.resampled_grid(cropped.grid())?;
        let scaled = scaled(&cropped, &channels)?;
        PreparedScan::new(scaled, grid, original, orientation, start, self.axes)
    }

    /// What is done to each channel.
    fn of_channels(&self, count: usize) -> Result<Vec<ChannelRecipe>, ScanError> {
        let Self { clip, percentiles, scale, .. } = *self;
        let all = ChannelRecipe { clip, percentiles, scale };
        if self.channels.is_empty() {
            all.check("")?;
            return Ok(vec![all; count]);
        }
        let given = self.channels.len();
        if all != ChannelRecipe::default() {
            let wanted = "either these or clip, percentiles and scale for all channels, not both";
            return Err(ScanError::recipe("channels", format!("{given} recipes"), wanted));
        }
        if given != count {
            let wanted = format!("one for each of the scan's {count} channel(s)");
            return Err(ScanError::recipe("channels", format!("{given} recipes"), wanted));
        }
        for (number, channel) in self.channels.iter().enumerate() {
            channel.check(&format!("channels[{number}]."))?;
        }
        Ok(self.channels.clone())
    }

    fn resampled_grid(&self, grid: &Grid) -> Result<Grid, ScanError> {
        let Some(spacing) = self.spacing else { return Ok(grid.clone()) };
        let wrong = |wanted| Err(ScanError::recipe("spacing", format!("{spacing:?}"), wanted));
        if !spacing.iter().all(|step| step.is_finite() && *step > 0.0) {
            return wrong("three numbers of millimetres above 0".to_owned());
        }
        let (old, size) = (grid.spacing(), grid.size());
        let sides: [f64; 3] =
            std::array::from_fn(|axis| (old[axis] / spacing[axis] * size[axis] as f64).max(1.0));
        if sides.iter().product::<f64>() > MOST_VOXELS as f64 {
            return wrong(format!(
                "at most {MOST_VOXELS} voxels, not {:.3e}; the scan has {size:?} of {old:?} mm",
                sides.iter().product::<f64>()
            ));
        }
        grid.with_spacing(spacing)
    }
}

fn scaled(scan: &Scan, channels: &[ChannelRecipe]) -> Result<Scan, ScanError> {
    let masked = channels.iter().any(|channel| channel.scale == Scale::ZScoreNonzeroFilled);
    let filled = if masked { nonzero_filled(scan) } else { vec![] };
    let mut values = scan.values().to_vec();
    for (channel, values) in channels.iter().zip(values.chunks_exact_mut(scan.grid().voxels())) {
        channel.apply(values, &filled);
    }
    scan.with_values(scan.channels(), values)
}

fn expect_finite(scan: &Scan) -> Result<(), ScanError> {
    let Some(place) = scan.values().iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    let ([width, height, _], voxels) = (scan.grid().size(), scan.grid().voxels());
    let (channel, voxel) = (place / voxels, place % voxels);
    let at = [voxel % width, voxel / width % height, voxel / width / height];
    Err(ScanError::Mismatch(format!(
        "the value {} of voxel {at:?}, channel {channel}, is not finite, which no network can use: \
         give it a value with Scan::with_values",
        scan.values()[place]
    )))
}
