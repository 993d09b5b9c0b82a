use std::collections::{HashMap, HashSet};

use burn::backend::ir::TensorId;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, read_sync};
use burn::tensor::TensorData;

use crate::cotangent::Cotangent;
use crate::env::{Head, Step};
use crate::graph::Node;
use crate::{GraphError, Run, guarded};

/// A score to differentiate: `Σ_p w_p · Σ_(c,v) v·y^c_p` over the output's pixels `p`.
#[derive(Debug, Clone)]
pub struct Target<B: Backend = Dispatch> {
    /// The output's channels `c` that the score is about, each with its coefficient `v`. Those of a
    /// channel that stands here twice add up.
    pub channels: Vec<(usize, f64)>,
    /// `w`: `[N, 1, …]` at the size of the output.
    pub weights: FloatTensor<B>,
}

/// Where a score comes from when the network is cut at one node: the node itself, every value that
/// goes past it, and the constants after it. In a network that is piecewise linear after the cut
/// (ReLU, max pooling, fixed BatchNorm, linear interpolation) they add up to the score.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Shares {
    /// `Σ A·∂s/∂A` at the node.
    pub node: f64,
    /// `Σ A·∂s/∂A` of each value that goes past the node, by its name.
    pub bypasses: Vec<(String, f64)>,
    /// `Σ b·∂s/∂b` over biases and added constants.
    pub bias: f64,
}

impl Shares {
    /// The sum of all shares.
    pub fn total(&self) -> f64 {
        self.node + self.bypasses.iter().map(|(_, share)| share).sum::<f64>() + self.bias
    }
}

impl<B: Backend> Run<B> {
    /// The gradients of each target's score at each of `nodes`, in one walk.
    ///
    /// `visit` gets the number of the node and its gradient `[K·N, …]`: those of the K targets lie
    /// one after the other along the batch. A node that does not reach the score is not visited.
    /// More than one target needs [`Network::takes_many`](crate::Network::takes_many).
    ///
    /// # Panics
    /// Without targets, and if a channel or the shape of weights does not fit the output, or a node
    /// was not among those to keep.
    pub fn reverse(
        &self,
        targets: &[Target<B>],
        nodes: &[&Node],
        visit: impl FnMut(usize, FloatTensor<B>),
    ) {
        let alone: Vec<_> = targets.iter().map(|target| vec![target.clone()]).collect();
        self.reverse_sums(&alone, nodes, visit);
    }

