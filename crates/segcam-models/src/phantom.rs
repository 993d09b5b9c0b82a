use std::f32::consts::TAU;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam_scans::{Grid, Scan};

/// Voxels to the right, to the front and up.
const SIZE: [usize; 3] = [80, 80, 64];
/// Millimetres between them.
const SPACING: [f32; 3] = [1.0, 1.0, 2.0];

/// A place in millimetres, right, anterior, superior of the middle.
type Point = [f32; 3];

/// A generated scan for those who have none, like a CT: an organ with vessels and two to four lesions,
/// beside it a spine, an artery and round nodes.
///
/// Lesions are as bright as vessels and nodes. They are round, which vessels are not, and lie in the
/// organ, which nodes do not.
///
/// # Example
/// ```
/// use segcam_models::Phantom;
///
/// let phantom = Phantom::new(4);
/// assert_eq!(phantom.scan.grid().spacing(), [1.0, 1.0, 2.0]);
/// let [z, y, x] = phantom.largest_lesion();
/// let [columns, rows, _] = phantom.scan.grid().size();
/// assert_eq!(phantom.labels[(z * rows + y) * columns + x], 2);
/// ```
#[derive(Debug, Clone)]
pub struct Phantom {
    /// About Hounsfield units.
    pub scan: Scan,
    /// 1 for the organ, 2 for lesions and 0 elsewhere, in the order of the scan's values.
    pub labels: Vec<u32>,
    lesions: Vec<Ball>,
}

#[derive(Debug, Clone, Copy)]
struct Ball {
    at: Point,
    radius: f32,
}

impl Phantom {
    /// Draws one.
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let organ = Organ::random(&mut rng);
        let vessels: Vec<Ball> = (0..4).flat_map(|_| organ.vessel(&mut rng)).collect();
        let lesions = organ.lesions(&vessels, &mut rng);
        let shapes: Vec<Ball> = lesions.iter().flat_map(|ball| lump(*ball, &mut rng)).collect();
        let nodes = nodes(&organ, &mut rng);
        let [vessels, lumps, nodes] = [vessels, shapes, nodes].map(|balls| filled(&balls));

        let phase: [f32; 6] = std::array::from_fn(|_| rng.random_range(0.0..TAU));
        let spine = [rng.random_range(-3.0..3.0), rng.random_range(-26.0..-24.0)];
        let artery = [spine[0] + rng.random_range(11.0..13.0), spine[1] + 6.0];
        let (mut values, mut labels) = (vec![], vec![]);
        for (voxel, at) in places().enumerate() {
            let [x, y, z] = at;
            let column = |[cx, cy]: [f32; 2]| (x - cx).hypot(y - cy);
            let inside = edge((organ.distance(at) - 1.0) * 20.0);
            let bright = vessels[voxel].max(lumps[voxel]) * inside;
            let texture = 5.0 * (0.9 * x + phase[0]).sin() * (0.8 * y + phase[1]).sin()
                + 5.0 * (0.5 * z + phase[2]).sin() * (0.3 * (x + y) + phase[3]).sin();
            // Each covers what comes before it.
            let layers = [
                (edge(((x / 38.0).hypot(y / 35.0) - 1.0) * 36.0), -30.0),
                (edge((column(spine) - 7.0) * 3.0), 230.0 + 25.0 * (0.25 * z + phase[4]).sin()),
                (edge((column(artery) - 4.0) * 3.0), 150.0),
                (nodes[voxel], 150.0),
                (inside, 60.0 + texture),
                (bright, 150.0),
            ];
            let value = layers
                .into_iter()
                .fold(-1000.0, |under, (part, value)| under * (1.0 - part) + value * part);
            let bias = 10.0 * (x / 31.0 + phase[5]).sin() * (y / 37.0 + z / 53.0).cos();
            let noise: f32 = (0..4).map(|_| rng.random_range(-25.0..25.0f32)).sum();
            values.push((value + bias + noise).round());
            labels.push(match organ.distance(at) < 1.0 {
                true if lumps[voxel] > 0.5 => 2,
                inside => u32::from(inside),
            });
        }
        let scan = Scan::new(grid(), 1, values).expect("a value for each voxel");
        Self { scan, labels, lesions }
    }

    /// How many lesions there are.
    pub fn lesions(&self) -> usize {
        self.lesions.len()
    }

    /// The voxel `[z, y, x]` in the middle of the largest lesion.
    pub fn largest_lesion(&self) -> [usize; 3] {
        let largest = self.lesions.iter().max_by(|a, b| a.radius.total_cmp(&b.radius));
        let [x, y, z] = voxel(largest.expect("there are two at least").at);
        [z, y, x].map(|index| index.round() as usize)
    }
}

/// An ellipsoid with a wavy surface.
struct Organ {
    middle: Point,
    axes: Point,
    phase: f32,
}

impl Organ {
    fn random(rng: &mut impl Rng) -> Self {
        let mut around = |middle: f32, most: f32| middle + rng.random_range(-most..most);
        Self {
            middle: [around(-7.0, 2.0), around(3.0, 2.0), around(0.0, 6.0)],
            axes: [around(24.0, 2.0), around(20.0, 2.0), around(42.0, 6.0)],
            phase: around(0.0, 3.0),
        }
    }

    /// From the middle: 1 at the surface.
    fn distance(&self, at: Point) -> f32 {
        let [x, y, z]: Point =
            std::array::from_fn(|axis| (at[axis] - self.middle[axis]) / self.axes[axis]);
        let wave = (3.0 * y.atan2(x) + 2.0 * z + self.phase).sin();
        (x * x + y * y + z * z).sqrt() / (1.0 + 0.05 * wave)
    }

