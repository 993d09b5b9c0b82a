//! Kidneys and tumours in CT: a small U-Net, leave one patient out.

mod data;
mod folds;
mod measure;
mod pictures;
mod tables;

use std::path::Path;

use anyhow::Result;

use data::{SIDE, Slice};
use folds::{ATTEMPTS, Fold, LEARNT_FROM, STEPS};
use measure::{CELLS, Measured, SEEN_FROM, SETS};

const KIDNEY: usize = 1;
const TUMOUR: usize = 2;

pub(crate) fn run(data: &Path, out: &Path) -> Result<()> {
    let slices = data::slices(data)?;
    let patients = folds::patients(&slices);
    let (mut folds, mut measured): (Vec<Fold>, Vec<Measured>) = (vec![], vec![]);
    for (seed, patient) in (0..).zip(&patients) {
        let fold = folds::fold(&slices, patient, seed)?;
        measured.extend(measure::measure(&fold)?);
        folds.push(fold);
    }

    introduction(&slices, patients.len());
    tables::dice(&folds);
    for (class, name) in [(TUMOUR, "Tumour"), (KIDNEY, "Kidney")] {
        for set in SETS {
            let of_set: Vec<&Measured> =
                measured.iter().filter(|one| one.class == class && one.set == set).collect();
            tables::of_set(name, set, &of_set);
        }
    }
    if let Some((fold, slice)) = pictures::example(&folds, &measured) {
        pictures::maps(fold, slice, &out.join("kidney.png"))?;
    }
    pictures::metrics(&measured, &out.join("kidney-metrics.png"))
}

fn introduction(slices: &[Slice], patients: usize) {
    println!("### Kidney and tumour in CT\n");
    println!(
        "{} slices of {patients} patients (KiTS19), resized to {SIDE} × {SIDE}; a U-Net of widths 8, 16, \
         32, 64 with BatchNorm for each patient, trained on the other patients for {STEPS} batches of 8 \
         (cross-entropy and Dice; mirrored, moved, scaled, brighter or darker), tested on the left-out \
         one. A network whose Dice score on its own training slices stays below {LEARNT_FROM} for kidney \
         or tumour is trained again from other weights, {ATTEMPTS} times at most. This is tiny: the networks are poor, the slices of one patient are not independent, and \
         intervals and p-values over slices are too optimistic; p-values are not corrected for the \
         number of tests. The tumour is explained in every slice, the kidney where fewer than \
         {SEEN_FROM} pixels are predicted as tumour.\n",
        slices.len()
    );
    println!(
        "↑ higher is better, ↓ lower is better, →0 near 0 is better. `blank`: slices whose heat map is \
         zero everywhere. –: no value; of controls only what takes a heat map is measured. (of n): only \
         n slices have a value; fidelity sets {CELLS} random cells to zero and has none where no cell \
         matters, as is likely for small sets near the output. ROAD, deletion and insertion ask for \
         the mean probability of the class over the set: what is missed has little of it to lose. \
         Deletion and insertion are 0 for the random map by definition.\n"
    );
}
