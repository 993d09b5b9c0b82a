//! One image under the eyes of both twins, and the bias share as a chart.

use std::path::Path;

use anyhow::Result;
use image::{Rgb, RgbImage, imageops};
use segcam::Explanation;
use segcam::burn::tensor::Tensor;
use segcam::render::{Bar, Chart, Colormap, Panel, Plane, Point, Series};
use segcam::render::{charts, figure, outline, overlay};

use super::bias::{Found, Study, by_image};
use super::scene::{SIDE, SQUARE, Scene};
use super::table::over_images;
use super::twins::{LAYERS, METHODS, Twins, look, maps};

const ZOOM: usize = 4;
const SHOWN: [&str; 2] = ["enc3", "mid"];
const OBJECT: Rgb<u8> = Rgb([255, 255, 255]);
const TELLTALE: Rgb<u8> = Rgb([120, 230, 90]);

/// The two Seg methods at two layers for both twins.
pub(super) fn one_image(twins: &[Twins], study: &Study, out: &Path) -> Result<()> {
    let Some((seed, scene)) = &study.example else {
        return Ok(());
    };
    let mut rows = vec![];
    for (network, name) in twins[*seed].both().into_iter().zip(["Biased", "Unbiased"]) {
        let seen = look(network, &scene.render(true))?;
        let maps = maps(&seen, SQUARE, &scene.object())?;
        let asked = maps[0].target().weights();
        let mut row = vec![Panel {
            image: outlined(picture(scene), asked, scene),
            caption: format!("{name} twin. White: the pixels explained. Green: the texture T*"),
            bar: None,
        }];
        for (number, map) in maps.iter().enumerate() {
            let (method, layer) = (number % METHODS.len(), LAYERS[number / METHODS.len()]);
            if method < 2 && SHOWN.contains(&layer) {
                row.push(panel(map, &format!("{name}: {} at {layer}", METHODS[method]), scene));
            }
        }
        rows.push(row);
    }
    let title = "Why a square? Only the biased twin learnt that the texture T* comes with squares. \
                 Orange: for the class; blue: against it";
    figure(title, &rows).save(out.join("known-truth.png"))?;
    Ok(())
}

fn panel(map: &Explanation, caption: &str, scene: &Scene) -> Panel {
    let size = [SIDE * ZOOM; 2];
    let heat = Plane::from_tensor(&map.signed_map(), 0, size);
    let image = overlay(&picture(scene), &heat, Colormap::BlueOrange);
    let most = map.range().first().map_or(0.0, |(low, high)| low.abs().max(high.abs()));
    Panel {
        image: outlined(image, map.target().weights(), scene),
        caption: caption.to_string(),
        bar: Some(Bar { colormap: Colormap::BlueOrange, low: -most, high: most }),
    }
}

fn outlined(mut image: RgbImage, asked: &Tensor<4>, scene: &Scene) -> RgbImage {
    let size = [SIDE * ZOOM; 2];
    let asked = Plane::from_tensor(asked, 0, [SIDE; 2]).cover(size);
    outline(&mut image, &asked, OBJECT);
    let patch = &scene.patches()[0];
    let inside = |y: usize, x: usize| f32::from(u8::from(patch[y / ZOOM * SIDE + x / ZOOM]));
    outline(&mut image, &Plane::from_fn(size[0], size[1], inside), TELLTALE);
    image
}

/// The image with T*, enlarged.
fn picture(scene: &Scene) -> RgbImage {
    let sample = scene.render(true);
    let grey = |at: usize| (128.0 + 60.0 * sample.image[at]).clamp(0.0, 255.0) as u8;
    let side = SIDE as u32;
    let image = RgbImage::from_fn(side, side, |x, y| Rgb([grey((y * side + x) as usize); 3]));
    let large = side * ZOOM as u32;
    imageops::resize(&image, large, large, imageops::FilterType::Nearest)
}

/// The bias share of both twins, one chart for each method.
pub(super) fn bias_chart(study: &Study, out: &Path) -> Result<()> {
    let series = |method: &str, biased: bool| Series {
        name: if biased { "biased twin" } else { "unbiased twin" }.into(),
        points: LAYERS.map(|layer| point(&study.of(method, layer, biased))).to_vec(),
    };
    let panels = METHODS.map(|method| Chart {
        title: method.into(),
        places: LAYERS.map(String::from).to_vec(),
        series: vec![series(method, true), series(method, false)],
        lines: vec![("all regions alike".into(), 0.2)],
        joined: false,
    });
    let title = "Bias share: how much of the heat is on the texture T*";
    charts(title, &panels).save(out.join("known-truth-bias.png"))?;
    Ok(())
}

fn point(found: &[&Found]) -> Option<Point> {
    let shares = found.iter().filter_map(|found| Some((found.image, found.share?)));
    let summary = over_images(&by_image(shares))?;
    Some(Point { value: summary.mean, interval: summary.interval, values: vec![] })
}