    /// The same for K sums of scores.
    pub(crate) fn reverse_sums(
        &self,
        sums: &[Vec<Target<B>>],
        nodes: &[&Node],
        mut visit: impl FnMut(usize, FloatTensor<B>),
    ) {
        let wanted: Vec<TensorId> = nodes.iter().map(|node| node.id).collect();
        let mut give = |id: TensorId, cotangent: &Cotangent<B>| {
            for (at, _) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted == id) {
                visit(at, cotangent.clone().into_whole());
            }
        };
        let active = self.network.graph.descendants(wanted.iter().copied());
        let start = self.start(sums, &wanted);
        self.walk(start, sums.len(), &active, |step, cotangent| give(step, cotangent));
    }

    /// The shares of one target's score when the network is cut at `node`: any of those that the
    /// forward pass was told to [keep](crate::Keep) shares of.
    ///
    /// # Errors
    /// [`GraphError::NotKept`], [`GraphError::Read`].
    ///
    /// # Panics
    /// If a channel or the shape of the weights does not fit the output.
    pub fn shares(&self, target: &Target<B>, node: &Node) -> Result<Shares, GraphError> {
        let Some(inside) = self.values.get(&node.id).filter(|_| self.certified) else {
            return Err(GraphError::NotKept { name: node.name.clone() });
        };
        let graph = &self.network.graph;
        let active = graph.descendants([node.id]);
        let region = self.small_region(std::slice::from_ref(target));
        let cotangent = Cotangent::cut(target.weights.clone(), region.as_ref());
        let cotangent = self.all_channels(cotangent, &target.channels);
        let mut cotangents = HashMap::from([(graph.output, cotangent)]);
        let mut bias = 0.0;
        let mut past: HashMap<TensorId, f64> = HashMap::new();
        let after = |step: &&Step<B>| active.contains(&step.out) && step.out != node.id;
        for step in self.steps.iter().filter(after).rev() {
            let Some(cotangent) = cotangents.remove(&step.out) else { continue };
            if let Some(constant) = &step.constant {
                bias += product::<B>(&cotangent, constant.clone())?;
            }
            for (input, back) in &step.paths {
                let share = back(cotangent.clone(), 1);
                if active.contains(input) {
                    add(&mut cotangents, *input, share);
                } else if let Some(value) = self.values.get(input) {
                    *past.entry(*input).or_default() += product::<B>(&share, value.clone())?;
                }
            }
        }
        let inside = match cotangents.remove(&node.id) {
            Some(gradient) => product::<B>(&gradient, inside.clone())?,
            None => 0.0,
        };
        let mut bypasses: Vec<_> =
            past.into_iter().map(|(id, share)| (graph.name(id), share)).collect();
        bypasses.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Shares { node: inside, bypasses, bias })
    }

    fn step(&self, out: TensorId) -> Option<&Step<B>> {
        self.steps.iter().rev().find(|step| step.out == out)
    }

    /// The first cotangent and the value it belongs to. As long as the network's last operations
    /// have a shortcut for scores of few channels, it is taken.
    pub(crate) fn start(
        &self,
        sums: &[Vec<Target<B>>],
        wanted: &[TensorId],
    ) -> (TensorId, Cotangent<B>) {
        let (mut heads, mut id): (Vec<&Head<B>>, _) = (vec![], self.network.graph.output);
        while !wanted.contains(&id)
            && !matches!(heads.last(), Some(Head::Mixed(_)))
            && let Some(step) = self.step(id)
            && let Some(head) = &step.head
        {
            heads.push(head);
            id = step.paths[0].0;
        }
        let region = if let [alone] = sums { self.small_region(alone) } else { None };
        let cotangent = |target: &Target<B>| {
            let mut cotangent = Cotangent::cut(target.weights.clone(), region.as_ref());
            for head in &heads {
                match head {
                    Head::Channel(back) => cotangent = back(cotangent, 1),
                    Head::Mixed(back) => return back(cotangent, &target.channels),
                }
            }
            self.all_channels(cotangent, &target.channels)
        };
        let rows = sums.iter().filter_map(|sum| sum.iter().map(cotangent).reduce(Cotangent::plus));
        (id, joined(rows.collect()))
    }

    /// `cotangent`, `[N, 1, …]`, times the coefficients of all channels of the output, or of a value that
    /// has those.
    fn all_channels(&self, cotangent: Cotangent<B>, channels: &[(usize, f64)]) -> Cotangent<B> {
        let width = self.output.shape()[1];
        let mut coefficients = vec![0.0; width];
        channels.iter().for_each(|(channel, by)| coefficients[*channel] += by);
        let values = &cotangent.values;
        let mut shape = vec![1; values.shape().num_dims()];
        shape[1] = width;
        let coefficients = TensorData::new(coefficients, shape).convert_dtype(values.dtype());
        let coefficients = B::float_from_data(coefficients, &values.device());
        cotangent.map(|cotangent| B::float_mul(cotangent, coefficients))
    }

    pub(crate) fn walk(
        &self,
        (start, cotangent): (TensorId, Cotangent<B>),
        count: usize,
        active: &HashSet<TensorId>,
        mut visit: impl FnMut(TensorId, &Cotangent<B>),
    ) {
        let mut cotangents = HashMap::from([(start, cotangent)]);
        for step in self.steps.iter().rev() {
            let Some(cotangent) = cotangents.remove(&step.out) else { continue };
            visit(step.out, &cotangent);
            let mut paths = step.paths.iter().filter(|(id, _)| active.contains(id)).peekable();
            let mut cotangent = Some(cotangent);
            while let Some((input, back)) = paths.next() {
                // The last path may change the cotangent in place.
                let last = paths.peek().is_none();
                let given = if last { cotangent.take() } else { cotangent.clone() };
                if let Some(given) = given {
                    add(&mut cotangents, *input, back(given, count));
                }
            }
        }
        for (id, cotangent) in &cotangents {
            visit(*id, cotangent);
        }
    }
}

fn add<B: Backend>(
    cotangents: &mut HashMap<TensorId, Cotangent<B>>,
    id: TensorId,
    share: Cotangent<B>,
) {
    let sum = match cotangents.remove(&id) {
        Some(before) => before.plus(share),
        None => share,
    };
    cotangents.insert(id, sum);
}

fn joined<B: Backend>(mut rows: Vec<Cotangent<B>>) -> Cotangent<B> {
    if rows.len() == 1 {
        return rows.remove(0);
    }
    Cotangent::whole(B::float_cat(rows.into_iter().map(Cotangent::into_whole).collect(), 0))
}

/// The sum of `a·b`, added up in double precision.
fn product<B: Backend>(a: &Cotangent<B>, b: FloatTensor<B>) -> Result<f64, GraphError> {
    let b = a.part_of(b);
    Ok(read::<B>(B::float_mul(a.values.clone(), b))?.iter::<f64>().sum())
}

pub(crate) fn read<B: Backend>(tensor: FloatTensor<B>) -> Result<TensorData, GraphError> {
    let read = guarded(|| read_sync(B::float_into_data(tensor)));
    let failed = |reason| GraphError::Read { reason };
    read.map_err(failed)?.map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use burn::backend::Dispatch;

    use super::*;
    use crate::Graph;

    /// A device that is lost reads as NaN if nobody asks for the error. Captured values fail alike.
    #[test]
    fn a_read_that_fails_is_an_error() {
        let mut sum = None;
        let graph = Graph::capture([1, 2], |x, _| {
            let a = Cotangent::<Dispatch>::whole(x.clone().into_dispatch());
            sum = Some(product(&a, x.clone().exp().into_dispatch()));
            x * 2.0
        });
        assert!(graph.is_ok(), "{graph:?}");
        assert!(matches!(sum, Some(Err(GraphError::Read { .. }))), "{sum:?}");
    }
}
