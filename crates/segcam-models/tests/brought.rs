//! What comes with the crate: a scan that is drawn, and networks with their weights.
#![cfg(feature = "pretrained")]

use burn::tensor::{Device, Tensor, TensorData};
use segcam_models::{Network, Phantom, Pretrained};

#[test]
fn the_same_seed_draws_the_same() {
    let [one, same, other] = [1, 1, 2].map(Phantom::new);
    assert_eq!(one.scan, same.scan);
    assert_eq!(one.labels, same.labels);
    assert_ne!(one.scan, other.scan);
}

#[test]
fn lesions_are_as_bright_as_vessels_and_few() {
    for seed in 0..10 {
        let phantom = Phantom::new(seed);
        assert!((2..=4).contains(&phantom.lesions()));
        let [slice, row, column] = phantom.largest_lesion();
        let Phantom { scan, labels, .. } = phantom;
        assert_eq!(scan.grid().orientation().to_string(), "RAS");
        let [columns, rows, _] = scan.grid().size();
        assert_eq!(labels[(slice * rows + row) * columns + column], 2, "seed {seed}");
        let mean = |keep: &dyn Fn(f32, u32) -> bool| {
            let all = scan.values().iter().zip(&labels);
            let kept: Vec<f32> =
                all.filter(|(value, label)| keep(**value, **label)).map(|(v, _)| *v).collect();
            (kept.iter().sum::<f32>() / kept.len() as f32, kept.len())
        };
        let (organ, organs) = mean(&|_, label| label == 1);
        let (lesion, voxels) = mean(&|_, label| label == 2);
        // Noise alone makes few voxels of the organ so bright.
        let (_, vessels) = mean(&|value, label| label == 1 && value > 160.0);
        assert!((40.0..75.0).contains(&organ), "seed {seed}: {organ}");
        assert!((100.0..160.0).contains(&lesion), "seed {seed}: {lesion}");
        assert!((200..5000).contains(&voxels), "seed {seed}: {voxels}");
        assert!(vessels > 100, "seed {seed}: {vessels}");
        assert!(organs > 5 * voxels, "seed {seed}: {organs} {voxels}");
    }
}

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
