//! The gradients of many targets in few walks.
//!
//! A walk back is linear in the cotangent that it starts with, so that of the sum of two scores finds
//! `G = G₁ + G₂` at each node. The *cone* of a target are the cells of a node that its pixels can
//! depend on; outside of it `G_k` is zero. Where two cones do not meet, therefore,
//!
//! ```text
//! G_k = G in the cone of k, 0 elsewhere
//! ```
//!
//! and on the way nothing but zeros was added to what ends there: all that a value reads belongs to
//! every cone that the value belongs to, so cones that have met do not part again.
//!
//! A cone is held as the box around it. Windows are the same in every direction, so along each axis an
//! output pixel depends on an interval of the node's cells, and a set of pixels on the hull of theirs.
//! If an operation reads everything (attention, a mean over the image), the interval is the whole axis,
//! and any two boxes meet.
//!
//! Which targets share a walk is a colouring: targets are vertices, an edge joins two whose boxes meet
//! at any of the nodes, and those of one colour walk together. Each takes the first colour that is free.
//!
//! In host memory a walk costs what its cones have of the image, see [`Cotangent`](crate::cotangent): then
//! targets walk by themselves if their cones together are smaller than the image.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use burn::backend::ir::{OperationIr, TensorId, TensorIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Slice, TensorMetadata};

use crate::cone::{cells, reads};
use crate::cotangent::Region;
use crate::host::{Way, is_on_host};
use crate::ops::{Along, narrow};
use crate::reverse::read;
use crate::{Graph, GraphError, Node, Run, Target};

/// Along one axis, the cells that each place of the output can depend on.
type Intervals = Vec<Range<usize>>;

/// An interval of cells along each axis but that of the channels.
type Cone = Vec<Range<usize>>;

/// A cone at each node.
type Cones = HashMap<TensorId, Cone>;

/// A target, and the nodes at which its gradients are wanted, each once.
pub type Wanted<'a, B = Dispatch> = (Target<B>, Vec<&'a Node>);

