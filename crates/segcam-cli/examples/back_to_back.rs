//! Explains each image of a folder as `segcam batch` does, with all of them in memory before and nothing written:
//! what a batch is measured against.
//!
//! ```sh
//! cargo run --release --example back_to_back -- images/
//! ```

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use segcam_batch::list;
use segcam_cli::annotations::Annotations;
use segcam_cli::ask::{Asked, OnlyBackground, ask};
use segcam_cli::batch::inputs;
use segcam_cli::explain::{How, explain};
use segcam_cli::network::Source;
use segcam_cli::{read, with_explainer};

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("wanted a folder of images")?;
    let device = segcam::best_device();
    let name = "nuclei-unet".parse().map_err(anyhow::Error::msg)?;
    let source =
        Source { name, weights: None, onnx: Default::default(), windows: Default::default() };
    let (model, network) = source.open(&device)?;
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let asked = Asked {
        layers: words(&["auto"]),
        classes: vec![],
        methods: words(&["seg-grad-cam", "seg-hires-grad-cam"]),
        pixels: words(&["class"]),
    };
    let files = list(Path::new(&folder), &inputs(Path::new("")))?.items;
    let (how, none) = (How::default(), Annotations::default());
    with_explainer!(network, explainer => {
        let images = files.iter().map(|item| read::open(&item.path, None, &model, &device));
        let images = images.collect::<Result<Vec<_>>>()?;
        let (start, mut maps) = (Instant::now(), 0);
        for image in images {
            let seen = explainer.observe(image.tensor)?;
            let question = match ask(&asked, &none, &model, &seen) {
                Err(error) if error.is::<OnlyBackground>() => continue,
                question => question?,
            };
            for answer in explain(&question, &seen, &how, || ()) {
                maps += answer.maps?.1.into_iter().collect::<Result<Vec<_>, _>>()?.len();
            }
        }
        println!("{maps} maps of {} images in {:.2} s", files.len(), start.elapsed().as_secs_f64());
    });
    Ok(())
}
