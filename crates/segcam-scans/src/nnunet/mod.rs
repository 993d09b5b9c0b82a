mod dataset;
mod plans;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use self::dataset::Dataset;
use self::plans::{Configuration, Plans};
use crate::{Axes, ChannelRecipe, Crop, Grid, Orientation, Recipe, ScanError};

/// What nnU-Net (version 2) planned for its networks: `plans.json` and `dataset.json` of the folder of a
/// trained model.
///
/// ```no_run
/// use segcam_scans::{NnUnetPlans, Scan};
///
/// let plans = NnUnetPlans::open("Dataset009_Spleen/nnUNetTrainer__nnUNetPlans__3d_fullres")?;
/// let network = plans.configuration("3d_fullres")?;
/// let scan = Scan::open("ct.nii.gz")?;
/// let prepared = network.recipe(scan.grid()).apply(&scan)?;
/// println!("{:?} through windows of {:?}", plans.classes(), network.patch_size());
/// # Ok::<(), segcam_scans::ScanError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NnUnetPlans {
    path: PathBuf,
    plans: Plans,
    classes: Vec<String>,
    by_region: bool,
    channels: Vec<String>,
}

/// What one of nnU-Net's configurations takes, such as `3d_fullres` or `2d`.
#[derive(Debug, Clone, PartialEq)]
pub struct NnUnetConfiguration {
    orientation: Option<Orientation>,
    axes: Axes,
    /// In the network's order; none where the scan's own stays.
    spacing: [Option<f64>; 3],
    patch_size: Vec<usize>,
    channels: Vec<ChannelRecipe>,
}

impl NnUnetPlans {
    /// Reads `plans.json` and `dataset.json` in a folder.
    ///
    /// # Errors
    /// Files that cannot be read or are not as nnU-Net 2 writes them.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ScanError> {
        let [path, dataset_path] =
            ["plans.json", "dataset.json"].map(|name| folder.as_ref().join(name));
        let (plans, dataset): (Plans, Dataset) = (read(&path)?, read(&dataset_path)?);
        if !dataset.channel_names.keys().copied().eq(0..dataset.channel_names.len()) {
            let given: Vec<_> = dataset.channel_names.keys().collect();
            return Err(ScanError::format(
                &dataset_path,
                format!("channel_names has {given:?}, not numbers from 0 without a gap"),
            ));
        }
        let classes = dataset.labels.classes();
        let classes = classes.map_err(|reason| ScanError::format(&dataset_path, reason))?;
        Ok(Self {
            path,
            plans,
            classes,
            by_region: dataset.labels.by_region(),
            channels: dataset.channel_names.into_values().collect(),
        })
    }

    /// Names of the network's outputs, in order: labels with the background, or regions without it.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Whether the outputs are regions, which may overlap: a sigmoid for each and no softmax.
    pub fn by_region(&self) -> bool {
        self.by_region
    }

    /// Names of the channels that the network takes.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }

    /// Names of what is planned, such as `2d` and `3d_fullres`.
    pub fn configurations(&self) -> impl Iterator<Item = &str> {
        self.plans.configurations.keys().map(String::as_str)
    }

    /// What one configuration takes.
    ///
    /// # Errors
    /// An unknown name, and what a recipe cannot say: files other than scans, other preprocessors and
    /// normalisations than nnU-Net's, the second network of a cascade, which takes the first's result.
    pub fn configuration(&self, name: &str) -> Result<NnUnetConfiguration, ScanError> {
        let wrong = |reason: String| ScanError::format(&self.path, format!("{name}: {reason}"));
        let planned = self.plans.fields(name).map_err(wrong)?;
        let planned: Configuration = serde_json::from_value(planned).map_err(|source| {
            ScanError::Json { path: self.path.clone(), what: name.into(), source }
        })?;
        if planned.preprocessor_name != "DefaultPreprocessor" {
            return Err(wrong(format!(
                "preprocessor_name {:?} is not known, DefaultPreprocessor is",
                planned.preprocessor_name
            )));
        }
        if let Some(first) = planned.previous_stage {
            return Err(wrong(format!(
                "it takes the result of {first} as channels, too; {first} by itself can be used"
            )));
        }
        let spacing = match *planned.spacing {
            [a, b, c] if planned.patch_size.len() == 3 => [Some(a), Some(b), Some(c)],
            [b, c] if planned.patch_size.len() == 2 => [None, Some(b), Some(c)],
            _ => {
                return Err(wrong(format!(
                    "spacing {:?} and patch_size {:?} do not have two or three sides",
                    planned.spacing, planned.patch_size
                )));
            }
        };
        let (count, schemes) = (self.channels.len(), planned.normalization_schemes);
        if [schemes.len(), planned.use_mask_for_norm.len()] != [count; 2] {
            let masks = planned.use_mask_for_norm;
            return Err(wrong(format!(
                "normalization_schemes {schemes:?} and use_mask_for_norm {masks:?} are not for the \
                 {count} channel(s) of dataset.json"
            )));
        }
        let masked = planned.use_mask_for_norm.into_iter();
        let channels = schemes.iter().zip(masked).enumerate();
        let channels = channels.map(|(number, (scheme, mask))| {
            self.plans.channel(number, scheme, mask).map_err(wrong)
        });
        let resampled = !planned.resampling_fn_data.starts_with("no_resampling");
        Ok(NnUnetConfiguration {
            orientation: self.plans.orientation().map_err(wrong)?,
            axes: self.plans.axes().map_err(wrong)?,
            spacing: if resampled { spacing } else { [None; 3] },
            patch_size: planned.patch_size,
            channels: channels.collect::<Result<_, _>>()?,
        })
    }
}

impl NnUnetConfiguration {
    /// How a scan becomes the network's input, in nnU-Net's order of steps. Resampling is trilinear, and
    /// nnU-Net's is cubic: values between voxels differ a little.
    ///
    /// The scan's grid is needed for `2d`, which keeps the distance between slices.
    pub fn recipe(&self, grid: &Grid) -> Recipe {
        let turned = grid.reoriented(self.orientation.unwrap_or_else(|| grid.orientation()));
        let own = self.axes.to_sides(turned.spacing());
        let spacing = std::array::from_fn(|side| self.spacing[side].unwrap_or(own[side]));
        Recipe {
            orientation: self.orientation,
            spacing: Some(self.axes.to_axes(spacing)),
            crop: Crop::Nonzero,
            channels: self.channels.clone(),
            axes: self.axes,
            ..Recipe::default()
        }
    }

    /// The size of the windows through which the network sees a scan, in its order; two sides for `2d`,
    /// whose windows are slices across the first of the recipe's sides.
    pub fn patch_size(&self) -> &[usize] {
        &self.patch_size
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ScanError> {
    let text = std::fs::read_to_string(path).map_err(|source| ScanError::file(path, source))?;
    serde_json::from_str(&text).map_err(|source| ScanError::Json {
        path: path.into(),
        what: "it is not as nnU-Net 2 writes it".into(),
        source,
    })
}
