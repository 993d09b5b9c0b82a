use std::collections::BTreeSet;

use burn::tensor::{Tensor, TensorData};
use segcam_graph::{GraphError, Keep, Node, Shares};

use super::runs::{Kept, Runs, find};
use crate::{CamError, Certifier, Gradients, Pass, SegmentationModel, Target, Wanted};

/// A forward pass of the graph engine, to be walked backwards.
pub(super) struct GraphPass<M, const D: usize> {
    pub(super) runs: Runs<M, D>,
    /// How many targets and versions are computed at a time.
    pub(super) chunk: usize,
}

impl<M: SegmentationModel<D>, const D: usize> Pass<D> for GraphPass<M, D> {
    fn activations(&self, layers: &[&str]) -> Result<Vec<Tensor<D>>, CamError> {
        let kept = self.runs.with(layers, false)?;
        layers.iter().map(|layer| value(&kept, kept.node(layer)?)).collect()
    }

    fn gradients(
        &self,
        wanted: &[Wanted<D>],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        self.walk(wanted, visit).map(|_walks| ())
    }

    fn perturbed(
        &self,
        layer: Option<&str>,
        count: usize,
        change: &mut dyn FnMut(usize) -> Result<Tensor<D>, CamError>,
        visit: &mut dyn FnMut(Tensor<D>) -> Result<(), CamError>,
    ) -> Result<(), CamError> {
        let many = self.chunk.min(count).max(1);
        let together = self.runs.network_of(layer, many)?;
        let (copies, network) = match many == 1 || together.keeps_images_apart() {
            true => (many, together),
            false => (1, self.runs.network_of(layer, 1)?),
        };
        let images = self.runs.input.dims()[0];
        let tail = match layer {
            None => None,
            Some(layer) => {
                let node = find(&network, layer)?;
                let input = self.runs.input.clone().repeat_dim(0, copies);
                let tail = network.tail(node, input.into_dispatch())?;
                Some(tail.ok_or_else(|| CamError::NoPath { layer: layer.to_string() })?)
            }
        };
        for first in (0..count).step_by(copies) {
            // The last chunk is filled up with its own last version.
            let versions = (first..first + copies).map(|version| change(version.min(count - 1)));
            let versions = versions.collect::<Result<Vec<_>, _>>()?;
            let versions = Tensor::cat(versions, 0).into_dispatch();
            let logits = match &tail {
                Some(tail) => tail.run(versions)?,
                None => network.run(versions, Keep::default())?.output(),
            };
            let logits = Tensor::<D>::from_dispatch(logits);
            for version in 0..copies.min(count - first) {
                visit(logits.clone().narrow(0, version * images, images))?;
            }
        }
        Ok(())
    }

    fn certifier(&self) -> Option<&dyn Certifier<D>> {
        Some(self)
    }
}

impl<M: SegmentationModel<D>, const D: usize> GraphPass<M, D> {
    /// The gradients, and how many walks they took.
    pub(super) fn walk(
        &self,
        wanted: &[Wanted<D>],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>) -> Result<(), CamError>,
    ) -> Result<usize, CamError> {
        let layers = every_layer(wanted);
        let kept = match self.runs.with(&layers, false) {
            Err(CamError::Graph(GraphError::Memory { .. })) if layers.len() > 1 => {
                return layers.iter().map(|layer| self.alone(layer, wanted, visit)).sum();
            }
            kept => kept?,
        };
        let asked = |Wanted { target, layers }: &Wanted<D>| {
            let nodes = layers.iter().map(|layer| kept.node(layer));
            Ok((to_graph(target), nodes.collect::<Result<_, CamError>>()?))
        };
        let asked = wanted.iter().map(asked).collect::<Result<Vec<_>, CamError>>()?;
        let chunk = if kept.network().takes_many() { self.chunk } else { 1 };
        kept.run().reverse_each(&asked, chunk, |target, at, gradients| {
            let activations = value(&kept, asked[target].1[at])?;
            visit(
                target,
                at,
                Gradients { activations, gradients: Tensor::from_dispatch(gradients) },
            )
        })
    }

    /// The gradients at one of the layers, where the memory does not suffice for all together.
    fn alone(
        &self,
        layer: &str,
        wanted: &[Wanted<D>],
        visit: &mut dyn FnMut(usize, usize, Gradients<D>) -> Result<(), CamError>,
    ) -> Result<usize, CamError> {
        let places = wanted.iter().enumerate().filter_map(|(target, wanted)| {
            Some((target, wanted.layers.iter().position(|name| *name == layer)?))
        });
        let places: Vec<(usize, usize)> = places.collect();
        let alone = |&(target, _): &(usize, usize)| Wanted {
            target: wanted[target].target.clone(),
            layers: vec![layer],
        };
        let alone: Vec<_> = places.iter().map(alone).collect();
        self.walk(&alone, &mut |at, _, found| visit(places[at].0, places[at].1, found))
    }
}

impl<M: SegmentationModel<D>, const D: usize> Certifier<D> for GraphPass<M, D> {
    fn certify(&self, target: &Target<D>, layer: &str) -> Result<(Shares, Tensor<D>), CamError> {
        let kept = self.runs.with(&[layer], true)?;
        let node = kept.node(layer)?;
        let shares = kept.run().shares(&to_graph(target), node)?;
        let asked = target.weights().clone().not_equal_elem(0.0).into_data();
        let asked: Vec<bool> = asked.iter::<bool>().collect();
        let reached = kept.network().graph().cone(&asked, node);
        let reached: Vec<f32> = reached.into_iter().map(f32::from).collect();
        let mut shape = node.shape.clone();
        shape[1] = 1;
        let reached = TensorData::new(reached, shape);
        Ok((shares, Tensor::from_data(reached, &target.weights().device())))
    }
}

fn every_layer<'a, const D: usize>(wanted: &[Wanted<'a, D>]) -> Vec<&'a str> {
    let layers: BTreeSet<&str> =
        wanted.iter().flat_map(|wanted| wanted.layers.iter().copied()).collect();
    layers.into_iter().collect()
}

fn value<const D: usize>(kept: &Kept, node: &Node) -> Result<Tensor<D>, CamError> {
    let unknown = || GraphError::UnknownValue { name: node.name.clone() };
    Ok(Tensor::from_dispatch(kept.run().value(node).ok_or_else(unknown)?))
}

fn to_graph<const D: usize>(target: &Target<D>) -> segcam_graph::Target {
    let weights = target.weights().clone().into_dispatch();
    segcam_graph::Target { channels: target.classes().to_vec(), weights }
}
