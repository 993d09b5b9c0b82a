use std::sync::OnceLock;

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Int, Tensor};

/// What the network said about one input: the frozen forward pass that pixel sets look at.
///
/// Class numbers are channels of the logits. A network with one channel is binary: its
/// probability is a sigmoid and class 0 is predicted where the score is positive.
#[derive(Debug, Clone)]
pub struct Prediction<const D: usize = 4> {
    logits: Tensor<D>,
    input_shape: [usize; D],
    labels: OnceLock<Tensor<D, Int>>,
}

impl<const D: usize> Prediction<D> {
    /// From logits `[N, classes, …]` and the shape of the input `[N, C, …]`.
    pub fn new(logits: Tensor<D>, input_shape: [usize; D]) -> Self {
        Self { logits, input_shape, labels: OnceLock::new() }
    }

    /// The class scores before softmax or sigmoid, `[N, classes, …]`.
    pub fn logits(&self) -> Tensor<D> {
        self.logits.clone()
    }

    /// Number of classes: channels of the logits.
    pub fn classes(&self) -> usize {
        self.logits.dims()[1]
    }

    /// Shape of the input, `[N, C, …]`.
    pub fn input_shape(&self) -> [usize; D] {
        self.input_shape
    }

    /// Shape that a pixel set's weights must have: `[N, 1, …]` at the size of the logits.
    pub fn shape(&self) -> [usize; D] {
        let mut shape = self.logits.dims();
        shape[1] = 1;
        shape
    }

    /// Spatial size of the logits, `[H, W]` or `[D, H, W]`.
    pub fn size(&self) -> Vec<usize> {
        self.logits.dims()[2..].to_vec()
    }

    /// The device that holds the prediction.
    pub fn device(&self) -> Device {
        self.logits.device()
    }

    /// Scores of one class, `[N, 1, …]`.
    ///
    /// # Panics
    /// If the network has no such class. The class handed to a pixel set always exists.
    pub fn logit(&self, class: usize) -> Tensor<D> {
        self.logits.clone().narrow(1, class, 1)
    }

    /// Probability of one class in `[0, 1]`, `[N, 1, …]`: softmax over the classes, or the sigmoid
    /// of a binary network.
    ///
    /// # Panics
    /// If the network has no such class. The class handed to a pixel set always exists.
    pub fn probability(&self, class: usize) -> Tensor<D> {
        match self.classes() {
            1 => sigmoid(self.logit(class)),
            _ => softmax(self.logits.clone(), 1).narrow(1, class, 1),
        }
    }

    /// 1 where the class is predicted and 0 elsewhere, `[N, 1, …]`.
    ///
    /// # Panics
    /// If the network is binary and `class` is not 0. The class handed to a pixel set always exists.
    pub fn predicted(&self, class: usize) -> Tensor<D> {
        if is_large(&self.logits.dims()) {
            return Tensor::cat(self.parts(PART).map(|part| part.predicted(class)).collect(), 2);
        }
        match self.classes() {
            1 => self.logit(class).greater_elem(0.0).float(),
            _ => self.labels().equal_elem(class as i64).float(),
        }
    }

    /// The class with the highest score per pixel, `[N, 1, …]`. Of equal scores the first wins.
    ///
    /// A binary network has 1 where its only class is predicted and 0 elsewhere.
    pub fn labels(&self) -> Tensor<D, Int> {
        if is_large(&self.logits.dims()) {
            return Tensor::cat(self.parts(PART).map(|part| part.labels()).collect(), 2);
        }
        let labels = self.labels.get_or_init(|| match self.classes() {
            1 => self.logit(0).greater_elem(0.0).int(),
            _ => self.logits.clone().argmax(1),
        });
        labels.clone()
    }

    /// The labels of all images as numbers, in row-major order.
    pub fn label_values(&self) -> Vec<u32> {
        let mut all = Vec::with_capacity(self.shape().iter().product());
        let mut add = |part: &Self| {
            all.extend(part.labels().into_data().iter::<i64>().map(|label| label as u32));
        };
        if is_large(&self.logits.dims()) {
            self.parts(PART).for_each(|part| add(&part))
        } else {
            add(self)
        }
        all
    }

