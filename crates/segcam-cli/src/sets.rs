use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use segcam::annotations::{GroundTruth, cityscapes_colours, cityscapes_train_id};
use segcam::components::Instances;
use segcam::pixels::Vocabulary;
use segcam::{Prediction, vocabulary};
use serde::Serialize;

use crate::model::Model;

/// What pixel sets in text form need beside the prediction.
#[derive(Debug, Clone, Serialize, clap::Args)]
pub(crate) struct SetArgs {
    /// Annotation for the sets truth, tp, fp, fn, tn: gray or indexed PNG or TIFF, one label for
    /// each pixel; for many images a folder with one of the same name for each
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,

    /// What the annotation's labels are, if not the network's class numbers
    #[arg(long, value_name = "WHAT", value_enum, requires = "truth")]
    truth_map: Option<TruthMap>,

    /// Label of annotated pixels to leave out
    #[arg(long, value_name = "LABEL", default_value_t = 255)]
    ignore: u32,

    /// Resize the annotation to the network's output, by nearest pixel
    #[arg(long, requires = "truth")]
    truth_resize: bool,

    /// Image of instance ids for the sets instance:N and instances: gray PNG or TIFF, 0 for none
    #[arg(long, value_name = "FILE")]
    instances: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum TruthMap {
    /// Cityscapes label ids (…_labelIds.png) for a network of train ids
    Cityscapes,
    /// Cityscapes colours (…_color.png) for a network of train ids
    CityscapesColours,
}

impl SetArgs {
    /// The same with the annotation of one of many images where a folder of them was given.
    pub(crate) fn of_image(&self, image: &Path) -> Result<Self> {
        let [truth, instances] = [&self.truth, &self.instances]
            .map(|path| path.as_ref().map(|path| beside(path, image)).transpose());
        Ok(Self { truth: truth?, instances: instances?, ..self.clone() })
    }

    /// The words of pixel sets, with the annotations that were given.
    pub(crate) fn vocabulary<const D: usize>(
        &self,
        model: &Model,
        prediction: &Prediction<D>,
    ) -> Result<Vocabulary<D>> {
        let truth = self.truth.as_ref().map(|path| {
            self.truth(path, prediction).with_context(|| format!("cannot use {}", path.display()))
        });
        let instances = self.instances.as_ref().map(|path| {
            instances(path, prediction).with_context(|| format!("cannot use {}", path.display()))
        });
        let (truth, instances) = (truth.transpose()?, instances.transpose()?);
        let words = vocabulary(truth.as_ref(), instances.as_ref());
        Ok(words.with_classes(model.classes.iter().map(String::as_str)))
    }

    fn truth<const D: usize>(
        &self,
        path: &Path,
        prediction: &Prediction<D>,
    ) -> Result<GroundTruth> {
        let truth = match self.truth_map {
            None => GroundTruth::from_image(path)?.ignore(self.ignore),
            Some(TruthMap::Cityscapes) => {
                GroundTruth::from_image(path)?.ignore(self.ignore).remap(cityscapes_train_id)
            }
            Some(TruthMap::CityscapesColours) => {
                GroundTruth::from_colours(path, &cityscapes_colours())?
            }
        };
        let names = ["the annotation", "the network's output", "--truth-resize"];
        let truth = fitted(truth, &prediction.size(), self.truth_resize, names)?;
        truth.check(prediction.classes())?;
        Ok(truth)
    }
}

/// An annotation of this size, resized only if that was asked for. `names`: what it is, what has the
/// size, and the option that resizes.
pub(crate) fn fitted(
    image: GroundTruth,
    size: &[usize],
    resize: bool,
    [what, whole, option]: [&str; 3],
) -> Result<GroundTruth> {
    let image = if resize { image.resized(size)? } else { image };
    let given = image.size();
    ensure!(
        given == size,
        "{what} is {given:?} (rows, columns), {whole} {size:?}: {option} takes the nearest pixel"
    );
    Ok(image)
}

/// The file itself, or the one in a folder that has the image's name, whatever its extension.
pub(crate) fn beside(path: &Path, image: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let mut files =
        fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let of_image = |file: &PathBuf| file.is_file() && file.file_stem() == image.file_stem();
    let found = files.find_map(|file| Some(file.ok()?.path()).filter(of_image));
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    found.with_context(|| format!("{} has no file named {stem}.*", path.display()))
}

fn instances<const D: usize>(path: &Path, prediction: &Prediction<D>) -> Result<Instances> {
    let ids = GroundTruth::from_image(path)?;
    let size = prediction.size();
    let given = ids.size();
    ensure!(given == size, "the image of ids is {given:?}, the network's output {size:?}");
    Ok(Instances::new(ids.labels(), given)?)
}