    /// A point so many times as far from the middle as the surface, in any direction.
    fn point(&self, distance: f32, rng: &mut impl Rng) -> Point {
        let (angle, up) = (rng.random_range(0.0..TAU), rng.random_range(-1.0..1.0f32));
        let flat = (1.0 - up * up).sqrt();
        let direction = [flat * angle.cos(), flat * angle.sin(), up];
        std::array::from_fn(|axis| self.middle[axis] + distance * self.axes[axis] * direction[axis])
    }

    /// A curved tube from surface to surface that gets thinner.
    fn vessel(&self, rng: &mut impl Rng) -> Vec<Ball> {
        let [from, by, to] = [1.0, 0.4, 1.0].map(|distance| self.point(distance, rng));
        let radius = rng.random_range(2.2..3.6);
        let ball = |step: usize| {
            let t = step as f32 / 100.0;
            let at = std::array::from_fn(|axis| {
                let (first, last) = (1.0 - t, t);
                first * first * from[axis] + 2.0 * first * last * by[axis] + last * last * to[axis]
            });
            Ball { at, radius: radius * (1.0 - 0.4 * t) }
        };
        (0..=100).map(ball).collect()
    }

    /// Two to four of them, apart from each other and, where there is room, from vessels.
    fn lesions(&self, vessels: &[Ball], rng: &mut impl Rng) -> Vec<Ball> {
        let wanted = rng.random_range(2..=4);
        let mut lesions: Vec<Ball> = vec![];
        for attempt in 0.. {
            let distance = rng.random_range(0.0..0.75);
            let next = Ball { at: self.point(distance, rng), radius: rng.random_range(5.0..8.0) };
            let apart = lesions.iter().all(|other| next.gap(other) > 3.0);
            let free = vessels.iter().all(|ball| next.gap(ball) > 1.0) || attempt > 500;
            if apart && free {
                lesions.push(next);
            }
            if lesions.len() == wanted || lesions.len() >= 2 && attempt > 1000 {
                break;
            }
        }
        lesions
    }
}

impl Ball {
    /// Millimetres between the two; negative where they overlap.
    fn gap(&self, other: &Self) -> f32 {
        distance(self.at, other.at) - self.radius - other.radius
    }
}

/// Some balls in one, so that it is round but no ball.
fn lump(ball: Ball, rng: &mut impl Rng) -> Vec<Ball> {
    let mut bump = || Ball {
        at: ball.at.map(|at| at + ball.radius * rng.random_range(-0.4..0.4)),
        radius: 0.7 * ball.radius,
    };
    let bumps = [bump(), bump(), bump()];
    [Ball { radius: 0.9 * ball.radius, ..ball }].into_iter().chain(bumps).collect()
}

/// Round and bright, outside of the organ.
fn nodes(organ: &Organ, rng: &mut impl Rng) -> Vec<Ball> {
    let node = |_| {
        let at = [
            rng.random_range(18.0..30.0),
            rng.random_range(-12.0..20.0),
            rng.random_range(-50.0..50.0),
        ];
        Ball { at, radius: rng.random_range(3.5..5.5) }
    };
    let nodes = (0..6).map(node).collect::<Vec<_>>().into_iter();
    nodes.filter(|node| organ.distance(node.at) > 1.3).collect()
}

/// How much of each voxel lies in one of the balls, from 0 to 1.
fn filled(balls: &[Ball]) -> Vec<f32> {
    let mut filled = vec![0.0f32; SIZE.iter().product()];
    for ball in balls {
        let reach = ball.radius + 2.0;
        let [i, j, k] = [0, 1, 2].map(|axis| {
            let (at, steps) = (voxel(ball.at)[axis], reach / SPACING[axis]);
            (at - steps).max(0.0) as usize..((at + steps).max(0.0) as usize + 1).min(SIZE[axis])
        });
        for k in k {
            for j in j.clone() {
                for i in i.clone() {
                    let part = edge((distance(place([i, j, k]), ball.at) - ball.radius) * 3.0);
                    let here = &mut filled[(k * SIZE[1] + j) * SIZE[0] + i];
                    *here = here.max(part);
                }
            }
        }
    }
    filled
}

/// 1 far inside, where the distance is negative, 0 far outside.
fn edge(distance: f32) -> f32 {
    1.0 / (1.0 + distance.exp())
}

fn distance(one: Point, other: Point) -> f32 {
    let [x, y, z]: Point = std::array::from_fn(|axis| one[axis] - other[axis]);
    (x * x + y * y + z * z).sqrt()
}

/// Every voxel's place, those to the right first.
fn places() -> impl Iterator<Item = Point> {
    let [columns, rows, slices] = SIZE;
    (0..columns * rows * slices)
        .map(move |voxel| place([voxel % columns, voxel / columns % rows, voxel / columns / rows]))
}

fn place(voxel: [usize; 3]) -> Point {
    std::array::from_fn(|axis| (voxel[axis] as f32 - (SIZE[axis] - 1) as f32 / 2.0) * SPACING[axis])
}

fn voxel(place: Point) -> Point {
    std::array::from_fn(|axis| place[axis] / SPACING[axis] + (SIZE[axis] - 1) as f32 / 2.0)
}

fn grid() -> Grid {
    let first = place([0; 3]).map(f64::from);
    let affine = std::array::from_fn(|row| {
        let mut of_row = [0.0, 0.0, 0.0, first[row]];
        of_row[row] = f64::from(SPACING[row]);
        of_row
    });
    Grid::new(SIZE, affine).expect("axes of space")
}
