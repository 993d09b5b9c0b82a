//! What pixel sets in text form need beside the prediction: annotations and instance ids.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use segcam::annotations::{GroundTruth, cityscapes_colours, cityscapes_train_id};
use segcam::components::Instances;
use segcam::pixels::Vocabulary;
use segcam::{Prediction, vocabulary};
use serde::Serialize;

/// Where annotations come from.
#[derive(Debug, Clone, Serialize)]
pub struct AnnotationFiles {
    /// The annotation: a file, or a folder with one of the same name for each input.
    pub truth: Option<PathBuf>,
    /// What its labels are.
    pub truth_map: Labels,
    /// Label of annotated pixels to leave out.
    pub ignore: u32,
    /// Whether it is resized to the network's output, by nearest pixel.
    pub truth_resize: bool,
    /// Image of instance ids, 0 for none.
    pub instances: Option<PathBuf>,
}

/// What the labels of an annotation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// The network's class numbers.
    Classes,
    /// Cityscapes label ids, for a network of train ids.
    Cityscapes,
    /// Cityscapes colours, for a network of train ids.
    CityscapesColours,
}

/// What is known of an image beside its prediction.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    /// The right class of each pixel.
    pub truth: Option<GroundTruth>,
    /// Whether `truth` is resized to the network's output, by nearest pixel.
    pub resize: bool,
    /// The instance of each pixel, 0 for none.
    pub ids: Option<GroundTruth>,
}

impl AnnotationFiles {
    /// The same with the files of one of many images where folders were given.
    ///
    /// # Errors
    /// A folder that cannot be read or has no file of the image's name.
    pub fn of_image(&self, image: &Path) -> Result<Self> {
        let [truth, instances] = [&self.truth, &self.instances]
            .map(|path| path.as_ref().map(|path| beside(path, image)).transpose());
        Ok(Self { truth: truth?, instances: instances?, ..self.clone() })
    }

    /// What the files hold.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn read(&self) -> Result<Annotations> {
        let truth = self.truth.as_deref().map(|path| {
            let labels = || Ok(GroundTruth::from_image(path)?.ignore(self.ignore));
            let truth: Result<GroundTruth> = match self.truth_map {
                Labels::Classes => labels(),
                Labels::Cityscapes => labels().map(|truth| truth.remap(cityscapes_train_id)),
                Labels::CityscapesColours => {
                    GroundTruth::from_colours(path, &cityscapes_colours()).map_err(Into::into)
                }
            };
            truth.with_context(|| cannot_use(path))
        });
        let ids = self.instances.as_deref();
        let ids = ids.map(|path| GroundTruth::from_image(path).with_context(|| cannot_use(path)));
        Ok(Annotations {
            truth: truth.transpose()?,
            resize: self.truth_resize,
            ids: ids.transpose()?,
        })
    }
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use {}", path.display())
}

impl Annotations {
    /// The words of pixel sets on this prediction, by which classes have these names.
    ///
    /// # Errors
    /// Annotations of another size, or with labels that are no classes.
    pub fn vocabulary<const D: usize>(
        &self,
        prediction: &Prediction<D>,
        classes: &[String],
    ) -> Result<Vocabulary<D>> {
        let size = prediction.size();
        let truth = self.truth.clone().map(|truth| {
            let names = ["the annotation", "the network's output", "--truth-resize"];
            let truth = fitted(truth, &size, self.resize, names)?;
            truth.check(prediction.classes())?;
            anyhow::Ok(truth)
        });
        let ids = self.ids.as_ref().map(|ids| {
            let given = ids.size();
            ensure!(given == size, "the image of ids is {given:?}, the network's output {size:?}");
            Ok(Instances::new(ids.labels(), given)?)
        });
        let words = vocabulary(truth.transpose()?.as_ref(), ids.transpose()?.as_ref());
        Ok(words.with_classes(classes.iter().map(String::as_str)))
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
///
/// # Errors
/// A folder that cannot be read or has no such file.
pub fn beside(path: &Path, image: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let files = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let of_image = |file: &PathBuf| file.is_file() && file.file_stem() == image.file_stem();
    // The first by name: the order of a folder is the file system's.
    let found = files.flatten().map(|file| file.path()).filter(of_image).min();
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    found.with_context(|| format!("{} has no file named {stem}.*", path.display()))
}
