//! How far the maps of one image can be trusted, and what was measured earlier.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use segcam::annotations::GroundTruth;
use segcam::metrics::{Protocol, Row};
use segcam::scans::ScanError;
use segcam::{CamError, Explanation, Observation, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::annotations::{AnnotationFiles, Annotations, Place};
use crate::ask::{Asked, Question, ask};
use crate::explain::{Answer, How, Map, explain, in_words, is_lost};
use crate::files::File;
use crate::network::{Model, Source};
use crate::read::{Input, bytes_of};
use crate::scan::{files_of, is_scan};
use crate::write::Folder;

/// Everything that decides what is measured, beside the contents of files, by name.
pub type Settings = BTreeMap<String, Value>;

/// What was measured on one image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Its path.
    pub image: String,
    /// SHA-256 of everything that the numbers depend on: see [`Contents`].
    pub contents: String,
    /// How its annotation was understood.
    pub notes: Vec<String>,
    /// One for each class and pixel set.
    pub answers: Vec<Judged>,
}

/// What was measured for one class and pixel set of an image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Judged {
    /// The class.
    pub class: usize,
    /// What it is called, if that is known.
    pub class_name: Option<String>,
    /// The pixel set as it was asked for.
    pub asked: String,
    /// What became of it.
    pub pixel_set: String,
    /// How many pixels it has.
    pub pixels: usize,
    /// Why there are no rows.
    pub error: Option<String>,
    /// Maps that there are not, and why.
    pub failures: Vec<MissingMap>,
    /// The numbers of each map and control.
    pub rows: Vec<Row>,
}

/// A map that could not be made.
#[derive(Debug, Serialize, Deserialize)]
pub struct MissingMap {
    /// What should have made it.
    pub method: String,
    /// Of which layer.
    pub layer: String,
    /// Why it did not.
    pub error: String,
}

/// Measures every class and pixel set of one image. `region` is at the size of the network's input.
///
/// # Errors
/// Words that mean nothing, annotations that do not fit, a device that is lost.
pub fn measure<const D: usize>(
    (seen, model): (&Observation<D>, &Model),
    asked: &Asked,
    annotations: &Annotations,
    region: Option<&[bool]>,
    protocol: &Protocol,
    progress: &dyn Fn(usize, usize),
) -> Result<Vec<Judged>> {
    let question = ask(asked, annotations, model, seen)?;
    let how = How::default();
    let answers = explain(&question, seen, &how, || ());
    judge((seen, model), (&question, answers), region, protocol, progress)
}

/// The same where all was asked and answered: with maps that are nothing but what the question's methods make.
///
/// # Errors
/// A batch of several images, answers without pixels but those of empty sets, a device that is lost.
pub fn judge<'a, const D: usize>(
    (seen, model): (&Observation<D>, &Model),
    (question, answers): (&Question<D>, impl Iterator<Item = Answer<'a, D>>),
    region: Option<&[bool]>,
    protocol: &Protocol,
    progress: &dyn Fn(usize, usize),
) -> Result<Vec<Judged>> {
    let image = protocol.prepare(seen)?;
    let all = question.figures.len();
    let judged = |(number, Answer { figure, maps }): (usize, Answer<D>)| {
        let mut steps = |done, of| progress(number * of + done, all * of);
        let mut result = Judged {
            class: figure.class,
            class_name: model.classes.get(figure.class).cloned(),
            asked: figure.asked.clone(),
            pixel_set: figure.pixels.name(),
            pixels: 0,
            error: None,
            failures: vec![],
            rows: vec![],
        };
        match maps {
            Ok((targets, maps)) => {
                result.pixels = targets.pixels.sizes()[0];
                let requests = question.requests(&targets);
                let (maps, requests, failures) = good(maps, requests)?;
                result.failures = failures;
                let maps = (&maps[..], &requests[..]);
                steps(0, 1);
                result.rows = image.judge(&targets.pixels, maps, region, &mut steps)?;
            }
            Err(error @ CamError::EmptyPixelSet { .. }) => result.error = Some(in_words(&error)),
            Err(error) => return Err(error.into()),
        }
        Ok(result)
    };
    answers.enumerate().map(judged).collect()
}

type Good<'a, const D: usize> = (Vec<Explanation<D>>, Vec<Request<'a, D>>, Vec<MissingMap>);

