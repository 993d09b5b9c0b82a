use burn::backend::Shape;
use burn::backend::ir::{
    ActivationOperationIr, AttentionOpIr, BaseOperationIr, BinaryOpIr, DimOpIr, FloatOperationIr,
    LayerNormOpIr, MaskFillOpIr, MatmulOpIr, ModuleOperationIr, NumericOperationIr, OperationIr,
    ReduceDimOpIr, ScalarIr, ScalarOpIr, SwapDimsOpIr, TensorId, TensorIr, UnaryOpIr,
};

use crate::Graph;

/// Writes composed operations (LayerNorm, attention, softmin) as the simple ones they are made of.
pub(crate) fn take_apart(graph: &mut Graph) {
    let fresh = graph.fresh_id().value();
    let mut parts = Parts { operations: vec![], fresh };
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

struct Parts {
    operations: Vec<OperationIr>,
    fresh: u64,
}

impl Parts {
    fn value(&mut self, like: &TensorIr, shape: Shape) -> TensorIr {
        self.fresh += 1;
        TensorIr::uninit(TensorId::new(self.fresh - 1), shape, like.dtype)
    }

    fn numeric(&mut self, out: &TensorIr, op: NumericOperationIr) {
        self.operations.push(OperationIr::NumericFloat(out.dtype, op));
    }

    fn scaled(&mut self, lhs: TensorIr, by: f64) -> TensorIr {
        let out = self.value(&lhs, lhs.shape.clone());
        let op = ScalarOpIr { lhs, rhs: ScalarIr::Float(by), out: out.clone() };
        self.numeric(&out, NumericOperationIr::MulScalar(op));
        out
    }

    fn mean(&mut self, input: TensorIr) -> TensorIr {
        let axis = input.shape.num_dims() - 1;
        let mut shape = input.shape.clone();
        let accumulator_len = std::mem::replace(&mut shape[axis], 1);
        let out = self.value(&input, shape);
        let op = ReduceDimOpIr { input, out: out.clone(), axis, accumulator_len };
        self.numeric(&out, NumericOperationIr::MeanDim(op));
        out
    }

    fn binary(
        &mut self,
        lhs: &TensorIr,
        rhs: &TensorIr,
        out: Option<TensorIr>,
        op: fn(BinaryOpIr) -> NumericOperationIr,
    ) -> TensorIr {
        let out = out.unwrap_or_else(|| self.value(lhs, lhs.shape.clone()));
        let pair = BinaryOpIr { lhs: lhs.clone(), rhs: rhs.clone(), out: out.clone() };
        self.numeric(&out, op(pair));
        out
    }

    fn softmax(&mut self, input: TensorIr, axis: usize, out: TensorIr) {
        let op = ActivationOperationIr::Softmax(DimOpIr { input, out, axis });
        self.operations.push(OperationIr::Activation(op));
    }

    fn matmul(&mut self, lhs: TensorIr, rhs: TensorIr, out: TensorIr) {
        let op = FloatOperationIr::Matmul(MatmulOpIr { lhs, rhs, out: out.clone() });
        self.operations.push(OperationIr::Float(out.dtype, op));
    }

    /// `(x − mean)/√(variance + ε)·γ + β` over the last dimension.
    fn layer_norm(&mut self, d: LayerNormOpIr) {
        use NumericOperationIr as N;
        let mean = self.mean(d.input.clone());
        let centred = self.binary(&d.input, &mean, None, N::Sub);
        let square = self.binary(&centred, &centred, None, N::Mul);
        let variance = self.mean(square);
        let shifted = self.value(&variance, variance.shape.clone());
        let op = ScalarOpIr { lhs: variance, rhs: d.epsilon, out: shifted.clone() };
        self.numeric(&shifted, N::AddScalar(op));
        let deviation = self.value(&shifted, shifted.shape.clone());
        let op = FloatOperationIr::Sqrt(UnaryOpIr { input: shifted, out: deviation.clone() });
        self.operations.push(OperationIr::Float(deviation.dtype, op));
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
        let out = self.value(&vector, shape.into());
        let op = burn::backend::ir::ShapeOpIr { input: vector, out: out.clone() };
        self.operations.push(OperationIr::BaseFloat(BaseOperationIr::Reshape(op)));
        out
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
        let kinds: Vec<String> = graph.operations.iter().map(crate::graph::kind).collect();
        let attention = ["swap_dims", "matmul", "mul_scalar", "softmax", "matmul"];
        assert_eq!(kinds, [&attention[..], &["mul_scalar", "softmax"]].concat());
    }
}
