use std::fmt;

use serde::{Deserialize, Serialize};

/// What a [`Protocol`](crate::Protocol) measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Metric {
    /// [`leak`](crate::leak()).
    Leak,
    /// [`completeness_error`](crate::completeness_error).
    CompletenessError,
    /// [`Fidelity::r_squared`](crate::Fidelity).
    FidelityR2,
    /// [`Fidelity::spearman`](crate::Fidelity).
    FidelityRank,
    /// [`Road::score`](crate::Road::score).
    Road,
    /// [`Context::deletion_score`](crate::Context::deletion_score).
    Deletion,
    /// [`Context::insertion_score`](crate::Context::insertion_score).
    Insertion,
    /// [`randomization`](crate::randomization()).
    Randomization,
    /// [`Stability::spearman`](crate::Stability).
    Stability,
    /// [`Stability::sensitivity`](crate::Stability).
    Sensitivity,
    /// [`agreement`](crate::agreement()).
    Agreement,
    /// [`pointing_game`](crate::pointing_game()); needs a region.
    Pointing,
    /// [`relevance_mass`](crate::relevance_mass()); needs a region.
    Mass,
    /// [`relevance_rank`](crate::relevance_rank()); needs a region.
    Rank,
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

impl Metric {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Leak,
        Self::CompletenessError,
        Self::FidelityR2,
        Self::FidelityRank,
        Self::Road,
        Self::Deletion,
        Self::Insertion,
        Self::Randomization,
        Self::Stability,
        Self::Sensitivity,
        Self::Agreement,
        Self::Pointing,
        Self::Mass,
        Self::Rank,
    ];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::CompletenessError => "completeness-error",
            Self::FidelityR2 => "fidelity-r2",
            Self::FidelityRank => "fidelity-rank",
            Self::Road => "road",
            Self::Deletion => "deletion",
            Self::Insertion => "insertion",
            Self::Randomization => "randomization",
            Self::Stability => "stability",
            Self::Sensitivity => "sensitivity",
            Self::Agreement => "agreement",
            Self::Pointing => "pointing",
            Self::Mass => "mass",
            Self::Rank => "rank",
        }
    }

    /// Which values are good.
    pub fn better(self) -> Better {
        match self {
            Self::Leak | Self::CompletenessError | Self::Deletion | Self::Sensitivity => {
                Better::Lower
            }
            Self::Randomization => Better::NearZero,
            _ => Better::Higher,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
