use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig, InterpolateMode};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};
use segcam_core::{CamError, Layers, SegmentationModel};

/// How a decoder doubles the resolution.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upsampling {
    /// A learnt 2×2 transposed convolution with stride 2 that halves the channels.
    Transposed,
    /// Nearest neighbour; channels stay as they are.
    Nearest,
}

/// A 2-D U-Net (Ronneberger et al. 2015, [arXiv 1505.04597](https://arxiv.org/abs/1505.04597)).
///
/// The default is the vanilla U-Net as Rheude et al. describe it: five blocks of conv-BN-ReLU ×2 with 64 to
/// 1024 channels and transposed 2×2 upsampling. Where halving an odd side lost a row or column,
/// the decoder pads a zero one before the first, as that paper does.
///
/// # Example
/// ```
/// use segcam_core::{Explainer, PredictedClass, SegHiResGradCam, burn::tensor::{Device, Tensor}};
/// use segcam_models::UNetConfig;
///
/// let device = Device::flex();
/// let unet = UNetConfig::new(1, 2).with_widths(vec![4, 8, 16]).init(&device);
/// let seen = Explainer::new(unet).observe(Tensor::ones([1, 1, 17, 12], &device))?;
/// let names: Vec<&str> = seen.layers().iter().map(|l| l.name.as_str()).collect();
/// assert_eq!(names.last(), Some(&"out"));
/// assert_eq!(seen.logits().dims(), [1, 2, 17, 12]);
/// # Ok::<(), segcam_core::CamError>(())
/// ```
#[derive(Config, Debug, PartialEq, Eq)]
pub struct UNetConfig {
    /// Channels of the input image.
    pub channels: usize,
    /// Classes; one means a binary network.
    pub classes: usize,
    /// Channels of each level, from full resolution down to the bottleneck.
    #[config(default = "vec![64, 128, 256, 512, 1024]")]
    pub widths: Vec<usize>,
    /// BatchNorm after each convolution.
    #[config(default = true)]
    pub batch_norm: bool,
    /// How decoders double the resolution.
    #[config(default = "Upsampling::Transposed")]
    pub upsampling: Upsampling,
    /// Order of the concatenation: the skip before the upsampled tensor, or after it.
    #[config(default = false)]
    pub skip_first: bool,
    /// Two convolutions per block, or one.
    #[config(default = true)]
    pub double_conv: bool,
    /// ReLU on the class scores.
    #[config(default = false)]
    pub head_relu: bool,
}

