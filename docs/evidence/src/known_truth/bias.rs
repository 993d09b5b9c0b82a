//! Maps of both twins on the same images: does the biased one's map show the texture?

use anyhow::Result;
use segcam::burn::tensor::Tensor;
use segcam::metrics::{Control, bias_share, pointing_game, relevance_mass, relevance_rank};
use segcam::{Explanation, Normalize, Observation};

use super::scene::{SIDE, SQUARE, Scene};
use super::table::mean;
use super::twins::{LAYERS, METHODS, Twins, look, majority, maps, scenes};

pub(super) const IMAGES: usize = 40;

/// What one map, or one control, says about one image.
pub(super) struct Found {
    pub(super) method: &'static str,
    /// Empty for controls.
    pub(super) layer: &'static str,
    pub(super) seed: usize,
    pub(super) image: usize,
    pub(super) biased: bool,
    /// `None` without positive values in any region.
    pub(super) share: Option<f64>,
    /// Pointing game, relevance mass and rank of the patch with T*, in what the map shows outside of
    /// the object; `None` where it shows nothing.
    pub(super) outside: Option<[f64; 3]>,
}

pub(super) struct Study {
    pub(super) found: Vec<Found>,
    /// Pairs of images and seeds that were left out, as a twin did not say square.
    pub(super) skipped: usize,
    /// A seed and an image of which both twins are right.
    pub(super) example: Option<(usize, Scene)>,
}

pub(super) fn study(twins: &[Twins]) -> Result<Study> {
    let mut study = Study { found: vec![], skipped: 0, example: None };
    for (seed, twins) in twins.iter().enumerate() {
        for (image, scene) in scenes(IMAGES, true, 2003).iter().enumerate() {
            let (sample, object) = (scene.render(true), scene.object());
            let seen = [look(&twins.biased, &sample)?, look(&twins.unbiased, &sample)?];
            if seen.iter().any(|seen| majority(seen, &object) != SQUARE) {
                study.skipped += 1;
                continue;
            }
            study.example.get_or_insert_with(|| (seed, scene.clone()));
            for (seen, biased) in seen.iter().zip([true, false]) {
                let judged = judged(seen, scene, &object)?;
                study.found.extend(judged.into_iter().map(|(method, layer, share, outside)| {
                    Found { method, layer, seed, image, biased, share, outside }
                }));
            }
        }
    }
    Ok(study)
}

/// Method, layer, bias share, and what it shows outside of the object.
type Judged = (&'static str, &'static str, Option<f64>, Option<[f64; 3]>);

fn judged(seen: &Observation, scene: &Scene, object: &[bool]) -> Result<Vec<Judged>> {
    let maps = maps(seen, SQUARE, object)?;
    let places = LAYERS.into_iter().flat_map(|layer| METHODS.map(|method| (method, layer)));
    let of_maps = places.zip(maps.iter().map(|map| map.heat_map(Normalize::Max)));
    let of_controls = Control::all()
        .iter()
        .map(|&control| ((control.name(), ""), control_map(control, seen, &maps[0], scene)));
    let all = of_maps.chain(of_controls).map(|((method, layer), heat)| {
        let heat = values(&heat);
        Ok((method, layer, share(&heat, scene)?, outside(&heat, scene)?))
    });
    all.collect()
}

/// `None` without positive values in any region.
fn share(heat: &[f64], scene: &Scene) -> Result<Option<f64>> {
    let mut regions = scene.patches();
    regions.push(scene.object());
    let shows = |region: &Vec<bool>| heat.iter().zip(region).any(|(heat, r)| *r && *heat > 0.0);
    let known = regions.iter().any(shows);
    Ok(known.then(|| bias_share(heat, &regions, 0)).transpose()?)
}

/// Pointing game, relevance mass and rank; `None` where the map shows nothing outside of the object.
fn outside(heat: &[f64], scene: &Scene) -> Result<Option<[f64; 3]>> {
    let pairs = heat.iter().zip(scene.object());
    let heat: Vec<f64> = pairs.map(|(heat, inside)| if inside { 0.0 } else { *heat }).collect();
    if heat.iter().all(|heat| *heat <= 0.0) {
        return Ok(None);
    }
    let cause = &scene.patches()[0];
    let (pointing, mass) = (pointing_game(&heat, cause)?, relevance_mass(&heat, cause)?);
    Ok(Some([pointing, mass, relevance_rank(&heat, cause)?]))
}

/// The seed of the random map is the place of the object: the same for both twins.
fn control_map(
    control: Control,
    seen: &Observation,
    map: &Explanation,
    scene: &Scene,
) -> Tensor<4> {
    let seed = scene.object().iter().position(|inside| *inside).unwrap_or(0) as u64;
    control.heat_map(&seen.input(), map.target(), seed)
}

pub(super) fn values(heat: &Tensor<4>) -> Vec<f64> {
    debug_assert_eq!(heat.dims(), [1, 1, SIDE, SIDE]);
    heat.to_data().iter::<f64>().collect()
}

impl Study {
    pub(super) fn of(&self, method: &str, layer: &str, biased: bool) -> Vec<&Found> {
        let wanted = |f: &&Found| f.method == method && f.layer == layer && f.biased == biased;
        self.found.iter().filter(wanted).collect()
    }

    /// Every image and seed with a share of both twins: image, seed, biased, unbiased.
    pub(super) fn pairs(&self, method: &str, layer: &str) -> Vec<(usize, usize, f64, f64)> {
        let (biased, unbiased) = (self.of(method, layer, true), self.of(method, layer, false));
        let pair = |(a, b): (&&Found, &&Found)| Some((a.image, a.seed, a.share?, b.share?));
        biased.iter().zip(&unbiased).filter_map(pair).collect()
    }

    /// Layers and methods in the order of the tables, controls last.
    pub(super) fn rows() -> Vec<(&'static str, &'static str)> {
        let maps = LAYERS.into_iter().flat_map(|layer| METHODS.map(|method| (method, layer)));
        maps.chain(Control::all().iter().map(|control| (control.name(), ""))).collect()
    }
}

/// One value for each image: the mean over its seeds.
pub(super) fn by_image(values: impl IntoIterator<Item = (usize, f64)>) -> Vec<f64> {
    by_number(values, IMAGES)
}

/// The means of the values with the same number.
pub(super) fn by_number(values: impl IntoIterator<Item = (usize, f64)>, count: usize) -> Vec<f64> {
    let mut of: Vec<Vec<f64>> = vec![vec![]; count];
    values.into_iter().for_each(|(number, value)| of[number].push(value));
    of.iter().filter(|values| !values.is_empty()).map(|values| mean(values)).collect()
}
