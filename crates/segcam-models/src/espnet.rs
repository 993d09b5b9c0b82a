use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PRelu, PReluConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use segcam_core::{CamError, Layers, SegmentationModel};

/// ESPNet (Mehta et al. 2018, [arXiv 1803.06815](https://arxiv.org/abs/1803.06815)) with decoder.
///
/// # Example
/// ```
/// use segcam_core::burn::tensor::{Device, Tensor};
/// use segcam_core::{Layers, SegmentationModel};
/// use segcam_models::EspNetConfig;
///
/// let device = Device::flex();
/// let net = EspNetConfig::new().with_q(1).init(&device);
/// let logits = net.forward(Tensor::ones([1, 3, 16, 32], &device), &mut Layers::ignored());
/// assert_eq!(logits.dims(), [1, 20, 16, 32]);
/// ```
#[derive(Config, Debug, PartialEq, Eq)]
pub struct EspNetConfig {
    /// Classes; Cityscapes has 19 and void.
    #[config(default = 20)]
    pub classes: usize,
    /// ESP modules at a quarter of the resolution.
    #[config(default = 2)]
    pub p: usize,
    /// ESP modules at an eighth of the resolution.
    #[config(default = 8)]
    pub q: usize,
}

impl EspNetConfig {
    /// A network with random weights on `device`.
    pub fn init(&self, device: &Device) -> EspNet {
        let classes = self.classes;
        let esp = |from, to, stride, residual| Esp::new(from, to, stride, residual, device);
        let double = || {
            ConvTranspose2dConfig::new([classes, classes], [2, 2])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device)
        };
        EspNet {
            encoder: Encoder {
                level1: ConvBnAct::new(3, 16, 2, device),
                b1: BnAct::new(19, device),
                level2_0: esp(19, 64, 2, false),
                level2: (0..self.p).map(|_| esp(64, 64, 1, true)).collect(),
                b2: BnAct::new(131, device),
                level3_0: esp(131, 128, 2, false),
                level3: (0..self.q).map(|_| esp(128, 128, 1, true)).collect(),
                b3: BnAct::new(256, device),
                classifier: conv(256, classes, 1, 1, 1, device),
            },
            level3_c: conv(131, classes, 1, 1, 1, device),
            br: BatchNormConfig::new(classes).with_epsilon(1e-3).init(device),
            up_l3: double(),
            combine: BnAct::new(2 * classes, device),
            combine_esp: esp(2 * classes, classes, 1, false),
            up_l2: double(),
            up_l2_br: BnAct::new(classes, device),
            conv: ConvBnAct::new(16 + classes, classes, 1, device),
            classifier: double(),
            halve: AvgPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
        }
    }
}

/// ESPNet, made by [`EspNetConfig::init`].
///
/// Its layers are `enc1` (½ of the resolution), `enc2` (¼), `mid` (⅛), `dec2` (¼), `dec1` (½) and
/// `out`; `enc2.esp1 …` and `mid.esp1 …` are the ESP modules. Inputs are normalised BGR `[N, 3, H, W]`,
/// see [`Preprocess::Street`](crate::Preprocess::Street), with sides that are multiples of 8.
#[derive(Module, Debug)]
pub struct EspNet {
    encoder: Encoder,
    level3_c: Conv2d,
    br: BatchNorm,
    up_l3: ConvTranspose2d,
    combine: BnAct,
    combine_esp: Esp,
    up_l2: ConvTranspose2d,
    up_l2_br: BnAct,
    conv: ConvBnAct,
    classifier: ConvTranspose2d,
    halve: AvgPool2d,
}

#[cfg(feature = "pretrained")]
impl EspNet {
    /// The name that a parameter of this module has in the authors' checkpoints.
    pub(crate) fn file_key(path: &str) -> String {
        let mut key = path
            .replace("level2_0.br.", "level2_0.")
            .replace("level3_0.br.", "level3_0.")
            .replace(".br.", ".bn.")
            .replace("encoder.classifier.", "encoder.classifier.conv.")
            .replace("level3_c.", "level3_C.conv.")
            .replace("up_l3.", "up_l3.0.")
            .replace("up_l2.", "up_l2.0.")
            .replace("up_l2_br.", "up_l2.1.")
            .replace("combine.", "combine_l2_l3.0.")
            .replace("combine_esp.", "combine_l2_l3.1.");
        for branch in ["c1", "d1", "d2", "d4", "d8", "d16"] {
            key = key.replace(&format!(".{branch}."), &format!(".{branch}.conv."));
        }
        key
    }
}

impl SegmentationModel for EspNet {
    fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
        let cat = |tensors: Vec<Tensor<4>>| Tensor::cat(tensors, 1);
        let encoder = &self.encoder;