impl<B: Backend> Run<B> {
    /// The gradient of each target's score at each of its nodes, `[N, …]`, in as few walks as the
    /// targets' cones allow. Gives the number of walks.
    ///
    /// `chunk` walks are made at a time; more than one needs
    /// [`Network::takes_many`](crate::Network::takes_many). `visit` gets the number of the target, that
    /// of the node among the target's, and the gradient. A node that does not reach the score is not
    /// visited.
    ///
    /// # Errors
    /// Those of `visit`, which end the walks, and [`GraphError::Read`].
    ///
    /// # Panics
    /// As [`reverse`](Self::reverse).
    ///
    /// # Example
    /// ```
    /// # use burn::backend::Dispatch;
    /// # use burn::tensor::{Device, Tensor, activation::relu};
    /// # use segcam_graph::*;
    /// let graph = Graph::capture([1, 1, 1, 2], |x, names| names.name("layer", relu(x)) * 3.0)?;
    /// # let device = Device::flex();
    /// # let network = Network::<Dispatch>::new(graph, device.as_dispatch(), &Constants::default())?;
    /// # let layer = &network.graph().nodes()[0];
    /// # let input = Tensor::<4>::from_floats([[[[1.0, 2.0]]]], &device);
    /// # let run = network.run(input.into_dispatch(), Keep { nodes: &[layer], ..Keep::default() })?;
    /// let pixel = |weights: [f32; 2]| {
    ///     let weights = Tensor::<4>::from_floats([[[weights]]], &device).into_dispatch();
    ///     (Target { channels: vec![(0, 1.0)], weights }, vec![layer])
    /// };
    /// let mut found = vec![];
    /// let walks = run.reverse_each(&[pixel([1.0, 0.0]), pixel([0.0, 1.0])], 1, |_, _, gradient| {
    ///     found.extend(Tensor::<4>::from_dispatch(gradient).into_data().iter::<f32>());
    ///     Ok::<_, GraphError>(())
    /// })?;
    /// assert_eq!((walks, found), (1, vec![3.0, 0.0, 0.0, 3.0]));
    /// # Ok::<(), GraphError>(())
    /// ```
    pub fn reverse_each<E: From<GraphError>>(
        &self,
        asked: &[Wanted<B>],
        chunk: usize,
        mut visit: impl FnMut(usize, usize, FloatTensor<B>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let together = Together { asked, cones: self.cones(asked)? };
        let mut walks = together.colours();
        if asked.first().is_some_and(|(target, _)| self.takes_parts(target)) {
            walks = walks.into_iter().flat_map(|walk| together.parted(walk)).collect();
        }
        for walks in walks.chunks(chunk) {
            let targets = || walks.iter().flatten().map(|&target| &asked[target]);
            let nodes = distinct(targets().flat_map(|(_, nodes)| nodes));
            let sums: Vec<_> = walks.iter().map(|walk| together.sum(walk)).collect();
            let mut done = Ok(());
            self.reverse_sums(&sums, &nodes, |node, gradients| {
                if done.is_ok() {
                    done = together.hand_out(walks, nodes[node], gradients, &mut visit);
                }
            });
            done?;
        }
        Ok(walks.len())
    }

    /// The cone of each target at each node that any is asked at; none if all of them meet anyway.
    fn cones(&self, asked: &[Wanted<B>]) -> Result<Vec<Cones>, GraphError> {
        let nodes = distinct(asked.iter().flat_map(|(_, nodes)| nodes));
        let reached = match asked.len() {
            0 | 1 => return Ok(vec![]),
            _ => self.network.graph.intervals(&nodes),
        };
        if !reached.values().all(|axes| axes.iter().any(can_part)) {
            return Ok(vec![]);
        }
        let of_pixels = |pixels: &Cone| {
            let cone = |axes: &Vec<Intervals>| {
                axes.iter().zip(pixels).map(|(axis, pixels)| hull(&axis[pixels.clone()])).collect()
            };
            reached.iter().map(|(id, axes)| (*id, cone(axes))).collect()
        };
        let targets = asked.iter().map(|(target, _)| target);
        Ok(extents::<B>(targets)?.iter().map(of_pixels).collect())
    }

    /// Whether a walk takes a region of the cotangents back for less than the whole.
    fn takes_parts(&self, target: &Target<B>) -> bool {
        let precision = self.network.weights.convolutions().precision(Way::Back);
        precision.is_some() && is_on_host::<B>(&target.weights)
    }

    /// The pixels that the targets are about, if a walk of them alone is worth it.
    pub(crate) fn small_region(&self, targets: &[Target<B>]) -> Option<Region> {
        let first = targets.first().filter(|target| self.takes_parts(target))?;
        let pixels = extents::<B>(targets.iter()).ok()?;
        let sides = &first.weights.shape()[2..];
        let along = |axis: usize| {
            // The first axis is that of the images.
            let of_target = |pixels: &Cone| pixels[axis + 1].clone();
            hull(&pixels.iter().map(of_target).collect::<Vec<_>>())
        };
        let region: Region = (0..sides.len()).map(along).collect();
        let part = share(&region, sides);
        (0.0 < part && part <= LARGEST_PART).then_some(region)
    }
}

/// Of the image, where a walk of a region has gained nothing yet against one of the whole.
const LARGEST_PART: f64 = 0.5;

/// How much of a value of these sides a region is.
fn share(region: &[Range<usize>], sides: &[usize]) -> f64 {
    region.iter().zip(sides).map(|(range, side)| range.len() as f64 / *side as f64).product()
}

/// What is asked, and which of it can be walked together.
struct Together<'a, B: Backend> {
    asked: &'a [Wanted<'a, B>],
    cones: Vec<Cones>,
}

