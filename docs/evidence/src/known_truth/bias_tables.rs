//! What [`Study`] found, as tables.

use segcam::metrics::{Comparison, comparison};

use super::bias::{Found, IMAGES, Study, by_image, by_number};
use super::table::{BOOTSTRAP, NOTHING, Table, cell, interval, mean, number, over_images, p_value};
use super::twins::{LAYERS, METHODS};

/// One pair of an image and a seed: image, seed, what is compared.
type Pair = (usize, usize, f64, f64);

pub(super) fn shares(study: &Study, seeds: usize) {
    println!(
        "#### Bias share\n\nMean heat in the patch with T* as a share of the sum of the means in five \
         regions: the four patches and the object. 0.2 is chance. Squares with T*, class square, \
         {IMAGES} images × {seeds} seeds; {} pairs are left out because a twin does not say square. \
         The interval and p (Wilcoxon) are over images, each of them the mean over its seeds. \
         *Larger*: how often the biased twin's share is larger on the same image, ties half. \
         *Seeds*: in how many seeds the mean difference is above zero. *No value*: maps without positive heat in \
         any region, biased and unbiased; their pairs are left out. With {} rows of maps, p below {:.4} \
         withstands Bonferroni's correction.\n",
        study.skipped,
        LAYERS.len() * METHODS.len(),
        0.05 / (LAYERS.len() * METHODS.len()) as f64,
    );
    let mut table = Table::new(&[
        "layer",
        "method",
        "biased",
        "unbiased",
        "difference",
        "p",
        "larger",
        "seeds",
        "no value",
    ]);
    for (method, layer) in Study::rows() {
        let pairs = study.pairs(method, layer);
        let missing = [true, false].map(|biased| {
            let found = study.of(method, layer, biased);
            found.iter().filter(|found| found.share.is_none()).count().to_string()
        });
        let one = |of: fn(&Pair) -> f64| {
            cell(over_images(&by_image(pairs.iter().map(|pair| (pair.0, of(pair))))))
        };
        let [difference, p] = compared(&pairs);
        table.row([
            if layer.is_empty() { "control" } else { layer }.to_string(),
            method.to_string(),
            one(|pair| pair.2),
            one(|pair| pair.3),
            difference,
            p,
            larger(&pairs),
            positive_seeds(&pairs, seeds),
            missing.join(", "),
        ]);
    }
    table.print();
}

/// Difference with its interval, and p.
fn compared(pairs: &[Pair]) -> [String; 2] {
    let side = |of: fn(&Pair) -> f64| by_image(pairs.iter().map(|pair| (pair.0, of(pair))));
    match comparison(&side(|pair| pair.2), &side(|pair| pair.3), BOOTSTRAP) {
        Ok(Comparison { difference, interval: ends, p, .. }) => {
            [interval(difference, ends), p_value(p)]
        }
        _ if pairs.is_empty() => [NOTHING.into(), NOTHING.into()],
        // The test has no value where nothing differs.
        _ => {
            let differences = by_image(pairs.iter().map(|pair| (pair.0, pair.2 - pair.3)));
            [cell(over_images(&differences)), NOTHING.into()]
        }
    }
}

fn larger(pairs: &[Pair]) -> String {
    if pairs.is_empty() {
        return NOTHING.into();
    }
    let points = pairs.iter().map(|(_, _, a, b)| {
        if a > b {
            1.0
        } else if a == b {
            0.5
        } else {
            0.0
        }
    });
    number(points.sum::<f64>() / pairs.len() as f64)
}

fn positive_seeds(pairs: &[Pair], seeds: usize) -> String {
    let means = by_number(pairs.iter().map(|pair| (pair.1, pair.2 - pair.3)), seeds);
    if means.is_empty() {
        return NOTHING.into();
    }
    format!("{} of {}", means.iter().filter(|mean| **mean > 0.0).count(), means.len())
}

/// Whether gradients cell by cell reveal more of the bias than averaged ones.
pub(super) fn between_methods(study: &Study, seeds: usize) {
    println!(
        "##### Which of the two Seg methods reveals more\n\nThe difference between the twins (as above) \
         of Seg-HiRes-Grad-CAM minus that of Seg-Grad-CAM, on the images where both have one. Above \
         zero: Seg-HiRes-Grad-CAM shows the bias more. *Larger*: how often it does.\n"
    );
    let mut table = Table::new(&["layer", "difference of differences", "p", "larger", "seeds"]);
    for layer in LAYERS {
        let (averaged, local) = (study.pairs(METHODS[0], layer), study.pairs(METHODS[1], layer));
        let matched = local.iter().filter_map(|one| {
            let other = averaged.iter().find(|other| (other.0, other.1) == (one.0, one.1))?;
            Some((one.0, one.1, one.2 - one.3, other.2 - other.3))
        });
        let matched: Vec<Pair> = matched.collect();
        let [difference, p] = compared(&matched);
        let seeds = positive_seeds(&matched, seeds);
        table.row([layer.to_string(), difference, p, larger(&matched), seeds]);
    }
    table.print();
}

/// Whether maps show the texture as much as the network depends on it.
pub(super) fn by_seed(study: &Study, lost: &[f64]) {
    println!(
        "##### Seed by seed\n\nHow much probability squares lose without T* in the biased twin (swap \
         test), and the difference between the twins' bias shares (as above).\n"
    );
    let shown: Vec<(&str, &str)> = LAYERS[..4]
        .iter()
        .flat_map(|layer| METHODS[..2].iter().map(move |method| (*method, *layer)))
        .collect();
    let mut head = vec!["seed".to_string(), "probability lost".to_string()];
    head.extend(shown.iter().map(|(method, layer)| format!("{method}, {layer}")));
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<&str>>());
    for (seed, lost) in lost.iter().enumerate() {
        let differences = shown.iter().map(|(method, layer)| {
            let pairs = study.pairs(method, layer);
            let of_seed = pairs.iter().filter(|pair| pair.1 == seed).map(|pair| pair.2 - pair.3);
            let of_seed: Vec<f64> = of_seed.collect();
            if of_seed.is_empty() { NOTHING.into() } else { number(mean(&of_seed)) }
        });
        table.row([seed.to_string(), number(*lost)].into_iter().chain(differences));
    }
    table.print();
}

pub(super) fn causal_region(study: &Study, region: f64) {
    println!(
        "#### Pointing game, relevance mass and rank\n\nThe biased twin only. The map is set to zero on \
         the object, and the known causal region is the patch with T*, {} of the image. Mean and \
         interval over images. A map that shows nothing outside of the object has no value; the last \
         column counts these.\n",
        number(region)
    );
    let head = ["layer", "method", "pointing game", "relevance mass", "relevance rank", "no value"];
    let mut table = Table::new(&head);
    for (method, layer) in Study::rows() {
        let found = study.of(method, layer, true);
        let score = |at: usize| {
            let value = |found: &&Found| Some((found.image, found.outside?[at]));
            cell(over_images(&by_image(found.iter().filter_map(value))))
        };
        let missing = found.iter().filter(|found| found.outside.is_none()).count();
        table.row([
            if layer.is_empty() { "control" } else { layer }.to_string(),
            method.to_string(),
            score(0),
            score(1),
            score(2),
            format!("{missing} of {}", found.len()),
        ]);
    }
    table.print();
}