impl UNetConfig {
    /// A network with random weights on `device`.
    ///
    /// # Panics
    /// If `widths` has fewer than two levels.
    pub fn init(&self, device: &Device) -> UNet {
        let depth = self.widths.len().checked_sub(1).filter(|&depth| depth > 0);
        let depth = depth.expect("a U-Net needs at least two widths");
        let width = |level: usize| self.widths[level];
        let block = |from, to| Block::new(from, to, self, device);
        UNet {
            encoder: (0..depth)
                .map(|i| block(if i == 0 { self.channels } else { width(i - 1) }, width(i)))
                .collect(),
            middle: block(width(depth - 1), width(depth)),
            decoder: (0..depth)
                .map(|i| match self.upsampling {
                    Upsampling::Transposed => Decoder {
                        up: Some(
                            ConvTranspose2dConfig::new([width(i + 1), width(i)], [2, 2])
                                .with_stride([2, 2])
                                .init(device),
                        ),
                        block: block(2 * width(i), width(i)),
                    },
                    Upsampling::Nearest => {
                        Decoder { up: None, block: block(width(i + 1) + width(i), width(i)) }
                    }
                })
                .collect(),
            out: Conv2dConfig::new([width(0), self.classes], [1, 1]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            nearest: Interpolate2dConfig::new()
                .with_scale_factor(Some([2.0, 2.0]))
                .with_mode(InterpolateMode::Nearest)
                .init(),
            channels: self.channels,
            skip_first: self.skip_first,
            head_relu: self.head_relu,
        }
    }
}

/// A U-Net, made by [`UNetConfig::init`].
///
/// Its layers are `enc1 … encN mid decN … dec1 out`. Their convolutions are details below them, `enc1.conv1`,
/// `dec1.up`: they can be asked, too, but are not kept.
#[derive(Module, Debug)]
pub struct UNet {
    encoder: Vec<Block>,
    middle: Block,
    decoder: Vec<Decoder>,
    out: Conv2d,
    pool: MaxPool2d,
    nearest: Interpolate2d,
    channels: usize,
    skip_first: bool,
    head_relu: bool,
}

impl UNet {
    /// How many channels its images have.
    pub fn channels(&self) -> usize {
        self.channels
    }
}

impl SegmentationModel for UNet {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let mut x = image;
        let mut skips = vec![];
        for (i, block) in self.encoder.iter().enumerate() {
            x = block.forward(x, &format!("enc{}", i + 1), layers);
            skips.push(x.clone());
            x = self.pool.forward(x);
        }
        x = self.middle.forward(x, "mid", layers);
        for (i, (decoder, skip)) in self.decoder.iter().zip(skips).enumerate().rev() {
            let name = format!("dec{}", i + 1);
            let up = match &decoder.up {
                Some(up) => up.forward(x),
                None => self.nearest.forward(x),
            };
            let up = layers.detail(&format!("{name}.up"), pad_to(up, skip.dims()));
            let both = if self.skip_first { vec![skip, up] } else { vec![up, skip] };
            x = decoder.block.forward(Tensor::cat(both, 1), &name, layers);
        }
        x = self.out.forward(x);
        layers.name("out", if self.head_relu { relu(x) } else { x })
    }

    fn check_input(
        &self,
        shape @ [_, channels, height, width]: [usize; 4],
    ) -> Result<(), CamError> {
        if channels != self.channels {
            let (wanted, shape) = (self.channels, shape.to_vec());
            return Err(CamError::WrongChannels { wanted, given: channels, shape });
        }
        let smallest = 1 << self.encoder.len();
        if height.min(width) < smallest {
            let minimum = vec![smallest; 2];
            return Err(CamError::InputTooSmall { minimum, given: vec![height, width] });
        }
        Ok(())
    }
}

#[derive(Module, Debug)]
struct Decoder {
    up: Option<ConvTranspose2d>,
    block: Block,
}

/// One or two times conv 3×3, BatchNorm if wanted, ReLU.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    norm1: Option<BatchNorm>,
    conv2: Option<Conv2d>,
    norm2: Option<BatchNorm>,
}

impl Block {
    fn new(from: usize, to: usize, config: &UNetConfig, device: &Device) -> Self {
        let conv = |from| {
            Conv2dConfig::new([from, to], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        let norm = || config.batch_norm.then(|| BatchNormConfig::new(to).init(device));
        Self {
            conv1: conv(from),
            norm1: norm(),
            conv2: config.double_conv.then(|| conv(to)),
            norm2: if config.double_conv { norm() } else { None },
        }
    }

    fn forward(&self, x: Tensor<4>, name: &str, layers: &mut Layers) -> Tensor<4> {
        let step = |conv: &Conv2d, norm: &Option<BatchNorm>, x| {
            let x = conv.forward(x);
            relu(match norm {
                Some(norm) => norm.forward(x),
                None => x,
            })
        };
        let x = layers.scope(name, |layers| {
            let x = layers.detail("conv1", step(&self.conv1, &self.norm1, x));
            match &self.conv2 {
                Some(conv2) => layers.detail("conv2", step(conv2, &self.norm2, x)),
                None => x,
            }
        });
        layers.name(name, x)
    }
}

/// Zero rows and columns before the first until `x` is as large as the skip.
fn pad_to(x: Tensor<4>, [_, _, height, width]: [usize; 4]) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    if (h, w) == (height, width) {
        return x;
    }
    x.pad([(height - h, 0), (width - w, 0)], PadMode::Constant(0.0))
}