        let half = self.halve.forward(image.clone());
        let quarter = self.halve.forward(half.clone());
        let enc1 = layers.name("enc1", encoder.level1.forward(image));

        let down = encoder.b1.forward(cat(vec![enc1.clone(), half]));
        let down = encoder.level2_0.forward(down);
        let x = modules(&encoder.level2, down.clone(), "enc2", layers);
        let enc2 = layers.name("enc2", encoder.b2.forward(cat(vec![x, down, quarter])));

        let down = encoder.level3_0.forward(enc2.clone());
        let x = modules(&encoder.level3, down.clone(), "mid", layers);
        let mid = layers.name("mid", encoder.b3.forward(cat(vec![down, x])));

        let x = self.up_l3.forward(self.br.forward(encoder.classifier.forward(mid)));
        let x = self.combine.forward(cat(vec![self.level3_c.forward(enc2), x]));
        let dec2 = layers.name("dec2", self.combine_esp.forward(x));

        let x = self.up_l2_br.forward(self.up_l2.forward(dec2));
        let dec1 = layers.name("dec1", self.conv.forward(cat(vec![x, enc1])));
        layers.name("out", self.classifier.forward(dec1))
    }

    fn check_input(
        &self,
        shape @ [_, channels, height, width]: [usize; 4],
    ) -> Result<(), CamError> {
        if channels != 3 {
            let shape = shape.to_vec();
            return Err(CamError::WrongChannels { wanted: 3, given: channels, shape });
        }
        if height % 8 != 0 || width % 8 != 0 {
            return Err(CamError::NotAMultiple { multiple: 8, given: vec![height, width] });
        }
        Ok(())
    }
}

fn modules(esps: &[Esp], mut x: Tensor<4>, level: &str, layers: &mut Layers) -> Tensor<4> {
    for (i, esp) in esps.iter().enumerate() {
        x = layers.name(&format!("{level}.esp{}", i + 1), esp.forward(x));
    }
    x
}

fn conv(
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    device: &Device,
) -> Conv2d {
    let pad = kernel / 2 * dilation;
    Conv2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_dilation([dilation, dilation])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .init(device)
}

#[derive(Module, Debug)]
struct Encoder {
    level1: ConvBnAct,
    b1: BnAct,
    level2_0: Esp,
    level2: Vec<Esp>,
    b2: BnAct,
    level3_0: Esp,
    level3: Vec<Esp>,
    b3: BnAct,
    classifier: Conv2d,
}

/// Efficient spatial pyramid: reduce, convolve with five dilations, add them up hierarchically.
#[derive(Module, Debug)]
struct Esp {
    c1: Conv2d,
    d1: Conv2d,
    d2: Conv2d,
    d4: Conv2d,
    d8: Conv2d,
    d16: Conv2d,
    br: BnAct,
    residual: bool,
}

impl Esp {
    fn new(from: usize, to: usize, stride: usize, residual: bool, device: &Device) -> Self {
        let n = to / 5;
        let dilated = |to, dilation| conv(n, to, 3, 1, dilation, device);
        Self {
            c1: conv(from, n, if stride == 1 { 1 } else { 3 }, stride, 1, device),
            d1: dilated(to - 4 * n, 1),
            d2: dilated(n, 2),
            d4: dilated(n, 4),
            d8: dilated(n, 8),
            d16: dilated(n, 16),
            br: BnAct::new(to, device),
            residual,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let reduced = self.c1.forward(input.clone());
        let d2 = self.d2.forward(reduced.clone());
        let d4 = d2.clone() + self.d4.forward(reduced.clone());
        let d8 = d4.clone() + self.d8.forward(reduced.clone());
        let d16 = d8.clone() + self.d16.forward(reduced.clone());
        let x = Tensor::cat(vec![self.d1.forward(reduced), d2, d4, d8, d16], 1);
        self.br.forward(if self.residual { input + x } else { x })
    }
}

#[derive(Module, Debug)]
struct BnAct {
    bn: BatchNorm,
    act: PRelu,
}

impl BnAct {
    fn new(channels: usize, device: &Device) -> Self {
        Self {
            bn: BatchNormConfig::new(channels).with_epsilon(1e-3).init(device),
            act: PReluConfig::new().with_num_parameters(channels).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.act.forward(self.bn.forward(x))
    }
}

#[derive(Module, Debug)]
struct ConvBnAct {
    conv: Conv2d,
    bn: BatchNorm,
    act: PRelu,
}

impl ConvBnAct {
    fn new(from: usize, to: usize, stride: usize, device: &Device) -> Self {
        let BnAct { bn, act } = BnAct::new(to, device);
        Self { conv: conv(from, to, 3, stride, 1, device), bn, act }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.act.forward(self.bn.forward(self.conv.forward(x)))
    }
}
