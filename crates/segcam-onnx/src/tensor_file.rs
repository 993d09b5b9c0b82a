//! The tensors that a file brings: checked against what they claim, before memory is taken.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use bytes::Bytes;

use crate::OnnxError;
use crate::array::{Array, Kind};
use crate::proto::Tensor;

/// Where `data_location` says that the values are in another file.
const EXTERNAL: i32 = 1;

/// Numbers of a file.
pub(crate) enum Stored {
    /// Weights: shape and values.
    Weights(Vec<usize>, Vec<f32>),
    /// Few numbers, or integers: they may decide about shapes.
    Known(Array),
}

/// Float tensors up to this many numbers may decide about shapes (scales, bounds).
const FEW: usize = 16;

/// Reads a tensor. Values outside the model's file must lie inside its `folder`.
pub(crate) fn read(tensor: &Tensor, folder: Option<&Path>) -> Result<Stored, OnnxError> {
    let wrong = |reason: String| OnnxError::Tensor { name: tensor.name.clone(), reason };
    let dims: Option<Vec<usize>> =
        tensor.dims.iter().map(|&side| usize::try_from(side).ok()).collect();
    let shape = dims.ok_or_else(|| wrong(format!("it has a negative side: {:?}", tensor.dims)))?;
    let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side));
    let count = count.ok_or_else(|| wrong(format!("shape {shape:?} is too large")))?;

    let raw = match (tensor.data_location == EXTERNAL, folder) {
        (true, Some(folder)) => Some(external(tensor, folder)?),
        (true, None) => return Err(wrong("its values are in another file".into())),
        (false, _) => Some(tensor.raw_data.clone()).filter(|raw| !raw.is_empty()),
    };
    let (kind, width) = match tensor.data_type {
        1 => (Kind::Float, 4),
        10 | 16 => (Kind::Float, 2),
        11 => (Kind::Float, 8),
        2 | 3 => (Kind::Int, 1),
        4 | 5 => (Kind::Int, 2),
        6 | 12 => (Kind::Int, 4),
        7 | 13 => (Kind::Int, 8),
        9 => (Kind::Bool, 1),
        other => return Err(wrong(format!("element type {other} is not supported"))),
    };
    let given = match &raw {
        Some(raw) => raw.len(),
        None => width * typed_len(tensor),
    };
    if count.checked_mul(width) != Some(given) {
        let claimed = format!("shape {shape:?} needs {count} values of {width} byte(s)");
        return Err(wrong(format!("{claimed}, the file holds {given} byte(s)")));
    }
    if kind == Kind::Float && count > FEW {
        return Ok(Stored::Weights(shape, floats(tensor, raw.as_deref())));
    }
    let values = numbers(tensor, raw.as_deref());
    Array::from_vec(kind, &shape, values).map(Stored::Known).map_err(wrong)
}

fn typed_len(tensor: &Tensor) -> usize {
    match tensor.data_type {
        1 => tensor.float_data.len(),
        11 => tensor.double_data.len(),
        7 => tensor.int64_data.len(),
        12 | 13 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    }
}

/// Weights in single precision.
fn floats(tensor: &Tensor, raw: Option<&[u8]>) -> Vec<f32> {
    match (tensor.data_type, raw) {
        (1, Some(raw)) => words(raw).map(f32::from_le_bytes).collect(),
        (1, None) => tensor.float_data.clone(),
        _ => numbers(tensor, raw).into_iter().map(|value| value as f32).collect(),
    }
}

fn numbers(tensor: &Tensor, raw: Option<&[u8]>) -> Vec<f64> {
    let Some(raw) = raw else { return typed(tensor) };
    match tensor.data_type {
        1 => words(raw).map(|word| f64::from(f32::from_le_bytes(word))).collect(),
        2 | 9 => raw.iter().map(|&byte| f64::from(byte)).collect(),
        3 => raw.iter().map(|&byte| f64::from(byte as i8)).collect(),
        4 => words(raw).map(|word| f64::from(u16::from_le_bytes(word))).collect(),
        5 => words(raw).map(|word| f64::from(i16::from_le_bytes(word))).collect(),
        6 => words(raw).map(|word| f64::from(i32::from_le_bytes(word))).collect(),
        7 => words(raw).map(|word| i64::from_le_bytes(word) as f64).collect(),
        10 => words(raw).map(|word| half::f16::from_le_bytes(word).to_f64()).collect(),
        11 => words(raw).map(f64::from_le_bytes).collect(),
        12 => words(raw).map(|word| f64::from(u32::from_le_bytes(word))).collect(),
        13 => words(raw).map(|word| u64::from_le_bytes(word) as f64).collect(),
        _ => words(raw).map(|word| half::bf16::from_le_bytes(word).to_f64()).collect(),
    }
}

/// Values that are not in `raw_data`; half floats are the bits of integers there.
fn typed(tensor: &Tensor) -> Vec<f64> {
    let ints = tensor.int32_data.iter();
    match tensor.data_type {
        1 => tensor.float_data.iter().map(|&value| f64::from(value)).collect(),
        11 => tensor.double_data.clone(),
        7 => tensor.int64_data.iter().map(|&value| value as f64).collect(),
        12 | 13 => tensor.uint64_data.iter().map(|&value| value as f64).collect(),
        10 => ints.map(|&bits| half::f16::from_bits(bits as u16).to_f64()).collect(),
        16 => ints.map(|&bits| half::bf16::from_bits(bits as u16).to_f64()).collect(),
        _ => ints.map(|&value| f64::from(value)).collect(),
    }
}

fn words<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    raw.as_chunks::<N>().0.iter().copied()
}

/// Values of a file beside the model.
fn external(tensor: &Tensor, folder: &Path) -> Result<Bytes, OnnxError> {
    let wrong = |reason: String| OnnxError::Tensor { name: tensor.name.clone(), reason };
    let entry = |key: &str| {
        tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    };
    let number = |key: &str| match entry(key).map(|value| value.parse::<u64>()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(wrong(format!("`{key}` of its external data is no number"))),
    };
    let location =
        entry("location").ok_or_else(|| wrong("its external data has no place".into()))?;
    let path = folder.join(location);
    let plain = Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
    let outside = || wrong(format!("its external data `{location}` is outside the model's folder"));
    if !plain {
        return Err(outside());
    }
    let read = |source| OnnxError::Read { path: path.clone(), source };
    // Symbolic links lead elsewhere, too.
    let (real, home) = (path.canonicalize().map_err(read)?, folder.canonicalize().map_err(read)?);
    if !real.starts_with(home) {
        return Err(outside());
    }
    let mut file = File::open(&real).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or_else(|| size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        let claimed = format!("{length} byte(s) from {offset} on");
        return Err(wrong(format!(
            "its external data {claimed} exceed the {size} of `{location}`"
        )));
    }
    let mut bytes = vec![0; length as usize];
    file.seek(SeekFrom::Start(offset)).map_err(read)?;
    file.read_exact(&mut bytes).map_err(read)?;
    Ok(bytes.into())
}
