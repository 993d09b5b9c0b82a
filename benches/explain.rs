//! What an observation and its maps cost, by network and engine.
//!
//! ```sh
//! cargo bench -p segcam-benches
//! SEGCAM_BENCH_DEVICE=libtorch cargo bench -p segcam-benches --features tch
//! ```

use std::fmt;

use divan::Bencher;
use segcam::burn::tensor::{Device, Distribution, Tensor};
use segcam::engine::{GraphEngine, TapeEngine};
use segcam::models::{EspNetConfig, MeshNetConfig, Pretrained, UNetConfig};
use segcam::{
    AllPixels, CamMethod, Explainer, GradCam, HiResCam, Observation, Request, SegmentationModel,
};

fn main() {
    divan::main();
}

#[derive(Debug, Clone, Copy)]
enum Net {
    UNet256,
    UNet512,
    Esp,
    Retina,
    Mesh,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Graph,
    Tape,
}

#[derive(Debug, Clone, Copy)]
struct Case(Net, Kind);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let net = match self.0 {
            Net::UNet256 => "unet32-256x256",
            Net::UNet512 => "unet32-512x512",
            Net::Esp => "espnet8-512x1024",
            Net::Retina => "retina-584x568",
            Net::Mesh => "meshnet-64x64x64",
        };
        write!(f, "{net}-{:?}", self.1)
    }
}

const NETS: [Net; 5] = [Net::UNet256, Net::UNet512, Net::Esp, Net::Retina, Net::Mesh];

fn both_engines() -> impl Iterator<Item = Case> {
    NETS.into_iter().flat_map(|net| [Case(net, Kind::Graph), Case(net, Kind::Tape)])
}

/// The tape pays a forward pass per map: a minute for all classes of a street.
fn graph_engine() -> impl Iterator<Item = Case> {
    NETS.into_iter().map(|net| Case(net, Kind::Graph))
}

/// What can be timed of a network, whatever its rank.
trait Work {
    fn observe(&self) -> Box<dyn Seen>;
}

trait Seen {
    /// Seg-Grad-CAM and Seg-HiRes-Grad-CAM of these classes at these layers.
    fn maps(&self, classes: usize, layers: &[&str]);
    fn classes(&self) -> usize;
}

struct Loaded<const D: usize>(Explainer<D>, Tensor<D>);

impl<const D: usize> Work for Loaded<D> {
    fn observe(&self) -> Box<dyn Seen> {
        let seen = self.0.observe(self.1.clone()).expect("a pass");
        // Devices compute on their own: wait for it.
        drop(seen.logits().into_data());
        Box::new(seen)
    }
}

impl<const D: usize> Seen for Observation<D> {
    fn maps(&self, classes: usize, layers: &[&str]) {
        let methods: [&dyn CamMethod<D>; 2] = [&GradCam, &HiResCam];
        let requests = (0..classes).flat_map(|class| {
            let target = self.target(&AllPixels, class).expect("a class");
            let of_layer = move |&layer| methods.map(|method| Request::new(method, layer, &target));
            layers.iter().flat_map(of_layer)
        });
        for map in self.explain_all(requests) {
            drop(map.expect("a map").raw().to_data());
        }
    }

    fn classes(&self) -> usize {
        self.prediction().classes()
    }
}

fn device() -> Device {
    let name = std::env::var("SEGCAM_BENCH_DEVICE").unwrap_or_else(|_| "flex".into());
    segcam::device(&name).expect("a device")
}

fn load(Case(net, kind): Case) -> Box<dyn Work> {
    fn work<M: SegmentationModel<D>, const D: usize>(
        net: M,
        kind: Kind,
        shape: [usize; D],
    ) -> Box<dyn Work> {
        let net = net.valid();
        let explainer = match kind {
            Kind::Graph => Explainer::with_engine(GraphEngine::new(net)),
            Kind::Tape => Explainer::with_engine(TapeEngine::new(net)),
        };
        let input = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device());
        let loaded = Loaded(explainer, input);
        loaded.observe();
        Box::new(loaded)
    }
    let device = device();
    device.seed(1);
    let unet = || {
        let widths = (0..5).map(|level| 32 << level).collect();
        UNetConfig::new(3, 19).with_widths(widths).init(&device)
    };
    match net {
        Net::UNet256 => work(unet(), kind, [1, 3, 256, 256]),
        Net::UNet512 => work(unet(), kind, [1, 3, 512, 512]),
        Net::Esp => work(EspNetConfig::new().init(&device), kind, [1, 3, 512, 1024]),
        Net::Retina => work(Pretrained::retina_config().init(&device), kind, [1, 1, 584, 568]),
        Net::Mesh => work(MeshNetConfig::new().init(&device), kind, [1, 1, 64, 64, 64]),
    }
}

/// A deep layer, and all layers, of each network.
fn layers(net: Net) -> (&'static str, &'static [&'static str]) {
    match net {
        Net::Esp => ("mid", &["mid", "dec2", "dec1"]),
        Net::Mesh => ("conv5", &["conv5", "conv7", "conv8"]),
        _ => ("mid", &["mid", "dec2", "dec1"]),
    }
}

#[divan::bench(args = both_engines(), sample_count = 10)]
fn observe(bencher: Bencher, case: Case) {
    let work = load(case);
    bencher.bench_local(|| work.observe());
}

#[divan::bench(args = both_engines(), sample_count = 10)]
fn two_methods_of_one_class(bencher: Bencher, case: Case) {
    let seen = load(case).observe();
    bencher.bench_local(|| seen.maps(1, &[layers(case.0).0]));
}

#[divan::bench(args = graph_engine(), sample_count = 3)]
fn two_methods_of_all_classes(bencher: Bencher, case: Case) {
    let seen = load(case).observe();
    bencher.bench_local(|| seen.maps(seen.classes(), &[layers(case.0).0]));
}

#[divan::bench(args = graph_engine(), sample_count = 10)]
fn two_methods_at_all_layers(bencher: Bencher, case: Case) {
    let seen = load(case).observe();
    bencher.bench_local(|| seen.maps(1, layers(case.0).1));
}
