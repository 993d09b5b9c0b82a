//! What pixel sets in text form need beside the prediction: annotations and instance ids.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use segcam::annotations::{GroundTruth, cityscapes_colours, cityscapes_train_id};
use segcam::components::Instances;
use segcam::models::Placement;
use segcam::pixels::Vocabulary;
use segcam::{Observation, vocabulary};
use serde::Serialize;

use crate::beside::Folders;
use crate::read::Input;
use crate::scan::{ScanInput, is_scan};

/// Where annotations come from.
#[derive(Debug, Clone, Serialize)]
pub struct AnnotationFiles {
    /// The annotation: a file, or a folder with one of the same name for each input.
    pub truth: Option<PathBuf>,
    /// What its labels are.
    pub truth_map: Labels,
    /// Which annotated pixels are left out.
    pub ignore: Ignore,
    /// Whether it is resized to the image, by nearest pixel.
    pub truth_resize: bool,
    /// Image of instance ids, 0 for none.
    pub instances: Option<PathBuf>,
}

/// What the labels of an annotation are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// The network's class numbers.
    Classes,
    /// Cityscapes label ids, for a network of train ids.
    Cityscapes,
    /// Cityscapes colours, for a network of train ids.
    CityscapesColours,
    /// Numbers that stand for other numbers; those not listed stand for themselves.
    Listed(BTreeMap<u32, u32>),
    /// The same, but all that are not listed stand for the second.
    ListedAnd(BTreeMap<u32, u32>, u32),
}

/// Which annotated pixels are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ignore {
    /// Those of label 255, unless that is a class; but where 0 and one other label are all that there
    /// is, the other one is the foreground of a network of two classes.
    #[default]
    Auto,
    /// None.
    Nothing,
    /// Those of this label.
    Label(u32),
}

/// The label that many data sets leave out, and that many tools write for foreground.
const VOID: u32 = 255;

/// What is known of an image beside its prediction, at the size of the network's output.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    /// The right class of each pixel.
    pub truth: Option<GroundTruth>,
    /// The instance of each pixel, 0 for none.
    pub ids: Option<GroundTruth>,
    /// The scan, whose places can be given in millimetres.
    pub scan: Option<Arc<ScanInput>>,
    /// How the annotation was understood.
    pub notes: Vec<String>,
}

impl AnnotationFiles {
    /// The same with the files of one of many images where folders were given.
    ///
    /// # Errors
    /// A folder that cannot be read or has no file of the image's name.
    pub fn of_image(&self, image: &Path, folders: &Folders) -> Result<Self> {
        let [truth, instances] = [&self.truth, &self.instances]
            .map(|path| path.as_ref().map(|path| folders.beside(path, image)).transpose());
        Ok(Self { truth: truth?, instances: instances?, ..self.clone() })
    }

    /// What the files say of an input and its prediction: whatever was done to the image for the
    /// network is done to them.
    ///
    /// # Errors
    /// Files that cannot be read, have another size than the image and the network's output, or hold
    /// labels that could mean several things.
    pub fn read<const D: usize>(
        &self,
        input: &Input<D>,
        seen: &Observation<D>,
    ) -> Result<Annotations> {
        let prediction = seen.prediction();
        let size = prediction.size();
        let place = Place {
            placement: input.placement(),
            input: &input.tensor.dims()[2..],
            size: &size,
            what: "the network's output",
            resize: self.truth_resize,
            option: "--truth-resize",
        };
        let mut notes = vec![];
        // A scan's voxels go the way of the input's; images wait for their place.
        let plain = |path: &Path| match &input.scan {
            Some(scan) if is_scan(path) => {
                let size = &input.tensor.dims()[2..];
                let on_input = scan.annotation(path, size, self.truth_resize)?;
                Ok(on_input.resized(size)?)
            }
            _ => Ok(GroundTruth::from_image(path)?),
        };
        let mut read = |path: &Path| {
            let truth = self.labels(path, plain, prediction.classes(), &mut notes)?;
            let truth = place.put(truth, GroundTruth::IGNORED)?;
            truth.check(prediction.classes())?;
            anyhow::Ok(truth)
        };
        let truth = self.truth.as_deref();
        let truth = truth.map(|path| read(path).with_context(|| cannot_use(path))).transpose()?;
        let ids = self.instances.as_deref().map(|path| {
            plain(path).and_then(|ids| place.put(ids, 0)).with_context(|| cannot_use(path))
        });
        Ok(Annotations { truth, ids: ids.transpose()?, scan: input.scan.clone(), notes })
    }

