//! From an image file to a picture of its heat map, with the network for cell nuclei:
//!
//! ```sh
//! cargo run --release -p segcam --features models,render --example picture -- in.png out.png
//! ```

use std::error::Error;
use std::path::Path;

use segcam::models::{Network, Pretrained, image};
use segcam::render::{Bar, Colormap, Panel, Plane, figure, overlay};
use segcam::{PredictedClass, SegHiResGradCam};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().collect::<Vec<_>>().as_slice() {
        [_, from, to] => draw(Path::new(from), Path::new(to)),
        _ => Err("give an image and the name of the picture to write".into()),
    }
}

fn draw(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let device = segcam::device("flex")?;
    let model = Pretrained::NucleiUNet;
    let Network::Image(explainer) = model.load(None, &device)? else { return Ok(()) };
    let prepared = model.preprocess().apply(&image::open(from)?, &device)?;

    let seen = explainer.observe(prepared.input)?;
    let map = seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1)?;

    let [_, _, height, width] = map.input_shape();
    let heat = Plane::from_tensor(&map.signed_map(), 0, [height, width]);
    let (colormap, (low, high)) = (Colormap::BlueOrange, map.range()[0]);
    let strongest = high.max(-low);
    let panel = Panel {
        image: overlay(&prepared.picture, &heat, colormap),
        caption: format!("{} at {}", map.method(), map.layer()),
        bar: Some(Bar { colormap, low: -strongest, high: strongest }),
    };
    figure("Why nuclei?", &[vec![panel]]).save(to)?;
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir();
    let (from, to) = (folder.join("segcam-example-in.png"), folder.join("segcam-example-out.png"));
    image::GrayImage::from_fn(64, 64, |x, y| {
        image::Luma([if x.abs_diff(30) + y.abs_diff(33) < 12 { 190 } else { 15 }])
    })
    .save(&from)?;
    draw(&from, &to)?;
    assert!(image::open(to)?.width() > 64);
    Ok(())
}