    /// How sure the network is: the probability of what is predicted, from ½ (binary) or 1 / classes to 1,
    /// as its mean over the pixels of each image.
    ///
    /// ```
    /// use segcam_core::Prediction;
    /// use segcam_core::burn::tensor::{Device, Tensor};
    ///
    /// // Odds of 3 to 1 in the first pixel, of 1 to 1 in the second.
    /// let odds = 3f32.ln();
    /// let logits = Tensor::<4>::from_data([[[[odds, 0.0]], [[0.0, 0.0]]]], &Device::flex());
    /// let sure = Prediction::new(logits, [1, 3, 1, 2]).confidence();
    /// assert!((sure[0] - (0.75 + 0.5) / 2.0).abs() < 1e-6);
    /// ```
    pub fn confidence(&self) -> Vec<f64> {
        let images = self.logits.dims()[0];
        let sum = |part: &Self| -> Vec<f64> {
            let likeliest = match part.classes() {
                1 => sigmoid(part.logit(0).abs()),
                _ => softmax(part.logits(), 1).max_dim(1),
            };
            let sums = likeliest.reshape([images as i32, -1]).sum_dim(1);
            sums.into_data().iter::<f64>().collect()
        };
        let sums = match is_large(&self.logits.dims()) {
            true => vec![self.parts(PART).map(|part| sum(&part)[0]).sum()],
            false => sum(self),
        };
        let pixels: usize = self.logits.dims()[2..].iter().product();
        sums.into_iter().map(|sum| sum / pixels as f64).collect()
    }

    /// Slices along the first side, of at most so many pixels where one of them is not more already.
    fn parts(&self, pixels: usize) -> impl Iterator<Item = Self> {
        let dims = self.logits.dims();
        let many = (pixels / dims[3..].iter().product::<usize>()).max(1);
        (0..dims[2]).step_by(many).map(move |first| {
            let part = self.logits.clone().narrow(2, first, many.min(dims[2] - first));
            Self::new(part, self.input_shape)
        })
    }
}

/// Labels of many pixels take more memory than their scores `[N, C, …]`: they are made in parts, and not
/// kept.
fn is_large(scores: &[usize]) -> bool {
    let [images, _, sides @ ..] = scores else { return false };
    *images == 1 && sides[0] > 1 && sides.iter().product::<usize>() > LARGE
}

/// More pixels than this are many.
const LARGE: usize = 1 << 26;
/// They are made in parts of so many.
const PART: usize = LARGE / 4;

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn one_image_of_many_pixels_is_large() {
        for (scores, large) in [
            ([1, 3, 1 << 13, 1 << 13], false),
            ([1, 3, 1 << 13, (1 << 13) + 1], true),
            ([1, 3, 2, 1 << 26], true),
            ([1, 3, 1, 1 << 27], false),
            ([2, 3, 1 << 13, 1 << 14], false),
        ] {
            assert_eq!(is_large(&scores), large, "{scores:?}");
        }
    }

    #[test]
    fn parts_make_up_the_whole() {
        let logits = Tensor::<4>::random([1, 3, 7, 4], Distribution::Default, &Device::flex());
        let whole = Prediction::new(logits, [1, 1, 7, 4]);
        for (pixels, rows) in
            [(1, vec![1; 7]), (8, vec![2, 2, 2, 1]), (11, vec![2, 2, 2, 1]), (28, vec![7])]
        {
            let parts: Vec<Prediction> = whole.parts(pixels).collect();
            assert_eq!(parts.iter().map(|part| part.shape()[2]).collect::<Vec<_>>(), rows);
            let labels: Vec<u32> = parts.iter().flat_map(Prediction::label_values).collect();
            assert_eq!(labels, whole.label_values(), "{pixels}");
        }
        assert!(whole.label_values().iter().any(|label| *label != whole.label_values()[0]));
    }
}
