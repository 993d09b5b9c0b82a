//! From positions to slices in order and a grid.

use super::error::Place;
use super::frames::Frame;
use super::header::Header;
use super::{DicomError, Slice};
use crate::{Grid, ScanError};

/// How far a slice may lie off its place on the grid, as a share of the slices' distance.
const UNEVEN: f64 = 0.05;
/// Slices closer than this share of a millimetre are at one place.
const SAME: f64 = 1e-3;

/// Slices in order, and the grid that they are.
pub(super) struct Stack {
    pub(super) slices: Vec<Slice>,
    pub(super) grid: Grid,
    pub(super) notes: Vec<String>,
}

/// The frames of these files as one volume.
pub(super) fn stack(headers: &[Header]) -> Result<Stack, ScanError> {
    let mut slices: Vec<Slice> = (0..headers.len())
        .flat_map(|file| (0..headers[file].frames.len()).map(move |frame| Slice { file, frame }))
        .collect();
    let frame = |slice: Slice| &headers[slice.file].frames[slice.frame];
    let mut notes = Vec::new();
    let first = frame(slices[0]);
    let spacing = first.spacing.unwrap_or_else(|| {
        notes.push("no pixel spacing: pixels are taken to be 1 mm wide".into());
        [1.0; 2]
    });
    if first.at_detector {
        notes.push(
            "the pixel spacing is that at the detector: things are smaller than it says".into(),
        );
    }
    let Some(orientation) = placed(headers, &slices)? else {
        let (grid, note) = unplaced(headers, spacing)?;
        notes.extend(note);
        return Ok(Stack { slices, grid, notes });
    };
    let normal = normal(orientation);
    let at = |slice: &Slice| frame(*slice).position.unwrap_or_default();
    let along = |slice: &Slice| dot(at(slice), normal);
    slices.sort_by(|a, b| along(a).total_cmp(&along(b)));
    let step = match &slices[..] {
        [only] => single(frame(*only), normal, &mut notes),
        several => even(headers, several, normal, &mut notes)?,
    };
    let columns = [
        scaled([orientation[0], orientation[1], orientation[2]], spacing[1]),
        scaled([orientation[3], orientation[4], orientation[5]], spacing[0]),
        step,
        at(&slices[0]),
    ];
    let grid = grid(headers, slices.len(), columns)?;
    Ok(Stack { slices, grid, notes })
}

/// The orientation that all slices share, or `None` if none says where it is.
fn placed(headers: &[Header], slices: &[Slice]) -> Result<Option<[f64; 6]>, DicomError> {
    let frame = |slice: &Slice| &headers[slice.file].frames[slice.frame];
    let known = |frame: &Frame| frame.position.is_some() && frame.orientation.is_some();
    if !slices.iter().any(|slice| known(frame(slice))) {
        return Ok(None);
    }
    let orientation = slices.iter().find_map(|slice| frame(slice).orientation).unwrap_or_default();
    for slice in slices {
        let path = &headers[slice.file].path;
        let wanted = "there, as in the other images of this volume";
        let missing = |name| DicomError::attribute(path, name, wanted, "missing");
        let own = frame(slice).orientation.ok_or_else(|| missing("ImageOrientationPatient"))?;
        frame(slice).position.ok_or_else(|| missing("ImagePositionPatient"))?;
        if !close(&own, &orientation, 1e-3) {
            let wanted = "the same in all images of a volume";
            let given = format!("{own:?} and {orientation:?}");
            return Err(DicomError::attribute(path, "ImageOrientationPatient", wanted, given));
        }
    }
    let [row, column] = [0, 3].map(|at| [0, 1, 2].map(|axis| orientation[at + axis]));
    let off = [dot(row, row) - 1.0, dot(column, column) - 1.0, dot(row, column)];
    if off.iter().any(|off| off.abs() > 0.01) {
        let wanted = "two directions of length 1 at right angles";
        let (path, given) = (&headers[slices[0].file].path, format!("{orientation:?}"));
        return Err(DicomError::attribute(path, "ImageOrientationPatient", wanted, given));
    }
    Ok(Some(orientation))
}

/// Frames that do not say where they are: one file's, in their order.
fn unplaced(headers: &[Header], spacing: [f64; 2]) -> Result<(Grid, Option<String>), ScanError> {
    let [only] = headers else {
        let (path, wanted) = (&headers[0].path, "there: several files are one volume by it");
        let missing = DicomError::attribute(path, "ImagePositionPatient", wanted, "missing");
        return Err(missing.into());
    };
    let count = only.frames.len();
    let step = only.frames[0].step.filter(|_| count > 1);
    let note = match (count, step) {
        (1, _) => None,
        (_, Some(step)) => Some(format!("frames without positions: stacked {step} mm apart")),
        _ => Some("frames without positions: stacked 1 mm apart".into()),
    };
    let (across, down, apart) = (spacing[1], spacing[0], step.unwrap_or(1.0));
    let columns = [[across, 0.0, 0.0], [0.0, down, 0.0], [0.0, 0.0, apart], [0.0; 3]];
    Ok((grid(headers, count, columns)?, note))
}

