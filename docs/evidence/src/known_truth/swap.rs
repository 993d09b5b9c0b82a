//! The causal test: what happens to the object when only a texture changes?

use anyhow::Result;
use segcam::Explainer;

use super::scene::{DISK, SQUARE, Scene};
use super::table::{Table, spread};
use super::twins::{Twins, look, majority, probability, scenes};

/// Of each class.
const IMAGES: usize = 60;

/// Of one network and the images of one class.
struct Reaction {
    /// Correct, where T* is with squares only.
    right: f64,
    /// Correct, where T* is with disks only.
    right_swapped: f64,
    /// The object's class changes with T*.
    changed: f64,
    /// The probability of the true class that is lost with it.
    lost: f64,
    /// The object's class changes when another patch gets another texture.
    changed_by_others: f64,
}

impl Reaction {
    fn of(network: &Explainer, scenes: &[Scene]) -> Result<Self> {
        let mut sums = [0.0; 5];
        for scene in scenes {
            let (object, class) = (scene.object(), if scene.square { SQUARE } else { DISK });
            let usual = look(network, &scene.render(scene.square))?;
            let swapped = look(network, &scene.render(!scene.square))?;
            let others = look(network, &scene.with_another_texture().render(scene.square))?;
            let [before, after, control] =
                [&usual, &swapped, &others].map(|seen| majority(seen, &object));
            let values = [
                share(before == class),
                share(after == class),
                share(before != after),
                probability(&usual, class, &object) - probability(&swapped, class, &object),
                share(before != control),
            ];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        let [right, right_swapped, changed, lost, changed_by_others] =
            sums.map(|sum| sum / scenes.len() as f64);
        Ok(Self { right, right_swapped, changed, lost, changed_by_others })
    }
}

fn share(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Prints accuracy and reactions of both twins; returns for each seed what the squares of the biased
/// twin lose.
pub(super) fn report(twins: &[Twins]) -> Result<Vec<f64>> {
    let mut lost = vec![];
    let squares = scenes(IMAGES, true, 2001);
    let disks = scenes(IMAGES, false, 2002);
    println!(
        "#### Swap test\n\n{IMAGES} new squares and {IMAGES} new disks. The swap takes T* from squares \
         (another texture takes its place) and gives it to disks; nothing else changes. Mean over \
         the seeds, smallest and largest in brackets. The biased twin's own images are those before \
         the swap, the unbiased twin's are both halves. Control: another patch gets another texture.\n"
    );
    let mut table = Table::new(&[
        "twin",
        "accuracy, own images",
        "accuracy, swapped",
        "squares that change class",
        "disks that change class",
        "squares: probability lost",
        "disks: probability lost",
        "control: change class",
    ]);
    for (name, number) in [("biased", 0), ("unbiased", 1)] {
        let mut found = vec![];
        for twins in twins {
            let network = twins.both()[number];
            found.push([Reaction::of(network, &squares)?, Reaction::of(network, &disks)?]);
        }
        if number == 0 {
            lost.extend(found.iter().map(|pair| pair[0].lost));
        }
        let over = |of: &dyn Fn(&[Reaction; 2]) -> f64| {
            spread(&found.iter().map(of).collect::<Vec<f64>>())
        };
        let both =
            |of: fn(&Reaction) -> f64, pair: &[Reaction; 2]| (of(&pair[0]) + of(&pair[1])) / 2.0;
        let own = |pair: &[Reaction; 2]| match number {
            0 => both(|r| r.right, pair),
            _ => both(|r| (r.right + r.right_swapped) / 2.0, pair),
        };
        table.row([
            name.to_string(),
            over(&own),
            over(&|pair| both(|r| r.right_swapped, pair)),
            over(&|pair| pair[0].changed),
            over(&|pair| pair[1].changed),
            over(&|pair| pair[0].lost),
            over(&|pair| pair[1].lost),
            over(&|pair| both(|r| r.changed_by_others, pair)),
        ]);
    }
    table.print();
    Ok(lost)
}
