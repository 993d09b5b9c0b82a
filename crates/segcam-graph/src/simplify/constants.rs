use crate::Graph;
use crate::constants::Pending;
use crate::ops;

use burn::backend::Dispatch;

/// Takes the operations whose inputs are all constant out of the program.
pub(crate) fn fold_constants(graph: &mut Graph, pending: &mut Pending) {
    for operation in std::mem::take(&mut graph.operations) {
        // What follows a named value is its own affair: the value may be asked about.
        let fixed = |id| pending.contains(id) && !graph.is_named(id);
        // Random numbers have no rule.
        let computable = ops::rule_of::<Dispatch>(&operation).is_some();
        if computable && operation.inputs().all(|tensor| fixed(tensor.id)) {
            pending.compute_later(operation);
        } else {
            graph.operations.push(operation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Constants, Network};
    use burn::tensor::{Device, Tensor};

    #[test]
    fn what_does_not_depend_on_the_input_is_computed_once() {
        let graph = Graph::capture([1, 1, 2, 2], |x, _| {
            let grid = Tensor::<4>::ones([1, 1, 2, 2], &x.device()) * 3.0;
            x + grid.exp()
        })
        .expect("works");
        assert_eq!(graph.len(), 4);
        let device = Device::flex();
        let network = Network::<Dispatch>::new(graph, device.as_dispatch(), &Constants::default())
            .expect("works");
        assert_eq!(network.graph().len(), 1);
        let x = Tensor::<4>::zeros([1, 1, 2, 2], &device).into_dispatch();
        let y =
            Tensor::<4>::from_dispatch(network.run(x, Default::default()).expect("works").output());
        let y: Vec<f32> = y.into_data().iter::<f32>().collect();
        assert!(y.iter().all(|y| (y - 3f32.exp()).abs() < 1e-5), "{y:?}");
    }
}
