//! Options that say where annotations come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use segcam::UnknownName;
use segcam_cli::annotations::{AnnotationFiles, Ignore, Labels};

/// Where annotations come from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SetArgs {
    /// Annotation for the sets truth, tp, fp, fn, tn: gray or indexed PNG or TIFF, one label for
    /// each pixel; for many images a folder with one of the same name for each
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,

    /// What the annotation's labels are, if not the network's class numbers: FROM:TO,FROM:TO,…
    /// (others stay, or with *:TO become TO), cityscapes (label ids, …_labelIds.png) or
    /// cityscapes-colours (…_color.png), for a network of train ids
    #[arg(long, value_name = "WHAT", value_parser = labels, requires = "truth")]
    truth_map: Option<Labels>,

    /// Label of annotated pixels to leave out, or `none` [default: 255, but 0 and one other label
    /// alone are background and foreground of a network of two classes]
    #[arg(long, value_name = "LABEL", value_parser = ignore)]
    ignore: Option<Ignore>,

    /// Resize an annotation of another size to the image, by nearest pixel, or one on another grid of the same
    /// space to the scan. One of the image's size needs nothing: what is done to the image is done to it
    #[arg(long, requires = "truth")]
    truth_resize: bool,

    /// Image of instance ids for the sets instance:N and instances: gray PNG or TIFF, 0 for none
    #[arg(long, value_name = "FILE")]
    instances: Option<PathBuf>,
}

impl SetArgs {
    /// Whether any file is given.
    pub(crate) fn is_given(&self) -> bool {
        self.truth.is_some() || self.instances.is_some()
    }

    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.truth, &mut self.instances].into_iter().flatten()
    }

    pub(super) fn name_files(&self) -> bool {
        self.truth.is_some() || self.instances.is_some()
    }

    pub(crate) fn files(&self) -> Result<AnnotationFiles> {
        let truth_map = self.truth_map.clone().unwrap_or(Labels::Classes);
        if truth_map == Labels::CityscapesColours && self.ignore.is_some() {
            bail!("--ignore is for labels, not for colours: drop it");
        }
        Ok(AnnotationFiles {
            truth: self.truth.clone(),
            truth_map,
            ignore: self.ignore.unwrap_or_default(),
            truth_resize: self.truth_resize,
            instances: self.instances.clone(),
        })
    }
}

fn labels(text: &str) -> Result<Labels, String> {
    match text {
        "cityscapes" => Ok(Labels::Cityscapes),
        "cityscapes-colours" => Ok(Labels::CityscapesColours),
        list if list.contains(':') => {
            let wanted = || "give whole numbers: 128:1,255:2, and for all others *:0".to_string();
            let (mut map, mut rest) = (BTreeMap::new(), None);
            for pair in list.split(',') {
                let (from, to) = pair.split_once(':').ok_or_else(wanted)?;
                let to: u32 = to.trim().parse().map_err(|_| wanted())?;
                match from.trim() {
                    "*" => rest = Some(to),
                    from => drop(map.insert(from.parse().map_err(|_| wanted())?, to)),
                }
            }
            Ok(rest.map_or(Labels::Listed(map.clone()), |rest| Labels::ListedAnd(map, rest)))
        }
        _ => {
            let known = ["FROM:TO,…", "cityscapes", "cityscapes-colours"];
            Err(UnknownName::new("kind of labels", text, known).to_string())
        }
    }
}

fn ignore(text: &str) -> Result<Ignore, String> {
    match text {
        "none" => Ok(Ignore::Nothing),
        label => label.parse().map(Ignore::Label).map_err(|_| "give a label or `none`".into()),
    }
}
