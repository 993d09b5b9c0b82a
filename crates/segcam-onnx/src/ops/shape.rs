use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch as B, Slice};
use burn::tensor::ops::PadMode;

use super::unknown;
use crate::array::{Array, Kind, broadcast};
use crate::value::{
    Call, Result, Value, axes, axis, by_kind, concat, expand, expanded, narrow, permute, reshape,
    side,
};

pub(super) const OPERATORS: &[&str] = &[
    "Concat",
    "ConstantOfShape",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Identity",
    "Pad",
    "Range",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
];

pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let value = match call.node.operator.as_str() {
        "Identity" => call.value(0)?,
        "Dropout" => return dropout(call),
        "Shape" => shape(call)?,
        "Size" => {
            let count: usize = call.value(0)?.shape().iter().product();
            Array::scalar(Kind::Int, count as f64).into()
        }
        "Reshape" => reshape(call.value(0)?, &target(call)?)?,
        "Flatten" => flatten(call)?,
        "Squeeze" => squeeze(call)?,
        "Unsqueeze" => unsqueeze(call)?,
        "Transpose" => transpose(call)?,
        "Expand" => {
            let wanted = call.known_ints(1)?.into_iter().map(side).collect::<Result<Vec<_>>>()?;
            let value = call.value(0)?;
            let shape = broadcast(&value.shape(), &wanted)?;
            expand(call, value, &shape)?
        }
        "Tile" => tile(call)?,
        "Concat" => {
            let parts = call.values()?;
            let at = axis(call.int("axis", 0), parts[0].rank())?;
            concat(call, parts, at)?
        }
        "Split" => return split(call),
        "Slice" => slice(call)?,
        "Pad" => pad(call)?,
        "ConstantOfShape" => constant_of_shape(call)?,
        "Range" => range(call)?,
        "DepthToSpace" => depth_to_space(call)?,
        "SpaceToDepth" => space_to_depth(call)?,
        "Trilu" => triangle(call)?,
        _ => return Err(unknown(call)),
    };
    Ok(vec![value])
}

/// Drops nothing: the network is not being trained.
fn dropout(call: &Call) -> Result<Vec<Value>> {
    let value = call.value(0)?;
    if call.has(2) && call.known(2)?.single() != Some(0.0) {
        return Err("it is in training mode: export the network in evaluation mode".into());
    }
    let mask = Array::scalar(Kind::Bool, 1.0).expand(&value.shape())?;
    Ok(vec![value, mask.into()])
}

fn shape(call: &Call) -> Result<Value> {
    let shape = call.value(0)?.shape();
    let rank = shape.len() as i64;
    let bound = |name, default| {
        let given = call.int(name, default);
        (if given < 0 { given + rank } else { given }).clamp(0, rank) as usize
    };
    let (start, end) = (bound("start", 0), bound("end", rank));
    Ok(Array::ints(shape[start..end.max(start)].iter().map(|&side| side as i64)).into())
}

/// The shape that Reshape asks for: 0 keeps a side, −1 is what remains.
fn target(call: &Call) -> Result<Vec<usize>> {
    let given = call.value(0)?.shape();
    let wanted = call.known_ints(1)?;
    let keep = call.int("allowzero", 0) == 0;
    let refused = || format!("shape {given:?} cannot become {wanted:?}");
    let mut open = None;
    let mut target = vec![];
    for (at, &side) in wanted.iter().enumerate() {
        target.push(match side {
            0 if keep => *given.get(at).ok_or_else(refused)?,
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            side => usize::try_from(side).map_err(|_| refused())?,
        });
    }
    if let Some(at) = open {
        let rest = target.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        let rest = rest.filter(|&rest| rest > 0).ok_or_else(refused)?;
        target[at] = given.iter().product::<usize>() / rest;
    }
    Ok(target)
}

