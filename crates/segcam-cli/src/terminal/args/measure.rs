//! Options that say what is measured.

use std::collections::BTreeSet;
use std::path::PathBuf;

use segcam::UnknownName;
use segcam::metrics::{Metric, Noise, Protocol, Removal};

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MeasureArgs {
    /// What to measure [default: all, of a batch nothing]: leak, completeness-error, fidelity-r2,
    /// fidelity-rank, road, deletion, insertion, randomization, stability, sensitivity, agreement; with
    /// --region also pointing, mass, rank
    #[arg(long = "metric", value_name = "NAME", num_args = 1.., value_delimiter = ',', value_parser = metric)]
    metrics: Vec<Metric>,

    /// Masks of the pixels that are known to cause the prediction, nonzero inside: an image, or a
    /// folder with one of the same name for each input
    #[arg(long, value_name = "PATH")]
    pub(crate) region: Option<PathBuf>,

    /// Resize the masks to the network's input, by nearest pixel
    #[arg(long, requires = "region")]
    pub(crate) region_resize: bool,

    /// Cells of a layer that are left out, one at a time, to measure fidelity
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(3..))]
    pub(crate) cells: u32,

    /// Seed of noise, ties, random weights and the bootstrap
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

fn metric(name: &str) -> Result<Metric, UnknownName> {
    UnknownName::find("metric", name, Metric::all())
}

impl MeasureArgs {
    /// What was asked for by name.
    pub(crate) fn asked(&self) -> BTreeSet<Metric> {
        self.metrics.iter().copied().collect()
    }

    /// All that can be measured.
    pub(crate) fn possible(&self) -> BTreeSet<Metric> {
        let local = [Metric::Pointing, Metric::Mass, Metric::Rank];
        let possible = |metric: &Metric| self.region.is_some() || !local.contains(metric);
        Metric::all().iter().copied().filter(possible).collect()
    }

    pub(crate) fn protocol(&self, metrics: BTreeSet<Metric>) -> Protocol {
        Protocol::new()
            .with_metrics(metrics)
            .with_removal(Removal::new().with_seed(self.seed))
            .with_noise(Noise::new().with_seed(self.seed))
            .with_cells(self.cells as usize)
            .with_seed(self.seed)
    }
}
