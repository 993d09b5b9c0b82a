use std::f32::consts::TAU;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, imageops};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam::models::{Network, Pretrained};
use segcam::render::{Colormap, figure};
use segcam::{Normalize, PixelSet, PredictedClass, components::ComponentAt};

use crate::args::{DemoArgs, Talk};
use crate::asked::{Request, class_name};
use crate::explain::{Work, command_line, explain_all, finish, predicted_pixels};
use crate::input::Picture;
use crate::method::{MethodName, SharedSet};
use crate::model::Model;
use crate::output::Folder;
use crate::picture::{Canvas, Size};
use crate::report::{MapReport, Report};

const SIDE: u32 = 256;
const NUCLEUS: usize = 1;
const LAYERS: [&str; 2] = ["mid", "dec1"];
const METHODS: [MethodName; 2] = [MethodName::SEG_GRAD, MethodName::SEG_HIRES];

/// `segcam demo`
pub(crate) fn run(args: &DemoArgs, talk: Talk) -> Result<()> {
    let device = args.device.open()?;
    let network = Pretrained::NucleiUNet.load(None, &device)?;
    let Network::Image(explainer) = network else { bail!("the nuclei are in images") };
    let model = &Model::known(Pretrained::NucleiUNet);
    let out = Folder::create(&args.out)?;
    let (image, nuclei) = cells(args.seed);
    let prepared = model.prepare(&DynamicImage::ImageLuma8(image.clone()), &device)?;
    let seen = explainer.observe(prepared.input.clone())?;

    let one = large_and_alone(&nuclei).context("no nucleus stands alone: try another --seed")?;
    let one: SharedSet<4> = Arc::new(ComponentAt::new([one.y as usize, one.x as usize]));
    let every: SharedSet<4> = Arc::new(PredictedClass);
    let sets = [("nucleus", "one nucleus", one), ("class", "every nucleus", every)];
    let mut requests = vec![];
    for (name, _, pixels) in &sets {
        for layer in LAYERS {
            requests.extend(METHODS.map(|method| Request {
                class: NUCLEUS,
                method: method.with(pixels),
                layer: layer.into(),
                stem: format!("{name}.{method}.{layer}"),
            }));
        }
    }
    let (normalize, colormap) = (Normalize::Max, Colormap::default());
    let work = Work { normalize, certify: true, smooth: None, talk };
    let (seen, bar) = work.progress(seen, requests.len());
    let maps = explain_all(&explainer, &seen, &prepared.input, &requests, &work, &bar);
    let maps = maps.collect::<Result<Vec<_>, _>>()?;

    let prediction = seen.prediction();
    let explained = PredictedClass.weights(prediction, NUCLEUS)?;
    let picture = Picture { image: prepared.picture.clone(), resized: prepared.resized };
    let canvas = Canvas::new(&prepared.input, Some(&picture), prediction, NUCLEUS, &explained, 0)?;
    let mut reports: Vec<MapReport> = vec![];
    let mut rows = vec![];
    for ((_, what, _), maps) in sets.iter().zip(maps.chunks(LAYERS.len() * METHODS.len())) {
        let mut row = vec![];
        for map in maps {
            let mut panel = canvas.map(&map.drawing, colormap, Size::InFigure);
            panel.caption = format!("{what}: {}", panel.caption);
            let file = format!("{}.png", map.stem);
            out.png(&file, &figure(&class_name(model, NUCLEUS), &[vec![panel.clone()]]))?;
            reports.push(MapReport { files: vec![file], ..map.report(model) });
            row.push(panel);
        }
        let first = if rows.is_empty() { canvas.plain() } else { canvas.prediction() };
        row.insert(0, first);
        rows.push(row);
    }
    let title = format!("Why are these pixels nuclei? {}", canvas.legend());
    out.png("compare.png", &figure(&title, &rows))?;
    out.png("input.png", &image)?;
    // For `segcam pixels` and `segcam explain`: which nucleus a pixel belongs to, if to any.
    let ids = instances(&nuclei);
    let labels = GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([ids[(x, y)].0[0].min(1) as u8]));
    out.png("instances.png", &ids)?;
    out.png("truth.png", &labels)?;

    let files = ["compare.png", "input.png", "instances.png", "report.json", "truth.png"];
    let report = Report {
        segcam: env!("CARGO_PKG_VERSION"),
        command: command_line(),
        model: model.name.clone(),
        weights: model.weights.clone(),
        notes: vec![],
        input: format!("generated, seed {}", args.seed),
        input_shape: prepared.input.dims().to_vec(),
        classes: seen.prediction().classes(),
        class_chosen: "nucleus",
        predicted_pixels: predicted_pixels(&seen)?,
        normalize: normalize.to_string(),
        colormap: colormap.to_string(),
        engine: seen.engine(),
        device: format!("{:?}", device.as_dispatch()),
        slices: None,
        maps: reports,
        failures: vec![],
        files: files.map(String::from).to_vec(),
    };
    finish(&report, &out, talk)
}

