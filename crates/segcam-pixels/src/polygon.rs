use burn::tensor::Tensor;
use segcam_core::{CamError, PixelSet, Prediction};

use crate::{cells, comma_separated};

/// A polygon in an image: pixels whose centres lie inside it or on its edge.
///
/// Its corners are pixel centres `[y, x]`. It must not cross itself.
///
/// # Example
/// ```
/// use segcam_core::{PixelSet, Prediction, burn::tensor::{Device, Tensor}};
/// use segcam_pixels::Polygon;
///
/// let view = Prediction::new(Tensor::zeros([1, 2, 3, 3], &Device::flex()), [1, 1, 3, 3]);
/// let triangle = Polygon::new([[0, 0], [2, 0], [2, 2]]);
/// let weights = triangle.weights(&view, 0)?.into_data().try_to_vec::<f32>()?;
/// assert_eq!(weights, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
///
/// let bow_tie = Polygon::new([[0, 0], [2, 2], [2, 0], [0, 2]]);
/// assert!(bow_tie.weights(&view, 0).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polygon {
    corners: Vec<[usize; 2]>,
}

impl Polygon {
    /// At least three corners `[y, x]`, in order; the last is joined to the first.
    pub fn new(corners: impl Into<Vec<[usize; 2]>>) -> Self {
        Self { corners: corners.into() }
    }

    fn edges(&self) -> impl Iterator<Item = ([i64; 2], [i64; 2])> {
        let corner = |at: usize| self.corners[at % self.corners.len()].map(|side| side as i64);
        (0..self.corners.len()).map(move |at| (corner(at), corner(at + 1)))
    }

    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<String> {
        let count = self.corners.len();
        if count < 3 {
            return Some(format!("it needs at least 3 corners, it has {count}"));
        }
        let edges: Vec<_> = self.edges().collect();
        for (at, (a, b)) in edges.iter().enumerate() {
            for (other, (c, d)) in edges.iter().enumerate().skip(at + 1) {
                let neighbours = other == at + 1 || (at == 0 && other + 1 == count);
                // Neighbours share a corner; they must not lie on each other.
                let crossing = if neighbours {
                    let (shared, free) = if other == at + 1 { (b, (a, d)) } else { (a, (b, c)) };
                    turn(*shared, *free.0, *free.1) == 0 && same_side(*shared, *free.0, *free.1)
                } else {
                    meet((*a, *b), (*c, *d))
                };
                if crossing {
                    let names = [at, at + 1, other, other + 1].map(|corner| corner % count + 1);
                    let [a, b, c, d] = names;
                    return Some(format!(
                        "it crosses itself: the edge from corner {a} to {b} meets \
                                         the one from {c} to {d}"
                    ));
                }
            }
        }
        None
    }

    fn contains(&self, y: i64, x: i64) -> bool {
        let mut inside = false;
        for (a, b) in self.edges() {
            if turn(a, b, [y, x]) == 0 && between(a, b, [y, x]) {
                return true;
            }
            // Even-odd: does a ray to the right cross this edge?
            if (a[0] > y) != (b[0] > y) {
                let side = turn(a, b, [y, x]);
                inside ^= if b[0] > a[0] { side < 0 } else { side > 0 };
            }
        }
        inside
    }
}

/// Positive, zero or negative: `c` lies to one side of the line through `a` and `b`, on it, or to
/// the other.
fn turn(a: [i64; 2], b: [i64; 2], c: [i64; 2]) -> i128 {
    let [dy, dx] = [i128::from(b[0] - a[0]), i128::from(b[1] - a[1])];
    dy * i128::from(c[1] - a[1]) - dx * i128::from(c[0] - a[0])
}

/// Whether `c`, on the line through `a` and `b`, lies between them.
fn between(a: [i64; 2], b: [i64; 2], c: [i64; 2]) -> bool {
    (0..2).all(|axis| (a[axis].min(b[axis])..=a[axis].max(b[axis])).contains(&c[axis]))
}

fn same_side(at: [i64; 2], a: [i64; 2], b: [i64; 2]) -> bool {
    (0..2).map(|axis| i128::from(a[axis] - at[axis]) * i128::from(b[axis] - at[axis])).sum::<i128>()
        > 0
}

/// Whether two edges have a point in common.
fn meet((a, b): ([i64; 2], [i64; 2]), (c, d): ([i64; 2], [i64; 2])) -> bool {
    let [abc, abd, cda, cdb] = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)];
    (abc.signum() * abd.signum() < 0 && cda.signum() * cdb.signum() < 0)
        || (abc == 0 && between(a, b, c))
        || (abd == 0 && between(a, b, d))
        || (cda == 0 && between(c, d, a))
        || (cdb == 0 && between(c, d, b))
}

impl<const D: usize> PixelSet<D> for Polygon {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        for corner in &self.corners {
            crate::expect_inside::<D>(self, corner, prediction.size())?;
        }
        if let Some(reason) = self.fault() {
            return Err(CamError::PixelSet { set: PixelSet::<D>::name(self), reason });
        }
        Ok(cells::at_places(prediction, |place| self.contains(place[0] as i64, place[1] as i64)))
    }

    fn name(&self) -> String {
        let corners: Vec<String> = self.corners.iter().map(|at| comma_separated(at)).collect();
        format!("polygon:{}", corners.join(";"))
    }
}
