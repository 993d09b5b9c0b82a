use std::cmp::Reverse;

use petgraph::unionfind::UnionFind;

/// Which pixels touch each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Connectivity {
    /// Those that share a side: 4 neighbours in images, 6 in volumes.
    #[default]
    Faces,
    /// Those that share a side, an edge or a corner: 8 neighbours in images, 26 in volumes.
    Corners,
}

impl Connectivity {
    /// The steps to those neighbours that come earlier in scan order.
    pub(crate) fn steps_back(self, axes: u32) -> Vec<Vec<isize>> {
        // The steps to all neighbours, in scan order, lie around the one that stays in place.
        let steps = (0..3usize.pow(axes) / 2).map(|number| {
            let digit = |axis| (number / 3usize.pow(axis) % 3) as isize;
            (0..axes).rev().map(|axis| digit(axis) - 1).collect::<Vec<_>>()
        });
        let sideways = |step: &Vec<isize>| step.iter().filter(|&&along| along != 0).count() > 1;
        steps.filter(|step| self == Self::Corners || !sideways(step)).collect()
    }
}

/// The connected components of one image or volume.
#[derive(Debug)]
pub(crate) struct Labels {
    /// Number of every pixel's component, from 1 in scan order; 0 outside the set.
    pub(crate) of: Vec<u32>,
    /// The components, number 1 first.
    pub(crate) components: Vec<Extent>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Its first pixel in scan order.
    pub(crate) first: usize,
    pub(crate) pixels: usize,
}

impl Labels {
    /// Of the pixels whose weight is not zero; there must be fewer than 2³² pixels.
    // Union-find over neighbours, because no well-kept crate labels volumes.
    pub(crate) fn new(weights: &[f32], size: &[usize], connectivity: Connectivity) -> Self {
        let mut sets = UnionFind::<u32>::new(weights.len());
        let steps = connectivity.steps_back(size.len() as u32);
        let inside = |pixel: usize| weights[pixel] != 0.0;
        let mut at = vec![0; size.len()];
        for pixel in (0..weights.len()).filter(|&pixel| inside(pixel)) {
            locate(pixel, size, &mut at);
            for step in &steps {
                if let Some(neighbour) = moved(&at, step, size).filter(|&pixel| inside(pixel)) {
                    sets.union(pixel as u32, neighbour as u32);
                }
            }
        }

        let mut of = sets.into_labeling();
        let mut numbers = vec![0; of.len()];
        let mut components: Vec<Extent> = vec![];
        for (pixel, label) in of.iter_mut().enumerate() {
            if weights[pixel] == 0.0 {
                *label = 0;
                continue;
            }
            let number: &mut u32 = &mut numbers[*label as usize];
            if *number == 0 {
                components.push(Extent { first: pixel, pixels: 0 });
                *number = components.len() as u32;
            }
            components[*number as usize - 1].pixels += 1;
            *label = *number;
        }
        Self { of, components }
    }

    /// Pixels of the component with this number.
    pub(crate) fn pixels(&self, number: u32) -> usize {
        self.components[number as usize - 1].pixels
    }

    /// The numbers of all components.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        1..=self.components.len() as u32
    }

    /// The numbers, those of the largest components first; of equal ones in scan order.
    pub(crate) fn by_size(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.numbers().collect();
        numbers.sort_by_key(|&number| Reverse(self.pixels(number)));
        numbers
    }
}

/// Writes the coordinates of the pixel with this index.
pub(crate) fn locate(mut pixel: usize, size: &[usize], at: &mut [usize]) {
    for (at, side) in at.iter_mut().zip(size).rev() {
        (*at, pixel) = (pixel % side, pixel / side);
    }
}

/// Index of the pixel at these coordinates.
pub(crate) fn index(at: &[usize], size: &[usize]) -> usize {
    at.iter().zip(size).fold(0, |index, (at, side)| index * side + at)
}

/// Index of the pixel one step from here, if it is in the image.
pub(crate) fn moved(at: &[usize], step: &[isize], size: &[usize]) -> Option<usize> {
    at.iter().zip(step).zip(size).try_fold(0, |index, ((at, step), side)| {
        let at = at.checked_add_signed(*step).filter(|at| at < side)?;
        Some(index * side + at)
    })
}
