use std::collections::HashSet;

use burn::backend::Backend;
use burn::backend::ir::{
    ActivationOperationIr as A, BaseOperationIr as Base, FloatOperationIr as F,
    NumericOperationIr as N, OperationIr, TensorId,
};

use crate::{Graph, Network};

impl<B: Backend> Network<B> {
    /// Whether several cotangents can lie along the batch: there is one image, and no operation
    /// mixes what belongs to different images.
    pub fn takes_many(&self) -> bool {
        takes_many(&self.graph)
    }
}

fn takes_many(graph: &Graph) -> bool {
    let from_input: HashSet<TensorId> = graph.descendants([graph.input]);
    graph.operations.iter().all(|operation| {
        let mut of_image =
            operation.nodes().into_iter().filter(|tensor| from_input.contains(&tensor.id));
        of_image.all(|tensor| tensor.shape.num_dims() > 1 && tensor.shape[0] == 1)
            && keeps_images_apart(operation)
    })
}

fn keeps_images_apart(operation: &OperationIr) -> bool {
    match operation {
        OperationIr::Module(_) => true,
        OperationIr::Activation(A::Softmax(d) | A::LogSoftmax(d)) => d.axis != 0,
        OperationIr::Activation(_) => true,
        OperationIr::Float(_, F::Matmul(d)) => d.out.shape.num_dims() > 2,
        OperationIr::Float(_, _) => true,
        OperationIr::NumericFloat(_, op) => match op {
            N::Sum(_) | N::Mean(_) => false,
            N::SumDim(d) | N::MeanDim(d) | N::MaxDim(d) | N::MinDim(d) => d.axis != 0,
            N::SumDims(d) => !d.axes.contains(&0),
            N::MaxDimWithIndices(d) | N::MinDimWithIndices(d) => d.dim != 0,
            N::Pad(d) => d.padding[0] == (0, 0),
            _ => true,
        },
        OperationIr::BaseFloat(op) => match op {
            Base::SwapDims(d) => d.dim1 != 0 && d.dim2 != 0,
            Base::Permute(d) => d.axes[0] == 0,
            Base::Flip(d) => !d.axes.contains(&0),
            Base::Cat(d) => d.dim != 0,
            Base::Select(d) => d.dim != 0,
            Base::Gather(d) => d.dim != 0,
            Base::RepeatDim(d) => d.dim != 0,
            Base::Expand(d) => d.input.shape.num_dims() == d.out.shape.num_dims(),
            _ => true,
        },
        _ => true,
    }
}
