use std::collections::HashSet;

use burn::backend::ir::{OperationIr, TensorId};
use burn::tensor::TensorData;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::constants::Held;
use crate::{Graph, GraphError};

impl Graph {
    /// The same network with random weights from its end back to the value named `after`, or
    /// everywhere: each weight tensor that an operation behind `after` reads has its values
    /// shuffled, so that they keep their distribution.
    ///
    /// # Errors
    /// [`GraphError::UnknownValue`].
    pub fn with_random_weights(
        mut self,
        after: Option<&str>,
        seed: u64,
    ) -> Result<Self, GraphError> {
        let start = match after {
            None => 0,
            Some(name) => self.behind(name)?,
        };
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut done: HashSet<TensorId> = HashSet::new();
        for tensor in self.operations[start..].iter().flat_map(OperationIr::inputs) {
            if let Some(held) = self.constants.get_mut(&tensor.id)
                && held.data.dtype().is_float()
                && done.insert(tensor.id)
            {
                let mut values: Vec<f64> = held.data.iter::<f64>().collect();
                values.shuffle(&mut generator);
                let shuffled = TensorData::new(values, held.data.shape().clone());
                *held = Held::new(shuffled.convert_dtype(held.data.dtype()));
            }
        }
        Ok(self)
    }

    /// The number of the first operation after the one that makes this value.
    fn behind(&self, name: &str) -> Result<usize, GraphError> {
        let unknown = || GraphError::UnknownValue { name: name.to_string() };
        let node = self.nodes.iter().find(|node| node.name == name).ok_or_else(unknown)?;
        let makes = |operation: &OperationIr| operation.outputs().any(|out| out.id == node.id);
        let made = self.operations.iter().position(makes).ok_or_else(unknown)?;
        Ok(made + 1)
    }
}
