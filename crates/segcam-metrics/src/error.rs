use segcam_core::CamError;

/// Why a metric has no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// The metric makes no sense on this map.
    #[error("{metric} is not defined: {reason}")]
    Undefined {
        /// Name of the metric.
        metric: &'static str,
        /// What is missing.
        reason: &'static str,
    },

    /// Two arrays that belong together differ in length.
    #[error("{what} must have {wanted} values, it has {given}")]
    Length {
        /// Which array.
        what: &'static str,
        /// Its length should be this.
        wanted: usize,
        /// Its length.
        given: usize,
    },

    /// Values that are NaN or infinite.
    #[error("{count} values of {what} are NaN or infinite")]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// How many.
        count: usize,
    },

    /// Pixels are removed from one image at a time.
    #[error("metrics look at one image at a time, the batch has {given}: observe each by itself")]
    OneImage {
        /// Size of the batch.
        given: usize,
    },

    /// Too few images for a statement.
    #[error("{what} needs at least {wanted} images, there are {given}")]
    TooFew {
        /// The statistic.
        what: &'static str,
        /// The fewest that will do.
        wanted: usize,
        /// How many there are.
        given: usize,
    },

    /// A fraction of pixels that is not between 0 and 1.
    #[error("{fraction} is no fraction of pixels: give numbers above 0 and below 1")]
    Fraction {
        /// The number.
        fraction: f64,
    },

    /// The metric looks at something else than what it was given.
    #[error("it needs {what}")]
    Needs {
        /// What there must be.
        what: &'static str,
    },

    /// What the network or its explanation says.
    #[error(transparent)]
    Cam(#[from] CamError),
}

impl MetricError {
    /// Whether nothing more can be measured: the question is wrong, or the network gives no answers.
    /// Other errors are why one number is missing.
    pub(crate) fn ends_it_all(&self) -> bool {
        match self {
            Self::OneImage { .. } | Self::Fraction { .. } => true,
            Self::Cam(error) => !matches!(
                error,
                CamError::EmptyPixelSet { .. }
                    | CamError::FixedWeights
                    | CamError::NoPath { .. }
                    | CamError::NonFinite { .. }
                    | CamError::Panicked { .. }
                    | CamError::PixelSet { .. }
            ),
            _ => false,
        }
    }
}