fn flatten(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let rank = shape.len() as i64;
    let given = call.int("axis", 1);
    let at = if given < 0 { given + rank } else { given };
    let at = usize::try_from(at).ok().filter(|&at| at <= shape.len());
    let at =
        at.ok_or_else(|| format!("axis {given} does not exist: there are {rank} dimensions"))?;
    reshape(value, &[shape[..at].iter().product(), shape[at..].iter().product()])
}

fn squeeze(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let drop = match call.ints_or_input("axes", 1)? {
        Some(given) => axes(&given, shape.len())?,
        None => (0..shape.len()).filter(|&at| shape[at] == 1).collect(),
    };
    if let Some(&long) = drop.iter().find(|&&at| shape[at] != 1) {
        return Err(format!("axis {long} of shape {shape:?} has not length one"));
    }
    let kept: Vec<usize> =
        (0..shape.len()).filter(|at| !drop.contains(at)).map(|at| shape[at]).collect();
    reshape(value, &kept)
}

fn unsqueeze(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let given = call.ints_or_input("axes", 1)?.ok_or("it has no axes")?;
    let rank = value.rank() + given.len();
    let new = axes(&given, rank)?;
    let mut old = value.shape().into_iter();
    let shape: Option<Vec<usize>> =
        (0..rank).map(|at| if new.contains(&at) { Some(1) } else { old.next() }).collect();
    reshape(value, &shape.ok_or_else(|| format!("axes {given:?} repeat"))?)
}

fn transpose(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let rank = value.rank();
    let order = match call.ints("perm") {
        Some(given) => axes(&given, rank)?,
        None => (0..rank).rev().collect(),
    };
    let all = (0..rank).all(|at| order.contains(&at));
    if !all || order.len() != rank {
        return Err(format!("perm {order:?} is no order of {rank} dimensions"));
    }
    Ok(permute(value, &order))
}

fn tile(call: &Call) -> Result<Value> {
    let mut value = call.value(0)?;
    let times = call.known_ints(1)?.into_iter().map(side).collect::<Result<Vec<_>>>()?;
    let shape = value.shape();
    if times.len() != shape.len() {
        return Err(format!("repeats {times:?} do not fit shape {shape:?}"));
    }
    let tiled: Vec<usize> = shape.iter().zip(&times).map(|(a, b)| a.saturating_mul(*b)).collect();
    call.expect_size(&tiled)?;
    for (at, &times) in times.iter().enumerate() {
        value = match times {
            1 => value,
            0 => narrow(value, at, 0, 0),
            _ => concat(call, vec![value; times], at)?,
        };
    }
    Ok(value)
}

fn split(call: &Call) -> Result<Vec<Value>> {
    let value = call.value(0)?;
    let at = axis(call.int("axis", 0), value.rank())?;
    let length = value.shape()[at];
    let parts = call.node.outputs.len();
    let sizes = match call.ints_or_input("split", 1)? {
        Some(given) => given.into_iter().map(side).collect::<Result<Vec<_>>>()?,
        // Equal parts; the last one may be shorter.
        None => {
            let size = length.div_ceil(parts.max(1));
            (0..parts).map(|part| size.min(length.saturating_sub(part * size))).collect()
        }
    };
    if sizes.len() != parts || sizes.iter().sum::<usize>() != length {
        return Err(format!("parts {sizes:?} do not fit {length} cells and {parts} outputs"));
    }
    let mut start = 0;
    Ok(sizes
        .into_iter()
        .map(|size| {
            start += size;
            narrow(value.clone(), at, start - size, size)
        })
        .collect())
}