/// The step to where the next slice would be.
fn single(frame: &Frame, normal: [f64; 3], notes: &mut Vec<String>) -> [f64; 3] {
    let step = frame.step.unwrap_or_else(|| {
        notes.push("one slice without a thickness: taken to be 1 mm thick".into());
        1.0
    });
    scaled(normal, step)
}

/// The step from slice to slice, if they are evenly spaced.
fn even(
    headers: &[Header],
    slices: &[Slice],
    normal: [f64; 3],
    notes: &mut Vec<String>,
) -> Result<[f64; 3], DicomError> {
    let at = |slice: &Slice| headers[slice.file].frames[slice.frame].position.unwrap_or_default();
    let along = |slice: &Slice| dot(at(slice), normal);
    let steps: Vec<f64> = slices.windows(2).map(|pair| along(&pair[1]) - along(&pair[0])).collect();
    if let Some(same) = steps.iter().position(|step| *step < SAME) {
        return Err(DicomError::SamePlace {
            first: place(headers, slices[same]),
            second: place(headers, slices[same + 1]),
            at: rounded(along(&slices[same])),
            images: slices.len(),
            places: 1 + steps.iter().filter(|step| **step >= SAME).count(),
        });
    }
    let mut sorted = steps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted[sorted.len() / 2].min(sorted[(sorted.len() - 1) / 2]);
    if let Some(gap) = steps.iter().position(|step| (step - usual).abs() > UNEVEN * usual) {
        return Err(DicomError::Gap {
            before: place(headers, slices[gap]),
            after: place(headers, slices[gap + 1]),
            at: rounded(along(&slices[gap])),
            step: rounded(usual),
            given: rounded(steps[gap]),
        });
    }
    let (first, last) = (at(&slices[0]), at(&slices[slices.len() - 1]));
    let step = scaled(difference(last, first), 1.0 / steps.len() as f64);
    let off = |(k, slice): (usize, &Slice)| {
        let wanted = [0, 1, 2].map(|axis| first[axis] + step[axis] * k as f64);
        length(difference(at(slice), wanted))
    };
    let distances = slices.iter().enumerate().map(off);
    let worst = distances.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((worst, distance)) = worst {
        if distance > UNEVEN * usual + 0.01 {
            let (place, distance) = (place(headers, slices[worst]), rounded(distance));
            return Err(DicomError::Shifted { place, distance });
        }
        if distance > 0.01 * usual {
            let distance = rounded(distance);
            notes.push(format!("slices are uneven by up to {distance} mm: taken as even"));
        }
    }
    let tilt = difference(step, scaled(normal, dot(step, normal)));
    if length(tilt) > 0.01 * usual {
        let shift = rounded(length(tilt));
        notes.push(format!("each slice is shifted sideways by {shift} mm (a tilted gantry)"));
    }
    Ok(step)
}

fn place(headers: &[Header], slice: Slice) -> Place {
    let header = &headers[slice.file];
    let frame = (header.frames.len() > 1).then_some(slice.frame + 1);
    Place { path: header.path.clone(), frame }
}

/// The grid of these columns in LPS.
fn grid(headers: &[Header], slices: usize, columns: [[f64; 3]; 4]) -> Result<Grid, ScanError> {
    let layout = &headers[0].layout;
    let row = |axis: usize| {
        // To the right and to the front, where DICOM goes to the left and to the back.
        let sign = if axis < 2 { -1.0 } else { 1.0 };
        // Zero has one sign.
        [0, 1, 2, 3].map(|column: usize| sign * columns[column][axis] + 0.0)
    };
    Grid::new([layout.columns, layout.rows, slices], [0, 1, 2].map(row))
}

/// At right angles to rows and columns.
pub(super) fn normal(orientation: [f64; 6]) -> [f64; 3] {
    let [a, b, c, d, e, f] = orientation;
    [b * f - c * e, c * d - a * f, a * e - b * d]
}

pub(super) fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn scaled(a: [f64; 3], by: f64) -> [f64; 3] {
    a.map(|a| a * by)
}

fn difference(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|axis| a[axis] - b[axis])
}

pub(super) fn length(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

/// For people.
fn rounded(millimetres: f64) -> f64 {
    (millimetres * 1e3).round() / 1e3
}
