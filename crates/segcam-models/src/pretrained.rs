use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::Device;
use segcam_core::{Explainer, closest};

use crate::weights::Weights;
use crate::{
    EspNet, EspNetConfig, MeshNetConfig, Preprocess, UNetConfig, Upsampling, WeightsError,
};

static NUCLEI_WEIGHTS: &[u8] = include_bytes!("../weights/nuclei-unet.safetensors");

/// A network ready to be explained.
pub enum Network {
    /// Labels the pixels of images `[N, C, H, W]`.
    Image(Explainer<4>),
    /// Labels the voxels of volumes `[N, C, D, H, W]`.
    Volume(Explainer<5>),
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
pub enum Pretrained {
    /// Cell nuclei in fluorescence images; its weights are part of this crate.
    NucleiUNet,
    /// Retinal vessels, orobix/retina-unet.
    RetinaUNet,
    /// The vanilla U-Net of Rheude et al. with your weights.
    VanillaUNet,
    /// Street scenes, sacmehta/ESPNet p=2 q=8.
    EspNet,
    /// White and grey matter in T1 MRI, neuroneural/brainchop.
    MeshNet,
}

/// The paths of burn are those of the file.
fn same(path: &str) -> String {
    path.to_string()
}

impl Pretrained {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NucleiUNet,
        Self::RetinaUNet,
        Self::VanillaUNet,
        Self::EspNet,
        Self::MeshNet,
    ];

    /// Architecture of the network for cell nuclei.
    pub fn nuclei_config() -> UNetConfig {
        UNetConfig::new(1, 2).with_widths(vec![8, 16, 32, 64])
    }

    /// Loads the network. Only [`NucleiUNet`](Self::NucleiUNet) comes with weights.
    ///
    /// # Errors
    /// A file that cannot be read, or whose entries do not fit.
    pub fn load(self, weights: Option<&Path>, device: &Device) -> Result<Network, WeightsError> {
        let model = self.to_string();
        let weights = match (weights, self) {
            (Some(path), _) => Weights::open(path)?,
            (None, Self::NucleiUNet) => Weights::from_bytes(&model, NUCLEI_WEIGHTS)?,
            (None, _) => return Err(WeightsError::Needed { model }),
        };
        Ok(match self {
            Self::NucleiUNet => {
                let net = Self::nuclei_config().init(device);
                Network::Image(Explainer::new(weights.load(&model, net, same)?))
            }
            Self::RetinaUNet => {
                let config = UNetConfig::new(1, 2)
                    .with_widths(vec![32, 64, 128])
                    .with_batch_norm(false)
                    .with_upsampling(Upsampling::Nearest)
                    .with_head_relu(true);
                let net = config.init(device);
                Network::Image(Explainer::new(weights.load(&model, net, retina_key)?))
            }
            Self::VanillaUNet => {
                let channels = weights
                    .shape("encoder.0.conv1.weight")
                    .and_then(|s| s.get(1).copied());
                let classes = weights.shape("out.weight").and_then(|s| s.first().copied());
                let config = UNetConfig::new(channels.unwrap_or(1), classes.unwrap_or(1));
                let net = config.init(device);
                Network::Image(Explainer::new(weights.load(&model, net, same)?))
            }
            Self::EspNet => {
                let net = EspNetConfig::new().init(device);
                Network::Image(Explainer::new(weights.load(
                    &model,
                    net,
                    EspNet::file_key,
                )?))
            }
            Self::MeshNet => {
                let net = MeshNetConfig::new().init(device);
                Network::Volume(Explainer::new(weights.load(&model, net, meshnet_key)?))
            }
        })
    }

    /// One line that says what it segments.
    pub fn description(self) -> &'static str {
        match self {
            Self::NucleiUNet => "cell nuclei in fluorescence images; weights included",
            Self::RetinaUNet => "retinal vessels (orobix/retina-unet)",
            Self::VanillaUNet => "the vanilla U-Net of the paper, with your weights",
            Self::EspNet => "street scenes, 19 Cityscapes classes (sacmehta/ESPNet)",
            Self::MeshNet => "white and grey matter in T1 volumes (neuroneural/brainchop)",
        }
    }

    /// What the network wants done to an image first.
    pub fn preprocess(self) -> Preprocess {
        match self {
            Self::NucleiUNet => Preprocess::StretchedGray,
            Self::RetinaUNet => Preprocess::Retina,
            Self::VanillaUNet => Preprocess::Plain,
            Self::EspNet => Preprocess::Street,
            Self::MeshNet => Preprocess::Volume,
        }
    }

    /// Names of the classes; empty if they are not known.
    pub fn class_names(self) -> &'static [&'static str] {
        match self {
            Self::NucleiUNet => &["background", "nucleus"],
            Self::RetinaUNet => &["background", "vessel"],
            Self::VanillaUNet => &[],
            Self::EspNet => &[
                "road",
                "sidewalk",
                "building",
                "wall",
                "fence",
                "pole",
                "traffic light",
                "traffic sign",
                "vegetation",
                "terrain",
                "sky",
                "person",
                "rider",
                "car",
                "truck",
                "bus",
                "train",
                "motorcycle",
                "bicycle",
                "void",
            ],
            Self::MeshNet => &["background", "white matter", "grey matter"],
        }
    }

    /// The class that stands for "nothing of interest", given the number of classes.
    pub fn background(self, classes: usize) -> Option<usize> {
        match self {
            Self::EspNet => Some(19),
            _ if classes == 1 => None,
            _ => Some(0),
        }
    }

    /// The layers to look at first: the bottleneck and the last block before the output.
    pub fn default_layers(self) -> [&'static str; 2] {
        match self {
            Self::MeshNet => ["conv4", "conv8"],
            _ => ["mid", "dec1"],
        }
    }
}

fn retina_key(path: &str) -> String {
    let mut key = path.replace("middle.", "mid.").replace(".block.", ".");
    for level in 0..2 {
        key = key
            .replace(&format!("encoder.{level}."), &format!("enc{}.", level + 1))
            .replace(&format!("decoder.{level}."), &format!("dec{}.", level + 1));
    }
    key.replace(".conv1.", "_a.").replace(".conv2.", "_b.")
}

fn meshnet_key(path: &str) -> String {
    let last = MeshNetConfig::new().dilations.len();
    path.replace("hidden.", "conv")
        .replace("out.", &format!("conv{last}."))
}

impl fmt::Display for Pretrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NucleiUNet => "nuclei-unet",
            Self::RetinaUNet => "retina-unet",
            Self::VanillaUNet => "vanilla-unet",
            Self::EspNet => "espnet",
            Self::MeshNet => "meshnet",
        })
    }
}

/// There is no network of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no model is named `{wanted}`{}; known models: {}",
    closest.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default(),
    Pretrained::ALL.map(|model| model.to_string()).join(" ")
)]
pub struct UnknownModel {
    /// The name asked for.
    pub wanted: String,
    /// The known name most like it, if one is close.
    pub closest: Option<String>,
}

impl FromStr for Pretrained {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        let names = Self::ALL.map(|model| model.to_string());
        Self::ALL
            .into_iter()
            .find(|model| model.to_string() == name)
            .ok_or_else(|| UnknownModel {
                wanted: name.to_string(),
                closest: closest(name, names.iter().map(String::as_str)),
            })
    }
}
