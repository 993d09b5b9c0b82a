use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch as B, TensorMetadata};

use crate::value::{Call, Result, Tensor, Value, permuted, reshaped};

pub(super) const OPERATORS: &[&str] = &["Einsum"];

/// Sums of products over the indices that the result does not have, for one or two inputs.
pub(super) fn run(call: &Call) -> Result<Vec<Value>> {
    let equation = call.text("equation", "").replace(' ', "");
    let refused = |why: &str| format!("equation `{equation}`: {why}");
    if equation.contains('.') {
        return Err(refused("`...` is not supported"));
    }
    let (left, out) = match equation.split_once("->") {
        Some((left, out)) => (left, out.chars().collect()),
        None => (equation.as_str(), implicit(&equation)),
    };
    let mut terms = vec![];
    for (at, labels) in left.split(',').enumerate() {
        let (labels, tensor) = (labels.chars().collect::<Vec<char>>(), call.tensor(at)?);
        if labels.len() != tensor.shape().num_dims() {
            return Err(refused(&format!(
                "input {at} has {} dimensions",
                tensor.shape().num_dims()
            )));
        }
        let twice = labels.iter().any(|one| labels.iter().filter(|two| *two == one).count() > 1);
        if twice {
            return Err(refused("diagonals are not supported"));
        }
        terms.push((labels, tensor));
    }
    let known = |label| terms.iter().any(|(labels, _)| labels.contains(label));
    if !out.iter().all(known) {
        return Err(refused("the result has an index that no input has"));
    }
    let mut terms = terms.into_iter();
    let (labels, tensor) = match (terms.next(), terms.next(), terms.next()) {
        (Some(one), None, None) => one,
        (Some(one), Some(two), None) => contract(call, one, two, &out)?,
        _ => return Err(refused("one or two inputs are supported")),
    };
    let (labels, tensor) = sum_out(labels, tensor, &out);
    let order: Option<Vec<usize>> =
        out.iter().map(|label| labels.iter().position(|known| known == label)).collect();
    let order = order.ok_or_else(|| refused("an index is lost"))?;
    Ok(vec![permuted(tensor, &order).into()])
}

type Term = (Vec<char>, Tensor);

/// Without an arrow, the result has the indices that occur once, in alphabetical order.
fn implicit(equation: &str) -> Vec<char> {
    let once = |label: &char| equation.chars().filter(|other| other == label).count() == 1;
    let mut out: Vec<char> = equation.chars().filter(|c| c.is_alphabetic()).filter(once).collect();
    out.sort_unstable();
    out
}

/// Sums over the indices that are not wanted.
fn sum_out(labels: Vec<char>, mut tensor: Tensor, wanted: &[char]) -> Term {
    let mut shape = tensor.shape().to_vec();
    for (axis, label) in labels.iter().enumerate() {
        if !wanted.contains(label) {
            tensor = B::float_sum_dim(tensor, axis);
            shape[axis] = 1;
        }
    }
    let kept = |axis: &usize| wanted.contains(&labels[*axis]);
    let axes: Vec<usize> = (0..labels.len()).filter(kept).collect();
    let sides: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    (axes.iter().map(|&axis| labels[axis]).collect(), reshaped(tensor, &sides))
}

/// A batched matrix product: batch indices are in both and in the result, the others are in one
/// input only, or summed over.
fn contract(call: &Call, one: Term, two: Term, out: &[char]) -> Result<Term> {
    let wanted = |other: &[char]| [other, out].concat();
    let (labels_two, labels_one) = (two.0.clone(), one.0.clone());
    let (one, a) = sum_out(one.0, one.1, &wanted(&labels_two));
    let (two, b) = sum_out(two.0, two.1, &wanted(&labels_one));
    let pick = |from: &[char], test: &dyn Fn(&char) -> bool| -> Vec<char> {
        from.iter().copied().filter(|label| test(label)).collect()
    };
    let batch = pick(&one, &|label| two.contains(label) && out.contains(label));
    let inner = pick(&one, &|label| two.contains(label) && !out.contains(label));
    let rows = pick(&one, &|label| !two.contains(label));
    let columns = pick(&two, &|label| !one.contains(label));
    let sides = |labels: &[char], known: &[char], shape: &[usize]| -> Vec<usize> {
        let at = |label| known.iter().position(|other| other == label).unwrap_or_default();
        labels.iter().map(|label| shape[at(label)]).collect()
    };
    let (left, right) = (a.shape().to_vec(), b.shape().to_vec());
    for labels in [&batch, &inner] {
        if sides(labels, &one, &left) != sides(labels, &two, &right) {
            return Err(format!("shapes {left:?} and {right:?} do not fit the equation"));
        }
    }
    let matrices = |tensor, known: &[char], shape: &[usize], order: [&[char]; 3]| {
        let at = |label: &char| known.iter().position(|other| other == label).unwrap_or_default();
        let axes: Vec<usize> = order.concat().iter().map(at).collect();
        let size = |labels: &[char]| sides(labels, known, shape).iter().product::<usize>();
        reshaped(permuted(tensor, &axes), &order.map(size))
    };
    let a = matrices(a, &one, &left, [&batch, &rows, &inner]);
    let b = matrices(b, &two, &right, [&batch, &inner, &columns]);
    let mut shape = sides(&batch, &one, &left);
    shape.extend(sides(&rows, &one, &left));
    shape.extend(sides(&columns, &two, &right));
    call.expect_size(&shape)?;
    Ok(([batch, rows, columns].concat(), reshaped(B::float_matmul(a, b), &shape)))
}
