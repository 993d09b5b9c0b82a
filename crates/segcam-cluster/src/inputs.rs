use std::collections::HashMap;

use anyhow::{Result, bail};
use segcam_batch::Item;
use segcam_cli::terminal::{BatchArgs, Opened};

use crate::Place;

/// The inputs of a run: files, or objects of a store.
#[derive(Debug)]
pub struct Inputs {
    /// Each once.
    pub items: Vec<Item>,
    /// How many there are and what is none, in words.
    pub line: String,
    /// Of objects in a folder of a store, by their addresses.
    marks: HashMap<String, String>,
}

impl Inputs {
    /// The inputs that options name.
    ///
    /// # Errors
    /// What cannot be read, sources without inputs, and annotations of objects: there is no way to these.
    pub fn of(args: &BatchArgs) -> Result<Self> {
        let ((mut items, line), marks) = match Place::of(args.input())? {
            Some(place) => {
                let (listing, marks) = place.list()?;
                (args.items_of(listing), marks)
            }
            None => (args.items()?, HashMap::new()),
        };
        for item in &mut items {
            // Lists and tables name objects as well as files.
            if item.name.starts_with("s3://") {
                item.path = item.name.clone().into();
            }
            if Place::of(&item.path)?.is_some() {
                no_annotations(args, item)?;
            }
        }
        Ok(Self { items, line, marks })
    }

    /// What tells the contents of an input from others, if it can be read; objects are not.
    pub(crate) fn contents(&self, item: &Item, opened: &Opened) -> Option<String> {
        match Place::of(&item.path).ok()? {
            None => opened.contents(item).ok()?,
            Some(place) => match self.marks.get(&place.url()) {
                Some(mark) => Some(mark.clone()),
                None => place.mark().ok()?,
            },
        }
    }
}

fn no_annotations(args: &BatchArgs, item: &Item) -> Result<()> {
    let columns = ["truth", "instances", "region"];
    let named = columns.iter().find(|column| item.fields.contains_key(**column));
    if args.wants_report() {
        bail!(
            "--html looks at inputs once more, and objects in stores cannot be read so: leave it out"
        );
    }
    if args.names_annotations() || named.is_some() {
        bail!(
            "annotations of objects in stores cannot be read as yet ({}): mount the bucket, or leave out \
             --truth, --instances and --region",
            item.name
        );
    }
    Ok(())
}
