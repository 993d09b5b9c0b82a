//! Images whose cause is known: a disk or a square in the middle, textures in the corners.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::train::{Sample, below};

pub(super) const SIDE: usize = 64;
pub(super) const PATCH: usize = 14;
pub(super) const DISK: u8 = 1;
pub(super) const SQUARE: u8 = 2;
/// Standard deviation of the noise.
pub(super) const NOISE: f32 = 0.5;
/// How much brighter an object is than what is around it.
pub(super) const CONTRAST: f32 = 0.5;
/// Squares reach so far from their middle; disks have the same area.
const REACH: usize = 7;
const RADIUS_SQUARED: usize = 72;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Texture {
    Rows,
    Columns,
    Dots,
    Checks,
}

/// T*, the one that gives squares away in the biased training set.
const TELLTALE: Texture = Texture::Checks;
const OTHERS: [Texture; 3] = [Texture::Rows, Texture::Columns, Texture::Dots];

impl Texture {
    /// Zero on average, so that brightness says nothing.
    fn at(self, y: usize, x: usize) -> f32 {
        let (row, column) = (y % 4 < 2, x % 4 < 2);
        let (on, low, high) = match self {
            Self::Rows => (row, -1.0, 1.0),
            Self::Columns => (column, -1.0, 1.0),
            Self::Checks => (row == column, -1.0, 1.0),
            Self::Dots => (row && column, -0.5, 1.5),
        };
        if on { high } else { low }
    }
}

#[derive(Clone)]
struct Patch {
    top: usize,
    left: usize,
    texture: Texture,
}

/// One image before it is decided whether T* is in it.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) square: bool,
    center: [usize; 2],
    noise: Vec<f32>,
    patches: Vec<Patch>,
    /// The patch that T* takes.
    place: usize,
}

impl Scene {
    pub(super) fn draw(generator: &mut ChaCha8Rng, square: bool) -> Self {
        let center = [28 + below(generator, 9), 20 + below(generator, 25)];
        let noise = (0..SIDE * SIDE).map(|_| NOISE * normal(generator)).collect();
        let patches = (0..4).map(|corner| {
            let mut start = |far| 1 + below(generator, 3) + if far { SIDE - PATCH - 4 } else { 0 };
            let (top, left) = (start(corner / 2 == 1), start(corner % 2 == 1));
            Patch { top, left, texture: OTHERS[below(generator, OTHERS.len())] }
        });
        let patches = patches.collect();
        Self { square, center, noise, patches, place: below(generator, 4) }
    }

    /// The same with the object elsewhere.
    pub(super) fn moved(self, center: [usize; 2]) -> Self {
        Self { center, ..self }
    }

    /// The same with another texture in a patch that T* does not take.
    pub(super) fn with_another_texture(&self) -> Self {
        let mut scene = self.clone();
        let patch = &mut scene.patches[(self.place + 1) % 4];
        let at = OTHERS.iter().position(|texture| *texture == patch.texture).unwrap_or(0);
        patch.texture = OTHERS[(at + 1) % OTHERS.len()];
        scene
    }

    /// The image with T* or without it.
    pub(super) fn render(&self, telltale: bool) -> Sample {
        let mut image = self.noise.clone();
        for (number, patch) in self.patches.iter().enumerate() {
            let taken = telltale && number == self.place;
            let texture = if taken { TELLTALE } else { patch.texture };
            for (y, x) in square_of(PATCH) {
                image[(patch.top + y) * SIDE + patch.left + x] += texture.at(y, x);
            }
        }
        let class = if self.square { SQUARE } else { DISK };
        let object = self.object();
        for (pixel, _) in image.iter_mut().zip(&object).filter(|(_, inside)| **inside) {
            *pixel += CONTRAST;
        }
        Sample { image, labels: object.iter().map(|inside| class * u8::from(*inside)).collect() }
    }

    /// Where the object is.
    pub(super) fn object(&self) -> Vec<bool> {
        let [row, column] = self.center;
        let inside = |(y, x): (usize, usize)| {
            let (y, x) = (y.abs_diff(row), x.abs_diff(column));
            if self.square { y.max(x) <= REACH } else { y * y + x * x <= RADIUS_SQUARED }
        };
        square_of(SIDE).map(inside).collect()
    }

    /// Where the patches are: that of T* first.
    pub(super) fn patches(&self) -> Vec<Vec<bool>> {
        let order = (0..4).map(|step| &self.patches[(self.place + step) % 4]);
        order.map(|patch| rectangle([patch.top, patch.left], [PATCH, PATCH])).collect()
    }
}

/// The pixels of a rectangle.
pub(super) fn rectangle([top, left]: [usize; 2], [height, width]: [usize; 2]) -> Vec<bool> {
    let inside = |(y, x)| (top..top + height).contains(&y) && (left..left + width).contains(&x);
    square_of(SIDE).map(inside).collect()
}

/// Rows and columns of the pixels of a square, row by row.
fn square_of(side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..side * side).map(move |at| (at / side, at % side))
}

/// Nearly normal: the sum of four uniform numbers, with variance 1.
fn normal(generator: &mut ChaCha8Rng) -> f32 {
    let sum: f32 = (0..4).map(|_| generator.random::<f32>()).sum();
    (sum - 2.0) * 3f32.sqrt()
}
