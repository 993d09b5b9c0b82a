//! How what is drawn is laid out flat: an image as it is, a volume as three planes through a voxel.

use image::{Rgb, RgbImage};
use segcam::burn::tensor::{Int, Tensor, TensorData};
use segcam::core::upsample;
use segcam::render::label;
use segcam::scans::Way;
use serde::Serialize;

/// What is known of a side of a volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side {
    /// Where a larger index lies, as a letter (`S`), and where a smaller one does (`I`).
    pub letters: Option<(char, char)>,
    /// Millimetres from one voxel to the next, or any other unit that all sides share.
    pub spacing: f64,
}

impl Side {
    /// A side of which nothing is known.
    pub const PLAIN: Self = Self { letters: None, spacing: 1.0 };
}

/// The sides of what the network sees this way.
pub(crate) fn sides_of(way: &Way) -> [Side; 3] {
    way.sides().map(|side| Side { letters: Some((side.towards, side.from)), spacing: side.spacing })
}

/// Which sides are the rows and the columns of a single slice: those that are not across it.
pub(crate) fn flat_sides(sizes: [usize; 3]) -> Option<[usize; 2]> {
    let across = sizes.iter().position(|size| *size == 1)?;
    Some([[1, 2], [0, 2], [0, 1]][across])
}

/// A plane of a volume in words: where it is, and which voxels its pixels show.
#[derive(Debug, Clone, Serialize)]
pub struct PlaneReport {
    /// `axial`, `coronal`, `sagittal`; `z`, `y`, `x` where nothing is known of directions.
    pub name: &'static str,
    /// The side `0` to `2` of the volume that it stands across.
    pub across: usize,
    /// How many there are.
    pub count: usize,
    /// From top to bottom.
    pub rows: AxisReport,
    /// From left to right.
    pub columns: AxisReport,
}

/// A side of a volume as a plane shows it.
#[derive(Debug, Clone, Serialize)]
pub struct AxisReport {
    /// The side of the volume, 0 to 2.
    pub side: usize,
    /// Whether the largest index comes first.
    pub flipped: bool,
    /// How many voxels it has.
    pub voxels: usize,
    /// How many pixels show them.
    pub pixels: usize,
    /// What is written where it begins, and where it ends.
    pub letters: Option<(char, char)>,
}

/// The layout of one image of a batch.
#[derive(Debug, Clone)]
pub(crate) struct View {
    planes: Option<Planes>,
    /// Of an image, those of its rows and columns.
    letters: [Letters; 2],
}

/// What is written where a side begins, and where it ends.
type Letters = Option<(char, char)>;

/// Axial, below it coronal, and beside that sagittal.
#[derive(Debug, Clone)]
struct Planes {
    at: [usize; 3],
    tiles: [Tile; 3],
    size: [usize; 2],
    /// Millimetres of a pixel, if that is known.
    millimetres: Option<f64>,
}

/// A plane, and where it is.
#[derive(Debug, Clone, Copy)]
struct Tile {
    name: &'static str,
    across: usize,
    rows: Axis,
    columns: Axis,
    top: usize,
    left: usize,
}

/// A side of a volume as it is shown.
#[derive(Debug, Clone, Copy)]
struct Axis {
    side: usize,
    /// Whether the largest index comes first.
    flipped: bool,
    voxels: usize,
    pixels: usize,
    letters: Letters,
}

/// Empty pixels between planes.
const GAP: usize = 2;

impl View {
    pub(crate) fn image() -> Self {
        Self { planes: None, letters: [None; 2] }
    }

    /// A single slice of a scan as the network has it.
    pub(crate) fn slice(sizes: [usize; 3], sides: [Side; 3]) -> Self {
        let letters = |side: usize| sides[side].letters.map(|(to, from)| (from, to));
        Self {
            planes: None,
            letters: flat_sides(sizes).map_or([None; 2], |flat| flat.map(letters)),
        }
    }

