//! What the suites share: small random networks, fixtures, comparison, and the folder of real data.

pub mod peers;
pub mod zoo;

mod watched;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::config::Config;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{
    Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose2d, ConvTranspose2dConfig,
    ConvTranspose3d, ConvTranspose3dConfig,
};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, FloatDType, Tensor, TensorData};
use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use safetensors::{Dtype, SafeTensors};
use segcam::SegmentationModel;
use segcam::{
    CamError, Explainer, Explanation, GradCam, HiResCam, Layers, OnPixels, PixelSet, Request,
    SegGradCam, SegHiResGradCam, Smoothing,
};

pub use watched::{Counts, Watched};

/// A small U-Net with BatchNorm and a skip; its decoder block can be left without ReLU.
#[derive(Config, Debug)]
pub struct SmallNetConfig {
    /// Classes.
    pub classes: usize,
    /// ReLU after the decoder's convolution.
    #[config(default = true)]
    pub relu: bool,
}

macro_rules! small_net {
    ($net:ident, $init:ident, $rank:literal, $conv:ident, $conv_config:ident, $up:ident, $up_config:ident,
     $kernel:expr, $two:expr, $padding:expr) => {
        /// Layers `enc` (used twice), `mid` (half the resolution), `dec`, `out`.
        #[derive(Module, Debug)]
        pub struct $net {
            enc: $conv,
            mid: $conv,
            norm: BatchNorm,
            up: $up,
            dec: $conv,
            head: $conv,
            relu: bool,
        }

        impl SmallNetConfig {
            /// Random weights; sides must be even.
            pub fn $init(&self, device: &Device) -> $net {
                let conv = |channels| $conv_config::new(channels, $kernel).with_padding($padding);
                $net {
                    enc: conv([2, 4]).init(device),
                    mid: conv([4, 5]).with_stride($two).init(device),
                    norm: BatchNormConfig::new(5).init(device),
                    up: $up_config::new([5, 3], $two).with_stride($two).init(device),
                    dec: conv([7, 4]).init(device),
                    head: $conv_config::new([4, self.classes], $two.map(|_| 1)).init(device),
                    relu: self.relu,
                }
            }
        }

        impl SegmentationModel<$rank> for $net {
            fn forward(&self, image: Tensor<$rank>, layers: &mut Layers) -> Tensor<$rank> {
                let enc = layers.name("enc", relu(self.enc.forward(image)));
                let mid = self.norm.forward(self.mid.forward(enc.clone()));
                let mid = layers.name("mid", relu(mid));
                let both = Tensor::cat(vec![self.up.forward(mid), enc], 1);
                let dec = self.dec.forward(both);
                let dec = layers.name("dec", if self.relu { relu(dec) } else { dec });
                layers.name("out", self.head.forward(dec))
            }
        }
    };
}
small_net!(
    SmallNet2d,
    init_2d,
    4,
    Conv2d,
    Conv2dConfig,
    ConvTranspose2d,
    ConvTranspose2dConfig,
    [3, 3],
    [2, 2],
    PaddingConfig2d::Explicit(1, 1, 1, 1)
);
small_net!(
    SmallNet3d,
    init_3d,
    5,
    Conv3d,
    Conv3dConfig,
    ConvTranspose3d,
    ConvTranspose3dConfig,
    [3, 3, 3],
    [2, 2, 2],
    PaddingConfig3d::Explicit(1, 1, 1)
);

/// Random cases, the same in every run: of thousands of random networks, rounding flips a ReLU of one.
/// `PROPTEST_CASES` tries more.
pub fn same_every_run(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(1);
    ProptestConfig { cases, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

/// Makes something random, the same for the same seed: the generator is one for all threads.
pub fn seeded<T>(seed: u64, make: impl FnOnce(&Device) -> T) -> T {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Device::flex();
    device.seed(seed);
    make(&device)
}

/// A network with random weights, drawn now and not at first use.
pub fn seeded_net<M: Module>(seed: u64, init: impl FnOnce(&Device) -> M) -> M {
    seeded(seed, |device| {
        let net = init(device);
        let _drawn = net.valid();
        net
    })
}

/// A network whose numbers are double precision.
pub fn double<M: Module>(net: M) -> M {
    struct Double;
    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(FloatDType::F64))
        }
    }
    net.map(&mut Double)
}

/// The device that `SEGCAM_TEST_DEVICE` names; flex unless it is set. `remote` starts a server of
/// its own that computes with flex.
///
/// # Panics
/// If it is not there.
pub fn device() -> Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        let name = std::env::var("SEGCAM_TEST_DEVICE").unwrap_or_else(|_| "flex".into());
        let name = if name == "remote" { serve() } else { name };
        segcam::device(&name).unwrap_or_else(|error| panic!("{error}"))
    });
    DEVICE.clone()
}

