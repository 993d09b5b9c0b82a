/// What is wrong with an outline or a run-length encoded mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskError {
    /// There is neither.
    #[error("it has neither polygons nor a mask")]
    Missing,

    /// A polygon lists x and y by turns.
    #[error("a polygon has {given} numbers, but each point needs two")]
    OddPolygon {
        /// How many numbers.
        given: usize,
    },

    /// A polygon needs an inside.
    #[error("a polygon has {given} point(s), but needs 3")]
    ShortPolygon {
        /// How many points.
        given: usize,
    },

    /// The mask is of another size than the image.
    #[error("its mask is {given:?} (height, width), but the image is {wanted:?}")]
    Size {
        /// Size of the image, `[H, W]`.
        wanted: [usize; 2],
        /// Size of the mask, `[H, W]`.
        given: [usize; 2],
    },

    /// The runs must cover the image exactly.
    #[error("the runs of its mask cover {given} pixels, but the image has {wanted}")]
    Runs {
        /// Pixels of the image.
        wanted: usize,
        /// Sum of the runs.
        given: usize,
    },

    /// A compressed mask is a text of its own alphabet.
    #[error("its compressed mask is damaged at character {at}")]
    Text {
        /// Which character, counted from 1.
        at: usize,
    },
}

/// The runs of a compressed mask: numbers in base 32, lowest digit first, five bits a character, a
/// sixth for "more follows"; from the fourth on, as the difference to the run two before.
pub(crate) fn decompress(text: &str) -> Result<Vec<usize>, MaskError> {
    let mut runs: Vec<i64> = vec![];
    let (mut value, mut shift) = (0i64, 0);
    for (at, byte) in (1..).zip(text.bytes()) {
        let damaged = MaskError::Text { at };
        let Some(digit) = byte.checked_sub(48).filter(|digit| *digit < 64 && shift < 60) else {
            return Err(damaged);
        };
        value |= i64::from(digit & 31) << shift;
        shift += 5;
        if digit & 32 != 0 {
            continue;
        }
        if digit & 16 != 0 {
            value |= -1 << shift;
        }
        if let [_, .., before, _] = runs[..] {
            value = value.saturating_add(before);
        }
        if value < 0 {
            return Err(damaged);
        }
        runs.push(value);
        (value, shift) = (0, 0);
    }
    match shift {
        0 => Ok(runs.into_iter().map(|run| run as usize).collect()),
        _ => Err(MaskError::Text { at: text.len() }),
    }
}

/// Calls `paint` with the index of every pixel inside. Runs alternate between outside and inside,
/// and go down the columns.
pub(crate) fn paint_runs(
    runs: &[usize],
    [height, width]: [usize; 2],
    mut paint: impl FnMut(usize),
) -> Result<(), MaskError> {
    let wanted = height * width;
    let given = runs.iter().fold(0usize, |sum, run| sum.saturating_add(*run));
    if wanted != given {
        return Err(MaskError::Runs { wanted, given });
    }
    let mut start = 0;
    for (number, run) in runs.iter().enumerate() {
        if number % 2 == 1 {
            (start..start + run).for_each(|at| paint(at % height * width + at / height));
        }
        start += run;
    }
    Ok(())
}

/// Calls `paint` with the index of every pixel whose centre is inside the polygon `x, y, x, y, …`,
/// by the even-odd rule. Pixel 0 reaches from 0 to 1.
pub(crate) fn paint_polygon(
    polygon: &[f64],
    [height, width]: [usize; 2],
    mut paint: impl FnMut(usize),
) -> Result<(), MaskError> {
    let (points, rest) = polygon.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(MaskError::OddPolygon { given: polygon.len() });
    }
    if points.len() < 3 {
        return Err(MaskError::ShortPolygon { given: points.len() });
    }
    let edges = || points.iter().zip(points.iter().cycle().skip(1));
    // The first pixel whose centre is not before `at`. The cast keeps what lies outside at the
    // border.
    let first = |at: f64, side: usize| ((at - 0.5).ceil() as usize).min(side);
    let rows = |find: fn(f64, f64) -> f64, none| points.iter().map(|[_, y]| *y).fold(none, find);
    let top = first(rows(f64::min, f64::INFINITY), height);
    let bottom = first(rows(f64::max, f64::NEG_INFINITY), height);
    for row in top..bottom {
        let y = row as f64 + 0.5;
        let crossed = edges().filter(|([_, y0], [_, y1])| (*y0 <= y) != (*y1 <= y));
        let mut crossings: Vec<f64> =
            crossed.map(|([x0, y0], [x1, y1])| x0 + (y - y0) * (x1 - x0) / (y1 - y0)).collect();
        crossings.sort_unstable_by(f64::total_cmp);
        for [enter, leave] in crossings.as_chunks::<2>().0 {
            (first(*enter, width)..first(*leave, width)).for_each(|x| paint(row * width + x));
        }
    }
    Ok(())
}
