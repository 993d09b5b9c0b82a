use burn::tensor::Tensor;
use segcam_core::upsample;

/// One channel of one image on the host: a heat map or a mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    width: usize,
    values: Vec<f32>,
}

impl Plane {
    /// Computes every pixel from its row and column.
    pub fn from_fn(height: usize, width: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let values = (0..height * width)
            .map(|i| value(i / width, i % width))
            .collect();
        Self { width, values }
    }

    /// First channel of image `sample` of `[N, C, H, W]`, resampled bilinearly to `size` `[H, W]`.
    ///
    /// # Panics
    /// If there is no such image in the batch.
    pub fn from_tensor(tensor: &Tensor<4>, sample: usize, size: [usize; 2]) -> Self {
        let channel = tensor.clone().narrow(0, sample, 1).narrow(1, 0, 1);
        let values = upsample(channel, &size).into_data().iter::<f32>().collect();
        Self {
            width: size[1],
            values,
        }
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The value at a row and column, or the nearest one inside.
    pub fn at(&self, y: usize, x: usize) -> f32 {
        self.values[y.min(self.height() - 1) * self.width + x.min(self.width - 1)]
    }

    /// The top left part.
    pub fn crop(&self, height: usize, width: usize) -> Self {
        Self::from_fn(height, width, |y, x| self.at(y, x))
    }

    /// Every pixel becomes `factor`×`factor` equal ones.
    pub fn repeat(&self, factor: usize) -> Self {
        let (height, width) = (self.height() * factor, self.width * factor);
        Self::from_fn(height, width, |y, x| self.at(y / factor, x / factor))
    }

    /// Rows and columns of the members (above 0) next to a pixel outside, or at the edge.
    pub fn border(&self) -> Vec<(usize, usize)> {
        let inside = |y: usize, x: usize| {
            y < self.height() && x < self.width && self.values[y * self.width + x] > 0.0
        };
        let surrounded = |y: usize, x: usize| {
            y > 0
                && x > 0
                && inside(y - 1, x)
                && inside(y + 1, x)
                && inside(y, x - 1)
                && inside(y, x + 1)
        };
        (0..self.values.len())
            .map(|i| (i / self.width, i % self.width))
            .filter(|&(y, x)| inside(y, x) && !surrounded(y, x))
            .collect()
    }

    /// Whether an outline would hide more than it shows, as that of a net of vessels does: the
    /// border is much of the mask, and not just a speck of the image.
    pub fn is_thin(&self) -> bool {
        let members = self.values.iter().filter(|&&value| value > 0.0).count();
        let border = self.border().len();
        4 * border > members && 50 * border > self.values.len()
    }
}
