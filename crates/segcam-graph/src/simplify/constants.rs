use crate::env::Env;
use crate::{GraphError, Network};
use burn::backend::Backend;

/// Computes the operations whose inputs are all constant.
pub(crate) fn fold_constants<B: Backend>(network: &mut Network<B>) -> Result<(), GraphError> {
    let mut rest = vec![];
    for operation in std::mem::take(&mut network.graph.operations) {
        // What follows a named value is its own affair: the value may be asked about.
        let graph = &network.graph;
        let known = |id| network.constants.contains_key(&id) && !graph.is_named(id);
        let random = crate::graph::kind(&operation).contains("random");
        if random || !operation.inputs().all(|tensor| known(tensor.id)) {
            rest.push(operation);
            continue;
        }
        let mut env = Env::new(&network.device, &network.constants, &network.turned);
        env.run(0, &operation)?;
        let computed = env.values;
        network.constants.extend(computed);
    }
    network.graph.operations = rest;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Constants, Graph};
    use burn::backend::Dispatch;
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
