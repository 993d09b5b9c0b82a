use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam_core::{Target, upsample};

/// Heat maps that know nothing of the network, or too much: what a metric says of them shows what it
/// measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Uniform noise.
    Random,
    /// Edges of the image: the size of its gradient, largest over the channels.
    Edges,
    /// The explained pixels themselves. Overlap with them is no evidence of anything.
    Pixels,
}

impl Control {
    /// All of them.
    pub fn all() -> &'static [Self] {
        &[Self::Random, Self::Edges, Self::Pixels]
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Edges => "edges",
            Self::Pixels => "pixel set",
        }
    }

    /// The heat map `[N, 1, …]` at the size of the input.
    ///
    /// # Example
    /// ```no_run
    /// use segcam_core::{Explanation, burn::tensor::Tensor};
    /// use segcam_metrics::Control;
    ///
    /// # fn example(map: Explanation, image: Tensor<4>) {
    /// let edges = Control::Edges.heat_map(&image, map.target(), 0);
    /// # }
    /// ```
    pub fn heat_map<const D: usize>(
        self,
        input: &Tensor<D>,
        target: &Target<D>,
        seed: u64,
    ) -> Tensor<D> {
        let mut shape = input.dims();
        shape[1] = 1;
        match self {
            Self::Random => {
                let mut generator = ChaCha8Rng::seed_from_u64(seed);
                let count = shape.iter().product();
                let values: Vec<f32> = (0..count).map(|_| generator.random()).collect();
                Tensor::from_data(TensorData::new(values, shape), &input.device())
            }
            Self::Edges => edges(input),
            Self::Pixels => upsample(target.weights().clone().abs(), &shape[2..]),
        }
    }
}

/// Square root of the sum of squared central differences.
fn edges<const D: usize>(input: &Tensor<D>) -> Tensor<D> {
    let mut squares = input.zeros_like();
    for dim in 2..D {
        let side = input.dims()[dim];
        if side < 3 {
            continue;
        }
        let inner = input.clone().narrow(dim, 2, side - 2) - input.clone().narrow(dim, 0, side - 2);
        let border = inner.clone().narrow(dim, 0, 1).zeros_like();
        let whole = Tensor::cat(vec![border.clone(), inner, border], dim);
        squares = squares + whole.clone() * whole;
    }
    squares.sqrt().max_dim(1)
}