fn slice(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let part = |name: &str, at| -> Result<Vec<i64>> {
        call.ints_or_input(name, at)?.ok_or_else(|| format!("it has no {name}"))
    };
    let (starts, ends) = (part("starts", 1)?, part("ends", 2)?);
    let over = match call.ints_or_input("axes", 3)? {
        Some(given) => axes(&given, shape.len())?,
        None => (0..starts.len().min(shape.len())).collect(),
    };
    let steps = if call.has(4) { call.known_ints(4)? } else { vec![1; starts.len()] };
    if [ends.len(), over.len(), steps.len()] != [starts.len(); 3] || steps.contains(&0) {
        return Err("starts, ends, axes and steps do not fit".into());
    }
    let mut value = value;
    for (at, &axis) in over.iter().enumerate() {
        let length = shape[axis] as i64;
        let (step, backwards) = (steps[at], steps[at] < 0);
        let place = |given: i64| if given < 0 { given.saturating_add(length) } else { given };
        let (low, high) = if backwards { (-1, length - 1) } else { (0, length) };
        let start = place(starts[at]).clamp(low.max(0), high);
        let end = place(ends[at]).clamp(low, high);
        if !backwards && step == 1 {
            value = narrow(value, axis, start as usize, (end - start).max(0) as usize);
            continue;
        }
        let mut cells = vec![];
        let mut cell = start;
        while (!backwards && cell < end) || (backwards && cell > end) {
            cells.push(cell as usize);
            cell = cell.saturating_add(step);
        }
        value = match value {
            // Forward steps are burn's own slices.
            Value::Computed(tensor) if !backwards => {
                let mut ranges = vec![Slice::full(); shape.len()];
                ranges[axis] = Slice::new(start as isize, Some(end as isize), step as isize);
                let ranges = &ranges;
                by_kind!(tensor, B::float_slice, B::int_slice, B::bool_slice, ranges).into()
            }
            other => crate::value::select(call, other, axis, &cells),
        };
    }
    Ok(value)
}

fn pad(call: &Call) -> Result<Value> {
    let mut value = call.value(0)?;
    let shape = value.shape();
    let given = call.ints_or_input("pads", 1)?.ok_or("it has no pads")?;
    let fill = match (call.has(2), call.node.opset < 11) {
        (true, _) => call.known(2)?.single().unwrap_or_default(),
        (false, true) => call.float("value", 0.0),
        (false, false) => 0.0,
    };
    let over = if call.has(3) {
        axes(&call.known_ints(3)?, shape.len())?
    } else {
        (0..shape.len()).collect()
    };
    if given.len() != 2 * over.len() {
        return Err(format!("pads {given:?} do not fit shape {shape:?}"));
    }
    let mut pads = vec![(0usize, 0usize); shape.len()];
    let mut padded = shape.clone();
    for (number, &at) in over.iter().enumerate() {
        let (begin, end) = (given[number], given[number + over.len()]);
        // Negative padding cuts off.
        let cut = |pad: i64| pad.min(0).unsigned_abs() as usize;
        let kept = shape[at].checked_sub(cut(begin).saturating_add(cut(end)));
        let kept = kept.ok_or_else(|| format!("pads {given:?} leave nothing of {shape:?}"))?;
        value = narrow(value, at, cut(begin), kept);
        pads[at] = (begin.max(0) as usize, end.max(0) as usize);
        padded[at] = kept.saturating_add(pads[at].0).saturating_add(pads[at].1);
    }
    call.expect_size(&padded)?;
    let mode = match call.text("mode", "constant").as_str() {
        "constant" => PadMode::Constant(fill as f32),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        other => return Err(format!("mode {other} is not supported")),
    };
    let sides = value.shape();
    let too_far = |(side, pads): (&usize, &(usize, usize))| *side <= pads.0.max(pads.1);
    if mode == PadMode::Reflect && sides.iter().zip(&pads).any(too_far) {
        return Err(format!("pads {given:?} reflect more than shape {sides:?} has"));
    }
    if pads.iter().all(|&pads| pads == (0, 0)) {
        return Ok(value);
    }
    match call.upload(value) {
        tensor if crate::value::kind(&tensor) == Kind::Float => {
            Ok(B::float_pad(tensor, &pads, mode).into())
        }
        _ => Err("only real numbers can be padded".into()),
    }
}

