use segcam_core::burn::tensor::{Tensor, TensorData};
use segcam_core::{CamError, PixelSet, Prediction};

use crate::{Confusion, GroundTruth};

macro_rules! truth_set {
    (
        $(#[$doc:meta])* $name:ident, $text:literal,
        $members:expr, empty: $why:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(GroundTruth);

        impl $name {
            /// The annotation must fit the prediction: as many images, the same size, labels that
            /// the network has.
            pub fn new(truth: &GroundTruth) -> Self {
                Self(truth.clone())
            }
        }

        impl<const D: usize> PixelSet<D> for $name {
            fn weights(&self, view: &Prediction<D>, class: usize) -> Result<Tensor<D>, CamError> {
                let members: fn(bool, bool) -> bool = $members;
                let compared = self.0.compared(view, class, $text)?.into_iter();
                let weights: Vec<f32> = compared
                    .map(|pixel| f32::from(pixel.is_some_and(|(p, a)| members(p, a))))
                    .collect();
                Ok(Tensor::from_data(TensorData::new(weights, view.shape()), &view.device()))
            }

            fn name(&self) -> String {
                $text.into()
            }

            fn why_empty(&self, view: &Prediction<D>, class: usize) -> Option<String> {
                let why: fn(Confusion) -> &'static str = $why;
                let found = self.weights(view, class).ok()?.sum().into_scalar::<f32>();
                let counts = Confusion::new(&self.0, view, class).ok()?;
                (found == 0.0).then(|| format!("{} class {class}", why(counts)))
            }
        }
    };
}

truth_set! {
    /// Predicted as the class, rightly.
    ///
    /// # Example
    /// ```
    /// use segcam_annotations::{GroundTruth, TruePositives};
    /// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
    ///
    /// let logits = Tensor::<4>::from_floats([[[[2.0, 2.0, -2.0, -2.0]]]], &Device::flex());
    /// let view = Prediction::new(logits, [1, 1, 1, 4]);
    /// let truth = GroundTruth::from_labels([1, 0, 1, 0], [1, 4])?;
    /// let weights = TruePositives::new(&truth).weights(&view, 0)?;
    /// assert_eq!(weights.into_data().try_to_vec::<f32>()?, [1.0, 0.0, 0.0, 0.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    TruePositives, "tp",
    |predicted, annotated| predicted && annotated,
    empty: |counts| match counts.false_negatives {
        0 => NOT_ANNOTATED,
        _ => "nothing was found of",
    }
}

truth_set! {
    /// Predicted as the class, but annotated as another: why does the network see it there?
    FalsePositives, "fp",
    |predicted, annotated| predicted && !annotated,
    empty: |counts| match counts.true_positives {
        0 => "nothing is predicted as",
        _ => "nothing was wrongly predicted as",
    }
}

truth_set! {
    /// Annotated as the class, but predicted as another: what was missed?
    FalseNegatives, "fn",
    |predicted, annotated| !predicted && annotated,
    empty: |counts| match counts.true_positives {
        0 => NOT_ANNOTATED,
        _ => "nothing was missed of",
    }
}

truth_set! {
    /// Neither annotated nor predicted as the class.
    TrueNegatives, "tn",
    |predicted, annotated| !predicted && !annotated,
    empty: |_| "every pixel is annotated or predicted as"
}

truth_set! {
    /// Annotated as the class, whatever is predicted.
    Truth, "truth",
    |_, annotated| annotated,
    empty: |_| NOT_ANNOTATED
}

const NOT_ANNOTATED: &str = "nothing is annotated as";