    /// Three planes through the voxel `at`, seen as radiologists do: the patient's right is on the left,
    /// front and head are on top. Voxels have their true shape.
    pub(crate) fn planes(size: [usize; 3], sides: [Side; 3], at: [usize; 3]) -> Self {
        let side_of = |letters: [char; 2]| {
            let is = |side: &Side| side.letters.is_some_and(|(to, _)| letters.contains(&to));
            sides.iter().position(is)
        };
        let found = [['S', 'I'], ['A', 'P'], ['R', 'L']].map(side_of);
        let ([up, front, right], names) = match found {
            [Some(up), Some(front), Some(right)] => {
                ([up, front, right], ["axial", "coronal", "sagittal"])
            }
            _ => ([0, 1, 2], ["z", "y", "x"]),
        };
        let finest = sides.iter().map(|side| side.spacing).fold(f64::INFINITY, f64::min);
        let axis = |side: usize, first: char| {
            let Side { letters, spacing } = sides[side];
            let flipped = letters.is_some_and(|(to, _)| to == first);
            let (from, to) = letters.map_or((None, None), |(to, from)| (Some(from), Some(to)));
            let (begin, end) = if flipped { (to, from) } else { (from, to) };
            let pixels = (size[side] as f64 * spacing / finest).round().max(1.0) as usize;
            Axis { side, flipped, voxels: size[side], pixels, letters: begin.zip(end) }
        };
        let (up_axis, front_axis, right_axis) = (axis(up, 'S'), axis(front, 'A'), axis(right, 'R'));
        let (below, beside) = (front_axis.pixels + GAP, right_axis.pixels + GAP);
        let tile = |name, across, rows, columns, top, left| Tile {
            name,
            across,
            rows,
            columns,
            top,
            left,
        };
        let tiles = [
            tile(names[0], up, front_axis, right_axis, 0, 0),
            tile(names[1], front, up_axis, right_axis, below, 0),
            tile(names[2], right, up_axis, front_axis, below, beside),
        ];
        let size = [below + up_axis.pixels, beside + front_axis.pixels];
        let millimetres = sides.iter().all(|side| side.letters.is_some()).then_some(finest);
        Self { planes: Some(Planes { at, tiles, size, millimetres }), letters: [None; 2] }
    }

    /// The voxel through which planes go.
    pub(crate) fn at(&self) -> Option<[usize; 3]> {
        self.planes.as_ref().map(|planes| planes.at)
    }

    /// The planes in words; none of an image.
    pub(crate) fn reports(&self) -> Vec<PlaneReport> {
        let Some(Planes { tiles, .. }) = &self.planes else { return vec![] };
        // Every side but the one across is a row or a column of another tile.
        let voxels = |side: usize| {
            let mut axes = tiles.iter().flat_map(|tile| [tile.rows, tile.columns]);
            axes.find_map(|axis| (axis.side == side).then_some(axis.voxels)).unwrap_or(1)
        };
        let report = |tile: &Tile| PlaneReport {
            name: tile.name,
            across: tile.across,
            count: voxels(tile.across),
            rows: tile.rows.report(),
            columns: tile.columns.report(),
        };
        tiles.iter().map(report).collect()
    }

    /// One plane of a volume `[1, C, z, y, x]` as `[1, C, H, W]`; `None` if there is none like that.
    pub(crate) fn plane(
        &self,
        volume: &Tensor<5>,
        plane: usize,
        at: usize,
        smooth: bool,
    ) -> Option<Tensor<4>> {
        let tile = self.planes.as_ref()?.tiles.get(plane)?;
        let [_, _, sides @ ..] = volume.dims();
        let mut through = [0; 3];
        through[tile.across] = at;
        (at < sides[tile.across]).then(|| tile.cut(volume, through, smooth))
    }

    /// What is added to captions.
    pub(crate) fn name(&self) -> String {
        let Some(Planes { at, tiles, .. }) = &self.planes else { return String::new() };
        let planes = tiles.map(|tile| format!("{} {}", tile.name, at[tile.across]));
        format!(", {}", planes.join(", "))
    }

    /// One image of the batch as `[1, C, H, W]`. Between voxels it is `smooth`, or the nearest one.
    pub(crate) fn flat<const D: usize>(
        &self,
        tensor: &Tensor<D>,
        sample: usize,
        smooth: bool,
    ) -> Tensor<4> {
        let dims = tensor.dims();
        let image = match dims[0] {
            1 => tensor.clone(),
            _ => tensor.clone().narrow(0, sample, 1),
        };
        let Some(planes) = &self.planes else {
            let slice = dims[2..].try_into().ok().and_then(flat_sides);
            let [rows, columns] = slice.unwrap_or([D - 4, D - 3]);
            return image.reshape([1, dims[1], dims[2 + rows], dims[2 + columns]]);
        };
        let [height, width] = planes.size;
        let mut flat = Tensor::<4>::zeros([1, dims[1], height, width], &tensor.device());
        for tile in &planes.tiles {
            let plane = tile.cut(&image, planes.at, smooth);
            let [_, channels, rows, columns] = plane.dims();
            let (bottom, right) = (tile.top + rows, tile.left + columns);
            let place = [0..1, 0..channels, tile.top..bottom, tile.left..right];
            flat = flat.slice_assign(place, plane);
        }
        flat
    }

