//! `onnx-fuzz SECONDS [SEED]`: changed copies of the fixtures' ONNX files are read and run. Nothing
//! may crash, hang, or take memory beyond what file and input allow.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam::Explainer;
use segcam::onnx::{OnnxError, OnnxFile};
use segcam_tests::Fixture;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let seconds = arguments.next().expect("usage: onnx-fuzz SECONDS [SEED]");
    let mut rng = ChaCha8Rng::seed_from_u64(arguments.next().unwrap_or(0));
    std::panic::set_hook(Box::new(|_| {}));

    let corpus = corpus();
    let (mut counts, mut panics) = (BTreeMap::<&str, usize>::new(), vec![]);
    let mut slowest = Duration::ZERO;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        let bytes = changed(&corpus, &mut rng);
        let begin = Instant::now();
        let outcome = std::panic::catch_unwind(|| outcome(bytes.clone()));
        slowest = slowest.max(begin.elapsed());
        match outcome {
            Ok(outcome) => *counts.entry(outcome).or_default() += 1,
            Err(_) => panics.push(bytes),
        }
    }
    println!(
        "{} files of {} seeds; slowest {slowest:?}",
        counts.values().sum::<usize>(),
        corpus.len()
    );
    for (outcome, count) in counts {
        println!("{count:8} {outcome}");
    }
    println!("{:8} panics of the loader", panics.len());
    for (number, bytes) in panics.iter().take(10).enumerate() {
        std::fs::write(format!("onnx-panic-{number}.onnx"), bytes).expect("a place to write to");
    }
    assert!(panics.is_empty());
}

/// Every ONNX file among the fixtures.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx");
    let operators = Fixture::open(&folder.join("operators.safetensors"));
    let names = operators.names();
    let models = names.iter().filter(|name| name.ends_with("/model"));
    let mut corpus: Vec<Vec<u8>> = models.map(|name| operators.bytes(name)).collect();
    let files = std::fs::read_dir(folder).expect("fixtures").flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    corpus.extend(files.map(|path| std::fs::read(path).expect("a file")));
    corpus
}

/// A seed with up to eight changes: other bytes, extreme numbers, parts taken out, doubled, or
/// taken from another seed.
fn changed(corpus: &[Vec<u8>], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = corpus.choose(rng).expect("seeds").clone();
    for _ in 0..rng.random_range(1..=8) {
        let length = bytes.len().max(1);
        let at = rng.random_range(0..length).min(bytes.len());
        let end = (at + rng.random_range(0..32)).min(bytes.len());
        match rng.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => {
                let other = corpus.choose(rng).expect("seeds");
                let from = rng.random_range(0..other.len());
                let part = other[from..(from + 32).min(other.len())].to_vec();
                bytes.splice(at..end, part);
            }
            _ => {
                let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
                bytes.splice(at..end, huge[rng.random_range(0..9)..].to_vec());
            }
        }
    }
    bytes
}

fn outcome(bytes: Vec<u8>) -> &'static str {
    let file = match OnnxFile::from_bytes(bytes) {
        Ok(file) => file,
        Err(OnnxError::Malformed { .. }) => return "malformed",
        Err(OnnxError::Unsupported(_)) => return "unsupported operators",
        Err(OnnxError::Tensor { .. }) => return "wrong tensors",
        Err(OnnxError::Graph { .. }) => return "broken graphs",
        Err(_) => return "refused for another reason",
    };
    let channels = file.channels().unwrap_or(1).min(64);
    let sides: Vec<usize> = file.size().iter().map(|side| side.unwrap_or(8).min(64)).collect();
    let device = Device::flex();
    let ran = if file.rank() == 4 {
        let model = file.load::<4>(&device).expect("its rank");
        let image = Tensor::ones([1, channels, sides[0], sides[1]], &device);
        Explainer::new(model).observe(image).map(drop)
    } else {
        let model = file.load::<5>(&device).expect("its rank");
        let image = Tensor::ones([1, channels, sides[0], sides[1], sides[2]], &device);
        Explainer::new(model).observe(image).map(drop)
    };
    if ran.is_ok() { "run" } else { "fail while running" }
}