/// A bright ellipse with a wavy edge.
struct Nucleus {
    y: f32,
    x: f32,
    long: f32,
    short: f32,
    angle: f32,
    brightness: f32,
    phase: f32,
}

impl Nucleus {
    fn random(rng: &mut impl Rng) -> Self {
        let long = rng.random_range(8.0..14.0);
        Self {
            y: rng.random_range(12.0..SIDE as f32 - 12.0),
            x: rng.random_range(12.0..SIDE as f32 - 12.0),
            long,
            short: long * rng.random_range(0.6..0.95),
            angle: rng.random_range(0.0..TAU),
            brightness: rng.random_range(60.0..150.0),
            phase: rng.random_range(0.0..TAU),
        }
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        (self.y - other.y).hypot(self.x - other.x) > self.long + other.long + 3.0
    }

    /// Distance from the centre: 1 at the edge.
    fn radius(&self, y: f32, x: f32) -> f32 {
        self.place(y, x).0
    }

    fn light(&self, y: f32, x: f32) -> f32 {
        let (radius, u, v) = self.place(y, x);
        let texture = 1.0 + 0.2 * (0.31 * u + self.phase).sin() * (0.27 * v + self.phase).cos();
        self.brightness * texture / (1.0 + ((radius - 1.0) * 12.0).exp())
    }

    /// The radius, and the distances along the two axes.
    fn place(&self, y: f32, x: f32) -> (f32, f32, f32) {
        let (sin, cos) = self.angle.sin_cos();
        let (dy, dx) = (y - self.y, x - self.x);
        let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let edge = 1.0 + 0.06 * (3.0 * v.atan2(u) + self.phase).sin();
        ((u / self.long).hypot(v / self.short) / edge, u, v)
    }

    /// Whether there is room between the two.
    fn is_clear_of(&self, other: &Self) -> bool {
        let apart = (self.y - other.y).abs().max((self.x - other.x).abs());
        apart > self.long + other.long + 6.0
    }
}

/// The largest nucleus with room around it.
fn large_and_alone(nuclei: &[Nucleus]) -> Option<&Nucleus> {
    let alone = |one: &&Nucleus| {
        nuclei.iter().all(|other| std::ptr::eq(*one, other) || one.is_clear_of(other))
    };
    nuclei.iter().filter(alone).max_by(|a, b| a.long.total_cmp(&b.long))
}

/// The number of each pixel's nucleus, from 1; 0 for none.
fn instances(nuclei: &[Nucleus]) -> ImageBuffer<Luma<u16>, Vec<u16>> {
    ImageBuffer::from_fn(SIDE, SIDE, |x, y| {
        let holds = |nucleus: &Nucleus| nucleus.radius(y as f32, x as f32) <= 1.0;
        Luma([nuclei.iter().position(holds).map_or(0, |number| number as u16 + 1)])
    })
}

/// A picture like those of a fluorescence microscope: nuclei on a hazy, noisy background.
fn cells(seed: u64) -> (GrayImage, Vec<Nucleus>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut nuclei: Vec<Nucleus> = vec![];
    for _ in 0..400 {
        let next = Nucleus::random(&mut rng);
        if nuclei.len() < 28 && nuclei.iter().all(|nucleus| nucleus.is_apart_from(&next)) {
            nuclei.push(next);
        }
    }
    let sharp = GrayImage::from_fn(SIDE, SIDE, |x, y| {
        let (y, x) = (y as f32, x as f32);
        let haze = 12.0 + 6.0 * (x / 70.0).sin() * (y / 90.0).cos();
        let light: f32 = nuclei.iter().map(|nucleus| nucleus.light(y, x)).sum();
        Luma([(haze + light).clamp(0.0, 255.0) as u8])
    });
    let mut image = imageops::blur(&sharp, 1.2);
    for pixel in image.pixels_mut() {
        let noise: f32 = (0..4).map(|_| rng.random_range(-3.0..3.0f32)).sum();
        pixel.0[0] = (f32::from(pixel.0[0]) + noise).clamp(0.0, 255.0) as u8;
    }
    (image, nuclei)
}