    /// What lies between planes becomes black in a picture of this layout.
    pub(crate) fn blacken(&self, image: &mut RgbImage) {
        let Some(Planes { tiles, .. }) = &self.planes else { return };
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            if !tiles.iter().any(|tile| tile.holds(x as usize, y as usize)) {
                *pixel = Rgb([0; 3]);
            }
        }
    }

    /// Letters of directions, ticks where the other planes go through, and a scale bar, on a picture of
    /// this layout that is `scale` times as large.
    pub(crate) fn mark(&self, image: &mut RgbImage, scale: f64) {
        let letter = (0.035 * f64::from(image.width().max(image.height()))).clamp(9.0, 22.0);
        let Some(planes) = &self.planes else {
            let edges = [0, 0, image.width(), image.height()];
            return write_letters(image, edges, letter, self.letters, None);
        };
        for tile in &planes.tiles {
            tile.mark(image, planes.at, scale, letter);
        }
        if let Some(millimetres) = planes.millimetres {
            let room = planes.tiles[2].columns.pixels as f64 * 0.8;
            let lengths = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0];
            let fits = lengths.iter().rev().find(|length| *length / millimetres <= room);
            let Some(length) = fits else { return };
            let left = ((planes.tiles[2].left as f64 + 0.1 * room) * scale) as u32;
            let bottom = (planes.tiles[0].rows.pixels as f64 * scale) as u32;
            let (y, pixels) = (bottom.saturating_sub(6), (length / millimetres * scale) as u32);
            for x in left..left + pixels {
                paint(image, x, y, 1.0);
                paint(image, x, y.saturating_sub(1), 1.0);
            }
            let above = y.saturating_sub(4 + letter.ceil() as u32);
            label(image, (left, above), letter as f32, WHITE, &format!("{length} mm"));
        }
    }
}

const WHITE: Rgb<u8> = Rgb([255; 3]);

/// Mixes white into a pixel, if there is one.
fn paint(image: &mut RgbImage, x: u32, y: u32, part: f32) {
    if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
        pixel.0 = pixel.0.map(|value| (f32::from(value) * (1.0 - part) + 255.0 * part) as u8);
    }
}

impl Axis {
    fn report(&self) -> AxisReport {
        let Self { side, flipped, voxels, pixels, letters } = *self;
        AxisReport { side, flipped, voxels, pixels, letters }
    }

    /// The pixel at which a voxel's middle is.
    fn place(&self, voxel: usize) -> f64 {
        let voxel = if self.flipped { self.voxels - 1 - voxel } else { voxel };
        (voxel as f64 + 0.5) * self.pixels as f64 / self.voxels as f64
    }
}

impl Tile {
    fn holds(&self, x: usize, y: usize) -> bool {
        (self.left..self.left + self.columns.pixels).contains(&x)
            && (self.top..self.top + self.rows.pixels).contains(&y)
    }

    /// The plane of an image `[1, C, z, y, x]`.
    fn cut<const D: usize>(&self, image: &Tensor<D>, at: [usize; 3], smooth: bool) -> Tensor<4> {
        let channels = image.dims()[1];
        let plane = image.clone().narrow(2 + self.across, at[self.across], 1);
        let Self { rows, columns, .. } = self;
        let in_order = rows.side < columns.side;
        let (first, second) = if in_order { (rows, columns) } else { (columns, rows) };
        let plane: Tensor<4> = plane.reshape([1, channels, first.voxels, second.voxels]);
        let mut plane = if in_order { plane } else { plane.swap_dims(2, 3) };
        for (dim, axis) in [(2, rows), (3, columns)] {
            if axis.flipped {
                plane = plane.flip([dim]);
            }
            if axis.pixels != axis.voxels && !smooth {
                let nearest = |pixel: usize| (pixel * axis.voxels / axis.pixels) as i64;
                let nearest: Vec<i64> = (0..axis.pixels).map(nearest).collect();
                let nearest = TensorData::new(nearest, [axis.pixels]);
                let nearest = Tensor::<1, Int>::from_data(nearest, &plane.device());
                plane = plane.select(dim, nearest);
            }
        }
        if smooth { upsample(plane, &[rows.pixels, columns.pixels]) } else { plane }
    }

