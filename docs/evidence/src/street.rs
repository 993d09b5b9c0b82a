//! The paper's first experiment on our street scene: Seg-Grad-CAM beside Seg-HiRes-Grad-CAM at every
//! level, for road, person and car.

use std::path::Path;

use anyhow::Result;
use image::RgbImage;
use indicatif::ProgressIterator;
use segcam::metrics::{Metric, Noise, Protocol, Removal, Study};
use segcam::models::Pretrained;
use segcam::render::{Colormap, Panel, Plane, figure, overlay};
use segcam::{CamMethod, Explainer, GradCam, HiResCam, PredictedClass, Request};

use crate::measure::{input, network, rows, table};

const METRICS: [Metric; 9] = [
    Metric::Leak,
    Metric::CompletenessError,
    Metric::FidelityR2,
    Metric::FidelityRank,
    Metric::Road,
    Metric::Deletion,
    Metric::Insertion,
    Metric::Randomization,
    Metric::Stability,
];
const LAYERS: [&str; 5] = ["enc1", "enc2", "mid", "dec2", "dec1"];
/// Size of a picture of a map.
const WIDTH: usize = 320;
const HEIGHT: usize = 160;
const CLASSES: [(&str, usize); 3] = [("road", 0), ("person", 11), ("car", 13)];

pub(crate) fn run(data: &Path, out: &Path) -> Result<()> {
    let folder = data.join("street_espnet");
    let explainer = network(Pretrained::EspNet, Some(&folder.join("espnet_p_2_q_8.safetensors")))?;
    let frame = folder.join("images/frankfurt_000001_058914_leftImg8bit.png");
    let image = input(Pretrained::EspNet, &frame)?;
    let protocol = Protocol::new()
        .with_metrics(METRICS.into())
        .with_removal(Removal::new().with_fractions(vec![0.1, 0.3, 0.5]))
        .with_noise(Noise::new().with_samples(2))
        .with_cells(32);
    let methods: [&dyn CamMethod; 2] = [&GradCam, &HiResCam];
    println!("### Street: one Cityscapes frame, ESPNet at 1024×512\n");
    println!("One image: no intervals, no tests. Removed fractions 0.1, 0.3, 0.5.\n");
    for (name, class) in CLASSES.iter().progress() {
        let pixels = (&[&PredictedClass as _][..], *class);
        let found = rows(&protocol, &explainer, image.clone(), pixels, &methods, &LAYERS)?;
        let mut study = Study::new(0);
        study.add(name, found);
        println!("{name}:\n\n{}", table(&study, &METRICS));
    }
    let picture = image::open(&frame)?.to_rgb8();
    picture_of(&explainer, image, &picture, &methods)?.save(out.join("evidence-street.png"))?;
    Ok(())
}

/// For each class a row for each method, a column for each layer.
fn picture_of(
    explainer: &Explainer,
    input: burn::tensor::Tensor<4>,
    picture: &RgbImage,
    methods: &[&dyn CamMethod],
) -> Result<RgbImage> {
    let seen = explainer.observe(input)?;
    let small = image::imageops::resize(
        picture,
        WIDTH as u32,
        HEIGHT as u32,
        image::imageops::FilterType::Triangle,
    );
    let mut panels = vec![];
    for (name, class) in CLASSES {
        let target = seen.target(&PredictedClass, class)?;
        for method in methods {
            let mut row = vec![];
            for layer in LAYERS {
                let map = seen.answer(&Request::new(*method, layer, &target))?;
                let heat = Plane::from_tensor(&map.signed_map(), 0, [HEIGHT, WIDTH]);
                row.push(Panel {
                    image: overlay(&small, &heat, Colormap::BlueOrange),
                    caption: format!("{name}, {}\nat {layer}", map.method()),
                    bar: None,
                });
            }
            panels.push(row);
        }
    }
    Ok(figure(
        "ESPNet on a street: averaged and raw gradients at every level; orange for, blue against",
        &panels,
    ))
}
