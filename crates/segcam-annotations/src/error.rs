use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::MaskError;

/// Why an annotation cannot be read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The file is no image that keeps labels exactly.
    #[error(
        "`{}` is neither PNG nor TIFF: labels must come from a format that keeps every value",
        path.display()
    )]
    NotALabelImage {
        /// The file.
        path: PathBuf,
    },

    /// The file is damaged or of a kind that cannot be decoded.
    #[error("cannot decode `{}`", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },

    /// The image is too large to be an annotation.
    #[error("`{}` has {} pixels, more than {most}", path.display(), Dims(.size))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, `[H, W]`.
        size: Vec<usize>,
        /// How many pixels there may be.
        most: usize,
    },

    /// Labels were expected, but the pixels are not whole gray values or palette indices. See
    /// [`GroundTruth::from_colours`](crate::GroundTruth::from_colours).
    #[error(
        "`{}` has {kind} pixels, but labels are gray values of 8 or 16 bits or palette indices: \
         a colour-coded mask needs a list of its colours",
        path.display()
    )]
    NotLabels {
        /// The file.
        path: PathBuf,
        /// What its pixels are.
        kind: String,
    },

    /// A TIFF of several pages; those who read it themselves have
    /// [`GroundTruth::from_labels`](crate::GroundTruth::from_labels).
    #[error(
        "`{}` has several pages: split it into files of one",
        path.display()
    )]
    ManyPages {
        /// The file.
        path: PathBuf,
    },

    /// A colour that stands for no label.
    #[error(
        "`{}` has the colour {colour:?} at row {}, column {}, and no label has that colour: give \
         it one, or have it ignored",
        path.display(), at[0], at[1]
    )]
    UnknownColour {
        /// The file.
        path: PathBuf,
        /// Red, green, blue.
        colour: [u8; 3],
        /// The first pixel that has it, `[y, x]`.
        at: [usize; 2],
    },

    /// A colour that stands for two labels.
    #[error("the colour {colour:?} cannot stand for two labels, {} and {}", labels[0], labels[1])]
    AmbiguousColour {
        /// Red, green, blue.
        colour: [u8; 3],
        /// Both labels.
        labels: [u32; 2],
    },

    /// There are more or fewer labels than pixels.
    #[error("an annotation of {} pixels was given {given} label(s)", Dims(.size))]
    Length {
        /// The size asked for, `[H, W]` or `[D, H, W]`.
        size: Vec<usize>,
        /// Number of labels.
        given: usize,
    },

    /// Annotations of different sizes in one batch, or none at all.
    #[error("annotations of one batch have one size, but these have {given:?}")]
    Stack {
        /// The different sizes.
        given: Vec<Vec<usize>>,
    },

    /// A size that the annotation cannot be resized to.
    #[error("an annotation of {} pixels cannot be resized to {}", Dims(.from), Dims(.to))]
    Resize {
        /// The annotation's size.
        from: Vec<usize>,
        /// The size asked for.
        to: Vec<usize>,
    },

    /// Labels that the network has no class for: see
    /// [`GroundTruth::remap`](crate::GroundTruth::remap) and
    /// [`GroundTruth::ignore`](crate::GroundTruth::ignore).
    #[error(
        "the annotation has labels that a network of {classes} classes does not have: {}: \
         translate them, or leave them out",
        Few(.labels)
    )]
    UnknownLabels {
        /// Every such label, ascending.
        labels: Vec<u32>,
        /// Classes of the network.
        classes: usize,
    },

    /// The file is not COCO JSON.
    #[error("`{}` is not COCO JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },

    /// The JSON has no such image.
    #[error("no image has the file name or id `{wanted}`; there are {}", Few(.known))]
    UnknownImage {
        /// The file name or id asked for.
        wanted: String,
        /// File names of all images.
        known: Vec<String>,
    },

    /// An annotation is of a category that the JSON does not list.
    #[error("annotation {annotation} is of category {category}, which `categories` does not have")]
    UnknownCategory {
        /// The annotation's id.
        annotation: u64,
        /// The category's id.
        category: u64,
    },

    /// The outline or mask of an annotation makes no sense.
    #[error("annotation {annotation} cannot be drawn")]
    Mask {
        /// The annotation's id.
        annotation: u64,
        /// What is wrong with it.
        source: MaskError,
    },
}

struct Dims<'a>(&'a [usize]);

impl fmt::Display for Dims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{}", sides.join("×"))
    }
}

/// The first five, and how many there are.
struct Few<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Few<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let shown: Vec<String> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        write!(f, "{}", if shown.is_empty() { "none".into() } else { shown.join(", ") })?;
        match self.0.len() {
            0..=SHOWN => Ok(()),
            all => write!(f, ", … ({all} in all)"),
        }
    }
}