    /// The labels as the network's class numbers.
    fn labels(
        &self,
        path: &Path,
        plain: impl Fn(&Path) -> Result<GroundTruth>,
        classes: usize,
        notes: &mut Vec<String>,
    ) -> Result<GroundTruth> {
        let left_out = |truth: GroundTruth| match self.ignore {
            Ignore::Label(label) => truth.ignore(label),
            Ignore::Nothing => truth,
            Ignore::Auto => truth.ignore(VOID),
        };
        let truth = match &self.truth_map {
            Labels::Cityscapes => left_out(plain(path)?).remap(cityscapes_train_id),
            Labels::CityscapesColours => GroundTruth::from_colours(path, &cityscapes_colours())?,
            Labels::Listed(map) => {
                let truth = plain(path)?.remap(|label| Some(*map.get(&label).unwrap_or(&label)));
                let is_class = classes > VOID as usize || map.values().any(|to| *to == VOID);
                match self.ignore {
                    Ignore::Auto if is_class => truth,
                    _ => left_out(truth),
                }
            }
            Labels::ListedAnd(map, rest) => {
                let truth = match self.ignore {
                    Ignore::Label(label) => plain(path)?.ignore(label),
                    _ => plain(path)?,
                };
                truth.remap(|label| Some(*map.get(&label).unwrap_or(rest)))
            }
            Labels::Classes => match self.ignore {
                Ignore::Auto => understood(plain(path)?, classes, notes)?,
                _ => left_out(plain(path)?),
            },
        };
        let ignored = truth.labels().iter().filter(|label| **label == GroundTruth::IGNORED).count();
        if ignored > 0 {
            notes.push(format!(
                "annotation: {ignored} of {} pixels are left out",
                truth.labels().len()
            ));
        }
        Ok(truth)
    }
}

/// What the labels of a mask mean that came without a word: see [`Ignore::Auto`].
fn understood(truth: GroundTruth, classes: usize, notes: &mut Vec<String>) -> Result<GroundTruth> {
    let labels: BTreeSet<u32> = truth.labels().iter().copied().collect();
    let labels: Vec<u32> = labels.into_iter().collect();
    let unknown = |label: u32| label > 1 && label as usize >= classes;
    match labels[..] {
        [0, label] if classes <= 2 && unknown(label) => {
            notes.push(format!("annotation: label {label} is the foreground"));
            Ok(truth.remap(|label| Some(label.min(1))))
        }
        [label] if unknown(label) => bail!(
            "every pixel has label {label}, which could be a class or be left out: say which with \
             --truth-map {label}:1 or --ignore {label}"
        ),
        [0, VOID] if unknown(VOID) => bail!(
            "its labels are 0 and 255, and the network has {classes} classes: say what 255 is with \
             --truth-map 255:N, or leave those pixels out with --ignore 255"
        ),
        [0, .., VOID]
            if classes <= 2 && labels.iter().any(|&label| unknown(label) && label < VOID) =>
        {
            bail!(
                "its labels are {labels:?}, and the network has {}: say what they are with --truth-map \
                 FROM:TO,…, and which to leave out with --ignore LABEL",
                if classes == 1 { "one class" } else { "two classes" }
            )
        }
        _ if unknown(VOID) => Ok(truth.ignore(VOID)),
        _ => Ok(truth),
    }
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use {}", path.display())
}

impl Annotations {
    /// The words of pixel sets, by which classes have these names.
    ///
    /// # Errors
    /// More instances than there can be.
    pub fn vocabulary<const D: usize>(&self, classes: &[String]) -> Result<Vocabulary<D>> {
        let ids = self.ids.as_ref().map(|ids| Instances::new(ids.labels(), ids.size()));
        let words = vocabulary(self.truth.as_ref(), ids.transpose()?.as_ref());
        let words = words.with([ScanInput::sphere(self.scan.as_ref())]);
        Ok(words.with_classes(classes.iter().map(String::as_str)))
    }
}

/// Where an annotation belongs.
pub(crate) struct Place<'a> {
    /// Where the image's pixels went.
    pub(crate) placement: Option<Placement>,
    /// The size of the network's input.
    pub(crate) input: &'a [usize],
    /// The size that is wanted.
    pub(crate) size: &'a [usize],
    /// What has it.
    pub(crate) what: &'static str,
    /// Whether an annotation of another size than the image is resized.
    pub(crate) resize: bool,
    /// How that is asked for.
    pub(crate) option: &'static str,
}

impl Place<'_> {
    /// An annotation of the image goes where the image went; `outside` is the label of padding.
    pub(crate) fn put(&self, annotation: GroundTruth, outside: u32) -> Result<GroundTruth> {
        let Self { placement, input: seen, size, what, resize, option } = self;
        let given = annotation.size().to_vec();
        let mut annotation = annotation;
        if let Some(Placement { image, resized, input, .. }) = placement.filter(|_| given != *size)
        {
            if *resize {
                annotation = annotation.resized(image)?;
            }
            if annotation.size() == image {
                annotation = annotation.resized(resized)?.fitted(input, outside)?;
            }
        }
        // A network may say less than it sees.
        if *resize || annotation.size() == *seen {
            annotation = annotation.resized(*size)?;
        }
        let image = match placement {
            Some(Placement { image, .. }) if image != *size => format!("the image {image:?} and "),
            _ => String::new(),
        };
        ensure!(
            annotation.size() == *size,
            "it is {given:?} (rows, columns), {image}{what} {size:?}: {option} takes the nearest pixel"
        );
        Ok(annotation)
    }
}
