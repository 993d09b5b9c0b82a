//! What there is to know of each network that is known by name: one card for each.

use burn::module::Module;
use burn::tensor::Device;
use segcam_core::{Explainer, SegmentationModel};
use segcam_scans::{Axes, Recipe, Scale};

use crate::weights::Weights;
use crate::{
    EspNet, EspNetConfig, MeshNetConfig, Network, Preprocess, Pretrained, UNetConfig, WeightsError,
};

/// The card of a network.
pub(crate) struct Facts {
    /// What it is called.
    pub(crate) name: &'static str,
    /// One line that says what it segments.
    pub(crate) description: &'static str,
    /// Weights that are part of this crate.
    pub(crate) weights: Option<&'static [u8]>,
    /// The network with these weights, or with random ones.
    pub(crate) build: fn(&Self, Option<Weights>, &Device) -> Result<Network, WeightsError>,
    /// What it wants done to an image first.
    pub(crate) preprocess: Preprocess,
    /// How a scan becomes its input.
    pub(crate) scan_recipe: fn() -> Recipe,
    /// Names of the classes; empty if they are the file's.
    pub(crate) class_names: &'static [&'static str],
    /// The class that stands for "nothing of interest", where there are several.
    pub(crate) background: usize,
    /// How far it looks, if it was trained on whole volumes.
    pub(crate) margin: fn() -> Option<usize>,
    /// The layers to look at first.
    pub(crate) default_layers: &'static [&'static str],
}

impl Facts {
    fn fill<M: Module>(
        &self,
        model: M,
        weights: Option<Weights>,
        file_key: fn(&str) -> String,
    ) -> Result<M, WeightsError> {
        match weights {
            Some(weights) => weights.load(self.name, model, file_key),
            None => Ok(model),
        }
    }
}

pub(crate) static NUCLEI_UNET: Facts = Facts {
    name: "nuclei-unet",
    description: "cell nuclei in fluorescence images; weights included",
    weights: Some(include_bytes!("../weights/nuclei-unet.safetensors")),
    build: |facts, weights, device| {
        facts.fill(Pretrained::nuclei_config().init(device), weights, same).map(image)
    },
    preprocess: Preprocess::StretchedGray,
    scan_recipe: || Recipe { scale: Scale::MinMax, ..Recipe::default() },
    class_names: &["background", "nucleus"],
    background: 0,
    margin: || None,
    default_layers: &["mid", "dec1"],
};

pub(crate) static RETINA_UNET: Facts = Facts {
    name: "retina-unet",
    description: "retinal vessels (orobix/retina-unet)",
    weights: None,
    build: |facts, weights, device| {
        let net = Pretrained::retina_config().init(device);
        facts.fill(net, weights, Pretrained::retina_key).map(image)
    },
    preprocess: Preprocess::Retina,
    scan_recipe: Recipe::default,
    class_names: &["background", "vessel"],
    background: 0,
    margin: || None,
    default_layers: &["mid", "dec1"],
};

pub(crate) static VANILLA_UNET: Facts = Facts {
    name: "vanilla-unet",
    description: "the vanilla U-Net as the paper describes it, with your weights",
    weights: None,
    build: |facts, weights, device| {
        // Channels and classes are the file's.
        let side = |name: &str, dim: usize| {
            let shape = weights.as_ref()?.shape(name)?;
            shape.get(dim).copied().filter(|&side| side > 0)
        };
        let channels = side("encoder.0.conv1.weight", 1).unwrap_or(1);
        let classes = side("out.weight", 0).unwrap_or(1);
        let net = UNetConfig::new(channels, classes).init(device);
        facts.fill(net, weights, same).map(image)
    },
    preprocess: Preprocess::Plain,
    scan_recipe: Recipe::default,
    class_names: &[],
    background: 0,
    margin: || None,
    default_layers: &["mid", "dec1"],
};

pub(crate) static ESPNET: Facts = Facts {
    name: "espnet",
    description: "street scenes, 19 Cityscapes classes (sacmehta/ESPNet)",
    weights: None,
    build: |facts, weights, device| {
        facts.fill(EspNetConfig::new().init(device), weights, EspNet::file_key).map(image)
    },
    preprocess: Preprocess::Street,
    scan_recipe: Recipe::default,
    class_names: &[
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
    background: 19,
    margin: || None,
    default_layers: &["mid", "dec1"],
};

pub(crate) static MESHNET: Facts = Facts {
    name: "meshnet",
    description: "white and grey matter in T1 volumes (neuroneural/brainchop)",
    weights: None,
    build: |facts, weights, device| {
        facts.fill(MeshNetConfig::new().init(device), weights, meshnet_key).map(volume)
    },
    preprocess: Preprocess::Volume,
    // As FreeSurfer's conformed volumes lie, on which it was trained.
    scan_recipe: || Recipe {
        orientation: "LIA".parse().ok(),
        axes: Axes::XYZ,
        scale: Scale::MinMax,
        ..Recipe::default()
    },
    class_names: &["background", "white matter", "grey matter"],
    background: 0,
    margin: || Some(MeshNetConfig::new().dilations.iter().sum()),
    default_layers: &["conv4", "conv8"],
};

pub(crate) static LESIONS_MESHNET: Facts = Facts {
    name: "lesions-meshnet",
    description: "lesions in generated scans (it has seen no patient); weights included",
    weights: Some(include_bytes!("../weights/lesions-meshnet.safetensors")),
    build: |facts, weights, device| {
        facts.fill(Pretrained::lesions_config().init(device), weights, same).map(volume)
    },
    preprocess: Preprocess::Volume,
    scan_recipe: || Recipe {
        orientation: "RAS".parse().ok(),
        clip: Some([-160.0, 240.0]),
        scale: Scale::Fixed { mean: 60.0, std: 60.0 },
        ..Recipe::default()
    },
    class_names: &["background", "organ", "lesion"],
    background: 0,
    margin: || None,
    default_layers: &["conv2", "conv4"],
};

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

fn meshnet_key(path: &str) -> String {
    let last = MeshNetConfig::new().dilations.len();
    path.replace("hidden.", "conv").replace("out.", &format!("conv{last}."))
}
