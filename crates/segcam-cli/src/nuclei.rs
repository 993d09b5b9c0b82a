//! A picture like those of a fluorescence microscope, for those who have none.

use std::f32::consts::TAU;

use image::{GrayImage, ImageBuffer, Luma, imageops};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIDE: u32 = 256;

/// A generated picture, and what is known of it.
#[derive(Debug)]
pub struct Nuclei {
    /// Nuclei on a hazy, noisy background.
    pub image: GrayImage,
    nuclei: Vec<Nucleus>,
}

impl Nuclei {
    /// The centre `[y, x]` of the largest nucleus with room around it.
    pub fn one(&self) -> Option<[usize; 2]> {
        let one = large_and_alone(&self.nuclei)?;
        Some([one.y as usize, one.x as usize])
    }

    /// The number of each pixel's nucleus, from 1; 0 for none.
    pub fn instances(&self) -> ImageBuffer<Luma<u16>, Vec<u16>> {
        ImageBuffer::from_fn(SIDE, SIDE, |x, y| {
            let holds = |nucleus: &Nucleus| nucleus.radius(y as f32, x as f32) <= 1.0;
            Luma([self.nuclei.iter().position(holds).map_or(0, |number| number as u16 + 1)])
        })
    }

    /// Draws them.
    pub fn new(seed: u64) -> Self {
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
        Self { image, nuclei }
    }
}

/// A bright ellipse with a wavy edge.
#[derive(Debug)]
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