    fn mark(&self, image: &mut RgbImage, at: [usize; 3], scale: f64, letter: f64) {
        let scaled = |pixels: f64| (pixels * scale).round() as u32;
        let (top, left) = (scaled(self.top as f64), scaled(self.left as f64));
        let bottom = scaled((self.top + self.rows.pixels) as f64);
        let right = scaled((self.left + self.columns.pixels) as f64);
        let x = scaled(self.left as f64 + self.columns.place(at[self.columns.side]));
        let y = scaled(self.top as f64 + self.rows.place(at[self.rows.side]));
        let tick = ((right - left).min(bottom - top) / 16).max(3);
        for step in 0..tick {
            paint(image, x, top + step, 0.7);
            paint(image, x, (bottom - 1).saturating_sub(step), 0.7);
            paint(image, left + step, y, 0.7);
            paint(image, (right - 1).saturating_sub(step), y, 0.7);
        }
        let letters = [self.rows.letters, self.columns.letters];
        write_letters(image, [left, top, right, bottom], letter, letters, Some([x, y]));
    }
}

/// Letters in the middle of the edges of a rectangle, or beside the tick that is there.
fn write_letters(
    image: &mut RgbImage,
    [left, top, right, bottom]: [u32; 4],
    letter: f64,
    [rows, columns]: [Letters; 2],
    ticks: Option<[u32; 2]>,
) {
    // There is no room in a stack of few slices.
    if f64::from((right - left).min(bottom - top)) < 5.0 * letter {
        return;
    }
    let (wide, high) = ((0.8 * letter) as u32, letter.ceil() as u32);
    let middle = |from: u32, to: u32, side: u32, tick: Option<u32>| {
        let middle = (from + to).saturating_sub(side) / 2;
        tick.filter(|tick| (middle..=middle + side).contains(tick)).map_or(middle, |tick| tick + 3)
    };
    let mut write = |x, y, of: char| label(image, (x, y), letter as f32, WHITE, &of.to_string());
    if let Some((first, last)) = columns {
        let y = middle(top, bottom, high, ticks.map(|[_, y]| y));
        write(left + 3, y, first);
        write(right.saturating_sub(wide + 1), y, last);
    }
    if let Some((first, last)) = rows {
        let x = middle(left, right, wide, ticks.map(|[x, _]| x));
        write(x, top + 1, first);
        write(x, bottom.saturating_sub(high + 2), last);
    }
}

/// A voxel in the midst of a mask: in its fullest slice, there in the fullest row, and in that the middle
/// member. `None` if the mask is empty or everything.
pub(crate) fn midst<const D: usize>(mask: &Tensor<D>, sample: usize) -> Option<[usize; 3]> {
    let dims = mask.dims();
    let [depth, height, width] = [dims[2], dims[3], dims[D - 1]];
    let values = mask.clone().narrow(0, sample, 1).into_data();
    let inside: Vec<bool> = values.iter::<f32>().map(|value| value > 0.0).collect();
    let members = |cells: &[bool]| cells.iter().filter(|inside| **inside).count();
    let all = members(&inside);
    if all == 0 || all == inside.len() {
        return None;
    }
    let fullest = |cells: &[bool], each: usize| {
        let counts: Vec<usize> = cells.chunks(each).map(members).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        counts.iter().position(|&count| count == most).unwrap_or(0)
    };
    let z = fullest(&inside, height * width);
    let slice = &inside[z * height * width..(z + 1) * height * width];
    let y = fullest(slice, width);
    let row: Vec<usize> = (0..width).filter(|x| slice[y * width + x]).collect();
    debug_assert!(z < depth);
    Some([z, y, row[row.len() / 2]])
}

#[cfg(test)]
mod tests {
    use segcam::burn::tensor::Device;

    use super::*;

    fn side(to: char, from: char, spacing: f64) -> Side {
        Side { letters: Some((to, from)), spacing }
    }

