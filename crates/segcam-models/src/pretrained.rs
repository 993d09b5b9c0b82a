use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::Device;
use segcam_core::{Explainer, UnknownName};
use segcam_scans::Recipe;

use crate::facts::{self, Facts};
use crate::weights::Weights;
use crate::{MeshNetConfig, Preprocess, UNet, UNetConfig, Upsampling, WeightsError};

/// A network ready to be explained.
pub enum Network {
    /// Labels the pixels of images `[N, C, H, W]`.
    Image(Explainer<4>),
    /// Labels the voxels of volumes `[N, C, D, H, W]`.
    Volume(Explainer<5>),
}

impl Network {
    /// How many channels its images have, if it is a [`UNet`].
    pub fn channels(&self) -> Option<usize> {
        match self {
            Self::Image(explainer) => explainer.model().map(UNet::channels),
            Self::Volume(_) => None,
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Image(_) => "Image",
            Self::Volume(_) => "Volume",
        };
        f.debug_tuple(kind).finish_non_exhaustive()
    }
}

/// The networks known by name.
///
/// # Example
/// ```
/// use segcam_core::burn::tensor::{Device, Tensor};
/// use segcam_models::{Network, Pretrained};
///
/// let name: Pretrained = "nuclei-unet".parse()?;
/// let device = Device::flex();
/// if let Network::Image(explainer) = name.load(None, &device)? {
///     let seen = explainer.observe(Tensor::zeros([1, 1, 64, 64], &device))?;
///     assert_eq!(seen.prediction().classes(), name.class_names().len());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pretrained {
    /// Cell nuclei in fluorescence images; its weights are part of this crate.
    NucleiUNet,
    /// Retinal vessels, orobix/retina-unet.
    RetinaUNet,
    /// The vanilla U-Net as Rheude et al. describe it, with your weights.
    VanillaUNet,
    /// Street scenes, sacmehta/ESPNet p=2 q=8.
    EspNet,
    /// White and grey matter in T1 MRI, neuroneural/brainchop.
    MeshNet,
    /// Lesions of an organ in a [`Phantom`](crate::Phantom); its weights are part of this crate.
    LesionsMeshNet,
}

impl Pretrained {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::NucleiUNet,
        Self::LesionsMeshNet,
        Self::RetinaUNet,
        Self::VanillaUNet,
        Self::EspNet,
        Self::MeshNet,
    ];

    /// Architecture of the network for cell nuclei.
    pub fn nuclei_config() -> UNetConfig {
        UNetConfig::new(1, 2).with_widths(vec![8, 16, 32, 64])
    }

    /// Architecture of the network for lesions.
    pub fn lesions_config() -> MeshNetConfig {
        MeshNetConfig::new().with_width(8).with_dilations(vec![1, 2, 4, 2, 1])
    }

    /// Architecture of orobix/retina-unet.
    pub fn retina_config() -> UNetConfig {
        UNetConfig::new(1, 2)
            .with_widths(vec![32, 64, 128])
            .with_batch_norm(false)
            .with_upsampling(Upsampling::Nearest)
            .with_head_relu(true)
    }

    /// The key that a parameter path has in orobix/retina-unet's file, for
    /// [`load_weights`](crate::load_weights).
    pub fn retina_key(path: &str) -> String {
        let mut key = path.replace("middle.", "mid.").replace(".block.", ".");
        for level in 0..2 {
            key = key
                .replace(&format!("encoder.{level}."), &format!("enc{}.", level + 1))
                .replace(&format!("decoder.{level}."), &format!("dec{}.", level + 1));
        }
        key.replace(".conv1.", "_a.").replace(".conv2.", "_b.")
    }

    /// Loads the network. Only [`NucleiUNet`](Self::NucleiUNet) and
    /// [`LesionsMeshNet`](Self::LesionsMeshNet) come with weights.
    ///
    /// # Errors
    /// A file that cannot be read, or whose entries do not fit.
    pub fn load(self, weights: Option<&Path>, device: &Device) -> Result<Network, WeightsError> {
        let model = || self.to_string();
        let weights = match (weights, self.facts().weights) {
            (Some(path), _) => Weights::open(path)?,
            (None, Some(bytes)) => Weights::from_bytes(&model(), bytes)?,
            (None, None) => return Err(WeightsError::Needed { model: model() }),
        };
        self.build(Some(weights), device)
    }

    /// The network with random weights, to look at its layers.
    pub fn untrained(self, device: &Device) -> Network {
        self.build(None, device).expect("only a file of weights can be wrong")
    }

    fn build(self, weights: Option<Weights>, device: &Device) -> Result<Network, WeightsError> {
        let facts = self.facts();
        (facts.build)(facts, weights, device)
    }

    fn facts(self) -> &'static Facts {
        match self {
            Self::NucleiUNet => &facts::NUCLEI_UNET,
            Self::RetinaUNet => &facts::RETINA_UNET,
            Self::VanillaUNet => &facts::VANILLA_UNET,
            Self::EspNet => &facts::ESPNET,
            Self::MeshNet => &facts::MESHNET,
            Self::LesionsMeshNet => &facts::LESIONS_MESHNET,
        }
    }

    /// One line that says what it segments.
    pub fn description(self) -> &'static str {
        self.facts().description
    }

    /// What the network wants done to an image first.
    pub fn preprocess(self) -> Preprocess {
        self.facts().preprocess
    }

    /// How a scan becomes the network's input.
    pub fn scan_recipe(self) -> Recipe {
        (self.facts().scan_recipe)()
    }

    /// Names of the classes; empty if they are not known.
    pub fn class_names(self) -> &'static [&'static str] {
        self.facts().class_names
    }

    /// The class that stands for "nothing of interest", given the number of classes.
    pub fn background(self, classes: usize) -> Option<usize> {
        (classes > 1).then_some(self.facts().background)
    }

    /// How many voxels around each one a network looks at that was trained on whole volumes: through windows
    /// it sees less, wherever they end.
    pub fn margin(self) -> Option<usize> {
        (self.facts().margin)()
    }

    /// The layers to look at first: the bottleneck and the last block before the output.
    pub fn default_layers(self) -> &'static [&'static str] {
        self.facts().default_layers
    }
}

impl fmt::Display for Pretrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().name)
    }
}

impl FromStr for Pretrained {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("model", name, Self::ALL)
    }
}
