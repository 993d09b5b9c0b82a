use burn::backend::Dispatch as B;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::IndexingUpdateOp;

use super::unknown;
use crate::array::{Array, Kind};
use crate::value::{Call, Result, Value, axis, concat, kind, place, reshape, reshaped, select};

pub(super) const OPERATORS: &[&str] =
    &["Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let value = match call.node.operator.as_str() {
        "Gather" => gather(call)?,
        "GatherElements" => gather_elements(call)?,
        "GatherND" => gather_nd(call)?,
        "ScatterElements" => scatter_elements(call)?,
        "ScatterND" => scatter_nd(call)?,
        _ => return Err(unknown(call)),
    };
    Ok(vec![value])
}

/// Indices into an axis of the given length; negative ones count from the end.
fn places(indices: &[i64], length: usize) -> Result<Vec<usize>> {
    let missing = |index| format!("index {index} of {length} cells");
    let places = indices.iter().map(|&index| place(index, length).ok_or_else(|| missing(index)));
    places.collect()
}

fn gather(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let at = axis(call.int("axis", 0), shape.len())?;
    let indices = call.known(1)?;
    let cells = places(&indices.to_ints()?, shape[at])?;
    let taken = [&shape[..at], indices.shape(), &shape[at + 1..]].concat();
    call.expect_size(&taken)?;
    reshape(select(call, value, at, &cells), &taken)
}

/// Number of cells that follow each cell of an axis.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect()
}

/// The data as rows of `width` cells, of which those with the numbers `rows` are taken.
fn take_rows(call: &Call, value: Value, width: usize, rows: &[usize]) -> Result<Value> {
    let count = value.shape().iter().product::<usize>() / width.max(1);
    Ok(select(call, reshape(value, &[count, width])?, 0, rows))
}

/// For each entry of `indices`, its place in data of the given shape: entries go along `at`, and
/// stay where they are along the other axes.
fn element_places(indices: &Array, shape: &[usize], at: usize) -> Result<Vec<usize>> {
    let fits = indices.shape().len() == shape.len()
        && (0..shape.len()).all(|other| other == at || indices.shape()[other] <= shape[other]);
    if !fits {
        return Err(format!("indices {:?} do not fit shape {shape:?}", indices.shape()));
    }
    let strides = strides(shape);
    let cells = places(&indices.to_ints()?, shape[at])?;
    let own = indices.values.indexed_iter().map(|(index, _)| index);
    Ok(own
        .zip(cells)
        .map(|(index, cell)| {
            let along = |axis: usize| if axis == at { cell } else { index[axis] };
            (0..shape.len()).map(|axis| along(axis) * strides[axis]).sum()
        })
        .collect())
}

fn gather_elements(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let at = axis(call.int("axis", 0), shape.len())?;
    let indices = match call.value(1)? {
        Value::Known(indices) => indices,
        Value::Computed(indices) => {
            if kind(&indices) != Kind::Int {
                return Err("indices must be integers".into());
            }
            return Ok(B::float_gather(at, call.tensor(0)?, indices).into());
        }
    };
    let cells = element_places(&indices, &shape, at)?;
    reshape(take_rows(call, value, 1, &cells)?, indices.shape())
}

/// The numbers of the rows that index tuples name, and the cells of a row.
fn tuple_rows(indices: &Array, shape: &[usize]) -> Result<(Vec<usize>, usize)> {
    let depth = indices.shape().last().copied().unwrap_or_default();
    if depth == 0 || depth > shape.len() {
        return Err(format!("indices {:?} do not fit shape {shape:?}", indices.shape()));
    }
    let indices = indices.to_ints()?;
    let rows = indices.chunks(depth).map(|tuple| {
        let places = tuple.iter().zip(shape).map(|(&index, &side)| places(&[index], side));
        let places = places.collect::<Result<Vec<_>>>()?.concat();
        Ok(places.iter().zip(shape).fold(0, |row, (&place, &side)| row * side + place))
    });
    Ok((rows.collect::<Result<_>>()?, shape[depth..].iter().product()))
}

fn gather_nd(call: &Call) -> Result<Value> {
    let (value, indices) = (call.value(0)?, call.known(1)?);
    let batch = usize::try_from(call.int("batch_dims", 0)).map_err(|_| "batch_dims is negative")?;
    let (shape, given) = (value.shape(), indices.shape().to_vec());
    let alike = batch < given.len() && batch <= shape.len() && given[..batch] == shape[..batch];
    if !alike {
        return Err(format!("indices {given:?} do not fit {batch} batch dimensions of {shape:?}"));
    }
    let (mut rows, width) = tuple_rows(&indices, &shape[batch..])?;
    // Each element of the batch has its own rows.
    let images = shape[..batch].iter().product::<usize>().max(1);
    let (per_image, whole) = (rows.len() / images, shape[batch..].iter().product::<usize>());
    for (number, row) in rows.iter_mut().enumerate() {
        *row += number / per_image.max(1) * (whole / width.max(1));
    }
    let depth = given[given.len() - 1];
    let taken = [&given[..given.len() - 1], &shape[batch + depth..]].concat();
    call.expect_size(&taken)?;
    reshape(take_rows(call, value, width, &rows)?, &taken)
}

/// Rows of the data, with those numbered `rows` replaced by the updates, in order.
fn replace_rows(call: &Call, width: usize, rows: &[usize]) -> Result<Value> {
    let (value, updates) = (call.value(0)?, call.value(2)?);
    let shape = value.shape();
    let count = shape.iter().product::<usize>() / width.max(1);
    match call.text("reduction", "none").as_str() {
        "none" => {}
        "add" => {
            let updates = reshaped(call.upload(updates), &[rows.len(), width]);
            let data = reshaped(call.tensor(0)?, &[count, width]);
            let (at, add) = (call.indices(rows), IndexingUpdateOp::Add);
            let sum = B::float_select_assign(data, 0, at, updates, add);
            return Ok(reshaped(sum, &shape).into());
        }
        other => return Err(format!("reduction {other} is not supported")),
    }
    // Taken from the data followed by the updates.
    let mut source: Vec<usize> = (0..count).collect();
    for (number, &row) in rows.iter().enumerate() {
        source[row] = count + number;
    }
    let updates = reshape(updates, &[rows.len(), width])?;
    let both = concat(call, vec![reshape(value, &[count, width])?, updates], 0)?;
    reshape(select(call, both, 0, &source), &shape)
}

fn scatter_elements(call: &Call) -> Result<Value> {
    let shape = call.value(0)?.shape();
    let at = axis(call.int("axis", 0), shape.len())?;
    let cells = element_places(&call.known(1)?, &shape, at)?;
    replace_rows(call, 1, &cells)
}

fn scatter_nd(call: &Call) -> Result<Value> {
    let shape = call.value(0)?.shape();
    let (rows, width) = tuple_rows(&call.known(1)?, &shape)?;
    replace_rows(call, width, &rows)
}
