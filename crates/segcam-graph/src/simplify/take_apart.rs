use burn::backend::ir::{
    ActivationOperationIr, AttentionOpIr, BaseOperationIr, LayerNormOpIr, MaskFillOpIr,
    ModuleOperationIr, NumericOperationIr, OperationIr, ScalarIr, SwapDimsOpIr, TensorIr,
};

use super::parts::Parts;
use crate::Graph;

/// Writes composed operations (LayerNorm, attention, softmin) as the simple ones they are made of.
pub(crate) fn take_apart(graph: &mut Graph) {
    let fresh = graph.fresh_id();
    let mut parts = Parts::new(fresh);
    for operation in graph.operations.drain(..) {
        match operation {
            OperationIr::Module(ModuleOperationIr::LayerNorm(d)) => parts.layer_norm(d),
            OperationIr::Module(ModuleOperationIr::Attention(d))
                if !d.options.is_causal && d.options.softcap.is_none() =>
            {
                parts.attention(d);
            }
            OperationIr::Activation(ActivationOperationIr::Softmin(d)) => {
                let negative = parts.scaled(d.input, -1.0);
                parts.softmax(negative, d.axis, d.out);
            }
            other => parts.operations.push(other),
        }
    }
    graph.operations = parts.operations;
}

impl Parts {
    /// `(x − mean)/√(variance + ε)·γ + β` over the last dimension.
    fn layer_norm(&mut self, d: LayerNormOpIr) {
        use NumericOperationIr as N;
        let mean = self.mean(d.input.clone());
        let centred = self.binary(&d.input, &mean, None, N::Sub);
        let square = self.binary(&centred, &centred, None, N::Mul);
        let variance = self.mean(square);
        let deviation = self.deviation(variance, d.epsilon);
        let normal = self.binary(&centred, &deviation, None, N::Div);
        let gamma = self.last(d.gamma, d.out.shape.num_dims());
        match d.beta {
            None => drop(self.binary(&normal, &gamma, Some(d.out), N::Mul)),
            Some(beta) => {
                let scaled = self.binary(&normal, &gamma, None, N::Mul);
                let beta = self.last(beta, d.out.shape.num_dims());
                self.binary(&scaled, &beta, Some(d.out), N::Add);
            }
        }
    }

    /// A vector along the last of `rank` dimensions.
    fn last(&mut self, vector: TensorIr, rank: usize) -> TensorIr {
        let mut shape = vec![1; rank];
        shape[rank - 1] = vector.shape[0];
        self.reshape(&vector, shape)
    }

    /// `softmax(scale·Q·Kᵀ, masked, + bias)·V`
    fn attention(&mut self, d: AttentionOpIr) {
        let rank = d.query.shape.num_dims();
        let width = d.query.shape[rank - 1] as f64;
        let scale = d.options.scale.map_or(1.0 / width.sqrt(), |scale| scale.elem::<f64>());
        let mut shape = d.key.shape.clone();
        (shape[rank - 2], shape[rank - 1]) = (d.key.shape[rank - 1], d.key.shape[rank - 2]);
        let key = self.value(&d.key, shape);
        let op = SwapDimsOpIr { input: d.key, out: key.clone(), dim1: rank - 2, dim2: rank - 1 };
        self.operations.push(OperationIr::BaseFloat(BaseOperationIr::SwapDims(op)));
        let mut shape = d.query.shape.clone();
        shape[rank - 1] = key.shape[rank - 1];
        let product = self.value(&d.query, shape.clone());
        self.matmul(d.query, key, product.clone());
        let mut scores = self.scaled(product, scale);
        if let Some(mask) = &d.mask {
            scores = self.filled(scores, mask, f64::from(f32::MIN));
        }
        if let Some(bias) = d.attn_bias {
            scores = self.binary(&scores, &bias, None, NumericOperationIr::Add);
        }
        let mut weights = self.value(&scores, shape);
        self.softmax(scores, rank - 1, weights.clone());
        if let Some(mask) = &d.mask {
            // A row that is masked as a whole attends to nothing.
            weights = self.filled(weights, mask, 0.0);
        }
        self.matmul(weights, d.value, d.out);
    }

    fn filled(&mut self, tensor: TensorIr, mask: &TensorIr, value: f64) -> TensorIr {
        let (mask, value) = (mask.clone(), ScalarIr::Float(value));
        let out = self.value(&tensor, tensor.shape.clone());
        let op = MaskFillOpIr { tensor, mask, value, out: out.clone() };
        self.operations.push(OperationIr::BaseFloat(BaseOperationIr::MaskFill(op)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::activation::softmin;
    use burn::tensor::module::attention;

    #[test]
    fn only_simple_operations_are_left() {
        let graph = Graph::capture([1, 1, 3, 4], |x, _| {
            softmin(attention(x.clone(), x.clone(), x, None, None, Default::default()), 3)
        });
        let mut graph = graph.expect("a graph");
        assert_eq!(graph.len(), 2, "{graph}");
        take_apart(&mut graph);
        let kinds: Vec<&str> = graph.operations.iter().map(crate::names::kind).collect();
        let attention = ["swap_dims", "matmul", "mul_scalar", "softmax", "matmul"];
        assert_eq!(kinds, [&attention[..], &["mul_scalar", "softmax"]].concat());
    }
}
