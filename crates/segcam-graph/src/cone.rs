use std::collections::{HashMap, HashSet};

use burn::backend::ir::{OperationIr, TensorId, TensorIr};
use burn::backend::{Backend, Dispatch};

use crate::graph::Node;
use crate::ops::{self, Along};
use crate::{Graph, Network};

/// The cells of a value that something depends on.
#[derive(Debug, Clone)]
enum Cells {
    /// All of them, as far as is known.
    All,
    /// `[N, …]`: images and space, in row-major order. Channels are not told apart.
    Some(Vec<bool>, Vec<usize>),
}

impl Graph {
    /// The cells of `node` that the output's cells in `mask` can depend on, whatever the input's
    /// values are; `true` where they can. What is not known to be impossible counts as possible.
    ///
    /// `mask` has one entry for each image and pixel of the output, the result one for each image
    /// and cell of the node, both in row-major order.
    pub fn cone(&self, mask: &[bool], node: &Node) -> Vec<bool> {
        let shapes: HashMap<TensorId, Vec<usize>> = self
            .operations
            .iter()
            .flat_map(OperationIr::nodes)
            .map(|tensor| (tensor.id, cells(&tensor.shape)))
            .collect();
        let count: usize = cells(&node.shape).iter().product();
        let Some(output) = shapes.get(&self.output) else { return mask.to_vec() };
        let mut found = HashMap::from([(self.output, Cells::Some(mask.to_vec(), output.clone()))]);
        for operation in self.operations.iter().rev() {
            // The node itself is where the walk ends.
            let outs = operation.outputs().filter(|out| out.id != node.id);
            let outs: Vec<Cells> = outs.filter_map(|out| found.remove(&out.id)).collect();
            let Some(cells) = outs.into_iter().reduce(union) else { continue };
            for input in operation.inputs().filter(|input| !self.constants.contains_key(&input.id))
            {
                let reached = before(operation, input, &cells);
                let all = match found.remove(&input.id) {
                    Some(other) => union(other, reached),
                    None => reached,
                };
                found.insert(input.id, all);
            }
        }
        match found.remove(&node.id) {
            Some(Cells::Some(cells, _)) => cells,
            Some(Cells::All) => vec![true; count],
            None => vec![false; count],
        }
    }
}

impl<B: Backend> Network<B> {
    /// Whether several cotangents can lie along the batch: there is one image, and no operation
    /// mixes what belongs to different images.
    pub fn takes_many(&self) -> bool {
        self.images() == Some(1) && self.keeps_images_apart()
    }

    /// Whether what becomes of an image is the same whatever other images there are.
    pub fn keeps_images_apart(&self) -> bool {
        let Some(images) = self.images() else { return true };
        let of_image: HashSet<TensorId> = self.graph.descendants([self.graph.input]);
        self.graph.operations.iter().all(|operation| {
            let of_image = |tensor: &&TensorIr| of_image.contains(&tensor.id);
            let mut values = operation.nodes().into_iter().filter(of_image);
            let rule = ops::rule_of::<B>(operation);
            let apart = |input| {
                let along = rule.as_ref().map(|rule| (rule.reads)(input, 0));
                matches!(along, Some(Along::Same))
            };
            values.all(|tensor| tensor.shape.num_dims() > 1 && tensor.shape[0] == images)
                && operation.inputs().filter(of_image).all(apart)
        })
    }

    /// How many images the input has; `None` if nothing reads it.
    fn images(&self) -> Option<usize> {
        let mut read = self.graph.operations.iter().flat_map(OperationIr::inputs);
        read.find(|tensor| tensor.id == self.graph.input).map(|input| input.shape[0])
    }
}

/// The shape without its channels.
pub(crate) fn cells(shape: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().filter(|(dim, _)| *dim != 1).map(|(_, side)| *side).collect()
}

fn union(a: Cells, b: Cells) -> Cells {
    match (a, b) {
        (Cells::Some(mut a, shape), Cells::Some(b, other)) if shape == other => {
            a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
            Cells::Some(a, shape)
        }
        _ => Cells::All,
    }
}

/// The cells of `input` that an operation's output cells depend on.
fn before(operation: &OperationIr, input: &TensorIr, out: &Cells) -> Cells {
    let Cells::Some(mask, shape) = out else { return Cells::All };
    let wanted = cells(&input.shape);
    let Some(reads) = reads(operation, input, &wanted, shape) else { return Cells::All };
    // Windows are the same in every direction, so that one axis after the other is exact.
    let (mut mask, mut shape) = (mask.clone(), shape.clone());
    for (axis, reads) in reads.into_iter().enumerate() {
        let length = wanted[axis];
        mask = match reads {
            Along::Same => continue,
            Along::All => along(&mask, &shape, axis, length, |_| 0..length),
            Along::Cells(cells) => along(&mask, &shape, axis, length, cells),
        };
        shape[axis] = length;
    }
    Cells::Some(mask, shape)
}

/// What an operation's output cells read of an input along each axis of its [`cells`]; `None` if that
/// is everything, as far as is known. [`Along::Same`] stands for axes of one length only.
pub(crate) fn reads(
    operation: &OperationIr,
    input: &TensorIr,
    wanted: &[usize],
    out: &[usize],
) -> Option<Vec<Along>> {
    // What an operation reads is the same on every backend.
    let rule = ops::rule_of::<Dispatch>(operation).filter(|_| wanted.len() == out.len())?;
    let along = |axis: usize| {
        let dim = if axis == 0 { 0 } else { axis + 1 };
        match (rule.reads)(input, dim) {
            Along::Same if wanted[axis] == out[axis] => Some(Along::Same),
            Along::Same if wanted[axis] > 1 => None,
            Along::Same => Some(Along::All),
            other => Some(other),
        }
    };
    (0..wanted.len()).map(along).collect()
}

fn along<C: IntoIterator<Item = usize>>(
    mask: &[bool],
    shape: &[usize],
    axis: usize,
    length: usize,
    cells: impl Fn(usize) -> C,
) -> Vec<bool> {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut reached = vec![false; outer * length * inner];
    for to in 0..shape[axis] {
        for from in cells(to) {
            for block in 0..outer {
                let source = &mask[(block * shape[axis] + to) * inner..][..inner];
                let place = &mut reached[(block * length + from) * inner..][..inner];
                place.iter_mut().zip(source).for_each(|(place, source)| *place |= source);
            }
        }
    }
    reached
}
