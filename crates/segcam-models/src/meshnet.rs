use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use segcam_core::{CamError, Layers, SegmentationModel};

/// MeshNet (Fedorov et al. 2017, [arXiv 1612.00940](https://arxiv.org/abs/1612.00940)): 3-D dilated
/// convolutions at full resolution, no BatchNorm, ReLU between them.
///
/// # Example
/// ```
/// use segcam_core::{Explainer, HiResCam, burn::tensor::{Device, Tensor}};
/// use segcam_models::MeshNetConfig;
///
/// let device = Device::flex();
/// let net = MeshNetConfig::new().init(&device);
/// let seen = Explainer::new(net).observe(Tensor::ones([1, 1, 6, 7, 8], &device))?;
/// assert_eq!(seen.explain(&HiResCam, "conv4", 2)?.raw().dims(), [1, 1, 6, 7, 8]);
/// # Ok::<(), segcam_core::CamError>(())
/// ```
#[derive(Config, Debug, PartialEq, Eq)]
pub struct MeshNetConfig {
    /// Channels of the input volume.
    #[config(default = 1)]
    pub channels: usize,
    /// Channels of every hidden layer.
    #[config(default = 5)]
    pub width: usize,
    /// Classes.
    #[config(default = 3)]
    pub classes: usize,
    /// Dilation of each 3×3×3 convolution; a 1×1×1 one follows.
    #[config(default = "vec![1, 2, 4, 8, 16, 8, 4, 2, 1]")]
    pub dilations: Vec<usize>,
}

impl MeshNetConfig {
    /// A network with random weights on `device`.
    pub fn init(&self, device: &Device) -> MeshNet {
        let hidden = |(i, &d): (usize, &usize)| {
            let from = if i == 0 { self.channels } else { self.width };
            Conv3dConfig::new([from, self.width], [3, 3, 3])
                .with_dilation([d, d, d])
                .with_padding(PaddingConfig3d::Explicit(d, d, d))
                .init(device)
        };
        MeshNet {
            hidden: self.dilations.iter().enumerate().map(hidden).collect(),
            out: Conv3dConfig::new([self.width, self.classes], [1, 1, 1]).init(device),
            channels: self.channels,
        }
    }
}

/// MeshNet, made by [`MeshNetConfig::init`]. Its layers are `conv0 … conv8 out`.
#[derive(Module, Debug)]
pub struct MeshNet {
    hidden: Vec<Conv3d>,
    out: Conv3d,
    channels: usize,
}

impl SegmentationModel<5> for MeshNet {
    fn forward(&self, volume: Tensor<5>, layers: &mut Layers) -> Tensor<5> {
        let mut x = volume;
        for (i, conv) in self.hidden.iter().enumerate() {
            x = layers.name(&format!("conv{i}"), relu(conv.forward(x)));
        }
        layers.name("out", self.out.forward(x))
    }

    fn check_input(&self, shape: [usize; 5]) -> Result<(), CamError> {
        let (wanted, given) = (self.channels, shape[1]);
        if given == wanted {
            return Ok(());
        }
        Err(CamError::WrongChannels { wanted, given, shape: shape.to_vec() })
    }
}