    #[test]
    fn slices_say_where_the_patient_is() {
        let sides = [side('S', 'I', 2.0), side('P', 'A', 1.0), side('L', 'R', 1.0)];
        for (sizes, letters) in [
            ([1, 40, 48], [Some(('A', 'P')), Some(('R', 'L'))]),
            ([40, 1, 48], [Some(('I', 'S')), Some(('R', 'L'))]),
            ([40, 48, 1], [Some(('I', 'S')), Some(('A', 'P'))]),
            ([40, 48, 2], [None; 2]),
        ] {
            assert_eq!(View::slice(sizes, sides).letters, letters);
        }
        let inked = |view: View| {
            let mut picture = RgbImage::new(300, 200);
            view.mark(&mut picture, 1.0);
            let light = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
                x.flat_map(|x| y.clone().map(move |y| (x, y)))
                    .any(|(x, y)| picture.get_pixel(x, y).0[0] > 128)
            };
            [
                light(0..20, 90..110),
                light(280..300, 90..110),
                light(140..160, 0..20),
                light(140..160, 180..200),
                light(40..130, 40..160),
            ]
        };
        assert_eq!(inked(View::slice([1, 200, 300], sides)), [true, true, true, true, false]);
        assert_eq!(inked(View::image()), [false; 5]);
    }

    #[test]
    fn planes_are_seen_as_radiologists_do() {
        // Values tell the voxel: z·100 + y·10 + x, where x grows to the right, y to the front, z up.
        let values: Vec<f32> =
            (0..2 * 3 * 4).map(|i| (i / 12 * 100 + i / 4 % 3 * 10 + i % 4) as f32).collect();
        let volume =
            Tensor::<5>::from_data(TensorData::new(values, [1, 1, 2, 3, 4]), &Device::flex());
        let sides = [side('S', 'I', 2.0), side('A', 'P', 1.0), side('R', 'L', 1.0)];
        let view = View::planes([2, 3, 4], sides, [1, 2, 0]);
        let flat = view.flat(&volume, 0, false);
        assert_eq!(flat.dims(), [1, 1, 3 + 2 + 4, 4 + 2 + 3]);
        let flat: Vec<f32> = flat.into_data().iter::<f32>().collect();
        let row = |y: usize| &flat[y * 9..(y + 1) * 9];
        // Axial: front on top, right on the left.
        assert_eq!(row(0)[..4], [123.0, 122.0, 121.0, 120.0]);
        assert_eq!(row(2)[..4], [103.0, 102.0, 101.0, 100.0]);
        // Coronal: head on top, each slice as high as it is thick. Sagittal: front on the left.
        assert_eq!(row(5), [123.0, 122.0, 121.0, 120.0, 0.0, 0.0, 120.0, 110.0, 100.0]);
        assert_eq!(row(6), row(5));
        assert_eq!(row(8), [23.0, 22.0, 21.0, 20.0, 0.0, 0.0, 20.0, 10.0, 0.0]);
        assert_eq!(view.name(), ", axial 1, coronal 2, sagittal 0");
    }

    #[test]
    fn without_geometry_indices_grow_down_and_right() {
        let volume = Tensor::<5>::zeros([1, 2, 5, 6, 7], &Device::flex());
        let view = View::planes([5, 6, 7], [Side::PLAIN; 3], [0, 0, 0]);
        assert_eq!(view.flat(&volume, 0, true).dims(), [1, 2, 6 + 2 + 5, 7 + 2 + 6]);
    }

    #[test]
    fn the_midst_is_a_member() {
        let mut mask = vec![0.0f32; 4 * 5 * 6];
        for at in [[1, 2, 2], [1, 2, 3], [1, 2, 5], [1, 3, 0], [3, 0, 0]] {
            mask[at[0] * 30 + at[1] * 6 + at[2]] = 1.0;
        }
        let tensor = |values: Vec<f32>| {
            Tensor::<5>::from_data(TensorData::new(values, [1, 1, 4, 5, 6]), &Device::flex())
        };
        assert_eq!(midst(&tensor(mask), 0), Some([1, 2, 3]));
        assert_eq!(midst(&tensor(vec![1.0; 120]), 0), None);
        assert_eq!(midst(&tensor(vec![0.0; 120]), 0), None);
    }
}
