use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Recipe;

/// What a file of weights does not say: names of the classes, and how an image becomes its input.
/// A TOML file beside the model, `net.toml` for `net.onnx`.
///
/// # Example
/// ```
/// use segcam_models::Card;
///
/// let card: Card = r#"
///     classes = ["background", "vessel"]
///     background = 0
///
///     [input]
///     channels = "rgb"
///     mean = [0.485, 0.456, 0.406]
///     std = [0.229, 0.224, 0.225]
///     size = [512, 512]
/// "#.parse()?;
/// assert_eq!(card.classes[1], "vessel");
/// # Ok::<(), segcam_models::CardError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Card {
    /// Names of the classes, in order.
    pub classes: Vec<String>,
    /// The class that stands for "nothing of interest".
    pub background: Option<usize>,
    /// How an image becomes the network's input.
    pub input: Recipe,
    /// How a scan becomes the network's input.
    #[cfg(feature = "pretrained")]
    pub scan: segcam_scans::Recipe,
    /// The windows through which the network sees an image or a scan.
    pub windows: WindowRecipe,
}

/// The windows through which a network sees an image or a scan; without a size it sees it whole.
///
/// # Example
/// ```
/// use segcam_models::{Blend, Card};
///
/// let card: Card = r#"
///     [windows]
///     size = [96, 96, 96]
///     overlap = 0.5
///     blend = "gaussian"
/// "#.parse()?;
/// assert_eq!(card.windows.blend, Some(Blend::Gaussian));
/// # Ok::<(), segcam_models::CardError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowRecipe {
    /// Size of a window, in the order of the input's sides: `[y, x]` or `[z, y, x]`.
    pub size: Option<Vec<usize>>,
    /// The part of a window that the next one covers, too.
    pub overlap: Option<f64>,
    /// Where windows lie, and how their outputs are blended.
    pub blend: Option<Blend>,
    /// Sides that are mirrored, 0 being the first one of the size.
    pub mirror: Option<Vec<usize>>,
}

/// Where windows lie, and how their outputs are blended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Blend {
    /// MONAI's windows, which all count the same.
    Constant,
    /// MONAI's windows, which count less towards their edges.
    Gaussian,
    /// nnU-Net's windows and Gaussian.
    NnUnet,
}

/// What can be wrong with a card.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or says something that no card says.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn open(path: &Path) -> Result<Self, CardError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CardError::Read { path: path.to_path_buf(), source })?;
        text.parse()
    }
}

impl std::str::FromStr for Card {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        Ok(toml::from_str(text)?)
    }
}
