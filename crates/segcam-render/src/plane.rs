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
        let values = (0..height * width).map(|i| value(i / width, i % width)).collect();
        Self { width, values }
    }

    /// First channel of image `sample` of `[N, C, H, W]`, resampled bilinearly to `size` `[H, W]`.
    ///
    /// # Panics
    /// If there is no such image in the batch.
    pub fn from_tensor(tensor: &Tensor<4>, sample: usize, size: [usize; 2]) -> Self {
        let channel = tensor.clone().narrow(0, sample, 1).narrow(1, 0, 1);
        let data = upsample(channel, &size).into_data().convert::<f32>();
        let values = data.try_into_vec().expect("the data are single precision");
        Self { width: size[1], values }
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

    /// The top left part; where it reaches beyond the edge, the nearest values.
    pub fn crop(self, height: usize, width: usize) -> Self {
        if (height, width) == (self.height(), self.width) {
            return self;
        }
        Self::from_fn(height, width, |y, x| self.at(y, x))
    }

    /// To another size `[H, W]`: each new pixel is the one with the largest absolute value of the old
    /// ones it covers, or the one it lies in. Nothing is lost when a mask shrinks.
    pub fn cover(self, [height, width]: [usize; 2]) -> Self {
        if (height, width) == (self.height(), self.width) {
            return self;
        }
        let covered = |to: usize, from: usize| {
            (0..to).map(move |at| {
                let start = at * from / to;
                start..((at + 1) * from).div_ceil(to).max(start + 1)
            })
        };
        let columns: Vec<_> = covered(width, self.width).collect();
        let mut values = vec![0.0_f32; height * width];
        for (new, rows) in values.chunks_mut(width).zip(covered(height, self.height())) {
            for old in rows.map(|y| &self.values[y * self.width..][..self.width]) {
                for (most, columns) in new.iter_mut().zip(&columns) {
                    for value in &old[columns.clone()] {
                        if value.abs() > most.abs() {
                            *most = *value;
                        }
                    }
                }
            }
        }
        Self { width, values }
    }

    /// Whether there is a member (above 0).
    pub(crate) fn has(&self, y: usize, x: usize) -> bool {
        y < self.height() && x < self.width && self.values[y * self.width + x] > 0.0
    }

    /// Rows and columns of the members (above 0) next to a pixel outside, or at the edge.
    pub fn border(&self) -> Vec<(usize, usize)> {
        self.places(true, |neighbours| neighbours.contains(&false))
    }

    /// Whether most of the border lies on members of another mask of this size, or right beside them.
    pub fn borders_on(&self, other: &Self) -> bool {
        let border = self.border();
        let beside = |(y, x): (usize, usize)| {
            let around = |at: usize| at.saturating_sub(1)..at + 2;
            around(y).any(|y| around(x).any(|x| other.has(y, x)))
        };
        2 * border.iter().filter(|at| beside(**at)).count() > border.len()
    }

    /// Rows and columns of the pixels outside, next to a member.
    pub(crate) fn rim(&self) -> Vec<(usize, usize)> {
        self.places(false, |neighbours| neighbours.contains(&true))
    }

    /// Rows and columns of the members, or of the pixels outside, whose neighbours above, below, left and
    /// right are such; beyond the edge there are no members.
    fn places(&self, of: bool, such: impl Fn([bool; 4]) -> bool) -> Vec<(usize, usize)> {
        let row = |y: usize| self.values.get(y.wrapping_mul(self.width)..)?.get(..self.width);
        let member = |row: Option<&[f32]>, x: usize| {
            row.and_then(|row| row.get(x)).is_some_and(|&value| value > 0.0)
        };
        let mut places = vec![];
        for (y, here) in self.values.chunks_exact(self.width.max(1)).enumerate() {
            let (above, below) = (row(y.wrapping_sub(1)), row(y + 1));
            for x in 0..self.width {
                let beside = |x| member(Some(here), x);
                let around = || {
                    [member(above, x), member(below, x), beside(x.wrapping_sub(1)), beside(x + 1)]
                };
                if beside(x) == of && such(around()) {
                    places.push((y, x));
                }
            }
        }
        places
    }

    /// Whether an outline would hide more than it shows, as that of a net of vessels or of a rim does: the
    /// border is much of the mask, and the mask is no speck of the image.
    pub fn is_thin(&self) -> bool {
        let members = self.values.iter().filter(|&&value| value > 0.0).count();
        let border = self.border().len();
        let net = 4 * border > members && 50 * border > self.values.len();
        // Of a disc or a square, the square of its border is 12 to 16 times the mask.
        let lines = 2 * border > members && border * border > 100 * members;
        net || lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_pixel_survives_shrinking() {
        let mask = Plane::from_fn(100, 70, |y, x| f32::from(u8::from((y, x) == (57, 31))));
        for size in [[100, 70], [33, 20], [7, 7], [1, 1], [200, 140]] {
            let small = mask.clone().cover(size);
            assert_eq!([small.height(), small.width()], size);
            assert!(small.values().contains(&1.0), "{size:?}");
        }
        assert_eq!(mask.cover([200, 140]).values().iter().sum::<f32>(), 4.0);
    }

    #[test]
    fn rims_are_thin_and_specks_are_not() {
        let disc = |radius: f32, width: f32, scale: usize| {
            let ring = Plane::from_fn(120, 120, |y, x| {
                let away = (y as f32 - 60.0).hypot(x as f32 - 60.0);
                f32::from(u8::from(away <= radius && away > radius - width))
            });
            ring.cover([120 * scale; 2])
        };
        for scale in [1, 3] {
            assert!(disc(40.0, 1.0, scale).is_thin());
            assert!(!disc(40.0, 41.0, scale).is_thin());
            assert!(!disc(1.0, 2.0, scale).is_thin());
            assert!(!disc(5.0, 6.0, scale).is_thin());
            assert!(disc(40.0, 41.0, scale).borders_on(&disc(40.0, 1.0, scale)));
            assert!(!disc(40.0, 41.0, scale).borders_on(&disc(30.0, 1.0, scale)));
        }
    }

    #[test]
    fn the_border_surrounds_the_inside() {
        let mask = Plane::from_fn(6, 6, |y, x| f32::from(u8::from(y > 0 && x > 1)));
        let border = mask.border();
        assert!(border.contains(&(1, 2)) && border.contains(&(5, 5)));
        assert!(!border.contains(&(2, 3)) && !border.contains(&(0, 0)));
        assert_eq!(border.len(), 20 - 6);
    }
}
