use std::fmt;

use serde::{Deserialize, Serialize};

use crate::prepared::Case;
use crate::{
    MetricError, agreement, completeness, context, fidelity, leak, pointing_game, randomization,
    relevance_mass, relevance_rank, road, stability,
};

/// The table of metrics: key, name, which values are good, and the function that measures.
macro_rules! metrics {
    ($($(#[$doc:meta])* $metric:ident, $name:literal, $better:ident, $measure:expr;)*) => {
        /// What a [`Protocol`](crate::Protocol) measures; it prints its name.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[non_exhaustive]
        pub enum Metric {
            $($(#[$doc])* #[serde(rename = $name)] $metric,)*
        }

        impl Metric {
            /// All of them.
            pub fn all() -> &'static [Self] {
                &[$(Self::$metric),*]
            }

            /// The name in tables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$metric => $name),* }
            }

            /// Which values are good.
            pub fn better(self) -> Better {
                match self { $(Self::$metric => Better::$better),* }
            }

            pub(crate) fn measure<const D: usize>(
                self,
                case: &Case<D>,
            ) -> Result<f64, MetricError> {
                // Of a known type, so that closures need none.
                let measure: fn(&Case<D>) -> Result<f64, MetricError> = match self {
                    $(Self::$metric => $measure,)*
                };
                measure(case)
            }
        }
    };
}

metrics! {
    /// [`leak`](crate::leak()).
    Leak, "leak", Lower, leak::measure;
    /// [`completeness_error`](crate::completeness_error).
    CompletenessError, "completeness-error", Lower, completeness::measure;
    /// [`Fidelity::r_squared`](crate::Fidelity).
    FidelityR2, "fidelity-r2", Higher, |case| Ok(fidelity::of(case)?.r_squared);
    /// [`Fidelity::spearman`](crate::Fidelity).
    FidelityRank, "fidelity-rank", Higher, |case| Ok(fidelity::of(case)?.spearman);
    /// [`Road::score`](crate::Road::score).
    Road, "road", Higher, road::measure;
    /// [`Context::deletion_score`](crate::Context::deletion_score).
    Deletion, "deletion", Lower, |case| Ok(context::of(case)?.0);
    /// [`Context::insertion_score`](crate::Context::insertion_score).
    Insertion, "insertion", Higher, |case| Ok(context::of(case)?.1);
    /// [`randomization`](crate::randomization()).
    Randomization, "randomization", NearZero, randomization::measure;
    /// [`Stability::spearman`](crate::Stability).
    Stability, "stability", Higher, |case| Ok(stability::of(case)?.spearman);
    /// [`Stability::sensitivity`](crate::Stability).
    Sensitivity, "sensitivity", Lower, |case| Ok(stability::of(case)?.sensitivity);
    /// [`agreement`](crate::agreement()).
    Agreement, "agreement", Higher, agreement::measure;
    /// [`pointing_game`](crate::pointing_game()); needs a region.
    Pointing, "pointing", Higher, |case| case.in_region(pointing_game);
    /// [`relevance_mass`](crate::relevance_mass()); needs a region.
    Mass, "mass", Higher, |case| case.in_region(relevance_mass);
    /// [`relevance_rank`](crate::relevance_rank()); needs a region.
    Rank, "rank", Higher, |case| case.in_region(relevance_rank);
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which values of a metric are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Large ones.
    Higher,
    /// Small ones.
    Lower,
    /// Those near zero.
    NearZero,
}

impl fmt::Display for Better {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Higher => "higher is better",
            Self::Lower => "lower is better",
            Self::NearZero => "near 0 is better",
        })
    }
}
