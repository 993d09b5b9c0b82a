use segcam::onnx::OnnxError;
use segcam::pixels::SpecError;
use segcam::{CamError, UnknownName};
use segcam_models::{CardError, PreprocessError};
use serde_json::json;

/// What keeps a page from an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// A file that is no network, or none that can be explained.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A card that cannot be understood.
    #[error("the card beside the network: {0}")]
    Card(#[from] CardError),
    /// What a network needs and the page does not have.
    #[error("{0}: take the program, `segcam studio --model net.onnx`")]
    NotHere(&'static str),
    /// A file that is no image.
    #[error("no PNG, JPEG or TIFF image: {0}")]
    Image(#[from] image::ImageError),
    /// An image that the network cannot take.
    #[error(transparent)]
    Prepare(#[from] PreprocessError),
    /// A question that is none: no JSON, or other fields.
    #[error("this is no question: {0}")]
    Question(#[from] serde_json::Error),
    /// A pixel set that cannot be read.
    #[error(transparent)]
    Set(#[from] SpecError),
    /// A pixel set that stands for several.
    #[error("`{set}` stands for {count} sets: ask about one of them")]
    Parts {
        /// As it was asked for.
        set: String,
        /// How many sets it is.
        count: usize,
    },
    /// A method that does not exist.
    #[error(transparent)]
    Method(#[from] UnknownName),
    /// Nothing but background is predicted, and no class was asked about.
    #[error("the network predicts only background: choose a class")]
    OnlyBackground,
    /// An image or an answer that is not there any more.
    #[error("this was forgotten: look at the image again")]
    Forgotten,
    /// Whatever keeps the network from running, or a map from being made.
    #[error(transparent)]
    Cam(#[from] CamError),
}

impl WebError {
    /// As the page reads it: `error`, the `column` of a pixel set, and a `status` like those of the
    /// studio's API.
    pub fn to_json(&self) -> String {
        let status = match self {
            Self::Forgotten => 410,
            Self::Image(_) | Self::Onnx(_) | Self::Card(_) => 415,
            Self::Question(_) => 400,
            _ => 422,
        };
        let column = match self {
            Self::Set(error) => Some(error.column),
            _ => None,
        };
        json!({ "status": status, "error": self.to_string(), "column": column }).to_string()
    }
}
