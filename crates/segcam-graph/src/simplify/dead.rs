use std::collections::HashSet;

use burn::backend::ir::TensorId;

use crate::Graph;

/// Drops the operations that lead neither to the output nor to a named value, and their names.
pub(crate) fn drop_dead(graph: &mut Graph) {
    let named = graph.nodes.iter().filter(|node| node.named).map(|node| node.id);
    let mut needed: HashSet<TensorId> = named.chain([graph.output]).collect();
    let mut alive = vec![];
    for operation in graph.operations.drain(..).rev() {
        if operation.outputs().any(|out| needed.contains(&out.id)) {
            needed.extend(operation.inputs().map(|tensor| tensor.id));
            alive.push(operation);
        }
    }
    alive.reverse();
    graph.operations = alive;
    graph.constants.retain(|id, _| needed.contains(id));
    let produced: HashSet<TensorId> = graph
        .operations
        .iter()
        .flat_map(|operation| operation.outputs())
        .map(|out| out.id)
        .collect();
    graph.nodes.retain(|node| node.named || produced.contains(&node.id));
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::activation::relu;

    #[test]
    fn what_nothing_needs_goes_and_named_values_stay() {
        let mut graph = Graph::capture([1, 1, 2, 2], |x, names| {
            let _unused = x.clone().exp().sqrt();
            names.name("kept", x.clone().neg());
            relu(x)
        })
        .expect("works");
        assert_eq!(graph.len(), 4);
        drop_dead(&mut graph);
        let names: Vec<_> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!((graph.len(), names), (2, vec!["kept", "relu.1"]));
    }
}