fn constant_of_shape(call: &Call) -> Result<Value> {
    let shape = call.known_ints(0)?.into_iter().map(side).collect::<Result<Vec<_>>>()?;
    call.expect_size(&shape)?;
    let value = match call.node.attributes.get("value").and_then(|value| value.t.as_ref()) {
        None => Array::scalar(Kind::Float, 0.0),
        Some(tensor) => match crate::tensor_file::read(tensor, None) {
            Ok(crate::tensor_file::Stored::Known(array)) => array,
            Ok(_) => return Err("its value must be one number".into()),
            Err(error) => return Err(error.to_string()),
        },
    };
    let number = value.single().ok_or("its value must be one number")?;
    Array::scalar(value.kind, number).expand(&shape).map(Value::from)
}

fn range(call: &Call) -> Result<Value> {
    let (start, limit, step) = (call.known(0)?, call.known(1)?, call.known(2)?);
    let kind = start.kind;
    let one = |array: Array| array.single().ok_or("start, limit and delta must be single numbers");
    let (start, limit, step) = (one(start)?, one(limit)?, one(step)?);
    let count = ((limit - start) / step).ceil().max(0.0);
    if !count.is_finite() {
        return Err(format!("no range goes from {start} to {limit} by {step}"));
    }
    call.expect_size(&[count as usize])?;
    let values: Vec<f64> = (0..count as usize).map(|at| start + at as f64 * step).collect();
    Array::from_vec(kind, &[values.len()], values).map(Value::from)
}

fn block(call: &Call, shape: &[usize]) -> Result<usize> {
    let size = call.int("blocksize", 0);
    let size = usize::try_from(size).ok().filter(|&size| size > 0 && shape.len() == 4);
    size.ok_or_else(|| format!("blocksize must be positive, and {shape:?} an image's shape"))
}

fn depth_to_space(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let size = block(call, &shape)?;
    let &[n, c, h, w] = &shape[..] else { return Err("an image is wanted".into()) };
    let depth = c / (size * size);
    if depth * size * size != c {
        return Err(format!("{c} channels are no multiple of {}", size * size));
    }
    let crd = call.text("mode", "DCR") == "CRD";
    let (split, order) = if crd {
        ([n, depth, size, size, h, w], [0, 1, 4, 2, 5, 3])
    } else {
        ([n, size, size, depth, h, w], [0, 3, 4, 1, 5, 2])
    };
    reshape(permute(reshape(value, &split)?, &order), &[n, depth, h * size, w * size])
}

fn space_to_depth(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let size = block(call, &shape)?;
    let &[n, c, h, w] = &shape[..] else { return Err("an image is wanted".into()) };
    if h % size != 0 || w % size != 0 {
        return Err(format!("sides {h} and {w} are no multiples of {size}"));
    }
    let split = reshape(value, &[n, c, h / size, size, w / size, size])?;
    let order = permute(split, &[0, 3, 5, 1, 2, 4]);
    reshape(order, &[n, c * size * size, h / size, w / size])
}

/// The upper or lower triangle of matrices.
fn triangle(call: &Call) -> Result<Value> {
    let value = call.value(0)?;
    let shape = value.shape();
    let &[.., rows, columns] = &shape[..] else { return Err("a matrix is wanted".into()) };
    let upper = call.int("upper", 1) != 0;
    let offset = if call.has(1) { call.known(1)?.single().unwrap_or_default() } else { 0.0 };
    let cut = |row: usize, column: usize| {
        let far = column as f64 - row as f64 - offset;
        f64::from(if upper { far < 0.0 } else { far > 0.0 })
    };
    let cut = (0..rows).flat_map(|row| (0..columns).map(move |column| cut(row, column)));
    let cut = Array::from_vec(Kind::Bool, &[rows, columns], cut.collect())?;
    // Chosen, not multiplied by 0: attention masks are made of −∞.
    match value {
        Value::Known(array) => {
            let chosen = |value, cut| if cut == 0.0 { value } else { 0.0 };
            Ok(array.zip(&cut, array.kind, &shape, chosen)?.into())
        }
        Value::Computed(_) => {
            let cut = expanded(call.upload(cut.into()), &shape);
            Ok(B::float_mask_fill(call.tensor(0)?, cut, 0.0.into()).into())
        }
    }
}