/// A server on a free port of this machine, as long as the tests run, as [`segcam::device`] takes it.
///
/// # Panics
/// If no port is free.
#[cfg(feature = "remote")]
pub fn serve() -> String {
    use burn::server::{RemoteServer, WebSocketTransport};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let transport = WebSocketTransport::from_listener(listener);
    std::thread::spawn(move || RemoteServer::new([Device::flex()]).serve(transport));
    format!("remote:ws://127.0.0.1:{port}")
}

#[cfg(not(feature = "remote"))]
fn serve() -> String {
    "remote:ws://localhost:0".into()
}

/// Normally distributed numbers.
pub fn noise<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    seeded(seed, |device| Tensor::random(shape, Distribution::Normal(0.0, 1.0), device))
}

/// The paper's methods; the Seg methods explain `pixels`.
pub fn methods<const D: usize>(
    pixels: impl PixelSet<D> + Clone + 'static,
) -> Vec<Box<dyn OnPixels<D>>> {
    vec![
        Box::new(GradCam),
        Box::new(HiResCam),
        Box::new(SegGradCam::new(pixels.clone())),
        Box::new(SegHiResGradCam::new(pixels)),
    ]
}

/// A smoothed map.
///
/// # Errors
/// Those of [`Smoothing::explain`].
pub fn smoothed<const D: usize>(
    by: &Smoothing,
    explainer: &Explainer<D>,
    input: Tensor<D>,
    method: &dyn OnPixels<D>,
    layer: &str,
    class: usize,
) -> Result<Explanation<D>, CamError> {
    let seen = explainer.observe(input)?;
    let target = seen.target(method.pixels(), class)?;
    by.explain(&seen, &Request::new(method.method(), layer, &target))
}

/// An ONNX file of a network, written by burn-onnx: its outputs are the class scores and `layers`.
///
/// # Panics
/// If burn-onnx cannot write it.
pub fn to_onnx<M: SegmentationModel>(model: &M, shape: [usize; 4], layers: [&str; 2]) -> Vec<u8> {
    let image = Tensor::<4>::zeros(shape, &Device::flex());
    let exporter = burn_onnx::export::OnnxExporter::new();
    let written = exporter.export(model, image, |model, image| {
        let mut found = layers.map(|_| None);
        let mut visitor = |mut view: segcam::engine::LayerView| {
            let at = layers.iter().position(|layer| *layer == view.layer.name);
            if let Some(at) = at {
                found[at] = view.tensor::<4>().cloned();
            }
        };
        let scores = model.forward(image, &mut Layers::visited(&mut visitor));
        let [first, second] = found.map(|layer| layer.expect("a layer of that name"));
        (scores, first, second)
    });
    written.expect("an ONNX file").into_bytes()
}

/// The values of a tensor.
pub fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

/// Largest difference, relative to the largest absolute wanted value.
///
/// # Panics
/// If the lengths differ or a value is not finite.
pub fn relative_error(given: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(given.len(), wanted.len(), "another number of values");
    let largest = wanted.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let difference = given.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    let error = difference.fold(0.0, |most: f32, value| {
        assert!(value.is_finite());
        most.max(value)
    });
    error / largest
}

/// Tensors of a `.safetensors` file.
#[derive(Debug)]
pub struct Fixture {
    bytes: Vec<u8>,
}

impl Fixture {
    /// Reads the file.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self { bytes }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("a safetensors file")
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.tensors().names().into_iter().map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// An entry of the file's metadata.
    ///
    /// # Panics
    /// If it is not there.
    pub fn meta(&self, key: &str) -> String {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).expect("a safetensors file");
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(key));
        entry.unwrap_or_else(|| panic!("no {key}")).clone()
    }

    /// Shape of a tensor.
    ///
    /// # Panics
    /// If it is not there.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors().tensor(name).expect("a tensor").shape().to_vec()
    }

    /// The bytes of a tensor.
    ///
    /// # Panics
    /// If it is not there.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.tensors().tensor(name).expect("a tensor").data().to_vec()
    }

    /// A tensor as `f32`.
    ///
    /// # Panics
    /// If it is not there or has another rank.
    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let tensors = self.tensors();
        let view = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => {
                let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                view.data().chunks_exact(4).map(number).collect()
            }
            Dtype::U8 => view.data().iter().map(|&byte| f32::from(byte)).collect(),
            Dtype::I64 => view.data().chunks_exact(8).map(|b| f32::from(b[0])).collect(),
            other => panic!("{name} is {other:?}"),
        };
        let shape: [usize; D] = view.shape().try_into().expect("the rank");
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }
}

/// The folder of fixtures beside their generator.
pub fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference")
}

/// A folder of the real data: `$SEGCAM_DATA`, or `../shared/data` beside the project.
///
/// Says so and returns `None` where it is missing, unless `SEGCAM_REQUIRE_DATA` is set.
///
/// # Panics
/// If the data are required and missing.
pub fn real_data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SEGCAM_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("SEGCAM_REQUIRE_DATA").is_none(), "{} is missing", path.display());
    // Past the test harness, which hides what passing tests print.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no {}", path.display());
    None
}
