//! Two squares that are the same in every pixel: whose map is it?

use anyhow::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use segcam::Normalize;
use segcam::metrics::instance_index;

use super::bias::{by_number, values};
use super::scene::{SIDE, SQUARE, Scene, rectangle};
use super::table::{Table, cell, over_images};
use super::twins::{LAYERS, METHODS, Twins, look, majority, maps};
use crate::train::{Sample, below};

const IMAGES: usize = 40;
/// Height and width of what is pasted twice; the copies lie side by side. The width is a multiple of
/// the coarsest cell, so that pooling treats both alike.
const PASTED: [usize; 2] = [20, 24];
const LEFT: usize = 8;

/// An image with two squares, the place of each and what is pasted around it.
struct Pair {
    sample: Sample,
    squares: [Vec<bool>; 2],
    boxes: [Vec<bool>; 2],
}

impl Pair {
    fn draw(generator: &mut ChaCha8Rng) -> Self {
        let row = 28 + below(generator, 9);
        let scene = Scene::draw(generator, true);
        let at = |copy: usize| [row, LEFT + PASTED[1] / 2 + copy * PASTED[1]];
        let scenes = [scene.clone().moved(at(0)), scene.moved(at(1))];
        let mut sample = scenes[0].render(false);
        let top = row - PASTED[0] / 2;
        for y in top..top + PASTED[0] {
            let from = y * SIDE + LEFT;
            sample.image.copy_within(from..from + PASTED[1], from + PASTED[1]);
        }
        Self {
            sample,
            squares: scenes.map(|scene| scene.object()),
            boxes: [0, 1].map(|copy| rectangle([top, LEFT + copy * PASTED[1]], PASTED)),
        }
    }
}

/// Prints the instance index of the unbiased networks.
pub(super) fn report(twins: &[Twins]) -> Result<()> {
    // For each layer and method the image and its index, or none.
    let mut found: Vec<Vec<(usize, Option<f64>)>> = vec![vec![]; LAYERS.len() * METHODS.len()];
    let mut skipped = 0;
    for twins in twins {
        let mut generator = ChaCha8Rng::seed_from_u64(2004);
        for image in 0..IMAGES {
            let pair = Pair::draw(&mut generator);
            let seen = look(&twins.unbiased, &pair.sample)?;
            if pair.squares.iter().any(|square| majority(&seen, square) != SQUARE) {
                skipped += 1;
                continue;
            }
            let asked = image % 2;
            let [a, b] = &pair.squares;
            let both: Vec<bool> = a.iter().zip(b).map(|(a, b)| *a || *b).collect();
            let maps = maps(&seen, SQUARE, &pair.boxes[asked])?;
            for (found, map) in found.iter_mut().zip(&maps) {
                let heat = values(&map.heat_map(Normalize::Max));
                let shown = heat.iter().zip(&both).any(|(heat, inside)| *inside && *heat > 0.0);
                let index = shown.then(|| instance_index(&heat, &pair.squares[asked], &both));
                found.push((image, index.transpose()?));
            }
        }
    }
    print(&found, twins.len(), skipped);
    Ok(())
}

fn print(found: &[Vec<(usize, Option<f64>)>], seeds: usize, skipped: usize) {
    println!(
        "#### Instance index\n\nA box of {} × {} pixels with a square is pasted twice, side by side, same \
         noise; the unbiased networks are asked about the class square, in turn in the left and in the \
         right box. Share of the positive heat on both squares that lies on the one asked about: 1 is \
         one object only, 0.5 cannot tell. {IMAGES} images × {seeds} seeds, {skipped} left out because \
         a square is not recognised. Mean and interval over images, each of them the mean over its \
         seeds; in brackets behind it the number of maps without positive heat on a square, if any.\n",
        PASTED[0], PASTED[1]
    );
    let mut head = vec!["layer"];
    head.extend(METHODS);
    let mut table = Table::new(&head);
    for (layer, methods) in LAYERS.iter().zip(found.chunks(METHODS.len())) {
        let cells = methods.iter().map(|found| {
            let known = found.iter().filter_map(|(image, index)| Some((*image, (*index)?)));
            let missing = found.iter().filter(|(_, index)| index.is_none()).count();
            let text = cell(over_images(&by_number(known, IMAGES)));
            if missing > 0 { format!("{text} ({missing})") } else { text }
        });
        table.row([layer.to_string()].into_iter().chain(cells));
    }
    table.print();
}