impl<B: Backend> Together<'_, B> {
    /// The targets of each walk.
    fn colours(&self) -> Vec<Vec<usize>> {
        let mut walks: Vec<Vec<usize>> = vec![];
        for target in 0..self.asked.len() {
            let free = |walk: &&mut Vec<usize>| walk.iter().all(|other| self.part(*other, target));
            match walks.iter_mut().find(free) {
                Some(walk) => walk.push(target),
                None => walks.push(vec![target]),
            }
        }
        walks
    }

    /// The targets of a walk by themselves, if their cones are smaller than the image all together.
    fn parted(&self, walk: Vec<usize>) -> Vec<Vec<usize>> {
        let largest = |target: &usize| {
            let (_, nodes) = &self.asked[*target];
            let cones = self.cones.get(*target)?;
            let share =
                |node: &&Node| Some(share(cones.get(&node.id)?.get(1..)?, &node.shape[2..]));
            nodes.iter().try_fold(0.0, |most, node| Some(share(node)?.max(most)))
        };
        let all: Option<f64> = walk.iter().map(largest).sum();
        match all {
            Some(all) if all < 1.0 => walk.into_iter().map(|target| vec![target]).collect(),
            _ => vec![walk],
        }
    }

    fn part(&self, one: usize, other: usize) -> bool {
        let both = self.cones.get(one).zip(self.cones.get(other));
        both.is_some_and(|(one, other)| one.iter().all(|(id, cone)| !meet(cone, &other[id])))
    }

    /// The sum of the scores of one walk, a target for all that are about the same channels.
    fn sum(&self, walk: &[usize]) -> Vec<Target<B>> {
        let mut sums: Vec<Target<B>> = vec![];
        for target in walk.iter().map(|target| &self.asked[*target].0) {
            match sums.iter_mut().find(|sum| sum.channels == target.channels) {
                Some(sum) => {
                    sum.weights = B::float_add(sum.weights.clone(), target.weights.clone());
                }
                None => sums.push(target.clone()),
            }
        }
        sums
    }

    /// Gives each target of each walk its own part of the gradients at `node`, those of the walks
    /// one after the other along the batch.
    fn hand_out<E>(
        &self,
        walks: &[Vec<usize>],
        node: &Node,
        gradients: FloatTensor<B>,
        visit: &mut impl FnMut(usize, usize, FloatTensor<B>) -> Result<(), E>,
    ) -> Result<(), E> {
        let images = gradients.shape()[0] / walks.len();
        for (row, walk) in walks.iter().enumerate() {
            let sum = narrow::<B>(gradients.clone(), 0, row * images, images);
            for &target in walk {
                let mut wanted = self.asked[target].1.iter();
                let Some(at) = wanted.position(|wanted| wanted.id == node.id) else { continue };
                let own = match walk.len() {
                    1 => sum.clone(),
                    _ => inside::<B>(sum.clone(), &self.cones[target][&node.id]),
                };
                visit(target, at, own)?;
            }
        }
        Ok(())
    }
}

impl Graph {
    /// The cells of each node that each place of the output can depend on, along each axis; no axes if
    /// that is not known.
    fn intervals(&self, nodes: &[&Node]) -> HashMap<TensorId, Vec<Intervals>> {
        let ids = nodes.iter().map(|node| node.id);
        let active = self.descendants(ids.clone());
        let mut found: HashMap<TensorId, Vec<Intervals>> = HashMap::new();
        for operation in self.operations.iter().rev() {
            for out in operation.outputs() {
                if out.id == self.output {
                    let whole =
                        cells(&out.shape).into_iter().map(|length| itself(length).collect());
                    found.insert(out.id, whole.collect());
                }
                let Some(after) = found.get(&out.id).cloned() else { continue };
                for input in operation.inputs().filter(|input| active.contains(&input.id)) {
                    let reached = before(operation, input, out, &after);
                    let all = match found.remove(&input.id) {
                        Some(other) => union(other, reached),
                        None => reached,
                    };
                    found.insert(input.id, all);
                }
            }
        }
        ids.map(|id| (id, found.remove(&id).unwrap_or_default())).collect()
    }
}

