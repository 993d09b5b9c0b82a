use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::module::Module;
use burn::tensor::Device;
use segcam_core::{Explainer, SegmentationModel, UnknownName};

use crate::weights::Weights;
use crate::{
    EspNet, EspNetConfig, MeshNetConfig, Preprocess, UNetConfig, Upsampling, WeightsError,
};

static LESIONS_WEIGHTS: &[u8] = include_bytes!("../weights/lesions-meshnet.safetensors");
static NUCLEI_WEIGHTS: &[u8] = include_bytes!("../weights/nuclei-unet.safetensors");

/// A network ready to be explained.
pub enum Network {
    /// Labels the pixels of images `[N, C, H, W]`.
    Image(Explainer<4>),
    /// Labels the voxels of volumes `[N, C, D, H, W]`.
    Volume(Explainer<5>),
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

fn image(net: impl SegmentationModel) -> Network {
    Network::Image(Explainer::new(net))
}

fn volume(net: impl SegmentationModel<5>) -> Network {
    Network::Volume(Explainer::new(net))
}

/// The paths of burn are those of the file.
fn same(path: &str) -> String {
    path.to_string()
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
        let model = self.to_string();
        let weights = match (weights, self) {
            (Some(path), _) => Weights::open(path)?,
            (None, Self::NucleiUNet) => Weights::from_bytes(&model, NUCLEI_WEIGHTS)?,
            (None, Self::LesionsMeshNet) => Weights::from_bytes(&model, LESIONS_WEIGHTS)?,
            (None, _) => return Err(WeightsError::Needed { model }),
        };
        self.build(Some(weights), device)
    }

    /// The network with random weights, to look at its layers.
    pub fn untrained(self, device: &Device) -> Network {
        self.build(None, device).expect("only a file of weights can be wrong")
    }

    fn build(self, weights: Option<Weights>, device: &Device) -> Result<Network, WeightsError> {
        match self {
            Self::NucleiUNet => {
                self.fill(Self::nuclei_config().init(device), weights, same).map(image)
            }
            Self::RetinaUNet => {
                self.fill(Self::retina_config().init(device), weights, Self::retina_key).map(image)
            }
            Self::VanillaUNet => {
                // Channels and classes are the file's.
                let side = |name: &str, dim: usize| {
                    let shape = weights.as_ref()?.shape(name)?;
                    shape.get(dim).copied().filter(|&side| side > 0)
                };
                let channels = side("encoder.0.conv1.weight", 1).unwrap_or(1);
                let classes = side("out.weight", 0).unwrap_or(1);
                let net = UNetConfig::new(channels, classes).init(device);
                self.fill(net, weights, same).map(image)
            }
            Self::EspNet => {
                let net = EspNetConfig::new().init(device);
                self.fill(net, weights, EspNet::file_key).map(image)
            }
            Self::MeshNet => {
                self.fill(MeshNetConfig::new().init(device), weights, meshnet_key).map(volume)
            }
            Self::LesionsMeshNet => {
                self.fill(Self::lesions_config().init(device), weights, same).map(volume)
            }
        }
    }

    fn fill<M: Module>(
        self,
        model: M,
        weights: Option<Weights>,
        file_key: fn(&str) -> String,
    ) -> Result<M, WeightsError> {
        match weights {
            Some(weights) => weights.load(&self.to_string(), model, file_key),
            None => Ok(model),
        }
    }

    /// One line that says what it segments.
    pub fn description(self) -> &'static str {
        match self {
            Self::NucleiUNet => "cell nuclei in fluorescence images; weights included",
            Self::RetinaUNet => "retinal vessels (orobix/retina-unet)",
            Self::VanillaUNet => "the vanilla U-Net as the paper describes it, with your weights",
            Self::EspNet => "street scenes, 19 Cityscapes classes (sacmehta/ESPNet)",
            Self::MeshNet => "white and grey matter in T1 volumes (neuroneural/brainchop)",
            Self::LesionsMeshNet => "lesions in generated scans; weights included",
        }
    }

    /// What the network wants done to an image first.
    pub fn preprocess(self) -> Preprocess {
        match self {
            Self::NucleiUNet => Preprocess::StretchedGray,
            Self::RetinaUNet => Preprocess::Retina,
            Self::VanillaUNet => Preprocess::Plain,
            Self::EspNet => Preprocess::Street,
            Self::MeshNet | Self::LesionsMeshNet => Preprocess::Volume,
        }
    }

    /// How a scan becomes the network's input.
    pub fn scan_recipe(self) -> segcam_scans::Recipe {
        match self {
            Self::MeshNet => segcam_scans::Recipe {
                axes: segcam_scans::Axes::XYZ,
                scale: segcam_scans::Scale::MinMax,
                ..segcam_scans::Recipe::default()
            },
            Self::LesionsMeshNet => segcam_scans::Recipe {
                orientation: "RAS".parse().ok(),
                clip: Some([-160.0, 240.0]),
                scale: segcam_scans::Scale::Fixed { mean: 60.0, std: 60.0 },
                ..segcam_scans::Recipe::default()
            },
            _ => segcam_scans::Recipe::default(),
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
            Self::LesionsMeshNet => &["background", "organ", "lesion"],
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

    /// How many voxels around each one a network looks at that was trained on whole volumes: through windows
    /// it sees less, wherever they end.
    pub fn margin(self) -> Option<usize> {
        (self == Self::MeshNet).then(|| MeshNetConfig::new().dilations.iter().sum())
    }

    /// The layers to look at first: the bottleneck and the last block before the output.
    pub fn default_layers(self) -> [&'static str; 2] {
        match self {
            Self::MeshNet => ["conv4", "conv8"],
            Self::LesionsMeshNet => ["conv2", "conv4"],
            _ => ["mid", "dec1"],
        }
    }
}

fn meshnet_key(path: &str) -> String {
    let last = MeshNetConfig::new().dilations.len();
    path.replace("hidden.", "conv").replace("out.", &format!("conv{last}."))
}

impl fmt::Display for Pretrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NucleiUNet => "nuclei-unet",
            Self::RetinaUNet => "retina-unet",
            Self::VanillaUNet => "vanilla-unet",
            Self::EspNet => "espnet",
            Self::MeshNet => "meshnet",
            Self::LesionsMeshNet => "lesions-meshnet",
        })
    }
}

impl FromStr for Pretrained {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("model", name, Self::ALL)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, TensorData};

    use super::*;
    use crate::Phantom;

    #[test]
    fn meshnet_looks_as_far_as_its_convolutions_reach() {
        assert_eq!(Pretrained::MeshNet.margin(), Some(46));
    }

    #[test]
    fn the_network_for_lesions_brings_weights_that_find_one() {
        let device = Device::flex();
        let name = Pretrained::LesionsMeshNet;
        let Network::Volume(explainer) = name.load(None, &device).expect("weights") else {
            panic!("it takes volumes")
        };
        let phantom = Phantom::new(4);
        let prepared = name.scan_recipe().apply(&phantom.scan).expect("a scan");
        let (values, [channels, z, y, x]) = prepared.input();
        let input = Tensor::from_data(TensorData::new(values, [1, channels, z, y, x]), &device);
        let seen = explainer.observe(input).expect("a volume");
        let labels: Vec<i64> = seen.prediction().labels().into_data().iter().collect();
        let [slice, row, column] = phantom.largest_lesion();
        assert_eq!(name.class_names()[labels[(slice * y + row) * x + column] as usize], "lesion");
        assert_eq!(name.class_names()[labels[0] as usize], "background");
    }
}