/// The maps that there are with what made them, and why there are no others.
fn good<const D: usize>(
    maps: Vec<Result<Map<D>, CamError>>,
    requests: Vec<Request<D>>,
) -> Result<Good<D>, CamError> {
    let (mut good, mut made_by, mut failures) = (vec![], vec![], vec![]);
    for (map, request) in maps.into_iter().zip(requests) {
        match map {
            Ok(map) => {
                good.push(map.found);
                made_by.push(request);
            }
            Err(error) if is_lost(&error) => return Err(error),
            Err(error) => failures.push(MissingMap {
                method: request.name(),
                layer: request.layer().to_string(),
                error: in_words(&error),
            }),
        }
    }
    Ok((good, made_by, failures))
}

/// The pixels that are known to cause the prediction, from a mask that is nonzero there; whatever was
/// done to the image is done to it. It is resized to the image, by nearest pixel, only if that is asked
/// for.
///
/// # Errors
/// A file that cannot be read or has another size.
pub fn region<const D: usize>(path: &Path, resize: bool, input: &Input<D>) -> Result<Vec<bool>> {
    let name = || format!("cannot use {}", path.display());
    let size = &input.tensor.dims()[2..];
    const OPTION: &str = "--region-resize";
    let mask = match &input.scan {
        Some(scan) if is_scan(path) => {
            scan.annotation(path, size, resize).map_err(|error| match error.downcast_ref() {
                Some(ScanError::OtherGrid { .. }) => anyhow!("{error} (give {OPTION} for that)"),
                _ => error,
            })
        }
        _ => GroundTruth::from_image(path).map_err(Into::into),
    };
    let mask = mask.with_context(name)?;
    let place = Place {
        placement: input.placement(),
        input: size,
        size,
        what: "the network's input",
        resize,
        option: OPTION,
    };
    let mask = place.put(mask, 0).with_context(name)?;
    Ok(mask.labels().iter().map(|&label| label != 0).collect())
}

/// What numbers depend on, as a hash that no two different contents share: SHA-256.
#[derive(Debug, Clone)]
pub struct Contents(Sha256);

impl Contents {
    /// Of what all images have in common: the settings, and the files of the network.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(settings: &Settings, network: &Source) -> Result<Self> {
        let mut contents = Self(Sha256::new());
        contents.add(&serde_json::to_vec(settings)?);
        for file in network.files()? {
            contents.add(&bytes_of(&file)?);
        }
        Ok(contents)
    }

    /// With those of one image, its annotations and its region.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of_image(
        &self,
        image: &Path,
        files: &AnnotationFiles,
        region: Option<&Path>,
    ) -> Result<String> {
        let mut contents = self.clone();
        let annotations = [files.truth.as_deref(), files.instances.as_deref(), region];
        for path in [Some(image)].into_iter().chain(annotations) {
            // A header, and the file that its numbers are in.
            let files = path.map_or(Ok(vec![]), files_of)?;
            contents.add(&files.len().to_le_bytes());
            for file in files {
                contents.add(&bytes_of(&file)?);
            }
        }
        Ok(contents.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The length goes first: what follows begins where this ends.
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// What an earlier run measured, if nothing that it depends on has changed.
pub fn known(path: &Path, image: &Path, contents: &str) -> Option<Measured> {
    let found: Measured = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let image = image.display().to_string();
    (found.contents == contents).then_some(Measured { image, ..found })
}

/// A folder holds the results of one set of settings; those of a run that measured nothing do not
/// count.
///
/// # Errors
/// If it holds those of others.
pub fn same_settings(out: &Folder, settings: &Settings) -> Result<()> {
    const FILE: &str = "settings.json";
    let path = out.path(FILE);
    let measured = fs::read_dir(out.path("images")).is_ok_and(|mut kept| kept.next().is_some());
    if !path.exists() || !measured {
        let bytes = serde_json::to_vec_pretty(settings)?;
        return out.write(&File { name: FILE.into(), bytes });
    }
    let known = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let known: Settings = serde_json::from_slice(&known).unwrap_or_default();
    let other = settings.iter().find(|(key, value)| known.get(*key) != Some(value));
    let Some((key, value)) = other else { return Ok(()) };
    let before = known.get(key).unwrap_or(&Value::Null);
    bail!(
        "{} holds an evaluation with other settings ({key} was {before}, is {value}): choose another \
         --out, or delete that folder",
        path.parent().unwrap_or(&path).display()
    )
}