/// The cells of `input` that each place of the output depends on through `out`.
fn before(
    operation: &OperationIr,
    input: &TensorIr,
    out: &TensorIr,
    after: &[Intervals],
) -> Vec<Intervals> {
    let (wanted, lengths) = (cells(&input.shape), cells(&out.shape));
    let reads = reads(operation, input, &wanted, &lengths).filter(|_| after.len() == wanted.len());
    let axis = |(axis, reads): (usize, Along)| {
        let read: Intervals = match reads {
            Along::Same => itself(lengths[axis]).collect(),
            Along::All => vec![0..wanted[axis]; lengths[axis]],
            Along::Cells(cells) => (0..lengths[axis])
                .map(|to| {
                    hull(&cells(to).into_iter().map(|cell| cell..cell + 1).collect::<Vec<_>>())
                })
                .collect(),
        };
        after[axis].iter().map(|places| hull(&read[places.clone()])).collect()
    };
    reads.map_or(vec![], |reads| reads.into_iter().enumerate().map(axis).collect())
}

/// Each cell of an axis by itself.
fn itself(length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).map(|cell| cell..cell + 1)
}

/// No axes if either has none.
fn union(a: Vec<Intervals>, b: Vec<Intervals>) -> Vec<Intervals> {
    let both = a.into_iter().zip(b);
    both.map(|(a, b)| a.into_iter().zip(b).map(|(a, b)| hull(&[a, b])).collect()).collect()
}

/// The smallest interval around all; `0..0` if they are empty.
fn hull(intervals: &[Range<usize>]) -> Range<usize> {
    let cells = intervals.iter().filter(|interval| !interval.is_empty());
    let ends = cells.clone().map(|interval| interval.end);
    cells.map(|interval| interval.start).min().unwrap_or(0)..ends.max().unwrap_or(0)
}

/// Whether some places of the output depend on other cells than some others.
fn can_part(axis: &Intervals) -> bool {
    let cells = axis.iter().filter(|interval| !interval.is_empty());
    cells.clone().map(|interval| interval.end).min() <= cells.map(|interval| interval.start).max()
}

fn meet(one: &Cone, other: &Cone) -> bool {
    one.iter().zip(other).all(|(one, other)| one.start < other.end && other.start < one.end)
}

/// For each target the box around the pixels whose weight is not zero. The device is read once.
fn extents<'a, B: Backend>(
    targets: impl Iterator<Item = &'a Target<B>>,
) -> Result<Vec<Cone>, GraphError> {
    let lines: Vec<Vec<FloatTensor<B>>> =
        targets.map(|target| lines::<B>(&target.weights)).collect();
    let read = read::<B>(B::float_cat(lines.iter().flatten().cloned().collect(), 0))?;
    let read: Vec<f64> = read.iter().collect();
    let mut read = read.into_iter();
    let mut interval = |line: &FloatTensor<B>| {
        let places = itself(line.shape()[0]).zip(&mut read);
        hull(&places.filter(|(_, sum)| *sum != 0.0).map(|(place, _)| place).collect::<Vec<_>>())
    };
    Ok(lines.iter().map(|lines| lines.iter().map(&mut interval).collect()).collect())
}

/// The sums of absolute weights at each place of each axis but the channels.
fn lines<B: Backend>(weights: &FloatTensor<B>) -> Vec<FloatTensor<B>> {
    let (shape, size) = (weights.shape(), B::float_abs(weights.clone()));
    let along = |axis: usize| {
        let others = (0..shape.num_dims()).filter(|dim| *dim != axis && shape[*dim] > 1);
        B::float_reshape(others.fold(size.clone(), B::float_sum_dim), [shape[axis]].into())
    };
    (0..shape.num_dims()).filter(|axis| *axis != 1).map(along).collect()
}

/// The gradient in a cone, and zeros elsewhere.
fn inside<B: Backend>(gradient: FloatTensor<B>, cone: &Cone) -> FloatTensor<B> {
    let zeros = B::float_zeros(gradient.shape(), &gradient.device(), gradient.dtype().into());
    if cone.iter().any(Range::is_empty) {
        return zeros;
    }
    let mut ranges: Vec<Slice> = cone.iter().cloned().map(Slice::from).collect();
    ranges.insert(1, Slice::full());
    B::float_slice_assign(zeros, &ranges, B::float_slice(gradient, &ranges))
}

fn distinct<'a>(nodes: impl Iterator<Item = &'a &'a Node>) -> Vec<&'a Node> {
    let mut seen = HashSet::new();
    nodes.copied().filter(|node| seen.insert(node.id)).collect()
}
