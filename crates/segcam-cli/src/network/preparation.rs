use segcam::models::{Channels, Recipe};
use serde::Serialize;

/// How an image becomes the input of an ONNX network, where the card beside the file says otherwise
/// or there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Preparation {
    /// Tensor that holds the class scores.
    pub output: Option<String>,
    /// Order of the channels.
    pub channels: Option<Channels>,
    /// Factor of pixel values from 0 to 255.
    pub scale: Option<f32>,
    /// Mean of each channel, or one for all.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, or one for all.
    pub std: Vec<f32>,
    /// Size that images are resized to.
    pub size: Option<[usize; 2]>,
}

impl Preparation {
    /// An option that was given and is for image files only.
    pub fn image_option(&self) -> Option<&'static str> {
        let given = [
            (self.channels.is_some(), "--channels"),
            (self.scale.is_some(), "--scale"),
            (!self.mean.is_empty(), "--mean"),
            (!self.std.is_empty(), "--std"),
            (self.size.is_some(), "--size"),
        ];
        given.into_iter().find_map(|(given, option)| given.then_some(option))
    }

    pub(super) fn change(&self, recipe: &mut Recipe) {
        recipe.channels = self.channels.or(recipe.channels);
        recipe.scale = self.scale.unwrap_or(recipe.scale);
        recipe.size = self.size.or(recipe.size);
        if !self.mean.is_empty() {
            recipe.mean.clone_from(&self.mean);
        }
        if !self.std.is_empty() {
            recipe.std.clone_from(&self.std);
        }
    }
}
